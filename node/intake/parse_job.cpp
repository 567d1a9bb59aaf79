#include "node/intake/parse_job.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
#include "node/intake/gzip_file.h"
#include "node/intake/nifti_header.h"
#include "node/intake/sandbox.h"
#include "node/intake/volume_reader.h"

namespace fovea::node {
namespace {

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

// The result memory behind the answer, mapped as far as the voxels need it; unmapped again before the node reads it.
class VoxelMemory {
 public:
  explicit VoxelMemory(int result) : result_(result) {}
  VoxelMemory(const VoxelMemory&) = delete;
  VoxelMemory& operator=(const VoxelMemory&) = delete;
  ~VoxelMemory() {
    if (data_ != nullptr) munmap(data_, size_);
  }

  Result<std::byte*> map(std::size_t bytes) {
    if (data_ != nullptr || bytes > kResultBytes - kVoxelOffset) return unavailable("memory: the voxels do not fit");
    // Populated: one call for all pages is cheaper than a fault for each.
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, result_, static_cast<off_t>(kVoxelOffset));
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

// A shared memory in which a byte is not zero.
bool holds_something(int memory) {
  for (off_t at = lseek(memory, 0, SEEK_DATA); at >= 0;) {
    const off_t end = lseek(memory, at, SEEK_HOLE);
    Bytes bytes(static_cast<std::size_t>(std::max<off_t>(end - at, 0)));
    if (bytes.empty() || pread(memory, bytes.data(), bytes.size(), at) != end - at) return true;
    if (std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; })) return true;
    at = lseek(memory, end, SEEK_DATA);
  }
  return false;
}

Result<void> check_numbers(const NiftiHeader& header, ByteView file) {
  if (voxels_are_numbers(header, file.subspan(header.voxel_offset, header.voxel_bytes))) return {};
  return invalid_argument("voxels: some are not numbers (NaN or infinite); replace them, e.g. by 0, and export again");
}

// The decompressed file lies in scratch; its header is checked before anything is made room for.
Result<NiftiHeader> unpack_nifti(int input, int scratch) {
  FOVEA_TRY_ASSIGN(const Bytes head, gzip_head(input, kNiftiHeaderBytesMax));
  FOVEA_TRY_ASSIGN(const NiftiHeader header, inspect_nifti(head));
  FOVEA_TRY_ASSIGN(const UnpackedFile file, UnpackedFile::unpack(input, scratch, header.file_bytes()));
  FOVEA_TRY(check_numbers(header, file.bytes()));
  return header;
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
    return memory.map(geometry.voxel_count() * bytes_per_voxel(storage));
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
  for (std::size_t n = 0; n + 1 < descriptors.inputs.size(); ++n) out.push_back(virtual_path(descriptors.folder, n, ".dcm"));
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
    source = {virtual_path(descriptors.folder, scratch_number, ".nii"), FileFormat::nifti, &header.geometry};
  } else if (looks_like_nifti(head)) {
    FOVEA_TRY_ASSIGN(header, inspect_plain_nifti(input, head));
    source = {virtual_path(descriptors.folder, 0, ".nii"), FileFormat::nifti, &header.geometry};
  } else if (begins(head, "NRRD000")) {
    source = {virtual_path(descriptors.folder, 0, ".nrrd"), FileFormat::nrrd, nullptr};
  } else if (as_text(head).find("NDims") != std::string_view::npos && begins(head, "ObjectType")) {
    source = {virtual_path(descriptors.folder, 0, ".mha"), FileFormat::metaimage, nullptr};
  } else if (is_dicom(head)) {
    return parse_series(descriptors, part);  // one enhanced object is a whole volume
  } else {
    return invalid_argument("format: not recognised; expected NIfTI (.nii, .nii.gz), NRRD, MHA or DICOM");
  }
  if (header.version == 2) {
    FOVEA_TRY(show_as_version_1(header, !looks_like_nifti(head), descriptors));
    source.path = virtual_path(descriptors.folder, scratch_number, ".nii");
  }
  return read_into(source, descriptors.result);
}

Result<VolumeAnswer> parse_labels(const JobDescriptors& descriptors, const LabelGrid& grid) {
  FOVEA_TRY_ASSIGN(const Bytes head, read_head(descriptors.inputs[0]));
  if (!is_dicom(head)) return parse_volume(descriptors, kOnlyVolume);
  VolumeAnswer answer;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY_ASSIGN(LabelFacts facts, read_dicom_labels(virtual_path(descriptors.folder, 0, ".dcm"), grid, into(answer, memory)));
  answer.layers = facts.layers;
  answer.frame_of_reference = std::move(facts.frame_of_reference);
  return answer;
}

// Evens out an MR's bias field, when that is asked for, where its voxels lie, which makes them floats.
Result<VolumeAnswer> corrected(Result<VolumeAnswer> answer, const ParserJob& job, int result) {
  if (!job.correct_bias || !answer || answer->modality == "CT" || answer->modality == "PT") return answer;
  const std::size_t voxels = answer->geometry.voxel_count();
  const std::size_t bytes = voxels * sizeof(float);
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

Result<VolumeAnswer> provoke(JobKind kind, const JobDescriptors& descriptors) {
  if (kind == JobKind::find_leftovers)
    return holds_something(descriptors.result) || holds_something(descriptors.scratch) ? internal_error("memory: an earlier file left something") : invalid_argument("memory: clean");
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
      case JobKind::open_socket:
      case JobKind::find_leftovers: return encode_answer(provoke(job.kind, descriptors));
    }
    return encode_answer(Result<VolumeAnswer>(internal_error("job: not known here")));
  } catch (const std::bad_alloc&) {
    return encode_answer(Result<VolumeAnswer>(invalid_argument("memory: the file needs more than the parser may use")));
  } catch (const std::exception&) {
    return encode_answer(Result<VolumeAnswer>(invalid_argument("contents: the file cannot be decoded (damaged or cut off; copy it again)")));
  }
}

}  // namespace

void run_parse_job(const ParserJob& job, const JobDescriptors& descriptors, const WallFilter& filter) {
  Result<void> walls = limit_resources(job.limits);
  if (walls) walls = raise_walls(filter, descriptors.inputs);
  if (!walls) {
    leave_answer(descriptors.result, encode_answer(Result<VolumeAnswer>(walls.error())));
    _exit(0);
  }
  leave_answer(descriptors.result, run(job, descriptors));
  _exit(0);
}

void run_without_walls(const ParserJob& job, const JobDescriptors& descriptors) { leave_answer(descriptors.result, run(job, descriptors)); }

void warm_up_libraries() {
  // A path that does not exist: each reader goes as far as it can without a file.
  for (const FileFormat format : {FileFormat::nifti, FileFormat::nrrd, FileFormat::metaimage}) {
    const VolumeSource source{virtual_path(kVirtualFolder, 0, ".none"), format, nullptr};
    const Result<void> refused = read_volume_file(source, [](const VolumeGeometry&, VoxelStorage) -> Result<std::byte*> { return internal_error("unreachable"); });
    FOVEA_CHECK(!refused);
  }
  FOVEA_CHECK(!describe_dicom(virtual_path(kVirtualFolder, 0, ".none")).is_image);
}

}  // namespace fovea::node
