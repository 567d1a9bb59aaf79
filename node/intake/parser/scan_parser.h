// The node's side of the sandboxed parser: two child programs that read the files of patients so that this process does
// not have to, fovea-scan-parser for NIfTI and fovea-scan-parser-itk, started when it is first needed, for everything
// else. Each file is parsed in a fresh fork of one of them, with no network, no file but those handed to it, and limits
// on memory and time; whatever happens to it, read_* returns an error and the next file is read as if nothing had
// happened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/parser/parser_process.h"
#include "node/intake/parser/scan_files.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/intake/parser/shared_memory.h"
#include "node/volume/intensity.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

// A canonical volume in memory that the parser's child filled. The child is dead, and could not change the memory's
// size.
class ParsedVolume {
 public:
  ParsedVolume(ParsedVolume&&) noexcept = default;
  ParsedVolume& operator=(ParsedVolume&&) = delete;
  ~ParsedVolume();

  const volume::VolumeGeometry& geometry() const noexcept { return answer_.geometry; }
  const std::string& modality() const noexcept { return answer_.modality; }
  const std::string& patient() const noexcept { return answer_.patient; }  // sealed, never shown
  const std::string& frame_of_reference() const noexcept { return answer_.frame_of_reference; }
  std::uint32_t layers() const noexcept { return answer_.layers; }  // of labels
  const std::string& note() const noexcept { return answer_.note; }
  volume::VoxelSpan voxels() const noexcept;

 private:
  friend class ScanParser;
  ParsedVolume(std::unique_ptr<SharedMemory> memory, std::shared_ptr<SharedMemoryPool> pool, VolumeAnswer answer)
      : memory_(std::move(memory)), pool_(std::move(pool)), answer_(std::move(answer)) {}
  std::unique_ptr<SharedMemory> memory_;
  std::shared_ptr<SharedMemoryPool> pool_;  // where the memory goes for the next file
  VolumeAnswer answer_;
};

// The installed parser: beside the running program.
std::filesystem::path default_parser_program();

// One parser process. One thread at a time; make one for each worker.
class ScanParser {
 public:
  // `program`: that of NIfTI; the other lies beside it, its name with "-itk" behind it. not_found: one of them is
  // missing; unavailable: it cannot be started, or its sandbox does not hold (of the second: at its first file).
  static Result<ScanParser> start(const std::filesystem::path& program, const ParserLimits& limits,
                                  ScanFiles scan_files = {});
  ScanParser(ScanParser&&) noexcept = default;
  ScanParser& operator=(ScanParser&&) noexcept = default;
  ~ScanParser() = default;

  // Errors name neither the file nor anything in it: the caller knows which it asked for.
  // invalid_argument: the file is refused, and why; not_found: it cannot be opened; deadline_exceeded: it took longer
  // than the limits; internal: the parser died of it (a signal), was stopped by the sandbox, or ran out of memory.
  // `part`: which volume of a DICOM series that holds several.
  // `correct_bias`: divide by N4's field, unless it is a CT or PET.
  Result<ParsedVolume> read_volume(const std::filesystem::path& file, std::uint32_t part = kOnlyVolume,
                                   bool correct_bias = false);
  Result<std::vector<DicomFile>> describe(std::span<const std::filesystem::path> files);
  Result<ParsedVolume> read_series(std::span<const std::filesystem::path> files, std::uint32_t part = kOnlyVolume,
                                   bool correct_bias = false);
  // How many volumes the files of one DICOM series hold.
  Result<std::uint32_t> count_volumes(std::span<const std::filesystem::path> files);
  // A mask in a volume format (one layer, its own grid), DICOM SEG (its own grid) or RTSTRUCT (drawn into grid.image):
  // label map `grid.layer` of as many as layers() of any of them says.
  Result<ParsedVolume> read_labels(const std::filesystem::path& file, const LabelGrid& grid);

  // Provokes the sandbox (JobKind from crash on): the error that a hostile file would have caused; none when
  // find_leftovers finds none.
  enum class Program { nifti, itk };
  Result<void> self_test(JobKind kind, Program of = Program::nifti);

 private:
  ScanParser(const std::filesystem::path& program, ParserLimits limits, ScanFiles scan_files);
  ParserProcess& program_for(const ParserJob& job, std::span<const int> inputs);
  Result<void> prove_walls(ParserProcess& program);
  Result<std::unique_ptr<SharedMemory>> run_job(const ParserJob& job, std::span<const std::filesystem::path> files);
  Result<Bytes> answer_of(const ParserJob& job, std::span<const std::filesystem::path> files);
  Result<ParsedVolume> take_volume(const ParserJob& job, std::span<const std::filesystem::path> files);

  ParserProcess nifti_, itk_;
  ParserLimits limits_;
  ScanFiles scan_files_;
  std::shared_ptr<SharedMemoryPool> results_, scratches_;
};

}  // namespace fovea::node::intake
