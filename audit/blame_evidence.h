// Why a site was left out of a run: the file of signed messages in the coordinator's folder (blame/<site>), held
// against the coordinator's ledger and the keys of the roster. Whether what the messages say is a fault is for who
// reads them: shown is that they are the ones that the ledger names, and who signed each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit/key_ring.h"
#include "audit/ledger_rules.h"
#include "common/result.h"
#include "federation/membership/blame.h"

namespace fovea::audit {

struct EvidenceMessage {
  std::string kind{}, sender{};
  Digest payload{};  // SHA-256 of the message, as in ledgers
  bool is_signed = false;
};

struct BlameEvidence {
  std::filesystem::path file;
  federation::membership::Blame blame;
  std::optional<std::uint64_t> entry;  // of the coordinator's ledger that names exactly this
  std::vector<EvidenceMessage> messages;
  std::vector<std::string> findings;  // none: the evidence is sound
};

// corruption: the file is not a blame, or was changed. `named` is what the coordinator's ledger says
// under its checkpoint; of a damaged one that is not all that it says.
Result<BlameEvidence> check_evidence(const std::filesystem::path& file, const std::vector<BlameRecord>& named,
                                     const KeyRing& ring, bool ledger_is_damaged);

}  // namespace fovea::audit
