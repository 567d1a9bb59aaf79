// What comes from files of patients, from the parser that read them, and from the site's own disk.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "common/codec.h"
#include "common/descriptor.h"
#include "common/result.h"
#include "crypto/key_agreement.h"
#include "crypto/secret_bytes.h"
#include "node/intake/dicom/contours.h"
#include "node/intake/dicom/csa_header.h"
#include "node/intake/dicom/slice_geometry.h"
#include "node/intake/dicom/suv.h"
#include "node/intake/formats/foreign_file.h"
#include "node/intake/formats/nifti_voxels.h"
#include "node/intake/formats/nrrd_geometry.h"
#include "node/intake/formats/scan_facts.h"
#include "node/intake/formats/text_header.h"
#include "node/intake/label_tables.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_protocol.h"
#include "node/receive/sealed_scan.h"
#include "node/store/catalogue_row.h"
#include "node/store/study_catalogue.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"
#include "node/volume/voxel_storage.h"
#include "tests/fuzz/feed.h"
#include "tests/fuzz/parse_targets.h"
#include "tests/fuzz/scratch_file.h"

namespace fovea::fuzz {
namespace {

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

// What is taken must keep its promises: a parser that says yes to nonsense aborts here, and the fuzzer has its find.
void nifti_header(ByteView input) {
  const Result<node::intake::NiftiHeader> header = node::intake::inspect_nifti(input);
  if (!header) return;
  FOVEA_CHECK(header->geometry.voxel_count() >= 8 &&
              header->geometry.voxel_count() <= static_cast<std::size_t>(node::volume::kVolumeVoxelsMax));
  FOVEA_CHECK(header->file_bytes() >= header->voxel_bytes && header->voxel_bytes >= header->geometry.voxel_count());
  if (header->file_bytes() > input.size()) return;
  const ByteView voxels = input.subspan(header->voxel_offset, header->voxel_bytes);
  Bytes stored(voxels.begin(), voxels.end());
  std::vector<std::byte> memory;
  const Result<void> delivered = node::intake::deliver_nifti(
      *header, stored,
      [&](const node::volume::VolumeGeometry& geometry, node::volume::VoxelStorage storage) -> Result<std::byte*> {
        memory.resize(geometry.voxel_count() * node::volume::bytes_per_voxel(storage));
        return memory.data();
      });
  if (!node::intake::can_stay_in_place(*header)) return;
  Bytes place(voxels.begin(), voxels.end());
  place.resize(node::intake::bytes_in_place(*header));
  const Result<node::volume::VoxelStorage> storage = node::intake::deliver_nifti_in_place(*header, place);
  FOVEA_CHECK(storage.has_value() == delivered.has_value());
  FOVEA_CHECK(!storage || std::equal(memory.begin(), memory.end(), std::as_bytes(std::span(place)).begin()));
}

// A version 1 header of 4×3×2 int16 voxels with an sform.
Seeds nifti_seeds() {
  Bytes head(352, 0);
  const auto put = [&head](std::size_t at, std::uint32_t value, std::size_t size) {
    for (std::size_t n = 0; n < size; ++n) head[at + n] = static_cast<std::uint8_t>(value >> (8 * n));
  };
  put(0, 348, 4);
  for (const auto& [at, value] : {std::pair{40U, 3U},
                                  {42U, 4U},
                                  {44U, 3U},
                                  {46U, 2U},
                                  {48U, 1U},
                                  {50U, 1U},
                                  {52U, 1U},
                                  {54U, 1U},
                                  {70U, 4U},
                                  {72U, 16U},
                                  {254U, 1U}})
    put(at, value, 2);
  const auto put_float = [&put](std::size_t at, float value) { put(at, std::bit_cast<std::uint32_t>(value), 4); };
  for (const std::size_t at : {76U, 80U, 84U, 88U, 112U, 280U, 300U, 320U}) put_float(at, 1);
  put_float(108, 352);
  const std::string_view magic("n+1", 4);
  std::copy(magic.begin(), magic.end(), head.begin() + 344);
  Bytes whole = head;
  whole.resize(352 + 48, 7);
  return {whole, head};
}

void tables(ByteView input) {
  if (const auto rows = node::intake::parse_manifest(as_text(input), "/table"); rows)
    FOVEA_CHECK(rows->size() <= node::intake::kManifestRowsMax);
  static_cast<void>(node::intake::parse_study_labels(as_text(input)));
  static_cast<void>(node::intake::parse_points(as_text(input)));
}

Seeds table_seeds() {
  return {bytes_of("study,patient,image,mask,split,label\na,p,i.nii,,train,1\nb,\"q,r\",\"i\"\"2.nii\",m.nii,test,\n"),
          bytes_of("study,label,split\r\n1.2.3,1,validation\r\nx,0,\r\n"),
          bytes_of("x_mm,y_mm,z_mm,radius_mm,label,study\n1,-2.5,3e1,4,2,a\n,,,,,b\n")};
}

void parser_protocol(ByteView input) {
  if (const auto job = node::intake::decode_job(input); job)
    FOVEA_CHECK(node::intake::decode_job(node::intake::encode(*job)).has_value());
  static_cast<void>(node::intake::decode_fate(input));
  static_cast<void>(node::intake::decode_count_answer(input));
  static_cast<void>(node::intake::decode_describe_answer(input));
  if (const auto answer = node::intake::decode_volume_answer(input); answer)
    FOVEA_CHECK(answer->geometry.voxel_count() > 0 &&
                answer->geometry.voxel_count() <= static_cast<std::size_t>(node::volume::kVolumeVoxelsMax));
}

Seeds protocol_seeds() {
  node::intake::VolumeAnswer volume;
  volume.geometry.size = {4, 3, 2};
  volume.modality = "CT";
  node::intake::DicomFile file;
  static_cast<node::intake::SeriesIdentity&>(file) = {"1.2", "MR", "p", "name", "1.3", "1.4"};
  file.is_image = true;
  file.instance = "1.2.3";
  file.position = "0\\0\\1";
  file.acquisition = "1";
  return {node::intake::encode(node::intake::ParserJob{.kind = node::intake::JobKind::labels, .files = 2}),
          node::intake::encode(node::intake::JobFate{node::intake::Fate::signalled, 11}),
          node::intake::encode_answer(Result<node::intake::VolumeAnswer>(volume)),
          node::intake::encode_answer(Result<node::intake::VolumeAnswer>(invalid_argument("voxels: none"))),
          node::intake::encode_answer(Result<std::uint32_t>(3U)),
          node::intake::encode_answer(
              Result<std::vector<node::intake::DicomFile>>(std::vector<node::intake::DicomFile>(2, file)))};
}

void catalogue_rows(ByteView input) {
  if (const auto row = node::store::decode_facts(input); row)
    FOVEA_CHECK(node::store::decode_facts(node::store::encode_facts(*row)).has_value());
  if (const auto identity = node::store::decode_identity(input); identity) {
    const Bytes again = node::store::encode_identity(*identity);
    FOVEA_CHECK(std::equal(again.begin(), again.end(), input.begin(), input.end()));
  }
  if (const auto origin = node::store::decode_origin(input); origin) {
    const Bytes again = node::store::encode_origin(*origin);
    FOVEA_CHECK(std::equal(again.begin(), again.end(), input.begin(), input.end()));
  }
}

Seeds row_seeds() {
  node::store::StudyRecord record;
  record.label = 1;
  record.modality = "MR";
  record.geometry.size = {4, 3, 2};
  record.findings = {{{1, 2, 3}, 4, 1, 33}};
  node::store::StudyOrigin origin;
  origin.instances = {1, 2};
  origin.places = {3};
  return {node::store::encode_facts(record), node::store::encode_identity({"study", "patient", "image", "mask"}),
          node::store::encode_origin(origin)};
}

void csa_header(ByteView input) {
  for (const std::string_view tag : {"NumberOfImagesInMosaic", "SliceNormalVector"})
    FOVEA_CHECK(node::intake::csa_numbers(input, tag).size() <= 4096);
}

// Two tags, as nibabel's documentation of the format describes them.
Seeds csa_seeds() {
  ByteWriter out;
  out.raw(as_bytes("SV10"));
  out.raw(Bytes{4, 3, 2, 1});
  out.raw(Bytes{2, 0, 0, 0, 77, 0, 0, 0});
  const auto word = [&out](std::uint32_t value) {
    out.raw(Bytes{static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8), 0, 0});
  };
  for (const std::string_view name : {"NumberOfImagesInMosaic", "SliceNormalVector"}) {
    Bytes padded = bytes_of(name);
    padded.resize(64);
    out.raw(padded);
    for (const std::uint32_t value : {1U, 0U, 0U, 3U, 77U}) word(value);
    for (const std::string_view item : {"12", "0.5", "-1"}) {
      for (const std::uint32_t value : {4U, 4U, 77U, 205U}) word(value);
      Bytes text = bytes_of(item);
      text.resize(4);
      out.raw(text);
    }
  }
  return {std::move(out).take()};
}

node::volume::Point3 point(Feed& feed) { return {feed.real(), feed.real(), feed.real()}; }

// Slices that lie anywhere: a stack that is taken keeps every slice and has a geometry that the rest believes in.
void slice_places(ByteView input) {
  Feed feed(input);
  std::vector<node::intake::SlicePlace> slices(feed.below(24));
  const node::intake::SlicePlace usual{.rows = 4,
                                       .columns = 3,
                                       .row_spacing_mm = 1,
                                       .column_spacing_mm = 2,
                                       .row_direction = {1, 0, 0},
                                       .column_direction = {0, 1, 0},
                                       .position_mm = node::volume::Point3::Zero(),
                                       .thickness_mm = 2};
  for (std::size_t s = 0; s < slices.size(); ++s) {
    slices[s] = usual;
    slices[s].position_mm = {0, 0, 2.0 * static_cast<double>(s)};
    if (feed.chance()) slices[s].position_mm = point(feed);
    if (feed.chance()) slices[s].row_direction = point(feed), slices[s].column_direction = point(feed);
    if (feed.chance())
      slices[s].row_spacing_mm = feed.real(), slices[s].column_spacing_mm = feed.real(),
      slices[s].thickness_mm = feed.real();
    if (feed.chance())
      slices[s].rows = static_cast<std::int64_t>(feed.below(9)) - 2,
      slices[s].columns = static_cast<std::int64_t>(feed.below(9)) - 2;
  }
  const auto stack = node::intake::stack_slices(slices);
  if (!stack) return;
  FOVEA_CHECK(node::volume::checked_geometry(stack->geometry).has_value());
  FOVEA_CHECK(std::set<std::size_t>(stack->order.begin(), stack->order.end()).size() == slices.size() &&
              stack->order.size() == slices.size());
  if (!stack->resampling || stack->geometry.voxel_count() > 1'000'000) return;
  const std::vector<float> from(slices.size() * static_cast<std::size_t>(slices[0].rows * slices[0].columns), 1.0F);
  std::vector<float> out(stack->geometry.voxel_count());
  node::intake::resample_slices(*stack, slices[0].columns, slices[0].rows, from, out);
  for (const float voxel : out) FOVEA_CHECK(std::isnan(voxel) || std::abs(voxel - 1) < 1e-3F);
}

// Corners anywhere: the voxels inside are voxels of the scan, each once.
void contours(ByteView input) {
  Feed feed(input);
  node::volume::VolumeGeometry grid;
  grid.size = {2 + static_cast<std::int64_t>(feed.below(12)), 2 + static_cast<std::int64_t>(feed.below(12)),
               2 + static_cast<std::int64_t>(feed.below(12))};
  std::vector<node::intake::Contour> drawn(feed.below(5));
  for (node::intake::Contour& contour : drawn) {
    const double plane = static_cast<double>(feed.below(14)) - 1;
    contour.resize(feed.below(12));
    for (node::volume::Point3& corner : contour)
      corner = feed.chance() ? point(feed) : node::volume::Point3{feed.near(12), feed.near(12), plane};
  }
  const auto inside = node::intake::voxels_inside(grid, drawn);
  if (!inside) return;
  FOVEA_CHECK(!inside->empty());
  for (std::size_t v = 0; v < inside->size(); ++v)
    FOVEA_CHECK((*inside)[v] < grid.voxel_count() && (v == 0 || (*inside)[v - 1] < (*inside)[v]));
}

void suv_fields(ByteView input) {
  Feed feed(input);
  const auto number = [&feed] { return feed.chance() ? feed.text(16) : std::to_string(feed.real()); };
  std::vector<node::intake::PetFields> images(feed.below(3));
  for (node::intake::PetFields& image : images) {
    image.units = feed.chance() ? "GML" : feed.chance() ? "CNTS" : "BQML";
    image.corrections = {"ATTN", "DECY"};
    image.decay_correction = feed.chance() ? "START" : "ADMIN";
    for (std::string* field :
         {&image.weight_kg, &image.dose_bq, &image.half_life_s, &image.frame_reference_ms, &image.frame_duration_ms,
          &image.decay_factor, &image.philips_suv, &image.philips_activity})
      if (feed.chance()) *field = number();
    image.utc_offset = feed.chance() ? "" : feed.text(5);
    image.injection_datetime = feed.text(26);
    image.injection_time = feed.text(14);
    image.series_date = feed.text(10), image.series_time = feed.text(14);
    image.acquisition_date = feed.text(10), image.acquisition_time = feed.text(14);
  }
  if (images.size() > 1 && feed.chance()) images[1] = images[0];
  if (const auto factor = node::intake::suv_factor(images); factor) FOVEA_CHECK(std::isfinite(*factor) && *factor > 0);
}

Seeds feed_seeds() {
  return {Bytes(200, 1), Bytes(200, 0), bytes_of("20260101120000.000000+0100 120000 20260101 20260102 130000")};
}

// A file from the disk: what opens was sealed by somebody who knew the key's public half, and is as long as it says.
void sealed_scan(ByteView input) {
  static const crypto::AgreementKey key = crypto::AgreementKey::from_private(crypto::SecretKey());
  const ScratchFile file(input);
  const auto opened = node::receive::open_sealed_scan(file.path(), 1 << 20, key);
  if (opened)
    FOVEA_CHECK(node::receive::sealed_scan_bytes(static_cast<std::uint64_t>(::lseek(opened->number(), 0, SEEK_END))) ==
                input.size());
}

Seeds sealed_seeds() {
  Seeds out;
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{65'536}}) {
    const Descriptor plain(::memfd_create("seed", MFD_CLOEXEC)), sealed(::memfd_create("sealed", MFD_CLOEXEC));
    const Bytes scan(size, 5);
    FOVEA_CHECK(::pwrite(plain.number(), scan.data(), scan.size(), 0) == static_cast<ssize_t>(scan.size()));
    FOVEA_CHECK(node::receive::seal_stream(plain.number(), sealed.number(), 1 << 20,
                                           crypto::AgreementKey::from_private(crypto::SecretKey()).public_key())
                    .has_value());
    Bytes bytes(node::receive::sealed_scan_bytes(size));
    FOVEA_CHECK(::pread(sealed.number(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    out.push_back(std::move(bytes));
  }
  return out;
}

// What is taken has an end, and no field twice, as a plainer reading of it says.
void text_headers(ByteView input) {
  const std::string_view text = as_text(input);
  if (node::intake::check_nrrd_header(input)) {
    std::istringstream lines{std::string(text)};
    bool ended = false;
    for (std::string line; !ended && std::getline(lines, line);) {
      ended = line.find_first_not_of(" \t\r") == std::string::npos;
      const bool quoted = line.front() != '#' && line.find(":=") == std::string::npos && !line.starts_with("NRRD");
      FOVEA_CHECK(ended || !quoted || line.find_last_not_of(" \t\r") < 1000 || lines.tellg() < 0);
    }
    FOVEA_CHECK(ended);
    const Result<node::intake::NrrdGeometry> nrrd = node::intake::inspect_nrrd(input);
    FOVEA_CHECK(!nrrd || !nrrd->geometry || node::volume::checked_geometry(*nrrd->geometry));
  }
  FOVEA_CHECK(node::intake::foreign_file(input).size() + node::intake::foreign_in_gzip(input).size() < 1000);
  if (!node::intake::check_metaimage_header(input)) return;
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::size_t last = lower.find("elementdatafile");
  FOVEA_CHECK(last != std::string::npos && lower.find("local", last) != std::string::npos);
  const std::size_t dimensions = lower.find("\nndims =");
  FOVEA_CHECK(dimensions == std::string::npos || dimensions > last || lower.find("\nndims =", dimensions + 1) > last);
}

Seeds text_header_seeds() {
  return {bytes_of("NRRD0005\n# by hand\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4 3 "
                   "2\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace units: \"cm\" \"cm\" \"cm\"\n"
                   "space origin: (1,-2,3)\nkey:=value\n"
                   "encoding: raw\nendian: little\n\nvoxels"),
          bytes_of("ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nDimSize = 4 3 "
                   "2\nElementSpacing = 1 1 1\nElementType = MET_SHORT\nElementDataFile = LOCAL\nvoxels")};
}

constexpr std::array<ParseTarget, 10> kTargets{{{"nifti_header", nifti_header, nifti_seeds},
                                                {"text_headers", text_headers, text_header_seeds},
                                                {"tables", tables, table_seeds},
                                                {"parser_protocol", parser_protocol, protocol_seeds},
                                                {"catalogue_rows", catalogue_rows, row_seeds},
                                                {"csa_header", csa_header, csa_seeds},
                                                {"slice_places", slice_places, feed_seeds},
                                                {"contours", contours, feed_seeds},
                                                {"suv_fields", suv_fields, feed_seeds},
                                                {"sealed_scan", sealed_scan, sealed_seeds}}};

}  // namespace

std::span<const ParseTarget> intake_targets() noexcept { return kTargets; }

}  // namespace fovea::fuzz
