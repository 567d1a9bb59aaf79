#include "node/intake/scan_walk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "crypto/hash.h"
#include "node/intake/csv_reader.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/scan_facts.h"

namespace fovea::node::intake {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = 2'000'000;
constexpr std::size_t kDescribeBatch = 500;
constexpr std::size_t kMaskFolderFilesMax = 256;            // each is asked what it is
constexpr std::uintmax_t kDescribeBatchBytes = 256u << 20;  // received scans are opened in memory

struct Walked {
  std::vector<fs::path> files, links, unreadable;  // the last: folders
};

bool is_readable_folder(const fs::path& folder) {
  return ::faccessat(AT_FDCWD, folder.c_str(), R_OK | X_OK, AT_EACCESS) == 0;
}

void sort_once(std::vector<fs::path>& paths) {
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
}

// Sorts what was found, and takes a link to a file for that file, as a table does, unless it is there by itself. Links
// to folders could lead round in a circle. What is not followed is returned.
std::vector<NotAScan> follow_links(Walked& walked) {
  sort_once(walked.files);
  sort_once(walked.links);
  std::vector<NotAScan> out;
  std::error_code failed;
  std::set<fs::path> targets;
  if (!walked.links.empty())
    for (const fs::path& file : walked.files) targets.insert(fs::canonical(file, failed));
  for (const fs::path& link : walked.links) {
    const fs::file_status target = fs::status(link, failed);
    if (fs::is_directory(target))
      out.push_back({link, "a symbolic link to a folder, which is not followed; name its target"});
    else if (!fs::is_regular_file(target))
      out.push_back({link, "a symbolic link that leads to no file (are its targets mounted, or fetched?)"});
    else if (!targets.insert(fs::canonical(link, failed)).second)
      out.push_back({link, "a symbolic link to a file that is here too"});
    else walked.files.push_back(link);
  }
  sort_once(walked.files);
  return out;
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
  out.identity = {.study = path.string(), .patient = name_without_ending(path), .image = path.string(), .mask = ""};
  out.images = {path};
  out.split = split;
  out.split_is_stated = false;
  out.patient_is_guessed = true;
  return out;
}

// A file that is not read as DICOM, and may have been a slice of a series beside it.
struct Damaged {
  fs::path file;
  DicomFile told;
};

// What the names of one export's slices have in common: an ending of letters, or all but their digits.
std::string kind_of_name(const fs::path& file) {
  const std::string ending = lower_case(file.extension().string());
  if (std::any_of(ending.begin(), ending.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return ending;
  std::string out;
  for (const char c : lower_case(file.filename().string())) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit) out.push_back(c);
    else if (out.empty() || out.back() != '#') out.push_back('#');
  }
  return out;
}

// The files of one Series Instance UID.
struct SeriesGroup {
  SeriesIdentity identity;
  std::vector<fs::path> images;
  std::map<std::string, std::string> instances;  // where each SOP instance lies
  std::set<std::string> places, acquisitions;
  bool may_be_several = false;  // two slices in one place or acquisitions, or a file of several slices
  bool lacks_instances = false;
  std::string fault;

  store::StudyOrigin origin() const;
};

std::uint64_t hash_of(const std::string& text) {
  const Digest digest = crypto::TaggedHash("FOVEA/1/DICOM identifier").add(text).finish();
  std::uint64_t out = 0;
  for (std::size_t byte = 0; byte < sizeof out; ++byte) out = out << 8U | digest[byte];
  return out;
}

store::StudyOrigin SeriesGroup::origin() const {
  store::StudyOrigin out;
  if (lacks_instances) return out;
  for (const auto& [instance, place] : instances) out.instances.push_back(hash_of(instance));
  for (const std::string& place : places) out.places.push_back(hash_of(place));
  std::sort(out.instances.begin(), out.instances.end());
  std::sort(out.places.begin(), out.places.end());
  out.series = identity.patient + '\n' + identity.study + '\n' + identity.series;
  return out;
}

// What DICOM files are.
struct Described {
  std::vector<SeriesGroup> groups;              // in order of their first file
  std::map<std::string, std::size_t> group_of;  // by Series Instance UID
  std::map<std::string, std::vector<fs::path>> labels;
  std::vector<Damaged> damaged;
  std::vector<NotAScan> not_scans;

