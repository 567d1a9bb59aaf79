#include "audit/blame_evidence.h"

#include <algorithm>
#include <utility>

#include "common/durable_file.h"
#include "crypto/hash.h"
#include "federation/messages/envelope.h"

namespace fovea::audit {
namespace {

using federation::membership::Blame;
using federation::membership::PublicKeyBytes;

bool is_signed_by(const std::vector<PublicKeyBytes>* keys, const SiteId& site, const Bytes& wire) {
  return keys != nullptr && std::any_of(keys->begin(), keys->end(), [&](const PublicKeyBytes& key) {
           return federation::messages::SignedMessage::open(wire, {.sender = site, .key = key}).has_value();
         });
}

void check_message(BlameEvidence& out, const Bytes& wire, const KeyRing& ring) {
  const std::string name = "message " + std::to_string(out.messages.size() + 1);
  EvidenceMessage message{.payload = crypto::sha256(wire)};
  const auto envelope = federation::messages::read_envelope(wire);
  if (!envelope) {
    out.findings.push_back(name + ": " + envelope.error().message);
  } else if (!envelope->header.sender) {
    out.findings.push_back(name + ": is the coordinator's own");
  } else {
    message.kind = std::string(federation::messages::to_string(envelope->header.kind));
    message.sender = envelope->header.sender->text();
    message.is_signed = is_signed_by(ring.identity_keys(message.sender), *envelope->header.sender, wire);
    if (!message.is_signed)
      out.findings.push_back(name + ": is not signed by " + message.sender + ", with a key of a roster that was given");
    if (envelope->header.run != out.blame.run) out.findings.push_back(name + ": is of another run");
  }
  out.messages.push_back(std::move(message));
}

}  // namespace

Result<BlameEvidence> check_evidence(const std::filesystem::path& file, const std::vector<BlameRecord>& named,
                                     const KeyRing& ring, bool ledger_is_damaged) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, federation::membership::kBlameBytesMax));
  auto blame = Blame::decode(bytes);
  if (!blame) return blame.error().with_context(file.string());
  BlameEvidence out{.file = file, .blame = std::move(*blame), .entry = {}, .messages = {}, .findings = {}};
  const Digest digest = out.blame.digest();
  for (const BlameRecord& record : named)
    if (!out.entry && record.blame.evidence == digest && record.blame.site == out.blame.site &&
        record.blame.run == out.blame.run)
      out.entry = record.index;
  if (!out.entry)
    out.findings.push_back(
        std::string("no entry under the checkpoint of the coordinator's ledger names this evidence") +
        (ledger_is_damaged ? ", but that ledger is damaged, and what is missing of it may; that "
                             "accuses nobody"
                           : ""));
  const auto* keys = ring.identity_keys(out.blame.site.text());
  if (keys == nullptr || std::find(keys->begin(), keys->end(), out.blame.key) == keys->end())
    out.findings.push_back("its key is not one of " + out.blame.site.text() + " on a roster that was given");
  for (const Bytes& wire : out.blame.evidence) check_message(out, wire, ring);
  const bool speaks_itself = std::any_of(out.messages.begin(), out.messages.end(), [&](const EvidenceMessage& message) {
    return message.sender == out.blame.site.text();
  });
  if (!out.messages.empty() && !speaks_itself)
    out.findings.push_back("no message of " + out.blame.site.text() + " is in it");
  return out;
}

}  // namespace fovea::audit
