#include "node/intake/dicom/whole_file.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gdcmSequenceOfFragments.h>

#include "node/intake/formats/mapped_file.h"
#include "node/intake/formats/stored_amount.h"
#include "node/intake/formats/stored_bytes.h"

namespace fovea::node::intake {
namespace {

constexpr std::uint64_t kInflatedBytesMax = 1ull << 31;

PixelCoding coding_of(const gdcm::TransferSyntax& syntax) {
  const gdcm::TransferSyntax::TSType type = syntax;
  if (type >= gdcm::TransferSyntax::JPEGBaselineProcess1 && type <= gdcm::TransferSyntax::JPEGLosslessProcess14_1)
    return PixelCoding::jpeg;
  if (type >= gdcm::TransferSyntax::JPEGLSLossless && type <= gdcm::TransferSyntax::JPEGLSNearLossless)
    return PixelCoding::jpeg_ls;
  if (type >= gdcm::TransferSyntax::JPEG2000Lossless && type <= gdcm::TransferSyntax::JPEG2000Part2)
    return PixelCoding::jpeg_2000;
  return type == gdcm::TransferSyntax::RLELossless ? PixelCoding::run_length : PixelCoding::none;
}

ByteView bytes_of(const gdcm::Fragment& fragment) {
  const gdcm::ByteValue* value = fragment.GetByteValue();
  if (value == nullptr || value->GetPointer() == nullptr) return {};
  return {reinterpret_cast<const std::uint8_t*>(value->GetPointer()), value->GetLength()};
}

// How many fragments make up each frame.
Result<std::vector<std::size_t>> frame_fragments(const gdcm::SequenceOfFragments& all, std::size_t frames) {
  const std::size_t count = all.GetNumberOfFragments();
  FOVEA_TRY(check_stored("pixels", count, frames, "frames"));
  if (count == frames) return std::vector<std::size_t>(frames, 1);
  if (frames == 1) return std::vector<std::size_t>{count};
  std::vector<std::size_t> out;
  for (std::size_t n = 0; n < count; ++n) {
    if (out.empty() || begins_a_frame(bytes_of(all.GetFragment(n)))) out.push_back(0);
    ++out.back();
  }
  FOVEA_TRY(check_stored("pixels", out.size(), frames, "frames"));
  return out;
}

}  // namespace

Result<DicomExtent> extent_of_file(const std::filesystem::path& file) {
  FOVEA_TRY_ASSIGN(const MappedFile mapped, MappedFile::open(file));
  DicomExtent out = dicom_extent(mapped.bytes());
  if (out.deflated_from == 0) return out;
  Bytes inflated;
  const ByteView packed = mapped.bytes().subspan(out.deflated_from);
  const Inflated got = inflate_stream(packed, DeflateWrapper::none, kInflatedBytesMax, &inflated);
  if (!got.is_whole) {
    out.cut = "header: its packed data has no end (cut off, or still being copied; copy the file again)";
    return out;
  }
  const bool has_preamble = out.has_preamble;
  out = dicom_extent_of_inflated(inflated);
  out.has_preamble = has_preamble;
  return out;
}

Result<void> check_whole_file(const std::filesystem::path& file) {
  FOVEA_TRY_ASSIGN(const DicomExtent extent, extent_of_file(file));
  if (!extent.cut.empty()) return invalid_argument(extent.cut);
  return {};
}

Result<void> check_stored_pixels(const gdcm::DataElement& pixels, const gdcm::TransferSyntax& syntax,
                                 const FramePixels& frame, std::size_t frames) {
  const gdcm::SequenceOfFragments* all = pixels.GetSequenceOfFragments();
  if (all == nullptr) {
    const gdcm::ByteValue* stored = pixels.GetByteValue();
    if (stored == nullptr || stored->GetPointer() == nullptr) return invalid_argument("pixels: missing");
    if (syntax.IsEncapsulated()) return invalid_argument("pixels: not in fragments, as their transfer syntax asks for");
    return check_stored("pixels", stored->GetLength(), frame.rows * frame.columns * frame.pixel_bytes * frames);
  }
  const PixelCoding coding = coding_of(syntax);
  FOVEA_TRY_ASSIGN(const std::vector<std::size_t> fragments, frame_fragments(*all, frames));
  std::size_t at = 0;
  for (std::size_t f = 0; f < frames; ++f) {
    Bytes joined;
    for (std::size_t n = 0; n < fragments[f]; ++n) {
      const ByteView part = bytes_of(all->GetFragment(at++));
      joined.insert(joined.end(), part.begin(), part.end());
    }
    if (Result<void> whole = check_pixel_stream(joined, coding, frame); !whole)
      return frames == 1 ? whole : whole.error().with_context("frame " + std::to_string(f + 1));
  }
  return {};
}

}  // namespace fovea::node::intake
