#include "node/egress/signed_entries.h"

#include <string>
#include <string_view>
#include <variant>

#include "common/bytes.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "federation/membership/signed_document.h"

namespace fovea::node::egress {
namespace {

using federation::membership::ApprovalDecision;
using federation::membership::PublicKeyBytes;
using federation::membership::RosterSite;
using federation::membership::SignedDocument;

struct Reader {  // who must have signed, and for which site
  const SiteId& site;
  const PublicKeyBytes& approver;
};

template <class Entry>
Result<void> check_decision(const Entry& entry, ApprovalDecision decision, const Reader& reader) {
  FOVEA_TRY_ASSIGN(const SignedDocument document, SignedDocument::parse(entry.approval));
  FOVEA_TRY_ASSIGN(const auto signed_word, federation::membership::verify_approval(document, reader.approver));
  if (signed_word.site != reader.site) return corruption("approval: is for the site " + signed_word.site.text());
  if (signed_word.plan != entry.plan || signed_word.decision != decision)
    return corruption("approval: says something else than the entry");
  return {};
}

template <class Entry>
Result<void> check_word_about_site(const Entry& entry, ByteView evidence, bool ended, const Reader& reader) {
  const RosterSite named{entry.site, entry.identity_key, entry.transport_key, entry.log_key, entry.approver_key};
  FOVEA_TRY_ASSIGN(const SignedDocument document, SignedDocument::parse(evidence));
  FOVEA_TRY_ASSIGN(const auto word, federation::membership::verify_word_about_site(document, reader.approver));
  if (word.ended != ended) return corruption("acquaintance: says something else than the entry");
  if (word.site != reader.site) return corruption("acquaintance: is for the site " + word.site.text());
  if (federation::membership::entry_digest(word.accepted) != federation::membership::entry_digest(named))
    return corruption("acquaintance: is about another site, or other keys, than the entry");
  return {};
}

Result<void> check_word(const federation::ledger::LedgerEntry& entry, const Reader& reader) {
  if (const auto* approved = std::get_if<federation::ledger::PlanApproved>(&entry))
    if (approved->approver == reader.approver) return check_decision(*approved, ApprovalDecision::approved, reader);
  if (const auto* withdrawn = std::get_if<federation::ledger::PlanWithdrawn>(&entry))
    if (withdrawn->approver == reader.approver) return check_decision(*withdrawn, ApprovalDecision::rejected, reader);
  if (const auto* accepted = std::get_if<federation::ledger::RosterAccepted>(&entry))
    if (accepted->approver == reader.approver)
      return check_word_about_site(*accepted, accepted->acceptance, false, reader);
  if (const auto* ended = std::get_if<federation::ledger::RosterWithdrawn>(&entry))
    if (ended->approver == reader.approver) return check_word_about_site(*ended, ended->withdrawal, true, reader);
  return {};
}

}  // namespace

Result<void> check_signed_entry(std::uint64_t index, const federation::ledger::LedgerEntry& entry, const SiteId& site,
                                const PublicKeyBytes& approver) {
  const auto holds = check_word(entry, {site, approver});
  if (holds) return {};
  return corruption("ledger entry " + std::to_string(index) + " (" +
                    std::string(federation::ledger::entry_type(entry)) + "): " + holds.error().message +
                    ": nobody at this site signed what it says, so somebody else wrote it into the ledger. Do not go "
                    "on with it\n  fix: put the newest copies of ledger/ and newest-checkpoint from before it back; "
                    "without them keep the folder for an auditor, and go on under new keys in a new folder, which "
                    "data/ and register move to");
}

}  // namespace fovea::node::egress
