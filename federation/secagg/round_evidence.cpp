#include "federation/secagg/round_evidence.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/contains.h"
#include "common/ids.h"
#include "common/result.h"
#include "crypto/secret_bytes.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/statements.h"

namespace fovea::federation::secagg {
namespace {

using Check = std::optional<messages::Refusal>;

Check check_sets(const RoundEvidence& e, const membership::Roster& roster) {
  if (e.parameters.roster_hash != roster.hash)
    return messages::refused(messages::RefusalReason::roster_differs, "evidence names another roster");
  if (e.parameters.candidates.back() >= roster.sites.size())
    return messages::refused(messages::RefusalReason::list_out_of_order, "a candidate is not in the roster");
  for (const messages::ListedKeys& entry : e.keys)
    if (!contains(e.parameters.candidates, entry.site))
      return messages::refused(messages::RefusalReason::survivors_not_subset, "U1 has a site outside U0");
  if (e.parameters.graph && e.parameters.graph->roster_sites != roster.sites.size())
    return messages::refused(messages::RefusalReason::graph_differs,
                             "a graph of another number of positions than the roster has sites");
  AttemptContext context = AttemptContext::begin(e.parameters);
  context.keys = e.keys;
  for (const RosterIndex site : e.survivors)
    if (context.find(site) == nullptr)
      return messages::refused(messages::RefusalReason::survivors_not_subset, "U2 has a site outside U1");
  for (const messages::CommittedVector& entry : e.committed)
    if (!contains(e.survivors, entry.site))
      return messages::refused(messages::RefusalReason::survivors_not_subset, "U3 has a site outside U2");
  if (e.committed.size() < e.parameters.survivors_min())
    return messages::refused(messages::RefusalReason::too_few_survivors, "fewer sites in the sum than it needs");
  std::vector<RosterIndex> signers;
  const std::vector<RosterIndex> committed = messages::sites_of(e.committed);
  for (const messages::SiteSignature& entry : e.signatures) {
    if (!contains(committed, entry.site))
      return messages::refused(messages::RefusalReason::survivors_not_subset, "a signature of a site outside U3");
    signers.push_back(entry.site);
  }
  if (signers.size() < e.parameters.signatures_min())
    return messages::refused(messages::RefusalReason::too_few_signatures,
                             std::to_string(signers.size()) + " signatures, at least " +
                                 std::to_string(e.parameters.signatures_min()) + " are needed");
  if (context.find_isolated(e.survivors, signers))
    return messages::refused(messages::RefusalReason::too_few_signatures,
                             "a site of U2 has fewer than t neighbours that signed");
  return std::nullopt;
}

Check check_signatures(const RoundEvidence& e, const membership::Roster& roster, const Digest& hash,
                       crypto::VerifiedSignatures& verified) {
  const auto signed_by = [&](RosterIndex site, const Digest& statement, const crypto::Signature& signature) {
    return verified.check(roster.sites[site].identity_key, statement, signature) == crypto::SignatureVerdict::valid;
  };
  for (const messages::ListedKeys& entry : e.keys)
    if (!signed_by(entry.site, keys_statement(hash, entry.site, entry.keys), entry.keys.signature))
      return messages::refused(messages::RefusalReason::bad_signature, "keys of " + roster.sites[entry.site].id.text());
  const Digest survivors = survivors_hash(hash, e.survivors);
  for (const messages::CommittedVector& entry : e.committed) {
    const Digest statement =
        masked_statement(hash, {entry.site, entry.vector_hash, survivors, entry.self_seed_commitment, entry.tag_hash});
    if (!signed_by(entry.site, statement, entry.signature))
      return messages::refused(messages::RefusalReason::bad_signature,
                               "masked vector of " + roster.sites[entry.site].id.text());
  }
  const Digest consistency = e.consistency();
  for (const messages::SiteSignature& entry : e.signatures)
    if (!signed_by(entry.site, consistency, entry.signature))
      return messages::refused(messages::RefusalReason::bad_signature,
                               "consistency statement of site " + std::to_string(entry.site));
  return std::nullopt;
}

Check check_opened(const RoundEvidence& e, const Digest& hash) {
  if (e.opened.size() != e.survivors.size())
    return messages::refused(messages::RefusalReason::evidence_incomplete,
                             "one opened secret for each site of U2 is required");
  AttemptContext context;
  context.keys = e.keys;
  for (std::size_t i = 0; i < e.opened.size(); ++i) {
    const OpenedSecret& secret = e.opened[i];
    const auto vector = std::find_if(e.committed.begin(), e.committed.end(),
                                     [&](const messages::CommittedVector& entry) { return entry.site == secret.site; });
    const bool in_sum = vector != e.committed.end();
    const messages::RevealedSecret kind = in_sum ? messages::RevealedSecret::self_seed
                                                 : messages::RevealedSecret::mask_key;
    if (secret.site != e.survivors[i] || secret.kind != kind)
      return messages::refused(messages::RefusalReason::evidence_incomplete, "the wrong secret was opened");
    if (in_sum) {
      if (self_seed_commitment(hash, secret.site, secret.value) != vector->self_seed_commitment)
        return messages::refused(messages::RefusalReason::share_commitment_differs,
                                 "an opened self seed is not the committed one");
      continue;
    }
    const auto scalar = crypto::SecretKey::from(secret.value, "opened mask key");
    if (!scalar || crypto::agreement_public_key(*scalar) != context.find(secret.site)->mask)
      return messages::refused(messages::RefusalReason::share_commitment_differs,
                               "an opened mask key is not the advertised one");
  }
  return std::nullopt;
}

}  // namespace

Digest RoundEvidence::consistency() const {
  const Digest hash = parameters.hash();
  return consistency_statement(hash, {key_list_hash(hash, keys), survivors, committed});
}

Digest RoundEvidence::transcript() const { return transcript_hash(parameters.hash(), consistency(), sum_hash); }

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, RoundEvidence> e) {
  f.nested("evidence.parameters", e.parameters, kParametersBytesMax);
  messages::entry_list(f, e.keys, &messages::ListedKeys::site);
  messages::site_list(f, "evidence.survivors", e.survivors);
  messages::entry_list(f, e.committed, &messages::CommittedVector::site);
  messages::entry_list(f, e.signatures, &messages::SiteSignature::site);
  f.list("evidence.opened", e.opened, {messages::kCohortMax}, [](Fields& g, auto& secret, auto*) {
    g.u16("evidence.opened.site", secret.site);
    messages::revealed_secret(g, "evidence.opened.kind", secret.kind);
    g.array("evidence.opened.value", secret.value);
  });
  f.array("evidence.sum_hash", e.sum_hash);
}
Bytes RoundEvidence::encode() const { return encode_fields(*this); }
Result<RoundEvidence> RoundEvidence::decode(ByteView payload) {
  return decode_fields<RoundEvidence>(payload, "evidence");
}

std::optional<messages::Refusal> check_evidence(const RoundEvidence& evidence, const membership::Roster& roster) {
  crypto::VerifiedSignatures nothing;
  return check_evidence(evidence, roster, nothing);
}

std::optional<messages::Refusal> check_evidence(const RoundEvidence& evidence, const membership::Roster& roster,
                                                crypto::VerifiedSignatures& verified) {
  if (Check failed = check_sets(evidence, roster)) return failed;
  const Digest hash = evidence.parameters.hash();
  if (Check failed = check_signatures(evidence, roster, hash, verified)) return failed;
  return check_opened(evidence, hash);
}

}  // namespace fovea::federation::secagg
