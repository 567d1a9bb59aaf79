// PNG pictures, written through libpng.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace fovea::node::picture {

using Rgb = std::array<std::uint8_t, 3>;

// An 8-bit RGB picture, rows from the top.
class Picture {
 public:
  Picture(int width, int height, Rgb fill = {0, 0, 0});
  int width() const noexcept { return width_; }
  int height() const noexcept { return height_; }
  const std::vector<std::uint8_t>& pixels() const noexcept { return pixels_; }  // 3 bytes per pixel

  // Outside the picture: nothing happens.
  void set(int x, int y, Rgb colour) noexcept;
  void rectangle(int x0, int y0, int x1, int y1, Rgb colour) noexcept;  // outline, both corners included
  // Digits, upper-case letters and " .-+/:%" in a 5×7 face, `zoom` pixels per dot; other characters leave a gap.
  void text(int x, int y, std::string_view text, Rgb colour, int zoom = 1) noexcept;

 private:
  int width_, height_;
  std::vector<std::uint8_t> pixels_;
};

enum class PngColour { grey, rgb };

// grey writes the first channel only. The file carries no text, time or name. unavailable: cannot be written.
Result<void> write_png(const std::filesystem::path& path, const Picture& picture, PngColour colour = PngColour::rgb);

}  // namespace fovea::node::picture
