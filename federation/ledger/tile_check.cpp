#include "federation/ledger/tile_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "common/durable_file.h"
#include "crypto/merkle_log.h"
#include "federation/ledger/tile.h"

namespace fovea::federation::ledger {
namespace {

namespace fs = std::filesystem;
using Hashes = std::vector<Digest>;

std::string entry_name(std::uint64_t index) { return "entry " + std::to_string(index); }

std::size_t file_size_max(const TileName& name) {
  return name.level ? kTileWidth * sizeof(Digest) * 2 : kBundleBytesMax;  // a tile of another size is told as such
}

// A publish replaces partial tiles by wider ones, which begin with the same: whoever has read the checkpoint first
// finds those. `instead` is then the path of the wider one.
Result<Bytes> read_tile_file(const fs::path& folder, const TileName& name, std::string* instead = nullptr) {
  Result<Bytes> bytes = read_file(folder / name.path(), file_size_max(name));
  if (bytes || bytes.error().code != ErrorCode::not_found) return bytes;
  for (TileName wider = name; wider.width < kTileWidth;) {
    ++wider.width;
    const Result<Bytes> found = read_file(folder / wider.path(), file_size_max(wider));
    const auto beginning = found ? beginning_of(wider, *found, name.width) : std::nullopt;
    if (!beginning) continue;
    if (instead != nullptr) *instead = wider.path();
    return Bytes(beginning->begin(), beginning->end());
  }
  return bytes;
}

// The hashes that a signed root commits to, believed from the root down: the tiles at the right edge where they lead to
// it together, and any other tile whose root is a hash of one that is believed. Files that agree with each other and
// not with the root are none.
class CommittedTiles {
 public:
  CommittedTiles(const fs::path& folder, const crypto::Checkpoint& checkpoint)
      : folder_(folder), size_(checkpoint.size) {
    const Result<Digest> root = crypto::tree_root(size_, stored_subtrees(folder, size_));
    edge_leads_to_root_ = root && *root == checkpoint.root;
  }

  // Of all hashes of the leaf tile `index`.
  bool commit_to(std::uint64_t index, const Hashes& leaves) {
    if (leaves.size() < kTileWidth) {
      const Hashes* edge = tile(0, index);
      return edge != nullptr && *edge == leaves;
    }
    const Hashes* parents = tile(1, index / kTileWidth);
    return parents != nullptr && (*parents)[index % kTileWidth] == crypto::merkle_root(leaves);
  }

 private:
  struct Known {
    std::optional<std::uint64_t> index;
    std::optional<Hashes> hashes;
  };

  const Hashes* tile(unsigned level, std::uint64_t index) {
    if (!edge_leads_to_root_) return nullptr;
    Known& known = known_.at(level);
    if (known.index != index) known = {index, read(level, index)};
    return known.hashes ? &*known.hashes : nullptr;
  }

  std::optional<Hashes> read(unsigned level, std::uint64_t index) {
    const std::uint64_t width = tile_width(level, index, size_);
    const Result<Bytes> bytes = read_tile_file(folder_, {level, index, width});
    if (!bytes) return std::nullopt;
    Result<Hashes> hashes = decode_tile(*bytes, width);
    if (!hashes) return std::nullopt;
    if (width == kTileWidth) {
      const Hashes* parents = tile(level + 1, index / kTileWidth);
      if (parents == nullptr || (*parents)[index % kTileWidth] != crypto::merkle_root(*hashes)) return std::nullopt;
    }
    return std::move(*hashes);
  }

  const fs::path& folder_;
  std::uint64_t size_;
  bool edge_leads_to_root_ = false;
  std::array<Known, 64 / kTileHeight + 1> known_;  // the tile that was asked for last, by level
};

class TileChecker {
 public:
  TileChecker(const fs::path& folder, const crypto::Checkpoint& checkpoint, const EntryBytesVisitor& visit,
              const EntryBytesVisitor& uncovered)
      : folder_(folder),
        checkpoint_(checkpoint),
        visit_(visit),
        uncovered_(uncovered),
        committed_(folder, checkpoint) {}

  TileCheck run() {
    check_leaf_tiles();
    for (unsigned level = 1; level < levels_.size(); ++level)
      if (!levels_[level].empty()) check_upper_tile(level);
    if (root_known_ && frontier_.root() != checkpoint_.root)
      report("checkpoint", "its root is not the root of the entries and tiles in this folder");
    look_for_uncovered();
    return std::move(out_);
  }

