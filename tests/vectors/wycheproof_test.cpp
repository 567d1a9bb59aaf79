// Project Wycheproof's vectors for every primitive we use; they lie beside the source tree
// (shared/reference/wycheproof).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/key_agreement.h"
#include "crypto/signature.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

using nlohmann::json;
using test::hex;
using test::hex_array;
using test::hex_key;

class Wycheproof : public ::testing::Test {
 protected:
  // False after marking the test as skipped.
  bool open(std::string_view name) {
    const std::filesystem::path path =
        std::filesystem::path(FOVEA_SOURCE_DIR) / "../shared/reference/wycheproof" / name;
    std::ifstream file(path);
    if (!file) return false;
    document_ = json::parse(file);
    return true;
  }

  // Calls check(group, test, valid) for each test that `wanted` lets through, and counts them.
  template <class Wanted, class Check>
  void each(Wanted wanted, Check check) {
    for (const json& group : document_.at("testGroups")) {
      if (!wanted(group)) continue;
      for (const json& example : group.at("tests")) {
        SCOPED_TRACE("tcId " + example.at("tcId").dump() + " " + text(example, "comment"));
        check(group, example, text(example, "result"));
        ++checked_;
      }
    }
  }

  static std::string text(const json& object, const char* field) { return object.at(field).get<std::string>(); }
  static bool all(const json&) { return true; }

  json document_;
  int checked_ = 0;
};

#define FOVEA_OPEN_OR_SKIP(name) \
  if (!open(name)) GTEST_SKIP() << "no Wycheproof vectors at ../shared/reference/wycheproof/" << (name)

TEST_F(Wycheproof, X25519) {
  FOVEA_OPEN_OR_SKIP("x25519_test.json");
  each(all, [](const json&, const json& example, const std::string&) {
    const AgreementKey key = AgreementKey::from_private(hex_key(text(example, "private")));
    const auto secret = key.shared_secret(hex_array(text(example, "public")));
    const std::string expected = text(example, "shared");
    if (expected == std::string(64, '0')) {
      EXPECT_FALSE(secret.has_value());
    } else {
      ASSERT_TRUE(secret.has_value());
      EXPECT_EQ(to_hex(secret->view()), expected);
    }
  });
  EXPECT_GE(checked_, 500);
}

TEST_F(Wycheproof, Ed25519) {
  FOVEA_OPEN_OR_SKIP("ed25519_test.json");
  each(all, [](const json& group, const json& example, const std::string& result) {
    const VerifyKey key = hex_array(text(group.at("publicKey"), "pk"));
    const SignatureVerdict verdict = check_signature(key, hex(text(example, "msg")), hex(text(example, "sig")));
    EXPECT_EQ(verdict == SignatureVerdict::valid, result == "valid") << to_string(verdict);
  });
  EXPECT_GE(checked_, 140);
}

TEST_F(Wycheproof, AesGcm) {
  FOVEA_OPEN_OR_SKIP("aes_gcm_test.json");
  const auto ours = [](const json& group) {
    return group.at("keySize") == 256 && group.at("ivSize") == 96 && group.at("tagSize") == 128;
  };
  each(ours, [](const json&, const json& example, const std::string& result) {
    const SecretKey key = hex_key(text(example, "key"));
    const AeadNonce nonce = hex_array<12>(text(example, "iv"));
    const Bytes associated_data = hex(text(example, "aad"));
    const std::string sealed = text(example, "ct") + text(example, "tag");
    const auto opened = aead_open(key, nonce, associated_data, hex(sealed));
    ASSERT_EQ(opened.has_value(), result == "valid");
    if (!opened) return;
    EXPECT_EQ(to_hex(opened->view()), text(example, "msg"));
    EXPECT_EQ(to_hex(aead_seal(key, nonce, associated_data, opened->view())), sealed);
  });
  EXPECT_GE(checked_, 60);
}

TEST_F(Wycheproof, HkdfSha256) {
  FOVEA_OPEN_OR_SKIP("hkdf_sha256_test.json");
  each(all, [](const json&, const json& example, const std::string& result) {
    const Bytes secret = hex(text(example, "ikm"));
    const Bytes salt = hex(text(example, "salt"));
    const Bytes info = hex(text(example, "info"));
    const auto okm = hkdf_sha256({.secret = secret, .salt = salt, .info = info}, example.at("size").get<std::size_t>());
    ASSERT_EQ(okm.has_value(), result == "valid");
    if (okm) {
      EXPECT_EQ(to_hex(okm->view()), text(example, "okm"));
    }
  });
  EXPECT_GE(checked_, 80);
}

TEST_F(Wycheproof, HmacSha256) {
  FOVEA_OPEN_OR_SKIP("hmac_sha256_test.json");
  each(all, [](const json&, const json& example, const std::string& result) {
    const Bytes tag = hex(text(example, "tag"));
    const SecretKey mac = hmac_sha256(hex(text(example, "key")), hex(text(example, "msg")));
    ASSERT_LE(tag.size(), SecretKey::size());
    EXPECT_EQ(constant_time_equal(mac.view().first(tag.size()), tag), result == "valid");
  });
  EXPECT_GE(checked_, 170);
}

}  // namespace
}  // namespace fovea::crypto
