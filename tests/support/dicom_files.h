// DICOM slices made by the tests: explicit little-endian, just the fields a reader needs, each of them changeable.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "node/volume/volume.h"

namespace fovea::node {

using DicomTag = std::pair<std::uint16_t, std::uint16_t>;

class DicomBytes {
 public:
  void text(const DicomTag& tag, const char* vr, std::string value) {
    if (value.size() % 2 != 0) value.push_back(std::string_view(vr) == "UI" ? '\0' : ' ');
    elements_[tag] = {vr, Bytes(value.begin(), value.end())};
  }
  void us(const DicomTag& tag, std::uint16_t value, const char* vr = "US") {
    elements_[tag] = {vr, {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8)}};
  }
  void pixels(const std::vector<std::int16_t>& values) {
    Bytes raw;
    for (const std::int16_t value : values) {
      raw.push_back(static_cast<std::uint8_t>(value));
      raw.push_back(static_cast<std::uint8_t>(static_cast<std::uint16_t>(value) >> 8));
    }
    elements_[{0x7fe0, 0x0010}] = {"OW", raw};
  }
  // A sequence of one item with these elements, or of several.
  void sequence(const DicomTag& tag, const DicomBytes& item) { sequence(tag, std::vector<DicomBytes>{item}); }
  void sequence(const DicomTag& tag, const std::vector<DicomBytes>& items) {
    Bytes raw;
    for (const DicomBytes& item : items) {
      const Bytes body = item.elements();
      put(raw, 0xfffe), put(raw, 0xe000), put_length(raw, body.size());
      raw.insert(raw.end(), body.begin(), body.end());
    }
    elements_[tag] = {"SQ", raw};
  }
  void bytes(const DicomTag& tag, const char* vr, const Bytes& value) { elements_[tag] = {vr, value}; }
  void erase(const DicomTag& tag) { elements_.erase(tag); }

  Bytes elements() const {
    Bytes out;
    for (const auto& [tag, element] : elements_) {
      put(out, tag.first), put(out, tag.second);
      out.push_back(static_cast<std::uint8_t>(element.vr[0])), out.push_back(static_cast<std::uint8_t>(element.vr[1]));
      const bool is_long = element.vr == "OW" || element.vr == "SQ" || element.vr == "OB";
      if (is_long) put(out, 0), put_length(out, element.value.size());
      else put(out, static_cast<std::uint16_t>(element.value.size()));
      out.insert(out.end(), element.value.begin(), element.value.end());
    }
    return out;
  }

  Bytes file(const char* transfer_syntax = "1.2.840.10008.1.2.1") const {
    Bytes out(128, 0);
    for (const char c : {'D', 'I', 'C', 'M'}) out.push_back(static_cast<std::uint8_t>(c));
    DicomBytes meta;
    meta.text({0x0002, 0x0010}, "UI", transfer_syntax);
    const Bytes body = meta.elements();
    put(out, 2), put(out, 0), out.push_back('U'), out.push_back('L'), put(out, 4), put_length(out, body.size());
    out.insert(out.end(), body.begin(), body.end());
    const Bytes data = elements();
    out.insert(out.end(), data.begin(), data.end());
    return out;
  }

 private:
  struct Element {
    std::string vr;
    Bytes value;
  };
  static void put(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value));
    out.push_back(static_cast<std::uint8_t>(value >> 8));
  }
  static void put_length(Bytes& out, std::size_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  std::map<DicomTag, Element> elements_;
};

inline std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", value);
  return text;
}

// A CT slice of 6×5 voxels (columns × rows) at `z_mm`, voxel value 100·slice + 10·row + column.
inline DicomBytes ct_slice(int slice, double z_mm) {
  DicomBytes out;
  out.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.2");
  out.text({0x0008, 0x0018}, "UI", "1.2.3." + std::to_string(slice + 1));
  out.text({0x0008, 0x0060}, "CS", "CT");
  out.text({0x0010, 0x0010}, "PN", "Canary^Dicom");
  out.text({0x0010, 0x0020}, "LO", "CANARY-ID-99");
  out.text({0x0020, 0x000e}, "UI", "1.2.3.4.5");
  out.text({0x0020, 0x0032}, "DS", "-10\\20\\" + decimal(z_mm));
  out.text({0x0020, 0x0037}, "DS", "1\\0\\0\\0\\1\\0");
  out.us({0x0028, 0x0002}, 1);
  out.text({0x0028, 0x0004}, "CS", "MONOCHROME2");
  out.us({0x0028, 0x0010}, 5);
  out.us({0x0028, 0x0011}, 6);
  out.text({0x0028, 0x0030}, "DS", "0.8\\0.5");
  out.us({0x0028, 0x0100}, 16);
  out.us({0x0028, 0x0101}, 16);
  out.us({0x0028, 0x0102}, 15);
  out.us({0x0028, 0x0103}, 1);
  out.text({0x0028, 0x1052}, "DS", "0");
  out.text({0x0028, 0x1053}, "DS", "1");
  std::vector<std::int16_t> values;
  for (int row = 0; row < 5; ++row)
    for (int column = 0; column < 6; ++column)
      values.push_back(static_cast<std::int16_t>(100 * slice + 10 * row + column));
  out.pixels(values);
  return out;
}

}  // namespace fovea::node
