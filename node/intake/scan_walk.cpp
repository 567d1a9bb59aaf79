#include "node/intake/scan_walk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "node/intake/csv_reader.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/scan_facts.h"

namespace fovea::node::intake {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = 2'000'000;
constexpr std::size_t kDescribeBatch = 500;
constexpr std::uintmax_t kDescribeBatchBytes = 256u << 20;  // received scans are opened in memory

struct Walked {
  std::vector<fs::path> files, links, unreadable;  // the last: folders
};

bool is_readable_folder(const fs::path& folder) {
  return ::faccessat(AT_FDCWD, folder.c_str(), R_OK | X_OK, AT_EACCESS) == 0;
}

Result<void> walk(const fs::path& root, Walked& out) {
  std::error_code failed;
  const fs::file_status status = fs::status(root, failed);
  if (!fs::exists(status)) return not_found(root.string() + ": no such file or folder");
  if (!fs::is_directory(status)) {
    out.files.push_back(root);
    return {};
  }
  if (!is_readable_folder(root)) {
    out.unreadable.push_back(root);
    return {};
  }
  fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, failed);
  for (const fs::recursive_directory_iterator end; !failed && at != end; at.increment(failed)) {
    const bool hidden = at->path().filename().string().starts_with('.');
    if (hidden && at->is_directory(failed)) at.disable_recursion_pending();
    if (hidden) continue;
    const bool link = at->is_symlink(failed);
    if (!link && at->is_directory(failed) && !is_readable_folder(at->path())) {
      at.disable_recursion_pending();
      out.unreadable.push_back(at->path());
      continue;
    }
    if (!link && !at->is_regular_file(failed)) continue;
    if (out.files.size() + out.links.size() == kFilesMax)
      return invalid_argument(root.string() + ": more than " + std::to_string(kFilesMax) +
                              " files; ingest its folders one by one");
    (link ? out.links : out.files).push_back(at->path());
  }
  if (failed) return unavailable(root.string() + ": cannot be walked: " + failed.message());
  return {};
}

StudySource file_source(const fs::path& path, store::Split split) {
  StudySource out;
  out.name = path.string();
  const std::string file = path.filename().string();
  out.identity = {
      .study = path.string(), .patient = file.substr(0, file.find('.')), .image = path.string(), .mask = ""};
  out.images = {path};
  out.split = split;
  return out;
}

// A file that is not read as DICOM, and may have been a slice of a series beside it.
struct Damaged {
  fs::path file;
  DicomFile told;
};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Slices of one export are called alike: by an ending of letters, or by a name that differs in its digits.
bool are_called_alike(const fs::path& a, const fs::path& b) {
  const auto ending = [](const fs::path& file) {
    const std::string out = lower(file.extension().string());
    return std::any_of(out.begin(), out.end(), [](char c) { return c >= 'a' && c <= 'z'; }) ? out : std::string();
  };
  const auto without_digits = [](const fs::path& file) {
    std::string out;
    for (const char c : lower(file.filename().string())) {
      const bool is_digit = c >= '0' && c <= '9';
      if (!is_digit) out.push_back(c);
      else if (out.empty() || out.back() != '#') out.push_back('#');
    }
    return out;
  };
  const std::string first = ending(a), second = ending(b);
  return first.empty() && second.empty() ? without_digits(a) == without_digits(b) : first == second;
}

bool is_beside(const Damaged& damaged, const StudySource& source) {
  return std::any_of(source.images.begin(), source.images.end(), [&](const fs::path& slice) {
    return slice.parent_path() == damaged.file.parent_path() &&
           (damaged.told.is_damaged || are_called_alike(slice, damaged.file));
  });
}

