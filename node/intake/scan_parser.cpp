#include "node/intake/scan_parser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/codec.h"

namespace fovea::node {
namespace {

Result<Descriptor> open_input(const std::filesystem::path& file) {
  // O_NONBLOCK: a named pipe must not make the node wait.
  Descriptor out(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!out) return not_found(std::string("cannot be opened: ") + std::strerror(errno));
  struct stat info{};
  if (fstat(out.number(), &info) != 0 || !S_ISREG(info.st_mode)) return invalid_argument("not a regular file");
  if (info.st_size == 0) return invalid_argument("the file is empty (copy it again)");
  return out;
}

Error fate_error(const JobFate& fate) {
  switch (fate.fate) {
    case Fate::timed_out: return deadline_exceeded("reading took longer than the time limit; the file was given up");
    case Fate::signalled:
      if (fate.detail == SIGXCPU) return deadline_exceeded("reading took more processor time than the limit; the file was given up");
      if (fate.detail == SIGSYS) return internal_error("the sandbox stopped the parser: the file made it do something forbidden");
      return internal_error("the parser died of signal " + std::to_string(fate.detail) + " while reading; the file is damaged or hostile");
    case Fate::failed: return internal_error("the parser gave up without an answer (status " + std::to_string(fate.detail) + ")");
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
  if (pool_) pool_->give_back(std::move(memory_));
}

VoxelSpan ParsedVolume::voxels() const noexcept {
  const std::uint8_t* data = memory_->data() + kVoxelOffset;
  const std::size_t count = geometry().voxel_count();
  if (answer_.storage == VoxelStorage::int16) return std::span(reinterpret_cast<const std::int16_t*>(data), count);
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

ScanParser::ScanParser(std::filesystem::path program, ParserLimits limits)
    : program_(std::move(program)), limits_(limits),
      results_(std::make_shared<SharedMemoryPool>(kResultBytes, SharedMemory::Size::fixed)),
      scratches_(std::make_shared<SharedMemoryPool>(kScratchBytesMax, SharedMemory::Size::free)) {}

Result<ScanParser> ScanParser::start(const std::filesystem::path& program, const ParserLimits& limits) {
  if (access(program.c_str(), X_OK) != 0)
    return not_found(program.string() + ": the scan parser is missing (build or install fovea-scan-parser beside fovea-node)");
  allow_many_descriptors();
  ScanParser out(program, limits);
  // A sandbox that does not hold is no sandbox: proved at every start, before the first file.
  const Result<void> walls = out.self_test(JobKind::open_file);
  if (walls || walls.error().code != ErrorCode::permission_denied)
    return unavailable("the parser's sandbox cannot be put up on this machine (kernel without seccomp?)" + (walls ? std::string() : ": " + walls.error().message));
  return out;
}

ScanParser::~ScanParser() { stop(); }

void ScanParser::stop() {
  if (!child_) return;
  child_->socket = Descriptor();  // end of input: the program leaves by itself
  kill(child_->pid, SIGKILL);
  while (waitpid(child_->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  child_.reset();
}

Result<void> ScanParser::ensure_running() {
  if (child_) return {};
  int ends[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return unavailable("scan parser: no socket pair");
  Descriptor ours(ends[0]), theirs(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.number(), kControlDescriptor);
  std::string name = program_.string();
  char* arguments[] = {name.data(), nullptr};
  // Symbols are bound once at the start instead of in every forked child; large buffers lie in huge pages where the kernel
  // gives them, since a child lives too short to earn back a fault for each small one.
  char bind_now[] = "LD_BIND_NOW=1", huge_pages[] = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";
  char* environment[] = {bind_now, huge_pages, nullptr};
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, name.c_str(), &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return unavailable(name + ": cannot be started: " + std::strerror(failed));
  child_ = std::make_unique<Child>(Child{pid, std::move(ours)});
  return {};
}

Result<JobFate> ScanParser::exchange(const ParserJob& job, std::span<const int> descriptors) {
  const int socket = child_->socket.number();
  const Bytes header = encode(job);
  std::size_t sent = 0;
  do {
    const std::size_t count = std::min(kDescriptorsPerMessage, descriptors.size() - sent);
    FOVEA_TRY(send_message(socket, header, descriptors.subspan(sent, count)));
    sent += count;
  } while (sent < descriptors.size());
  // The program enforces the limit itself; a program that does not answer is stopped a little later.
  pollfd ready{socket, POLLIN, 0};
  constexpr int kGraceMs = 10'000;
  int events = -1;
  do events = poll(&ready, 1, static_cast<int>(job.limits.wall_ms) + kGraceMs);
  while (events < 0 && errno == EINTR);
  if (events <= 0) return deadline_exceeded("the parser does not answer; the file was given up");
  FOVEA_TRY_ASSIGN(const ReceivedMessage reply, receive_message(socket));
  for (const int descriptor : reply.descriptors) ::close(descriptor);
  return decode_fate(reply.bytes);
}

Result<std::unique_ptr<SharedMemory>> ScanParser::run_job(const ParserJob& asked, std::span<const std::filesystem::path> files) {
  FOVEA_TRY(ensure_running());
  if (files.size() > kJobFilesMax) return invalid_argument("series: more than " + std::to_string(kJobFilesMax) + " files");
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> result, results_->take());
  FOVEA_TRY_ASSIGN(std::unique_ptr<SharedMemory> scratch, scratches_->take());
  std::vector<Descriptor> inputs;
  std::vector<int> numbers{result->descriptor(), scratch->descriptor()};
  for (const std::filesystem::path& file : files) {
    FOVEA_TRY_ASSIGN(Descriptor input, open_input(file));
    numbers.push_back(input.number());
    inputs.push_back(std::move(input));
  }
  ParserJob job = asked;
  job.limits = limits_;
  job.files = static_cast<std::uint32_t>(files.size());
  Result<JobFate> fate = exchange(job, numbers);
  if (!fate) {
    // Whoever still holds these memories, they are never used again.
    stop();
    return std::move(fate).error();
  }
  // The child is dead and the parser has closed what it passed on: nobody else holds the memory.
  scratches_->give_back(std::move(scratch));
  if (fate->fate == Fate::finished) return result;
  results_->give_back(std::move(result));
  return fate_error(*fate);
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
  FOVEA_CHECK(kVoxelOffset + answer->geometry.voxel_count() * bytes_per_voxel(answer->storage) <= result->capacity());
  return ParsedVolume(std::move(result), results_, std::move(answer).value());
}

Result<ParsedVolume> ScanParser::read_volume(const std::filesystem::path& file, std::uint32_t part, bool correct_bias) {
  return take_volume({.kind = JobKind::volume, .part = part, .correct_bias = correct_bias}, {&file, 1});
}

Result<ParsedVolume> ScanParser::read_series(std::span<const std::filesystem::path> files, std::uint32_t part, bool correct_bias) {
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
  if (out.size() != files.size()) return internal_error("the parser described another number of files than it was given");
  return out;
}

Result<void> ScanParser::self_test(JobKind kind) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, answer_of({.kind = kind}, {}));
  Result<VolumeAnswer> answer = decode_volume_answer(bytes);
  if (!answer) return std::move(answer).error();
  return {};
}

}  // namespace fovea::node
