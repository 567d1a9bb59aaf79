// gzip files (RFC 1952) from a descriptor, inside the parser's walls: never more bytes than were checked before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/bytes.h"
#include "common/result.h"

namespace fovea::node::intake {

// The first `size_max` decompressed bytes, fewer when the file is shorter. invalid_argument: damaged or cut off.
Result<Bytes> gzip_head(int input, std::size_t size_max);

// A whole decompressed file, of a size known from its own header, into `out`. invalid_argument: fewer bytes, more than
// a little padding behind them (a bomb), or a checksum that fails.
Result<void> unpack_gzip(int input, std::span<std::uint8_t> out);

// Unpacks a few bytes of its own, so that no forked child has to do what libraries do at their first file.
void warm_up_gzip();

}  // namespace fovea::node::intake
