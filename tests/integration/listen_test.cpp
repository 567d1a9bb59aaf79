// `fovea-node data listen` as a hospital runs it: the program, an archive's own tools (DCMTK) on the other side, and
// peers that misbehave. Failure classes: a scan that is lost or lies in clear, a stranger who may send, one bad peer
// who ends it for all.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "common/file_lock.h"
#include "tests/integration/program.h"
#include "tests/support/dicom_association.h"
#include "tests/support/dicom_files.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using node::DicomBytes;

constexpr std::chrono::milliseconds kPatience{60'000};
constexpr int kSlices = 5;
const std::vector<std::string> kIdentifying{"Canary", "CANARY-ID-99", "1.2.826.77.0"};

bool has_dcmtk() { return std::system("which echoscu storescu >/dev/null 2>&1") == 0; }

DicomBytes slice(int n, const std::string& series) {
  DicomBytes out = node::ct_slice(n, 2.5 * n);
  out.text({0x0008, 0x0018}, "UI", series + "." + std::to_string(n + 1));
  out.text({0x0020, 0x000d}, "UI", "1.2.826.77.0.1");
  out.text({0x0020, 0x000e}, "UI", series);
  return out;
}

// Of the middle slice of that series: a square of two voxels by two.
DicomBytes contours(const std::string& series) {
  DicomBytes out, of_series, study, frame, roi, drawn, points, kind;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.481.3");
  out.text({0x0008, 0x0018}, "UI", series + ".900");
  out.text({0x0008, 0x0060}, "CS", "RTSTRUCT");
  out.text({0x0010, 0x0010}, "PN", "Canary^Dicom");
  out.text({0x0010, 0x0020}, "LO", "CANARY-ID-99");
  out.text({0x0020, 0x000d}, "UI", "1.2.826.77.0.1");
  out.text({0x0020, 0x000e}, "UI", series + ".901");
  of_series.text({0x0020, 0x000e}, "UI", series);
  study.sequence({0x3006, 0x0014}, of_series);
  frame.sequence({0x3006, 0x0012}, study);
  out.sequence({0x3006, 0x0010}, frame);
  roi.text({0x3006, 0x0022}, "IS", "3");
  out.sequence({0x3006, 0x0020}, roi);
  points.text({0x3006, 0x0042}, "CS", "CLOSED_PLANAR");
  points.text({0x3006, 0x0046}, "IS", "4");
  points.text({0x3006, 0x0050}, "DS", "-9.7\\20.4\\5\\-8.7\\20.4\\5\\-8.7\\22\\5\\-9.7\\22\\5");
  drawn.sequence({0x3006, 0x0040}, points);
  drawn.text({0x3006, 0x0084}, "IS", "3");
  out.sequence({0x3006, 0x0039}, drawn);
  kind.text({0x3006, 0x0084}, "IS", "3");
  kind.text({0x3006, 0x00a4}, "CS", "GTV");
  out.sequence({0x3006, 0x0080}, kind);
  return out;
}

class ListenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_dcmtk()) GTEST_SKIP() << "needs echoscu and storescu: apt-get install dcmtk";
    port_ = free_port();
    std::ofstream(folder_.path() / "passphrase") << "correct horse battery\n";
    const Outcome made = node({"init", "anna"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    set("allow = []", "allow = [\"PACS1@127.0.0.1\"]");
    set("port = 11112", "port = " + std::to_string(port_));
    set("ae_title = \"FOVEA\"", "ae_title = \"ANNA\"");
    set("settle_s = 10", "settle_s = 0");
    set("idle_s = 60", "idle_s = 20");
    set("level = \"info\"", "level = \"debug\"");
    fs::create_directories(hospital());
  }

  fs::path site() const { return folder_.path() / "anna"; }
  fs::path hospital() const { return folder_.path() / "archive"; }
  fs::path incoming() const { return site() / "data" / "incoming"; }

  Outcome node(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--site", site().string(), "--passphrase-fd", "0"});
    return run_program("fovea-node", arguments, folder_.path() / ("command-" + std::to_string(++commands_)),
                       folder_.path() / "passphrase");
  }
  void set(const std::string& line, const std::string& replacement) {
    std::string text = read_text(site() / "node.toml");
    const std::size_t at = text.find(line);
    ASSERT_NE(at, std::string::npos) << line;
    std::ofstream(site() / "node.toml") << text.replace(at, line.size(), replacement);
  }

  void listen() {
    log_ = folder_.path() / ("listen-" + std::to_string(++commands_));
    fs::create_directories(log_);
    listener_.emplace(
        Program::start("fovea-node", {"--site", site().string(), "--json", "data", "listen"}, log_ / "log"));
    expect_logged("listening as ANNA");
  }
  void expect_logged(const std::string& words) {
    EXPECT_TRUE(wait_until(
        log_, [&] { return listener_->standard_error().find(words) != std::string::npos; }, kPatience))
        << "never logged: " << words << "\n"
        << listener_->standard_error();
  }
  // The reports of the batches so far, in order.
  std::vector<Json> reports() const {
    std::vector<Json> out;
    std::istringstream lines(listener_->standard_output());
    for (std::string line; std::getline(lines, line);)
      if (const Json one = Json::parse(line, nullptr, false);
          one.is_object() && one.value("command", "") == "data ingest")
        out.push_back(one["data"]);
    return out;
  }
  Json wait_for_report(std::size_t number) {
    const bool there = wait_until(
        log_, [&] { return reports().size() > number; }, kPatience);
    EXPECT_TRUE(there) << listener_->standard_error() << listener_->standard_output();
    return there ? reports()[number] : Json::object();
  }
  // SIGTERM: it says what it did and leaves.
  Json stop() {
    listener_->signal(SIGTERM);
    EXPECT_EQ(listener_->wait(kPatience), 0) << listener_->standard_error();
    Json last = Json::object();
    std::istringstream lines(listener_->standard_output());
    for (std::string line; std::getline(lines, line);)
      if (Json one = Json::parse(line, nullptr, false); one.is_object()) last = one;
    EXPECT_EQ(last.value("command", ""), "data listen") << listener_->standard_output();
    return last.value("data", Json::object());
  }

  int peer(const std::string& tool, const std::string& calling = "PACS1", const std::string& called = "ANNA",
           const std::string& files = "") const {
    return std::system((tool + " -aet " + calling + " -aec " + called + " -to 20 127.0.0.1 " + std::to_string(port_) +
                        " " + files + " >/dev/null 2>&1")
                           .c_str());
  }
  int echo() const { return peer("echoscu"); }
  int store(const std::string& files) const { return peer("storescu", "PACS1", "ANNA", files); }

  // A made series in the archive; the files, for storescu.
  std::string make_series(const std::string& series) {
    std::string out;
    for (int n = 0; n < kSlices; ++n)
      out += write(series + "-" + std::to_string(n) + ".dcm", slice(n, series).file()) + " ";
    return out;
  }
  std::string write(const std::string& name, const Bytes& bytes) const {
    std::ofstream(hospital() / name, std::ios::binary) << as_text(bytes);
    return (hospital() / name).string();
  }

  // Every byte below the site's folder, and how many files were looked at.
  std::size_t expect_no_patient_on_disk() const {
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(site())) {
      if (!entry.is_regular_file()) continue;
      ++files;
      const std::string bytes = read_text(entry.path());
      for (const std::string& word : kIdentifying)
        EXPECT_EQ(bytes.find(word), std::string::npos) << word << " in " << entry.path();
    }
    return files;
  }
  std::size_t received_files() const {
    std::size_t out = 0;
    for (const auto& entry : fs::recursive_directory_iterator(incoming())) out += entry.is_regular_file() ? 1U : 0U;
    return out;
  }
  Json studies() { return Json::parse(node({"--json", "data", "list"}).out)["data"]["studies"]; }

  TemporaryFolder folder_;
  fs::path log_;
  std::optional<Program> listener_;
  int port_ = 0, commands_ = 0;
};

