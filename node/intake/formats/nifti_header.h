// What a NIfTI-1 or NIfTI-2 header claims, checked before anything is allocated for it.
// Formats: nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/bytes.h"
#include "common/result.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {

constexpr std::size_t kNiftiHeaderBytesMax = 544;  // NIfTI-2: 540 and four of extension flags

struct NiftiHeader {
  volume::VolumeGeometry geometry;  // LPS, in file order, checked
  std::uint64_t voxel_offset = 0;   // of the first voxel in the (decompressed) file
  std::uint64_t voxel_bytes = 0;    // all voxels
  std::int64_t datatype = 0;        // NIfTI's code
  bool swapped = false;             // byte-swapped: stored in the other byte order
  double slope = 0, intercept = 0;  // value = stored · slope + intercept, unless slope is 0
  std::string note;                 // which transform was taken, where that is not plain
  std::uint64_t file_bytes() const noexcept { return voxel_offset + voxel_bytes; }
};

// True when the first bytes are a single-file NIfTI header of either version and byte order.
bool looks_like_nifti(ByteView head) noexcept;
bool looks_like_gzip(ByteView head) noexcept;  // RFC 1952

// `head`: the first kNiftiHeaderBytesMax bytes of the decompressed file, or all of a shorter one.
// The geometry follows sform when its code is set, else qform, else the plain spacing. A sheared sform gives
// way to a sound qform that lies within a voxel of it. A slope that is 0 or NaN means that values are as stored, as
// nibabel has it. invalid_argument names the field: truncated header, not 3D, too large, a voxel type that is not a
// plain number, a slope that is infinite, an intercept that is not a number, a unit of length that the format does not
// know, spacing zero or not a number, a transform that is singular or sheared.
Result<NiftiHeader> inspect_nifti(ByteView head);

}  // namespace fovea::node::intake
