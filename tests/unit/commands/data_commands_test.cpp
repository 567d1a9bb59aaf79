// `fovea-node data …` as a user sees it: what it prints, and what it must never print.
#include "node/commands/data_commands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/durable_file.h"
#include "node/commands/study_text.h"
#include "node/intake/parser/scan_parser.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/parser_programs.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCanary = "Canary-Patient-0815";

struct Printed {
  std::string out, err;
  Result<void> result;
};

template <class Body>
Printed printed(Body body) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Result<void> result = body();
  std::string out = testing::internal::GetCapturedStdout();
  return {out, testing::internal::GetCapturedStderr(), std::move(result)};
}

nlohmann::json data_of(const Printed& p) { return nlohmann::json::parse(p.out).at("data"); }

class DataCommands : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(volume_files::write_nifti(hospital_.path() / "scan.nii", make_scan({30, 28, 26}, 1),
                                          volume_files::VoxelType::int16, false));
    ASSERT_TRUE(write_file_durably(hospital_.path() / "bad.nii", as_bytes("no scan")));
    const std::string table = std::string("study,patient,image,mask,split,label\nfirst,") + kCanary +
                              ",scan.nii,,train,0\nsecond," + kCanary + ",bad.nii,,test,\n";
    ASSERT_TRUE(write_file_durably(hospital_.path() / "studies.csv", as_bytes(table)));
    console_.json = true;
    link_parser_programs();
  }
  static commands::IngestRequest of(const fs::path& path) {
    commands::IngestRequest out;
    out.paths = {path};
    return out;
  }
  commands::IngestRequest request() const { return of(hospital_.path()); }
  fs::path site() const { return site_.path(); }

  ScratchFolder hospital_, site_;
  Console console_;
};

TEST_F(DataCommands, AStudyIsIngestedListedCheckedShownAndForgotten) {
  const Printed ingested = printed([&] { return commands::run_data_ingest(console_, site(), request()); });
  ASSERT_TRUE(ingested.result) << ingested.result.error().message;
  EXPECT_EQ(data_of(ingested)["taken"], 1);
  EXPECT_EQ(data_of(ingested)["refused"].size(), 1u);

  const Printed list = printed([&] { return commands::run_data_list(console_, site()); });
  EXPECT_EQ(data_of(list)["usable"], 1);
  std::string code;
  const nlohmann::json listed = data_of(list);
  for (const auto& study : listed["studies"])
    if (study["usable"]) code = study["code"];
  EXPECT_TRUE(printed([&] { return commands::run_data_check(console_, site(), true); }).result);

  const Printed shown = printed([&] {
    return commands::run_data_show(console_, site(), {code, site() / "picture.png", false});
  });
  ASSERT_TRUE(shown.result) << shown.result.error().message;
  EXPECT_TRUE(fs::exists(site() / "picture.png"));
  const Printed named = printed([&] { return commands::run_data_show(console_, site(), {code, {}, true}); });
  EXPECT_EQ(data_of(named)["identity"]["patient"], kCanary);
  for (const Printed* p : {&ingested, &list, &shown})
    EXPECT_EQ((p->out + p->err).find(kCanary), std::string::npos) << p->out << p->err;

  EXPECT_TRUE(printed([&] { return commands::run_data_forget(console_, site(), code, 1); }).result);
  EXPECT_EQ(printed([&] {
              return commands::run_data_show(console_, site(), {code, {}, false});
            })
                .result.error()
                .code,
            ErrorCode::not_found);
}

