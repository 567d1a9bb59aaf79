// R1 and R2 at the coordinator: keys and sealed shares collected, checked and routed. Nothing here is secret.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/round/round_core.h"
#include "crypto/secret_bytes.h"

namespace fovea::coordinator::round {

using federation::messages::MessageKind;
using federation::messages::RefusalReason;

namespace {

// X25519 with any key shows whether the other one is of low order.
bool is_low_order(const crypto::AgreementPublicKey& key) {
  const auto probe = crypto::AgreementKey::from_private(crypto::SecretKey());
  return !probe.shared_secret(key).has_value();
}

}  // namespace

void RoundMachine::Core::on_keys(const federation::messages::SignedMessage& message, RosterIndex site) {
  const auto decoded = federation::messages::KeysMessage::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (!is_current(decoded->ref, message, site)) return;
  auto* collecting = std::get_if<CollectingKeys>(&phase);
  if (collecting == nullptr) return refuse(RefusalReason::unexpected_kind, "keys are not collected now");
  if (!contains(collecting->context.parameters.candidates, site) || collecting->gone.contains(site))
    return refuse_to(site, message, RefusalReason::not_a_candidate, "keys of a site outside U0");
  const federation::messages::AdvertisedKeys& keys = decoded->keys;
  if (const auto known = collecting->keys.find(site); known != collecting->keys.end()) {
    if (!(known->second == keys))
      refuse_to(site, message, RefusalReason::second_statement, "other keys in the same attempt");
    return;
  }
  const auto condemn = [&](RefusalReason reason, const std::string& detail) {
    refuse_to(site, message, reason, detail);
    blame(site, reason, {message.wire()});
    drop(site);
  };
  const Digest statement = federation::secagg::keys_statement(collecting->context.parameters_hash, site, keys);
  if (crypto::check_signature(key_of(site), statement, keys.signature) != crypto::SignatureVerdict::valid)
    return condemn(RefusalReason::bad_signature, "signature of the keys");
  if (is_low_order(keys.channel) || is_low_order(keys.mask))
    return condemn(RefusalReason::low_order_key, "a key of low order");
  if (keys.channel == keys.mask) return condemn(RefusalReason::duplicate_key, "one key for two purposes");
  if (keys_seen.contains(keys.channel) || keys_seen.contains(keys.mask))
    return condemn(RefusalReason::reused_key, "a key of an earlier attempt");
  for (const auto& [other, listed] : collecting->keys)
    for (const auto& key : {listed.channel, listed.mask})
      if (key == keys.channel || key == keys.mask)
        return condemn(RefusalReason::duplicate_key, "a key that another site has listed");
  collecting->keys.emplace(site, keys);
  progress = now;
  consider_keys(false);
}

void RoundMachine::Core::consider_keys(bool deadline) {
  auto& collecting = std::get<CollectingKeys>(phase);
  const federation::secagg::RoundParameters& p = collecting.context.parameters;
  if (!deadline && collecting.keys.size() + collecting.gone.size() < p.candidates.size()) return;
  for (const RosterIndex site : p.candidates)
    if (!collecting.keys.contains(site) && !collecting.gone.contains(site))
      trainees[site].readiness = Readiness::awaited;
  std::vector<RosterIndex> to;
  for (const auto& [site, keys] : collecting.keys) to.push_back(site);
  // A site with too few neighbours left could not share its secrets; it stays ready for the next attempt.
  prune_isolated(collecting.context, to);
  if (to.size() < std::max<std::size_t>(p.survivors_min(), cohort_min()))
    return retry(RefusalReason::cohort_too_small, "keys of " + count_of_sites(to.size()) + " only");
  federation::secagg::AttemptContext context = std::move(collecting.context);
  for (const RosterIndex site : to) context.keys.push_back({site, collecting.keys.at(site)});
  context.key_list = federation::secagg::key_list_hash(context.parameters_hash, context.keys);
  send(to, MessageKind::key_list, federation::messages::KeyList{context.ref(), context.keys}.encode());
  phase = CollectingShares{.context = std::move(context), .dealers = {}, .gone = {}};
  progress = asked = now;
}

void RoundMachine::Core::on_shares(const federation::messages::SignedMessage& message, RosterIndex site) {
  auto decoded = federation::messages::SharesMessage::decode(message.payload());
  if (!decoded) return refuse_to(site, message, RefusalReason::malformed, decoded.error().message);
  if (!is_current(decoded->ref, message, site)) return;
  auto* collecting = std::get_if<CollectingShares>(&phase);
  if (collecting == nullptr) return refuse(RefusalReason::unexpected_kind, "shares are not collected now");
  if (collecting->context.find(site) == nullptr || collecting->gone.contains(site))
    return refuse_to(site, message, RefusalReason::not_a_candidate, "shares of a site outside U1");
  if (collecting->dealers.contains(site)) return;
  if (decoded->key_list != collecting->context.key_list)
    return refuse_to(site, message, RefusalReason::statement_differs, "shares under another key list");
  std::vector<RosterIndex> recipients;
  for (const federation::messages::ListedKeys& entry : collecting->context.keys)
    if (collecting->context.are_neighbours(entry.site, site)) recipients.push_back(entry.site);
  const bool complete = std::equal(recipients.begin(), recipients.end(), decoded->shares.begin(), decoded->shares.end(),
                                   [](RosterIndex recipient, const auto& shares) { return recipient == shares.peer; });
  if (!complete) {
    refuse_to(site, message, RefusalReason::list_out_of_order, "shares are not for this site's neighbours in U1");
    blame(site, RefusalReason::list_out_of_order, {message.wire()});
    return drop(site);
  }
  collecting->dealers.emplace(
      site, aggregation::DealerCommitments{site, decoded->self_seed_commitment, std::move(decoded->shares)});
  share_wires[site] = message.wire();
  progress = now;
  consider_shares(false);
}

void RoundMachine::Core::consider_shares(bool deadline) {
  auto& collecting = std::get<CollectingShares>(phase);
  const federation::secagg::AttemptContext& context = collecting.context;
  if (!deadline && collecting.dealers.size() + collecting.gone.size() < context.keys.size()) return;
  for (const federation::messages::ListedKeys& entry : context.keys)
    if (!collecting.dealers.contains(entry.site) && !collecting.gone.contains(entry.site))
      trainees[entry.site].readiness = Readiness::awaited;
  CollectingMasked masked;
  for (const auto& [site, dealer] : collecting.dealers) masked.survivors.push_back(site);
  prune_isolated(context, masked.survivors);
  if (masked.survivors.size() < std::max<std::size_t>(context.parameters.survivors_min(), cohort_min()))
    return retry(RefusalReason::too_few_survivors, "shares of " + count_of_sites(masked.survivors.size()) + " only");
  for (const RosterIndex site : masked.survivors) {
    masked.dealers.push_back(std::move(collecting.dealers.at(site)));
    masked.incoming.emplace(site, IncomingVector{});
  }
  masked.context = std::move(collecting.context);
  phase = std::move(masked);
  progress = asked = now;
  grant_vectors(std::get<CollectingMasked>(phase));
}

// Shares are dealt among the candidates of an attempt; who is none of them got none that could be bad. Where the
// attempt is over already, its candidates are not known any more.
bool RoundMachine::Core::may_dispute(RosterIndex accuser, RosterIndex accused) const {
  const federation::secagg::AttemptContext* current = context();
  if (current == nullptr) return trainees.contains(accused);
  const std::vector<RosterIndex>& candidates = current->parameters.candidates;
  return contains(candidates, accuser) && contains(candidates, accused);
}

// Two sites contradict each other about a share, and nobody else can tell who is right: the accused sits out the
// round's further attempts. At most m sites are bad, so a site in dispute with more than m others certainly is: then it
// is left out, and the sites it accused come back.
void RoundMachine::Core::dispute(RosterIndex accuser, RosterIndex accused) {
  disputes.emplace(std::min(accuser, accused), std::max(accuser, accused));
  const auto degree = [&](RosterIndex site) {
    return std::count_if(disputes.begin(), disputes.end(),
                         [&](const auto& pair) { return pair.first == site || pair.second == site; });
  };
  const std::int64_t tolerated = std::max<std::int64_t>(1, setup.thresholds.colluders_max);
  for (const RosterIndex site : {accuser, accused}) {
    if (degree(site) <= tolerated) continue;
    blame(site, RefusalReason::disputed_shares, {});
    for (const auto& [low, high] : disputes) {
      const RosterIndex other = low == site ? high : low;
      if ((low == site || high == site) && degree(other) <= tolerated) excluded.erase(other);
    }
    return;
  }
  excluded.insert(accused);
  effects.notices.push_back(id_of(accuser).text() + " and " + id_of(accused).text() + " disagree about a share");
}

// People at more than half of the sites have not accepted this one yet: it sits out the round, and they go on. Fewer
// could keep any site out by saying so.
void RoundMachine::Core::note_stranger(RosterIndex accuser, RosterIndex stranger) {
  const federation::secagg::AttemptContext* current = context();
  if (current == nullptr) return;
  const std::vector<RosterIndex>& candidates = current->parameters.candidates;
  if (!contains(candidates, stranger) || !contains(candidates, accuser)) return;
  std::set<RosterIndex>& accusers = strangers[stranger];
  accusers.insert(accuser);
  if (2 * accusers.size() <= candidates.size()) return;
  if (excluded.insert(stranger).second) effects.sat_out.push_back({id_of(stranger), accusers.size()});
  for (const RosterIndex site : accusers) trainees[site].readiness = Readiness::ready;
}

}  // namespace fovea::coordinator::round
