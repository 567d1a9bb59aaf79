// Why sites are left out of a run, with the signed messages that show it. Everything is durable when a function
// returns: a site stays out over restarts, until an administrator pardons it (federation/membership/pardon.h).
//
//   runs/<run>/blame/<site>              the blame in force       blame/<site>.pardon   signed, not yet taken up
//   runs/<run>/blame/pardoned/<digest>   what was pardoned        …/<digest>.pardon     and by whom
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/membership/blame.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::store {

using federation::membership::Blame;

class BlameFolder {
 public:
  explicit BlameFolder(const std::filesystem::path& run_folder) : folder_(run_folder / "blame") {}

  // The blames in force, by name of the site. corruption names the file: then nobody may be let in again unseen.
  Result<std::vector<Blame>> standing() const;
  Result<std::optional<Blame>> find(const SiteId& site) const;
  Result<void> add(const Blame& blame) const;

  Result<void> put_pardon(const SiteId& site, const federation::membership::SignedDocument& pardon) const;
  Result<std::optional<federation::membership::SignedDocument>> pardon_of(const SiteId& site) const;
  void drop_pardon(const SiteId& site) const;
  // Moves blame and pardon aside; the evidence is kept.
  Result<void> close(const Blame& blame, const federation::membership::SignedDocument& pardon) const;

 private:
  std::filesystem::path file(const SiteId& site) const { return folder_ / site.text(); }
  std::filesystem::path pardon_file(const SiteId& site) const { return folder_ / (site.text() + ".pardon"); }

  std::filesystem::path folder_;
};

}  // namespace fovea::coordinator::store
