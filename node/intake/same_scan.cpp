#include "node/intake/same_scan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include "crypto/aead.h"
#include "node/intake/csv_reader.h"
#include "node/intake/parser/memory_budget.h"
#include "node/intake/study_intake.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kEndBytes = 64 * 1024;  // of a file's beginning and end

using Groups = std::vector<std::vector<std::size_t>>;  // sources that may be, or are, one scan; each in order

// Groups of two and more by what `key` says of a source; none: it is alone.
template <class Key>
Groups groups_by(const std::vector<std::size_t>& sources, Key key) {
  using Value = typename decltype(key(0))::value_type;
  std::map<Value, std::vector<std::size_t>> found;
  for (const std::size_t s : sources)
    if (std::optional<Value> value = key(s)) found[std::move(*value)].push_back(s);
  Groups out;
  for (auto& [value, members] : found)
    if (members.size() > 1) out.push_back(std::move(members));
  return out;
}

// A tag of a file's two ends; none when it cannot be read, which its own ingest will say.
std::optional<crypto::GmacTag> tag_ends(const std::filesystem::path& file, std::uint64_t size,
                                        const ScanFiles& scan_files, const crypto::SecretKey& key) {
  const Result<std::optional<MemoryBudget::Share>> opened_in = memory_for(scan_files, {&file, 1});
  if (!opened_in) return std::nullopt;
  const Result<Descriptor> opened = scan_files.open(file);
  if (!opened) return std::nullopt;
  crypto::Gmac mac(key);
  std::vector<std::uint8_t> block(kEndBytes);
  for (const std::uint64_t from : {std::uint64_t{0}, size > kEndBytes ? size - kEndBytes : 0}) {
    const ssize_t got = ::pread(opened->number(), block.data(), block.size(), static_cast<off_t>(from));
    if (got < 0) return std::nullopt;
    mac.update({block.data(), static_cast<std::size_t>(got)});
  }
  return mac.finish();
}

// What two sources of one scan say differently.
std::string contradictions(const StudySource& a, const StudySource& b, bool masks_differ) {
  std::string out;
  const auto add = [&](bool differ, std::string_view what) {
    if (differ) out += (out.empty() ? "" : ", ") + std::string(what);
  };
  add(!a.patient_is_guessed && !b.patient_is_guessed && a.identity.patient != b.identity.patient, "patient");
  add(a.split != b.split, "split");
  add(a.label != b.label, "label");
  add(masks_differ, "mask");
  return out;
}

class Twins {
 public:
  Twins(const std::vector<StudySource>& sources, const ScanFiles& scan_files, const crypto::SecretKey& key)
      : sources_(sources), scan_files_(scan_files), key_(key), first_(sources.size()) {
    std::iota(first_.begin(), first_.end(), std::size_t{0});
  }

  Result<std::vector<std::size_t>> find() {
    std::vector<std::size_t> dicom, files;
    for (std::size_t s = 0; s < sources_.size(); ++s) {
      if (!sources_[s].fault.empty()) continue;
      if (!sources_[s].origin.instances.empty()) dicom.push_back(s);
      else if (sources_[s].images.size() == 1) files.push_back(s);
    }
    // With the series: there are anonymisers that number every patient's slices alike.
    using Slices = std::tuple<std::string, std::vector<std::uint64_t>, std::uint32_t>;
    const auto slices = [&](std::size_t s) {
      const store::StudyOrigin& origin = sources_[s].origin;
      return std::optional<Slices>({origin.series, origin.instances, sources_[s].part});
    };
    for (const auto& group : groups_by(dicom, slices)) FOVEA_TRY(join(group));
    FOVEA_TRY(refuse_parts(dicom));
    for (const auto& group : equal_files(files)) FOVEA_TRY(join(group));
    return std::move(first_);
  }