TEST_F(ListenTest, ASeriesThatIsSentBecomesAStudy) {
  listen();
  EXPECT_EQ(echo(), 0);
  expect_logged("echo, address 127.0.0.1");
  EXPECT_EQ(store(make_series("1.2.826.77.0.10")), 0);
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  const Json list = studies();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["usable"], true);
  EXPECT_EQ(list[0]["modality"], "CT");
  EXPECT_EQ(list[0]["size"], Json({6, 5, kSlices}));
  EXPECT_EQ(list[0]["spacing_mm"], Json({0.5, 0.8, 2.5}));
  // Sent once more, it is the same study.
  EXPECT_EQ(store(make_series("1.2.826.77.0.10")), 0);
  EXPECT_EQ(wait_for_report(1)["already_there"], 1);
  EXPECT_EQ(studies().size(), 1U);

  const Json end = stop();
  EXPECT_EQ(end["stored"], 2 * kSlices);
  EXPECT_EQ(end["refused"], 0);
  EXPECT_EQ(end["batches"], 2);
  EXPECT_EQ(received_files(), 0U);
  EXPECT_GT(expect_no_patient_on_disk(), 3U);
  for (const std::string& word : kIdentifying)
    EXPECT_EQ((listener_->standard_error() + listener_->standard_output()).find(word), std::string::npos) << word;
}

