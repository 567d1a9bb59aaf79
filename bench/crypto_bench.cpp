// Each primitive by itself (google-benchmark; its own flags apply, --benchmark_format=json for JSON).
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/key_agreement.h"
#include "crypto/mask_stream.h"
#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "crypto/signature.h"

namespace fovea::crypto {
namespace {

void key_agreement(benchmark::State& state) {
  SystemRandom random;
  const AgreementKey own = AgreementKey::generate(random);
  const AgreementPublicKey peer = AgreementKey::generate(random).public_key();
  for (auto _ : state) benchmark::DoNotOptimize(own.shared_secret(peer));
}
BENCHMARK(key_agreement);

void key_agreement_batch_of_99(benchmark::State& state) {
  SystemRandom random;
  const AgreementKey own = AgreementKey::generate(random);
  std::vector<AgreementPublicKey> peers;
  for (int i = 0; i < 99; ++i) peers.push_back(AgreementKey::generate(random).public_key());
  for (auto _ : state) benchmark::DoNotOptimize(own.shared_secrets(peers));
}
BENCHMARK(key_agreement_batch_of_99);

void agreement_public_key_of_private(benchmark::State& state) {
  SystemRandom random;
  const SecretKey scalar = random.secret_key();
  for (auto _ : state) benchmark::DoNotOptimize(agreement_public_key(scalar));
}
BENCHMARK(agreement_public_key_of_private);

void sign(benchmark::State& state) {
  SystemRandom random;
  const SigningKey key = SigningKey::create(random);
  const Bytes message(32);
  for (auto _ : state) benchmark::DoNotOptimize(key.sign(message));
}
BENCHMARK(sign);

void verify(benchmark::State& state) {
  SystemRandom random;
  const SigningKey key = SigningKey::create(random);
  const Bytes message(32);
  const Signature signature = key.sign(message);
  for (auto _ : state) benchmark::DoNotOptimize(check_signature(key.verify_key(), message, signature));
}
BENCHMARK(verify);

void derive_key(benchmark::State& state) {
  const Bytes secret(32);
  const Bytes info(120);
  for (auto _ : state) benchmark::DoNotOptimize(hkdf_sha256({.secret = secret, .salt = secret, .info = info}));
}
BENCHMARK(derive_key);

void tagged_hash(benchmark::State& state) {
  const Bytes field(44);
  for (auto _ : state) benchmark::DoNotOptimize(TaggedHash("FOVEA/1/bench").add(field).add_u64(1).finish());
}
BENCHMARK(tagged_hash);

void hash_chunk(benchmark::State& state) {
  const Bytes chunk(983040);
  for (auto _ : state) benchmark::DoNotOptimize(sha256(chunk));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(chunk.size()));
}
BENCHMARK(hash_chunk);

void seal_two_shares(benchmark::State& state) {
  const SecretKey key;
  const Bytes plain(88);
  for (auto _ : state) benchmark::DoNotOptimize(aead_seal(key, {}, plain, plain));
}
BENCHMARK(seal_two_shares);

std::vector<std::uint32_t> points_to(std::int64_t count) {
  std::vector<std::uint32_t> points(static_cast<std::size_t>(count));
  std::iota(points.begin(), points.end(), 1U);
  return points;
}

void split(benchmark::State& state) {
  SystemRandom random;
  const SecretKey secret = random.secret_key();
  const auto points = points_to(state.range(0));
  const auto threshold = static_cast<std::uint32_t>(state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(split_secret(secret, threshold, points, random));
}
BENCHMARK(split)->Args({10, 7})->Args({100, 67})->Args({140, 104});

void combine(benchmark::State& state) {
  SystemRandom random;
  const auto shares =
      split_secret(random.secret_key(), static_cast<std::uint32_t>(state.range(0)), points_to(state.range(0)), random)
          .value();
  for (auto _ : state) benchmark::DoNotOptimize(combine_shares(shares));
}
BENCHMARK(combine)->Arg(7)->Arg(67)->Arg(104);

// The same when a hundred secrets share their points.
void combine_batch_of_100(benchmark::State& state) {
  SystemRandom random;
  const auto points = points_to(state.range(0));
  const auto shares =
      split_secret(random.secret_key(), static_cast<std::uint32_t>(state.range(0)), points, random).value();
  for (auto _ : state) {
    const SecretCombiner combiner = SecretCombiner::create(points).value();
    for (int i = 0; i < 100; ++i) benchmark::DoNotOptimize(combiner.combine(shares));
  }
}
BENCHMARK(combine_batch_of_100)->Arg(67);

void decode_without_errors(benchmark::State& state) {
  SystemRandom random;
  const auto shares = split_secret(random.secret_key(), 67, points_to(100), random).value();
  for (auto _ : state) benchmark::DoNotOptimize(decode_shares(shares, 67));
}
BENCHMARK(decode_without_errors);

void mask_chunk_of_99_keys(benchmark::State& state) {
  SystemRandom random;
  std::vector<MaskKey> keys(99);
  for (MaskKey& key : keys) key.seed = random.secret_key();
  std::vector<std::uint32_t> words(240 * 1024);
  for (auto _ : state) apply_masks(words, 0, keys);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * 99 * 4 * 240 * 1024);
}
BENCHMARK(mask_chunk_of_99_keys);

}  // namespace
}  // namespace fovea::crypto
