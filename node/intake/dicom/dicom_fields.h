// Single fields of a DICOM data set, as GDCM parsed it: for the parser's readers only, inside the walls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gdcmDataSet.h>
#include <gdcmTag.h>

#include "common/result.h"
#include "node/intake/dicom/slice_geometry.h"

namespace fovea::node::intake {

// Without padding; empty when the element is missing. At most 4096 bytes are looked at.
std::string text_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
std::vector<std::string> list_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
// Decimal strings (DS), each read from end to end; empty when the element is missing or has no value. invalid_argument
// names the field and what its text is instead, without quoting it: half a number is never read.
Result<std::vector<double>> numbers_of(const gdcm::DataSet& data, const gdcm::Tag& tag, std::size_t count_max = 1024);
// One decimal or integer string; nothing when the element is missing or has no value. Two values are an error too.
Result<std::optional<double>> number_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
Result<std::optional<std::int64_t>> integer_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
// "Pixel Spacing (0028,0030)"
std::string field_name(const gdcm::Tag& tag);
// The element `byte` of a private block (PS3.5 7.8.1), wherever the writer reserved it; nothing when nobody did.
std::optional<gdcm::Tag> private_tag(const gdcm::DataSet& data, std::uint16_t group, std::string_view creator,
                                     std::uint8_t byte);
// The bytes as they stand; empty when the element is missing or a sequence. Lives as long as `data`.
std::string_view raw_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
// A 16-bit binary value (US or SS).
std::optional<int> short_of(const gdcm::DataSet& data, const gdcm::Tag& tag, bool is_signed = false);
// The items of a sequence, in order; nothing when it is missing or no sequence.
std::vector<gdcm::DataSet> items_of(const gdcm::DataSet& data, const gdcm::Tag& tag);
std::optional<gdcm::DataSet> first_item(const gdcm::DataSet& data, const gdcm::Tag& tag);

// Orientation, position, spacing and rescale may stand in a frame's own groups, in the shared ones, or at the top:
// the first of `groups` that has the field counts (PS3.3 C.7.6.16).
class FrameFields {
 public:
  explicit FrameFields(std::vector<const gdcm::DataSet*> groups) : groups_(std::move(groups)) {}
  Result<std::vector<double>> numbers(const gdcm::Tag& sequence, const gdcm::Tag& tag) const;
  std::string text(const gdcm::Tag& sequence, const gdcm::Tag& tag) const;
  std::string raw(const gdcm::Tag& sequence, const gdcm::Tag& tag) const;
  std::optional<int> short_number(const gdcm::Tag& sequence, const gdcm::Tag& tag) const;

 private:
  template <class Read>
  auto find(const gdcm::Tag& sequence, Read read) const;
  std::vector<const gdcm::DataSet*> groups_;
};

// Where a frame lies. invalid_argument names the field that is missing or incomplete.
Result<SlicePlace> place_of(const FrameFields& fields, std::int64_t rows, std::int64_t columns);

}  // namespace fovea::node::intake
