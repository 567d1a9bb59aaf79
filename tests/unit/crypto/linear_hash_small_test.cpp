// Why the linear hash has the size it has: the attacks of docs/linear-hash.md carried out where they succeed, on rings
// small enough to search, and the document's figures computed again.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "crypto/linear_hash_kernels.h"

namespace fovea::crypto {
namespace {

__extension__ using Wide = __int128;
using Vector = std::vector<std::int64_t>;

// h(y) = sum of a_b * y_b in Z_q[X] / (X^n + 1), term by term. Words may be negative: differences of vectors.
struct SmallHash {
  std::int64_t q;
  std::size_t n;
  std::vector<std::vector<std::int64_t>> a;

  SmallHash(std::int64_t modulus, std::size_t degree, std::size_t blocks) : q(modulus), n(degree), a(blocks) {
    std::uint64_t state = 1;
    for (auto& block : a)
      for (std::size_t i = 0; i < n; ++i) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        block.push_back(static_cast<std::int64_t>((state >> 20) % static_cast<std::uint64_t>(q)));
      }
  }

  std::size_t words() const { return n * a.size(); }

  Vector operator()(const Vector& y) const {
    Vector sum(n);
    for (std::size_t b = 0; b < a.size(); ++b)
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          const auto term = static_cast<std::int64_t>(static_cast<Wide>(a[b][i]) * y[n * b + j] % q);
          std::int64_t& place = sum[(i + j) % n];
          place = ((i + j < n ? place + term : place - term) % q + q) % q;
        }
    return sum;
  }
};

struct Collision {
  Vector first, second;
};

// All vectors with words in [0, range), counted up.
std::optional<Collision> search(const SmallHash& hash, std::int64_t range) {
  std::map<Vector, Vector> seen;
  for (Vector y(hash.words()); true;) {
    if (const auto [place, is_new] = seen.emplace(hash(y), y); !is_new) return Collision{place->second, y};
    std::size_t digit = 0;
    while (digit < y.size() && y[digit] == range - 1) y[digit++] = 0;
    if (digit == y.size()) return std::nullopt;
    ++y[digit];
  }
}

// A word that can grow by q collides at once, however large the ring: q * e_j hashes to zero.
TEST(SmallLinearHash, AModulusWithinTheRangeOfWordsCollidesAtOnce) {
  const SmallHash hash(97, 8, 3);
  const Vector y(hash.words(), 2);
  for (std::size_t j = 0; j < y.size(); ++j) {
    Vector other = y;
    other[j] += 97;
    EXPECT_EQ(hash(other), hash(y)) << j;
    other[j] -= 1;
    EXPECT_NE(hash(other), hash(y)) << j;
  }
  for (const linear::Prime& prime : linear::kPrimes)
    EXPECT_GT(prime.q, std::uint64_t{0xffff'ffff'ffff}) << "a word and its carry must stay below q";
}

// 4^8 vectors, 97^2 hashes: by counting alone there are collisions, and a search finds one. Its difference is the short
// vector of the lattice.
TEST(SmallLinearHash, ATinyRingCollidesByCounting) {
  const SmallHash hash(97, 2, 4);
  const std::optional<Collision> found = search(hash, 4);
  ASSERT_TRUE(found);
  EXPECT_NE(found->first, found->second);
  Vector difference;
  for (std::size_t i = 0; i < hash.words(); ++i) difference.push_back(found->first[i] - found->second[i]);
  EXPECT_EQ(hash(difference), Vector(2, 0));
  for (const std::int64_t entry : difference) EXPECT_LT(std::abs(entry), 4);
}

// 4^4 vectors, 10007^4 hashes: a larger ring and modulus, and there is no collision to find.
TEST(SmallLinearHash, TheSameSearchFindsNothingWhereHashesAreMany) { EXPECT_FALSE(search(SmallHash(10007, 4, 1), 4)); }

// One of the real primes without the ring (degree 1) falls to lattice reduction, in two dimensions by hand (Lagrange):
// among two words there is a difference of about the square root of q, 2^25, that hashes to zero. This is the attack
// whose cost decides the degree: m dimensions of the real lattice, and words of 32 bits.
TEST(SmallLinearHash, ARealPrimeWithoutTheRingFallsToLatticeReduction) {
  const auto q = static_cast<std::int64_t>(linear::kPrimes[0].q);
  const SmallHash hash(q, 1, 2);
  const std::uint64_t inverse =
      linear::power(static_cast<std::uint64_t>(hash.a[0][0]), static_cast<std::uint64_t>(q) - 2, linear::kPrimes[0].q);
  const auto slope = static_cast<std::int64_t>(
      linear::multiply(static_cast<std::uint64_t>(hash.a[1][0]), inverse, linear::kPrimes[0].q));
  // All (x, y) with a_0 * x + a_1 * y = 0 modulo q have this basis.
  long double u[2] = {static_cast<long double>(q), 0};
  long double v[2] = {static_cast<long double>(-slope), 1};
  const auto dot = [](const long double* s, const long double* t) { return s[0] * t[0] + s[1] * t[1]; };
  while (true) {
    if (dot(u, u) < dot(v, v))
      for (const int i : {0, 1}) std::swap(u[i], v[i]);
    const long double times = std::round(dot(u, v) / dot(v, v));
    if (times == 0) break;
    for (const int i : {0, 1}) u[i] -= times * v[i];
  }
  const Vector difference = {static_cast<std::int64_t>(v[0]), static_cast<std::int64_t>(v[1])};
  EXPECT_EQ(hash(difference), Vector(1, 0));
  EXPECT_TRUE(difference[0] != 0 && difference[1] != 0);
  for (const std::int64_t entry : difference) EXPECT_LT(std::abs(entry), std::int64_t{1} << 26);
}

struct Estimate {
  double root_hermite_factor;
  double dimension;
  int block_size;
};

// docs/linear-hash.md, "How hard a collision is": the factor that reduction needs to reach sqrt(m) * sites * 2^32 in
// the best dimension m, and the block size of BKZ that reaches this factor.
Estimate estimate(double sites) {
  const double bits = 1024 * std::log2(static_cast<double>(linear::kPrimes[0].q)) +
                      1024 * std::log2(static_cast<double>(linear::kPrimes[1].q));
  const double entry = 32 + std::log2(sites);
  double low = 1e-6, high = 1;  // log2 of the factor
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    const double wanted = entry + std::log2(bits / middle) / 4;
    (2 * std::sqrt(bits * middle) < wanted ? low : high) = middle;
  }
  const double factor = std::exp2(low);
  const auto reached = [](double b) {
    using std::numbers::e, std::numbers::pi;
    return std::pow(std::pow(pi * b, 1 / b) * b / (2 * pi * e), 1 / (2 * (b - 1)));
  };
  int block = 60;
  while (reached(block) > factor) ++block;
  return {factor, std::sqrt(bits / low), block};
}

TEST(LinearHashEstimate, IsTheDocuments) {
  struct Row {
    double sites, factor, dimension;
    int block;
  };
  for (const Row& row : {Row{4, 1.00273, 5100, 678}, Row{10, 1.00291, 4940, 621}, Row{128, 1.00344, 4544, 492},
                         Row{1024, 1.00391, 4264, 411}}) {
    const Estimate found = estimate(row.sites);
    EXPECT_NEAR(found.root_hermite_factor, row.factor, 5e-6) << row.sites;
    EXPECT_NEAR(found.dimension, row.dimension, 1) << row.sites;
    EXPECT_EQ(found.block_size, row.block) << row.sites;
  }
}

}  // namespace
}  // namespace fovea::crypto
