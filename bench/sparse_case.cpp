#include <algorithm>

#include "bench/cohort.h"
#include "bench/coordinator_cases.h"
#include "bench/masked_vectors.h"
#include "crypto/hkdf.h"
#include "federation/secagg/neighbour_graph.h"
#include "federation/secagg/statements.h"

namespace fovea::bench {

namespace {

using federation::RevealedSecret;

struct SparseSite {
  crypto::AgreementKey mask_key;
  crypto::SecretKey self_seed;
  Digest self_seed_commitment{};
  std::vector<Digest> share_commitments;       // by neighbour
  std::vector<crypto::Share> released;         // by surviving neighbour: the kind that R5 releases
  std::vector<std::size_t> released_by;        // index into its neighbours
};

// A round over the sparse graph. Sites from `senders` on have dropped out.
struct SparseRound {
  federation::AttemptContext context;
  federation::NeighbourGraph graph;
  std::uint32_t threshold = 0;
  std::uint32_t senders = 0;
  std::vector<SparseSite> sites;

  bool dropped(std::uint32_t site) const { return site >= senders; }
  RevealedSecret kind(std::uint32_t site) const {
    return dropped(site) ? RevealedSecret::mask_key : RevealedSecret::self_seed;
  }
};

federation::ShareOwner owner(const SparseRound& round, std::uint32_t dealer, std::uint32_t recipient) {
  return {static_cast<RosterIndex>(dealer), static_cast<RosterIndex>(recipient), round.kind(dealer)};
}

// R2 of one site: its secret shared among its neighbours, and what those still there will release.
void share_among_neighbours(SparseRound& round, std::uint32_t index, crypto::RandomSource& random) {
  SparseSite& site = round.sites[index];
  const std::vector<std::uint32_t> neighbours = round.graph.neighbours_of(index);
  std::vector<std::uint32_t> points;
  for (const std::uint32_t neighbour : neighbours) points.push_back(neighbour + 1);
  const crypto::SecretKey& secret = round.dropped(index) ? site.mask_key.private_key() : site.self_seed;
  std::vector<crypto::Share> shares = crypto::split_secret(secret, round.threshold, points, random).value();
  for (std::size_t i = 0; i < shares.size(); ++i) {
    site.share_commitments.push_back(federation::share_commitment(
        round.context.parameters_hash, owner(round, index, neighbours[i]), shares[i].encode().view()));
    if (round.dropped(neighbours[i])) continue;
    site.released.push_back(std::move(shares[i]));
    site.released_by.push_back(i);
  }
}

SparseRound make_round(const RoundShape& shape) {
  const auto counts = federation::choose_neighbours({.sites = shape.sites,
                                                     .corrupt_max = shape.sites / 5,
                                                     .dropped_max = shape.sites / 10,
                                                     .security_bits = 40,
                                                     .correctness_bits = 20})
                          .value();
  crypto::SeededRandom random(numbered_seed(4242));
  SparseRound round{
      .context = make_cohort({.sites = shape.sites, .words = shape.words, .threshold = counts.threshold}, 5000).context,
      .graph = federation::NeighbourGraph::create(federation::shuffled_positions(shape.sites, random), counts.neighbours)
                   .value(),
      .threshold = counts.threshold,
      .senders = shape.sites - shape.dropped,
      .sites = {}};
  for (std::uint32_t i = 0; i < shape.sites; ++i) {
    SparseSite site{.mask_key = crypto::AgreementKey::generate(random),
                    .self_seed = random.secret_key(),
                    .self_seed_commitment = {},
                    .share_commitments = {},
                    .released = {},
                    .released_by = {}};
    round.context.keys[i].keys.mask = site.mask_key.public_key();
    site.self_seed_commitment = federation::self_seed_commitment(round.context.parameters_hash,
                                                                 static_cast<RosterIndex>(i), site.self_seed.view());
    round.sites.push_back(std::move(site));
  }
  for (std::uint32_t i = 0; i < shape.sites; ++i) share_among_neighbours(round, i, random);
  return round;
}

// The seeds that `site`'s secret opens; `flip` gives the signs that remove the masks, otherwise those that made them.
void add_masks_of(const SparseRound& round, std::uint32_t index, const crypto::SecretKey& secret, bool flip,
                  std::vector<crypto::MaskKey>& masks) {
  const auto site = static_cast<RosterIndex>(index);
  const auto sign = [&](bool added) { return added != flip ? crypto::MaskSign::add : crypto::MaskSign::subtract; };
  if (!round.dropped(index)) {
    masks.push_back({federation::self_mask_seed(round.context, site, secret), sign(true)});
    return;
  }
  const auto key = crypto::AgreementKey::from_private(secret);
  for (const std::uint32_t neighbour : round.graph.neighbours_of(index)) {
    if (round.dropped(neighbour)) continue;
    const auto peer = static_cast<RosterIndex>(neighbour);
    // The survivor added the mask when it is the lower of the two.
    masks.push_back({federation::pair_seed(round.context, key, site, peer).value(), sign(neighbour < index)});
  }
}

std::vector<crypto::MaskKey> masks_left(const SparseRound& round) {
  std::vector<crypto::MaskKey> masks;
  for (std::uint32_t i = 0; i < round.sites.size(); ++i) {
    const SparseSite& site = round.sites[i];
    add_masks_of(round, i, round.dropped(i) ? site.mask_key.private_key() : site.self_seed, false, masks);
  }
  return masks;
}

// One secret from the first t released shares, each checked against its commitment, and the secret against its own.
crypto::SecretKey open_secret(const SparseRound& round, std::uint32_t index) {
  const SparseSite& site = round.sites[index];
  const Digest& hash = round.context.parameters_hash;
  const std::span<const crypto::Share> shares = std::span(site.released).first(round.threshold);
  for (std::size_t i = 0; i < site.released.size(); ++i)
    FOVEA_CHECK(federation::share_commitment(hash, owner(round, index, site.released[i].point() - 1),
                                             site.released[i].encode().view()) ==
                site.share_commitments[site.released_by[i]]);
  crypto::SecretKey secret = crypto::combine_shares(shares).value();
  if (round.dropped(index)) {
    FOVEA_CHECK(crypto::agreement_public_key(secret) == round.context.keys[index].keys.mask);
  } else {
    FOVEA_CHECK(federation::self_seed_commitment(hash, static_cast<RosterIndex>(index), secret.view()) ==
                site.self_seed_commitment);
  }
  return secret;
}

}  // namespace

void run_sparse_case(const RoundShape& shape, const Options& options, Report& report) {
  const SparseRound round = make_round(shape);
  const MaskedVectors vectors(round.senders, shape.words, masks_left(round), options.threads);

  const MemoryPeak memory;
  const Stopwatch watch;
  std::vector<std::uint32_t> sum = take_in(vectors, round.senders, shape.words, options.threads).sum;
  const double intake = watch.core_seconds();
  std::vector<crypto::MaskKey> masks;
  for (std::uint32_t i = 0; i < shape.sites; ++i) add_masks_of(round, i, open_secret(round, i), true, masks);
  const double opened = watch.core_seconds();
  crypto::apply_masks(sum, 0, masks, options.threads);
  const double seconds = watch.seconds();
  const double core_seconds = watch.core_seconds();
  const std::uint64_t peak = memory.bytes();

  for (std::size_t word = 0; word < sum.size(); ++word)
    FOVEA_CHECK(sum[word] == MaskedVectors::expected(round.senders, word));
  const std::string name = "coordinator_" + shape.name();
  report.add(name + "_core_s", core_seconds, "s",
             "sparse graph, " + std::to_string(masks.size()) + " masks removed; the sum is exact");
  report.add(name + "_intake_core_s", intake, "s", "of it: chunks read, hashed, signatures checked, added");
  report.add(name + "_secrets_core_s", opened - intake, "s", "of it: shares checked, secrets opened, seeds derived");
  report.add(name + "_s", seconds, "s", std::to_string(options.threads) + " threads");
  report.add(name + "_peak_over_model", static_cast<double>(peak) / (4.0 * shape.words), "x");
}

}  // namespace fovea::bench
