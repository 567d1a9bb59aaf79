#include "crypto/secret_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <sstream>
#include <utility>

#include "crypto/random_source.h"
#include "tests/support/hex.h"

namespace fovea::crypto {
namespace {

template <class T>
concept Printable = requires(std::ostringstream& out, const T& value) {
  out << value;
};

// What must not compile.
static_assert(!std::copyable<SecretBytes> && !std::copyable<SecretKey>);
static_assert(!std::equality_comparable<SecretBytes> && !std::equality_comparable<SecretKey>);
static_assert(!Printable<SecretBytes> && !Printable<SecretKey> && Printable<int>);

TEST(SecretArray, MovingLeavesZerosBehind) {
  SecretKey key = test::numbered_key(0x1122334455667788);
  const SecretKey moved = std::move(key);
  EXPECT_EQ(to_hex(moved.view()).substr(0, 16), "8877665544332211");
  EXPECT_EQ(to_hex(key.view()), std::string(64, '0'));
}

TEST(SecretArray, CopyIsIndependent) {
  SecretKey key = test::numbered_key(1);
  const SecretKey other = key.copy();
  key.span()[0] = 9;
  EXPECT_EQ(other.view()[0], 1);
}

TEST(SecretArray, RefusesAnotherLengthByName) {
  const Bytes bytes(31);
  const auto key = SecretKey::from(bytes, "site key");
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().message, "site key: expected 32 bytes, found 31");
}

TEST(SecretArray, IsWipedOnDestruction) {
  alignas(SecretKey) std::array<std::uint8_t, sizeof(SecretKey)> memory{};
  auto* const key = new (memory.data()) SecretKey(test::numbered_key(0xffffffffffffffff));
  key->~SecretKey();
  const volatile std::uint8_t* const after = memory.data();
  for (std::size_t i = 0; i < memory.size(); ++i) EXPECT_EQ(after[i], 0);
}

TEST(SecretBytes, MovesAndCopies) {
  const Bytes bytes = test::hex("0102030405");
  SecretBytes secret = SecretBytes::copy_of(bytes);
  SecretBytes moved = std::move(secret);
  EXPECT_EQ(to_hex(moved.view()), "0102030405");
  EXPECT_EQ(to_hex(moved.copy().view()), "0102030405");
}

TEST(SeededRandom, GivesTheSameBytesHoweverTheyAreAskedFor) {
  SeededRandom whole(test::numbered_key(5));
  SeededRandom pieces(test::numbered_key(5));
  Bytes a(1000);
  Bytes b(1000);
  whole.fill(a);
  for (std::size_t done = 0, size = 1; done < b.size(); done += size, size = std::min(size + 7, b.size() - done))
    pieces.fill(std::span(b).subspan(done, std::min(size, b.size() - done)));
  EXPECT_EQ(a, b);
}

TEST(SeededRandom, DiffersBySeedAndNeverRepeats) {
  SeededRandom one(test::numbered_key(1));
  SeededRandom two(test::numbered_key(2));
  const std::string first = to_hex(one.secret_key().view());
  EXPECT_NE(first, to_hex(two.secret_key().view()));
  EXPECT_NE(first, to_hex(one.secret_key().view()));
}

TEST(SystemRandom, GivesDifferentKeys) {
  SystemRandom random;
  EXPECT_NE(to_hex(random.secret_key().view()), to_hex(random.secret_key().view()));
}

}  // namespace
}  // namespace fovea::crypto
