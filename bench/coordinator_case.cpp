#include "bench/coordinator_case.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/cohort.h"
#include "bench/masked_vectors.h"
#include "common/check.h"
#include "coordinator/aggregation/unmask.h"
#include "crypto/linear_hash.h"
#include "federation/messages/sum_check.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/neighbour_graph.h"
#include "federation/secagg/published_sum.h"
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

// The tag of each sender's vector, and their sum.
struct Tags {
  std::vector<crypto::LinearTag> of_sites;
  crypto::LinearTagSum sum;
};

Tags make_tags(const MaskedVectors& vectors, const Digest& key, std::uint32_t senders, std::uint32_t words) {
  const auto tag_of = [&](std::uint32_t site) {
    crypto::LinearHash hash(key, words);
    std::vector<std::uint32_t> chunk;
    for (std::size_t i = 0; i < federation::messages::chunk_count(words); ++i) {
      chunk.resize(federation::messages::chunk_size(words, i));
      vectors.read(site, i * federation::messages::kChunkWords, chunk);
      hash.add(chunk);
    }
    return hash.finish();
  };
  Tags tags;
  tags.of_sites.assign(senders - 1, tag_of(0));  // all but the last send the same words
  tags.of_sites.push_back(tag_of(senders - 1));
  for (const crypto::LinearTag& tag : tags.of_sites) FOVEA_CHECK(tags.sum.add(tag).has_value());
  return tags;
}

federation::secagg::RoundEvidence make_evidence(const Cohort& cohort,
                                                const coordinator::aggregation::UnmaskInput& input, const Tags& tags,
                                                std::vector<federation::secagg::OpenedSecret> opened_secrets) {
  federation::secagg::RoundEvidence evidence{.parameters = cohort.context.parameters,
                                             .keys = cohort.context.keys,
                                             .survivors = input.survivors,
                                             .committed = {},
                                             .signatures = {},
                                             .opened = std::move(opened_secrets)};
  for (std::size_t i = 0; i < input.committed.size(); ++i) {
    const RosterIndex site = input.committed[i];
    evidence.committed.push_back(
        {.site = site,
         .tag_hash = federation::secagg::tag_hash(cohort.context.parameters_hash, site, tags.of_sites[i])});
    evidence.signatures.push_back({.site = site, .signature = {}});
  }
  return evidence;
}

std::vector<Bytes> pack_all(std::span<const std::uint16_t> carries, std::size_t senders) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < federation::messages::chunk_count(carries.size()); ++i)
    out.push_back(federation::messages::pack_carries(
        carries.subspan(i * federation::messages::kChunkWords, federation::messages::chunk_size(carries.size(), i)),
        senders));
  return out;
}

// What a site does with a published sum, after the signatures: tags, carries, the masks put back, the hash.
double check_as_a_site(const Cohort& cohort, const federation::secagg::RoundEvidence& evidence, const Tags& tags,
                       const std::vector<Bytes>& packed, std::span<const std::uint32_t> sum, std::uint32_t threads) {
  const Stopwatch watch;
  crypto::LinearTagSum tag_sum;
  for (std::size_t i = 0; i < tags.of_sites.size(); ++i) {
    const federation::messages::CommittedVector& entry = evidence.committed[i];
    FOVEA_CHECK(federation::secagg::tag_hash(cohort.context.parameters_hash, entry.site, tags.of_sites[i]) ==
                entry.tag_hash);
    FOVEA_CHECK(tag_sum.add(tags.of_sites[i]).has_value());
  }
  std::vector<std::uint16_t> carries(sum.size());
  for (std::size_t i = 0; i < packed.size(); ++i)
    FOVEA_CHECK(federation::messages::unpack_carries(
                    packed[i], tags.of_sites.size(),
                    std::span(carries).subspan(i * federation::messages::kChunkWords,
                                               federation::messages::chunk_size(sum.size(), i)))
                    .has_value());
  FOVEA_CHECK(federation::secagg::is_sum_of_tagged(cohort.context, evidence, tag_sum, sum, carries, threads));
  return watch.seconds();
}

// The packed carries of one chunk of a sum of independent vectors: those of MaskedVectors are nearly all the same one,
// whose multiples carry otherwise.
std::size_t carry_bytes_of_a_chunk(std::uint32_t senders) {
  crypto::SeededRandom random(numbered_seed(4711));
  std::vector<std::uint32_t> sum(federation::messages::kChunkWords), vector(sum.size());
  std::vector<std::uint16_t> carries(sum.size());
  for (std::uint32_t site = 0; site < senders; ++site) {
    random.fill({reinterpret_cast<std::uint8_t*>(vector.data()), 4 * vector.size()});
    crypto::add_words(sum, carries, vector);
  }
  return federation::messages::pack_carries(carries, senders).size();
}

