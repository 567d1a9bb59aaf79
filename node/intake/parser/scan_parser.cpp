#include "node/intake/parser/scan_parser.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "common/check.h"
#include "common/codec.h"
#include "common/descriptor.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/parser/memory_budget.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {
namespace {

constexpr std::uint64_t kHeadersMemoryBytes = 512u << 20;  // beside their files

std::uint64_t size_of(const Descriptor& file) {
  struct stat info {};
  return fstat(file.number(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// All that this process learns from a file's bytes is which program reads it.
bool begins_like_nifti(int input) {
  std::array<std::uint8_t, 4> head{};
  const ssize_t got = pread(input, head.data(), head.size(), 0);
  const auto first = ByteView(head).first(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return format_of_contents(first) == FileFormat::nifti;
}

std::filesystem::path itk_program(const std::filesystem::path& program) { return program.string() + "-itk"; }

Error fate_error(const JobFate& fate) {
  switch (fate.fate) {
    case Fate::timed_out: return deadline_exceeded("reading took longer than the time limit; the file was given up");
    case Fate::signalled:
      if (fate.detail == SIGXCPU)
        return deadline_exceeded("reading took more processor time than the limit; the file was given up");
      if (fate.detail == SIGSYS)
        return internal_error("the sandbox stopped the parser: the file made it do something forbidden");
      return internal_error("the parser died of signal " + std::to_string(fate.detail) +
                            " while reading; the file is damaged or hostile");
    case Fate::failed:
      return internal_error("the parser gave up without an answer (status " + std::to_string(fate.detail) + ")");
    case Fate::finished: break;
  }
  return internal_error("the parser gave no answer");
}

Result<Bytes> copy_answer(const SharedMemory& memory) {
  ByteReader in(ByteView(memory.data(), 8));
  FOVEA_TRY_ASSIGN(const std::uint64_t length, in.u64("answer length"));
  if (length == 0 || length > kAnswerBytesMax - 8) return internal_error("the parser gave no answer");
  return Bytes(memory.data() + 8, memory.data() + 8 + length);
}

}  // namespace

ParsedVolume::~ParsedVolume() {
  // Voxels that end as int16 may have been floats while they were read.
  if (pool_) pool_->give_back(std::move(memory_), kVoxelOffset + geometry().voxel_count() * sizeof(float));
}

volume::VoxelSpan ParsedVolume::voxels() const noexcept {
  const std::uint8_t* data = memory_->data() + kVoxelOffset;
  const std::size_t count = geometry().voxel_count();
  if (answer_.storage == volume::VoxelStorage::int16)
    return std::span(reinterpret_cast<const std::int16_t*>(data), count);
  return std::span(reinterpret_cast<const float*>(data), count);
}

std::filesystem::path default_parser_program() {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  return self.parent_path() / "fovea-scan-parser";
}

namespace {
// Each slice of a series is a descriptor, here and on its way to the parser.
void allow_many_descriptors() {
  rlimit limit{};
  constexpr rlim_t kEnough = 2 * kJobFilesMax;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kEnough);
  setrlimit(RLIMIT_NOFILE, &limit);
}
}  // namespace

ScanParser::ScanParser(const std::filesystem::path& program, ParserLimits limits, ScanFiles scan_files)
    : nifti_(program),
      itk_(itk_program(program)),
      limits_(limits),
      scan_files_(std::move(scan_files)),
      results_(std::make_shared<SharedMemoryPool>(kResultBytes, SharedMemory::Size::fixed)),
      scratches_(std::make_shared<SharedMemoryPool>(kScratchBytesMax, SharedMemory::Size::free)) {}

Result<ScanParser> ScanParser::start(const std::filesystem::path& program, const ParserLimits& limits,
                                     ScanFiles scan_files) {
  for (const std::filesystem::path& file : {program, itk_program(program)})
    if (access(file.c_str(), X_OK) != 0)
      return not_found(file.string() +
                       ": the scan parser is missing (build or install fovea-scan-parser and fovea-scan-parser-itk "
                       "beside fovea-node)");
  allow_many_descriptors();
  ScanParser out(program, limits, std::move(scan_files));
  FOVEA_TRY(out.prove_walls(out.nifti_));
  return out;
}

ParserProcess& ScanParser::program_for(const ParserJob& job, std::span<const int> inputs) {
  if (job.correct_bias) return itk_;
  if (job.kind >= JobKind::crash) return nifti_;
  const bool one_file = (job.kind == JobKind::volume || job.kind == JobKind::labels) && inputs.size() == 1;
  return one_file && begins_like_nifti(inputs.front()) ? nifti_ : itk_;
}

// Proves at every start of a program that its sandbox holds, before it is given a file.
Result<void> ScanParser::prove_walls(ParserProcess& program) {
  FOVEA_TRY_ASSIGN(const std::unique_ptr<SharedMemory> result, results_->take());
  FOVEA_TRY_ASSIGN(const std::unique_ptr<SharedMemory> scratch, scratches_->take());
  const int memories[] = {result->descriptor(), scratch->descriptor()};
  FOVEA_TRY_ASSIGN(const JobFate fate, program.run({.kind = JobKind::open_file, .limits = limits_}, memories));
  const Result<Bytes> answer = fate.fate == Fate::finished ? copy_answer(*result) : fate_error(fate);
  const Result<VolumeAnswer> walls = answer ? decode_volume_answer(*answer) : answer.error();
  if (!walls && walls.error().code == ErrorCode::permission_denied) return {};
  program.stop();
  return unavailable("the parser's sandbox cannot be put up on this machine (kernel without seccomp?)" +
                     (walls ? std::string() : ": " + walls.error().message));
}

Result<std::unique_ptr<SharedMemory>> ScanParser::run_job(const ParserJob& asked,
                                                          std::span<const std::filesystem::path> files) {
  if (files.size() > kJobFilesMax)
    return invalid_argument("series: more than " + std::to_string(kJobFilesMax) + " files");
  FOVEA_TRY_ASSIGN(const std::optional<MemoryBudget::Share> opened_in,
                   memory_for(scan_files_, files));  // outlives the inputs
  std::vector<Descriptor> inputs;
  std::vector<int> numbers(2);
  std::uint64_t bytes = 0;
  for (const std::filesystem::path& file : files) {
    FOVEA_TRY_ASSIGN(Descriptor input, scan_files_.open(file));
    bytes += size_of(input);
    numbers.push_back(input.number());
    inputs.push_back(std::move(input));
  }
  ParserProcess& program = program_for(asked, std::span(numbers).subspan(2));
  if (!program.is_running()) FOVEA_TRY(prove_walls(program));
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> result, results_->take());
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> scratch, scratches_->take());
  numbers[0] = result->descriptor(), numbers[1] = scratch->descriptor();
  ParserJob job = asked;
  job.limits = limits_;
  // N4 takes as long as it takes; contours are drawn into the scan's grid, which counts like a file.
  if (!job.correct_bias) job.limits = limits_for_files(limits_, bytes + 2 * job.grid.image.voxel_count());
  // What comes before the pixels fits in little; a length that a header only claims must not be filled with zeros for
  // seconds.
  if (job.kind == JobKind::describe || job.kind == JobKind::count)
    job.limits.memory_bytes = std::min(job.limits.memory_bytes, kHeadersMemoryBytes + 2 * bytes);
  job.files = static_cast<std::uint32_t>(files.size());
  // After an error, whoever still holds these memories, they are never used again.
  FOVEA_TRY_ASSIGN(const JobFate fate, program.run(job, numbers));
  // The child is dead and the parser has closed what it passed on: nobody else holds the memory.
  scratches_->give_back(std::move(scratch));
  if (fate.fate == Fate::finished) return result;
  results_->give_back(std::move(result));
  return fate_error(fate);
}

Result<Bytes> ScanParser::answer_of(const ParserJob& job, std::span<const std::filesystem::path> files) {
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> result, run_job(job, files));
  Result<Bytes> answer = copy_answer(*result);
  results_->give_back(std::move(result));
  return answer;
}