  bool add(const fs::path& path, const DicomFile& file);  // whether it is no second copy
};

bool Described::add(const fs::path& path, const DicomFile& file) {
  const auto [at, fresh] = group_of.emplace(file.series, groups.size());
  if (fresh) groups.emplace_back().identity = file;
  SeriesGroup& group = groups[at->second];
  // Before copies are looked for: an anonymiser that gives two patients one series gives them the same slices too.
  const std::string mixed = join_series(group.identity, file);
  if (group.fault.empty()) group.fault = mixed;
  if (!file.instance.empty()) {
    const auto [slice, is_new] = group.instances.emplace(file.instance, file.position);
    if (!is_new && mixed.empty() && slice->second == file.position) return false;
    if (!is_new && group.fault.empty())
      group.fault = "two slices in different places have one SOP Instance UID; send each under a UID of its own";
  }
  group.lacks_instances = group.lacks_instances || file.instance.empty();
  // A file of several slices states no place: it is a volume of its own, or several.
  group.acquisitions.insert(file.acquisition);
  if (file.position.empty() || !group.places.insert(file.position).second || group.acquisitions.size() > 1)
    group.may_be_several = true;
  group.images.push_back(path);
  return true;
}

// Which series have slices in a folder, by the kind of their names.
using SeriesBeside = std::map<fs::path, std::map<std::string, std::set<std::size_t>>>;
SeriesBeside series_by_folder(const Described& described, std::size_t first_source) {
  SeriesBeside out;
  for (std::size_t group = 0; group < described.groups.size(); ++group)
    for (const fs::path& slice : described.groups[group].images)
      out[slice.parent_path()][kind_of_name(slice)].insert(first_source + group);
  return out;
}

// Those that a damaged file may belong to, which does not name its own: any beside it, but if nothing of DICOM is in
// it only those of names like its own.
std::set<std::size_t> meant_by(const Damaged& damaged, const SeriesBeside& beside) {
  std::set<std::size_t> out;
  const auto folder = beside.find(damaged.file.parent_path());
  if (folder == beside.end()) return out;
  for (const auto& [kind, series] : folder->second)
    if (damaged.told.is_damaged || kind == kind_of_name(damaged.file)) out.insert(series.begin(), series.end());
  return out;
}

// Labels lie above the slices, or in a folder beside theirs.
std::set<std::size_t> labelled_by(const Damaged& damaged, const SeriesBeside& beside) {
  std::set<std::size_t> out;
  const fs::path own = damaged.file.parent_path();
  for (const fs::path& above : {own, own.parent_path()}) {
    for (const auto& [folder, kinds] : beside)
      if (folder == above || folder.string().starts_with((above / "").string()))
        for (const auto& [kind, series] : kinds) out.insert(series.begin(), series.end());
    if (!out.empty()) break;
  }
  return out;
}

// A series may lack the slice that a damaged file was: it gets the file, and is refused for it. The file may say which
// series it belonged to; else any beside it may be meant.
void give_damaged(const Described& described, store::Split split, FoundStudies& out, std::size_t first_source) {
  const SeriesBeside beside = series_by_folder(described, first_source);
  std::map<std::string, std::size_t> sources;  // by Series Instance UID
  for (const auto& [series, group] : described.group_of) sources.emplace(series, first_source + group);
  for (const Damaged& damaged : described.damaged) {
    const auto& [file, told] = damaged;
    std::set<std::size_t> meant;
    if (told.series.empty()) {
      meant = told.is_label ? labelled_by(damaged, beside) : meant_by(damaged, beside);
    } else if (const auto [known, fresh] = sources.emplace(told.series, out.sources.size()); !fresh) {
      meant.insert(known->second);
    } else {
      out.sources.push_back(file_source(file, split));
      out.sources.back().identity.study = out.sources.back().identity.patient = told.series;
    }
    for (const std::size_t at : meant) {
      StudySource& source = out.sources[at];
      if (told.is_label) {
        source.mask = file;
        source.identity.mask = file.string();
      } else {
        source.damage = told.reason;
        source.images.push_back(file);
      }
    }
    if (meant.empty() && !told.series.empty()) continue;
    const std::string follows = meant.empty()         ? ""
                                : told.series.empty() ? "; what lies beside it is refused"
                                                      : "; its series is refused";
    out.not_scans.push_back({file, told.reason + follows});
  }
}

// Gives each series the label object that refers to it. Where several do, a person has to choose.
void attach_labels(const Described& described, FoundStudies& out, std::size_t first_source) {
  for (const auto& [name, files] : described.labels) {
    const auto found = described.group_of.find(name);
    for (const fs::path& file : files) {
      if (found == described.group_of.end())
        out.not_scans.push_back({file, "labels (SEG or RTSTRUCT) of a series that is not here"});
      else if (files.size() > 1)
        out.not_scans.push_back(
            {file, "one of several label objects of one series; name the one that counts in a table (column mask)"});
    }
    if (found == described.group_of.end() || files.size() > 1) continue;
    StudySource& source = out.sources[first_source + found->second];
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

// What each of the files is, batch by batch.
Result<Described> describe_files(const std::vector<fs::path>& files, ScanParser& parser) {
  Described out;
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
      } else if (!single || single->front().is_damaged || single->front().is_foreign) {
        DicomFile told = single ? single->front() : DicomFile{};
        if (!single) told.reason = single.error().message;
        out.damaged.push_back({batch[f], std::move(told)});
      } else if (single->front().is_label) {
        out.labels[single->front().series].push_back(batch[f]);
      } else if (!single->front().is_image) {
        out.not_scans.push_back({batch[f], single->front().reason});
      } else if (!out.add(batch[f], single->front())) {
        out.not_scans.push_back({batch[f], "a second copy of a slice (same SOP Instance UID)"});
      }
    }
  }
  return out;
}

