// R4 and R5 at a site: one statement signed, then one release of shares, each durable before it is sent.
#include <algorithm>

#include "node/round/site_core.h"

namespace fovea::node {

using federation::MessageKind;
using federation::Refusal;
using federation::RefusalReason;
using federation::RevealedSecret;

namespace {

bool contains(std::span<const RosterIndex> sites, RosterIndex site) {
  return std::find(sites.begin(), sites.end(), site) != sites.end();
}

Refusal refused(RefusalReason reason, std::string detail) { return {reason, std::move(detail)}; }

}  // namespace

// ---- R4

std::optional<Refusal> SiteMachine::Core::check_consistency(const MaskedSent& from,
                                                            const federation::ConsistencyRequest& request) const {
  const federation::AttemptContext& context = from.masked.attempt.context;
  if (auto broken = check_ref(request.ref, context)) return broken;
  if (request.survivors != from.masked.survivors)
    return refused(RefusalReason::statement_differs, "another U2 than the one this site masked for");
  if (request.committed.size() < context.parameters.thresholds.threshold)
    return refused(RefusalReason::too_few_survivors, std::to_string(request.committed.size()) + " sites in U3, the threshold is " +
                                                         std::to_string(context.parameters.thresholds.threshold));
  const Digest survivors = federation::survivors_hash(context.parameters_hash, request.survivors);
  bool own_found = false;
  for (const federation::CommittedVector& entry : request.committed) {
    if (!contains(request.survivors, entry.site)) return refused(RefusalReason::survivors_not_subset, "U3 has a site outside U2");
    if (entry.site == self) {
      own_found = true;
      if (!(entry == from.own)) return refused(RefusalReason::own_entry_altered, "another vector is listed for this site");
      continue;
    }
    const Digest statement = federation::masked_statement(
        context.parameters_hash, {entry.site, entry.vector_hash, survivors, entry.self_seed_commitment});
    if (crypto::check_signature(key_of(entry.site), statement, entry.signature) != crypto::SignatureVerdict::valid)
      return refused(RefusalReason::bad_signature, "masked vector of " + config.roster.sites[entry.site].id.text());
  }
  if (!own_found) return refused(RefusalReason::own_entry_missing, "this site's vector is not in U3");
  return std::nullopt;
}

void SiteMachine::Core::sign_consistency(MaskedSent& from, const federation::ConsistencyRequest& request,
                                         const Digest& request_digest) {
  const federation::AttemptContext& context = from.masked.attempt.context;
  const Digest statement = federation::consistency_statement(context.parameters_hash,
                                                             {context.key_list, request.survivors, request.committed});
  const federation::ConsistencySignature signature{context.ref(), config.identity.sign(statement)};
  SiteOutbound message = seal(MessageKind::consistency_signature, signature.encode(), signature.ref);
  // Durable first: a site that forgot what it signed could be asked to sign a second U3.
  mark(SignedMark{signature.ref, request_digest, statement, message.wire});
  send(std::move(message));
  std::vector<RosterIndex> committed;
  for (const federation::CommittedVector& entry : request.committed) committed.push_back(entry.site);
  phase = ConsistencySigned{std::move(from.masked), std::move(committed), statement};
}

void SiteMachine::Core::resend_signature(const Digest& request_digest, const federation::AttemptRef& ref) {
  const auto& signed_before = memory.consistency;
  if (!signed_before || signed_before->ref != ref)
    return refuse(RefusalReason::forgotten_after_restart, "this attempt's secrets are gone");
  if (signed_before->request != request_digest)
    return refuse(RefusalReason::second_statement, "another statement of this attempt is signed already");
  send({MessageKind::consistency_signature, ref.round, ref.attempt, signed_before->wire});
}

void SiteMachine::Core::on_consistency_request(const federation::SignedMessage& message) {
  auto decoded = federation::ConsistencyRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  const bool joined = memory.joined && memory.joined->ref == decoded->ref;
  const auto without_secrets = [&] {
    if (!joined) return refuse_unexpected(message);
    resend_signature(message.payload_digest(), decoded->ref);
  };
  std::visit(Overloaded{
                 [&](Idle&) { without_secrets(); },
                 [&](Training&) { without_secrets(); },
                 [&](Ready&) { without_secrets(); },
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
                   if (auto broken = check_ref(decoded->ref, p.masked.attempt.context)) return refuse(std::move(*broken));
                   resend_signature(message.payload_digest(), decoded->ref);
                 },
                 [&](Unmasked& p) {
                   if (decoded->ref != p.ref) return refuse_unexpected(message);
                   resend_signature(message.payload_digest(), decoded->ref);
                 },
             },
             phase);
}

