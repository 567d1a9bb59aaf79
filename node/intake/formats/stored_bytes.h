// The voxels that a file stores behind a text header, against what that header says, before a library decodes them.
#pragma once

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/formats/file_format.h"

namespace fovea::node::intake {

// How a stream of zlib, gzip or bare deflate data unpacks. `bytes`: up to its end, its damage, or `most`. `is_whole`:
// it reached its end, where its checksum was right. `out`: what it unpacked to, if that is wanted.
struct Inflated {
  std::uint64_t bytes = 0;
  bool is_whole = false;
};
enum class DeflateWrapper { zlib_or_gzip, none };
Inflated inflate_stream(ByteView packed, DeflateWrapper wrapper, std::uint64_t most, Bytes* out = nullptr);

// The voxels behind an NRRD or MetaImage header that text_header.h found sound, against `voxels` of `voxel_bytes` each:
// plain, packed or written as text. `file`: all of it.
Result<void> check_stored_voxels(FileFormat format, ByteView file, std::uint64_t voxels, std::uint64_t voxel_bytes);

}  // namespace fovea::node::intake
