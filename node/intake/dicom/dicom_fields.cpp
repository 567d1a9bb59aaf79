#include "node/intake/dicom/dicom_fields.h"

#include <algorithm>
#include <cstdio>

#include <gdcmDictEntry.h>
#include <gdcmDicts.h>
#include <gdcmGlobal.h>
#include <gdcmSequenceOfItems.h>

#include "common/numbers.h"

namespace fovea::node::intake {
namespace {

using gdcm::DataSet;
using gdcm::Tag;

constexpr std::size_t kNumberBytesMax = 64;  // the standard's 16 are exceeded by sound files

std::string_view without_padding(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

std::string fault_of(std::string_view text) {
  if (text.size() > kNumberBytesMax) return "more than " + std::to_string(kNumberBytesMax) + " characters";
  return std::string(read_decimal(text) ? "not a whole number" : decimal_fault(text));
}

// One value where one is meant.
template <class T, class Read>
Result<std::optional<T>> single(const DataSet& data, const Tag& tag, Read read) {
  const std::string_view text = without_padding(raw_of(data, tag));
  if (text.empty()) return std::optional<T>();
  if (text.find('\\') != std::string_view::npos)
    return invalid_argument(field_name(tag) + ": several values; expected one");
  const std::optional<T> value = text.size() > kNumberBytesMax ? std::nullopt : read(text);
  if (!value) return invalid_argument(field_name(tag) + ": " + fault_of(text));
  return value;
}

}  // namespace

std::string_view raw_of(const DataSet& data, const Tag& tag) {
  if (!data.FindDataElement(tag)) return {};
  const gdcm::ByteValue* bytes = data.GetDataElement(tag).GetByteValue();
  if (bytes == nullptr || bytes->GetPointer() == nullptr) return {};
  return {bytes->GetPointer(), bytes->GetLength()};
}

std::string text_of(const DataSet& data, const Tag& tag) {
  return std::string(without_padding(raw_of(data, tag).substr(0, 4096)));
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

std::string field_name(const Tag& tag) {
  const char* name = gdcm::Global::GetInstance().GetDicts().GetDictEntry(tag).GetName();
  char digits[16];
  std::snprintf(digits, sizeof digits, " (%04x,%04x)", tag.GetGroup(), tag.GetElement());
  return std::string(name == nullptr ? "" : name) + digits;
}

Result<std::vector<double>> numbers_of(const DataSet& data, const Tag& tag, std::size_t count_max) {
  std::vector<double> out;
  std::string_view rest = without_padding(raw_of(data, tag));
  for (bool more = !rest.empty(); more;) {
    if (out.size() == count_max)
      return invalid_argument(field_name(tag) + ": more than " + std::to_string(count_max) + " values");
    const std::size_t end = rest.find('\\');
    more = end != std::string_view::npos;
    const std::string_view part = without_padding(rest.substr(0, end));
    const std::optional<double> value = part.size() > kNumberBytesMax ? std::nullopt : read_decimal(part);
    if (!value) return invalid_argument(field_name(tag) + ": " + fault_of(part));
    out.push_back(*value);
    if (more) rest.remove_prefix(end + 1);
  }
  return out;
}

Result<std::optional<double>> number_of(const DataSet& data, const Tag& tag) {
  return single<double>(data, tag, read_decimal);
}

Result<std::optional<std::int64_t>> integer_of(const DataSet& data, const Tag& tag) {
  return single<std::int64_t>(data, tag, read_integer);
}

std::optional<Tag> private_tag(const DataSet& data, std::uint16_t group, std::string_view creator, std::uint8_t byte) {
  for (std::uint16_t block = 0x10; block <= 0xff; ++block)
    if (text_of(data, Tag(group, block)) == creator) return Tag(group, static_cast<std::uint16_t>(block << 8 | byte));
  return std::nullopt;
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

Result<std::vector<double>> FrameFields::numbers(const Tag& sequence, const Tag& tag) const {
  using Found = std::optional<Result<std::vector<double>>>;
  Found found = find(sequence, [&](const DataSet& data) {
    Result<std::vector<double>> all = numbers_of(data, tag);
    return all && all->empty() ? Found() : Found(std::move(all));
  });
  return found ? *std::move(found) : Result<std::vector<double>>(std::vector<double>());
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
  FOVEA_TRY_ASSIGN(const std::vector<double> position, fields.numbers(Tag(0x0020, 0x9113), Tag(0x0020, 0x0032)));
  FOVEA_TRY_ASSIGN(const std::vector<double> orientation, fields.numbers(Tag(0x0020, 0x9116), Tag(0x0020, 0x0037)));
  FOVEA_TRY_ASSIGN(const std::vector<double> spacing, fields.numbers(Tag(0x0028, 0x9110), Tag(0x0028, 0x0030)));
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
  FOVEA_TRY_ASSIGN(const std::vector<double> thickness, fields.numbers(Tag(0x0028, 0x9110), Tag(0x0018, 0x0050)));
  if (thickness.size() == 1 && thickness[0] > 0) out.thickness_mm = thickness[0];
  return out;
}

}  // namespace fovea::node::intake
