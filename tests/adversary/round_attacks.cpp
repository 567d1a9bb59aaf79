// R0 to R5, in the order of docs/protocol.md.
#include <algorithm>
#include <utility>

#include "crypto/key_agreement.h"
#include "federation/secagg/statements.h"
#include "tests/adversary/attack.h"

namespace fovea::test {

using federation::messages::AttemptRef;
using federation::messages::ChunkRequest;
using federation::messages::ConsistencyRequest;
using federation::messages::KeyList;
using federation::messages::RoutedShares;
using federation::messages::UnmaskRequest;

namespace {

template <class Entry>
Entry& entry_of(std::vector<Entry>& entries, RosterIndex site) {
  return *std::find_if(entries.begin(), entries.end(), [site](const Entry& entry) { return entry.site == site; });
}

// Keys of a site that colludes: the coordinator has its signature on whatever it likes.
void sign_keys(const Situation& s, const AttemptRef& ref, federation::messages::ListedKeys& entry) {
  entry.keys.signature = s.coordinator.sybil(entry.site)
                             .identity()
                             .sign(federation::secagg::keys_statement(ref.parameters, entry.site, entry.keys));
}

crypto::AgreementPublicKey fresh_key() {
  crypto::SystemRandom random;
  return crypto::AgreementKey::generate(random).public_key();
}

Attack row(const char* name, MessageKind at, RefusalReason reason, Forger forge, Timing timing = Timing::instead) {
  return {name, at, timing, refused(reason), std::move(forge)};
}

Forger p_edit(std::function<void(const Situation&, RoundParameters&)> edit) {
  return edited<RoundParameters>(std::move(edit));
}

// Messages of later steps, before this attempt was even announced.
std::vector<Attack> early_attacks() {
  const MessageKind at = MessageKind::parameters;
  const RefusalReason reason = RefusalReason::unexpected_kind;
  const auto ref = [](const Situation& s) { return s.decoded<RoundParameters>().ref(); };
  return {
      row("key list before the parameters", at, reason,
          untimely<KeyList>(MessageKind::key_list,
                            [=](const Situation& s) {
                              return KeyList{ref(s), {}};
                            })),
      row("shares before the parameters", at, reason,
          untimely<RoutedShares>(MessageKind::routed_shares,
                                 [=](const Situation& s) {
                                   return RoutedShares{ref(s), {}, {}};
                                 })),
      row("chunk request before the parameters", at, reason,
          untimely<ChunkRequest>(MessageKind::chunk_request,
                                 [=](const Situation& s) {
                                   return ChunkRequest{ref(s), {0}, true};
                                 })),
      row("consistency request before the parameters", at, reason,
          untimely<ConsistencyRequest>(MessageKind::consistency_request,
                                       [=](const Situation& s) {
                                         return ConsistencyRequest{ref(s), {}, {}};
                                       })),
      row("unmask request before the parameters", at, reason,
          untimely<UnmaskRequest>(MessageKind::unmask_request,
                                  [=](const Situation& s) {
                                    return UnmaskRequest{ref(s), {}};
                                  })),
  };
}

std::vector<Attack> parameter_attacks() {
  const MessageKind at = MessageKind::parameters;
  return {
      row("R0 under a roster that nobody pinned", at, RefusalReason::roster_differs,
          p_edit([](const Situation&, RoundParameters& p) { p.roster_hash[0] ^= 1; })),
      row("R0 without the site itself", at, RefusalReason::not_a_candidate,
          p_edit([](const Situation& s, RoundParameters& p) { std::erase(p.candidates, s.victim()); })),
      row("R0 with a site that is not on the roster", at, RefusalReason::list_out_of_order,
          p_edit([](const Situation&, RoundParameters& p) { p.candidates.back() = 900; })),
      row("R0 with two sites", at, RefusalReason::cohort_too_small, p_edit([](const Situation& s, RoundParameters& p) {
            p.candidates = {std::min(s.victim(), s.sybil()), std::max(s.victim(), s.sybil())};
            p.thresholds.threshold = 2;
          })),
      row("R0 with a lower threshold", at, RefusalReason::threshold_too_low,
          p_edit([](const Situation&, RoundParameters& p) { p.thresholds.threshold -= 1; })),
      row("R0 with more colluders than the threshold bears", at, RefusalReason::threshold_too_low,
          p_edit([](const Situation&, RoundParameters& p) { p.thresholds.colluders_max += 1; })),
      row("R0 with too few honest sites", at, RefusalReason::honest_too_few,
          p_edit([](const Situation&, RoundParameters& p) { p.thresholds.honest_min += 1; })),
      row("R0 with another vector's length", at, RefusalReason::dimension_differs,
          p_edit([](const Situation&, RoundParameters& p) { p.dimension -= 1; })),
      row("R0 with a scale that could wrap the sum", at, RefusalReason::malformed,
          p_edit([](const Situation&, RoundParameters& p) { p.encoding.scale *= 8; })),
      row("R0 with another scale than the plan's", at, RefusalReason::scale_out_of_bounds,
          p_edit([](const Situation&, RoundParameters& p) { p.encoding.scale /= 2; })),
      row("R0 with another weight than the plan's", at, RefusalReason::scale_out_of_bounds,
          p_edit([](const Situation&, RoundParameters& p) { p.encoding.weight_max += 1; })),
      row("R0 of an earlier round", at, RefusalReason::stale_round,
          p_edit([](const Situation&, RoundParameters& p) { p.round -= 2; })),
      row("R0 of the last round, with another model", at, RefusalReason::forgotten_after_restart,
          p_edit([](const Situation&, RoundParameters& p) { p.round -= 1; })),
      row("R0 of a later round", at, RefusalReason::stale_round,
          p_edit([](const Situation&, RoundParameters& p) { p.round += 1; })),
      row("R0 of another plan", at, RefusalReason::plan_not_approved,
          p_edit([](const Situation&, RoundParameters& p) { p.plan_hash[0] ^= 1; })),
      row("R0 on another model", at, RefusalReason::model_differs,
          p_edit([](const Situation&, RoundParameters& p) { p.model_hash[0] ^= 1; })),
      row("R0 after another round", at, RefusalReason::transcript_differs,
          p_edit([](const Situation&, RoundParameters& p) { p.previous_transcript[0] ^= 1; })),
      row("R0 of another run inside", at, RefusalReason::wrong_run,
          p_edit([](const Situation&, RoundParameters& p) { p.run = random_run(); })),
      row("R0 twice, with another deadline", at, RefusalReason::stale_attempt,
          p_edit([](const Situation&, RoundParameters& p) { p.phase_ms += 1; }), Timing::on_top),
  };
}

std::vector<Attack> key_attacks() {
  const MessageKind at = MessageKind::key_list;
  const auto edit = [](std::function<void(const Situation&, KeyList&)> e) { return edited<KeyList>(std::move(e)); };
  return {
      row("R1 without the site's keys", at, RefusalReason::own_entry_missing, edit([](const Situation& s, KeyList& m) {
            std::erase_if(m.keys, [&](const auto& entry) { return entry.site == s.victim(); });
          })),
      row("R1 with the site's keys altered", at, RefusalReason::own_entry_altered,
          edit([](const Situation& s, KeyList& m) { entry_of(m.keys, s.victim()).keys.mask = fresh_key(); })),
      row("R1 with another site's keys swapped", at, RefusalReason::bad_signature,
          edit([](const Situation& s, KeyList& m) { entry_of(m.keys, s.sybil()).keys.channel = fresh_key(); })),
      row("R1 with a low-order key", at, RefusalReason::low_order_key, edit([](const Situation& s, KeyList& m) {
            auto& entry = entry_of(m.keys, s.sybil());
            entry.keys.mask = crypto::AgreementPublicKey{};
            sign_keys(s, m.ref, entry);
          })),
      row("R1 with one key under two names", at, RefusalReason::duplicate_key, edit([](const Situation& s, KeyList& m) {
            auto& entry = entry_of(m.keys, s.sybil());
            entry.keys.mask = entry_of(m.keys, s.victim()).keys.mask;
            sign_keys(s, m.ref, entry);
          })),
      row("R1 with a key of the last round", at, RefusalReason::reused_key, edit([](const Situation& s, KeyList& m) {
            auto& entry = entry_of(m.keys, s.sybil());
            entry.keys.mask = s.coordinator.key_of_last_round(entry.site);
            sign_keys(s, m.ref, entry);
          })),
      row("R1 with two sites", at, RefusalReason::cohort_too_small,
          edit([](const Situation&, KeyList& m) { m.keys.resize(2); })),
      row("R1 with a site that was not asked", at, RefusalReason::survivors_not_subset,
          edit([](const Situation&, KeyList& m) { m.keys.back().site = 900; })),
      row("R1 under another H(P)", at, RefusalReason::parameters_differ,
          edit([](const Situation&, KeyList& m) { m.ref.parameters[0] ^= 1; })),
      row("R1 of another attempt", at, RefusalReason::stale_attempt,
          edit([](const Situation&, KeyList& m) { m.ref.attempt += 1; })),
      row("R1 of another round", at, RefusalReason::stale_round,
          edit([](const Situation&, KeyList& m) { m.ref.round += 1; })),
      row("another attempt is called off", at, RefusalReason::stale_attempt,
          untimely<federation::messages::AttemptAbandoned>(MessageKind::attempt_abandoned,
                                                           [](const Situation& s) {
                                                             const AttemptRef ref = s.ref();
                                                             return federation::messages::AttemptAbandoned{
                                                                 .round = ref.round, .attempt = ref.attempt + 1};
                                                           })),
      row("R1 twice, with fewer sites", at, RefusalReason::second_statement,
          edit([](const Situation&, KeyList& m) { m.keys.pop_back(); }), Timing::on_top),
  };
}

std::vector<Attack> share_attacks() {
  const MessageKind at = MessageKind::routed_shares;
  const auto edit = [](std::function<void(const Situation&, RoutedShares&)> e) {
    return edited<RoutedShares>(std::move(e));
  };
  return {
      row("R2 with a site outside U1", at, RefusalReason::survivors_not_subset,
          edit([](const Situation&, RoutedShares& m) { m.survivors.push_back(900); })),
      row("R2 without the site itself", at, RefusalReason::own_entry_missing,
          edit([](const Situation& s, RoutedShares& m) { std::erase(m.survivors, s.victim()); })),
      row("R2 with too few survivors", at, RefusalReason::too_few_survivors,
          edit([](const Situation& s, RoutedShares& m) {
            m.survivors = {std::min(s.victim(), s.sybil()), std::max(s.victim(), s.sybil())};
          })),
      row("R2 with a share missing", at, RefusalReason::survivors_not_subset,
          edit([](const Situation&, RoutedShares& m) { m.shares.pop_back(); })),
      row("R2 with shares of two dealers swapped", at, RefusalReason::share_unreadable,
          edit([](const Situation&, RoutedShares& m) { std::swap(m.shares[0].sealed, m.shares[1].sealed); })),
      row("R2 with a share that was sealed for another site", at, RefusalReason::share_unreadable,
          edit([](const Situation& s, RoutedShares& m) {
            const RosterIndex dealer = m.shares.back().peer;
            const RosterIndex other = m.shares.front().peer;
            const auto wrong =
                RoutedShares::decode(s.coordinator.last_to(other, MessageKind::routed_shares).value().payload())
                    .value();
            for (const federation::messages::SealedShares& share : wrong.shares)
              if (share.peer == dealer) m.shares.back() = share;
          })),
      row("R2 with a share changed", at, RefusalReason::share_unreadable,
          edit([](const Situation&, RoutedShares& m) { m.shares[0].sealed[10] ^= 1; })),
      row("R2 with another commitment to a seed", at, RefusalReason::share_commitment_differs,
          edit([](const Situation&, RoutedShares& m) { m.shares[0].self_seed_commitment[0] ^= 1; })),
      row("R2 with another commitment to a mask key", at, RefusalReason::share_commitment_differs,
          edit([](const Situation&, RoutedShares& m) { m.shares[0].mask_key_commitment[0] ^= 1; })),
      row("R2 under another H(P)", at, RefusalReason::parameters_differ,
          edit([](const Situation&, RoutedShares& m) { m.ref.parameters[0] ^= 1; })),
      row("R2 twice, with fewer survivors", at, RefusalReason::second_statement,
          edit([](const Situation&, RoutedShares& m) {
            m.survivors.pop_back();
            m.shares.pop_back();
          }),
          Timing::on_top),
      row("chunks outside the vector are asked for", at, RefusalReason::chunk_out_of_bounds,
          untimely<ChunkRequest>(MessageKind::chunk_request,
                                 [](const Situation& s) {
                                   return ChunkRequest{s.ref(), {900}, false};
                                 }),
          Timing::on_top),
      row("unmask request before the statement", at, RefusalReason::unexpected_kind,
          untimely<UnmaskRequest>(MessageKind::unmask_request,
                                  [](const Situation& s) {
                                    return UnmaskRequest{s.ref(), {}};
                                  }),
          Timing::on_top),
  };
}

std::vector<Attack> consistency_attacks() {
  const MessageKind at = MessageKind::consistency_request;
  const auto edit = [](std::function<void(const Situation&, ConsistencyRequest&)> e) {
    return edited<ConsistencyRequest>(std::move(e));
  };
  return {
      row("R4 with another vector of a site", at, RefusalReason::bad_signature,
          edit(
              [](const Situation& s, ConsistencyRequest& m) { entry_of(m.committed, s.sybil()).vector_hash[0] ^= 1; })),
      row("R4 with the site's own vector altered", at, RefusalReason::own_entry_altered,
          edit([](const Situation& s, ConsistencyRequest& m) {
            entry_of(m.committed, s.victim()).vector_hash[0] ^= 1;
          })),
      row("R4 without the site's vector", at, RefusalReason::own_entry_missing,
          edit([](const Situation& s, ConsistencyRequest& m) {
            std::erase_if(m.committed, [&](const auto& entry) { return entry.site == s.victim(); });
          })),
      row("R4 with too few vectors", at, RefusalReason::too_few_survivors,
          edit([](const Situation&, ConsistencyRequest& m) { m.committed.resize(2); })),
      row("R4 with another U2", at, RefusalReason::statement_differs,
          edit([](const Situation&, ConsistencyRequest& m) { m.survivors.pop_back(); })),
      row("R4 with a site outside U2", at, RefusalReason::survivors_not_subset,
          edit([](const Situation&, ConsistencyRequest& m) { m.committed.back().site = 900; })),
      row("R4 with one site twice", at, RefusalReason::malformed,
          edit([](const Situation&, ConsistencyRequest& m) { m.committed[1] = m.committed[0]; })),
      row("R4 under another H(P)", at, RefusalReason::parameters_differ,
          edit([](const Situation&, ConsistencyRequest& m) { m.ref.parameters[0] ^= 1; })),
      row("R4 twice, with another U3", at, RefusalReason::second_statement,
          edit([](const Situation&, ConsistencyRequest& m) { m.committed.pop_back(); }), Timing::on_top),
      row(
          "R1 again after the statement", at, RefusalReason::unexpected_kind,
          [](const Situation& s) {
            return std::vector<Bytes>{s.coordinator.last_to(s.victim(), MessageKind::key_list).value().wire()};
          },
          Timing::on_top),
      row(
          "R2 again after the statement", at, RefusalReason::unexpected_kind,
          [](const Situation& s) {
            return std::vector<Bytes>{s.coordinator.last_to(s.victim(), MessageKind::routed_shares).value().wire()};
          },
          Timing::on_top),
  };
}

// A statement over a smaller U3, signed by every colluder: the site's release would open another sum.
std::vector<Bytes> signatures_of_another_statement(const Situation& s) {
  auto request = s.decoded<UnmaskRequest>();
  const auto shown =
      ConsistencyRequest::decode(s.coordinator.last_to(s.victim(), MessageKind::consistency_request).value().payload())
          .value();
  const auto keys = KeyList::decode(s.coordinator.last_to(s.victim(), MessageKind::key_list).value().payload()).value();
  auto smaller = shown.committed;
  smaller.pop_back();
  const Digest statement = federation::secagg::consistency_statement(
      request.ref.parameters,
      {federation::secagg::key_list_hash(request.ref.parameters, keys.keys), shown.survivors, smaller});
  for (federation::messages::SiteSignature& entry : request.signatures)
    if (entry.site != s.victim()) entry.signature = s.coordinator.sybil(entry.site).identity().sign(statement);
  return {s.again(request.encode())};
}

std::vector<Attack> unmask_attacks() {
  const MessageKind at = MessageKind::unmask_request;
  const auto edit = [](std::function<void(const Situation&, UnmaskRequest&)> e) {
    return edited<UnmaskRequest>(std::move(e));
  };
  return {
      row("R5 with too few signatures", at, RefusalReason::too_few_signatures,
          edit([](const Situation&, UnmaskRequest& m) { m.signatures.resize(2); })),
      row("R5 without signatures", at, RefusalReason::too_few_signatures,
          edit([](const Situation&, UnmaskRequest& m) { m.signatures.clear(); })),
      row("R5 with a forged signature", at, RefusalReason::bad_signature,
          edit([](const Situation&, UnmaskRequest& m) { m.signatures[0].signature[5] ^= 1; })),
      row("R5 with a signature of a site outside U3", at, RefusalReason::survivors_not_subset,
          edit([](const Situation&, UnmaskRequest& m) { m.signatures.back().site = 900; })),
      row("R5 with one signature twice", at, RefusalReason::malformed,
          edit([](const Situation&, UnmaskRequest& m) { m.signatures[1] = m.signatures[0]; })),
      row("R5 of another attempt", at, RefusalReason::stale_attempt,
          edit([](const Situation&, UnmaskRequest& m) { m.ref.attempt += 1; })),
      row("R5 under another H(P)", at, RefusalReason::stale_attempt,
          edit([](const Situation&, UnmaskRequest& m) { m.ref.parameters[0] ^= 1; })),
      row("R5 with signatures of another U3", at, RefusalReason::bad_signature, signatures_of_another_statement),
      row(
          "another attempt after the release", at, RefusalReason::round_already_unmasked,
          [](const Situation& s) {
            auto p =
                RoundParameters::decode(s.coordinator.last_to(s.victim(), MessageKind::parameters).value().payload())
                    .value();
            p.attempt += 1;
            return std::vector<Bytes>{s.seal(MessageKind::parameters, p.encode())};
          },
          Timing::on_top),
      row(
          "a second sum on one model", at, RefusalReason::model_already_released,
          [](const Situation& s) {
            auto task = federation::messages::TrainTask::decode(
                            s.coordinator.last_to(s.victim(), MessageKind::train_task).value().payload())
                            .value();
            task.round += 1;
            return std::vector<Bytes>{s.seal(MessageKind::train_task, task.encode())};
          },
          Timing::on_top),
      row(
          "another U3 after the release", at, RefusalReason::second_statement,
          [](const Situation& s) {
            auto request = ConsistencyRequest::decode(
                               s.coordinator.last_to(s.victim(), MessageKind::consistency_request).value().payload())
                               .value();
            request.committed.pop_back();
            return std::vector<Bytes>{s.seal(MessageKind::consistency_request, request.encode())};
          },
          Timing::on_top),
  };
}

}  // namespace

std::vector<Attack> round_attacks() {
  std::vector<Attack> out;
  for (auto* table :
       {&early_attacks, &parameter_attacks, &key_attacks, &share_attacks, &consistency_attacks, &unmask_attacks})
    for (Attack& attack : (*table)()) out.push_back(std::move(attack));
  return out;
}

}  // namespace fovea::test