 private:
  void check_leaf_tiles() {
    const std::uint64_t tiles = leaf_tiles_to_read();
    for (std::uint64_t index = 0; index < tiles; ++index) check_leaf_tile(index);
  }

  // Where a tile above is damaged, the leaves may still lead to the root all together. Reads every file once more.
  bool leaves_lead_to_root() {
    if (!leaves_lead_to_root_) {
      const EntryBytesVisitor nobody;
      TileChecker again(folder_, checkpoint_, nobody, nobody);
      again.check_leaf_tiles();
      leaves_lead_to_root_ = again.root_known_ && again.frontier_.root() == checkpoint_.root;
    }
    return *leaves_lead_to_root_;
  }

  void report(std::string where, std::string what, ProblemKind kind = ProblemKind::changed) {
    const bool aside = kind == ProblemKind::other_publish || kind == ProblemKind::replaced;
    std::vector<LedgerProblem>& list = aside ? out_.asides : out_.problems;
    if (list.size() < kProblemsMax) list.push_back({kind, std::move(where), std::move(what)});
    ++(aside ? out_.aside_count : out_.problem_count);
  }

  // A size is a claim, and so is a path that leads through links: the time that a check takes follows from the files
  // that are there. Each tile of level 0 has two; as many as are listed may be missing.
  std::uint64_t leaf_tiles_to_read() {
    const std::uint64_t claimed = checkpoint_.size / kTileWidth + (checkpoint_.size % kTileWidth > 0 ? 1 : 0);
    std::uint64_t files = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder_ / "tile", error), end; !error && at != end; at.increment(error))
      if (at->is_symlink(error) || !at->is_directory(error)) ++files;
    const std::uint64_t most = (files + kProblemsMax) / 2;
    if (claimed <= most) return claimed;
    report("checkpoint",
           "claims " + std::to_string(checkpoint_.size) + " entries, more than the " + std::to_string(files) +
               " files below tile/ can hold: nothing was looked for from " + entry_name(most * kTileWidth) + " on",
           ProblemKind::missing);
    root_known_ = false;
    return most;
  }

  std::optional<Bytes> read(const TileName& name) {
    const std::string path = name.path();
    std::string instead;
    Result<Bytes> bytes = read_tile_file(folder_, name, &instead);
    if (!instead.empty()) report(path, "is gone, and " + instead + " was read instead", ProblemKind::replaced);
    if (bytes) return std::move(*bytes);
    if (bytes.error().code == ErrorCode::not_found) report(path, "the file is missing", ProblemKind::missing);
    else report(path, "cannot be read: " + bytes.error().message);
    return std::nullopt;
  }

  std::optional<Hashes> read_tile(unsigned level, std::uint64_t index) {
    const std::uint64_t width = tile_width(level, index, checkpoint_.size);
    const std::optional<Bytes> bytes = read({level, index, width});
    if (!bytes) return std::nullopt;
    Result<Hashes> hashes = decode_tile(*bytes, width);
    if (hashes) return std::move(*hashes);
    report(tile_path(level, index, width), hashes.error().message);
    return std::nullopt;
  }

  // Compares the entries of a bundle with the hashes of its tile, and settles on what the hashes truly are.
  void check_leaf_tile(std::uint64_t index) {
    const std::uint64_t width = tile_width(0, index, checkpoint_.size);
    const std::optional<Bytes> bytes = read({{}, index, width});
    const std::optional<Hashes> tile = read_tile(0, index);
    const Bundle bundle = bytes ? decode_bundle(*bytes, width) : Bundle{};
    Hashes found;
    for (const ByteView entry : bundle.entries) found.push_back(crypto::merkle_leaf(entry));
    const std::optional<Hashes> truth = settle(index, bundle.whole, found, tile, bytes.has_value());
    if (visit_ || uncovered_) show(index, bundle, found, truth);
    add_leaves(width, truth);
  }

