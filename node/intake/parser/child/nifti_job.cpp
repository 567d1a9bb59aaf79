#include "node/intake/parser/child/nifti_job.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "node/intake/formats/foreign_file.h"
#include "node/intake/formats/gzip_file.h"
#include "node/intake/formats/nifti_header.h"
#include "node/intake/formats/nifti_voxels.h"
#include "node/volume/canonical.h"

namespace fovea::node::intake {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kDeflateRatioMax = 1032;  // RFC 1951: 258 bytes from two bits

struct NiftiFile {
  int input = -1;
  bool packed = false;
  NiftiHeader header;
  // Bytes of memory before the voxels, whole pages: an unpacked file brings along what lies before them.
  std::uint64_t lead_bytes() const noexcept {
    return packed ? (header.voxel_offset + kPageBytes - 1) / kPageBytes * kPageBytes : 0;
  }
};

Result<std::uint64_t> file_size(int input) {
  struct stat info {};
  if (syscall(SYS_fstat, input, &info) != 0) return internal_error("file size: unknown");
  return static_cast<std::uint64_t>(info.st_size);
}

Result<NiftiFile> inspect_file(int input) {
  FOVEA_TRY_ASSIGN(Bytes head, read_head(input, kNiftiHeaderBytesMax));
  NiftiFile out{.input = input, .packed = looks_like_gzip(head), .header = {}};
  if (out.packed) {
    FOVEA_TRY_ASSIGN(head, gzip_head(input, kNiftiHeaderBytesMax));
    if (std::string foreign = foreign_in_gzip(head); !foreign.empty()) return invalid_argument(std::move(foreign));
  }
  FOVEA_TRY_ASSIGN(out.header, inspect_nifti(head));
  FOVEA_TRY_ASSIGN(const std::uint64_t size, file_size(input));
  if (out.header.file_bytes() > size * (out.packed ? kDeflateRatioMax : 1))
    return invalid_argument("voxels: the header promises " + std::to_string(out.header.file_bytes()) +
                            " bytes, more than a file of " + std::to_string(size) +
                            " can hold (cut off, or a damaged header; copy the file again)");
  return out;
}

Result<void> read_exactly(int input, std::uint64_t position, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = pread(input, out.data(), out.size(), static_cast<off_t>(position));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return invalid_argument("voxels: cut off (copy the file again)");
    out = out.subspan(static_cast<std::size_t>(got));
    position += static_cast<std::uint64_t>(got);
  }
  return {};
}

// Puts the stored voxels behind the lead of `memory`.
Result<void> load_voxels(const NiftiFile& file, std::span<std::uint8_t> memory) {
  const std::span<std::uint8_t> voxels = memory.subspan(file.lead_bytes(), file.header.voxel_bytes);
  if (!file.packed) return read_exactly(file.input, file.header.voxel_offset, voxels);
  return unpack_gzip(file.input,
                     memory.subspan(file.lead_bytes() - file.header.voxel_offset, file.header.file_bytes()));
}

// The voxels never leave the result memory: unpacked, converted and flipped where the node will find them.
Result<VolumeAnswer> parse_in_place(const NiftiFile& file, int result) {
  FOVEA_TRY_ASSIGN(const MappedMemory mapped, MappedMemory::map(result, kVoxelOffset - file.lead_bytes(),
                                                                file.lead_bytes() + bytes_in_place(file.header)));
  FOVEA_TRY(load_voxels(file, mapped.bytes()));
  VolumeAnswer answer;
  answer.note = file.header.note;
  answer.geometry = volume::reordered(file.header.geometry, volume::canonical_order(file.header.geometry));
  FOVEA_TRY_ASSIGN(answer.storage, deliver_nifti_in_place(file.header, mapped.bytes().subspan(file.lead_bytes())));
  return answer;
}

Result<VolumeAnswer> parse_through_scratch(const NiftiFile& file, const JobDescriptors& descriptors) {
  const std::uint64_t bytes = file.lead_bytes() + file.header.voxel_bytes;
  if (ftruncate(descriptors.scratch, static_cast<off_t>(bytes)) != 0)
    return invalid_argument("memory: the file needs more than the parser may use");
  FOVEA_TRY_ASSIGN(const MappedMemory scratch, MappedMemory::map(descriptors.scratch, 0, bytes));
  FOVEA_TRY(load_voxels(file, scratch.bytes()));
  VolumeAnswer answer;
  answer.note = file.header.note;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY(deliver_nifti(file.header, scratch.bytes().subspan(file.lead_bytes()), memory.into(answer)));
  return answer;
}

}  // namespace

Result<VolumeAnswer> parse_nifti(const JobDescriptors& descriptors) {
  FOVEA_TRY_ASSIGN(const NiftiFile file, inspect_file(descriptors.inputs[0]));
  if (can_stay_in_place(file.header) && file.lead_bytes() <= kVoxelOffset - kPageBytes)
    return parse_in_place(file, descriptors.result);
  return parse_through_scratch(file, descriptors);
}

Bytes answer_nifti_job(const ParserJob& job, const JobDescriptors& descriptors) {
  const bool known = (job.kind == JobKind::volume || job.kind == JobKind::labels) && !job.correct_bias;
  return encode_answer(known ? parse_nifti(descriptors)
                             : Result<VolumeAnswer>(internal_error("job: not one of this program's")));
}

void warm_up_nifti() { warm_up_gzip(); }

}  // namespace fovea::node::intake
