#include "node/intake/parser/child/parse_job.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/result.h"
#include "node/intake/dicom/dicom_labels.h"
#include "node/intake/dicom/dicom_series.h"
#include "node/intake/formats/bias_field.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/formats/nrrd_geometry.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/formats/text_header.h"
#include "node/intake/formats/volume_reader.h"
#include "node/intake/parser/child/nifti_job.h"
#include "node/volume/modality.h"
#include "node/volume/volume.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {
namespace {

// Where libraries find input `number`, under a name that says which format it has.
std::string path_of(const JobDescriptors& descriptors, std::size_t number, FileFormat format) {
  return virtual_path(descriptors.folder, number, ending_of(format));
}

Result<VolumeAnswer> read_into(const VolumeSource& source, int result) {
  VolumeAnswer answer;
  VoxelMemory memory(result);
  FOVEA_TRY(read_volume_file(source, memory.into(answer)));
  return answer;
}

std::vector<std::filesystem::path> dicom_paths(const JobDescriptors& descriptors) {
  std::vector<std::filesystem::path> out;
  for (std::size_t n = 0; n + 1 < descriptors.inputs.size(); ++n)
    out.push_back(path_of(descriptors, n, FileFormat::dicom));
  return out;
}

Result<VolumeAnswer> parse_series(const JobDescriptors& descriptors, std::uint32_t part) {
  VolumeAnswer answer;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY_ASSIGN(SeriesFacts facts, read_dicom_series(dicom_paths(descriptors), part, memory.into(answer)));
  answer.modality = std::move(facts.modality);
  answer.note = std::move(facts.note);
  answer.patient = std::move(facts.patient);
  answer.frame_of_reference = std::move(facts.frame_of_reference);
  return answer;
}

Result<std::vector<DicomFile>> describe_files(const JobDescriptors& descriptors) {
  std::vector<DicomFile> out;
  for (const std::filesystem::path& file : dicom_paths(descriptors)) out.push_back(describe_dicom(file));
  return out;
}

// DICOM may lack what a format is told by: a folder's files are asked one by one, and so is a file that a table names.
Result<VolumeAnswer> parse_unmarked(const JobDescriptors& descriptors, std::uint32_t part) {
  const DicomFile file = describe_dicom(path_of(descriptors, 0, FileFormat::dicom));
  if (file.is_image) return parse_series(descriptors, part);
  return invalid_argument("format: expected NIfTI (.nii, .nii.gz), NRRD, MHA or DICOM; this is " + file.reason);
}

Result<VolumeAnswer> parse_nrrd(const JobDescriptors& descriptors, ByteView header) {
  FOVEA_TRY(check_nrrd_header(header));
  FOVEA_TRY_ASSIGN(NrrdGeometry nrrd, inspect_nrrd(header));
  const volume::VolumeGeometry* const geometry = nrrd.geometry ? &*nrrd.geometry : nullptr;
  FOVEA_TRY_ASSIGN(
      VolumeAnswer answer,
      read_into({path_of(descriptors, 0, FileFormat::nrrd), FileFormat::nrrd, geometry}, descriptors.result));
  answer.note = std::move(nrrd.note);
  return answer;
}

Result<VolumeAnswer> parse_volume(const JobDescriptors& descriptors, std::uint32_t part) {
  FOVEA_TRY_ASSIGN(const Bytes head, read_head(descriptors.inputs[0], kFormatHeadBytes));
  const std::optional<FileFormat> format = format_of_contents(head);
  if (!format) return parse_unmarked(descriptors, part);
  if (*format == FileFormat::nifti) return parse_nifti(descriptors);
  if (*format == FileFormat::dicom) return parse_series(descriptors, part);  // one enhanced object is a whole volume
  FOVEA_TRY_ASSIGN(const Bytes header, read_head(descriptors.inputs[0], kTextHeaderBytesMax));
  if (*format == FileFormat::nrrd) return parse_nrrd(descriptors, header);
  FOVEA_TRY(check_metaimage_header(header));
  return read_into({path_of(descriptors, 0, *format), *format, nullptr}, descriptors.result);
}

Result<VolumeAnswer> parse_labels(const JobDescriptors& descriptors, const LabelGrid& grid) {
  FOVEA_TRY_ASSIGN(const Bytes head, read_head(descriptors.inputs[0], kFormatHeadBytes));
  const std::optional<FileFormat> format = format_of_contents(head);
  const bool is_dicom = format == FileFormat::dicom ||
                        (!format && describe_labels(path_of(descriptors, 0, FileFormat::dicom)).is_label);
  if (!is_dicom) return parse_volume(descriptors, kOnlyVolume);
  VolumeAnswer answer;
  VoxelMemory memory(descriptors.result);
  FOVEA_TRY_ASSIGN(LabelFacts facts,
                   read_dicom_labels(path_of(descriptors, 0, FileFormat::dicom), grid, memory.into(answer)));
  answer.layers = facts.layers;
  answer.note = std::move(facts.note);
  answer.frame_of_reference = std::move(facts.frame_of_reference);
  return answer;
}

// Corrects an MR's bias field in place, if that is asked for; its voxels become floats.
Result<VolumeAnswer> corrected(Result<VolumeAnswer> answer, const ParserJob& job, int result) {
  if (!job.correct_bias || !answer || !volume::has_bias_field(answer->modality)) return answer;
  const std::size_t voxels = answer->geometry.voxel_count();
  FOVEA_TRY_ASSIGN(const MappedMemory mapped, MappedMemory::map(result, kVoxelOffset, voxels * sizeof(float)));
  const std::span<float> real(reinterpret_cast<float*>(mapped.bytes().data()), voxels);
  if (answer->storage == volume::VoxelStorage::int16) {
    // From the last to the first: a float never overwrites an integer that is still to be read.
    const auto* whole = reinterpret_cast<const std::int16_t*>(mapped.bytes().data());
    for (std::size_t v = voxels; v-- > 0;) {
      std::int16_t value = 0;
      std::memcpy(&value, whole + v, sizeof value);
      const auto number = static_cast<float>(value);
      std::memcpy(&real[v], &number, sizeof number);
    }
    answer->storage = volume::VoxelStorage::float32;
  }
  FOVEA_TRY(correct_bias(answer->geometry, real));
  return answer;
}

}  // namespace

