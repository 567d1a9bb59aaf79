// Ledgers of a small run, written through the real gate and the coordinator's real ledger: for tests of the auditor.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "federation/messages/message_kind.h"
#include "tests/support/egress_site.h"

namespace fovea::test {

inline federation::ledger::IngressReceipt receipt_of(const EgressSite& site, federation::messages::MessageKind kind,
                                                     const Bytes& wire, RoundNumber round) {
  federation::ledger::IngressReceipt out{.site = site.site};
  out.key = {site.run, round, 1};
  out.kind = std::string(federation::messages::to_string(kind));
  out.payload = crypto::sha256(wire);
  out.length = wire.size();
  const auto opened =
      federation::messages::SignedMessage::open(wire, {.sender = site.site, .key = site.identity.verify_key()});
  FOVEA_CHECK(opened.has_value());
  out.proof = federation::ledger::SiteSignature{.envelope = federation::messages::kEnvelopeVersion,
                                                .epoch = opened->header().epoch,
                                                .body = opened->payload_digest(),
                                                .signature = opened->signature()};
  return out;
}

// Lets `rounds` whole rounds out of the site, publishes, and returns what the coordinator received.
inline std::vector<federation::ledger::LedgerEntry> write_site_ledger(EgressSite& site, RoundNumber rounds) {
  using federation::messages::MessageKind;
  node::egress::EgressGate gate = site.open().value();
  FOVEA_CHECK(gate.decide_plan(site.approval()).has_value());
  FOVEA_CHECK(gate.pin_roster(site.roster).has_value());
  const federation::membership::SignedDocument acceptances[] = {site.acceptance(site.other_site("lakeview", 0x61))};
  FOVEA_CHECK(gate.decide_sites(acceptances).has_value());
  FOVEA_CHECK(gate.open_run(site.run, site.plan, site.model).has_value());
  std::vector<federation::ledger::LedgerEntry> receipts;
  const auto send = [&](RoundNumber round, const std::vector<std::pair<MessageKind, Bytes>>& messages) {
    std::vector<ByteView> wires;
    for (const auto& [kind, payload] : messages) wires.emplace_back(payload);
    const auto tickets = gate.intend(wires);
    FOVEA_CHECK(tickets.has_value());
    FOVEA_CHECK(gate.sent(*tickets).has_value());
    for (const auto& [kind, wire] : messages) receipts.emplace_back(receipt_of(site, kind, wire, round));
  };
  send(0, {{MessageKind::hello, site.hello()}});
  for (RoundNumber round = 1; round <= rounds; ++round) {
    site.parameters.round = round;
    const federation::messages::AttemptRef ref = site.parameters.ref();
    send(round, {{MessageKind::training_ready,
                  site.wire(MessageKind::training_ready,
                            federation::messages::TrainingReady{.round = round, .model_hash = site.model}.encode())}});
    FOVEA_CHECK(gate.open_round(site.parameters, site.own()).has_value());
    send(round, {{MessageKind::keys, site.keys()}});
    FOVEA_CHECK(gate.record(federation::ledger::InputSealed{{site.run, round, 1}, filled(0x77)}).has_value());
    const Bytes statement = federation::messages::MaskedStatement{
        .ref = ref,
        .vector_hash = {},
        .survivors_hash = {},
        .self_seed_commitment = {},
        .tag = {},
        .signature = {}}.encode();
    send(round, {{MessageKind::masked_chunk, site.chunk(site.masked_words(2000))},
                 {MessageKind::masked_statement, site.wire(MessageKind::masked_statement, statement)}});
    send(round, {{MessageKind::consistency_signature,
                  site.wire(MessageKind::consistency_signature,
                            federation::messages::ConsistencySignature{.ref = ref, .signature = {}}.encode())}});
    send(round, {{MessageKind::unmask_shares, site.unmask_shares()}});
    FOVEA_CHECK(gate.close_round({.key = {site.run, round, 1}, .outcome = "applied", .model = site.model, .cohort = 4})
                    .has_value());
  }
  FOVEA_CHECK(gate.publish().has_value());
  return receipts;
}

inline void write_ledger_of(const fs::path& folder, const std::string& origin, std::uint64_t key,
                            const std::vector<federation::ledger::LedgerEntry>& entries) {
  federation::ledger::Ledger ledger = federation::ledger::Ledger::open(ledger_options(folder, origin, key)).value();
  FOVEA_CHECK(ledger.append(kTestTime, entries).has_value());
  FOVEA_CHECK(ledger.publish().has_value());
}

inline std::vector<federation::ledger::LedgerEntry> read_ledger_entries(const fs::path& folder,
                                                                        const std::string& origin, std::uint64_t key) {
  std::vector<federation::ledger::LedgerEntry> out;
  FOVEA_CHECK(federation::ledger::Ledger::open(ledger_options(folder, origin, key),
                                               [&out](std::uint64_t, const federation::ledger::StampedEntry& entry) {
                                                 out.push_back(entry.body);
                                                 return Result<void>();
                                               })
                  .has_value());
  return out;
}

inline federation::membership::RosterSite roster_entry_of(const EgressSite& site) {
  federation::membership::RosterSite out{.id = site.site};
  out.identity_key = site.identity.verify_key();
  out.transport_key = signing_key(20 + site.log_key).verify_key();
  out.log_key = signing_key(site.log_key).verify_key();
  out.approver_key = site.approver.verify_key();
  return out;
}

inline constexpr std::uint64_t kAuditAdministrator = 50, kAuditCoordinator = 4;

// Signed by kAuditAdministrator, of the coordinator with kAuditCoordinator; returns the roster's hash. Long over: an
// audit may come later.
inline Digest write_roster_file(const fs::path& file, EpochNumber number,
                                const std::vector<federation::membership::RosterSite>& members,
                                const std::string& federation = "test") {
  federation::membership::Roster roster;
  roster.federation = federation;
  roster.epoch = number;
  roster.valid_from = kTestTime;
  roster.valid_until = UnixMs{kTestTime.value + 1000};
  roster.coordinator_signing_key = signing_key(kAuditCoordinator).verify_key();
  roster.sites = members;
  federation::membership::SignedDocument document{
      .kind = "roster", .document = roster.document().value(), .signatures = {}};
  FOVEA_CHECK(document.sign(signing_key(kAuditAdministrator)).has_value());
  spill(file, as_text(document.serialize()));
  return crypto::sha256(as_bytes(document.document));
}

inline std::string note_key_text(const std::string& origin, std::uint64_t key) {
  return crypto::NoteKey::create(origin, signing_key(key).verify_key()).value().text();
}

}  // namespace fovea::test
