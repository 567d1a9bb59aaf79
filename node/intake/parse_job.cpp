#include "node/intake/parse_job.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "common/codec.h"
#include "node/intake/bias_field.h"
#include "node/intake/dicom_labels.h"
#include "node/intake/dicom_series.h"
#include "node/intake/nifti_header.h"
#include "node/intake/sandbox.h"
#include "node/intake/volume_reader.h"

namespace fovea::node {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::uint64_t kTrailingBytesMax = 16u << 20;  // after the voxels a header promises

// Leaves an answer: its bytes first, then its length, which says that it is whole.
void leave_answer(int result, const Bytes& answer) {
  void* at = mmap(nullptr, kAnswerBytesMax, PROT_READ | PROT_WRITE, MAP_SHARED, result, 0);
  if (at == MAP_FAILED || answer.size() > kAnswerBytesMax - 8) _exit(3);
  auto* memory = static_cast<std::uint8_t*>(at);
  std::copy(answer.begin(), answer.end(), memory + 8);
  ByteWriter length;
  length.u64(answer.size());
  std::copy(length.bytes().begin(), length.bytes().end(), memory);
  munmap(at, kAnswerBytesMax);
}

// The result memory behind the answer, grown to hold the voxels; unmapped again before the node reads it.
class VoxelMemory {
 public:
  explicit VoxelMemory(int result) : result_(result) {}
  VoxelMemory(const VoxelMemory&) = delete;
  VoxelMemory& operator=(const VoxelMemory&) = delete;
  ~VoxelMemory() {
    if (data_ != nullptr) munmap(data_, size_);
  }

  Result<std::byte*> grow(std::size_t bytes) {
    if (data_ != nullptr || ftruncate(result_, static_cast<off_t>(kVoxelOffset + bytes)) != 0)
      return unavailable("memory: the voxels do not fit");
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, result_, static_cast<off_t>(kVoxelOffset));
    if (at == MAP_FAILED) return unavailable("memory: the voxels do not fit");
    data_ = at;
    size_ = bytes;
    return static_cast<std::byte*>(at);
  }