Bytes answer_any_job(const ParserJob& job, const JobDescriptors& descriptors) {
  switch (job.kind) {
    case JobKind::volume: return encode_answer(corrected(parse_volume(descriptors, job.part), job, descriptors.result));
    case JobKind::describe: return encode_answer(describe_files(descriptors));
    case JobKind::series: return encode_answer(corrected(parse_series(descriptors, job.part), job, descriptors.result));
    case JobKind::count: return encode_answer(count_dicom_volumes(dicom_paths(descriptors)));
    case JobKind::labels: return encode_answer(parse_labels(descriptors, job.grid));
    case JobKind::crash:
    case JobKind::allocate:
    case JobKind::spin:
    case JobKind::open_file:
    case JobKind::open_socket:
    case JobKind::find_leftovers: break;
  }
  return encode_answer(Result<VolumeAnswer>(internal_error("job: not known here")));
}

void warm_up_libraries() {
  warm_up_nifti();
  // A path that does not exist: each reader goes as far as it can without a file.
  for (const FileFormat format : {FileFormat::nrrd, FileFormat::metaimage}) {
    const VolumeSource source{virtual_path(kVirtualFolder, 0, ".none"), format, nullptr};
    const Result<void> refused =
        read_volume_file(source, [](const volume::VolumeGeometry&, volume::VoxelStorage) -> Result<std::byte*> {
          return internal_error("unreachable");
        });
    FOVEA_CHECK(!refused);
  }
  FOVEA_CHECK(!describe_dicom(virtual_path(kVirtualFolder, 0, ".none")).is_image);
}

}  // namespace fovea::node::intake
