// Simulated sites of one attempt, made with the code that real sites run.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "crypto/secret_bytes.h"
#include "crypto/signature.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/parameters.h"

namespace fovea::bench {

struct CohortShape {
  std::uint32_t sites = 0;
  std::uint32_t words = 0;                                     // of a vector, tail included
  std::uint32_t threshold = 0;                                 // t
  std::optional<federation::secagg::GraphParameters> graph{};  // none: complete
};

struct SimulatedSite {
  RosterIndex index = 0;
  crypto::SigningKey identity;
  federation::secagg::AttemptSecrets secrets;
};

struct Cohort {
  federation::secagg::AttemptContext context;
  std::vector<SimulatedSite> sites;
};

// Keys made, signed and listed: the state after R1.
Cohort make_cohort(const CohortShape& shape, std::uint64_t seed);

// The shares that `dealer` sends to `recipient`, dealt as if these two were the whole list: a full deal by each of a
// thousand simulated peers would take longer than the measurement.
federation::messages::SealedShares sealed_for(Cohort& cohort, RosterIndex dealer, RosterIndex recipient);

crypto::SecretKey numbered_seed(std::uint64_t number);

}  // namespace fovea::bench
