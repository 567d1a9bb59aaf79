// A site with an open gate: keys, plan, approval, round and messages for tests of what may leave.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/result.h"
#include "crypto/hash.h"
#include "crypto/secret_bytes.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "federation/messages/envelope.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"
#include "node/egress/egress_gate.h"
#include "tests/support/ledger_folder.h"

namespace fovea::test {

class FixedClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return now; }
  UnixMs wall() const override { return kTestTime; }

  MonotonicMs now{};
};

inline Digest filled(std::uint8_t value) {
  Digest out;
  out.fill(value);
  return out;
}

// Everything is public: tests change what they like before they open the gate.
struct EgressSite {
  explicit EgressSite(fs::path ledger_folder) : folder(std::move(ledger_folder)) {
    plan.hash = filled(0x11);
    plan.privacy_mechanism = "none";
    plan.strategy.delta_max = 0.05;
    roster.hash = filled(0x22);
    roster.epoch = 1;
    parameters.run = run;
    parameters.round = 1;
    parameters.attempt = 1;
    parameters.plan_hash = plan.hash;
    parameters.model_hash = model;
    parameters.roster_hash = roster.hash;
    parameters.candidates = {0, 1, 2, 3};
    parameters.thresholds = {.colluders_max = 1, .threshold = 3, .honest_min = 2};
    parameters.dimension = 2000;
  }

  node::egress::EgressPolicy policy() const {
    node::egress::EgressPolicy out{.site = site};
    out.software = filled(0x33);
    out.approver = approver.verify_key();
    out.destination = filled(0x44);
    out.cohort_min = cohort_min;
    out.run_bytes_max = run_bytes_max;
    out.session_bytes_max = session_bytes_max;
    out.identifiers = identifiers;
    return out;
  }
  Result<node::egress::EgressGate> open() const {
    return node::egress::EgressGate::open(ledger_options(folder, "test/" + site.text(), log_key), policy(), clock);
  }

  federation::membership::SignedDocument approval(
      federation::membership::ApprovalDecision decision = federation::membership::ApprovalDecision::approved,
      UnixMs decided = kTestTime) const {
    const federation::membership::Approval text{.site = site,
                                                .plan = plan.hash,
                                                .decision = decision,
                                                .approver = "Dr. Test",
                                                .reason = "",
                                                .decided = decided};
    federation::membership::SignedDocument out{
        .kind = "approval", .document = text.document().value(), .signatures = {}};
    FOVEA_CHECK(out.sign(approver).has_value());
    return out;
  }

  // That a person of this site vouches for `other`, or takes that back.
  federation::membership::SignedDocument acceptance(const federation::membership::RosterSite& other,
                                                    std::int64_t later_ms = 0, bool ended = false) const {
    const federation::membership::Acquaintance text{.site = site,
                                                    .accepted = other,
                                                    .approver = "Dr. Test",
                                                    .accepted_at = UnixMs{kTestTime.value + later_ms},
                                                    .ended = ended};
    federation::membership::SignedDocument out{
        .kind = std::string(text.kind()), .document = text.document().value(), .signatures = {}};
    FOVEA_CHECK(out.sign(approver).has_value());
    return out;
  }
  static federation::membership::RosterSite other_site(const std::string& name, std::uint8_t keys) {
    return {SiteId::create(name).value(), filled(keys), filled(keys + 1), filled(keys + 2), filled(keys + 3)};
  }

  // Approved plan, pinned roster, open run and round.
  Result<void> prepare(node::egress::EgressGate& gate) const {
    FOVEA_TRY(gate.decide_plan(approval()));
    FOVEA_TRY(gate.pin_roster(roster));
    FOVEA_TRY(gate.open_run(run, plan, model));
    return gate.open_round(parameters, own());
  }
  node::egress::OwnRound own() const { return {.model = model, .dimension = parameters.dimension}; }

  Bytes wire(federation::messages::MessageKind kind, ByteView payload) const { return wire_from(site, kind, payload); }
  Bytes wire_from(const SiteId& sender, federation::messages::MessageKind kind, ByteView payload) const {
    return federation::messages::seal_message({.kind = kind, .run = run, .sender = sender, .epoch = 1}, payload,
                                              identity);
  }
  Bytes hello() const { return wire(federation::messages::MessageKind::hello, federation::messages::Hello{}.encode()); }
  Bytes ready() const {
    return wire(federation::messages::MessageKind::training_ready,
                federation::messages::TrainingReady{.round = 1, .model_hash = model}.encode());
  }
  Bytes keys() const {
    return wire(federation::messages::MessageKind::keys,
                federation::messages::KeysMessage{.ref = parameters.ref(), .keys = {}}.encode());
  }
  // Shares for a sum over this many sites, and of sites that dropped out.
  Bytes unmask_shares(std::size_t in_sum = 4, std::size_t gone = 0) const {
    federation::messages::UnmaskShares out{.ref = parameters.ref(), .shares = {}};
    for (std::size_t i = 0; i < in_sum + gone; ++i)
      out.shares.push_back({.subject = static_cast<RosterIndex>(i),
                            .secret = i < in_sum ? federation::messages::RevealedSecret::self_seed
                                                 : federation::messages::RevealedSecret::mask_key});
    return wire(federation::messages::MessageKind::unmask_shares, out.encode());
  }
  Bytes chunk(const std::vector<std::uint32_t>& words, std::uint32_t index = 0) const {
    return wire(federation::messages::MessageKind::masked_chunk,
                federation::messages::encode_chunk(parameters.ref(), index, words));
  }
  std::vector<std::uint32_t> masked_words(std::size_t count) const {
    const crypto::SecretKey seed = numbered_key(99);
    crypto::SeededRandom random(seed);
    std::vector<std::uint8_t> bytes(count * 4);
    random.fill(bytes);
    std::vector<std::uint32_t> words(count);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      words[i / 4] |= static_cast<std::uint32_t>(bytes[i]) << (8 * (i % 4));
    return words;
  }

  fs::path folder;
  SiteId site = SiteId::create("st-anna").value();
  std::uint64_t log_key = 1;
  crypto::SigningKey identity = signing_key(2);
  crypto::SigningKey approver = signing_key(3);
  RunId run{hex_array<16>("000102030405060708090a0b0c0d0e0f")};
  Digest model = filled(0x55);
  federation::membership::Plan plan;
  federation::membership::Roster roster;
  federation::secagg::RoundParameters parameters;
  std::uint32_t cohort_min = 2;
  std::uint64_t run_bytes_max = 1'000'000;
  std::uint64_t session_bytes_max = 10'000;
  std::vector<std::string> identifiers;
  FixedClock clock;
};

}  // namespace fovea::test
