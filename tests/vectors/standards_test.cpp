// Each primitive against the examples of the standard that defines it.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/key_agreement.h"
#include "crypto/mask_stream.h"
#include "crypto/signature.h"
#include "tests/support/hex.h"
#include "tests/support/reference_aes.h"

namespace fovea::crypto {
namespace {

using test::hex;
using test::hex_array;
using test::hex_key;

Bytes repeated(std::size_t count, std::uint8_t byte) { return Bytes(count, byte); }

Bytes counting(std::uint8_t first, std::size_t count) {
  Bytes bytes;
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(first + i));
  return bytes;
}

// RFC 7748

std::string x25519(std::string_view scalar, std::string_view point) {
  return to_hex(AgreementKey::from_private(hex_key(scalar)).shared_secret(hex_array(point)).value().view());
}

TEST(Rfc7748, Section5_2ScalarMultiplications) {
  EXPECT_EQ(x25519("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                   "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(x25519("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                   "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"),
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST(Rfc7748, Section5_2IteratedAThousandTimes) {
  std::string scalar = "0900000000000000000000000000000000000000000000000000000000000000";
  std::string point = scalar;
  for (int turn = 1; turn <= 1000; ++turn) {
    const std::string next = x25519(scalar, point);
    point = scalar;
    scalar = next;
    if (turn == 1) {
      ASSERT_EQ(scalar, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(scalar, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(Rfc7748, Section6_1KeyExchange) {
  const AgreementKey alice =
      AgreementKey::from_private(hex_key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const AgreementKey bob =
      AgreementKey::from_private(hex_key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(to_hex(alice.public_key()), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob.public_key()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(to_hex(alice.shared_secret(bob.public_key()).value().view()), shared);
  EXPECT_EQ(to_hex(bob.shared_secret(alice.public_key()).value().view()), shared);
}

// RFC 8032

struct SignatureCase {
  std::string_view seed, public_key, message, signature;
};

constexpr SignatureCase kSignatures[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
     "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

TEST(Rfc8032, Section7_1SignsAndVerifies) {
  for (const SignatureCase& example : kSignatures) {
    const SigningKey key = SigningKey::from_seed(hex_key(example.seed));
    const Bytes message = hex(example.message);
    EXPECT_EQ(to_hex(key.verify_key()), example.public_key);
    EXPECT_EQ(to_hex(key.sign(message)), example.signature);
    EXPECT_EQ(check_signature(key.verify_key(), message, hex(example.signature)), SignatureVerdict::valid);
  }
}

TEST(Rfc8032, Section7_1WithAnyByteChangedDoesNotVerify) {
  for (const SignatureCase& example : kSignatures) {
    const VerifyKey key = hex_array(example.public_key);
    const Bytes message = hex(example.message);
    for (std::size_t i = 0; i < 64; ++i) {
      Bytes signature = hex(example.signature);
      signature[i] = static_cast<std::uint8_t>(signature[i] ^ 0x40);
      EXPECT_NE(check_signature(key, message, signature), SignatureVerdict::valid) << i;
    }
  }
}

// RFC 5869

TEST(Rfc5869, AppendixA1ToA3) {
  const Bytes secret = repeated(22, 0x0b);
  const Bytes salt = counting(0x00, 13);
  const Bytes info = counting(0xf0, 10);
  EXPECT_EQ(to_hex(hkdf_sha256({.secret = secret, .salt = salt, .info = info}, 42).value().view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  const Bytes long_secret = counting(0x00, 80);
  const Bytes long_salt = counting(0x60, 80);
  const Bytes long_info = counting(0xb0, 80);
  EXPECT_EQ(to_hex(hkdf_sha256({.secret = long_secret, .salt = long_salt, .info = long_info}, 82).value().view()),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(to_hex(hkdf_sha256({.secret = secret, .salt = {}, .info = {}}, 42).value().view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// RFC 4231

TEST(Rfc4231, TestCases1To7) {
  const auto mac = [](const Bytes& key, ByteView message) { return to_hex(hmac_sha256(key, message).view()); };
  EXPECT_EQ(mac(repeated(20, 0x0b), as_bytes("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(mac(hex("4a656665"), as_bytes("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(mac(repeated(20, 0xaa), repeated(50, 0xdd)),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  EXPECT_EQ(mac(counting(0x01, 25), repeated(50, 0xcd)),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
  EXPECT_EQ(mac(repeated(20, 0x0c), as_bytes("Test With Truncation")).substr(0, 32),
            "a3b6167473100ee06e0c796c2955552b");
  EXPECT_EQ(mac(repeated(131, 0xaa), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(mac(repeated(131, 0xaa),
                as_bytes("This is a test using a larger than block-size key and a larger than block-size data. The "
                         "key needs to be hashed before being used by the HMAC algorithm.")),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

// FIPS 180-4 examples

TEST(Fips180, Sha256Examples) {
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// SP 800-38A. Our masks start from a counter of 0, so the example checks the reference that the masks are checked by.

TEST(Sp800_38A, F5_5CtrAes256OfTheReference) {
  const test::ReferenceAes256 aes(hex_array("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"));
  const Bytes plaintext =
      hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
          "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
  const auto words = aes.words(hex_array<16>("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), 0, plaintext.size() / 4);
  Bytes ciphertext = plaintext;
  for (std::size_t i = 0; i < ciphertext.size(); ++i)
    ciphertext[i] = static_cast<std::uint8_t>(ciphertext[i] ^ (words[i / 4] >> (8 * (i % 4))));
  EXPECT_EQ(to_hex(ciphertext),
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
            "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");
}

// AESAVS appendix C (KeySbox, 256 bits): the block 0 of a key is the first block of its mask, on every path.
TEST(Aesavs, KeySboxOnEveryMaskPath) {
  struct Case {
    std::string_view key, block;
  };
  constexpr Case kCases[] = {
      {"c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558", "46f2fb342d6f0ab477476fc501242c5f"},
      {"28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64", "4bf3b0a69aeb6657794f2901b1440ad4"},
  };
  for (const MaskPath path : mask_paths_available()) {
    for (const Case& example : kCases) {
      std::vector<MaskKey> keys(1);
      keys[0].seed = hex_key(example.key);
      std::array<std::uint32_t, 4> words{};
      apply_masks_by(path, words, 0, keys);
      Bytes block;
      for (const std::uint32_t word : words)
        for (unsigned i = 0; i < 4; ++i) block.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
      EXPECT_EQ(to_hex(block), example.block) << mask_path_name(path);
    }
  }
}

// SP 800-38D: cases 13–16 of the GCM specification submitted to NIST (AES-256, 96-bit nonce).

struct GcmCase {
  std::string_view key, nonce, associated_data, plaintext, sealed;
};

constexpr std::string_view kZeroKey = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr std::string_view kGcmKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr GcmCase kGcm[] = {
    {kZeroKey, "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {kZeroKey, "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {kGcmKey, "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {kGcmKey, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

TEST(Sp800_38D, GcmSealsAndOpens) {
  for (const GcmCase& example : kGcm) {
    const SecretKey key = hex_key(example.key);
    const AeadNonce nonce = hex_array<12>(example.nonce);
    const Bytes associated_data = hex(example.associated_data);
    EXPECT_EQ(to_hex(aead_seal(key, nonce, associated_data, hex(example.plaintext))), example.sealed);
    EXPECT_EQ(to_hex(aead_open(key, nonce, associated_data, hex(example.sealed)).value().view()), example.plaintext);
  }
}

TEST(Sp800_38D, GcmWithAnyByteChangedIsCorruption) {
  for (const GcmCase& example : kGcm) {
    const SecretKey key = hex_key(example.key);
    const AeadNonce nonce = hex_array<12>(example.nonce);
    for (std::size_t i = 0; i < example.sealed.size() / 2; ++i) {
      Bytes sealed = hex(example.sealed);
      sealed[i] = static_cast<std::uint8_t>(sealed[i] ^ 1);
      const auto opened = aead_open(key, nonce, hex(example.associated_data), sealed);
      ASSERT_FALSE(opened.has_value()) << i;
      EXPECT_EQ(opened.error().code, ErrorCode::corruption);
    }
  }
}

}  // namespace
}  // namespace fovea::crypto