  void show(std::uint64_t index, const Bundle& bundle, const Hashes& found, const std::optional<Hashes>& truth) {
    const bool committed = truth && (committed_.commit_to(index, *truth) || leaves_lead_to_root());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const EntryBytesVisitor& to = committed && found[i] == (*truth)[i] ? visit_ : uncovered_;
      if (to) to(index * kTileWidth + i, bundle.entries[i]);
    }
  }

  std::optional<Hashes> settle(std::uint64_t index, bool whole, const Hashes& found, const std::optional<Hashes>& tile,
                               bool bundle_read) {
    const std::uint64_t width = tile_width(0, index, checkpoint_.size);
    if (!tile && !whole && bundle_read) report(bundle_path(index, width), "its entries cannot be told apart");
    if (!tile) return whole ? std::optional(found) : std::nullopt;
    if (!bundle_read || (whole && found == *tile)) return tile;
    const bool entries_right = whole && leads_to_root(index, found);
    const bool tile_right = !entries_right && leads_to_root(index, *tile);
    report_differences(index, found, *tile, entries_right ? Blame::tile : tile_right ? Blame::entries : Blame::unclear);
    return entries_right ? std::optional(found) : tile;
  }

  // Whether these leaf hashes are the committed ones: by the parent's hash, or at the right edge by the root.
  bool leads_to_root(std::uint64_t index, const Hashes& leaves) {
    if (leaves.size() < kTileWidth || tile_width(1, index / kTileWidth, checkpoint_.size) == 0) {
      if (!root_known_) return false;
      crypto::MerkleFrontier frontier = frontier_;
      for (const Digest& leaf : leaves) frontier.append(leaf);
      return frontier.root() == checkpoint_.root;
    }
    const std::uint64_t width = tile_width(1, index / kTileWidth, checkpoint_.size);
    const Result<Bytes> bytes = read_tile_file(folder_, {1U, index / kTileWidth, width});
    if (!bytes) return false;
    const Result<Hashes> parents = decode_tile(*bytes, width);
    return parents && (*parents)[index % kTileWidth] == crypto::merkle_root(leaves);
  }

  enum class Blame { entries, tile, unclear };

  void report_differences(std::uint64_t index, const Hashes& found, const Hashes& tile, Blame blame) {
    const std::uint64_t width = tile.size();
    const std::string in_tile = tile_path(0, index, width);
    const std::string in_bundle = bundle_path(index, width);
    bool reported = false;
    for (std::size_t i = 0; i < std::max(found.size(), tile.size()); ++i) {
      if (i < found.size() && found[i] == tile[i]) continue;
      const std::string name = entry_name(index * kTileWidth + i);
      reported = true;
      switch (blame) {
        case Blame::entries:
          report(name, "was changed: its bytes in " + in_bundle + " are not the ones committed to");
          break;
        case Blame::tile:
          report(in_tile, "hash " + std::to_string(i) + " was changed: it is not the hash of " + name);
          break;
        case Blame::unclear:
          report(name, "its bytes in " + in_bundle + " and its hash in " + in_tile + " differ");
          break;
      }
      // A changed length shifts all that follows: name where it begins.
      if (found.size() != tile.size()) break;
    }
    if (!reported) report(in_bundle, "holds bytes after its last entry");
  }

  void add_leaves(std::uint64_t width, const std::optional<Hashes>& truth) {
    if (!truth) root_known_ = false;
    if (root_known_)
      for (const Digest& leaf : *truth) frontier_.append(leaf);
    if (width < kTileWidth) return;
    push(1, truth ? std::optional(crypto::merkle_root(*truth)) : std::nullopt);
  }

  void push(unsigned level, std::optional<Digest> hash) {
    if (levels_.size() <= level) {
      levels_.resize(level + 1);
      tiles_done_.resize(level + 1);
    }
    levels_[level].push_back(hash);
    if (levels_[level].size() == kTileWidth) check_upper_tile(level);
  }

  // Compares a finished (or the last) tile of a level with the hashes computed from below.
  void check_upper_tile(unsigned level) {
    const std::vector<std::optional<Digest>> computed = std::exchange(levels_[level], {});
    const std::uint64_t index = tiles_done_[level]++;
    if (const std::optional<Hashes> tile = read_tile(level, index))
      for (std::size_t i = 0; i < computed.size(); ++i)
        if (computed[i] && *computed[i] != (*tile)[i])
          report(tile_path(level, index, tile->size()), "hash " + std::to_string(i) + " is not the root of " +
                                                            tile_path(level - 1, index * kTileWidth + i, kTileWidth) +
                                                            ": one of the two was changed");
    if (computed.size() < kTileWidth) return;
    const bool known = std::all_of(computed.begin(), computed.end(), [](const auto& hash) { return hash.has_value(); });
    Hashes hashes;
    for (const auto& hash : computed) hashes.push_back(hash.value_or(Digest{}));
    push(level + 1, known ? std::optional(crypto::merkle_root(hashes)) : std::nullopt);
  }

  // A file that nothing commits to could be taken for part of the ledger. A publish leaves none but whole tiles.
  void look_for_uncovered() {
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder_ / "tile", error), end; !error && at != end; at.increment(error)) {
      if (at->is_directory(error)) continue;
      const std::string path = at->path().lexically_relative(folder_).generic_string();
      if (is_tile_path(path, checkpoint_.size)) continue;
      const auto name = TileName::parse(path);
      const Result<Bytes> bytes = name ? read_file(folder_ / path, file_size_max(*name)) : Result<Bytes>(Bytes());
      const bool whole = name && bytes && beginning_of(*name, *bytes, name->width);
      report(path,
             whole ? "is of another publish than the checkpoint"
                   : "is not covered by the checkpoint (left over from an interrupted write?)",
             whole ? ProblemKind::other_publish : ProblemKind::uncovered);
    }
  }

  const fs::path& folder_;
  const crypto::Checkpoint& checkpoint_;
  const EntryBytesVisitor& visit_;
  const EntryBytesVisitor& uncovered_;
  CommittedTiles committed_;
  TileCheck out_;
  crypto::MerkleFrontier frontier_;
  bool root_known_ = true;
  std::optional<bool> leaves_lead_to_root_;
  std::vector<std::vector<std::optional<Digest>>> levels_;  // hashes waiting for their tile, by level
  std::vector<std::uint64_t> tiles_done_;
};

}  // namespace