// A series' files as a source: all that a folder, a table and a receiver make of it.
void fill_source(const SeriesGroup& group, StudySource& out) {
  out.images = group.images;
  out.fault = group.fault;
  out.origin = group.origin();
}

// Series in order of their first file.
Result<void> group_series(const std::vector<fs::path>& files, store::Split split, ScanParser& parser,
                          FoundStudies& out) {
  FOVEA_TRY_ASSIGN(const Described described, describe_files(files, parser));
  std::set<std::size_t> several;
  const std::size_t first_source = out.sources.size();
  for (const SeriesGroup& group : described.groups) {
    StudySource source = file_source(group.images.front(), split);
    source.identity.study = group.identity.series;
    source.identity.patient = group.identity.patient.empty() ? group.identity.series : group.identity.patient;
    source.patient_is_guessed = false;
    fill_source(group, source);
    if (group.may_be_several && source.fault.empty()) several.insert(out.sources.size());
    out.sources.push_back(std::move(source));
  }
  out.not_scans.insert(out.not_scans.end(), described.not_scans.begin(), described.not_scans.end());
  attach_labels(described, out, first_source);
  give_damaged(described, split, out, first_source);
  split_volumes(several, parser, out);
  return {};
}

// Why the files of one row's folder are not one scan; empty when they are, and then the source has them.
std::string take_folder(const Walked& walked, const Described& described, StudySource& out) {
  std::vector<fs::path> volumes;
  for (const fs::path& file : walked.files)
    if (format_of_name(file)) volumes.push_back(file);
  if (described.groups.size() + volumes.size() == 0)
    return "no scan lies in this folder" + (!walked.unreadable.empty()     ? ": this user may not read it"
                                            : !described.damaged.empty()   ? ": " + described.damaged[0].told.reason
                                            : !described.not_scans.empty() ? ": " + described.not_scans[0].reason
                                                                           : std::string());
  if (described.groups.size() > 1)
    return "several series in one study: ingest the folder itself, which sorts them, or name one series' folder";
  if (described.groups.size() + volumes.size() > 1) return "several scans lie in this folder; name one of them";
  if (described.groups.empty()) {
    out.images = volumes;
    return "";
  }
  if (!walked.unreadable.empty()) return "a folder in it cannot be read by this user, so a slice may be missing";
  const SeriesBeside beside = series_by_folder(described, 0);
  for (const Damaged& damaged : described.damaged)
    if (damaged.told.series.empty() ? meant_by(damaged, beside).contains(0)
                                    : damaged.told.series == described.groups.front().identity.series)
      return "a file of its folder is damaged, so a slice may be missing: " + damaged.told.reason;
  fill_source(described.groups.front(), out);
  return out.fault;
}

