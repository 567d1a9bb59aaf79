// The voxels of a NIfTI file as canonical ones: byte order, data type, slope and intercept (nifti1.h), axes. Done here
// and not by ITK, whose reader costs more than the voxels of a small scan; ITK's stays the reference, which tests hold
// this against.
#pragma once

#include <cstdint>
#include <span>

#include "common/result.h"
#include "node/intake/formats/nifti_header.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

// `voxels`: the file's header.voxel_bytes bytes from header.voxel_offset on, at any alignment; byte-swapped ones are
// swapped in place. Delivered as int16 where that loses nothing, else float: stored · slope + intercept in double
// precision, unless the slope is 0. invalid_argument: a voxel that is not a finite number before or after scaling, or
// what `allocate` says.
Result<void> deliver_nifti(const NiftiHeader& header, std::span<std::uint8_t> voxels,
                           const volume::VoxelAllocator& allocate);

// The same without other memory, where axes are only flipped: `memory` begins with the stored voxels, has
// bytes_in_place(header) bytes, is aligned for voxels of 4 bytes, and begins with the canonical voxels afterwards.
bool can_stay_in_place(const NiftiHeader& header) noexcept;
std::uint64_t bytes_in_place(const NiftiHeader& header) noexcept;
Result<volume::VoxelStorage> deliver_nifti_in_place(const NiftiHeader& header, std::span<std::uint8_t> memory);

}  // namespace fovea::node::intake
