// Failure class: a checkpoint that nobody signed is believed, or one that other tools cannot read is written.
#include "crypto/signed_note.h"

#include <gtest/gtest.h>

#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

// The example of Go's golang.org/x/mod/sumdb/note.
constexpr std::string_view kPeterKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr std::string_view kPeterSeed = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";  // 01 ‖ seed
constexpr std::string_view kPeterText =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
constexpr std::string_view kPeterSignature =
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
constexpr std::string_view kEnochSignature =
    "\xe2\x80\x94 EnochRoot "
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

SigningKey peter() {
  const Bytes key = from_base64(kPeterSeed).value();
  return SigningKey::from_seed(SecretKey::from(ByteView(key).subspan(1), "seed").value());
}

std::string peter_note() { return std::string(kPeterText) + "\n" + std::string(kPeterSignature); }

TEST(SignedNote, WritesTheNoteThatGoWrites) {
  EXPECT_EQ(sign_note(kPeterText, "PeterNeumann", peter()).value().serialize(), peter_note());
}

TEST(SignedNote, ReadsAndVerifiesTheNoteThatGoWrites) {
  const NoteKey key = NoteKey::parse(kPeterKey).value();
  EXPECT_EQ(key.id(), 0xc74f20a3U);
  EXPECT_EQ(key.text(), kPeterKey);
  const SignedNote note = SignedNote::parse(as_bytes(peter_note() + std::string(kEnochSignature))).value();
  EXPECT_EQ(note.text, kPeterText);
  EXPECT_EQ(note.signatures.size(), 2U);
  EXPECT_TRUE(verify_note(note, key));
  EXPECT_EQ(note.serialize(), peter_note() + std::string(kEnochSignature));
}

TEST(SignedNote, RefusesEveryChangedByte) {
  const NoteKey key = NoteKey::parse(kPeterKey).value();
  const std::string good = peter_note();
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const unsigned flip : {0x01U, 0x20U, 0x80U}) {
      std::string bad = good;
      bad[at] = static_cast<char>(static_cast<std::uint8_t>(bad[at]) ^ flip);
      const auto note = SignedNote::parse(as_bytes(bad));
      EXPECT_FALSE(note && verify_note(*note, key)) << "byte " << at << " xor " << flip;
    }
}

TEST(SignedNote, TellsAMissingSignatureFromAWrongOne) {
  const NoteKey key = NoteKey::parse(kPeterKey).value();
  SignedNote note = SignedNote::parse(as_bytes(peter_note())).value();
  note.text[0] = 'i';
  EXPECT_EQ(verify_note(note, key).error().code, ErrorCode::corruption);
  note.signatures[0].name = "Peter";
  EXPECT_EQ(verify_note(note, key).error().code, ErrorCode::permission_denied);
}

TEST(SignedNote, RefusesMalformedKeys) {
  for (const char* bad : {"", "PeterNeumann", "PeterNeumann+c74f20a3",
                          "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                          "Peter+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                          "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
                          "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"})
    EXPECT_FALSE(NoteKey::parse(bad)) << bad;
  EXPECT_FALSE(NoteKey::create("", {}));
  EXPECT_FALSE(NoteKey::create("two words", {}));
  EXPECT_FALSE(NoteKey::create("a+b", {}));
}

TEST(SignedNote, RefusesMalformedNotes) {
  const std::string signature(kPeterSignature);
  for (const std::string& bad : std::vector<std::string>{
           "", "text\n", "text\n" + signature, "text\n\n", "text\n\nno dash\n",
           "text\n\n" + signature.substr(0, signature.size() - 1), "text\r\n\n" + signature,
           "text\n\n\xe2\x80\x94 name AAAA\n", "text\n\n\xe2\x80\x94 name\n", "text\n\n\xe2\x80\x94  AAAAAAAA\n"})
    EXPECT_FALSE(SignedNote::parse(as_bytes(bad))) << bad;
  EXPECT_FALSE(sign_note("no newline", "PeterNeumann", peter()));
}

TEST(Checkpoint, RoundTripsAndAllowsExtensionLines) {
  const Checkpoint checkpoint{"fovea.test/st-anna", 20852163,
                              test::hex_array("79e5b49ba8e7d12f2b8a2b0ba9a3d1e1ae0cb2ca3b5f0f8a8e7fd5b0d5ae7c11")};
  EXPECT_EQ(Checkpoint::parse(checkpoint.text()).value(), checkpoint);
  EXPECT_EQ(Checkpoint::parse(checkpoint.text() + "more\n").value(), checkpoint);
}

TEST(Checkpoint, RefusesMalformedText) {
  const std::string root = to_base64(Digest{});
  for (const std::string& bad : std::vector<std::string>{
           "", "\n1\n" + root + "\n", "o\n01\n" + root + "\n", "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n",
           "o\n1 \n" + root + "\n", "o\n18446744073709551616\n" + root + "\n", "o\n1\n" + root, "o\n1\nAAAA\n",
           "o\n\n" + root + "\n"})
    EXPECT_FALSE(Checkpoint::parse(bad)) << bad;
}

}  // namespace
}  // namespace fovea::crypto
