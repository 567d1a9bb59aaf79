// Texts that must not be in a ledger, names and identifiers of patients, and the search for them. A list that could not
// match anything must not pass for a search that found nothing.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea::audit {

// One text, without white space around it. invalid_argument, under the name `where`: not UTF-8, or so short that it
// would be found by chance.
Result<std::string> checked_canary(std::string_view text, std::string_view where);

// The texts of a file, one a line; blank lines and the mark of UTF-8 are skipped. invalid_argument names the file and
// the line: another encoding, in which nothing would be found, no text at all, or one that is too short.
Result<std::vector<std::string>> read_canary_file(const std::filesystem::path& file);

class CanarySearch {
 public:
  explicit CanarySearch(const std::vector<std::string>& canaries);

  // Positions of those that occur in this JSON text, as they are written or with other capitals (A to Z). A short plain
  // word counts only as a whole word that is neither a bare number nor the name of a field: hashes hold short ones by
  // chance.
  std::vector<std::size_t> found_in(std::string_view json) const;
  bool empty() const noexcept { return canaries_.empty(); }

 private:
  struct Canary {
    std::string text;  // small letters, as JSON writes it
    bool short_word = false;
  };
  std::vector<Canary> canaries_;
};

}  // namespace fovea::audit
