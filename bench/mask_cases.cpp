#include "bench/mask_cases.h"

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/check.h"
#include "crypto/mask_stream.h"
#include "crypto/random_source.h"

namespace fovea::bench {

namespace {

using crypto::MaskKey;
using crypto::MaskPath;

constexpr std::size_t kWords = 10'000'000;
constexpr std::size_t kKeys = 9;
constexpr double kVectorBytes = 4.0 * kWords;

double mask_rate(MaskPath path, std::vector<std::uint32_t>& words, const std::vector<MaskKey>& keys) {
  const Stopwatch watch;
  crypto::apply_masks_by(path, words, 0, keys);
  return kVectorBytes * static_cast<double>(keys.size()) / watch.core_seconds() / 1e9;
}

// The yardstick: one EVP_EncryptUpdate over as many bytes as a mask has, under the same key.
double evp_rate(const MaskKey& key, const std::vector<std::uint8_t>& zeros, std::vector<std::uint8_t>& out) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                &EVP_CIPHER_CTX_free);
  const std::array<std::uint8_t, 16> iv{};
  FOVEA_CHECK(EVP_EncryptInit_ex2(context.get(), EVP_aes_256_ctr(), key.seed.view().data(), iv.data(), nullptr) == 1);
  const Stopwatch watch;
  int written = 0;
  FOVEA_CHECK(EVP_EncryptUpdate(context.get(), out.data(), &written, zeros.data(), static_cast<int>(zeros.size())) ==
              1);
  return kVectorBytes / watch.core_seconds() / 1e9;
}

// Bytes read and written when copying a vector larger than any cache.
double copy_rate(const std::vector<std::uint8_t>& from, std::vector<std::uint8_t>& to) {
  const Stopwatch watch;
  std::memcpy(to.data(), from.data(), from.size());
  return 2.0 * kVectorBytes / watch.core_seconds() / 1e9;
}

}  // namespace

void run_mask_cases(const Options& options, Report& report) {
  crypto::SystemRandom random;
  std::vector<MaskKey> keys(kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) {
    keys[i].seed = random.secret_key();
    keys[i].sign = i % 2 == 0 ? crypto::MaskSign::add : crypto::MaskSign::subtract;
  }
  std::vector<std::uint32_t> words(kWords);
  const std::vector<std::uint8_t> zeros(4 * kWords);
  std::vector<std::uint8_t> out(4 * kWords);

  // Interleaved, so that other load on the machine slows all of them down alike.
  std::map<MaskPath, std::vector<double>> mask_rates;
  std::vector<double> evp_rates;
  std::vector<double> copy_rates;
  const int turns = options.quick ? 5 : 15;
  for (int turn = 0; turn < turns; ++turn) {
    for (const MaskPath path : crypto::mask_paths_available()) mask_rates[path].push_back(mask_rate(path, words, keys));
    for (int repeat = 0; repeat < 3; ++repeat) {
      evp_rates.push_back(evp_rate(keys[0], zeros, out));
      copy_rates.push_back(copy_rate(zeros, out));
    }
  }

  const double evp = median(evp_rates);
  report.section("Mask expansion and addition: 9 keys on 10 M words, per core-second, medians of " +
                 std::to_string(turns) + " interleaved turns");
  report.add("mask_gb_per_s", median(mask_rates[crypto::mask_path()]), "GB/s",
             "path " + std::string(mask_path_name(crypto::mask_path())));
  for (const auto& [path, rates] : mask_rates) {
    const std::string name(mask_path_name(path));
    report.add("mask_" + name + "_gb_per_s", median(rates), "GB/s");
    report.add("mask_" + name + "_over_evp", median(rates) / evp, "x");
  }
  report.add("evp_gb_per_s", evp, "GB/s", "raw EVP_EncryptUpdate, AES-256-CTR, same key");
  report.add("memory_copy_gb_per_s", median(copy_rates), "GB/s", "bytes read and written");
}

}  // namespace fovea::bench
