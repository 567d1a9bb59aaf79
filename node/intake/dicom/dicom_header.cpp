#include "node/intake/dicom/dicom_header.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <gdcmReader.h>
#include <Eigen/Geometry>

#include "common/bytes.h"
#include "node/intake/dicom/csa_header.h"
#include "node/intake/dicom/dicom_fields.h"
#include "node/intake/dicom/unreadable_file.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"

namespace fovea::node::intake {
namespace {

using gdcm::DataSet;
using gdcm::Tag;

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kImageClasses{{
    {"1.2.840.10008.5.1.4.1.1.2", "CT"},
    {"1.2.840.10008.5.1.4.1.1.2.1", "CT"},
    {"1.2.840.10008.5.1.4.1.1.2.2", "CT"},
    {"1.2.840.10008.5.1.4.1.1.4", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.1", "MR"},
    {"1.2.840.10008.5.1.4.1.1.4.4", "MR"},
    {"1.2.840.10008.5.1.4.1.1.128", "PT"},
    {"1.2.840.10008.5.1.4.1.1.130", "PT"},
    {"1.2.840.10008.5.1.4.1.1.128.1", "PT"},
}};

std::string modality_of_class(std::string_view sop_class) {
  for (const auto& [uid, modality] : kImageClasses)
    if (uid == sop_class) return std::string(modality);
  return "";
}

bool is_mosaic(const DataSet& data) {
  const std::vector<std::string> kind = list_of(data, Tag(0x0008, 0x0008));
  return std::find(kind.begin(), kind.end(), "MOSAIC") != kind.end();
}

Result<DicomIdentity> identity_of(const DataSet& data) {
  DicomIdentity out;
  out.modality = modality_of_class(text_of(data, Tag(0x0008, 0x0016)));
  if (out.modality.empty()) {
    const std::string stated = text_of(data, Tag(0x0008, 0x0060));
    return invalid_argument("a DICOM object of another kind" +
                            (stated.empty() || stated.size() > 16 ? std::string() : " (" + stated + ")") +
                            "; CT, MR and PET images are accepted");
  }
  out.series = text_of(data, Tag(0x0020, 0x000e));
  if (out.series.empty()) return invalid_argument("Series Instance UID: missing");
  for (const std::string& kind : list_of(data, Tag(0x0008, 0x0008))) {
    if (kind == "LOCALIZER") return invalid_argument("a localizer, not a scan");
  }
  out.instance = text_of(data, Tag(0x0008, 0x0018));
  const Result<std::optional<std::int64_t>> frames = integer_of(data, Tag(0x0028, 0x0008));
  if (!is_mosaic(data) && frames && frames->value_or(1) == 1) out.position = text_of(data, Tag(0x0020, 0x0032));
  out.acquisition = text_of(data, Tag(0x0020, 0x0012));
  // A patient's number is one within who gave it (PS3.3 C.7.1.1): 123 of two hospitals are two people.
  const std::string name = text_of(data, Tag(0x0010, 0x0010)), issuer = text_of(data, Tag(0x0010, 0x0021));
  out.patient = text_of(data, Tag(0x0010, 0x0020));
  if (!out.patient.empty() && !issuer.empty()) out.patient += " (" + issuer + ")";
  if (out.patient.empty()) out.patient = name;
  const std::string born = text_of(data, Tag(0x0010, 0x0030));
  if (!name.empty() || !born.empty()) out.person = name + '\x1f' + born;
  out.study = text_of(data, Tag(0x0020, 0x000d));
  out.frame_of_reference = text_of(data, Tag(0x0020, 0x0052));
  return out;
}

Result<double> one_number(const FrameFields& fields, const Tag& sequence, const Tag& tag, double when_missing) {
  FOVEA_TRY_ASSIGN(const std::vector<double> values, fields.numbers(sequence, tag));
  if (values.size() > 1) return invalid_argument(field_name(tag) + ": several values; expected one");
  return values.empty() ? when_missing : values.front();
}

Result<DicomFrame> frame_of(const FrameFields& fields, std::int64_t rows, std::int64_t columns) {
  DicomFrame out;
  FOVEA_TRY_ASSIGN(out.place, place_of(fields, rows, columns));
  const Tag transformation(0x0028, 0x9145);
  FOVEA_TRY_ASSIGN(out.slope, one_number(fields, transformation, Tag(0x0028, 0x1053), 1));
  FOVEA_TRY_ASSIGN(out.intercept, one_number(fields, transformation, Tag(0x0028, 0x1052), 0));
  if (out.slope == 0) return invalid_argument("Rescale Slope (0028,1053): zero");
  out.rescale_type = fields.text(transformation, Tag(0x0028, 0x1054));
  const auto either = [&](const Tag& sequence, const Tag& tag, const Tag& classic) {
    std::string value = fields.raw(sequence, tag);
    return value.empty() ? fields.raw(sequence, classic) : value;
  };
  out.keys = {either(Tag(0x0018, 0x9114), Tag(0x0018, 0x9082), Tag(0x0018, 0x0081)),
              either(Tag(0x0020, 0x9111), Tag(0x0020, 0x9128), Tag(0x0020, 0x0100)),
              either(Tag(0x0018, 0x9117), Tag(0x0018, 0x9087), Tag(0x0019, 0x100c)),
              either(Tag(0x0018, 0x9226), Tag(0x0008, 0x9007), Tag(0x0008, 0x0008)),
              fields.raw(Tag(0x0018, 0x9117), Tag(0x0018, 0x9075)),
              fields.raw(Tag(0x0020, 0x9111), Tag(0x0054, 0x1300)),
              fields.raw(Tag(0x0020, 0x9111), Tag(0x0020, 0x0012))};
  return out;
}

// The slices of a Siemens mosaic: tiles of one picture, whose position is that of the whole picture as if it were one
// slice.
Result<std::vector<DicomFrame>> mosaic_frames(const DataSet& data, std::int64_t rows, std::int64_t columns,
                                              std::int64_t& tiles_across) {
  const std::string_view raw = raw_of(data, Tag(0x0029, 0x1010));
  const ByteView csa(reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size());
  const std::vector<double> count = csa_numbers(csa, "NumberOfImagesInMosaic"),
                            normal = csa_numbers(csa, "SliceNormalVector");
  if (count.empty() || !(count[0] >= 2 && count[0] <= 4096) || normal.size() != 3)
    return invalid_argument(
        "Siemens mosaic: its private CSA header (0029,1010) is missing or incomplete, which says how the slices are "
        "stacked; export it as an enhanced object");
  const auto tiles = static_cast<std::int64_t>(count[0]);
  tiles_across = static_cast<std::int64_t>(std::ceil(std::sqrt(count[0])));
  if (rows % tiles_across != 0 || columns % tiles_across != 0)
    return invalid_argument("Siemens mosaic: Rows or Columns are not a multiple of the " +
                            std::to_string(tiles_across) + " tiles");
  FOVEA_TRY_ASSIGN(DicomFrame frame, frame_of(FrameFields({&data}), rows / tiles_across, columns / tiles_across));
  FOVEA_TRY_ASSIGN(const std::optional<double> stated, number_of(data, Tag(0x0018, 0x0088)));
  const double distance = stated.value_or(frame.place.thickness_mm);
  if (!(distance > 0)) return invalid_argument("Siemens mosaic: Spacing Between Slices: missing");
  const SlicePlace& place = frame.place;
  const Eigen::Vector3d across = place.row_direction.cross(place.column_direction);
  const double sign = across.dot(Eigen::Vector3d(normal.data())) < 0 ? -1 : 1;
  // From the corner of the whole picture to that of a tile in its middle.
  const Eigen::Vector3d inwards =
      0.5 * static_cast<double>(columns - place.columns) * place.column_spacing_mm * place.row_direction +
      0.5 * static_cast<double>(rows - place.rows) * place.row_spacing_mm * place.column_direction;
  std::vector<DicomFrame> out;
  for (std::int64_t t = 0; t < tiles; ++t) {
    out.push_back(frame);
    out.back().place.position_mm += inwards + sign * distance * static_cast<double>(t) * across;
  }
  return out;
}

Result<std::vector<DicomFrame>> frames_of(const DataSet& data, std::int64_t rows, std::int64_t columns) {
  FOVEA_TRY_ASSIGN(const std::optional<std::int64_t> stated, integer_of(data, Tag(0x0028, 0x0008)));
  if (stated && (*stated < 1 || *stated > volume::kAxisVoxelsMax))
    return invalid_argument("Number of Frames: outside 1–4096");
  const auto count = static_cast<std::size_t>(stated.value_or(1));
  const Tag per_frame(0x5200, 0x9230);
  std::vector<DicomFrame> out;
  if (!data.FindDataElement(per_frame)) {
    if (count != 1) return invalid_argument("a multi-frame object whose frames say nothing of where they lie");
    FOVEA_TRY_ASSIGN(DicomFrame frame, frame_of(FrameFields({&data}), rows, columns));
    return std::vector<DicomFrame>{frame};
  }
  const DataSet shared = first_item(data, Tag(0x5200, 0x9229)).value_or(DataSet());
  const gdcm::SmartPointer<gdcm::SequenceOfItems> items = data.GetDataElement(per_frame).GetValueAsSQ();
  if (!items || items->GetNumberOfItems() != count)
    return invalid_argument("Per-frame Functional Groups: not one for each of the " + std::to_string(count) +
                            " frames");
  for (std::size_t f = 0; f < count; ++f) {
    const DataSet& own = items->GetItem(f + 1).GetNestedDataSet();
    Result<DicomFrame> frame = frame_of(FrameFields({&own, &shared, &data}), rows, columns);
    if (!frame) return frame.error().with_context("frame " + std::to_string(f + 1));
    out.push_back(*frame);
  }
  return out;
}

PetFields pet_fields(const DataSet& data) {
  PetFields out;
  out.units = text_of(data, Tag(0x0054, 0x1001));
  out.corrections = list_of(data, Tag(0x0028, 0x0051));
  out.decay_correction = text_of(data, Tag(0x0054, 0x1102));
  out.suv_type = text_of(data, Tag(0x0054, 0x1006));
  out.weight_kg = text_of(data, Tag(0x0010, 0x1030));
  out.utc_offset = text_of(data, Tag(0x0008, 0x0201));
  out.series_date = text_of(data, Tag(0x0008, 0x0021));
  out.series_time = text_of(data, Tag(0x0008, 0x0031));
  out.acquisition_date = text_of(data, Tag(0x0008, 0x0022));
  out.acquisition_time = text_of(data, Tag(0x0008, 0x0032));
  out.acquisition_datetime = text_of(data, Tag(0x0008, 0x002a));
  out.frame_reference_ms = text_of(data, Tag(0x0054, 0x1300));
  out.frame_duration_ms = text_of(data, Tag(0x0018, 0x1242));
  out.decay_factor = text_of(data, Tag(0x0054, 0x1321));
  const std::vector<DataSet> tracers = items_of(data, Tag(0x0054, 0x0016));
  out.tracers = tracers.size();
  if (!tracers.empty()) {
    out.dose_bq = text_of(tracers.front(), Tag(0x0018, 0x1074));
    out.half_life_s = text_of(tracers.front(), Tag(0x0018, 0x1075));
    out.injection_datetime = text_of(tracers.front(), Tag(0x0018, 0x1078));
    out.injection_time = text_of(tracers.front(), Tag(0x0018, 0x1072));
  }
  const auto private_text = [&](std::uint16_t group, std::string_view creator, std::uint8_t byte) {
    const std::optional<Tag> tag = private_tag(data, group, creator, byte);
    return tag ? text_of(data, *tag) : std::string();
  };
  out.ge_scan_datetime = private_text(0x0009, "GEMS_PETD_01", 0x0d);
  out.philips_suv = private_text(0x7053, "Philips PET Private Group", 0x00);
  out.philips_activity = private_text(0x7053, "Philips PET Private Group", 0x09);
  return out;
}

// How a stored value lies in its bits. Values that do not end at the lowest bit (retired) are refused, and so is a
// table in place of slope and intercept: neither may pass for a number as it lies.
Result<void> read_storage(const DataSet& data, DicomHeader& out) {
  const auto allocated = short_of(data, Tag(0x0028, 0x0100)), high = short_of(data, Tag(0x0028, 0x0102));
  const int stored = short_of(data, Tag(0x0028, 0x0101)).value_or(16);
  if (stored < 1 || stored > allocated.value_or(stored))
    return invalid_argument("Bits Stored (0028,0101): outside 1–" + std::to_string(allocated.value_or(16)) +
                            ", the bits allocated");
  if (high && *high != stored - 1)
    return invalid_argument("High Bit (0028,0102): " + std::to_string(*high) + "; expected " +
                            std::to_string(stored - 1) + " for " + std::to_string(stored) +
                            " bits stored (left-aligned values; export the series again)");
  if (!items_of(data, Tag(0x0028, 0x3000)).empty())
    return invalid_argument(
        "Modality LUT Sequence (0028,3000): values by a table are not read; export the series with Rescale Slope and "
        "Intercept");
  out.bits_stored = static_cast<unsigned>(stored);
  const bool is_signed = short_of(data, Tag(0x0028, 0x0103)).value_or(0) == 1;
  const auto padding = short_of(data, Tag(0x0028, 0x0120), is_signed),
             limit = short_of(data, Tag(0x0028, 0x0121), is_signed);
  if (limit && !padding)
    return invalid_argument("Pixel Padding Range Limit (0028,0121): without a Pixel Padding Value (0028,0120)");
  if (padding) out.padding = std::minmax({*padding, limit.value_or(*padding)});
  return {};
}

// Effective atomic numbers, densities and images of one material come as CT too, and are no Hounsfield units.
Result<void> check_hounsfield(const DicomHeader& header) {
  for (const DicomFrame& frame : header.frames)
    if (header.modality == "CT" && !frame.rescale_type.empty() && frame.rescale_type != "HU")
      return invalid_argument("Rescale Type (0028,1054): \"" + frame.rescale_type.substr(0, 16) +
                              "\"; only CT in Hounsfield units (HU) is accepted");
  return {};
}

Result<DicomHeader> header_of(const DataSet& data) {
  FOVEA_TRY_ASSIGN(const DicomIdentity identity, identity_of(data));
  DicomHeader out;
  static_cast<SeriesIdentity&>(out) = identity;
  const auto rows = short_of(data, Tag(0x0028, 0x0010)), columns = short_of(data, Tag(0x0028, 0x0011));
  if (!rows || !columns || *rows < 2 || *columns < 2 || *rows > volume::kAxisVoxelsMax ||
      *columns > volume::kAxisVoxelsMax)
    return invalid_argument("Rows or Columns: missing, or outside 2–4096");
  const auto samples = short_of(data, Tag(0x0028, 0x0002));
  out.colour = samples.value_or(1) != 1;
  out.inverted = text_of(data, Tag(0x0028, 0x0004)) == "MONOCHROME1";
  FOVEA_TRY(read_storage(data, out));
  if (is_mosaic(data)) {
    FOVEA_TRY_ASSIGN(out.frames, mosaic_frames(data, *rows, *columns, out.tiles_across));
  } else {
    FOVEA_TRY_ASSIGN(out.frames, frames_of(data, *rows, *columns));
  }
  FOVEA_TRY(check_hounsfield(out));
  if (out.modality == "PT") out.pet = pet_fields(data);
  return out;
}

template <class T, class Use>
Result<T> with_header(const std::filesystem::path& file, Use use) {
  try {
    gdcm::Reader reader;
    reader.SetFileName(file.c_str());
    const std::set<Tag> nothing_skipped;
    if (!reader.ReadUpToTag(Tag(0x7fe0, 0x0010), nothing_skipped)) return unreadable_dicom(file);
    if (const char* const syntax = reader.GetFile().GetHeader().GetDataSetTransferSyntax().GetString())
      FOVEA_TRY(check_transfer_syntax(syntax));
    return use(reader.GetFile().GetDataSet());
  } catch (const std::exception&) {
    return unreadable_dicom(file);
  }
}

}  // namespace

bool is_image_class(std::string_view uid) { return !modality_of_class(uid).empty(); }

Result<DicomIdentity> read_dicom_identity(const std::filesystem::path& file) {
  return with_header<DicomIdentity>(file, identity_of);
}

Result<DicomHeader> read_dicom_header(const std::filesystem::path& file) {
  return with_header<DicomHeader>(file, header_of);
}

}  // namespace fovea::node::intake
