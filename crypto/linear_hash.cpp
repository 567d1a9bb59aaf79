#include "crypto/linear_hash.h"

#include <algorithm>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "common/check.h"
#include "crypto/hash.h"
#include "crypto/linear_hash_kernels.h"
#include "crypto/mask_stream.h"

namespace fovea::crypto {

namespace {

using linear::kFactorWords;
using linear::kGroupWords;

using Coefficients = std::array<std::uint64_t, kLinearTagCoefficients>;

std::uint64_t prime_of(std::size_t coefficient) noexcept { return linear::kPrimes[coefficient / linear::kDegree].q; }

void add_to(Coefficients& sum, const Coefficients& summand) noexcept {
  for (std::size_t i = 0; i < sum.size(); ++i) {
    sum[i] += summand[i];
    if (sum[i] >= prime_of(i)) sum[i] -= prime_of(i);
  }
}

LinearTag encode(const Coefficients& coefficients) noexcept {
  LinearTag tag{};
  linear::Wide waiting = 0;
  unsigned bits = 0;
  std::size_t at = 0;
  for (const std::uint64_t coefficient : coefficients) {
    waiting |= static_cast<linear::Wide>(coefficient) << bits;
    for (bits += linear::kBits; bits >= 8; bits -= 8, waiting >>= 8) tag[at++] = static_cast<std::uint8_t>(waiting);
  }
  return tag;
}

Result<Coefficients> decode(ByteView tag) {
  if (tag.size() != kLinearTagBytes)
    return invalid_argument("linear tag: expected " + std::to_string(kLinearTagBytes) + " bytes, found " +
                            std::to_string(tag.size()));
  Coefficients coefficients{};
  linear::Wide waiting = 0;
  unsigned bits = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    for (; bits < linear::kBits; bits += 8) waiting |= static_cast<linear::Wide>(tag[at++]) << bits;
    coefficients[i] = static_cast<std::uint64_t>(waiting) & ((std::uint64_t{1} << linear::kBits) - 1);
    waiting >>= linear::kBits;
    bits -= linear::kBits;
    if (coefficients[i] >= prime_of(i))
      return invalid_argument("linear tag: coefficient " + std::to_string(i) + " must be below " +
                              std::to_string(prime_of(i)) + ", found " + std::to_string(coefficients[i]));
  }
  return coefficients;
}

// The factors are the AES-256-CTR keystream of a key that everybody knows; that it looks random even so is assumed of
// AES as an ideal cipher, as FrodoKEM does for its public matrix. The label keeps it apart from every mask.
//
// A word of 64 bits modulo q is not quite uniform: residues below 2^14 * gap are likelier than others by a factor of
// 1 + 2^-14. Seen otherwise, a coefficient is exactly uniform but with probability gap / 2^50 < 2^-35, which for ten
// million words means all of them with probability 0.9996; a few that are not give a search for collisions nothing.
SecretKey stream_key(const Digest& key) {
  const Digest digest = TaggedHash("FOVEA/1/linear-hash").add(key).finish();
  return SecretKey::from(digest, "key of a linear hash").value();
}

// Memory aligned for every kernel.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) noexcept {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kLine)); }
  void deallocate(T* memory, std::size_t) noexcept { ::operator delete(memory, kLine); }
  bool operator==(const LineAllocator&) const = default;
};

template <class T>
using Lines = std::vector<T, LineAllocator<T>>;

// The hash of the groups from `first_group` on, one after the other.
class GroupHash {
 public:
  GroupHash(const Digest& key, LinearPath path, std::uint64_t first_group)
      : kernel_(linear::kernel(path)),
        mask_path_(path == LinearPath::portable ? MaskPath::portable : mask_path()),
        group_(first_group),
        factors_(kFactorWords),
        scratch_(kGroupWords),
        sums_(kernel_.sum_words) {
    stream_.front().seed = stream_key(key);
  }

  // kGroupWords of each; `high` may be none.
  void add(const std::uint32_t* low, const std::uint16_t* high) {
    std::ranges::fill(factors_, 0);
    apply_masks_by(mask_path_, factors_, group_ * kFactorWords, stream_);
    kernel_.add(
        {.low = low, .high = high, .factor = factors_.data(), .scratch = scratch_.data(), .sums = sums_.data()});
    ++group_;
    if (++waiting_ == linear::kGroupsAtOnce) reduce();
  }

