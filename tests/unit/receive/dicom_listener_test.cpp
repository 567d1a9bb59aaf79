// `data listen` with real sockets and DCMTK's own echoscu and storescu on the other side.
#include "node/io/dicom_listener.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/durable_file.h"
#include "node/receive/sealed_scan.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

// A listener in a thread of its own, and the events it reported.
class Listening {
 public:
  Listening(io::DicomConfig config, const fs::path& incoming) : stop_(eventfd(0, EFD_CLOEXEC)) {
    config.port = 0;
    Result<io::DicomListener> opened = io::DicomListener::open(
        config,
        {.receiver_program = fs::path(FOVEA_BIN_DIR) / "fovea-dicom-receiver",
         .incoming = incoming,
         .seal_for = key_.public_key()},
        {.log = [this](io::DicomEvent event,
                       const std::string& detail) { say(std::string(io::to_string(event)) + " " + detail); },
         .batch_ready = [this](const fs::path& batch) { take(batch); }});
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      return;
    }
    listener_ = std::make_unique<io::DicomListener>(std::move(opened).value());
    thread_ = std::jthread([this] { EXPECT_TRUE(listener_->run(stop_)); });
  }
  ~Listening() {
    stop();
    ::close(stop_);
  }
  void stop() {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(stop_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    if (thread_.joinable()) thread_.join();
  }
  std::string port() const { return std::to_string(listener_->port()); }

  // Waits until an event that begins so was said.
  bool said(const std::string& begin) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      return std::any_of(events_.begin(), events_.end(), [&](const std::string& e) { return e.starts_with(begin); });
    });
  }
  std::string all() {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const std::string& event : events_) out += event + "\n";
    return out;
  }
  std::vector<Bytes> received() {
    const std::lock_guard lock(mutex_);
    return files_;
  }

 private:
  void say(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  void take(const fs::path& batch) {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& entry : fs::directory_iterator(batch)) {
        Bytes bytes = *read_file(entry.path(), 1 << 20);
        EXPECT_EQ(as_text(bytes).find("Canary"), std::string_view::npos) << "in clear on the disk";
        EXPECT_EQ(entry.path().extension(), receive::kSealedScanEnding);
        files_.push_back(contents(entry.path()));
      }
    }
    fs::remove_all(batch);
    say("batch");
  }

  Bytes contents(const fs::path& sealed) {
    const Result<Descriptor> scan = receive::open_sealed_scan(sealed, 1 << 20, key_);
    EXPECT_TRUE(scan) << scan.error().message;
    Bytes out(static_cast<std::size_t>(::lseek(scan->number(), 0, SEEK_END)));
    EXPECT_EQ(::pread(scan->number(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    return out;
  }

  crypto::AgreementKey key_ =
      crypto::AgreementKey::from_private(crypto::SecretKey());  // the same for every listener here
  int stop_;
  std::unique_ptr<io::DicomListener> listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::vector<Bytes> files_;
  std::jthread thread_;
};

io::DicomConfig config_for(const std::string& peer = "PACS1@127.0.0.1") {
  io::DicomConfig out;
  out.ae_title = "SITE-A";
  out.settle_s = 0;
  out.idle_s = 5;
  const Result<io::DicomPeer> parsed = io::parse_dicom_peer(peer);
  EXPECT_TRUE(parsed);
  if (parsed) out.peers = {*parsed};
  return out;
}

int run(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()); }
std::string titles(const std::string& calling = "PACS1", const std::string& called = "SITE-A") {
  return " -aet " + calling + " -aec " + called + " -to 10 127.0.0.1 ";
}

class DicomListenerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (run("which echoscu storescu") != 0) GTEST_SKIP() << "DCMTK's programs are not installed (package dcmtk)";
    for (int n = 0; n < 3; ++n) ASSERT_TRUE(replace_file(slice(n), ct_slice(n, n).file()));
  }
  fs::path slice(int n) const { return folder_.path() / ("slice" + std::to_string(n) + ".dcm"); }
  fs::path incoming() const { return folder_.path() / "incoming"; }
  std::string all_slices() const { return slice(0).string() + " " + slice(1).string() + " " + slice(2).string(); }
  ScratchFolder folder_;
};

TEST_F(DicomListenerTest, AnswersEchoAndHandsOverWhatIsStored) {
  Listening listening(config_for(), incoming());
  EXPECT_EQ(run("echoscu" + titles() + listening.port()), 0);
  EXPECT_TRUE(listening.said("echo address 127.0.0.1")) << listening.all();
  EXPECT_EQ(run("storescu" + titles() + listening.port() + " " + all_slices()), 0);
  EXPECT_TRUE(listening.said("batch")) << listening.all();
  const std::vector<Bytes> files = listening.received();
  ASSERT_EQ(files.size(), 3U);
  // The pixels arrived as they were; only the meta header is the receiver's.
  const Bytes sent = ct_slice(0, 0).elements();
  const std::string tail(as_text(sent).substr(sent.size() - 60));
  EXPECT_TRUE(std::any_of(files.begin(), files.end(),
                          [&](const Bytes& file) { return as_text(file).find(tail) != std::string_view::npos; }));
  for (const std::string canary : {"Canary", "CANARY", "1.2.3.4.5"})
    EXPECT_EQ(listening.all().find(canary), std::string::npos) << listening.all();
}

