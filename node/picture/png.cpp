#include "node/picture/png.h"

#include <png.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "common/bytes.h"
#include "common/check.h"
#include "common/durable_file.h"

namespace fovea::node::picture {
namespace {

constexpr int kEdgeMax = 16384;
constexpr int kGlyphWidth = 5, kGlyphHeight = 7;

// Seven rows of five dots, the most significant of five bits on the left.
struct Glyph {
  char letter;
  std::array<std::uint8_t, kGlyphHeight> rows;
};
constexpr Glyph kFace[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},      {'2', {14, 17, 1, 2, 4, 8, 31}},
    {'3', {31, 2, 4, 2, 1, 17, 14}},     {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},       {'8', {14, 17, 17, 14, 17, 17, 14}},
    {'9', {14, 17, 17, 15, 1, 2, 12}},   {'A', {14, 17, 17, 17, 31, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}},
    {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {28, 18, 17, 17, 17, 18, 28}}, {'E', {31, 16, 16, 30, 16, 16, 31}},
    {'F', {31, 16, 16, 30, 16, 16, 16}}, {'G', {14, 17, 16, 23, 17, 17, 15}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
    {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},      {'K', {17, 18, 20, 24, 20, 18, 17}},
    {'L', {16, 16, 16, 16, 16, 16, 31}}, {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 17, 25, 21, 19, 17, 17}},
    {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}}, {'Q', {14, 17, 17, 17, 21, 18, 13}},
    {'R', {30, 17, 17, 30, 20, 18, 17}}, {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
    {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 17, 10, 4}},  {'W', {17, 17, 17, 21, 21, 21, 10}},
    {'X', {17, 17, 10, 4, 10, 17, 17}},  {'Y', {17, 17, 17, 10, 4, 4, 4}},    {'Z', {31, 1, 2, 4, 8, 16, 31}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},      {'-', {0, 0, 0, 31, 0, 0, 0}},       {'+', {0, 4, 4, 31, 4, 4, 0}},
    {'/', {0, 1, 2, 4, 8, 16, 0}},       {':', {0, 12, 12, 0, 12, 12, 0}},    {'%', {24, 25, 2, 4, 8, 19, 3}},
};

const Glyph* glyph_of(char letter) {
  for (const Glyph& glyph : kFace)
    if (glyph.letter == letter) return &glyph;
  return nullptr;
}

Bytes grey_of(const Picture& picture) {
  Bytes out(static_cast<std::size_t>(picture.width()) * static_cast<std::size_t>(picture.height()));
  for (std::size_t p = 0; p < out.size(); ++p) out[p] = picture.pixels()[3 * p];
  return out;
}

}  // namespace

Picture::Picture(int width, int height, Rgb fill) : width_(width), height_(height) {
  FOVEA_CHECK(width > 0 && height > 0 && width <= kEdgeMax && height <= kEdgeMax);
  pixels_.resize(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (std::size_t at = 0; at < pixels_.size(); ++at) pixels_[at] = fill[at % 3];
}

void Picture::set(int x, int y, Rgb colour) noexcept {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  const std::size_t at =
      3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x));
  for (std::size_t c = 0; c < 3; ++c) pixels_[at + c] = colour[c];
}

void Picture::rectangle(int x0, int y0, int x1, int y1, Rgb colour) noexcept {
  for (int x = x0; x <= x1; ++x) set(x, y0, colour), set(x, y1, colour);
  for (int y = y0; y <= y1; ++y) set(x0, y, colour), set(x1, y, colour);
}

void Picture::text(int x, int y, std::string_view text, Rgb colour, int zoom) noexcept {
  for (const char letter : text) {
    if (const Glyph* glyph = glyph_of(letter))
      for (int row = 0; row < kGlyphHeight * zoom; ++row)
        for (int column = 0; column < kGlyphWidth * zoom; ++column)
          if ((glyph->rows[static_cast<std::size_t>(row / zoom)] >> (kGlyphWidth - 1 - column / zoom) & 1) != 0)
            set(x + column, y + row, colour);
    x += (kGlyphWidth + 1) * zoom;
  }
}

Result<void> write_png(const std::filesystem::path& path, const Picture& picture, PngColour colour) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width());
  image.height = static_cast<png_uint_32>(picture.height());
  image.format = colour == PngColour::grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const Bytes grey = colour == PngColour::grey ? grey_of(picture) : Bytes{};
  const std::uint8_t* pixels = colour == PngColour::grey ? grey.data() : picture.pixels().data();
  png_alloc_size_t size = 0;
  if (png_image_write_get_memory_size(image, size, 0, pixels, 0, nullptr) == 0)
    return internal_error("PNG: cannot be encoded");
  Bytes encoded(size);
  if (png_image_write_to_memory(&image, encoded.data(), &size, 0, pixels, 0, nullptr) == 0)
    return internal_error("PNG: cannot be encoded");
  encoded.resize(size);
  return write_file_durably(path, encoded);
}

}  // namespace fovea::node::picture