// Bytes that a site downloads with a sum, over those without what it checks the sum by.
double download_ratio(const federation::secagg::RoundEvidence& evidence, std::uint32_t words) {
  const std::size_t senders = evidence.committed.size();
  const auto before = static_cast<double>(evidence.encode().size() - 32 * senders + 4 * std::size_t{words});
  const double chunks = static_cast<double>(words) / static_cast<double>(federation::messages::kChunkWords);
  const double added = static_cast<double>((32 + crypto::kLinearTagBytes) * senders) +
                       chunks * static_cast<double>(carry_bytes_of_a_chunk(static_cast<std::uint32_t>(senders)));
  return (before + added) / before;
}

// A site's check beside the coordinator's unmasking of the same round on the same cores, by turns.
void run_check_case(Cohort& cohort, const RoundShape& shape, const MaskedVectors& vectors, const Options& options,
                    Report& report) {
  const std::uint32_t senders = shape.sites - shape.dropped;
  coordinator::aggregation::UnmaskInput input = make_input(cohort, shape);
  ReceivedSum received = receive_all(vectors, senders, shape.words, options.threads);
  input.sum = std::move(received.sum);
  const std::span<const std::uint16_t> carries(received.carries);
  const std::uint32_t words = shape.words;
  const Tags tags = make_tags(vectors, cohort.context.parameters_hash, senders, words);
  const std::vector<Bytes> packed = pack_all(carries, senders);
  std::vector<double> unmasking, checking;
  for (int turn = 0; turn < (options.quick ? 1 : 3); ++turn) {
    coordinator::aggregation::UnmaskInput copy = input;
    const Stopwatch watch;
    const coordinator::aggregation::UnmaskOutcome outcome =
        coordinator::aggregation::unmask(std::move(copy), options.threads);
    unmasking.push_back(watch.seconds());
    FOVEA_CHECK(outcome.complete);
    const auto evidence = make_evidence(cohort, input, tags, outcome.opened);
    checking.push_back(check_as_a_site(cohort, evidence, tags, packed, outcome.sum, options.threads));
    if (turn == 0)
      report.add("download_ratio_" + std::to_string(cohort.sites.size()), download_ratio(evidence, words), "x",
                 "tags and carries with the sum");
  }
  report.add("site_check_s", median(checking), "s",
             "of a published sum: " + std::to_string(options.threads) + " threads");
  report.add("check_over_unmask", median(checking) / median(unmasking), "x", "over the coordinator's unmasking");
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
  ReceivedSum received = receive_all(vectors, senders, shape.words, options.threads);
  input.sum = std::move(received.sum);
  const double receiving = watch.seconds();
  // One check of all tags, before R4.
  const crypto::LinearTag tag =
      crypto::linear_hash(cohort.context.parameters_hash, input.sum, received.carries, options.threads);
  const double tagging = watch.seconds() - receiving;
  const coordinator::aggregation::UnmaskOutcome outcome =
      coordinator::aggregation::unmask(std::move(input), options.threads);
  const double seconds = watch.seconds();
  const double core_seconds = watch.core_seconds();
  const std::uint64_t peak = memory.bytes();

  FOVEA_CHECK(outcome.complete && outcome.blames.empty());
  FOVEA_CHECK(tag != crypto::LinearTag{});
  for (std::size_t word = 0; word < outcome.sum.size(); ++word)
    FOVEA_CHECK(outcome.sum[word] == MaskedVectors::expected(senders, word));
  const std::string name = "coordinator_" + shape.name();
  report.add(name + "_s", seconds, "s", std::to_string(options.threads) + " threads; the sum is exact");
  report.add(name + "_intake_s", receiving, "s", "of it: chunks read, hashed, signatures checked, added");
  report.add(name + "_tags_s", tagging, "s", "of it: the linear tag of the sum");
  report.add(name + "_core_s", core_seconds, "s", shape.sparse ? "sparse graph" : "complete graph");
  // The name without a shape belongs to the headline case, 100 sites × 10 M words with 10 dropped.
  report.add(shape.headline ? "coordinator_peak_over_model" : name + "_peak_over_model",
             static_cast<double>(peak) / (4.0 * shape.words), "x");
  if (shape.headline) run_check_case(cohort, shape, vectors, options, report);
}

}  // namespace fovea::bench