TileCheck check_tiles(const fs::path& folder, const crypto::Checkpoint& checkpoint, const EntryBytesVisitor& visit,
                      const EntryBytesVisitor& uncovered) {
  return TileChecker(folder, checkpoint, visit, uncovered).run();
}

Result<SignedCheckpoint> read_checkpoint(const fs::path& folder, const crypto::NoteKey& key) {
  return read_checkpoint_file(folder / "checkpoint", key);
}

Result<SignedCheckpoint> read_checkpoint_file(const fs::path& file, const crypto::NoteKey& key) {
  const std::string where = file.string();
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(file, crypto::kNoteBytesMax));
  const Result<crypto::SignedNote> note = crypto::SignedNote::parse(bytes);
  if (!note)
    return corruption(where + (bytes.empty()
                                   ? ": is empty"
                                   : ": is damaged, it holds no signed checkpoint (" + note.error().message + ")"));
  if (auto verified = crypto::verify_note(*note, key); !verified) return verified.error().with_context(where);
  Result<crypto::Checkpoint> checkpoint = crypto::Checkpoint::parse(note->text);
  if (!checkpoint) return corruption(where + ": " + checkpoint.error().message);
  if (checkpoint->origin != key.name)
    return permission_denied(where + ": is of the log " + checkpoint->origin + ", expected " + key.name);
  return SignedCheckpoint{std::move(*checkpoint), std::string(as_text(bytes))};
}

crypto::SubtreeHash stored_subtrees(const fs::path& folder, std::uint64_t size) {
  return [folder, size](unsigned level, std::uint64_t index) -> Result<Digest> {
    const unsigned tile_level = level / kTileHeight;
    const unsigned height = level % kTileHeight;
    const std::uint64_t first = index << height;
    const std::uint64_t width = tile_width(tile_level, first / kTileWidth, size);
    const std::uint64_t begin = first % kTileWidth;
    const std::uint64_t count = std::uint64_t{1} << height;
    if (begin + count > width) return invalid_argument("tiles: the subtree is not within the log");
    FOVEA_TRY_ASSIGN(const Bytes bytes, read_tile_file(folder, {tile_level, first / kTileWidth, width}));
    FOVEA_TRY_ASSIGN(const Hashes hashes, decode_tile(bytes, width));
    return crypto::merkle_root(std::span(hashes).subspan(begin, count));
  };
}

Result<std::string> read_entry(const fs::path& folder, std::uint64_t size, std::uint64_t index) {
  if (index >= size)
    return not_found("entry " + std::to_string(index) + ": the ledger has " + std::to_string(size) + " entries");
  const std::uint64_t width = tile_width(0, index / kTileWidth, size);
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_tile_file(folder, {{}, index / kTileWidth, width}));
  const Bundle bundle = decode_bundle(bytes, width);
  if (bundle.entries.size() <= index % kTileWidth)
    return corruption(bundle_path(index / kTileWidth, width) + ": its entries cannot be told apart");
  return std::string(as_text(bundle.entries[index % kTileWidth]));
}

}  // namespace fovea::federation::ledger
