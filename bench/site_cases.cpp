#include "bench/site_cases.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/cohort.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/ids.h"
#include "crypto/mask_stream.h"
#include "federation/messages/envelope.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/statements.h"

namespace fovea::bench {

namespace {

using federation::messages::CommittedVector;

struct Seconds {
  double keys = 0;         // R1: own keys, every other site's signature, K
  double shares = 0;       // R2 and R3: shares dealt, sealed, opened
  double seeds = 0;        // R3: key agreement and mask seeds
  double vector = 0;       // R3: encode, mask, hash and sign the vector, chunk by chunk
  double consistency = 0;  // R4 and R5: signatures checked, shares released
  double total() const { return keys + shares + seeds + vector + consistency; }
};

struct SiteWork {
  Seconds seconds;  // of one core
  double wall_seconds = 0;
  std::uint64_t upload_bytes = 0;
};

struct SiteCase {
  std::uint32_t neighbours = 0;
  std::uint32_t parameters = 0;
};

// All that other sites send, made before the clock starts.
struct Peers {
  std::vector<federation::messages::SealedShares> sealed;  // to site 0, by dealer
  std::vector<CommittedVector> committed;                  // of all sites
  std::vector<crypto::Signature> consistency;              // of all sites, over `statement`
  Digest statement{};
};

Peers make_peers(Cohort& cohort, std::span<const RosterIndex> survivors) {
  const Digest& hash = cohort.context.parameters_hash;
  const Digest survivors_digest = federation::secagg::survivors_hash(hash, survivors);
  Peers peers;
  for (SimulatedSite& site : cohort.sites) {
    if (site.index != 0) peers.sealed.push_back(sealed_for(cohort, site.index, 0));
    CommittedVector entry{
        .site = site.index, .vector_hash = {}, .self_seed_commitment = {}, .tag_hash = {}, .signature = {}};
    entry.self_seed_commitment = site.secrets.self_seed_commitment(hash);
    entry.signature = site.identity.sign(federation::secagg::masked_statement(
        hash, {site.index, entry.vector_hash, survivors_digest, entry.self_seed_commitment, entry.tag_hash}));
    peers.committed.push_back(entry);
  }
  peers.statement =
      federation::secagg::consistency_statement(hash, {cohort.context.key_list, survivors, peers.committed});
  for (const SimulatedSite& site : cohort.sites) peers.consistency.push_back(site.identity.sign(peers.statement));
  return peers;
}

// Each phase once, in order, as node/round runs it.
class SiteRun {
 public:
  SiteRun(Cohort& cohort, const Peers& peers, std::span<const RosterIndex> survivors)
      : cohort_(cohort), peers_(peers), survivors_(survivors), self_(cohort.sites.front()) {}

  SiteWork run(const federation::model::LocalUpdate& update) {
    const Stopwatch watch;
    time(work_.seconds.keys, [&] { keys(); });
    time(work_.seconds.shares, [&] { shares(); });
    std::vector<crypto::MaskKey> masks;
    time(work_.seconds.seeds, [&] { masks = self_.secrets.masks(context(), survivors_).value(); });
    time(work_.seconds.vector, [&] { vector(update, masks); });
    time(work_.seconds.consistency, [&] { consistency(); });
    work_.wall_seconds = watch.seconds();
    return work_;
  }

 private:
  template <class Phase>
  static void time(double& seconds, Phase phase) {
    const Stopwatch watch;
    phase();
    seconds = watch.core_seconds();
  }

  const federation::secagg::AttemptContext& context() const { return cohort_.context; }

  void upload(federation::messages::MessageKind kind, const Bytes& payload) {
    const federation::messages::MessageHeader header{
        .kind = kind, .run = {}, .sender = SiteId::create("site").value(), .epoch = 1};
    work_.upload_bytes += federation::messages::seal_message(header, payload, self_.identity).size();
  }

