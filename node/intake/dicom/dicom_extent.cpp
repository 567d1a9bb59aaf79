#include "node/intake/dicom/dicom_extent.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "node/intake/formats/stored_amount.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kPreambleBytes = 128;
constexpr std::uint32_t kUndefined = 0xffffffff;
constexpr unsigned kDepthMax = 64;  // deeper is not followed: readers refuse it

constexpr std::uint32_t kItem = 0xfffee000, kItemEnd = 0xfffee00d, kSequenceEnd = 0xfffee0dd;
constexpr std::uint32_t kStoredClass = 0x00020002, kTransferSyntax = 0x00020010, kSopClass = 0x00080016,
                        kSeries = 0x0020000e;

constexpr bool is_pixels(std::uint32_t tag) noexcept { return tag >= 0x7fe00008 && tag <= 0x7fe00010; }

struct Encoding {
  bool is_explicit = true;
  bool big_endian = false;
};

enum class Step { going, done, cut, lost };  // lost: not followed

struct Element {
  std::uint32_t tag = 0;
  bool is_unknown = false;   // UN, whose nested elements are implicit (CP-246)
  std::uint32_t length = 0;  // or kUndefined
};

class Walk {
 public:
  Walk(ByteView bytes, std::size_t at, DicomExtent& out) : bytes_(bytes), at_(at), out_(out) {}

  // The file's meta group; its transfer syntax, if it names one.
  std::string meta_group() {
    std::string syntax;
    while (left() >= 8 && (bytes_[at_] | bytes_[at_ + 1] << 8) == 2) {
      Element element;
      if (header({}, element) != Step::going) break;
      if (!fits(element)) {
        ended("header");
        break;
      }
      if (element.tag == kTransferSyntax) syntax = value(element);
      if (element.tag == kStoredClass) out_.sop_class = value(element);
      at_ += element.length;
    }
    return syntax;
  }

  Step data_set(const Encoding& encoding, unsigned depth, bool is_item) {
    if (depth > kDepthMax) return Step::lost;
    std::uint32_t last = 0;
    for (;;) {
      if (!is_item && only_padding_left()) return Step::done;
      Element element;
      if (const Step step = header(encoding, element); step != Step::going) return step;
      if (is_item && element.tag == kItemEnd) return Step::going;
      // Without a VR only the order of tags tells elements from any other bytes.
      if (!encoding.is_explicit && element.tag <= last) return Step::lost;
      last = element.tag;
      if (depth == 0 && element.length != kUndefined && fits(element)) {
        if (element.tag == kSopClass) out_.sop_class = value(element);
        if (element.tag == kSeries) out_.series = value(element);
      }
      if (const Step step = skip(encoding, element, depth); step != Step::going) return step;
    }
  }

  std::size_t at() const noexcept { return at_; }

 private:
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  bool fits(const Element& element) const noexcept { return element.length <= left(); }

  // Files are padded to blocks by zeros, to an even length by anything, and end in a line break where mail has been.
  bool only_padding_left() const {
    const ByteView rest = bytes_.subspan(at_);
    return rest.size() < 2 ||
           std::all_of(rest.begin(), rest.end(), [](std::uint8_t b) { return b == 0 || b == '\r' || b == '\n'; });
  }

  std::uint32_t number(std::size_t bytes, bool big_endian) {
    std::uint32_t out = 0;
    for (std::size_t n = 0; n < bytes; ++n)
      out |= std::uint32_t{bytes_[at_ + n]} << 8 * (big_endian ? bytes - 1 - n : n);
    at_ += bytes;
    return out;
  }

  std::string value(const Element& element) const {
    std::string out(as_text(bytes_.subspan(at_, std::min<std::size_t>(element.length, 64))));
    while (!out.empty() && (out.back() == '\0' || out.back() == ' ')) out.pop_back();
    return out;
  }

  Step ended(std::string_view what) {
    out_.cut = std::string(what) + ": the file ends within it (cut off, or still being copied; copy the file again)";
    return Step::cut;
  }