  const Coefficients& coefficients() {
    reduce();
    return total_;
  }

 private:
  void reduce() {
    if (waiting_ == 0) return;
    Coefficients part;
    kernel_.reduce(sums_.data(), part.data());
    add_to(total_, part);
    std::ranges::fill(sums_, 0);
    waiting_ = 0;
  }

  const linear::Kernel& kernel_;
  MaskPath mask_path_;
  std::array<MaskKey, 1> stream_;
  std::uint64_t group_;
  std::size_t waiting_ = 0;  // groups in sums_
  Lines<std::uint32_t> factors_;
  Lines<std::uint64_t> scratch_;
  Lines<std::uint64_t> sums_;
  Coefficients total_{};
};

// The hash of a vector, or of a part of one that begins with a group, given in pieces.
class GroupsInOrder {
 public:
  GroupsInOrder(const Digest& key, std::size_t words, LinearPath path, std::uint64_t first_group)
      : left_(words), groups_(key, path, first_group) {}

  // `high` is as long as `low`, or empty.
  void add(std::span<const std::uint32_t> low, std::span<const std::uint16_t> high) {
    FOVEA_CHECK(low.size() <= left_);
    left_ -= low.size();
    while (!low.empty()) {
      const bool whole = filled_ == 0 && low.size() >= kGroupWords;
      const std::size_t count = whole ? kGroupWords : std::min(low.size(), kGroupWords - filled_);
      if (whole) {
        groups_.add(low.data(), high.empty() ? nullptr : high.data());
      } else {
        keep(low.first(count), high.empty() ? high : high.first(count));
      }
      low = low.subspan(count);
      if (!high.empty()) high = high.subspan(count);
    }
  }

  const Coefficients& finish() {
    FOVEA_CHECK(left_ == 0);
    if (filled_ != 0) flush();  // the rest of the last group is zeros
    return groups_.coefficients();
  }

 private:
  void keep(std::span<const std::uint32_t> low, std::span<const std::uint16_t> high) {
    if (filled_ == 0) {
      low_.assign(kGroupWords, 0);
      high_.assign(kGroupWords, 0);
    }
    std::ranges::copy(low, low_.begin() + static_cast<std::ptrdiff_t>(filled_));
    std::ranges::copy(high, high_.begin() + static_cast<std::ptrdiff_t>(filled_));
    filled_ += low.size();
    if (filled_ == kGroupWords) flush();
  }

  void flush() {
    groups_.add(low_.data(), high_.data());
    filled_ = 0;
  }

  std::size_t left_;  // words still to come
  GroupHash groups_;
  std::size_t filled_ = 0;  // words of an incomplete group
  std::vector<std::uint32_t> low_;
  std::vector<std::uint16_t> high_;
};

std::size_t reversed(std::size_t index) noexcept {
  std::size_t result = 0;
  for (unsigned bit = 0; bit < linear::kLevels; ++bit) result |= (index >> bit & 1) << (linear::kLevels - 1 - bit);
  return result;
}

std::unique_ptr<const linear::Table> make_table(const linear::Prime& prime) {
  auto table = std::make_unique<linear::Table>();
  const auto scaled = [&](std::uint64_t factor, unsigned bits) {
    return static_cast<std::uint64_t>((static_cast<linear::Wide>(factor) << bits) / prime.q);
  };
  for (std::size_t i = 0; i < linear::kDegree; ++i) {
    const std::uint64_t factor = linear::power(prime.root, reversed(i), prime.q);
    table->factor[i] = factor;
    table->quotient64[i] = scaled(factor, 64);
    table->quotient52[i] = scaled(factor, 52);
    table->centred[i] = static_cast<double>(static_cast<std::int64_t>(factor) -
                                            static_cast<std::int64_t>(factor > prime.q / 2 ? prime.q : 0));
    table->ratio[i] = table->centred[i] / static_cast<double>(prime.q);
  }
  return table;
}

}  // namespace

class LinearHash::State : public GroupsInOrder {
  using GroupsInOrder::GroupsInOrder;
};

LinearHash::LinearHash(const Digest& key, std::size_t words) : LinearHash(key, words, linear_path()) {}