// ---- R5

std::optional<Refusal> SiteMachine::Core::check_unmask(const ConsistencySigned& from,
                                                       const federation::UnmaskRequest& request) const {
  const federation::AttemptContext& context = from.masked.attempt.context;
  if (auto broken = check_ref(request.ref, context)) return broken;
  if (auto release = check_release(context.parameters)) return release;
  for (const federation::SiteSignature& entry : request.signatures) {
    if (!contains(from.committed, entry.site)) return refused(RefusalReason::survivors_not_subset, "a signature of a site outside U3");
    if (crypto::check_signature(key_of(entry.site), from.statement, entry.signature) != crypto::SignatureVerdict::valid)
      return refused(RefusalReason::bad_signature, "consistency statement of " + config.roster.sites[entry.site].id.text());
  }
  // The codec lets each site appear once, so these are distinct.
  if (request.signatures.size() < context.parameters.thresholds.threshold)
    return refused(RefusalReason::too_few_signatures, std::to_string(request.signatures.size()) + " signatures, the threshold is " +
                                                          std::to_string(context.parameters.thresholds.threshold));
  return std::nullopt;
}

void SiteMachine::Core::release_shares(ConsistencySigned& from, const federation::UnmaskRequest& request) {
  const federation::AttemptContext& context = from.masked.attempt.context;
  federation::UnmaskShares shares{.ref = request.ref, .shares = {}};
  for (const RosterIndex subject : from.masked.survivors) {
    const auto held = std::find_if(from.masked.held.begin(), from.masked.held.end(),
                                   [&](const federation::HeldShares& entry) { return entry.dealer == subject; });
    FOVEA_CHECK(held != from.masked.held.end());
    // Exactly one kind a peer: with both, its vector would be open.
    const bool in_sum = contains(from.committed, subject);
    const auto share = in_sum ? held->self_seed.encode() : held->mask_key.encode();
    federation::RevealedShare revealed{.subject = subject, .secret = in_sum ? RevealedSecret::self_seed : RevealedSecret::mask_key};
    std::copy(share.view().begin(), share.view().end(), revealed.share.begin());
    shares.shares.push_back(revealed);
  }
  SiteOutbound message = seal(MessageKind::unmask_shares, shares.encode(), shares.ref);
  // Durable first: a site that forgot this could release the other kind of share.
  mark(UnmaskedMark{shares.ref, context.parameters.model_hash, message.wire});
  send(std::move(message));
  const federation::TrainTask task = from.masked.work.task;
  phase = Unmasked{task, shares.ref};  // and every secret of the attempt is wiped here
}

void SiteMachine::Core::resend_shares(const federation::AttemptRef& ref) {
  if (memory.unmasked && memory.unmasked->ref == ref)
    return send({MessageKind::unmask_shares, ref.round, ref.attempt, memory.unmasked->wire});
  if (memory.unmasked && memory.unmasked->ref.round >= ref.round)
    return refuse(RefusalReason::round_already_unmasked, "shares of another attempt of this round were released");
  refuse(RefusalReason::forgotten_after_restart, "this attempt's secrets are gone");
}

void SiteMachine::Core::on_unmask_request(const federation::SignedMessage& message) {
  auto decoded = federation::UnmaskRequest::decode(message.payload());
  if (!decoded) return refuse(RefusalReason::malformed, decoded.error().message);
  std::visit(Overloaded{
                 [&](Idle&) { resend_shares(decoded->ref); },
                 [&](Training&) { resend_shares(decoded->ref); },
                 [&](Ready&) { resend_shares(decoded->ref); },
                 [&](KeysSent&) { refuse_unexpected(message); },
                 [&](SharesSent&) { refuse_unexpected(message); },
                 [&](MaskedSending&) { refuse_unexpected(message); },
                 [&](MaskedSent&) { refuse_unexpected(message); },
                 [&](ConsistencySigned& p) {
                   if (auto broken = check_unmask(p, *decoded)) {
                     if (decoded->ref == p.masked.attempt.context.ref()) report_failure(decoded->ref, broken->reason);
                     return refuse(std::move(*broken));
                   }
                   release_shares(p, *decoded);
                 },
                 [&](Unmasked&) { resend_shares(decoded->ref); },
             },
             phase);
}

}  // namespace fovea::node
