// The command line of `fovea-node data …`.
#include "node/commands/data_commands.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "node/commands/command.h"
#include "node/commands/study_text.h"

namespace fovea::node::commands {
namespace {

void add_ingest(CLI::App& data, CommandContext& context) {
  CLI::App* ingest = data.add_subcommand("ingest", "Ingest scans: NIfTI, NRRD, MHA, DICOM series");
  auto request = std::make_shared<IngestRequest>();
  ingest->add_option("paths", request->paths, "Folders and files; where a studies.csv lies, what that table names");
  ingest->add_option("--manifest", request->manifest,
                     "CSV table: study,patient,image,mask,split,label; paths relative to it");
  ingest->add_option("--finding", request->finding_labels,
                     "Labels of the masks that are findings, e.g. 3,4 (all when not given)");
  ingest->add_option("--labels", request->labels, "CSV table of study labels: study,label[,split]");
  ingest->add_option("--points", request->points,
                     "CSV table of findings: study,x_mm,y_mm,z_mm,radius_mm[,label], patient coordinates (LPS)");
  const CLI::Option* const split =
      ingest->add_option("--split", request->split, "For scans without a table: train, validation or test")
          ->capture_default_str();
  ingest
      ->add_option("--intensity-offset", request->intensity_offset,
                   "Added to every voxel, e.g. -1024 for a CT stored as HU + 1024")
      ->check(decimal_option_fault);
  ingest->add_flag("--n4", request->correct_bias,
                   "Divide MR by its bias field (N4): for plans that say intake.n4 = true");
  ingest->add_option("--workers", request->workers, "Scans ingested at once (one per core when not given)");
  ingest->callback([&context, request, split] {
    context.console.run("data ingest", [&]() -> Result<void> {
      FOVEA_TRY(context.folder().check_begun());
      request->split_is_stated = split->count() > 0;
      FOVEA_TRY_ASSIGN(request->memory_bytes, memory_allowance(context));
      return run_data_ingest(context.console, context.folder().data(), *request);
    });
  });
}

void add_listen(CLI::App& data, CommandContext& context) {
  CLI::App* listen = data.add_subcommand(
      "listen", "Receive scans from the hospital's archive by DICOM, until SIGTERM ([dicom] in node.toml)");
  auto split = std::make_shared<std::string>("train");
  listen->add_option("--split", *split, "For what is received: train, validation or test")->capture_default_str();
  listen->callback(
      [&context, split] { context.console.run("data listen", [&] { return run_data_listen(context, *split); }); });
}

void add_list_and_check(CLI::App& data, CommandContext& context) {
  CLI::App* list = data.add_subcommand("list", "Studies in the catalogue");
  auto named = std::make_shared<bool>(false);
  list->add_flag("--identity", *named, "With --json, also what is sealed: names and files. For this terminal only");
  list->callback([&context, named] {
    context.console.run("data list", [&] { return run_data_list(context.console, context.folder().data(), *named); });
  });

  CLI::App* check = data.add_subcommand("check", "Which studies are usable, and why others are not");
  auto deep = std::make_shared<bool>(false);
  check->add_flag("--deep", *deep, "Also read every stored voxel and compare checksums");
  check->callback([&context, deep] {
    context.console.run("data check", [&] { return run_data_check(context.console, context.folder().data(), *deep); });
  });
}

void add_show_and_export(CLI::App& data, CommandContext& context) {
  CLI::App* show = data.add_subcommand("show", "One study: its facts, and a picture of its findings");
  auto shown = std::make_shared<ShowRequest>();
  show->add_option("code", shown->code, "The study's code, from data list")->required();
  show->add_option("--out", shown->picture, "Write a PNG of slices with the findings' boxes");
  show->add_flag("--identity", shown->with_identity,
                 "Also print what is sealed: names and files. For this terminal only");
  show->callback([&context, shown] {
    context.console.run("data show", [&] { return run_data_show(context.console, context.folder().data(), *shown); });
  });

  CLI::App* write = data.add_subcommand("export", "Write stored volumes as NRRD, for other tools");
  struct Export {
    std::vector<std::string> codes;
    std::filesystem::path out;
  };
  auto exported = std::make_shared<Export>();
  write->add_option("codes", exported->codes, "The studies' codes, from data list")->required();
  write
      ->add_option("--out", exported->out,
                   "The file to write (.nrrd), or a folder for CODE.nrrd; nothing is overwritten")
      ->required();
  write->callback([&context, exported] {
    context.console.run("data export", [&] {
      return run_data_export(context.console, context.folder().data(), exported->codes, exported->out);
    });
  });
}

void add_forget(CLI::App& data, CommandContext& context) {
  CLI::App* forget = data.add_subcommand("forget", "Delete a study's volumes and identity, and record the erasure");
  auto code = std::make_shared<std::string>();
  forget->add_option("code", *code, "The study's code, from data list")->required();
  auto agreed = std::make_shared<bool>(false);
  forget->add_flag("--yes", *agreed, "Do not ask first (without a terminal there is no question)");
  forget->callback([&context, code, agreed] {
    context.console.run("data forget", [&] { return forget_on_record(context, *code, *agreed); });
  });
}

}  // namespace

void add_data_commands(CLI::App& app, CommandContext& context) {
  CLI::App* data = app.add_subcommand("data", "Scans of this site: ingest, list, check, show, export, forget");
  data->require_subcommand(1);
  add_ingest(*data, context);
  add_listen(*data, context);
  add_list_and_check(*data, context);
  add_show_and_export(*data, context);
  add_forget(*data, context);
}

}  // namespace fovea::node::commands
