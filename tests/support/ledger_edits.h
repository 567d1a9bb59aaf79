// What somebody does without any key who was handed a copy of a ledger: changes an entry, and the tiles above it so
// that every file agrees with every other. Only the signed root is as it was.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "crypto/merkle_log.h"
#include "crypto/signed_note.h"
#include "federation/ledger/tile.h"
#include "federation/ledger/tile_check.h"
#include "tests/support/ledger_folder.h"

namespace fovea::test {

inline std::uint64_t size_in_checkpoint(const fs::path& ledger) {
  const auto note = crypto::SignedNote::parse(as_bytes(slurp(ledger / "checkpoint")));
  FOVEA_CHECK(note.has_value());
  return crypto::Checkpoint::parse(note->text).value().size;
}

// The first entry whose text has all of `parts`.
inline std::uint64_t find_entry(const fs::path& ledger, const std::vector<std::string>& parts) {
  const std::uint64_t size = size_in_checkpoint(ledger);
  for (std::uint64_t index = 0; index < size; ++index) {
    const std::string text = federation::ledger::read_entry(ledger, size, index).value();
    bool has_all = true;
    for (const std::string& part : parts) has_all = has_all && text.find(part) != std::string::npos;
    if (has_all) return index;
  }
  FOVEA_CHECK(false);
  return 0;
}

// With the tiles of so many levels above it, from 0 on.
inline void edit_entry(const fs::path& ledger, std::uint64_t index, const std::function<std::string(std::string)>& edit,
                       unsigned levels = 8) {
  using namespace federation::ledger;
  const std::uint64_t size = size_in_checkpoint(ledger);
  std::uint64_t tile = index / kTileWidth;
  const TileName bundle{{}, tile, tile_width(0, tile, size)};
  const std::string bytes = slurp(ledger / bundle.path());
  std::vector<std::string> entries;
  for (const ByteView entry : decode_bundle(as_bytes(bytes), bundle.width).entries)
    entries.emplace_back(as_text(entry));
  entries.at(index % kTileWidth) = edit(entries.at(index % kTileWidth));
  spill(ledger / bundle.path(), as_text(encode_bundle(entries)));
  std::vector<Digest> hashes;
  for (const std::string& entry : entries) hashes.push_back(crypto::merkle_leaf(as_bytes(entry)));
  for (unsigned level = 0; level < levels; ++level) {
    const std::uint64_t width = hashes.size();
    spill(ledger / tile_path(level, tile, width), as_text(encode_tile(hashes)));
    if (width < kTileWidth) return;
    const Digest root = crypto::merkle_root(hashes);
    const TileName above{level + 1, tile / kTileWidth, tile_width(level + 1, tile / kTileWidth, size)};
    hashes = decode_tile(as_bytes(slurp(ledger / above.path())), above.width).value();
    hashes.at(tile % kTileWidth) = root;
    tile /= kTileWidth;
  }
}

// The first hex digit of a field is another one.
inline std::string with_other_digit(std::string text, std::string_view field) {
  const std::string name = "\"" + std::string(field) + "\":\"";
  const std::size_t at = text.find(name);
  FOVEA_CHECK(at != std::string::npos);
  char& digit = text[at + name.size()];
  digit = digit == '0' ? '1' : '0';
  return text;
}

inline void edit_field(const fs::path& ledger, std::uint64_t index, std::string_view field, unsigned levels = 8) {
  edit_entry(
      ledger, index, [&](std::string text) { return with_other_digit(std::move(text), field); }, levels);
}

}  // namespace fovea::test