  Step header(const Encoding& encoding, Element& out) {
    if (left() < 8) return ended("header");
    const std::uint32_t group = number(2, encoding.big_endian);
    out.tag = group << 16 | number(2, encoding.big_endian);
    if (!encoding.is_explicit || group == 0xfffe) {
      out.length = number(4, encoding.big_endian);
      return Step::going;
    }
    const char vr[2] = {static_cast<char>(bytes_[at_]), static_cast<char>(bytes_[at_ + 1])};
    at_ += 2;
    constexpr std::array<std::string_view, 13> kLong{"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                                     "SV", "UC", "UN", "UR", "UT", "UV"};
    const std::string_view name(vr, 2);
    if (std::any_of(name.begin(), name.end(), [](char c) { return c < 'A' || c > 'Z'; })) return Step::lost;
    out.is_unknown = name == "UN";
    if (std::find(kLong.begin(), kLong.end(), name) == kLong.end()) {
      out.length = number(2, encoding.big_endian);
      return Step::going;
    }
    if (left() < 6) return ended("header");
    at_ += 2;
    out.length = number(4, encoding.big_endian);
    return Step::going;
  }

  Step skip(const Encoding& encoding, const Element& element, unsigned depth) {
    if (element.length == kUndefined) {
      if (is_pixels(element.tag)) return fragments(encoding);
      return sequence(element.is_unknown ? Encoding{false, false} : encoding, depth + 1);
    }
    const std::string_view what = is_pixels(element.tag) ? "pixels" : "header";
    if (const Result<void> whole = check_stored(what, left(), element.length); !whole) {
      out_.cut = whole.error().message;
      return Step::cut;
    }
    at_ += element.length;
    return Step::going;
  }

  // PS3.5 A.4: items of stated length, then the delimiter, without which some are missing.
  Step fragments(const Encoding& encoding) {
    for (;;) {
      if (left() < 8) return ended("pixels");
      Element item;
      if (const Step step = header(encoding, item); step != Step::going) return step;
      if (item.tag == kSequenceEnd) return Step::going;
      if (item.tag != kItem || item.length == kUndefined) return Step::lost;
      if (const Result<void> whole = check_stored("pixels", left(), item.length); !whole) {
        out_.cut = whole.error().message;
        return Step::cut;
      }
      at_ += item.length;
    }
  }

  Step sequence(const Encoding& encoding, unsigned depth) {
    for (;;) {
      Element item;
      if (const Step step = header(encoding, item); step != Step::going) return step;
      if (item.tag == kSequenceEnd) return Step::going;
      if (item.tag != kItem) return Step::lost;
      const Step step = item.length == kUndefined ? data_set(encoding, depth, true) : skip(encoding, item, depth);
      if (step != Step::going) return step;
    }
  }

  ByteView bytes_;
  std::size_t at_ = 0;
  DicomExtent& out_;
};

bool looks_explicit(ByteView bytes, std::size_t at) {
  const auto is_capital = [&](std::size_t n) { return bytes[n] >= 'A' && bytes[n] <= 'Z'; };
  return bytes.size() >= at + 6 && is_capital(at + 4) && is_capital(at + 5);
}

}  // namespace

DicomExtent dicom_extent(ByteView file) {
  DicomExtent out;
  out.is_blank = std::all_of(file.begin(), file.end(), [](std::uint8_t b) { return b == 0; });
  if (out.is_blank) return out;
  out.has_preamble = file.size() >= kPreambleBytes + 4 &&
                     as_text(file).substr(kPreambleBytes, 4) == std::string_view("DICM");
  Walk walk(file, out.has_preamble ? kPreambleBytes + 4 : 0, out);
  const std::string syntax = walk.meta_group();
  if (!out.cut.empty()) return out;
  Encoding encoding{.is_explicit = looks_explicit(file, walk.at()), .big_endian = false};
  if (syntax == "1.2.840.10008.1.2.1.99") {
    out.deflated_from = walk.at();
    return out;
  }
  if (syntax == "1.2.840.10008.1.2.2") encoding = {true, true};
  walk.data_set(encoding, 0, false);
  return out;
}

DicomExtent dicom_extent_of_inflated(ByteView data_set) {
  DicomExtent out;
  Walk(data_set, 0, out).data_set({}, 0, false);
  return out;
}

}  // namespace fovea::node::intake
