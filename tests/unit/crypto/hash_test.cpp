#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "common/result.h"
#include "crypto/hkdf.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

TEST(Sha256, IncrementalEqualsWholeAtEverySplit) {
  Bytes message(200);
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<std::uint8_t>(i);
  const Digest whole = sha256(message);
  for (std::size_t split = 0; split <= message.size(); ++split) {
    Sha256 hash;
    hash.update(ByteView(message).first(split)).update(ByteView(message).subspan(split));
    EXPECT_EQ(hash.finish(), whole) << split;
  }
}

TEST(Sha256, TellsTheDigestSoFarAndGoesOn) {
  Sha256 hash;
  EXPECT_EQ(hash.update(as_bytes("one ")).so_far(), sha256(as_bytes("one ")));
  EXPECT_EQ(hash.so_far(), sha256(as_bytes("one "))) << "asking changes nothing";
  EXPECT_EQ(hash.update(as_bytes("two")).finish(), sha256(as_bytes("one two")));
}

TEST(Sha256DeathTest, RefusesUseAfterFinish) {
  Sha256 hash;
  const Digest first = hash.finish();
  EXPECT_EQ(first, sha256({}));
  EXPECT_DEATH(hash.update(as_bytes("more")), "");
  EXPECT_DEATH((void)hash.so_far(), "");
}

TEST(TaggedHash, IsSha256OverTheDocumentedBytes) {
  const Bytes input = test::hex(
      "09000000"
      "464f5645412f312f78"  // label "FOVEA/1/x"
      "0300000000000000"
      "616263"  // "abc"
      "0800000000000000"
      "0807060504030201");  // add_u64
  EXPECT_EQ(TaggedHash("FOVEA/1/x").add("abc").add_u64(0x0102030405060708).finish(), sha256(input));
}

TEST(TaggedHash, AFieldInPiecesEqualsTheFieldWhole) {
  TaggedHash pieces("FOVEA/1/x");
  pieces.begin_field(6).append(as_bytes("ab")).append(as_bytes("")).append(as_bytes("cdef"));
  EXPECT_EQ(pieces.finish(), TaggedHash("FOVEA/1/x").add("abcdef").finish());
}

TEST(TaggedHash, LabelsAndFieldBordersSeparate) {
  const Digest base = TaggedHash("FOVEA/1/x").add("ab").add("c").finish();
  EXPECT_NE(base, TaggedHash("FOVEA/1/x").add("a").add("bc").finish());
  EXPECT_NE(base, TaggedHash("FOVEA/1/x").add("abc").finish());
  EXPECT_NE(base, TaggedHash("FOVEA/1/x").add("ab").add("c").add("").finish());
  EXPECT_NE(base, TaggedHash("FOVEA/1/y").add("ab").add("c").finish());
  EXPECT_NE(base, TaggedHash("FOVEA/1/").add("xab").add("c").finish());
}

TEST(TaggedHashDeathTest, RefusesAFieldLongerOrShorterThanAnnounced) {
  EXPECT_DEATH(TaggedHash("FOVEA/1/x").begin_field(2).append(as_bytes("abc")), "");
  EXPECT_DEATH(static_cast<void>(TaggedHash("FOVEA/1/x").begin_field(2).append(as_bytes("a")).finish()), "");
}

TEST(ConstantTimeEqual, ComparesBytesAndLengths) {
  const Bytes a = test::hex("010203");
  EXPECT_TRUE(constant_time_equal(a, test::hex("010203")));
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_FALSE(constant_time_equal(a, test::hex("010204")));
  EXPECT_FALSE(constant_time_equal(a, test::hex("0102")));
}

TEST(Hkdf, BindsToEachOfItsInputs) {
  const Bytes secret = test::hex("01");
  const Bytes salt = test::hex("02");
  const Bytes info = test::hex("03");
  const auto derive = [](ByteView s, ByteView t, ByteView i) {
    return to_hex(hkdf_sha256({.secret = s, .salt = t, .info = i}).view());
  };
  const std::string key = derive(secret, salt, info);
  EXPECT_EQ(key, derive(secret, salt, info));
  EXPECT_NE(key, derive(salt, salt, info));
  EXPECT_NE(key, derive(secret, secret, info));
  EXPECT_NE(key, derive(secret, salt, salt));
  EXPECT_EQ(key, to_hex(hkdf_sha256({.secret = secret, .salt = salt, .info = info}, 100)->view()).substr(0, 64));
}

TEST(Hkdf, RefusesLengthsTheRfcDoesNotAllow) {
  for (const std::size_t length : {std::size_t{0}, std::size_t{8161}})
    EXPECT_EQ(hkdf_sha256({.secret = {}, .salt = {}, .info = {}}, length).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(hkdf_sha256({.secret = {}, .salt = {}, .info = {}}, 8160)->size(), 8160U);
}

}  // namespace
}  // namespace fovea::crypto
