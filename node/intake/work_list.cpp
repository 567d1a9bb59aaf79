#include "node/intake/work_list.h"

#include <algorithm>

#include "node/intake/formats/file_format.h"
#include "node/intake/parser/scan_files.h"

namespace fovea::node::intake {
namespace {

std::uint64_t size_of(const StudySource& source) {
  return bytes_of(source.images) + (source.mask ? bytes_of({&*source.mask, 1}) : 0);
}

bool is_named_like_nifti(const StudySource& source) {
  return source.images.size() == 1 && format_of_name(source.images.front()) == FileFormat::nifti;
}

}  // namespace

WorkList::WorkList(const std::vector<StudySource>& sources) {
  for (const StudySource& source : sources) {
    (is_named_like_nifti(source) ? nifti_ : others_).sources.push_back(bytes_.size());
    bytes_.push_back(size_of(source));
    total_bytes_ += bytes_.back();
  }
  for (Pile* const pile : {&nifti_, &others_})
    std::stable_sort(pile->sources.begin(), pile->sources.end(),
                     [&](std::size_t a, std::size_t b) { return bytes_[a] > bytes_[b]; });
}

std::optional<std::size_t> WorkList::next(unsigned worker) {
  const std::lock_guard lock(mutex_);
  Pile& mine = worker == 0 ? others_ : nifti_;
  Pile& other = worker == 0 ? nifti_ : others_;
  Pile& pile = mine.taken < mine.sources.size() ? mine : other;
  if (pile.taken == pile.sources.size()) return std::nullopt;
  return pile.sources[pile.taken++];
}

}  // namespace fovea::node::intake