// The one file of a folder that marks structures, or is the only one there.
std::optional<fs::path> only_mask(const fs::path& folder, ScanParser& parser) {
  Walked walked;
  if (!walk(folder, walked)) return std::nullopt;
  follow_links(walked);
  if (walked.files.size() == 1) return walked.files.front();
  if (walked.files.size() > kMaskFolderFilesMax) return std::nullopt;
  std::optional<fs::path> out;
  for (const fs::path& file : walked.files) {
    bool marks = format_of_name(file) || is_table_name(file);
    if (!marks) {
      const Result<std::vector<DicomFile>> described = parser.describe({&file, 1});
      marks = described && described->front().is_label;
    }
    if (marks && out) return std::nullopt;
    if (marks) out = file;
  }
  return out;
}

// A mask that is a folder becomes the one file of it that is a mask.
void take_mask_folder(StudySource& source, ScanParser& parser) {
  std::error_code failed;
  if (!source.mask || !fs::is_directory(*source.mask, failed)) return;
  if (const std::optional<fs::path> mask = only_mask(*source.mask, parser)) source.mask = mask;
}

// How a path is compared with others.
std::string place_of(const fs::path& path) {
  std::error_code failed;
  const fs::path whole = fs::absolute(path, failed);
  std::string out = (failed ? path : whole).lexically_normal().string();
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

// The folder of a table that the place lies in, at whatever depth; null: none.
using Tables = std::map<std::string, fs::path>;
const fs::path* table_above(const Tables& tables, std::string place) {
  while (place.size() > 1) {
    place.resize(std::max<std::size_t>(place.rfind('/'), 1));
    if (const auto found = tables.find(place); found != tables.end()) return &found->second;
  }
  return nullptr;
}

// The tables among the files, by their folders.
Result<Tables> tables_of(const std::vector<fs::path>& files) {
  Tables out;
  for (const fs::path& file : files) {
    if (is_manifest_name(file)) {
      const auto [at, fresh] = out.emplace(place_of(file.parent_path().empty() ? "." : file.parent_path()), file);
      if (!fresh)
        return invalid_argument(at->second.string() + " and " + file.string() + ": two tables of one folder; keep one");
    } else if (begins_like_manifest(file)) {
      return invalid_argument(file.string() +
                              ": a table of studies (it has columns image and mask), whose masks would pass for scans; "
                              "give it alone with --manifest, or call it studies.csv");
    }
  }
  return out;
}

// Takes the studies of every table, and what lies in a table's folder out of `walked`.
Result<void> take_tables(const std::vector<fs::path>& paths, ScanParser& parser, Walked& walked, FoundStudies& out) {
  FOVEA_TRY_ASSIGN(const Tables tables, tables_of(walked.files));
  if (tables.empty()) return {};
  for (const fs::path& path : paths) {
    const fs::path* const table = table_above(tables, place_of(path));
    if (table != nullptr && place_of(*table) != place_of(path))
      return invalid_argument(path.string() + ": lies in the folder of the table " + table->string() +
                              ", which says what is ingested there; give one of them");
  }
  for (std::vector<fs::path>* const each : {&walked.files, &walked.links})
    std::erase_if(*each, [&](const fs::path& file) { return table_above(tables, place_of(file)) != nullptr; });
  const bool is_alone = tables.size() == 1 && walked.files.empty();
  for (const auto& [folder, table] : tables) {
    FOVEA_TRY_ASSIGN(std::vector<StudySource> rows, read_manifest(table));
    FOVEA_TRY(expand_rows(rows, parser, out.not_scans));
    for (StudySource& row : rows) {
      if (!is_alone) row.name = table.string() + " " + row.name;
      out.sources.push_back(std::move(row));
    }
    out.tables.push_back(table);
  }
  return {};
}

}  // namespace

