// What a plan says of intake, held to by real processes: N4 the same at every site, CT on the scale of all sites' data.
#include <signal.h>

#include <cstring>
#include <fstream>

#include "tests/integration/federation_fixture.h"
#include "tests/support/dicom_files.h"

namespace fovea::test {
namespace {

class IntakePlanTest : public FederationTest {
 protected:
  // A series of cubes of 2 mm: a block of one value in air, so that every number that is measured of it is known.
  void ingest_block(const std::string& site, const std::string& series, const char* sop_class, int value,
                    const std::vector<std::string>& options = {}) {
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
        if (n >= 6 && n < 18 && at / kEdge >= 6 && at / kEdge < 18 && at % kEdge >= 6 && at % kEdge < 18)
          pixels[static_cast<std::size_t>(at)] = static_cast<std::int16_t>(value);
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
  make_plan({.architecture = "fovea-1", .rounds = 1, .edit = [](Json& plan) { plan["intake"]["n4"] = true; }},
            {"anna", "berta", "clara", "dora"});
  std::filesystem::copy_file(plan_file(), site_folder("anna") / "plans" / (plan_hash_ + ".json"));
  const Outcome approved = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_EQ(approved.exit_code, 0);
  const std::string expected =
      "intake.n4: the plan says true, but 1 of 1 studies here were ingested without N4; ingest them again with it: "
      "fovea-node data ingest … --n4";
  EXPECT_NE(approved.err.find("warning: " + expected), std::string::npos) << approved.err;
  serve();
  start_site("anna");
  const Json refused = wait_for_site("anna", "plan_refused");
  EXPECT_NE(refused["why"].get<std::string>().find(expected), std::string::npos) << refused;
}

// The number that tensor of one number holds.
float number_in(const std::string& safetensors, const std::string& name) {
  std::uint64_t length = 0;
  for (std::size_t n = 0; n < 8; ++n)
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(safetensors[n])) << (8 * n);
  const Json header = Json::parse(safetensors.substr(8, length));
  float out = 0;
  std::memcpy(&out, safetensors.data() + 8 + length + header[name]["data_offsets"][0].get<std::size_t>(), sizeof out);
  return out;
}

// Studies of CT at four sites, and a plan that only measures them; weights by studies, and the run to its end.
class IntensityTest : public IntakePlanTest {
 protected:
  void ingest_ct() {
    constexpr const char* kCt = "1.2.840.10008.5.1.4.1.1.2";
    ingest_block("anna", "1.2.3.10", kCt, 40);
    ingest_block("anna", "1.2.3.11", kCt, 60);
    ingest_block("berta", "1.2.3.12", kCt, 140);
    ingest_block("clara", "1.2.3.13", kCt, 90);
    ingest_block("dora", "1.2.3.14", kCt, -10);
  }
  void make_intensity_plan() {
    make_plan({.architecture = "fovea-1", .rounds = 1, .modality = "CT", .edit = [](Json& plan) {
                 plan["intake"]["normalisation"] = "ct-soft-tissue";
                 plan["strategy"]["weights"] = "studies";
                 plan["strategy"]["weight_max"] = 1000;
                 plan["stages"] = Json::parse(
                     R"([{"name":"intensity","rounds":1,"trains":["intensity."],
                    "local_steps":1,"learning_rate":1,"server_learning_rate":1}])");
               }});
  }
  void complete_run() {
    serve();
    for (const std::string& site : kSites) start_site(site, {"--until-complete"});
    ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
    for (const std::string& site : kSites) EXPECT_EQ(sites_.at(site).wait(kPatience), 0) << site;
  }
};

TEST_F(IntensityTest, TheStageMakesTheModelsMeanThatOfAllSitesStudies) {
  ingest_ct();
  make_intensity_plan();
  complete_run();
  const std::filesystem::path file = root() / "model.safetensors";
  ASSERT_EQ(coordinator({"model", "export", "--output", file.string()}).exit_code, 0);
  // (HU - 40) / 100 of five studies: 0, 0.2, 1, 0.5, -0.5.
  const std::string model = read_text(file);
  EXPECT_NEAR(4 * number_in(model, "intensity.mean"), 1.2 / 5, 1e-3);
  EXPECT_NEAR(8 * number_in(model, "intensity.square"), 1.54 / 5, 1e-3);
}

// With other sites in the second sum, or with one study more, the difference would be one site's, or one patient's.
TEST_F(IntensityTest, AnotherPlanWithAnotherSeedMeasuresNoStudyAgain) {
  ingest_ct();
  make_intensity_plan();
  complete_run();
  ingest_block("anna", "1.2.3.20", "1.2.840.10008.5.1.4.1.1.2", 100);  // new, beside what was measured
  make_intensity_plan();  // "plan new" draws another seed: another initial model
  const Outcome again = node("anna", {"plan", "approve", plan_hash_.substr(0, 12), "--by", "tester"});
  EXPECT_NE(again.err.find("2 studies of this site were measured"), std::string::npos) << again.err;
  serve();
  for (const std::string& site : kSites) start_site(site);
  for (const std::string& site : kSites) {
    const Json refused = wait_for_site(site, "message_refused");
    EXPECT_EQ(refused["reason"], "local-policy") << site;
    EXPECT_NE(refused["why"].get<std::string>().find("take a plan without that stage"), std::string::npos);
  }
  wait_for_coordinator("site_failure", [](const Json& event) { return event["reason"] == "local-policy"; });
  server_->signal(SIGTERM);
  server_->wait(kPatience);
  int finished = 0;
  for (const Json& event : events_of(home() / "events.jsonl")) finished += event["event"] == "round_finished" ? 1 : 0;
  EXPECT_EQ(finished, 1);  // of the first run
}

}  // namespace
}  // namespace fovea::test
