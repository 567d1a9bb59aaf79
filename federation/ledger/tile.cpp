#include "federation/ledger/tile.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/check.h"
#include "crypto/merkle_log.h"

namespace fovea::federation::ledger {
namespace {

std::string three_digits(std::uint64_t value) {
  std::string digits = std::to_string(value);
  return std::string(3 - digits.size(), '0') + digits;
}

// 1234067 → "x001/x234/067"
std::string index_path(std::uint64_t index) {
  std::string path = three_digits(index % 1000);
  for (index /= 1000; index > 0; index /= 1000) path = "x" + three_digits(index % 1000) + "/" + path;
  return path;
}

std::string numbered_path(const std::string& folder, std::uint64_t index, std::uint64_t width) {
  FOVEA_CHECK(width >= 1 && width <= kTileWidth);
  const std::string path = "tile/" + folder + "/" + index_path(index);
  return width == kTileWidth ? path : path + ".p/" + std::to_string(width);
}

}  // namespace

std::string tile_path(unsigned level, std::uint64_t index, std::uint64_t width) {
  return numbered_path(std::to_string(level), index, width);
}

std::string bundle_path(std::uint64_t index, std::uint64_t width) { return numbered_path("entries", index, width); }

std::uint64_t tile_width(unsigned level, std::uint64_t index, std::uint64_t size) {
  const std::uint64_t shift = std::uint64_t{level} * kTileHeight;
  const std::uint64_t hashes = shift < 64 ? size >> shift : 0;
  if (index > hashes / kTileWidth) return 0;
  return std::min(kTileWidth, hashes - index * kTileWidth);
}

std::vector<std::string> tile_paths(std::uint64_t size) {
  std::vector<std::string> paths;
  for (unsigned level = 0; tile_width(level, 0, size) > 0; ++level)
    for (std::uint64_t index = 0;; ++index) {
      const std::uint64_t width = tile_width(level, index, size);
      if (width == 0) break;
      paths.push_back(tile_path(level, index, width));
      if (level == 0) paths.push_back(bundle_path(index, width));
    }
  return paths;
}

std::optional<TileName> TileName::parse(std::string_view path) {
  constexpr unsigned kLevels = 64 / kTileHeight;
  const auto number = [](std::string_view digits) {
    std::uint64_t value = 0;  // too many digits wrap around, and then lead to another path
    for (const char c : digits)
      if (c >= '0' && c <= '9') value = value * 10 + static_cast<std::uint64_t>(c - '0');
    return value;
  };
  constexpr std::string_view kFolder = "tile/", kPartial = ".p/";
  if (!path.starts_with(kFolder)) return std::nullopt;
  const std::string_view kind = path.substr(kFolder.size(), path.find('/', kFolder.size()) - kFolder.size());
  const std::string_view rest = path.substr(std::min(path.size(), kFolder.size() + kind.size()));
  const std::size_t partial = rest.find(kPartial);
  TileName out{.index = number(rest.substr(0, partial))};
  if (kind != "entries") out.level = static_cast<unsigned>(std::min<std::uint64_t>(number(kind), kLevels));
  if (partial != std::string_view::npos) out.width = number(rest.substr(partial + kPartial.size()));
  if (out.width < 1 || out.width > kTileWidth || out.level == kLevels || out.path() != path) return std::nullopt;
  return out;
}

bool is_tile_path(std::string_view path, std::uint64_t size) {
  const auto name = TileName::parse(path);
  return name && tile_width(name->level.value_or(0), name->index, size) == name->width;
}

Bytes encode_tile(std::span<const Digest> hashes) {
  Bytes out;
  out.reserve(hashes.size() * sizeof(Digest));
  for (const Digest& hash : hashes) out.insert(out.end(), hash.begin(), hash.end());
  return out;
}

Result<std::vector<Digest>> decode_tile(ByteView bytes, std::uint64_t width) {
  if (bytes.size() != width * sizeof(Digest))
    return corruption("expected " + std::to_string(width * sizeof(Digest)) + " bytes, found " +
                      std::to_string(bytes.size()));
  std::vector<Digest> out(width);
  for (std::size_t i = 0; i < out.size(); ++i)
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * sizeof(Digest)), sizeof(Digest), out[i].begin());
  return out;
}

Bytes encode_bundle(std::span<const std::string> entries) {
  Bytes out;
  for (const std::string& entry : entries) {
    FOVEA_CHECK(entry.size() <= 0xffffU);
    out.push_back(static_cast<std::uint8_t>(entry.size() >> 8U));
    out.push_back(static_cast<std::uint8_t>(entry.size() & 0xffU));
    out.insert(out.end(), entry.begin(), entry.end());
  }
  return out;
}

Bundle decode_bundle(ByteView bytes, std::uint64_t count) {
  Bundle out;
  while (out.entries.size() < count && bytes.size() >= 2) {
    const std::size_t length = (static_cast<std::size_t>(bytes[0]) << 8U) | bytes[1];
    if (bytes.size() - 2 < length) return out;
    out.entries.push_back(bytes.subspan(2, length));
    bytes = bytes.subspan(2 + length);
  }
  out.whole = out.entries.size() == count && bytes.empty();
  return out;
}

std::optional<ByteView> beginning_of(const TileName& name, ByteView bytes, std::uint64_t width) {
  if (width > name.width) return std::nullopt;
  if (name.level)
    return bytes.size() == name.width * sizeof(Digest) ? std::optional(bytes.first(width * sizeof(Digest)))
                                                       : std::nullopt;
  const Bundle bundle = decode_bundle(bytes, name.width);
  if (!bundle.whole) return std::nullopt;
  std::size_t size = 0;
  for (std::size_t i = 0; i < width; ++i) size += 2 + bundle.entries[i].size();
  return bytes.first(size);
}

void TileBuilder::append(std::string entry, const Digest& leaf) {
  edge_entries_.push_back(std::move(entry));
  ++size_;
  Digest hash = leaf;
  for (unsigned level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    Level& edge = levels_[level];
    edge.hashes.push_back(hash);
    if (edge.hashes.size() < kTileWidth) return;
    completed_.push_back({tile_path(level, edge.index, kTileWidth), encode_tile(edge.hashes)});
    if (level == 0) {
      completed_.push_back({bundle_path(edge.index, kTileWidth), encode_bundle(edge_entries_)});
      edge_entries_.clear();
    }
    hash = crypto::merkle_root(edge.hashes);
    edge.hashes.clear();
    ++edge.index;
  }
}

std::vector<TileFile> TileBuilder::changed_files() const {
  std::vector<TileFile> files = completed_;
  for (unsigned level = 0; level < levels_.size(); ++level) {
    const Level& edge = levels_[level];
    const std::uint64_t width = edge.hashes.size();
    if (width == 0 || tile_width(level, edge.index, published_size_) == width) continue;
    files.push_back({tile_path(level, edge.index, width), encode_tile(edge.hashes)});
    if (level == 0) files.push_back({bundle_path(edge.index, width), encode_bundle(edge_entries_)});
  }
  return files;
}

void TileBuilder::published() {
  completed_.clear();
  published_size_ = size_;
}

}  // namespace fovea::federation::ledger
