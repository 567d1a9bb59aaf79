// Key agreement, signatures and sealing: what the standards' vectors do not cover.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/key_agreement.h"
#include "crypto/random_source.h"
#include "crypto/signature.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

TEST(AgreementKey, BothSidesAndTheBatchAgree) {
  SeededRandom random(test::numbered_key(1));
  const AgreementKey own = AgreementKey::generate(random);
  std::vector<AgreementPublicKey> peers;
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) {
    const AgreementKey peer = AgreementKey::generate(random);
    peers.push_back(peer.public_key());
    expected.push_back(to_hex(peer.shared_secret(own.public_key())->view()));
  }
  const auto secrets = own.shared_secrets(peers);
  ASSERT_TRUE(secrets.has_value());
  for (std::size_t i = 0; i < peers.size(); ++i) EXPECT_EQ(to_hex((*secrets)[i].view()), expected[i]);
}

TEST(AgreementKey, ARevealedPrivateKeyGivesItsPublicKeyAndAChangedOneDoesNot) {
  SeededRandom random(test::numbered_key(2));
  const AgreementKey key = AgreementKey::generate(random);
  SecretKey revealed = key.private_key().copy();
  EXPECT_EQ(agreement_public_key(revealed), key.public_key());
  revealed.span()[10] ^= 1;
  EXPECT_NE(agreement_public_key(revealed), key.public_key());
}

TEST(AgreementKey, RefusesEveryPointOfLowOrder) {
  SeededRandom random(test::numbered_key(3));
  const AgreementKey key = AgreementKey::generate(random);
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto secret = key.shared_secret(test::hex_array(point));
    ASSERT_FALSE(secret.has_value()) << point;
    EXPECT_EQ(secret.error().code, ErrorCode::permission_denied);
  }
}

TEST(AgreementKey, TheBatchNamesTheBadPeer) {
  SeededRandom random(test::numbered_key(4));
  const AgreementKey key = AgreementKey::generate(random);
  const std::vector<AgreementPublicKey> peers = {AgreementKey::generate(random).public_key(), {}};
  const auto secrets = key.shared_secrets(peers);
  ASSERT_FALSE(secrets.has_value());
  EXPECT_TRUE(secrets.error().message.starts_with("peer 1: "));
}

TEST(Signature, ASignedMessageVerifiesAndAnotherMessageOrKeyDoesNot) {
  SeededRandom random(test::numbered_key(5));
  const SigningKey key = SigningKey::create(random);
  const SigningKey other = SigningKey::create(random);
  const Signature signature = key.sign(as_bytes("roster"));
  EXPECT_EQ(check_signature(key.verify_key(), as_bytes("roster"), signature), SignatureVerdict::valid);
  EXPECT_EQ(check_signature(key.verify_key(), as_bytes("rosteR"), signature), SignatureVerdict::mismatch);
  EXPECT_EQ(check_signature(other.verify_key(), as_bytes("roster"), signature), SignatureVerdict::mismatch);
  EXPECT_EQ(check_signature(key.verify_key(), as_bytes("roster"), ByteView(signature).first(63)),
            SignatureVerdict::wrong_length);
}

TEST(Signature, AStoredSeedGivesTheSameKey) {
  SeededRandom random(test::numbered_key(6));
  const SigningKey key = SigningKey::create(random);
  EXPECT_EQ(SigningKey::from_seed(key.seed()).verify_key(), key.verify_key());
  EXPECT_EQ(key.copy().sign(as_bytes("x")), key.sign(as_bytes("x")));
}

