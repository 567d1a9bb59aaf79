#include "bench/cohort.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "federation/secagg/fixed_point.h"
#include "federation/secagg/statements.h"

namespace fovea::bench {

using federation::secagg::AttemptSecrets;

namespace {

constexpr std::uint64_t kAttemptSeeds = 1U << 20;  // beyond the seeds of the identities

federation::secagg::RoundParameters make_parameters(const CohortShape& shape) {
  federation::secagg::RoundParameters parameters;
  parameters.round = 1;
  parameters.attempt = 1;
  for (std::uint32_t i = 0; i < shape.sites; ++i) parameters.candidates.push_back(static_cast<RosterIndex>(i));
  parameters.thresholds = {
      .colluders_max = 0, .threshold = static_cast<std::uint16_t>(shape.threshold), .honest_min = 2};
  parameters.dimension = shape.words;
  parameters.encoding = federation::secagg::make_encoding(shape.sites, 0.1, 1000).value();
  parameters.phase_ms = 20000;
  parameters.graph = shape.graph;
  return parameters;
}

}  // namespace

crypto::SecretKey numbered_seed(std::uint64_t number) {
  crypto::SecretKey seed;
  for (std::size_t i = 0; i < 8; ++i) seed.span()[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return seed;
}

Cohort make_cohort(const CohortShape& shape, std::uint64_t seed) {
  Cohort cohort;
  cohort.context = federation::secagg::AttemptContext::begin(make_parameters(shape));
  for (std::uint32_t i = 0; i < shape.sites; ++i) {
    const auto index = static_cast<RosterIndex>(i);
    SimulatedSite site{.index = index,
                       .identity = crypto::SigningKey::from_seed(numbered_seed(seed + i)),
                       .secrets = AttemptSecrets::derive(numbered_seed(seed + kAttemptSeeds + i), index)};
    federation::messages::ListedKeys entry{.site = index, .keys = {}};
    entry.keys.channel = site.secrets.channel_key();
    entry.keys.mask = site.secrets.mask_key();
    entry.keys.signature =
        site.identity.sign(federation::secagg::keys_statement(cohort.context.parameters_hash, index, entry.keys));
    cohort.context.keys.push_back(entry);
    cohort.sites.push_back(std::move(site));
  }
  cohort.context.key_list = federation::secagg::key_list_hash(cohort.context.parameters_hash, cohort.context.keys);
  return cohort;
}

federation::messages::SealedShares sealed_for(Cohort& cohort, RosterIndex dealer, RosterIndex recipient) {
  federation::secagg::AttemptContext pair = cohort.context;
  pair.parameters.thresholds.threshold = 2;
  pair.keys.clear();
  for (const federation::messages::ListedKeys& entry : cohort.context.keys)
    if (entry.site == dealer || entry.site == recipient) pair.keys.push_back(entry);
  federation::messages::SealedShares sealed = cohort.sites[dealer].secrets.deal(pair).value().sealed.front();
  sealed.peer = dealer;  // as the coordinator routes it
  return sealed;
}

}  // namespace fovea::bench
