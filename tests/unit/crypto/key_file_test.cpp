// Failure class: a key on disk that others can use: open to them, or under no passphrase worth its name.
#include "crypto/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "common/bytes.h"
#include "crypto/random_source.h"
#include "tests/support/hex.h"
#include "tests/support/temporary_folder.h"

namespace fovea::crypto {
namespace {

namespace fs = std::filesystem;

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }

class KeyFile : public testing::Test {
 protected:
  fs::path file() const { return folder_.path() / "person.pem"; }
  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(file()).rdbuf();
    return out.str();
  }

  test::TemporaryFolder folder_;
  SeededRandom random_{test::numbered_key(40)};
  const SigningKey key_ = SigningKey::create(random_);
};

TEST_F(KeyFile, AProtectedKeyComesBackUnderItsPassphraseAndUnderNoOther) {
  ASSERT_TRUE(write_protected_key_file(file(), key_, secret("correct horse")));
  EXPECT_EQ(read_protected_key_file(file(), secret("correct horse"))->verify_key(), key_.verify_key());
  for (const std::string_view wrong : {"correct hors", "correct horse ", "Correct horse", ""}) {
    const auto refused = read_protected_key_file(file(), secret(wrong));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_NE(refused.error().message.find("passphrase is wrong"), std::string::npos) << refused.error().message;
  }
}

