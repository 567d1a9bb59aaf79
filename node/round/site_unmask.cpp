// R4 and R5 at a site: one statement signed, then one release of shares, each durable before it is sent.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/check.h"
#include "node/round/site_core.h"

namespace fovea::node::round {

using federation::messages::MessageKind;
using federation::messages::Refusal;
using federation::messages::RefusalReason;
using federation::messages::RevealedSecret;

// ---- R4

std::optional<Refusal> SiteMachine::Core::check_consistency(
    const MaskedSent& from, const federation::messages::ConsistencyRequest& request) const {
  const federation::secagg::AttemptContext& context = from.masked.attempt.context;
  if (auto broken = check_ref(request.ref, context)) return broken;
  if (auto expired = check_roster_valid()) return expired;
  if (request.survivors != from.masked.survivors)
    return federation::messages::refused(RefusalReason::statement_differs,
                                         "another U2 than the one this site masked for");
  const std::vector<RosterIndex> committed = federation::messages::sites_of(request.committed);
  if (!std::includes(request.survivors.begin(), request.survivors.end(), committed.begin(),
                     committed.end()))  // both ascend
    return federation::messages::refused(RefusalReason::survivors_not_subset, "U3 has a site outside U2");
  if (auto few = check_survivors(context, committed, "U3")) return few;
  const Digest survivors = federation::secagg::survivors_hash(context.parameters_hash, request.survivors);
  bool own_found = false;
  for (const federation::messages::CommittedVector& entry : request.committed) {
    if (entry.site == self) {
      own_found = true;
      if (!(entry == from.own))
        return federation::messages::refused(RefusalReason::own_entry_altered,
                                             "another vector is listed for this site");
      continue;
    }
    const Digest statement = federation::secagg::masked_statement(
        context.parameters_hash,
        {entry.site, entry.vector_hash, survivors, entry.self_seed_commitment, entry.tag_hash});
    if (!has_signed(entry.site, statement, entry.signature))
      return federation::messages::refused(RefusalReason::bad_signature,
                                           "masked vector of " + config.roster.sites[entry.site].id.text());
  }
  if (!own_found)
    return federation::messages::refused(RefusalReason::own_entry_missing, "this site's vector is not in U3");
  return std::nullopt;
}

// What R5 will say: with U3 fixed there is nothing left to choose.
SiteOutbound SiteMachine::Core::make_release(const MaskedSent& from, std::span<const RosterIndex> committed) const {
  federation::messages::UnmaskShares shares{.ref = from.masked.attempt.context.ref(), .shares = {}};
  for (const RosterIndex subject : from.masked.attempt.context.holders(self, from.masked.survivors)) {
    const auto held =
        std::find_if(from.masked.held.begin(), from.masked.held.end(),
                     [&](const federation::secagg::HeldShares& entry) { return entry.dealer == subject; });
    FOVEA_CHECK(held != from.masked.held.end());
    // Exactly one kind per peer: both secrets together would unmask its vector.
    const bool in_sum = contains(committed, subject);
    const auto share = in_sum ? held->self_seed.encode() : held->mask_key.encode();
    federation::messages::RevealedShare revealed{
        .subject = subject, .secret = in_sum ? RevealedSecret::self_seed : RevealedSecret::mask_key};
    std::copy(share.view().begin(), share.view().end(), revealed.share.begin());
    shares.shares.push_back(revealed);
  }
  return seal(MessageKind::unmask_shares, shares.encode(), shares.ref);
}

void SiteMachine::Core::sign_consistency(MaskedSent& from, const federation::messages::ConsistencyRequest& request,
                                         const Digest& request_digest) {
  const federation::secagg::AttemptContext& context = from.masked.attempt.context;
  SignedMark signing{.ref = context.ref(),
                     .request = request_digest,
                     .statement = federation::secagg::consistency_statement(
                         context.parameters_hash, {context.key_list, request.survivors, request.committed}),
                     .model_hash = context.parameters.model_hash,
                     .signatures_min = static_cast<std::uint16_t>(context.parameters.signatures_min()),
                     .threshold = context.parameters.thresholds.threshold};
  const std::vector<RosterIndex> committed = federation::messages::sites_of(request.committed);
  signing.voters = committed;
  signing.holders = context.holders(self, committed);
  signing.survivors = request.survivors;
  if (const auto& repeats = context.parameters.repeats) signing.repeats = repeats->released;
  const federation::messages::ConsistencySignature signature{signing.ref, config.identity.sign(signing.statement)};
  SiteOutbound message = seal(MessageKind::consistency_signature, signature.encode(), signature.ref);
  signing.wire = message.wire;
  signing.release = make_release(from, committed).wire;
  // Durable first: a site that forgot what it signed could be asked to sign a second U3.
  mark(std::move(signing));
  send(std::move(message));
  // Every secret of the attempt is wiped with the phase that ends here.
  phase = ConsistencySigned{std::move(from.masked.trained), signature.ref};
}

void SiteMachine::Core::resend_signature(const federation::messages::SignedMessage& message,
                                         const federation::messages::AttemptRef& ref) {
  const auto& signed_before = memory.consistency;
  if (!signed_before || signed_before->ref != ref || !is_open(ref)) return refuse_forgotten(message, ref);
  if (signed_before->request != message.payload_digest())
    return refuse(RefusalReason::second_statement, "another statement of this attempt is signed already");
  send({MessageKind::consistency_signature, ref.round, ref.attempt, signed_before->wire});
}

void SiteMachine::Core::on_consistency_request(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::ConsistencyRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  std::visit(Overloaded{
                 [&](BetweenAttempts auto&) { resend_signature(message, decoded->ref); },
                 [&](KeysSent&) { refuse_unexpected(message); },
                 [&](SharesSent&) { refuse_unexpected(message); },
                 [&](MaskedSending&) { refuse_unexpected(message); },
                 [&](MaskedSent& p) {
                   if (auto broken = check_consistency(p, *decoded)) {
                     if (decoded->ref == p.masked.attempt.context.ref()) report_failure(decoded->ref, broken->reason);
                     return refuse(std::move(*broken));
                   }
                   sign_consistency(p, *decoded, message.payload_digest());
                 },
                 [&](ConsistencySigned& p) {
                   if (decoded->ref != p.ref) return refuse_unexpected(message);
                   resend_signature(message, decoded->ref);
                 },
                 [&](Unmasked& p) {
                   if (decoded->ref != p.ref) return refuse_unexpected(message);
                   resend_signature(message, decoded->ref);
                 },
             },
             phase);
}

// ---- R5

std::optional<Refusal> SiteMachine::Core::check_unmask(const SignedMark& statement,
                                                       const federation::messages::UnmaskRequest& request) const {
  if (auto release = check_round_unreleased(request.ref.round)) return release;
  if (auto release = check_unreleased(statement)) return release;
  if (memory.measured && memory.measured->model_hash == statement.model_hash)
    if (auto released = check_statistic(statement.model_hash, memory.measured->studies)) return released;
  if (auto expired = check_roster_valid()) return expired;
  std::size_t of_holders = 0;
  for (const federation::messages::SiteSignature& entry : request.signatures) {
    if (!contains(statement.voters, entry.site) || !knows(entry.site))
      return federation::messages::refused(RefusalReason::survivors_not_subset, "a signature of a site outside U3");
    if (!has_signed(entry.site, statement.statement, entry.signature))
      return federation::messages::refused(RefusalReason::bad_signature,
                                           "consistency statement of " + config.roster.sites[entry.site].id.text());
    of_holders += contains(statement.holders, entry.site) ? 1U : 0U;
  }
  // The codec lets each site appear once, so these are distinct. In a graph t neighbours make the statement unique
  // around this site; only more than half of all sites, m counted twice, make it unique over the ring.
  if (request.signatures.size() < statement.signatures_min)
    return federation::messages::refused(RefusalReason::too_few_signatures,
                                         std::to_string(request.signatures.size()) + " signatures, at least " +
                                             std::to_string(statement.signatures_min) + " are needed");
  if (of_holders < statement.threshold)
    return federation::messages::refused(RefusalReason::too_few_signatures,
                                         std::to_string(of_holders) +
                                             " signatures of sites that count here, the threshold is " +
                                             std::to_string(statement.threshold));
  return std::nullopt;
}

void SiteMachine::Core::release_shares(const federation::messages::SignedMessage& message,
                                       const federation::messages::UnmaskRequest& request) {
  const federation::messages::AttemptRef& ref = request.ref;
  if (memory.unmasked && memory.unmasked->ref == ref) {
    if (!is_open(ref)) return refuse_forgotten(message, ref);
    if (memory.unmasked->wire.empty())
      return refuse(RefusalReason::round_already_unmasked, "what was released in this round was erased at its end");
    // Marked but never sent: the site crashed, and has since released shares on this model in another run.
    if (const Release& release = memory.released_models.at(memory.unmasked->model_hash); release.run != config.run)
      return refuse(refuse_released(release));
    return send({MessageKind::unmask_shares, ref.round, ref.attempt, memory.unmasked->wire});
  }
  if (memory.unmasked && memory.unmasked->ref.round >= ref.round)
    return refuse(RefusalReason::round_already_unmasked, "shares of another attempt of this round were released");
  // A statement is void once a later attempt was joined, or its own was abandoned: the gate is closed, and a release
  // that cannot leave must not use the model up.
  if (!memory.consistency || memory.consistency->ref != ref || !is_open(ref) || memory.consistency->release.empty())
    return refuse_forgotten(message, ref);
  if (auto broken = check_unmask(*memory.consistency, request)) {
    report_failure(ref, broken->reason);
    return refuse(std::move(*broken));
  }
  SiteOutbound release{MessageKind::unmask_shares, ref.round, ref.attempt, memory.consistency->release};
  // Durable first: a site that forgot this could take part in another sum of this round or on this model.
  mark(UnmaskedMark{ref, memory.consistency->model_hash, release.wire});
  complete_register();
  send(std::move(release));
  if (auto* signed_phase = std::get_if<ConsistencySigned>(&phase)) {
    TrainedUpdate trained = std::move(signed_phase->trained);
    phase = Unmasked{std::move(trained), ref};
  }
}

void SiteMachine::Core::on_unmask_request(const federation::messages::SignedMessage& message) {
  auto decoded = federation::messages::UnmaskRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  std::visit(Overloaded{
                 // Here too: a site may have restarted after R4.
                 [&](BetweenAttempts auto&) { release_shares(message, *decoded); },
                 [&](KeysSent&) { refuse_unexpected(message); },
                 [&](SharesSent&) { refuse_unexpected(message); },
                 [&](MaskedSending&) { refuse_unexpected(message); },
                 [&](MaskedSent&) { refuse_unexpected(message); },
                 [&](ConsistencySigned& p) {
                   if (decoded->ref != p.ref)
                     return refuse(RefusalReason::stale_attempt, "another attempt's signatures");
                   release_shares(message, *decoded);
                 },
                 [&](Unmasked&) { release_shares(message, *decoded); },
             },
             phase);
}

}  // namespace fovea::node::round