TEST_F(DataCommands, TablesOfLabelsAndPointsReachTheirStudies) {
  ASSERT_TRUE(write_file_durably(hospital_.path() / "labels.csv",
                                 as_bytes("study,label,split\nscan,1,validation\nnobody,0,\n")));
  ASSERT_TRUE(write_file_durably(hospital_.path() / "points.csv",
                                 as_bytes("study,x_mm,y_mm,z_mm,radius_mm\nscan.nii,10,11,12,3\n")));
  commands::IngestRequest request = of(hospital_.path() / "scan.nii");
  request.labels = hospital_.path() / "labels.csv";
  request.points = hospital_.path() / "points.csv";
  const Printed ingested = printed([&] { return commands::run_data_ingest(console_, site(), request); });
  ASSERT_TRUE(ingested.result) << ingested.result.error().message;
  EXPECT_NE(ingested.err.find("1 row names no scan"), std::string::npos) << ingested.err;
  EXPECT_NE(ingested.err.find("line 3"), std::string::npos) << ingested.err;
  const nlohmann::json study =
      data_of(printed([&] { return commands::run_data_list(console_, site(), true); }))["studies"][0];
  EXPECT_EQ(study["split"], "validation");
  EXPECT_EQ(study["label"], 1);
  ASSERT_EQ(study["findings"].size(), 1u);
  EXPECT_EQ(study["findings"][0]["diameter_mm"], 6.0);
  EXPECT_EQ(study["findings"][0]["center_mm"], nlohmann::json({10.0, 11.0, 12.0}));
  EXPECT_NE(study["identity"]["image"].get<std::string>().find("scan.nii"), std::string::npos);

  ASSERT_TRUE(write_file_durably(hospital_.path() / "bad.csv",
                                 as_bytes("study,x_mm,y_mm,z_mm,radius_mm\nscan,10,11,twelve,3\n")));
  request.points = hospital_.path() / "bad.csv";
  const Printed refused = printed([&] { return commands::run_data_ingest(console_, site(), request); });
  ASSERT_FALSE(refused.result);
  EXPECT_NE(refused.result.error().message.find("line 2, column z_mm: \"twelve\""), std::string::npos)
      << refused.result.error().message;
}

