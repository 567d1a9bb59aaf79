// Received scans: sealed by who cannot open, opened whole or not at all.
#include "node/receive/sealed_scan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "common/durable_file.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

class SealedScan : public testing::Test {
 protected:
  // Seals through a pipe, as the receiver does.
  receive::SealedStream seal(const Bytes& scan, std::uint64_t bytes_max = 1 << 20) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    const Descriptor from(ends[0]);
    std::jthread writer([&scan, to = ends[1]] {
      for (std::size_t done = 0; done < scan.size();) {
        const ssize_t put = ::write(to, scan.data() + done, scan.size() - done);
        if (put < 0) break;
        done += static_cast<std::size_t>(put);
      }
      ::close(to);
    });
    const Descriptor out(::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    const Result<receive::SealedStream> done =
        receive::seal_stream(from.number(), out.number(), bytes_max, key_.public_key());
    EXPECT_TRUE(done) << done.error().message;
    return done ? *done : receive::SealedStream{};
  }
  Result<Bytes> open(const crypto::AgreementKey& key, std::uint64_t bytes_max = 1 << 20) const {
    FOVEA_TRY_ASSIGN(const Descriptor scan, receive::open_sealed_scan(file_, bytes_max, key));
    Bytes out(static_cast<std::size_t>(::lseek(scan.number(), 0, SEEK_END)));
    EXPECT_EQ(::pread(scan.number(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    EXPECT_LT(::pwrite(scan.number(), "x", 1, 0), 0);
    return out;
  }
  static Bytes noise(std::size_t size) {
    Numbers numbers(size);
    Bytes out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(numbers.next());
    return out;
  }

  ScratchFolder folder_;
  fs::path file_ = folder_.path() / "scan.sealed";
  crypto::SystemRandom random_;
  crypto::AgreementKey key_ = crypto::AgreementKey::generate(random_),
                       stranger_ = crypto::AgreementKey::generate(random_);
};

TEST_F(SealedScan, OpensWithItsOwnKeyOnly) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'535}, std::size_t{65'536},
                                 std::size_t{65'537}, std::size_t{300'000}}) {
    const Bytes scan = noise(size);
    const receive::SealedStream sealed = seal(scan);
    EXPECT_TRUE(sealed.whole);
    EXPECT_EQ(sealed.scan_bytes, size);
    EXPECT_EQ(fs::file_size(file_), receive::sealed_scan_bytes(size));
    const Result<Bytes> opened = open(key_);
    ASSERT_TRUE(opened) << size << ": " << opened.error().message;
    EXPECT_EQ(*opened, scan);
    EXPECT_EQ(open(stranger_).error().code, ErrorCode::corruption) << size;
  }
}

TEST_F(SealedScan, EveryChangedOrMissingPartIsDetected) {
  seal(noise(3 * 65'536));  // ends with an empty piece, without which it would look whole
  const Bytes whole = *read_file(file_, 1 << 20);
  const std::size_t piece = 65'536 + 16;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{20}, std::size_t{40}, 40 + piece, 40 + 3 * piece, whole.size() - 1}) {
    ASSERT_TRUE(replace_file(file_, ByteView(whole).first(size)));
    EXPECT_EQ(open(key_).error().code, ErrorCode::corruption) << "cut to " << size;
  }
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{10}, std::size_t{41}, std::size_t{40} + piece, whole.size() - 1}) {
    Bytes changed = whole;
    changed[at] ^= 1;
    ASSERT_TRUE(replace_file(file_, changed));
    EXPECT_EQ(open(key_).error().code, ErrorCode::corruption) << "changed at " << at;
  }
  Bytes exchanged = whole;
  std::swap_ranges(exchanged.begin() + 40, exchanged.begin() + 40 + static_cast<std::ptrdiff_t>(piece),
                   exchanged.begin() + 40 + static_cast<std::ptrdiff_t>(piece));
  ASSERT_TRUE(replace_file(file_, exchanged));
  EXPECT_EQ(open(key_).error().code, ErrorCode::corruption);
  Bytes longer = whole;
  longer.push_back(0);
  ASSERT_TRUE(replace_file(file_, longer));
  EXPECT_EQ(open(key_).error().code, ErrorCode::corruption);
}

TEST_F(SealedScan, LimitsHoldOnBothSides) {
  EXPECT_FALSE(seal(noise(1000), 999).whole);
  EXPECT_FALSE(seal(noise(200'000), 100'000).whole);
  EXPECT_LT(fs::file_size(file_), receive::sealed_scan_bytes(100'000));  // nothing beyond the limit was written
  EXPECT_TRUE(seal(noise(1000), 1000).whole);
  EXPECT_EQ(open(key_, 999).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(open(key_, 1000));
  fs::remove(file_);
  EXPECT_EQ(open(key_).error().code, ErrorCode::not_found);
  fs::create_symlink("/etc/hostname", file_);
  EXPECT_EQ(open(key_).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace fovea::node