// An archive pauses for longer than settle_s, and goes on in any order.
TEST_F(ListenTest, WhatComesAfterAPauseIsIngestedWithWhatWasThere) {
  listen();
  std::vector<std::string> files;
  std::istringstream words(make_series("1.2.826.77.0.60"));
  for (std::string file; words >> file;) files.push_back(file);
  EXPECT_EQ(store(files[2] + " " + files[1] + " " + files[0]), 0);
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  EXPECT_EQ(store(files[4] + " " + files[3]), 0);
  const Json whole = wait_for_report(1);
  EXPECT_EQ(whole["taken"], 1) << whole;
  EXPECT_TRUE(whole["left_alone"].empty()) << whole;
  const Json list = studies();
  ASSERT_EQ(list.size(), 1u) << list;  // the whole series in place of its part
  EXPECT_EQ(list[0]["usable"], true) << list;
  EXPECT_EQ(list[0]["size"], Json({6, 5, kSlices})) << list;
  // All of it once more, from back to front: the same study.
  std::reverse(files.begin(), files.end());
  std::string all;
  for (const std::string& file : files) all += file + " ";
  EXPECT_EQ(store(all), 0);
  EXPECT_EQ(wait_for_report(2)["already_there"], 1);
  EXPECT_EQ(studies().size(), list.size());
  stop();
  expect_no_patient_on_disk();
}

// Contours are drawn after the scan was sent.
TEST_F(ListenTest, ContoursThatComeLaterLabelTheirStudyUntilItIsForgotten) {
  listen();
  EXPECT_EQ(store(make_series("1.2.826.77.0.61")), 0);
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  EXPECT_EQ(studies()[0]["label"], Json());
  EXPECT_EQ(store(write("contours.dcm", contours("1.2.826.77.0.61").file())), 0);
  const Json labelled = wait_for_report(1);
  EXPECT_EQ(labelled["taken"], 1) << labelled;
  const Json list = studies();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0]["label"], 1);
  EXPECT_EQ(list[0]["findings"].size(), 1U) << list;
  stop();
  expect_no_patient_on_disk();
  const fs::path kept = site() / "data" / "kept";
  EXPECT_FALSE(fs::is_empty(kept));
  EXPECT_EQ(node({"data", "forget", list[0]["code"].get<std::string>()}).exit_code, 0);
  EXPECT_TRUE(fs::is_empty(kept));
}

TEST_F(ListenTest, ContoursWithoutTheirSeriesWaitForIt) {
  listen();
  EXPECT_EQ(store(write("contours.dcm", contours("1.2.826.77.0.62").file())), 0);
  const Json alone = wait_for_report(0);
  EXPECT_EQ(alone["taken"], 0);
  EXPECT_EQ(alone["left_alone"][0]["reason"], "labels (SEG or RTSTRUCT) of a series that is not here");
  EXPECT_EQ(store(make_series("1.2.826.77.0.62")), 0);
  EXPECT_EQ(wait_for_report(1)["taken"], 1);
  EXPECT_EQ(studies()[0]["label"], 1);
  stop();
}

TEST_F(ListenTest, WithoutHoursToKeepNothingStays) {
  set("keep_hours = 24", "keep_hours = 0");
  listen();
  EXPECT_EQ(store(make_series("1.2.826.77.0.63")), 0);
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  stop();
  EXPECT_TRUE(fs::is_empty(site() / "data" / "kept"));
}

// Another program changes the studies: what was received waits, and the archive is answered all the same.
TEST_F(ListenTest, WaitsForAnIngestAndGoesOnReceiving) {
  auto ingest = std::make_optional(FileLock::take_as(site() / "data" / "lock", "fovea-node data ingest", "").value());
  listen();
  EXPECT_EQ(store(make_series("1.2.826.77.0.64")), 0);
  expect_logged("what was received waits: " + (site() / "data").string() + ": fovea-node data ingest (process ");
  EXPECT_EQ(echo(), 0);
  EXPECT_TRUE(reports().empty());
  ingest.reset();
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  stop();
}

