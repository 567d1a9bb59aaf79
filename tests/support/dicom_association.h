// The first bytes of a DICOM association, made by hand (PS3.8 section 9.3), for tests of a peer that stops in the
// middle.
#pragma once

#include <cstdint>
#include <string>

namespace fovea::test {

inline std::string big_endian(std::uint32_t value, unsigned bytes) {
  std::string out;
  for (unsigned n = bytes; n-- > 0;) out.push_back(static_cast<char>(value >> (8 * n)));
  return out;
}

inline std::string pdu(char type, const std::string& body) {
  return std::string{type, '\0'} + big_endian(static_cast<std::uint32_t>(body.size()), 4) + body;
}

inline std::string item(char type, const std::string& body) {
  return std::string{type, '\0'} + big_endian(static_cast<std::uint32_t>(body.size()), 2) + body;
}

// A-ASSOCIATE-RQ with one presentation context, number 1: CT images, explicit little-endian.
inline std::string associate_request(std::string called, std::string calling) {
  called.resize(16, ' ');
  calling.resize(16, ' ');
  const std::string context =
      std::string{1, 0, 0, 0} + item(0x30, "1.2.840.10008.5.1.4.1.1.2") + item(0x40, "1.2.840.10008.1.2.1");
  return pdu(1, big_endian(1, 2) + std::string(2, '\0') + called + calling + std::string(32, '\0') +
                    item(0x10, "1.2.840.10008.3.1.1.1") + item(0x20, context) +
                    item(0x50, item(0x51, big_endian(16'384, 4)) + item(0x52, "1.2.3.4")));
}

inline std::string little_endian(std::uint32_t value, unsigned bytes) {
  std::string out;
  for (unsigned n = 0; n < bytes; ++n) out.push_back(static_cast<char>(value >> (8 * n)));
  return out;
}

inline std::string command_element(std::uint16_t element, std::string value) {
  if (value.size() % 2 != 0) value.push_back('\0');
  return little_endian(0, 2) + little_endian(element, 2) + little_endian(static_cast<std::uint32_t>(value.size()), 4) +
         value;
}

// P-DATA-TF of context 1: `control` 3 is a whole command, 0 a piece of a data set that is not its last.
inline std::string data_pdu(char control, const std::string& bytes) {
  return pdu(4, big_endian(static_cast<std::uint32_t>(bytes.size() + 2), 4) + std::string{1, control} + bytes);
}

// C-STORE-RQ (PS3.7 section 9.3.1), a data set follows.
inline std::string store_request() {
  const std::string body = command_element(0x0002, "1.2.840.10008.5.1.4.1.1.2") +
                           command_element(0x0100, little_endian(1, 2)) + command_element(0x0110, little_endian(7, 2)) +
                           command_element(0x0700, little_endian(0, 2)) + command_element(0x0800, little_endian(0, 2)) +
                           command_element(0x1000, "1.2.3.4.5.6");
  return data_pdu(3, command_element(0x0000, little_endian(static_cast<std::uint32_t>(body.size()), 4)) + body);
}

}  // namespace fovea::test