  void keys() {
    const auto fresh = federation::secagg::AttemptSecrets::derive(numbered_seed(99), 0);
    federation::messages::KeysMessage message{.ref = context().ref(), .keys = {}};
    message.keys.channel = fresh.channel_key();
    message.keys.mask = fresh.mask_key();
    message.keys.signature =
        self_.identity.sign(federation::secagg::keys_statement(context().parameters_hash, 0, message.keys));
    upload(federation::messages::MessageKind::keys, message.encode());
    for (const federation::messages::ListedKeys& entry : context().keys)
      FOVEA_CHECK(
          crypto::check_signature(cohort_.sites[entry.site].identity.verify_key(),
                                  federation::secagg::keys_statement(context().parameters_hash, entry.site, entry.keys),
                                  entry.keys.signature) == crypto::SignatureVerdict::valid);
    FOVEA_CHECK(federation::secagg::key_list_hash(context().parameters_hash, context().keys) == context().key_list);
  }

  void shares() {
    auto dealt = self_.secrets.deal(context()).value();
    upload(federation::messages::MessageKind::shares,
           federation::messages::SharesMessage{
               .ref = context().ref(),
               .key_list = context().key_list,
               .self_seed_commitment = self_.secrets.self_seed_commitment(context().parameters_hash),
               .shares = std::move(dealt.sealed)}
               .encode());
    held_.push_back(std::move(*dealt.own));
    for (const federation::messages::SealedShares& sealed : peers_.sealed)
      held_.push_back(self_.secrets.open(context(), sealed).value());
  }

  void vector(const federation::model::LocalUpdate& update, const std::vector<crypto::MaskKey>& masks) {
    const std::size_t words = context().parameters.dimension;
    const auto encoder = federation::secagg::UpdateEncoder::create(context().parameters, update).value();
    federation::secagg::VectorHash hash(context().parameters_hash, words);
    crypto::LinearHash tag(context().parameters_hash, words);
    std::vector<std::uint32_t> chunk;
    for (std::size_t index = 0; index < federation::messages::chunk_count(words); ++index) {
      const std::size_t first = index * federation::messages::kChunkWords;
      chunk.resize(federation::messages::chunk_size(words, index));
      encoder.fill(first, chunk);
      crypto::apply_masks(chunk, first, masks);
      const federation::messages::MessageHeader header{.kind = federation::messages::MessageKind::masked_chunk,
                                                       .run = {},
                                                       .sender = SiteId::create("site").value(),
                                                       .epoch = 1};
      const federation::messages::SealedPayload sealed = federation::messages::seal_chunk(
          header, context().ref(), static_cast<std::uint32_t>(index), chunk, self_.identity);
      hash.add_chunk(sealed.digest);
      tag.add(chunk);
      work_.upload_bytes += sealed.wire.size();
    }
    const Digest survivors_digest = federation::secagg::survivors_hash(context().parameters_hash, survivors_);
    federation::messages::MaskedStatement statement{.ref = context().ref(),
                                                    .vector_hash = hash.finish(),
                                                    .survivors_hash = survivors_digest,
                                                    .self_seed_commitment = {},
                                                    .tag = tag.finish(),
                                                    .signature = {}};
    statement.signature = self_.identity.sign(federation::secagg::masked_statement(
        context().parameters_hash, {0, statement.vector_hash, survivors_digest, statement.self_seed_commitment,
                                    federation::secagg::tag_hash(context().parameters_hash, 0, statement.tag)}));
    upload(federation::messages::MessageKind::masked_statement, statement.encode());
  }

