#include "node/intake/dicom/dicom_fields.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <gdcmSequenceOfItems.h>

namespace fovea::node::intake {
namespace {

using gdcm::DataSet;
using gdcm::Tag;

}  // namespace

std::string_view raw_of(const DataSet& data, const Tag& tag) {
  if (!data.FindDataElement(tag)) return {};
  const gdcm::ByteValue* bytes = data.GetDataElement(tag).GetByteValue();
  if (bytes == nullptr || bytes->GetPointer() == nullptr) return {};
  return {bytes->GetPointer(), bytes->GetLength()};
}

std::string text_of(const DataSet& data, const Tag& tag) {
  std::string out(raw_of(data, tag).substr(0, 4096));
  while (!out.empty() && (out.back() == ' ' || out.back() == '\0')) out.pop_back();
  const std::size_t begin = out.find_first_not_of(' ');
  return begin == std::string::npos ? "" : out.substr(begin);
}

std::vector<std::string> list_of(const DataSet& data, const Tag& tag) {
  std::vector<std::string> out;
  const std::string text = text_of(data, tag);
  for (std::size_t begin = 0; begin <= text.size() && !text.empty();) {
    const std::size_t end = std::min(text.find('\\', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::vector<double> numbers_of(const DataSet& data, const Tag& tag, std::size_t count_max) {
  std::vector<double> out;
  std::string_view rest = raw_of(data, tag);
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\0')) rest.remove_suffix(1);
  std::string part;  // strtod needs an end; a decimal string has at most 16 characters
  while (!rest.empty()) {
    const std::size_t size = std::min(rest.find('\\'), rest.size());
    if (size > 64 || out.size() == count_max) return {};
    part.assign(rest.substr(0, size));
    char* end = nullptr;
    out.push_back(std::strtod(part.c_str(), &end));
    if (end == part.c_str()) return {};
    rest.remove_prefix(std::min(size + 1, rest.size()));
  }
  return out;
}

std::optional<double> number_of(const DataSet& data, const Tag& tag) {
  const std::vector<double> all = numbers_of(data, tag);
  if (all.empty() || !std::isfinite(all.front())) return std::nullopt;
  return all.front();
}

// GDCM has put it into this machine's byte order, little-endian on all we build for.
std::optional<int> short_of(const DataSet& data, const Tag& tag, bool is_signed) {
  const std::string_view at = raw_of(data, tag);
  if (at.size() < 2) return std::nullopt;
  const auto value =
      static_cast<std::uint16_t>(static_cast<unsigned char>(at[0]) | static_cast<unsigned char>(at[1]) << 8);
  return is_signed ? static_cast<int>(static_cast<std::int16_t>(value)) : static_cast<int>(value);
}

std::vector<DataSet> items_of(const DataSet& data, const Tag& tag) {
  std::vector<DataSet> out;
  if (!data.FindDataElement(tag)) return out;
  const gdcm::SmartPointer<gdcm::SequenceOfItems> items = data.GetDataElement(tag).GetValueAsSQ();
  if (!items) return out;
  for (std::size_t n = 1; n <= items->GetNumberOfItems(); ++n) out.push_back(items->GetItem(n).GetNestedDataSet());
  return out;
}

std::optional<DataSet> first_item(const DataSet& data, const Tag& tag) {
  if (!data.FindDataElement(tag)) return std::nullopt;
  const gdcm::SmartPointer<gdcm::SequenceOfItems> items = data.GetDataElement(tag).GetValueAsSQ();
  if (!items || items->GetNumberOfItems() == 0) return std::nullopt;
  return items->GetItem(1).GetNestedDataSet();
}

template <class Read>
auto FrameFields::find(const Tag& sequence, Read read) const {
  for (const DataSet* group : groups_) {
    if (const auto item = first_item(*group, sequence))
      if (auto out = read(*item)) return out;
    if (auto out = read(*group)) return out;
  }
  return decltype(read(*groups_.front())){};
}

std::vector<double> FrameFields::numbers(const Tag& sequence, const Tag& tag) const {
  const auto found = find(sequence, [&](const DataSet& data) {
    std::vector<double> all = numbers_of(data, tag);
    return all.empty() ? std::optional<std::vector<double>>() : std::optional(std::move(all));
  });
  return found.value_or(std::vector<double>());
}

std::string FrameFields::text(const Tag& sequence, const Tag& tag) const {
  const auto found = find(sequence, [&](const DataSet& data) {
    std::string all = text_of(data, tag);
    return all.empty() ? std::optional<std::string>() : std::optional(std::move(all));
  });
  return found.value_or("");
}

std::string FrameFields::raw(const Tag& sequence, const Tag& tag) const {
  const auto found = find(sequence, [&](const DataSet& data) {
    const std::string_view all = raw_of(data, tag);
    return all.empty() ? std::optional<std::string>() : std::optional<std::string>(all);
  });
  return found.value_or("");
}

std::optional<int> FrameFields::short_number(const Tag& sequence, const Tag& tag) const {
  return find(sequence, [&](const DataSet& data) { return short_of(data, tag); });
}

Result<SlicePlace> place_of(const FrameFields& fields, std::int64_t rows, std::int64_t columns) {
  const std::vector<double> position = fields.numbers(Tag(0x0020, 0x9113), Tag(0x0020, 0x0032));
  const std::vector<double> orientation = fields.numbers(Tag(0x0020, 0x9116), Tag(0x0020, 0x0037));
  const std::vector<double> spacing = fields.numbers(Tag(0x0028, 0x9110), Tag(0x0028, 0x0030));
  if (position.size() != 3) return invalid_argument("Image Position (Patient): missing or not three numbers");
  if (orientation.size() != 6) return invalid_argument("Image Orientation (Patient): missing or not six numbers");
  if (spacing.size() != 2) return invalid_argument("Pixel Spacing: missing or not two numbers");
  SlicePlace out;
  out.rows = rows;
  out.columns = columns;
  out.row_spacing_mm = spacing[0];
  out.column_spacing_mm = spacing[1];
  out.position_mm = volume::Point3(position.data());
  out.row_direction = Eigen::Vector3d(orientation.data());
  out.column_direction = Eigen::Vector3d(orientation.data() + 3);
  const std::vector<double> thickness = fields.numbers(Tag(0x0028, 0x9110), Tag(0x0018, 0x0050));
  if (thickness.size() == 1 && thickness[0] > 0) out.thickness_mm = thickness[0];
  return out;
}

}  // namespace fovea::node::intake