TEST_F(DataCommands, AnExportHoldsTheVolumeAndOverwritesNothing) {
  ASSERT_TRUE(printed([&] { return commands::run_data_ingest(console_, site(), request()); }).result);
  const nlohmann::json listed = data_of(printed([&] { return commands::run_data_list(console_, site()); }));
  std::string usable, refused;
  for (const auto& study : listed["studies"]) (study["usable"] ? usable : refused) = study["code"];
  const fs::path out = hospital_.path() / "out.nrrd";
  const auto exported = [&](const std::vector<std::string>& codes, const fs::path& to) {
    return printed([&] { return commands::run_data_export(console_, site(), codes, to); }).result;
  };
  ASSERT_TRUE(exported({usable}, out));
  Result<intake::ScanParser> parser = intake::ScanParser::start(fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {});
  ASSERT_TRUE(parser);
  const Result<intake::ParsedVolume> back = parser->read_volume(out),
                                     scan = parser->read_volume(hospital_.path() / "scan.nii");
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->geometry(), scan->geometry());
  const auto a = std::get<std::span<const std::int16_t>>(back->voxels()),
             b = std::get<std::span<const std::int16_t>>(scan->voxels());
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  EXPECT_EQ(exported({usable}, out).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(exported({usable}, hospital_.path() / "out.nii").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(exported({usable, usable}, out).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(exported({refused}, hospital_.path()).error().code, ErrorCode::failed_precondition);
  EXPECT_TRUE(exported({usable}, hospital_.path()));
  EXPECT_TRUE(fs::exists(hospital_.path() / (usable + ".nrrd")));
}

TEST_F(DataCommands, AnIngestSaysWhatItChangesWithoutNames) {
  commands::IngestRequest one = of(hospital_.path() / "scan.nii");
  one.split = "test";
  ASSERT_TRUE(printed([&] { return commands::run_data_ingest(console_, site(), one); }).result);
  one.split = "train";  // by default: nobody said so
  const Printed again = printed([&] { return commands::run_data_ingest(console_, site(), one); });
  EXPECT_EQ(data_of(again)["already_there"], 1);
  EXPECT_TRUE(data_of(again)["remarks"].empty());
  one.split_is_stated = true;
  const Printed moved = printed([&] { return commands::run_data_ingest(console_, site(), one); });
  ASSERT_EQ(data_of(moved)["remarks"].size(), 1u) << moved.out;
  EXPECT_EQ(data_of(moved)["remarks"][0]["text"], "changed: split test to train");
  EXPECT_EQ(moved.out.find("scan.nii"), std::string::npos) << moved.out;
}

TEST_F(DataCommands, AScriptSeesWhenSomeStudiesWereRefused) {
  ASSERT_TRUE(printed([&] { return commands::run_data_ingest(console_, site(), request()); }).result);
  EXPECT_EQ(console_.exit_code, ExitCode::some_refused);
  console_.exit_code = ExitCode::ok;
  const Printed good =
      printed([&] { return commands::run_data_ingest(console_, site(), of(hospital_.path() / "scan.nii")); });
  ASSERT_TRUE(good.result) << good.result.error().message;
  EXPECT_EQ(console_.exit_code, ExitCode::ok);
}

TEST_F(DataCommands, WhatAStudyWasTakenForIsSaidAtTheTerminalAndInJson) {
  Bytes bytes = *read_file(hospital_.path() / "scan.nii", 1 << 20);
  bytes[252] = bytes[254] = 0;  // neither qform nor sform
  ASSERT_TRUE(write_file_durably(hospital_.path() / "scan.nii", bytes));
  const Printed json = printed([&] { return commands::run_data_ingest(console_, site(), request()); });
  ASSERT_EQ(data_of(json)["remarks"].size(), 1u) << json.out;
  EXPECT_NE(data_of(json)["remarks"][0]["text"].get<std::string>().find("which way is left"), std::string::npos);
  console_.json = false;
  const ScratchFolder other;
  const Printed human = printed([&] { return commands::run_data_ingest(console_, other.path(), request()); });
  EXPECT_NE(human.out.find("which way is left"), std::string::npos) << human.out;
}

TEST_F(DataCommands, LeftoversOfAKilledIngestAreDeletedByACheck) {
  ASSERT_TRUE(printed([&] { return commands::run_data_ingest(console_, site(), request()); }).result);
  const fs::path lost = site() / "volumes" / "s-abcdefghij.bricks";
  ASSERT_TRUE(write_file_durably(lost, as_bytes("x")));
  const Printed check = printed([&] { return commands::run_data_check(console_, site(), false); });
  ASSERT_TRUE(check.result) << check.result.error().message;
  EXPECT_EQ(data_of(check)["leftovers_removed"], 1);
  EXPECT_FALSE(fs::exists(lost));
  EXPECT_EQ(data_of(printed([&] { return commands::run_data_check(console_, site(), false); }))["leftovers_removed"],
            0);
}

TEST_F(DataCommands, DamageOnDiskIsFoundByACheckAndNamed) {
  ASSERT_TRUE(printed([&] { return commands::run_data_ingest(console_, site(), request()); }).result);
  for (const auto& entry : fs::directory_iterator(site() / "volumes"))
    if (entry.path().extension() == ".bricks") {
      Bytes bytes = *read_file(entry.path(), 1 << 20);
      bytes[bytes.size() / 2] ^=
          1;  // of a brick: the header and the bricks' lengths at the end are checked by every open
      ASSERT_TRUE(write_file_durably(entry.path(), bytes));
    }
  EXPECT_TRUE(printed([&] { return commands::run_data_check(console_, site(), false); }).result);
  const Printed deep = printed([&] { return commands::run_data_check(console_, site(), true); });
  ASSERT_FALSE(deep.result);
  EXPECT_EQ(deep.result.error().code, ErrorCode::corruption);
}

TEST(NumbersOfOptions, AreReadWhole) {
  for (const std::string text : {"0", "-1024", "+1.5", "1e3"})
    EXPECT_EQ(commands::decimal_option_fault(text), "") << text;
  for (const std::string text : {"-1024,5", "0x10", "nan", "inf", "1024 HU", ""})
    EXPECT_NE(commands::decimal_option_fault(text), "") << text;
}

TEST_F(DataCommands, MistakesAreNamedBeforeAnythingIsRead) {
  const auto error_of = [&](const commands::IngestRequest& wrong) {
    return printed([&] { return commands::run_data_ingest(console_, site(), wrong); }).result.error().message;
  };
  EXPECT_NE(error_of({}).find("nothing to ingest"), std::string::npos);
  EXPECT_NE(error_of(of("/no/such/folder")).find("/no/such/folder"), std::string::npos);
  EXPECT_NE(error_of(of(hospital_.path() / "bad.nii")).find("every study was refused"), std::string::npos);
  commands::IngestRequest wrong = of(hospital_.path() / "scan.nii");
  wrong.split = "exam";
  EXPECT_NE(error_of(wrong).find("split"), std::string::npos);
  wrong.finding_labels = "x";
  EXPECT_NE(error_of(wrong).find("finding labels"), std::string::npos);
  commands::IngestRequest both = of(hospital_.path() / "scan.nii");
  both.manifest = hospital_.path() / "studies.csv";
  EXPECT_NE(error_of(both).find("give one of them"), std::string::npos) << error_of(both);
  commands::IngestRequest split = request();
  split.split_is_stated = true;
  EXPECT_NE(error_of(split).find("--split: the table"), std::string::npos) << error_of(split);
  EXPECT_EQ(printed([&] { return commands::run_data_list(console_, site() / "nowhere"); }).result.error().code,
            ErrorCode::not_found);
}

}  // namespace
}  // namespace fovea::node
