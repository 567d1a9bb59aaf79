#include "node/intake/dicom/csa_header.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/numbers.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kTagsMax = 1024;
constexpr std::size_t kItemsMax = 4096;

// Little-endian words and texts from the front; every read is checked.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  bool good() const { return good_; }
  std::uint32_t word() {
    const ByteView at = take(4);
    return at.size() < 4 ? 0
                         : at[0] | static_cast<std::uint32_t>(at[1]) << 8 | static_cast<std::uint32_t>(at[2]) << 16 |
                               static_cast<std::uint32_t>(at[3]) << 24;
  }
  // Up to the first zero byte of `size` bytes.
  std::string text(std::size_t size) {
    const std::string_view all = as_text(take(size));
    return std::string(all.substr(0, all.find('\0')));
  }
  void skip(std::size_t size) { take(size); }

 private:
  ByteView take(std::size_t size) {
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    const ByteView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  ByteView rest_;
  bool good_ = true;
};

}  // namespace

std::vector<double> csa_numbers(ByteView header, std::string_view tag) {
  if (!as_text(header).starts_with("SV10")) return {};
  Reader in(header);
  in.skip(8);
  const std::uint32_t tags = in.word();
  in.skip(4);
  if (tags > kTagsMax) return {};
  for (std::uint32_t t = 0; t < tags && in.good(); ++t) {
    const bool wanted = in.text(64) == tag;
    in.skip(12);  // multiplicity, representation, its number
    const std::uint32_t items = in.word();
    in.skip(4);
    if (items > kItemsMax) return {};
    std::vector<double> out;
    for (std::uint32_t n = 0; n < items && in.good(); ++n) {
      in.skip(4);
      const std::uint32_t size = in.word();
      in.skip(8);
      const std::string text = in.text(size);
      in.skip((4 - size % 4) % 4);
      if (!wanted || text.find_first_not_of(' ') == std::string::npos) continue;
      const std::size_t begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ') + 1;
      const std::optional<double> value = read_decimal(std::string_view(text).substr(begin, end - begin));
      if (!value) return {};
      out.push_back(*value);
    }
    if (wanted) return in.good() ? out : std::vector<double>{};
  }
  return {};
}

}  // namespace fovea::node::intake