TEST_F(ListenTest, ASecondListenerIsRefusedByName) {
  listen();
  const Outcome second = node({"data", "listen"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.err.find("fovea-node data listen (process " + std::to_string(listener_->id()) + ")"),
            std::string::npos)
      << second.err;
  stop();
}

TEST_F(ListenTest, WaitingScansLieSealedAndSurviveAKill) {
  set("settle_s = 0", "settle_s = 3600");
  listen();
  EXPECT_EQ(store(make_series("1.2.826.77.0.20")), 0);
  expect_logged("stored, address 127.0.0.1");
  listener_->signal(SIGKILL);
  ASSERT_EQ(listener_->wait(kPatience), 128 + SIGKILL);
  EXPECT_EQ(received_files(), static_cast<std::size_t>(kSlices));
  expect_no_patient_on_disk();
  EXPECT_EQ(fs::status(incoming()).permissions(), fs::perms::owner_all);
  listen();
  EXPECT_EQ(wait_for_report(0)["taken"], 1);
  stop();
  EXPECT_EQ(received_files(), 0U);
}

TEST_F(ListenTest, AChangedFileIsRefusedByName) {
  set("settle_s = 0", "settle_s = 3600");
  listen();
  EXPECT_EQ(store(make_series("1.2.826.77.0.30")), 0);
  listener_->signal(SIGKILL);
  ASSERT_EQ(listener_->wait(kPatience), 128 + SIGKILL);
  for (const auto& entry : fs::recursive_directory_iterator(incoming())) {
    if (!entry.is_regular_file()) continue;
    std::string bytes = read_text(entry.path());
    bytes[bytes.size() / 2] ^= 1;
    std::ofstream(entry.path(), std::ios::binary) << bytes;
  }
  listen();
  const Json report = wait_for_report(0);
  EXPECT_EQ(report["taken"], 0);
  ASSERT_EQ(report["left_alone"].size(), 1U) << report;
  EXPECT_EQ(report["left_alone"][0]["files"], kSlices);
  EXPECT_NE(report["left_alone"][0]["reason"].get<std::string>().find("have it sent again"), std::string::npos);
  stop();
}

TEST_F(ListenTest, AStrangerIsRefusedAndBothValuesAreLogged) {
  listen();
  EXPECT_NE(peer("echoscu", "STRANGER"), 0);
  expect_logged("refused, address 127.0.0.1: it calls itself \"STRANGER\", from its address \"PACS1\" may send");
  EXPECT_NE(peer("storescu", "PACS1", "BERTA", make_series("1.2.826.77.0.40")), 0);
  expect_logged("refused, address 127.0.0.1: it called \"BERTA\", this node is \"ANNA\"");
  EXPECT_EQ(echo(), 0);
  EXPECT_EQ(stop()["refused"], 2);
  EXPECT_EQ(received_files(), 0U);
}

TEST_F(ListenTest, AnAddressThatIsNotOnTheListIsRefusedWhateverItsTitle) {
  set("PACS1@127.0.0.1", "PACS1@127.0.0.2");
  listen();
  EXPECT_NE(echo(), 0);
  expect_logged("refused, address 127.0.0.1 is not among those that may send (127.0.0.2)");
  EXPECT_EQ(stop()["refused"], 1);
}

TEST_F(ListenTest, OneBadPeerStopsNoOther) {
  set("file_megabytes_max = 2000", "file_megabytes_max = 1");
  listen();
  // Larger than is allowed.
  DicomBytes large = slice(0, "1.2.826.77.0.50");
  large.us({0x0028, 0x0010}, 1000);
  large.us({0x0028, 0x0011}, 1000);
  large.pixels(std::vector<std::int16_t>(1'000'000, 3));
  EXPECT_NE(store(write("large.dcm", large.file())), 0);
  expect_logged("failed, address 127.0.0.1");
  // Says that it is of 4 GB, and is gone.
  {
    const LoopbackSocket liar;
    ASSERT_TRUE(liar.connect_to(port_));
    liar.send(std::string{1, 0, '\xff', '\xff', '\xff', '\xff'} + std::string(1000, 'x'));
  }
  // Leaves in the middle of a data set.
  {
    const LoopbackSocket quitter;
    ASSERT_TRUE(quitter.connect_to(port_));
    quitter.send(associate_request("ANNA", "PACS1"));
    ASSERT_EQ(quitter.receive().substr(0, 1), std::string(1, '\2')) << "A-ASSOCIATE-AC";
    quitter.send(store_request() + data_pdu(0, std::string(8000, '\x08')));
  }
  // A whole object that is no scan: its rows are not there.
  DicomBytes broken = slice(1, "1.2.826.77.0.51");
  broken.us({0x0028, 0x0010}, 4000);
  EXPECT_EQ(store(write("broken.dcm", broken.file())), 0);
  const Json refused = wait_for_report(0);
  EXPECT_EQ(refused["taken"], 0) << refused;

  EXPECT_EQ(echo(), 0);
  EXPECT_EQ(store(make_series("1.2.826.77.0.52")), 0);
  EXPECT_EQ(wait_for_report(1)["taken"], 1);
  stop();
  EXPECT_EQ(received_files(), 0U);
  expect_no_patient_on_disk();
}

TEST_F(ListenTest, WithAnEmptyAllowListItDoesNotStart) {
  set("allow = [\"PACS1@127.0.0.1\"]", "allow = []");
  const Outcome refused = node({"data", "listen"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("dicom.allow"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("fix: allow = "), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace fovea::test
