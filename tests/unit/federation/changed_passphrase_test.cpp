// Failure class: a change of a passphrase that loses the key, or leaves it open to the old one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/files/passphrase.h"
#include "tests/support/hex.h"
#include "tests/support/temporary_folder.h"

namespace fovea::federation::files {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOld = "correct horse";
constexpr std::string_view kNew = "battery staple";

crypto::SecretBytes secret(std::string_view text) { return crypto::SecretBytes::copy_of(as_bytes(text)); }

class ChangedPassphrase : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(crypto::write_protected_key_file(file(), key_, secret(kOld))); }
  fs::path file() const { return folder_.path() / "ada.pem"; }
  fs::path unfinished() const { return folder_.path() / "ada.pem.fovea-17-0.tmp"; }
  // With these lines to read.
  static Result<crypto::SigningKey> change(const fs::path& file, const std::string& lines) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe(ends), 0);
    const Descriptor reader(ends[0]);
    {
      const Descriptor writer(ends[1]);
      EXPECT_EQ(::write(writer.number(), lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
    }
    return change_passphrase(file, {.descriptor = reader.number()});
  }
  static std::string both() { return std::string(kOld) + "\n" + std::string(kNew) + "\n"; }
  bool opens(std::string_view passphrase) const {
    const auto key = crypto::read_protected_key_file(file(), secret(passphrase));
    return key && key->verify_key() == key_.verify_key();
  }

  test::TemporaryFolder folder_;
  crypto::SeededRandom random_{test::numbered_key(41)};
  const crypto::SigningKey key_ = crypto::SigningKey::create(random_);
};

TEST_F(ChangedPassphrase, OpensTheSameKeyAndTheOldOneOpensNothing) {
  const auto key = change(file(), both());
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->verify_key(), key_.verify_key());
  EXPECT_TRUE(opens(kNew));
  EXPECT_FALSE(opens(kOld));
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_FALSE(fs::exists(unfinished()));
}

TEST_F(ChangedPassphrase, NeedsTheOldOneAndANewOneThatIsLongEnough) {
  const Bytes before = read_file(file(), 8192).value();
  const auto refused = [&](const std::string& lines, ErrorCode code, const std::string& word) {
    const auto outcome = change(file(), lines);
    ASSERT_FALSE(outcome) << lines;
    EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
    EXPECT_NE(outcome.error().message.find(word), std::string::npos) << outcome.error().message;
    EXPECT_EQ(read_file(file(), 8192).value(), before);
    EXPECT_TRUE(opens(kOld));
  };
  refused("wrong horse\nbattery staple\n", ErrorCode::permission_denied, "passphrase is wrong");
  refused("correct horse\nshort77\n", ErrorCode::invalid_argument, "at least 8");
  refused("correct horse\n\n", ErrorCode::invalid_argument, "empty");
  refused("correct horse\n", ErrorCode::invalid_argument, "empty");
  refused("correct horse\ncorrect horse\n", ErrorCode::invalid_argument, "is the old one");
}

// Killed while the new file was written, or at a disk that is full: the file itself is whole all the time.
TEST_F(ChangedPassphrase, ThatIsCutLeavesTheKeyUnderTheOldOne) {
  fs::create_directory(unfinished());
  fs::create_directory(unfinished() / "full");
  EXPECT_FALSE(change(file(), both()));
  EXPECT_TRUE(opens(kOld));
  fs::remove_all(unfinished());
  std::ofstream(unfinished()) << "-----BEGIN ENCRYPTED PRI";
  EXPECT_TRUE(opens(kOld));
  EXPECT_TRUE(change(file(), both()));
  EXPECT_TRUE(opens(kNew));
  EXPECT_FALSE(fs::exists(unfinished()));
}

// Else the key that the link leads to would stay open to the old one.
TEST_F(ChangedPassphrase, ThroughALinkChangesTheFileThatItLeadsTo) {
  const fs::path link = folder_.path() / "link.pem";
  fs::create_symlink(file(), link);
  EXPECT_TRUE(change(link, both()));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(opens(kNew));
}

// Each of two people would believe that hers is in force.
TEST_F(ChangedPassphrase, ByTwoAtOnceIsRefused) {
  {
    const auto other = FileLock::take(folder_.path(), "busy");
    ASSERT_TRUE(other);
    const auto refused = change(file(), both());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    EXPECT_TRUE(opens(kOld));
  }
  EXPECT_TRUE(change(file(), both()));
}

TEST_F(ChangedPassphrase, OfAFileThatIsNoKeyIsRefusedByName) {
  const fs::path other = folder_.path() / "other.pem";
  EXPECT_NE(change(other, both()).error().message.find(other.string()), std::string::npos);
  std::ofstream(other) << "half";
  fs::permissions(other, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_NE(change(other, both()).error().message.find("is not a key"), std::string::npos);
}

}  // namespace
}  // namespace fovea::federation::files
