// What a plan says of intake, held to by real processes: N4 the same at every site.
#include <fstream>

#include "tests/integration/federation_fixture.h"
#include "tests/unit/intake/dicom_files.h"

namespace fovea::test {
namespace {

class IntakePlanTest : public FederationTest {
 protected:
  // A series of cubes of 2 mm: a block of one value in air, so that every number that is measured of it is known.
  void ingest_block(const std::string& site, const std::string& series, const char* sop_class, int value, const std::vector<std::string>& options = {}) {
    constexpr int kEdge = 24;
    const std::filesystem::path folder = root() / (site + series);
    std::filesystem::create_directories(folder);
    for (int n = 0; n < kEdge; ++n) {
      node::DicomBytes slice = node::ct_slice(n, 2 * n);
      slice.text({0x0008, 0x0016}, "UI", sop_class);
      slice.text({0x0008, 0x0018}, "UI", series + "." + std::to_string(n));
      slice.text({0x0020, 0x000e}, "UI", series);
      slice.text({0x0028, 0x0030}, "DS", "2\\2");
      slice.us({0x0028, 0x0010}, kEdge);
      slice.us({0x0028, 0x0011}, kEdge);
      std::vector<std::int16_t> pixels(kEdge * kEdge, -1000);
      for (int at = 0; at < kEdge * kEdge; ++at)
        if (n >= 6 && n < 18 && at / kEdge >= 6 && at / kEdge < 18 && at % kEdge >= 6 && at % kEdge < 18) pixels[static_cast<std::size_t>(at)] = static_cast<std::int16_t>(value);
      slice.pixels(pixels);
      std::ofstream(folder / (std::to_string(n) + ".dcm"), std::ios::binary) << as_text(slice.file());
    }
    std::vector<std::string> arguments{"data", "ingest", folder.string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome taken = node(site, arguments);
    ASSERT_EQ(taken.exit_code, 0) << taken.err;
  }
};

constexpr const char* kMr = "1.2.840.10008.5.1.4.1.1.4";

TEST_F(IntakePlanTest, ASiteWhoseMrDoesNotFitIsToldAtApprovalAndTakesNoPart) {
  ingest_block("anna", "1.2.3.10", kMr, 700);
  make_plan({.architecture = "fovea-1", .rounds = 1, .edit = [](Json& plan) { plan["intake"]["n4"] = true; }}, {"anna", "berta", "clara", "dora"});
  std::filesystem::copy_file(plan_file(), site_folder("anna") / "plans" / (plan_hash_ + ".json"));
  const Outcome approved = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_EQ(approved.exit_code, 0);
  const std::string expected = "intake.n4: the plan says true, but 1 of 1 studies here were taken in without N4; take them in again with it: fovea-node data ingest … --n4";
  EXPECT_NE(approved.err.find("warning: " + expected), std::string::npos) << approved.err;
  serve();
  start_site("anna");
  const Json refused = wait_for_site("anna", "plan_refused");
  EXPECT_EQ(refused["why"], expected);
}

}  // namespace
}  // namespace fovea::test