LinearHash::LinearHash(const Digest& key, std::size_t words, LinearPath path)
    : state_(std::make_unique<State>(key, words, path, 0)) {}

LinearHash::LinearHash(LinearHash&&) noexcept = default;
LinearHash& LinearHash::operator=(LinearHash&&) noexcept = default;
LinearHash::~LinearHash() = default;

void LinearHash::add(std::span<const std::uint32_t> words) {
  FOVEA_CHECK(state_ != nullptr);
  state_->add(words, {});
}

void LinearHash::add(std::span<const std::uint32_t> low, std::span<const std::uint16_t> high) {
  FOVEA_CHECK(state_ != nullptr && low.size() == high.size());
  state_->add(low, high);
}

LinearTag LinearHash::finish() {
  FOVEA_CHECK(state_ != nullptr);
  const LinearTag tag = encode(state_->finish());
  state_.reset();
  return tag;
}

LinearTag linear_hash(const Digest& key, std::span<const std::uint32_t> low, std::span<const std::uint16_t> high,
                      unsigned threads) {
  FOVEA_CHECK(threads >= 1);
  FOVEA_CHECK(high.empty() || high.size() == low.size());
  const std::size_t groups = (low.size() + kGroupWords - 1) / kGroupWords;
  const std::size_t share = std::max<std::size_t>((groups + threads - 1) / threads, 1);
  const std::size_t parts = std::max<std::size_t>((groups + share - 1) / share, 1);
  std::vector<Coefficients> hashes(parts);
  const auto hash_part = [&](std::size_t part) {
    const std::size_t first = std::min(part * share * kGroupWords, low.size());
    const std::size_t count = std::min(share * kGroupWords, low.size() - first);
    GroupsInOrder hash(key, count, linear_path(), part * share);
    hash.add(low.subspan(first, count), high.empty() ? high : high.subspan(first, count));
    hashes[part] = hash.finish();
  };
  {
    std::vector<std::jthread> workers;
    for (std::size_t part = 1; part < parts; ++part) workers.emplace_back(hash_part, part);
    hash_part(0);
  }
  Coefficients sum{};
  for (const Coefficients& hash : hashes) add_to(sum, hash);
  return encode(sum);
}

Result<void> LinearTagSum::add(ByteView tag) {
  FOVEA_TRY_ASSIGN(const Coefficients summand, decode(tag));
  add_to(coefficients_, summand);
  return {};
}

bool LinearTagSum::equals(const LinearTag& tag) const { return encode(coefficients_) == tag; }

const linear::Table& linear::table(std::size_t prime) {
  static const std::array<std::unique_ptr<const Table>, kPrimeCount> tables = {make_table(kPrimes[0]),
                                                                               make_table(kPrimes[1])};
  return *tables[prime];
}

bool linear::kernel_available(LinearPath path) noexcept {
#if FOVEA_LINEAR_KERNELS_X86
  if (path == LinearPath::avx512_ifma) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma");
  if (path == LinearPath::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return path == LinearPath::portable;
}

const linear::Kernel& linear::kernel(LinearPath path) noexcept {
  FOVEA_CHECK(kernel_available(path));
#if FOVEA_LINEAR_KERNELS_X86
  if (path == LinearPath::avx512_ifma) return kIfmaKernel;
  if (path == LinearPath::avx2) return kAvx2Kernel;
#endif
  return kPortableKernel;
}

namespace {

constexpr std::array<std::pair<LinearPath, std::string_view>, 3> kPathNames = {
    {{LinearPath::avx512_ifma, "avx512-ifma"}, {LinearPath::avx2, "avx2"}, {LinearPath::portable, "portable"}}};

}  // namespace

std::string_view linear_path_name(LinearPath path) noexcept {
  return std::ranges::find(kPathNames, path, [](const auto& entry) { return entry.first; })->second;
}

std::vector<LinearPath> linear_paths_available() {
  std::vector<LinearPath> paths;
  for (const auto& [path, name] : kPathNames)
    if (linear::kernel_available(path)) paths.push_back(path);
  return paths;
}

LinearPath linear_path() noexcept {
  static const LinearPath path = linear_paths_available().front();
  return path;
}

}  // namespace fovea::crypto
