// The files of a log (C2SP tlog-tiles): where they lie, what is in them, and which of them change as a log grows.
// A hash tile holds 256 hashes of one level (fewer at the right edge, "partial"); an entry bundle holds the entries
// under one level-0 tile, each after its big-endian uint16 length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"

namespace fovea::federation::ledger {

inline constexpr unsigned kTileHeight = 8;  // levels of the tree that one tile spans
inline constexpr std::uint64_t kTileWidth = 256;
inline constexpr std::size_t kBundleBytesMax = kTileWidth * (2 + 65'535);

// Relative to the ledger's folder: "tile/1/x001/234", "tile/0/000.p/17", "tile/entries/000". `width` 1–256.
std::string tile_path(unsigned level, std::uint64_t index, std::uint64_t width);
std::string bundle_path(std::uint64_t index, std::uint64_t width);

// What a path names: a hash tile of `level`, or an entry bundle where there is none.
struct TileName {
  std::optional<unsigned> level{};
  std::uint64_t index = 0;
  std::uint64_t width = kTileWidth;

  std::string path() const { return level ? tile_path(*level, index, width) : bundle_path(index, width); }
  // Nothing but the one path of a tile, in a log of whatever size.
  static std::optional<TileName> parse(std::string_view path);
};

// How many hashes the tile `index` of `level` has in a log of `size` entries; 0 when there is no such tile.
std::uint64_t tile_width(unsigned level, std::uint64_t index, std::uint64_t size);
// Every file that a log of `size` entries consists of, besides the checkpoint.
std::vector<std::string> tile_paths(std::uint64_t size);
// Whether `path` is one of them. Costs the same however large `size` is: a checkpoint may claim any.
bool is_tile_path(std::string_view path, std::uint64_t size);

Bytes encode_tile(std::span<const Digest> hashes);
Result<std::vector<Digest>> decode_tile(ByteView bytes, std::uint64_t width);  // corruption: not width · 32 bytes

Bytes encode_bundle(std::span<const std::string> entries);
// The entries as far as they can be told apart, in order; `whole` when there are `count` and nothing is left over.
struct Bundle {
  std::vector<ByteView> entries;  // into the bytes given
  bool whole = false;
};
Bundle decode_bundle(ByteView bytes, std::uint64_t count);

// The first `width` hashes or entries of what the file of this name holds; nothing unless it is whole.
std::optional<ByteView> beginning_of(const TileName& name, ByteView bytes, std::uint64_t width);

struct TileFile {
  std::string path;
  Bytes bytes;
};

// The right edge of a log's tiles, and what has changed there since the last published().
class TileBuilder {
 public:
  void append(std::string entry, const Digest& leaf);
  std::uint64_t size() const noexcept { return size_; }
  // Tiles completed since the last published(), and the partial ones as they are now.
  std::vector<TileFile> changed_files() const;
  void published();

 private:
  struct Level {
    std::uint64_t index = 0;     // of the tile at the edge
    std::vector<Digest> hashes;  // in it, fewer than 256
  };
  std::uint64_t size_ = 0;
  std::uint64_t published_size_ = 0;
  std::vector<Level> levels_;
  std::vector<std::string> edge_entries_;  // under the level-0 edge tile
  std::vector<TileFile> completed_;
};

}  // namespace fovea::federation::ledger