// Of two people who make a key in one file, one would else hold a key that is gone.
TEST_F(KeyFile, ANewKeyTakesNoOthersPlace) {
  ASSERT_TRUE(create_protected_key_file(file(), key_, secret("correct horse")));
  const auto refused = create_protected_key_file(file(), SigningKey::create(random_), secret("battery staple"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(read_protected_key_file(file(), secret("correct horse"))->verify_key(), key_.verify_key());
  EXPECT_EQ(create_protected_key_file(file(), key_, secret("short")).error().code, ErrorCode::invalid_argument);
}

TEST_F(KeyFile, AProtectedKeyIsSealedAndClosedToOthers) {
  ASSERT_TRUE(write_protected_key_file(file(), key_, secret("correct horse")));
  EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(text().rfind("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 0), 0U);
  EXPECT_EQ(text().find(to_hex(key_.seed().view())), std::string::npos);
  const std::string first = text();
  ASSERT_TRUE(write_protected_key_file(file(), key_, secret("correct horse")));
  EXPECT_NE(text(), first);  // another salt, another IV
  fs::permissions(file(), fs::perms::group_read, fs::perm_options::add);
  EXPECT_EQ(read_protected_key_file(file(), secret("correct horse")).error().code, ErrorCode::permission_denied);
}

// A file that was made with a cheaper derivation would open all the same: what we write is looked at.
TEST_F(KeyFile, TheKeyOfTheFileIsDerivedByScryptOfTheStatedCost) {
  ASSERT_TRUE(write_protected_key_file(file(), key_, secret("correct horse")));
  std::string base64;
  std::istringstream lines(text());
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("-----")) base64 += line;
  const Bytes der = from_base64(base64).value();
  const std::string bytes(der.begin(), der.end());
  // RFC 7914, 7.1: id-scrypt, and in its parameters N = 16384, r = 8, p = 5; RFC 3565: aes256-CBC.
  EXPECT_NE(bytes.find("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x04\x0b"), std::string::npos);
  EXPECT_NE(bytes.find(std::string("\x02\x02\x40\x00\x02\x01\x08\x02\x01\x05", 10)), std::string::npos);
  EXPECT_NE(bytes.find("\x60\x86\x48\x01\x65\x03\x04\x01\x2a"), std::string::npos);
}

// "chmod 600" would not make a key of it.
TEST_F(KeyFile, WhatIsNoKeyIsSaidToBeNoneBeforeItIsOpenToOthers) {
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0644), 0);
  ASSERT_TRUE(write_key_file(file(), key_.seed()));
  const std::string key = text();
  const auto expect_none = [](const Error& error, const fs::path& named) {
    EXPECT_EQ(error.code, ErrorCode::corruption) << error.message;
    EXPECT_NE(error.message.find(named.string() + ": is not a"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("chmod"), std::string::npos) << error.message;
  };
  for (const std::string& bytes :
       {std::string(), std::string("{}"), key + "\n", key + key, key.substr(0, 64), std::string(100'000, 'a')}) {
    std::ofstream(file(), std::ios::trunc) << bytes;
    fs::permissions(file(), fs::perms::others_read, fs::perm_options::add);
    expect_none(read_key_file(file()).error(), file());
    expect_none(check_protected_key_file(file()).error(), file());
  }
  for (const fs::path& no_file : {pipe, folder_.path()}) {
    expect_none(read_key_file(no_file).error(), no_file);
    expect_none(read_protected_key_file(no_file, secret("correct horse")).error(), no_file);
  }
  std::ofstream(file(), std::ios::trunc) << key;  // and a key that is open is that
  EXPECT_NE(read_key_file(file()).error().message.find("chmod 600"), std::string::npos);
  EXPECT_EQ(read_key_file(folder_.path() / "none").error().code, ErrorCode::not_found);
}

TEST_F(KeyFile, ANewPassphraseHasAtLeastEightCharacters) {
  for (const std::string_view bad : {"", "seven77", "ÄÖÜäöüß"}) {
    EXPECT_EQ(write_protected_key_file(file(), key_, secret(bad)).error().code, ErrorCode::invalid_argument) << bad;
    EXPECT_FALSE(fs::exists(file()));
  }
  EXPECT_TRUE(write_protected_key_file(file(), key_, secret("ÄÖÜäöüß8")));
  EXPECT_FALSE(check_new_passphrase(secret(std::string(kPassphraseBytesMax + 1, 'x'))));
}

// y = 0, 1, -1 and those of order 8; not below the prime; and values that are no y of the curve.
TEST_F(KeyFile, APublicKeyIsAPointOfTheCurveAndNotOfSmallOrder) {
  EXPECT_TRUE(check_public_key(key_.verify_key()));
  VerifyKey small{};
  for (const std::uint8_t y : {std::uint8_t{0}, std::uint8_t{1}}) {
    small[0] = y;
    EXPECT_EQ(check_public_key(small).error().code, ErrorCode::invalid_argument) << int{y};
  }
  VerifyKey all_ones;
  all_ones.fill(0xff);
  EXPECT_FALSE(check_public_key(all_ones));
  EXPECT_FALSE(
      check_public_key(test::hex_array<32>("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")));
  // RFC 8032, 7.1: the public keys of its tests are points; half of their neighbours are not.
  EXPECT_TRUE(
      check_public_key(test::hex_array<32>("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")));
  EXPECT_TRUE(
      check_public_key(test::hex_array<32>("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")));
  EXPECT_FALSE(check_public_key({2}));
  std::size_t points = 0;
  for (std::uint8_t y = 0; y < 200; ++y) points += check_public_key({y, 77}) ? 1U : 0U;
  EXPECT_GT(points, 60U);
  EXPECT_LT(points, 140U);
}

TEST_F(KeyFile, WhatIsNoProtectedKeyIsRefused) {
  ASSERT_TRUE(write_key_file(file(), key_.seed()));  // as version 0.1 kept it
  const auto open_key = read_protected_key_file(file(), secret("correct horse"));
  ASSERT_FALSE(open_key);
  EXPECT_EQ(open_key.error().code, ErrorCode::corruption);
  EXPECT_NE(open_key.error().message.find("person.pem"), std::string::npos) << open_key.error().message;
  ASSERT_TRUE(write_protected_key_file(file(), key_, secret("correct horse")));
  const std::string whole = text();
  for (std::size_t cut = 0; cut < whole.size() - 1; cut += 7) {
    std::ofstream(file(), std::ios::trunc) << whole.substr(0, cut);
    EXPECT_FALSE(read_protected_key_file(file(), secret("correct horse"))) << cut;
  }
  EXPECT_EQ(read_protected_key_file(folder_.path() / "none", secret("x")).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace fovea::crypto