std::string header_of_voxels(const fs::path& file) {
  const std::string ending = lower_case(file.extension().string());
  std::error_code failed;
  for (const auto& [voxels, header] :
       {std::pair{".img", ".hdr"}, {".raw", ".nhdr"}, {".raw", ".mhd"}, {".zraw", ".mhd"}})
    if (ending == voxels && fs::exists(fs::path(file).replace_extension(header), failed))
      return std::string("the voxels of a header beside them (") + header +
             "): one image in two files; save header and voxels as one file";
  return "";
}

Result<FoundStudies> find_studies(const std::vector<fs::path>& paths, store::Split split, ScanParser& parser) {
  Walked walked;
  for (const fs::path& path : paths) FOVEA_TRY(walk(path, walked));
  FoundStudies out;
  const std::vector<NotAScan> not_followed = follow_links(walked);
  FOVEA_TRY(take_tables(paths, parser, walked, out));
  std::vector<fs::path> others;
  for (const fs::path& file : walked.files) {
    if (format_of_name(file)) out.sources.push_back(file_source(file, split));
    else if (is_table_name(file)) out.not_scans.push_back({file, "a table: give it with --labels or --points"});
    else if (const std::string header = header_of_voxels(file); !header.empty())
      out.not_scans.push_back({file, header});
    else others.push_back(file);
  }
  out.not_scans.insert(out.not_scans.end(), not_followed.begin(), not_followed.end());
  for (const fs::path& folder : walked.unreadable)
    out.not_scans.push_back({folder, "a folder that this user may not read; nothing in it was looked at"});
  FOVEA_TRY(group_series(others, split, parser, out));
  return out;
}

Result<void> expand_rows(std::vector<StudySource>& sources, ScanParser& parser, std::vector<NotAScan>& left_alone) {
  for (StudySource& source : sources) {
    std::error_code failed;
    take_mask_folder(source, parser);
    if (source.images.size() != 1) continue;
    Walked walked;
    const bool is_folder = fs::is_directory(source.images.front(), failed);
    if (is_folder) {
      FOVEA_TRY(walk(source.images.front(), walked));
      follow_links(walked);
    } else if (!format_of_name(source.images.front()) && fs::is_regular_file(source.images.front(), failed)) {
      walked.files = source.images;
    }
    std::vector<fs::path> others;
    for (const fs::path& file : walked.files)
      if (!format_of_name(file)) others.push_back(file);
    FOVEA_TRY_ASSIGN(const Described described, describe_files(others, parser));
    if (is_folder) {
      if (const std::string fault = take_folder(walked, described, source); !fault.empty()) source.fault = fault;
      left_alone.insert(left_alone.end(), described.not_scans.begin(), described.not_scans.end());
      for (const auto& [file, told] : described.damaged) left_alone.push_back({file, told.reason});
      for (const auto& [series, files] : described.labels)
        for (const fs::path& file : files)
          left_alone.push_back({file, "labels (SEG or RTSTRUCT) beside a row's scan; name them in the column mask"});
    } else if (!described.groups.empty()) {
      fill_source(described.groups.front(), source);
    }
  }
  return {};
}

}  // namespace fovea::node::intake
