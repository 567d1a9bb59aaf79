// One frame's compressed pixels, followed to their end: decoders end a stream that stops short with pixels of their
// own. Needs no decoder; every stream is hostile.
#pragma once

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::node::intake {

enum class PixelCoding { none, jpeg, jpeg_ls, jpeg_2000, run_length };

struct FramePixels {
  std::uint64_t rows = 0, columns = 0, pixel_bytes = 1;
};

// invalid_argument: the stream lacks its end marker, or holds fewer pixels than `frame` has. Every code of a JPEG with
// Huffman codes (lossless, baseline or extended) and every run of an RLE segment is counted; of the others the end
// marker, since their decoders refuse a stream that runs out.
Result<void> check_pixel_stream(ByteView stream, PixelCoding coding, const FramePixels& frame);

// Whether a fragment of several to a frame is a frame's first.
bool begins_a_frame(ByteView fragment) noexcept;

}  // namespace fovea::node::intake