// S + L verifies under a careless verifier: two signatures of one statement.
TEST(Signature, RefusesASignatureWhoseScalarHadTheOrderAdded) {
  SeededRandom random(test::numbered_key(7));
  const SigningKey key = SigningKey::create(random);
  Signature signature = key.sign(as_bytes("statement"));
  const Bytes order = test::hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned>(signature[32 + i]) + order[i];
    signature[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_EQ(check_signature(key.verify_key(), as_bytes("statement"), signature),
            SignatureVerdict::non_canonical_scalar);
}

TEST(Signature, RefusesKeysOfSmallOrderAndKeysNotInCanonicalForm) {
  const Signature any{};
  for (const char* key : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0000000000000000000000000000000000000000000000000000000000000080",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000080",
                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                          "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                          "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"})
    EXPECT_EQ(check_signature(test::hex_array(key), as_bytes("m"), any), SignatureVerdict::small_order_key) << key;
  for (const char* key : {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"})
    EXPECT_EQ(check_signature(test::hex_array(key), as_bytes("m"), any), SignatureVerdict::non_canonical_key) << key;
}

// The identity as key, R = identity and S = 0 satisfies the verification equation for every message.
TEST(Signature, TheUniversalForgeryOfTheIdentityKeyIsRefused) {
  Signature forgery{};
  forgery[0] = 1;
  VerifyKey identity{};
  identity[0] = 1;
  EXPECT_EQ(check_signature(identity, as_bytes("any message"), forgery), SignatureVerdict::small_order_key);
}

TEST(Signature, TheErrorSaysWhatFailedAndWhy) {
  const auto verified = verify_signature({}, as_bytes("m"), Signature{}, "roster signature of st-anna");
  ASSERT_FALSE(verified.has_value());
  EXPECT_EQ(verified.error(), permission_denied("roster signature of st-anna: the key is of small order"));
}

TEST(VerifiedSignatures, RemembersTheValidOnesAndTakesNothingElseForThem) {
  SeededRandom random(test::numbered_key(9));
  const SigningKey key = SigningKey::create(random), other = SigningKey::create(random);
  const Digest message = sha256(as_bytes("statement")), another = sha256(as_bytes("another"));
  const Signature signature = key.sign(message);
  VerifiedSignatures verified;
  EXPECT_EQ(verified.check(key.verify_key(), message, signature), SignatureVerdict::valid);
  EXPECT_EQ(verified.check(key.verify_key(), message, signature), SignatureVerdict::valid);
  EXPECT_EQ(verified.size(), 1U);
  EXPECT_EQ(verified.check(other.verify_key(), message, signature), SignatureVerdict::mismatch);
  EXPECT_EQ(verified.check(key.verify_key(), another, signature), SignatureVerdict::mismatch);
  EXPECT_EQ(verified.check(key.verify_key(), message, key.sign(another)), SignatureVerdict::mismatch);
  EXPECT_EQ(verified.check(key.verify_key(), message, ByteView(signature).first(63)), SignatureVerdict::wrong_length);
  EXPECT_EQ(verified.size(), 1U);
}

TEST(VerifiedSignatures, DoesNotGrowWithoutBound) {
  SeededRandom random(test::numbered_key(10));
  const SigningKey key = SigningKey::create(random);
  VerifiedSignatures verified(3);
  for (std::uint8_t i = 0; i < 8; ++i) {
    const Bytes message{i};
    EXPECT_EQ(verified.check(key.verify_key(), message, key.sign(message)), SignatureVerdict::valid);
    EXPECT_LE(verified.size(), 3U);
  }
}

TEST(Aead, OpensOnlyWithItsKeyNonceAndAssociatedData) {
  const SecretKey key = test::numbered_key(8);
  const AeadNonce nonce{1};
  const Bytes sealed = aead_seal(key, nonce, as_bytes("a"), as_bytes("shares"));
  EXPECT_EQ(as_text(aead_open(key, nonce, as_bytes("a"), sealed)->view()), "shares");
  EXPECT_FALSE(aead_open(test::numbered_key(9), nonce, as_bytes("a"), sealed).has_value());
  EXPECT_FALSE(aead_open(key, AeadNonce{2}, as_bytes("a"), sealed).has_value());
  EXPECT_FALSE(aead_open(key, nonce, as_bytes("b"), sealed).has_value());
  EXPECT_FALSE(aead_open(key, nonce, as_bytes("a"), ByteView(sealed).first(sealed.size() - 1)).has_value());
}

TEST(Gmac, IsTheTagOfAssociatedDataHoweverItIsCut) {
  const SecretKey key = test::numbered_key(4), another = test::numbered_key(5);
  Bytes data(1000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7);
  for (const std::size_t size : {0U, 1U, 16U, 17U, 1000U}) {
    const ByteView bytes = ByteView(data).first(size);
    const Bytes reference = aead_seal(key, {}, bytes, {});
    for (const std::size_t piece : {1U, 5U, 16U, 64U, 1000U}) {
      Gmac mac(key);
      for (std::size_t at = 0; at < size; at += piece) mac.update(bytes.subspan(at, std::min(piece, size - at)));
      const GmacTag tag = mac.finish();
      EXPECT_TRUE(std::equal(tag.begin(), tag.end(), reference.begin(), reference.end()))
          << size << " in pieces of " << piece;
    }
    EXPECT_NE(Gmac(key).update(bytes).finish(), Gmac(another).update(bytes).finish());
  }
  const GmacTag whole = Gmac(key).update(data).finish();
  EXPECT_NE(whole, Gmac(key).update(ByteView(data).first(999)).finish());
  data[500] ^= 1;
  EXPECT_NE(whole, Gmac(key).update(data).finish());
}

TEST(Aead, RefusesWhatIsShorterThanATagWithCorruption) {
  for (std::size_t size = 0; size < kAeadTagBytes; ++size)
    EXPECT_EQ(aead_open(test::numbered_key(8), {}, {}, Bytes(size)).error().code, ErrorCode::corruption);
}

}  // namespace
}  // namespace fovea::crypto