Result<ParsedVolume> ScanParser::take_volume(const ParserJob& job, std::span<const std::filesystem::path> files) {
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> result, run_job(job, files));
  FOVEA_TRY_ASSIGN(const Bytes bytes, copy_answer(*result));
  Result<VolumeAnswer> answer = decode_volume_answer(bytes);
  if (!answer) {
    results_->give_back(std::move(result));
    return std::move(answer).error();
  }
  FOVEA_CHECK(kVoxelOffset + answer->geometry.voxel_count() * volume::bytes_per_voxel(answer->storage) <=
              result->capacity());
  return ParsedVolume(std::move(result), results_, std::move(answer).value());
}

Result<ParsedVolume> ScanParser::read_volume(const std::filesystem::path& file, std::uint32_t part, bool correct_bias) {
  return take_volume({.kind = JobKind::volume, .part = part, .correct_bias = correct_bias}, {&file, 1});
}

Result<ParsedVolume> ScanParser::read_series(std::span<const std::filesystem::path> files, std::uint32_t part,
                                             bool correct_bias) {
  return take_volume({.kind = JobKind::series, .part = part, .correct_bias = correct_bias}, files);
}

Result<ParsedVolume> ScanParser::read_labels(const std::filesystem::path& file, const LabelGrid& grid) {
  return take_volume({.kind = JobKind::labels, .grid = grid}, {&file, 1});
}

Result<std::uint32_t> ScanParser::count_volumes(std::span<const std::filesystem::path> files) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, answer_of({.kind = JobKind::count}, files));
  return decode_count_answer(bytes);
}

Result<std::vector<DicomFile>> ScanParser::describe(std::span<const std::filesystem::path> files) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, answer_of({.kind = JobKind::describe}, files));
  FOVEA_TRY_ASSIGN(std::vector<DicomFile> out, decode_describe_answer(bytes));
  if (out.size() != files.size())
    return internal_error("the parser described another number of files than it was given");
  return out;
}

Result<void> ScanParser::self_test(JobKind kind, Program of) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, answer_of({.kind = kind, .correct_bias = of == Program::itk}, {}));
  Result<VolumeAnswer> answer = decode_volume_answer(bytes);
  if (!answer) return std::move(answer).error();
  return {};
}

}  // namespace fovea::node::intake
