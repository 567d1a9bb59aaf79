// Why the coordinator leaves a site out of a run, with the signed messages that show it: in a file of its own, whose
// digest the coordinator's ledger and a pardon name. An auditor reads it too.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/signed_document.h"

namespace fovea::federation::membership {

inline constexpr std::size_t kBlameBytesMax = std::size_t{1} << 30U;

struct Blame {
  SiteId site;
  PublicKeyBytes key{};  // the site's identity key on the roster in force
  RunId run{};
  RoundNumber round = 0;
  std::string reason{};           // a refusal's name
  std::vector<Bytes> evidence{};  // wires of signed messages; none where nobody can tell which of two sites is right

  Digest digest() const;  // of all of it: a pardon names it
  Bytes encode() const;
  static Result<Blame> decode(ByteView bytes);  // corruption: damaged
};

}  // namespace fovea::federation::membership
