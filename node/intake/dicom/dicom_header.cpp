#include "node/intake/dicom/dicom_header.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <set>
#include <string_view>
#include <utility>

#include <gdcmReader.h>
#include <Eigen/Geometry>

#include "common/bytes.h"
#include "node/intake/dicom/csa_header.h"
#include "node/intake/dicom/dicom_fields.h"
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
  if (!is_mosaic(data) && number_of(data, Tag(0x0028, 0x0008)).value_or(1) == 1)
    out.position = text_of(data, Tag(0x0020, 0x0032));
  out.patient = text_of(data, Tag(0x0010, 0x0020));
  if (out.patient.empty()) out.patient = text_of(data, Tag(0x0010, 0x0010));
  return out;
}

Result<DicomFrame> frame_of(const FrameFields& fields, std::int64_t rows, std::int64_t columns) {
  DicomFrame out;
  FOVEA_TRY_ASSIGN(out.place, place_of(fields, rows, columns));
  const std::vector<double> slope = fields.numbers(Tag(0x0028, 0x9145), Tag(0x0028, 0x1053));
  const std::vector<double> intercept = fields.numbers(Tag(0x0028, 0x9145), Tag(0x0028, 0x1052));
  if (!slope.empty()) out.slope = slope.front();
  if (!intercept.empty()) out.intercept = intercept.front();
  if (!std::isfinite(out.slope) || !std::isfinite(out.intercept) || out.slope == 0)
    return invalid_argument("Rescale Slope or Intercept: zero or not a number");
  const auto either = [&](const Tag& sequence, const Tag& tag, const Tag& classic) {
    std::string value = fields.raw(sequence, tag);
    return value.empty() ? fields.raw(sequence, classic) : value;
  };
  out.keys = {either(Tag(0x0018, 0x9114), Tag(0x0018, 0x9082), Tag(0x0018, 0x0081)),
              either(Tag(0x0020, 0x9111), Tag(0x0020, 0x9128), Tag(0x0020, 0x0100)),
              either(Tag(0x0018, 0x9117), Tag(0x0018, 0x9087), Tag(0x0019, 0x100c)),
              either(Tag(0x0018, 0x9226), Tag(0x0008, 0x9007), Tag(0x0008, 0x0008)),
              fields.raw(Tag(0x0018, 0x9117), Tag(0x0018, 0x9075)),
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
  const double distance = number_of(data, Tag(0x0018, 0x0088)).value_or(frame.place.thickness_mm);
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
  const double stated = number_of(data, Tag(0x0028, 0x0008)).value_or(1);
  if (!(stated >= 1 && stated <= static_cast<double>(volume::kAxisVoxelsMax)))
    return invalid_argument("Number of Frames: outside 1–4096");
  const auto count = static_cast<std::size_t>(stated);
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
  out.weight_kg = number_of(data, Tag(0x0010, 0x1030));
  out.series_date = text_of(data, Tag(0x0008, 0x0021));
  out.series_time = text_of(data, Tag(0x0008, 0x0031));
  out.acquisition_date = text_of(data, Tag(0x0008, 0x0022));
  out.acquisition_time = text_of(data, Tag(0x0008, 0x0032));
  if (const auto drug = first_item(data, Tag(0x0054, 0x0016))) {
    out.dose_bq = number_of(*drug, Tag(0x0018, 0x1074));
    out.half_life_s = number_of(*drug, Tag(0x0018, 0x1075));
    out.injection_datetime = text_of(*drug, Tag(0x0018, 0x1078));
    out.injection_time = text_of(*drug, Tag(0x0018, 0x1072));
  }
  return out;
}

Result<DicomHeader> header_of(const DataSet& data) {
  FOVEA_TRY_ASSIGN(const DicomIdentity identity, identity_of(data));
  DicomHeader out;
  out.series = identity.series;
  out.modality = identity.modality;
  out.patient = identity.patient;
  out.frame_of_reference = text_of(data, Tag(0x0020, 0x0052));
  const auto rows = short_of(data, Tag(0x0028, 0x0010)), columns = short_of(data, Tag(0x0028, 0x0011));
  if (!rows || !columns || *rows < 2 || *columns < 2 || *rows > volume::kAxisVoxelsMax ||
      *columns > volume::kAxisVoxelsMax)
    return invalid_argument("Rows or Columns: missing, or outside 2–4096");
  const auto samples = short_of(data, Tag(0x0028, 0x0002));
  out.colour = samples.value_or(1) != 1;
  out.inverted = text_of(data, Tag(0x0028, 0x0004)) == "MONOCHROME1";
  out.bits_stored = static_cast<unsigned>(short_of(data, Tag(0x0028, 0x0101)).value_or(16));
  const bool is_signed = short_of(data, Tag(0x0028, 0x0103)).value_or(0) == 1;
  if (const auto padding = short_of(data, Tag(0x0028, 0x0120), is_signed)) out.padding = *padding;
  if (is_mosaic(data)) {
    FOVEA_TRY_ASSIGN(out.frames, mosaic_frames(data, *rows, *columns, out.tiles_across));
  } else {
    FOVEA_TRY_ASSIGN(out.frames, frames_of(data, *rows, *columns));
  }
  if (out.modality == "PT") out.pet = pet_fields(data);
  return out;
}

template <class T, class Use>
Result<T> with_header(const std::filesystem::path& file, Use use) {
  try {
    gdcm::Reader reader;
    reader.SetFileName(file.c_str());
    const std::set<Tag> nothing_skipped;
    if (!reader.ReadUpToTag(Tag(0x7fe0, 0x0010), nothing_skipped))
      return invalid_argument("not DICOM, or damaged (copy the file again)");
    return use(reader.GetFile().GetDataSet());
  } catch (const std::exception&) {
    return invalid_argument("not DICOM, or damaged (copy the file again)");
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
