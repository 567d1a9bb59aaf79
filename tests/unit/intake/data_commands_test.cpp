// `fovea-node data …` as a person meets it: what it prints, and what it must never print.
#include "node/commands/data_commands.h"

#include <nlohmann/json.hpp>

#include "common/durable_file.h"
#include "node/intake/nifti_writer.h"
#include "tests/unit/intake/scans.h"

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
    ASSERT_TRUE(write_nifti(hospital_.path() / "scan.nii", make_scan({30, 28, 26}, 1), VoxelType::int16, false));
    ASSERT_TRUE(write_file_durably(hospital_.path() / "bad.nii", as_bytes("no scan")));
    const std::string table = std::string("study,patient,image,mask,split,label\nfirst,") + kCanary + ",scan.nii,,train,0\nsecond," + kCanary + ",bad.nii,,test,\n";
    ASSERT_TRUE(write_file_durably(hospital_.path() / "studies.csv", as_bytes(table)));
    console_.json = true;
    // The parser program lies beside fovea-node, not beside this test.
    const fs::path beside = default_parser_program();
    if (!fs::exists(beside)) fs::create_symlink(fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", beside);
  }
  static IngestRequest of(const fs::path& path) {
    IngestRequest out;
    out.paths = {path};
    return out;
  }
  IngestRequest request() const { return of(hospital_.path()); }
  fs::path site() const { return site_.path(); }

  ScratchFolder hospital_, site_;
  Console console_;
};

TEST_F(DataCommands, AStudysWholeLife) {
  const Printed taken = printed([&] { return run_data_ingest(console_, site(), request()); });
  ASSERT_TRUE(taken.result) << taken.result.error().message;
  EXPECT_EQ(data_of(taken)["taken"], 1);
  EXPECT_EQ(data_of(taken)["refused"].size(), 1u);

  const Printed list = printed([&] { return run_data_list(console_, site()); });
  EXPECT_EQ(data_of(list)["usable"], 1);
  std::string code;
  const nlohmann::json listed = data_of(list);
  for (const auto& study : listed["studies"])
    if (study["usable"]) code = study["code"];
  EXPECT_TRUE(printed([&] { return run_data_check(console_, site(), true); }).result);

  const Printed shown = printed([&] { return run_data_show(console_, site(), {code, site() / "picture.png", false}); });
  ASSERT_TRUE(shown.result) << shown.result.error().message;
  EXPECT_TRUE(fs::exists(site() / "picture.png"));
  const Printed named = printed([&] { return run_data_show(console_, site(), {code, {}, true}); });
  EXPECT_EQ(data_of(named)["identity"]["patient"], kCanary);
  for (const Printed* p : {&taken, &list, &shown})
    EXPECT_EQ((p->out + p->err).find(kCanary), std::string::npos) << p->out << p->err;

  EXPECT_TRUE(printed([&] { return run_data_forget(console_, site(), code, 1); }).result);
  EXPECT_EQ(printed([&] { return run_data_show(console_, site(), {code, {}, false}); }).result.error().code, ErrorCode::not_found);
}

TEST_F(DataCommands, DamageOnDiskIsFoundByACheckAndNamed) {
  ASSERT_TRUE(printed([&] { return run_data_ingest(console_, site(), request()); }).result);
  for (const auto& entry : fs::directory_iterator(site() / "volumes"))
    if (entry.path().extension() == ".bricks") {
      Bytes bytes = *read_file(entry.path(), 1 << 20);
      bytes.back() ^= 1;
      ASSERT_TRUE(write_file_durably(entry.path(), bytes));
    }
  EXPECT_TRUE(printed([&] { return run_data_check(console_, site(), false); }).result);
  const Printed deep = printed([&] { return run_data_check(console_, site(), true); });
  ASSERT_FALSE(deep.result);
  EXPECT_EQ(deep.result.error().code, ErrorCode::corruption);
}

TEST_F(DataCommands, MistakesAreNamedBeforeAnythingIsRead) {
  const auto error_of = [&](const IngestRequest& wrong) { return printed([&] { return run_data_ingest(console_, site(), wrong); }).result.error().message; };
  EXPECT_NE(error_of({}).find("nothing to take in"), std::string::npos);
  EXPECT_NE(error_of(of("/no/such/folder")).find("/no/such/folder"), std::string::npos);
  EXPECT_NE(error_of(of(hospital_.path() / "bad.nii")).find("every study was refused"), std::string::npos);
  IngestRequest wrong = of(hospital_.path() / "scan.nii");
  wrong.split = "exam";
  EXPECT_NE(error_of(wrong).find("split"), std::string::npos);
  wrong.finding_labels = "x";
  EXPECT_NE(error_of(wrong).find("finding labels"), std::string::npos);
  EXPECT_EQ(printed([&] { return run_data_list(console_, site() / "nowhere"); }).result.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace fovea::node
