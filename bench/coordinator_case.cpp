#include "bench/coordinator_case.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/cohort.h"
#include "bench/masked_vectors.h"
#include "common/check.h"
#include "coordinator/aggregation/unmask.h"
#include "federation/secagg/neighbour_graph.h"
#include "federation/secagg/statements.h"

namespace fovea::bench {

namespace {

using federation::messages::RevealedSecret;

// The drop-outs are the last sites of the roster.
bool dropped(const RoundShape& shape, RosterIndex site) { return site >= shape.sites - shape.dropped; }

// The masks that stay in the sum: of each survivor its self mask and those it shares with drop-outs.
std::vector<crypto::MaskKey> masks_left(const Cohort& cohort, const RoundShape& shape) {
  std::vector<crypto::MaskKey> masks;
  for (const SimulatedSite& site : cohort.sites) {
    if (dropped(shape, site.index)) continue;
    std::vector<RosterIndex> with = {site.index};
    for (const SimulatedSite& other : cohort.sites)
      if (dropped(shape, other.index)) with.push_back(other.index);
    std::vector<crypto::MaskKey> own = site.secrets.masks(cohort.context, with).value();
    std::ranges::move(own, std::back_inserter(masks));
  }
  return masks;
}

federation::secagg::HeldShares opened(const Cohort& cohort, const coordinator::aggregation::DealerCommitments& dealer,
                                      const SimulatedSite& recipient) {
  auto sealed = *std::ranges::find(dealer.shares, recipient.index, &federation::messages::SealedShares::peer);
  sealed.peer = dealer.dealer;  // as the coordinator routes it
  return recipient.secrets.open(cohort.context, sealed).value();
}

// Every site deals, and enough survivors release what they hold: the first t, or in a sparse graph all of them.
coordinator::aggregation::UnmaskInput make_input(Cohort& cohort, const RoundShape& shape) {
  coordinator::aggregation::UnmaskInput input;
  input.context = cohort.context;
  std::vector<std::optional<federation::secagg::HeldShares>> own;
  for (SimulatedSite& site : cohort.sites) {
    input.survivors.push_back(site.index);
    if (!dropped(shape, site.index)) input.committed.push_back(site.index);
    auto dealt = site.secrets.deal(cohort.context).value();
    input.dealers.push_back({.dealer = site.index,
                             .self_seed_commitment = site.secrets.self_seed_commitment(cohort.context.parameters_hash),
                             .shares = std::move(dealt.sealed)});
    own.push_back(std::move(dealt.own));
  }
  const std::size_t responders = shape.sparse ? input.committed.size() : cohort.context.parameters.thresholds.threshold;
  for (std::size_t i = 0; i < responders; ++i) {
    const SimulatedSite& responder = cohort.sites[i];
    coordinator::aggregation::UnmaskResponse response{.site = responder.index, .shares = {}};
    for (const coordinator::aggregation::DealerCommitments& dealer : input.dealers) {
      if (!cohort.context.holds_share(responder.index, dealer.dealer)) continue;
      const RevealedSecret kind = dropped(shape, dealer.dealer) ? RevealedSecret::mask_key : RevealedSecret::self_seed;
      const federation::secagg::HeldShares held =
          responder.index == dealer.dealer
              ? federation::secagg::HeldShares{dealer.dealer, own[i]->mask_key.copy(), own[i]->self_seed.copy()}
              : opened(cohort, dealer, responder);
      federation::messages::RevealedShare share{.subject = dealer.dealer, .secret = kind, .share = {}};
      const auto encoded = kind == RevealedSecret::mask_key ? held.mask_key.encode() : held.self_seed.encode();
      std::ranges::copy(encoded.view(), share.share.begin());
      response.shares.push_back(share);
    }
    input.responses.push_back(std::move(response));
  }
  return input;
}

// k and t for 20 % corrupt and 10 % dropped, as the design states them.
CohortShape cohort_shape(const RoundShape& shape) {
  CohortShape out{.sites = shape.sites,
                  .words = shape.words,
                  .threshold = federation::secagg::threshold_min(shape.sites, shape.sites / 3)};
  if (!shape.sparse) return out;
  const auto counts =
      federation::secagg::choose_neighbours({.sites = shape.sites,
                                             .corrupt_max = shape.sites / 5,
                                             .dropped_max = shape.sites / 10,
                                             .security_bits = federation::secagg::kGraphSecurityBits,
                                             .correctness_bits = federation::secagg::kGraphCorrectnessBits})
          .value();
  out.threshold = counts.threshold;
  out.graph =
      federation::secagg::GraphParameters{.roster_sites = static_cast<std::uint16_t>(shape.sites),
                                          .neighbours = static_cast<std::uint16_t>(counts.neighbours),
                                          .survivors_min = static_cast<std::uint16_t>(shape.sites - shape.sites / 10),
                                          .beacon = Digest{42}};
  return out;
}

}  // namespace

std::string RoundShape::name() const {
  return std::to_string(sites) + "x" + std::to_string(words / 1'000'000) + "M_" + std::to_string(dropped) + "dropped";
}

void run_coordinator_case(const RoundShape& shape, const Options& options, Report& report) {
  Cohort cohort = make_cohort(cohort_shape(shape), shape.sparse ? 5000 : 1000);
  const std::uint32_t senders = shape.sites - shape.dropped;
  const MaskedVectors vectors(senders, shape.words, masks_left(cohort, shape), options.threads);
  coordinator::aggregation::UnmaskInput input = make_input(cohort, shape);

  const MemoryPeak memory;
  const Stopwatch watch;
  input.sum = receive_all(vectors, senders, shape.words, options.threads).sum;
  const double receiving = watch.seconds();
  const coordinator::aggregation::UnmaskOutcome outcome =
      coordinator::aggregation::unmask(std::move(input), options.threads);
  const double seconds = watch.seconds();
  const double core_seconds = watch.core_seconds();
  const std::uint64_t peak = memory.bytes();

  FOVEA_CHECK(outcome.complete && outcome.blames.empty());
  for (std::size_t word = 0; word < outcome.sum.size(); ++word)
    FOVEA_CHECK(outcome.sum[word] == MaskedVectors::expected(senders, word));
  const std::string name = "coordinator_" + shape.name();
  report.add(name + "_s", seconds, "s", std::to_string(options.threads) + " threads; the sum is exact");
  report.add(name + "_intake_s", receiving, "s", "of it: chunks read, hashed, signatures checked, added");
  report.add(name + "_core_s", core_seconds, "s", shape.sparse ? "sparse graph" : "complete graph");
  // The name without a shape belongs to the headline case, 100 sites × 10 M words with 10 dropped.
  report.add(shape.headline ? "coordinator_peak_over_model" : name + "_peak_over_model",
             static_cast<double>(peak) / (4.0 * shape.words), "x");
}

}  // namespace fovea::bench
