// Failure class: we write a log that only we can read. Go's sumdb, which the Go module mirror runs on, must verify our
// ledgers, and compute the same proofs. Needs Debian's golang-go and golang-golang-x-mod-dev.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "crypto/merkle_log.h"
#include "federation/ledger/tile_check.h"
#include "tests/support/ledger_folder.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation {
namespace {

constexpr const char* kGoPath = "/usr/share/gocode";

struct ProgramResult {
  int status = -1;
  std::vector<std::string> lines;
};

// Every argument comes from this file: no quoting is needed beyond single quotes.
ProgramResult run(const std::string& command) {
  ProgramResult out;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return out;
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line.push_back(static_cast<char>(c));
      continue;
    }
    out.lines.push_back(std::exchange(line, {}));
  }
  out.status = ::pclose(pipe);
  return out;
}

class Sumdb : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(std::string(kGoPath) + "/src/golang.org/x/mod/sumdb/tlog") ||
        run("go version").status != 0)
      return;
    folder = std::make_unique<test::TemporaryFolder>();
    const std::string cache = (folder->path() / "cache").string();
    const ProgramResult built = run("env GO111MODULE=off GOFLAGS= GOPROXY=off GOPATH=" + std::string(kGoPath) +
                                    " GOCACHE='" + cache + "' go build -o '" + (folder->path() / "check").string() +
                                    "' " FOVEA_SOURCE_DIR "/tests/unit/ledger/sumdb/check.go");
    ASSERT_EQ(built.status, 0) << (built.lines.empty() ? "" : built.lines.back());
    available = true;
  }
  static void TearDownTestSuite() { folder.reset(); }
  void SetUp() override {
    if (!available) GTEST_SKIP() << "Go or golang-golang-x-mod-dev is not installed: the independent check is left out";
  }

  static void write(const std::filesystem::path& path, std::uint64_t entries) {
    ledger::Ledger ledger = ledger::Ledger::open(test::ledger_options(path)).value();
    for (std::uint64_t done = 0; done < entries;) {
      const std::uint64_t count = std::min<std::uint64_t>(entries - done, 5000);
      ASSERT_TRUE(ledger.append(test::kTestTime, test::numbered_entries(done, count)));
      done += count;
    }
    ASSERT_TRUE(ledger.publish());
  }
  static crypto::NoteKey key() {
    return crypto::NoteKey::create("test/st-anna", test::signing_key(1).verify_key()).value();
  }
  static ProgramResult check(const std::filesystem::path& path) {
    return run("'" + (folder->path() / "check").string() + "' '" + path.string() + "' '" + key().text() + "'");
  }

  static std::unique_ptr<test::TemporaryFolder> folder;
  static bool available;
};

std::unique_ptr<test::TemporaryFolder> Sumdb::folder;
bool Sumdb::available = false;

std::string proof_text(const std::string& name, const std::vector<Digest>& proof) {
  std::string out = name;
  for (const Digest& hash : proof) out += " " + to_hex(hash);
  return out;
}

TEST_F(Sumdb, VerifiesLedgersOfEveryShapeAndComputesTheSameProofs) {
  for (const std::uint64_t size : {1U, 2U, 255U, 256U, 257U, 512U, 1000U, 66'000U}) {
    const std::filesystem::path path = folder->path() / ("ledger" + std::to_string(size));
    write(path, size);
    const ProgramResult result = check(path);
    ASSERT_EQ(result.status, 0) << size << ": " << (result.lines.empty() ? "" : result.lines.back());
    EXPECT_EQ(result.lines.back(), "verified " + std::to_string(size));
    const auto stored = ledger::stored_subtrees(path, size);
    std::size_t line = 0;
    for (const std::uint64_t index : {std::uint64_t{0}, size / 3, size - 1})
      EXPECT_EQ(result.lines.at(line++),
                proof_text("record " + std::to_string(index), crypto::inclusion_proof(index, size, stored).value()));
    for (const std::uint64_t older : {std::uint64_t{1}, std::min(size, size / 2 + 1), size}) {
      const auto proof = crypto::consistency_proof(older, size, stored).value();
      EXPECT_EQ(result.lines.at(line++), proof_text("tree " + std::to_string(older), proof));
    }
  }
}

TEST_F(Sumdb, RefusesWhatWeRefuse) {
  const std::filesystem::path path = folder->path() / "damaged";
  write(path, 300);
  for (const char* file :
       {"checkpoint", "tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44"}) {
    const std::string good = test::slurp(path / file);
    test::flip_byte(path / file, good.size() / 2);
    EXPECT_NE(check(path).status, 0) << file;
    test::spill(path / file, good);
  }
  EXPECT_EQ(check(path).status, 0);
}

}  // namespace
}  // namespace fovea::federation