  void consistency() {
    const Digest& hash = context().parameters_hash;
    const Digest survivors_digest = federation::secagg::survivors_hash(hash, survivors_);
    for (const CommittedVector& entry : peers_.committed)
      FOVEA_CHECK(crypto::check_signature(
                      cohort_.sites[entry.site].identity.verify_key(),
                      federation::secagg::masked_statement(hash, {entry.site, entry.vector_hash, survivors_digest,
                                                                  entry.self_seed_commitment, entry.tag_hash}),
                      entry.signature) == crypto::SignatureVerdict::valid);
    const Digest statement =
        federation::secagg::consistency_statement(hash, {context().key_list, survivors_, peers_.committed});
    upload(
        federation::messages::MessageKind::consistency_signature,
        federation::messages::ConsistencySignature{.ref = context().ref(), .signature = self_.identity.sign(statement)}
            .encode());
    for (std::size_t i = 0; i < context().parameters.thresholds.threshold; ++i)
      FOVEA_CHECK(crypto::check_signature(cohort_.sites[i].identity.verify_key(), statement, peers_.consistency[i]) ==
                  crypto::SignatureVerdict::valid);
    federation::messages::UnmaskShares released{.ref = context().ref(), .shares = {}};
    for (const federation::secagg::HeldShares& held : held_) {
      federation::messages::RevealedShare share{
          .subject = held.dealer, .secret = federation::messages::RevealedSecret::self_seed, .share = {}};
      const auto encoded = held.self_seed.encode();
      std::ranges::copy(encoded.view(), share.share.begin());
      released.shares.push_back(share);
    }
    upload(federation::messages::MessageKind::unmask_shares, released.encode());
  }

  Cohort& cohort_;
  const Peers& peers_;
  std::span<const RosterIndex> survivors_;
  SimulatedSite& self_;
  std::vector<federation::secagg::HeldShares> held_;
  SiteWork work_;
};

std::string name_of(const SiteCase& shape) {
  return "client_" + std::to_string(shape.neighbours) + "x" + std::to_string(shape.parameters / 1'000'000) + "M";
}

void run_case(const SiteCase& shape, int turns, Report& report) {
  const std::uint32_t sites = shape.neighbours + 1;
  const CohortShape cohort_shape{
      .sites = sites,
      .words = static_cast<std::uint32_t>(federation::secagg::vector_words(shape.parameters)),
      .threshold = federation::secagg::threshold_min(sites, sites / 3)};
  Cohort cohort = make_cohort(cohort_shape, 1);
  const std::vector<RosterIndex> survivors = cohort.context.parameters.candidates;
  const Peers peers = make_peers(cohort, survivors);
  federation::model::LocalUpdate update;
  update.delta.resize(shape.parameters);
  for (std::size_t i = 0; i < update.delta.size(); ++i) update.delta[i] = 1e-5F * static_cast<float>(i % 8191) - 0.04F;
  update.weight = 100;

  std::vector<SiteWork> runs;
  for (int turn = 0; turn < turns; ++turn) runs.push_back(SiteRun(cohort, peers, survivors).run(update));
  std::ranges::sort(runs, {}, [](const SiteWork& run) { return run.seconds.total(); });
  const SiteWork& middle = runs[runs.size() / 2];
  const std::string name = name_of(shape);
  report.add(name + "_s", middle.seconds.total(), "s", "core-seconds, R1 to R5");
  if (shape.neighbours == 99 && shape.parameters == 10'000'000)
    report.add(name + "_tagged_s", middle.seconds.total(), "s", "the same: the linear tag is part of R3");
  report.add(name + "_wall_s", middle.wall_seconds, "s", "one thread, by the wall");
  report.add(name + "_keys_s", middle.seconds.keys, "s", "own keys, signatures of the key list");
  report.add(name + "_shares_s", middle.seconds.shares, "s", "shares dealt, sealed, opened");
  report.add(name + "_seeds_s", middle.seconds.seeds, "s", "key agreement, mask seeds");
  report.add(name + "_vector_s", middle.seconds.vector, "s", "encode, mask, hash, sign chunks");
  report.add(name + "_consistency_s", middle.seconds.consistency, "s", "signatures checked, shares released");
  report.add(name + "_upload_bytes", static_cast<double>(middle.upload_bytes), "B");
}

}  // namespace

void run_site_cases(const Options& options, Report& report) {
  report.section("A site's own work in one round (complete graph)");
  for (const std::uint32_t parameters : {1'000'000U, 10'000'000U}) {
    for (const std::uint32_t neighbours : {9U, 99U, 999U}) {
      const bool slow = neighbours == 999;
      if (options.quick && slow) continue;
      run_case({.neighbours = neighbours, .parameters = parameters}, slow ? 1 : 5, report);
    }
  }
}

}  // namespace fovea::bench