// A series may lack the slice that a damaged file was: it gets the file, and is refused for it when it is read. The
// file may say which series it belonged to; else any beside it may be meant.
void give_damaged(const std::vector<Damaged>& damaged, store::Split split, std::map<std::string, std::size_t> series,
                  FoundStudies& out) {
  std::map<std::size_t, std::vector<fs::path>> given;
  for (const auto& [file, told] : damaged) {
    std::vector<std::size_t> meant;
    if (told.series.empty()) {
      for (const auto& [name, at] : series)
        if (is_beside({file, told}, out.sources[at])) meant.push_back(at);
    } else if (const auto [known, fresh] = series.emplace(told.series, out.sources.size()); !fresh) {
      meant.push_back(known->second);
    } else {
      out.sources.push_back(file_source(file, split));
      out.sources.back().identity.study = out.sources.back().identity.patient = told.series;
    }
    for (const std::size_t at : meant) {
      if (told.is_label) out.sources[at].mask = file, out.sources[at].identity.mask = file.string();
      else given[at].push_back(file);
    }
    if (meant.empty() && !told.series.empty()) continue;
    const std::string follows = meant.empty()   ? ""
                                : told.is_label ? "; the scan beside it is refused"
                                                : "; the series that it belongs to is refused";
    out.not_scans.push_back({file, told.reason + follows});
  }
  for (const auto& [at, files] : given)
    out.sources[at].images.insert(out.sources[at].images.end(), files.begin(), files.end());
}

// Gives each series the label object that refers to it. Where several do, a person has to choose.
void attach_labels(const std::map<std::string, std::vector<fs::path>>& labels,
                   const std::map<std::string, std::size_t>& series, FoundStudies& out) {
  for (const auto& [name, files] : labels) {
    const auto found = series.find(name);
    for (const fs::path& file : files) {
      if (found == series.end())
        out.not_scans.push_back({file, "labels (SEG or RTSTRUCT) of a series that is not here"});
      else if (files.size() > 1)
        out.not_scans.push_back(
            {file, "one of several label objects of one series; name the one that counts in a table (column mask)"});
    }
    if (found == series.end() || files.size() > 1) continue;
    StudySource& source = out.sources[found->second];
    source.mask = files.front();
    source.identity.mask = files.front().string();
  }
}

// A series that holds several volumes becomes as many sources, side by side.
void split_volumes(const std::set<std::size_t>& several, ScanParser& parser, FoundStudies& out) {
  std::vector<StudySource> sources;
  for (std::size_t s = 0; s < out.sources.size(); ++s) {
    StudySource& source = out.sources[s];
    const Result<std::uint32_t> volumes = several.contains(s) ? parser.count_volumes(source.images)
                                                              : Result<std::uint32_t>(1u);
    if (volumes && *volumes > kSeriesVolumesMax) {
      out.not_scans.push_back({source.images.front(), "a time series of " + std::to_string(*volumes) +
                                                          " volumes (function, perfusion), not a scan"});
    } else if (!volumes || *volumes == 1) {  // what cannot be counted is refused with its reason when it is read
      sources.push_back(std::move(source));
    } else {
      for (std::uint32_t part = 0; part < *volumes; ++part) {
        sources.push_back(source);
        const std::string which = " volume " + std::to_string(part + 1) + " of " + std::to_string(*volumes);
        sources.back().part = part;
        sources.back().name += which;
        sources.back().identity.study += which;
      }
    }
  }
  out.sources = std::move(sources);
}

// The next files to describe together.
std::span<const fs::path> next_batch(std::span<const fs::path> files) {
  std::size_t count = 0;
  for (std::uintmax_t bytes = 0; count < std::min(kDescribeBatch, files.size()); ++count) {
    std::error_code failed;
    const std::uintmax_t size = fs::file_size(files[count], failed);
    bytes += failed ? 0 : size;
    if (count > 0 && bytes > kDescribeBatchBytes) break;
  }
  return files.first(count);
}