 private:
  Groups equal_files(const std::vector<std::size_t>& files) const {
    const auto size = [&](std::size_t s) { return std::optional(bytes_of(sources_[s].images)); };
    Groups out;
    for (const auto& as_large : groups_by(files, size)) {
      const std::uint64_t bytes = bytes_of(sources_[as_large.front()].images);
      const auto ends = [&](std::size_t s) { return tag_ends(sources_[s].images.front(), bytes, scan_files_, key_); };
      const auto whole = [&](std::size_t s) -> std::optional<crypto::GmacTag> {
        StudySource image = sources_[s];
        image.mask.reset();
        const Result<ContentTags> tags = tag_contents(image, scan_files_, key_);
        return tags ? std::optional(tags->image) : std::nullopt;
      };
      for (const auto& alike : groups_by(as_large, ends))
        for (auto& equal : groups_by(alike, whole)) out.push_back(std::move(equal));
    }
    return out;
  }

  // Whether two masks say different things, as far as can be told without reading them as masks.
  bool masks_differ(const StudySource& a, const StudySource& b) const {
    if (a.mask.has_value() != b.mask.has_value()) return true;
    if (!a.mask) return false;
    if (is_table_name(*a.mask) && a.identity.study != b.identity.study) return true;  // each by its own name
    if (*a.mask == *b.mask) return false;
    const auto tag = [&](const StudySource& source) {
      StudySource mask;
      mask.images = {*source.mask};
      return tag_contents(mask, scan_files_, key_);
    };
    const Result<ContentTags> one = tag(a), other = tag(b);
    return one && other && one->image != other->image;
  }

  Result<void> join(const std::vector<std::size_t>& group) {
    const StudySource& first = sources_[group.front()];
    for (const std::size_t s : group) {
      const std::string different = contradictions(first, sources_[s], masks_differ(first, sources_[s]));
      if (!different.empty())
        return invalid_argument(sources_[s].name + ": the same scan as " + first.name + ", but with another " +
                                different + "; one scan is one study: keep one of them, or correct them");
      first_[s] = group.front();
    }
    return {};
  }

  // Two halves of a series in two rows: neither is the scan.
  Result<void> refuse_parts(const std::vector<std::size_t>& dicom) const {
    const auto series = [&](std::size_t s) { return std::optional(sources_[s].origin.series); };
    for (const auto& group : groups_by(dicom, series)) {
      const StudySource& first = sources_[group.front()];
      for (const std::size_t s : group) {
        const SeriesRelation relation = relation_to(first.origin, sources_[s].origin);
        if (relation != SeriesRelation::same && relation != SeriesRelation::beside)
          return invalid_argument(sources_[s].name + ": holds other slices of the same series as " + first.name +
                                  "; give all slices of a series together, in one folder");
      }
    }
    return {};
  }

  const std::vector<StudySource>& sources_;
  const ScanFiles& scan_files_;
  const crypto::SecretKey& key_;
  std::vector<std::size_t> first_;
};

}  // namespace

Result<std::vector<std::size_t>> first_of_same_scan(const std::vector<StudySource>& sources,
                                                    const ScanFiles& scan_files, const crypto::SecretKey& key) {
  return Twins(sources, scan_files, key).find();
}

SeriesRelation relation_to(const store::StudyOrigin& other, const store::StudyOrigin& of) {
  const auto holds = [](const std::vector<std::uint64_t>& all, const std::vector<std::uint64_t>& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
  };
  if (of.instances == other.instances) return SeriesRelation::same;
  if (holds(of.instances, other.instances)) return SeriesRelation::larger;
  if (holds(other.instances, of.instances)) return SeriesRelation::smaller;
  const auto shared = [](const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
    std::vector<std::uint64_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return both.size();
  };
  const bool same_places = 2 * shared(of.places, other.places) >= std::min(of.places.size(), other.places.size());
  return shared(of.instances, other.instances) == 0 && same_places ? SeriesRelation::beside
                                                                   : SeriesRelation::other_part;
}

}  // namespace fovea::node::intake
