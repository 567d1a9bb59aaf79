#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/console.h"
#include "common/ids.h"
#include "coordinator/commands/command.h"
#include "coordinator/store/blame_folder.h"
#include "coordinator/store/cut_off_sites.h"
#include "coordinator/store/run_store.h"
#include "crypto/key_file.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"
#include "federation/membership/pardon.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::commands {
namespace {

namespace fs = std::filesystem;

struct Choice {
  std::string site;
  std::string run;
  std::string reason;
  std::string key;
};

// The run whose id begins so.
Result<fs::path> find_run(const CommandContext& context, std::string_view prefix) {
  constexpr std::size_t kPrefixMin = 4;
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  std::vector<fs::path> found;
  for (const fs::path& run : runs)
    if (run.filename().string().starts_with(prefix)) found.push_back(run);
  if (prefix.size() < kPrefixMin || found.size() > 1)
    return invalid_argument("run \"" + std::string(prefix) + "\": give more digits; see fovea-coordinator sites");
  if (found.empty())
    return not_found("run \"" + std::string(prefix) + "\": no such run; see fovea-coordinator run list");
  return found.front();
}

Result<void> run_pardon(CommandContext& context, const Choice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, folder.federation());
  FOVEA_TRY_ASSIGN(const SiteId site, SiteId::create(choice.site));
  FOVEA_TRY_ASSIGN(const fs::path run, find_run(context, choice.run));
  const store::BlameFolder blames(run);
  FOVEA_TRY_ASSIGN(const std::optional<store::Blame> blame, blames.find(site));
  if (!blame)
    return not_found(site.text() + ": is not left out of run " + run.filename().string() +
                     "; see fovea-coordinator sites");
  const federation::membership::Pardon pardon{.site = site,
                                              .run = blame->run,
                                              .evidence = blame->digest(),
                                              .reason = choice.reason,
                                              .decided = context.clock.wall()};
  FOVEA_TRY_ASSIGN(std::string text, pardon.document());
  FOVEA_TRY_ASSIGN(const crypto::SecretBytes passphrase, context.passphrase.existing("the key " + choice.key));
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, crypto::read_protected_key_file(choice.key, passphrase));
  federation::membership::SignedDocument document{"pardon", std::move(text), {}};
  FOVEA_TRY(document.sign(key));
  FOVEA_TRY(federation::membership::verify_pardon(document, facts.administrators));
  FOVEA_TRY(blames.put_pardon(site, document));
  context.console.data(
      "pardon", {{"site", site.text()}, {"run", blame->run.text()}, {"evidence", to_hex(blame->digest())}},
      site.text() + " was left out since round " + std::to_string(blame->round) + ", " + blame->reason +
          "; it may take part again as soon as a process that serves this run has read the pardon");
  return {};
}

}  // namespace

Result<BlamedSites> blamed_sites(const CommandContext& context) {
  BlamedSites out{nlohmann::ordered_json::array(), ""};
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  std::vector<std::vector<std::string>> rows = {{"LEFT OUT", "RUN", "SINCE ROUND", "REASON", "EVIDENCE"}};
  for (const fs::path& run : runs) {
    const store::BlameFolder folder(run);
    FOVEA_TRY_ASSIGN(const std::vector<store::Blame> blames, folder.standing());
    for (const store::Blame& blame : blames) {
      const std::string digest = to_hex(blame.digest());
      const auto pardon = folder.pardon_of(blame.site);
      const bool waits = pardon && *pardon;
      out.data.push_back({{"site", blame.site.text()},
                          {"key", to_hex(blame.key)},
                          {"run", blame.run.text()},
                          {"round", blame.round},
                          {"reason", blame.reason},
                          {"evidence", digest},
                          {"messages", blame.evidence.size()},
                          {"pardon_waits", waits}});
      rows.push_back({blame.site.text(), blame.run.text().substr(0, 12), std::to_string(blame.round), blame.reason,
                      counted(blame.evidence.size(), "message") + ", " + digest.substr(0, 12) +
                          (waits     ? "; a pardon waits for the run to be served"
                           : !pardon ? "; a pardon lies there and cannot be read: " + pardon.error().message
                                     : "")});
    }
  }
  if (rows.size() > 1)
    out.text = "\n" + text_table(rows) + "to let one in again: fovea-coordinator pardon SITE --run RUN";
  return out;
}

Result<CutOffSites> cut_off_sites(const CommandContext& context) {
  CutOffSites out{nlohmann::ordered_json::array(), ""};
  FOVEA_TRY_ASSIGN(const std::vector<fs::path> runs, store::list_runs(context.folder().runs()));
  for (const fs::path& run : runs) {
    const auto sites = store::read_cut_off_sites(run);
    if (!sites) {  // after a power failure; the rest is shown all the same
      out.text += "\n" + sites.error().message;
      continue;
    }
    for (const store::CutOffSite& cut_off : *sites) {
      const std::string name = run.filename().string();
      out.data.push_back({{"site", cut_off.site.text()}, {"run", name}, {"round", cut_off.round}});
      out.text += "\n" + cut_off.site.text() + ": run " + name.substr(0, 12) + " goes on without it since round " +
                  std::to_string(cut_off.round) +
                  ", whose sum was made under a roster that this site never had; it takes part in the next plan";
    }
  }
  return out;
}

void add_blame_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<Choice>();
  auto* pardon = app.add_subcommand("pardon", "Let a site that is left out of a run take part in it again");
  pardon->add_option("site", choice->site, "Its name")->required();
  pardon->add_option("--run", choice->run, "The run, as sites lists it")->required();
  pardon->add_option("--reason", choice->reason, "Why, for the record");
  pardon->add_option("--key", choice->key, "The administrator's key file")->required();
  pardon->callback([&context, choice] { context.console.run("pardon", [&] { return run_pardon(context, *choice); }); });
}

}  // namespace fovea::coordinator::commands