 private:
  int result_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

// A gzip stream read from a descriptor, in pieces.
class GzipStream {
 public:
  explicit GzipStream(int input) : input_(input), block_(kBlockBytes) {
    stream_.next_in = block_.data();
    good_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() { inflateEnd(&stream_); }

  // Up to `size` bytes; fewer at the end of the stream.
  Result<std::size_t> read(std::uint8_t* out, std::size_t size) {
    std::size_t done = 0;
    while (good_ && !ended_ && done < size) {
      if (stream_.avail_in == 0 && !refill()) return invalid_argument("gzip data: cut off (copy the file again)");
      stream_.next_out = out + done;
      const std::size_t room = std::min<std::size_t>(size - done, 1u << 30);
      stream_.avail_out = static_cast<unsigned>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += room - stream_.avail_out;
      if (status == Z_STREAM_END) end_of_member();
      else if (status != Z_OK && status != Z_BUF_ERROR) good_ = false;
    }
    if (!good_) return invalid_argument("gzip data: damaged, it fails its own check (copy the file again)");
    return done;
  }

 private:
  bool refill() {
    ssize_t got = -1;
    do got = ::read(input_, block_.data(), block_.size());
    while (got < 0 && errno == EINTR);
    stream_.next_in = block_.data();
    stream_.avail_in = got > 0 ? static_cast<unsigned>(got) : 0;
    return got > 0;
  }
  // RFC 1952: members may follow each other; anything else behind one is padding.
  void end_of_member() {
    if (stream_.avail_in == 0) refill();
    if (stream_.avail_in >= 2 && stream_.next_in[0] == 0x1f && stream_.next_in[1] == 0x8b)
      good_ = inflateReset2(&stream_, 15 + 16) == Z_OK;
    else
      ended_ = true;
  }

  int input_;
  std::vector<std::uint8_t> block_;
  z_stream stream_{};
  bool good_ = false, ended_ = false;
};

struct ScratchMapping {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  ScratchMapping(int scratch, std::size_t bytes) : size(bytes) {
    if (ftruncate(scratch, static_cast<off_t>(bytes)) != 0) return;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, scratch, 0);
    if (at != MAP_FAILED) data = static_cast<std::uint8_t*>(at);
  }
  ScratchMapping(const ScratchMapping&) = delete;
  ScratchMapping& operator=(const ScratchMapping&) = delete;
  ~ScratchMapping() {
    if (data != nullptr) munmap(data, size);
  }
};

Result<void> check_numbers(const NiftiHeader& header, ByteView file) {
  if (voxels_are_numbers(header, file.subspan(header.voxel_offset, header.voxel_bytes))) return {};
  return invalid_argument("voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
}

// Exactly the bytes the header promises, and no more: a bomb is not unpacked, a cut-off file is named as such.
Result<NiftiHeader> unpack_nifti(int input, int scratch) {
  GzipStream stream(input);
  Bytes head(kNiftiHeaderBytesMax);
  FOVEA_TRY_ASSIGN(const std::size_t got, stream.read(head.data(), head.size()));
  head.resize(got);
  FOVEA_TRY_ASSIGN(const NiftiHeader header, inspect_nifti(head));
  const std::uint64_t bytes = header.file_bytes();
  const ScratchMapping memory(scratch, bytes);
  if (memory.data == nullptr) return invalid_argument("memory: the file needs more than the parser may use");
  std::copy(head.begin(), head.end(), memory.data);
  FOVEA_TRY_ASSIGN(const std::size_t rest, stream.read(memory.data + got, bytes - got));
  if (got + rest < bytes)
    return invalid_argument("voxels: cut off after " + std::to_string(got + rest) + " of " + std::to_string(bytes) + " bytes (copy the file again)");
  FOVEA_TRY(check_numbers(header, ByteView(memory.data, bytes)));
  Bytes block(kBlockBytes);
  for (std::uint64_t trailing = 0;;) {
    FOVEA_TRY_ASSIGN(const std::size_t more, stream.read(block.data(), block.size()));
    if (more == 0) return header;
    if ((trailing += more) > kTrailingBytesMax) return invalid_argument("gzip data: far more than its header promises (a decompression bomb?)");
  }
}

Result<NiftiHeader> inspect_plain_nifti(int input, ByteView head) {
  FOVEA_TRY_ASSIGN(const NiftiHeader header, inspect_nifti(head));
  struct stat info{};
  if (syscall(SYS_fstat, input, &info) != 0) return internal_error("file size: unknown");
  if (static_cast<std::uint64_t>(info.st_size) < header.file_bytes())
    return invalid_argument("voxels: the header promises " + std::to_string(header.file_bytes()) + " bytes, the file has " +
                            std::to_string(info.st_size) + " (cut off, or a damaged header; copy the file again)");
  const std::size_t bytes = header.file_bytes();
  void* at = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, input, 0);
  if (at == MAP_FAILED) return invalid_argument("memory: the file needs more than the parser may use");
  const Result<void> numbers = check_numbers(header, ByteView(static_cast<const std::uint8_t*>(at), bytes));
  munmap(at, bytes);
  if (!numbers) return numbers.error();
  return header;
}

Result<Bytes> read_head(int input) {
  Bytes head(kNiftiHeaderBytesMax);
  std::size_t done = 0;
  while (done < head.size()) {
    const ssize_t got = pread(input, head.data() + done, head.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable("the file cannot be read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  head.resize(done);
  return head;
}

bool is_dicom(ByteView head) { return head.size() >= 132 && as_text(head).substr(128, 4) == "DICM"; }
bool begins(ByteView head, std::string_view magic) { return as_text(head).starts_with(magic); }

// What a reader asks for memory, noting what it is about to deliver.
VoxelAllocator into(VolumeAnswer& answer, VoxelMemory& memory) {
  return [&](const VolumeGeometry& geometry, VoxelStorage storage) -> Result<std::byte*> {
    answer.geometry = geometry;
    answer.storage = storage;
    return memory.grow(geometry.voxel_count() * bytes_per_voxel(storage));
  };
}

Result<VolumeAnswer> read_into(const VolumeSource& source, int result) {
  VolumeAnswer answer;
  VoxelMemory memory(result);
  FOVEA_TRY(read_volume_file(source, into(answer, memory)));
  return answer;
}

std::vector<std::filesystem::path> dicom_paths(const JobDescriptors& descriptors) {
  std::vector<std::filesystem::path> out;
  for (std::size_t n = 0; n + 1 < descriptors.inputs.size(); ++n) out.push_back(virtual_path(n, ".dcm"));
  return out;
}

Result<VolumeAnswer> parse_series(const JobDescriptors& descriptors, std::uint32_t part) {
  VolumeAnswer answer;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY_ASSIGN(SeriesFacts facts, read_dicom_series(dicom_paths(descriptors), part, into(answer, memory)));
  answer.modality = std::move(facts.modality);
  answer.patient = std::move(facts.patient);
  answer.frame_of_reference = std::move(facts.frame_of_reference);
  return answer;
}

Result<std::vector<DicomFile>> describe_files(const JobDescriptors& descriptors) {
  std::vector<DicomFile> out;
  for (const std::filesystem::path& file : dicom_paths(descriptors)) out.push_back(describe_dicom(file));
  return out;
}

// ITK 5.2 knows NIfTI-1 only: a file of version 2 is shown to it with another header, in the scratch file, which holds it
// already when it was packed.
Result<void> show_as_version_1(const NiftiHeader& header, bool was_packed, const JobDescriptors& descriptors) {
  const std::size_t bytes = header.file_bytes();
  if (ftruncate(descriptors.scratch, static_cast<off_t>(bytes)) != 0) return invalid_argument("memory: the file needs more than the parser may use");
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptors.scratch, 0);
  if (at == MAP_FAILED) return invalid_argument("memory: the file needs more than the parser may use");
  auto* file = static_cast<std::uint8_t*>(at);
  std::size_t done = was_packed ? bytes : header.voxel_offset;
  while (done < bytes) {
    const ssize_t got = pread(descriptors.inputs[0], file + done, bytes - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  const Bytes first = version_1_header(header);
  std::copy(first.begin(), first.end(), file);
  munmap(at, bytes);
  if (done < bytes) return invalid_argument("voxels: cut off (copy the file again)");
  return {};
}

Result<VolumeAnswer> parse_volume(const JobDescriptors& descriptors, std::uint32_t part) {
  const int input = descriptors.inputs[0];
  const std::size_t scratch_number = descriptors.inputs.size() - 1;
  FOVEA_TRY_ASSIGN(const Bytes head, read_head(input));
  VolumeSource source;
  NiftiHeader header;
  if (head.size() >= 2 && head[0] == 0x1f && head[1] == 0x8b) {
    FOVEA_TRY_ASSIGN(header, unpack_nifti(input, descriptors.scratch));
    source = {virtual_path(scratch_number, ".nii"), FileFormat::nifti, &header.geometry};
  } else if (looks_like_nifti(head)) {
    FOVEA_TRY_ASSIGN(header, inspect_plain_nifti(input, head));
    source = {virtual_path(0, ".nii"), FileFormat::nifti, &header.geometry};
  } else if (begins(head, "NRRD000")) {
    source = {virtual_path(0, ".nrrd"), FileFormat::nrrd, nullptr};
  } else if (as_text(head).find("NDims") != std::string_view::npos && begins(head, "ObjectType")) {
    source = {virtual_path(0, ".mha"), FileFormat::metaimage, nullptr};
  } else if (is_dicom(head)) {
    return parse_series(descriptors, part);  // one enhanced object is a whole volume
  } else {
    return invalid_argument("format: not recognised; expected NIfTI (.nii, .nii.gz), NRRD, MHA or DICOM");
  }
  if (header.version == 2) {
    FOVEA_TRY(show_as_version_1(header, !looks_like_nifti(head), descriptors));
    source.path = virtual_path(scratch_number, ".nii");
  }
  return read_into(source, descriptors.result);
}

Result<VolumeAnswer> parse_labels(const JobDescriptors& descriptors, const LabelGrid& grid) {
  FOVEA_TRY_ASSIGN(const Bytes head, read_head(descriptors.inputs[0]));
  if (!is_dicom(head)) return parse_volume(descriptors, kOnlyVolume);
  VolumeAnswer answer;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY_ASSIGN(LabelFacts facts, read_dicom_labels(virtual_path(0, ".dcm"), grid, into(answer, memory)));
  answer.layers = facts.layers;
  answer.frame_of_reference = std::move(facts.frame_of_reference);
  return answer;
}

// Evens out an MR's bias field, when that is asked for, where its voxels lie, which makes them floats.
Result<VolumeAnswer> corrected(Result<VolumeAnswer> answer, const ParserJob& job, int result) {
  if (!job.correct_bias || !answer || answer->modality == "CT" || answer->modality == "PT") return answer;
  const std::size_t voxels = answer->geometry.voxel_count();
  const std::size_t bytes = voxels * sizeof(float);
  if (ftruncate(result, static_cast<off_t>(kVoxelOffset + bytes)) != 0) return invalid_argument("memory: the scan needs more than the parser may use");
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, result, static_cast<off_t>(kVoxelOffset));
  if (at == MAP_FAILED) return invalid_argument("memory: the scan needs more than the parser may use");
  const std::span<float> real(static_cast<float*>(at), voxels);
  if (answer->storage == VoxelStorage::int16) {
    // From the last to the first: a float never overwrites an integer that is still to be read.
    const auto* whole = static_cast<const std::int16_t*>(at);
    for (std::size_t v = voxels; v-- > 0;) {
      std::int16_t value = 0;
      std::memcpy(&value, whole + v, sizeof value);
      const auto number = static_cast<float>(value);
      std::memcpy(&real[v], &number, sizeof number);
    }
    answer->storage = VoxelStorage::float32;
  }
  const Result<void> done = correct_bias(answer->geometry, real);
  munmap(at, bytes);
  if (!done) return done.error();
  return answer;
}

Result<VolumeAnswer> provoke(JobKind kind) {
  if (kind == JobKind::crash) __builtin_trap();
  if (kind == JobKind::allocate) {
    // Touched, so that no optimiser and no overcommit makes it nothing.
    for (std::vector<Bytes> held;;) held.emplace_back(Bytes(64u << 20, 1));
  }
  if (kind == JobKind::spin)
    for (volatile bool forever = true; forever;) {
    }
  if (kind == JobKind::open_file) {
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (file >= 0) return internal_error("sandbox: a file could be opened by path");
    return permission_denied("sandbox: a file was refused");
  }
  ::socket(AF_INET, SOCK_STREAM, 0);
  return internal_error("sandbox: a socket could be asked for");
}

Bytes run(const ParserJob& job, const JobDescriptors& descriptors) {
  try {
    switch (job.kind) {
      case JobKind::volume: return encode_answer(corrected(parse_volume(descriptors, job.part), job, descriptors.result));
      case JobKind::describe: return encode_answer(describe_files(descriptors));
      case JobKind::series: return encode_answer(corrected(parse_series(descriptors, job.part), job, descriptors.result));
      case JobKind::count: return encode_answer(count_dicom_volumes(dicom_paths(descriptors)));
      case JobKind::labels: return encode_answer(parse_labels(descriptors, job.grid));
      case JobKind::crash:
      case JobKind::allocate:
      case JobKind::spin:
      case JobKind::open_file:
      case JobKind::open_socket: return encode_answer(provoke(job.kind));
    }
    return encode_answer(Result<VolumeAnswer>(internal_error("job: not known here")));
  } catch (const std::bad_alloc&) {
    return encode_answer(Result<VolumeAnswer>(invalid_argument("memory: the file needs more than the parser may use")));
  } catch (const std::exception&) {
    return encode_answer(Result<VolumeAnswer>(invalid_argument("contents: the file cannot be decoded (damaged or cut off; copy it again)")));
  }
}

}  // namespace

void run_parse_job(const ParserJob& job, const JobDescriptors& descriptors) {
  Result<void> walls = limit_resources(job.limits);
  if (walls) walls = raise_walls(descriptors.inputs);
  if (!walls) {
    leave_answer(descriptors.result, encode_answer(Result<VolumeAnswer>(walls.error())));
    _exit(0);
  }
  leave_answer(descriptors.result, run(job, descriptors));
  _exit(0);
}

}  // namespace fovea::node