// Series in order of their first file.
Result<void> group_series(const std::vector<fs::path>& files, store::Split split, ScanParser& parser,
                          FoundStudies& out) {
  std::map<std::string, std::size_t> series;
  std::map<std::string, std::vector<fs::path>> labels;
  std::set<std::string> instances, positions;
  std::set<std::size_t> several;  // sources with two slices in one place, or with several slices in a file
  std::vector<Damaged> damaged;
  std::span<const fs::path> batch;
  for (std::span<const fs::path> left(files); !left.empty(); left = left.subspan(batch.size())) {
    batch = next_batch(left);
    Result<std::vector<DicomFile>> described = parser.describe(batch);
    for (std::size_t f = 0; f < batch.size(); ++f) {
      // A batch that killed the parser is asked about file by file, so that one bad file does not hide the others.
      Result<std::vector<DicomFile>> single = described ? std::vector<DicomFile>{(*described)[f]}
                                                        : parser.describe(batch.subspan(f, 1));
      // A received file that was changed on this disk is to be sent again, and says nothing of those beside it.
      if (!single && single.error().code == ErrorCode::corruption) {
        out.not_scans.push_back({batch[f], single.error().message});
        continue;
      }
      if (!single || single->front().is_damaged || single->front().is_foreign) {
        DicomFile told = single ? single->front() : DicomFile{};
        if (!single) told.reason = single.error().message;
        damaged.push_back({batch[f], std::move(told)});
        continue;
      }
      if (single->front().is_label) {
        labels[single->front().series].push_back(batch[f]);
        continue;
      }
      if (!single->front().is_image) {
        out.not_scans.push_back({batch[f], single->front().reason});
        continue;
      }
      const DicomFile& file = single->front();
      if (!file.instance.empty() && !instances.insert(file.series + '/' + file.instance).second) {
        out.not_scans.push_back({batch[f], "a second copy of a slice (same SOP Instance UID)"});
        continue;
      }
      const auto [at, fresh] = series.emplace(file.series, out.sources.size());
      if (fresh) {
        out.sources.push_back(file_source(batch[f], split));
        StudySource& source = out.sources.back();
        source.identity.study = file.series;
        source.identity.patient = file.patient.empty() ? file.series : file.patient;
      } else {
        out.sources[at->second].images.push_back(batch[f]);
      }
      if (file.position.empty() || !positions.insert(file.series + '/' + file.position).second)
        several.insert(at->second);
    }
  }
  attach_labels(labels, series, out);
  give_damaged(damaged, split, std::move(series), out);
  split_volumes(several, parser, out);
  return {};
}

}  // namespace

Result<FoundStudies> find_studies(const std::vector<fs::path>& paths, store::Split split, ScanParser& parser) {
  Walked walked;
  for (const fs::path& path : paths) FOVEA_TRY(walk(path, walked));
  for (std::vector<fs::path>* const each : {&walked.files, &walked.links}) {
    std::sort(each->begin(), each->end());
    each->erase(std::unique(each->begin(), each->end()), each->end());
  }
  FoundStudies out;
  std::vector<fs::path> others;
  for (const fs::path& file : walked.files) {
    if (format_of_name(file)) out.sources.push_back(file_source(file, split));
    else if (is_table_name(file))
      out.not_scans.push_back({file, "a table: give it with --manifest, --labels or --points"});
    else others.push_back(file);
  }
  for (const fs::path& link : walked.links)
    out.not_scans.push_back({link, "a symbolic link, which is not followed; name its target"});
  for (const fs::path& folder : walked.unreadable)
    out.not_scans.push_back({folder, "a folder that this user may not read; nothing in it was looked at"});
  FOVEA_TRY(group_series(others, split, parser, out));
  return out;
}

Result<void> expand_folders(std::vector<StudySource>& sources) {
  for (StudySource& source : sources) {
    std::error_code failed;
    if (source.images.size() != 1 || !fs::is_directory(source.images.front(), failed)) continue;
    Walked walked;
    FOVEA_TRY(walk(source.images.front(), walked));
    std::sort(walked.files.begin(), walked.files.end());
    // A folder cannot be opened as a slice, so that the study is refused for it.
    std::copy(walked.unreadable.begin(), walked.unreadable.end(), std::back_inserter(walked.files));
    if (!walked.files.empty()) source.images = std::move(walked.files);
  }
  return {};
}

}  // namespace fovea::node::intake