TEST_F(DicomListenerTest, EachRefusalSaysWhatWasOfferedAndWhatIsExpected) {
  Listening listening(config_for(), incoming());
  EXPECT_NE(run("echoscu" + titles("STRANGER") + listening.port()), 0);
  EXPECT_TRUE(
      listening.said("refused address 127.0.0.1: it calls itself \"STRANGER\", from its address \"PACS1\" may send"))
      << listening.all();
  EXPECT_NE(run("storescu" + titles("PACS1", "OTHER") + listening.port() + " " + slice(0).string()), 0);
  EXPECT_TRUE(listening.said("refused address 127.0.0.1: it called \"OTHER\", this node is \"SITE-A\""))
      << listening.all();
  listening.stop();
  EXPECT_TRUE(listening.received().empty());
}

// An archive that sends reports along hears no, and the hospital finds out why.
TEST_F(DicomListenerTest, AnAssociationThatOffersNothingThatIsTakenIsRefusedAloud) {
  Listening listening(config_for(), incoming());
  DicomBytes report = ct_slice(0, 0);
  report.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.88.11");
  const fs::path file = folder_.path() / "report.dcm";
  ASSERT_TRUE(replace_file(file, report.file()));
  EXPECT_NE(run("storescu -R" + titles() + listening.port() + " " + file.string()), 0);
  EXPECT_TRUE(listening.said("refused address 127.0.0.1: nothing that it offers to send is taken: BasicTextSRStorage"))
      << listening.all();
  // Beside an image, the image is taken and the rest named.
  run("storescu -R" + titles() + listening.port() + " " + slice(0).string() + " " + file.string());
  EXPECT_TRUE(
      listening.said("partly refused address 127.0.0.1: of what it offers to send, not taken: BasicTextSRStorage"))
      << listening.all();
  EXPECT_TRUE(listening.said("batch")) << listening.all();
  EXPECT_EQ(listening.received().size(), 1U);
}

TEST_F(DicomListenerTest, AConnectionFromAnAddressThatIsNotAllowedIsRefused) {
  Listening listening(config_for("PACS1@10.9.8.7"), incoming());
  EXPECT_NE(run("echoscu" + titles() + listening.port()), 0);
  EXPECT_TRUE(listening.said("refused address 127.0.0.1 is not among those that may send (10.9.8.7)"))
      << listening.all();
}

TEST_F(DicomListenerTest, LimitsOnFilesAndOnAssociationsHold) {
  io::DicomConfig small = config_for();
  small.file_bytes_max = 300;
  {
    Listening listening(small, incoming());
    EXPECT_NE(run("storescu" + titles() + listening.port() + " " + slice(0).string()), 0);
    EXPECT_TRUE(listening.said("failed")) << listening.all();
    EXPECT_TRUE(listening.received().empty());
  }
  io::DicomConfig none = config_for();
  none.associations_max = 0;
  Listening listening(none, incoming());
  EXPECT_NE(run("echoscu" + titles() + listening.port()), 0);
  EXPECT_TRUE(listening.said("refused address 127.0.0.1: 0 associations are open, at most 0 may be"))
      << listening.all();
}

TEST_F(DicomListenerTest, GarbageOnTheSocketDoesNotStopTheListener) {
  Listening listening(config_for(), incoming());
  // The receiver may hang up before everything is written: that is not what this test is about.
  run("bash -c 'head -c 5000 /dev/zero | tr \\\\0 x > /dev/tcp/127.0.0.1/" + listening.port() + "'");
  EXPECT_EQ(run("echoscu" + titles() + listening.port()), 0);
  EXPECT_TRUE(listening.said("echo")) << listening.all();
}

TEST_F(DicomListenerTest, ABatchThatAnEarlierRunLeftIsHandedOverFirst) {
  io::DicomConfig slow = config_for();
  slow.settle_s = 3600;
  const fs::path kept = folder_.path() / "kept";
  {
    Listening listening(slow, incoming());
    EXPECT_EQ(run("storescu" + titles() + listening.port() + " " + slice(0).string()), 0);
    EXPECT_TRUE(listening.said("stored")) << listening.all();
    // As a crash leaves it: the batch lies there, not handed over.
    fs::copy(incoming(), kept, fs::copy_options::recursive);
  }
  Listening next(config_for(), kept);
  EXPECT_TRUE(next.said("batch")) << next.all();
  EXPECT_EQ(next.received().size(), 1U);
}

TEST(DicomPeer, IsATitleAndANumericAddress) {
  EXPECT_EQ(io::parse_dicom_peer("PACS 1@10.0.0.5")->ae_title, "PACS 1");
  EXPECT_EQ(io::parse_dicom_peer("P@::ffff:10.0.0.5")->address, "10.0.0.5");
  for (const char* wrong : {"PACS1", "@10.0.0.5", "PACS1@host", "A-TITLE-OF-SEVENTEEN@10.0.0.5", "PA\\CS@10.0.0.5",
                            "PACS1@", " P@10.0.0.5", "P,Q@10.0.0.5"})
    EXPECT_FALSE(io::parse_dicom_peer(wrong)) << wrong;
  EXPECT_FALSE(io::is_ae_title(std::string("a\0b", 3)));
}

}  // namespace
}  // namespace fovea::node
