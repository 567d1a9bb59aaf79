#include "tests/hostile/hostile_corpus.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "tests/support/dicom_files.h"

namespace fovea::hostile {
namespace {

using node::DicomBytes;
using Visit = std::function<void(const HostileFile&)>;

class Numbers {  // splitmix64
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }

 private:
  std::uint64_t state_;
};

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

Bytes deflated(ByteView bytes, int window_bits, int level = 6) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  Bytes out(compressBound(static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());
  stream.avail_in = static_cast<unsigned>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
Bytes gzipped(ByteView bytes) { return deflated(bytes, 15 + 16); }

template <class T>
void set(Bytes& file, std::size_t at, T value) {
  if (at + sizeof value <= file.size()) std::memcpy(file.data() + at, &value, sizeof value);
}

// A sound 9×8×7 NIfTI-1 file.
Bytes nifti() {
  Bytes out(352 + 9 * 8 * 7 * 2);
  set<std::int32_t>(out, 0, 348);
  const std::array<std::int16_t, 4> size{3, 9, 8, 7};
  for (std::size_t n = 0; n < 4; ++n) set(out, 40 + 2 * n, size[n]);
  set<std::int16_t>(out, 70, 4), set<std::int16_t>(out, 72, 16);
  for (std::size_t n = 0; n < 4; ++n) set(out, 76 + 4 * n, 1.0F);
  set(out, 108, 352.0F), set(out, 112, 1.0F), set<std::int16_t>(out, 254, 1);
  for (std::size_t n = 0; n < 3; ++n) set(out, 280 + 20 * n, 1.0F);
  std::memcpy(out.data() + 344, "n+1", 4);
  for (std::size_t v = 352; v < out.size(); v += 2) out[v] = static_cast<std::uint8_t>(v * 7);
  return out;
}

Bytes nrrd(const std::string& sizes = "9 8 7", const std::string& more = "") {
  std::string text =
      "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: " + sizes +
      "\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n" + more +
      "\n";
  text.append(9 * 8 * 7 * 2, 'q');
  return bytes_of(text);
}

Bytes mha(const std::string& sizes = "9 8 7", const std::string& more = "") {
  std::string text = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n" + more +
                     "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 1\nDimSize = " + sizes +
                     "\nElementType = MET_SHORT\nElementDataFile = LOCAL\n";
  text.append(9 * 8 * 7 * 2, 'q');
  return bytes_of(text);
}

DicomBytes slice(int number = 0) { return node::ct_slice(number, number); }

// An element inside an element, `depth` times.
Bytes nested(std::size_t depth) {
  DicomBytes inner;
  inner.text({0x0008, 0x0060}, "CS", "CT");
  for (std::size_t level = 0; level < depth; ++level) {
    DicomBytes outer;
    outer.sequence({0x0008, 0x1140}, inner);
    inner = outer;
  }
  DicomBytes whole = slice();
  whole.sequence({0x0008, 0x1140}, inner);
  return whole.file();
}

// Sequences of undefined length that never close: grows by 20 bytes a level, so a million levels fit a file.
Bytes unclosed(std::size_t depth) {
  Bytes out = slice().file();
  out.resize(132 + 12 + 28);  // preamble and most of the meta header
  const std::uint8_t level[] = {0x08, 0x00, 0x40, 0x11, 'S',  'Q',  0,    0,    0xff, 0xff,
                                0xff, 0xff, 0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff};
  for (std::size_t n = 0; n < depth; ++n) out.insert(out.end(), std::begin(level), std::end(level));
  return out;
}

void nifti_cases(const Visit& visit) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  const auto harmed = [&](const std::string& what, const std::function<void(Bytes&)>& harm) {
    Bytes file = nifti();
    harm(file);
    visit({"n-" + what + ".nii", what, file});
    visit({"n-" + what + ".nii.gz", what + ", gzipped", gzipped(file)});
  };
  for (const std::size_t at : {std::size_t{40}, std::size_t{42}, std::size_t{44}, std::size_t{46}, std::size_t{48},
                               std::size_t{70}, std::size_t{72}})
    for (const int value : {-32768, -1, 0, 1, 2, 4096, 4097, 32767})
      harmed("short-" + std::to_string(at) + "-" + std::to_string(value),
             [&](Bytes& f) { set(f, at, static_cast<std::int16_t>(value)); });
  for (const std::size_t at :
       {std::size_t{80}, std::size_t{108}, std::size_t{112}, std::size_t{116}, std::size_t{280}, std::size_t{292}})
    for (const float value : {nan, infinite, -infinite, 0.0F, -1.0F, 1e38F, 1e-38F})
      harmed("float-" + std::to_string(at) + "-" +
                 std::to_string(static_cast<int>(std::isfinite(value) ? value > 1 ? 9 : value : 7)),
             [&](Bytes& f) { set(f, at, value); });
  harmed("singular", [](Bytes& f) {
    for (std::size_t n = 0; n < 3; ++n)
      set(f, 280 + 16 * n, 1.0F), set(f, 284 + 16 * n, 1.0F), set(f, 288 + 16 * n, 1.0F);
  });
  harmed("negative-header", [](Bytes& f) { set<std::int32_t>(f, 0, -348); });
  harmed("extension-without-end",
         [](Bytes& f) { f[348] = 1, set<std::int32_t>(f, 352, std::numeric_limits<std::int32_t>::max()); });
  const Bytes whole = nifti();
  for (std::size_t size = 0; size < 360; size += 9)
    visit({"n-cut-" + std::to_string(size) + ".nii", "cut at " + std::to_string(size),
           Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))});
}

void text_cases(const Visit& visit) {
  for (const std::string sizes :
       {"-9 8 7", "9 8 0", "9 8", "9 8 7 6 5 4 3 2 1 1 1 1 1 1 1 1 1 1", "4000000000 4000000000 4000000000",
        "18446744073709551615 1 1", "9 8 seven", "2147483648 2 2", ""}) {
    visit({"r-size-" + std::to_string(sizes.size()) + ".nrrd", "nrrd sizes " + sizes, nrrd(sizes)});
    visit({"m-size-" + std::to_string(sizes.size()) + ".mha", "mha sizes " + sizes, mha(sizes)});
  }
  for (const std::string more :
       {"data file: /etc/passwd\n", "data file: ../../../../etc/passwd\n", "data file: LIST\n/etc/passwd\n",
        "data file: %d.raw 1 1000000 1\n", "encoding: gzip\n", "encoding: hex\n", "byte skip: -1\n",
        "byte skip: 99999999999999\n", "line skip: 2000000000\n", "spacings: nan nan nan\n",
        "space directions: (0,0,0) (0,0,0) (0,0,0)\n", "content: \n\n\n"})
    visit({"r-" + std::to_string(std::hash<std::string>{}(more)) + ".nrrd", "nrrd " + more, nrrd("9 8 7", more)});
  for (const std::string more : {"CompressedData = True\n", "CompressedData = True\nCompressedDataSize = 99999999999\n",
                                 "ElementDataFile = /etc/passwd\n", "ElementDataFile = LIST\n/etc/passwd\n",
                                 "HeaderSize = -1\n", "ElementNumberOfChannels = 1000000\n", "NDims = 100\n",
                                 "NDims = -3\n", "CompressedDataSize = -5\nCompressedData = True\n"})
    visit({"m-" + std::to_string(std::hash<std::string>{}(more)) + ".mha", "mha " + more, mha("9 8 7", more)});
  visit({"long-line.nrrd", "a line of a megabyte", bytes_of("NRRD0004\n" + std::string(1 << 20, 'a'))});
  visit(
      {"long-line.mha", "a line of a megabyte", bytes_of("ObjectType = Image\nNDims = " + std::string(1 << 20, '3'))});
}

void dicom_cases(const Visit& visit) {
  for (const std::size_t depth : {std::size_t{3}, std::size_t{60}, std::size_t{400}})
    visit({"d-nested-" + std::to_string(depth), "sequences nested", nested(depth)});
  for (const std::size_t depth : {std::size_t{10}, std::size_t{10'000}, std::size_t{1'000'000}})
    visit({"d-unclosed-" + std::to_string(depth), "sequences that never close", unclosed(depth)});
  const auto with = [&](const std::string& what, const std::function<void(DicomBytes&)>& harm) {
    for (int n = 0; n < 3; ++n) {
      DicomBytes file = slice(n);
      harm(file);
      visit({"d-" + what + "-" + std::to_string(n) + ".dcm", what, file.file()});
    }
  };
  for (const unsigned value : {0U, 1U, 65535U}) {
    const auto us = static_cast<std::uint16_t>(value);
    with("rows-" + std::to_string(value), [us](DicomBytes& f) {
      f.us({0x0028, 0x0010}, us), f.us({0x0028, 0x0011}, us);
    });
    with("bits-" + std::to_string(value), [us](DicomBytes& f) {
      f.us({0x0028, 0x0100}, us), f.us({0x0028, 0x0101}, us), f.us({0x0028, 0x0102}, us);
    });
    with("samples-" + std::to_string(value), [us](DicomBytes& f) { f.us({0x0028, 0x0002}, us); });
  }
  for (const std::string value : {"nan", "inf", "-1", "0", "1e400", "", "a\\b", "1\\2\\3\\4\\5\\6\\7\\8\\9"}) {
    const std::string name = std::to_string(std::hash<std::string>{}(value) % 1000);
    with("spacing-" + name, [&](DicomBytes& f) { f.text({0x0028, 0x0030}, "DS", value); });
    with("slope-" + name, [&](DicomBytes& f) { f.text({0x0028, 0x1053}, "DS", value); });
    with("orientation-" + name, [&](DicomBytes& f) { f.text({0x0020, 0x0037}, "DS", value); });
    with("position-" + name, [&](DicomBytes& f) { f.text({0x0020, 0x0032}, "DS", value); });
    with("frames-" + name, [&](DicomBytes& f) { f.text({0x0028, 0x0008}, "IS", value); });
  }
  with("frames-huge", [](DicomBytes& f) { f.text({0x0028, 0x0008}, "IS", "2147483647"); });
  const Bytes whole = slice().file();
  for (std::size_t size = 0; size < whole.size(); size += 23)
    visit({"d-cut-" + std::to_string(size) + ".dcm", "cut",
           Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))});
}

void bombs(const Visit& visit) {
  Bytes zeros(192U << 20U);
  const Bytes sound = nifti();
  std::copy(sound.begin(), sound.end(), zeros.begin());
  visit({"bomb.nii.gz", "192 MB of zeros behind a scan", deflated(zeros, 15 + 16, 9)});
  Bytes many = gzipped(sound);
  for (int n = 0; n < 2000; ++n) {
    const Bytes empty = gzipped({});
    many.insert(many.end(), empty.begin(), empty.end());
  }
  visit({"members.nii.gz", "2000 empty gzip members", many});
  visit({"twice.nii.gz", "gzip within gzip", gzipped(gzipped(sound))});
  // Explicit little-endian deflated: all behind the meta header is one raw deflate stream.
  Bytes meta = slice().file();
  const std::string syntax = "1.2.840.10008.1.2.1";
  const auto at = std::search(meta.begin(), meta.end(), syntax.begin(), syntax.end());
  if (at != meta.end()) {
    // ".99" would not fit the element: the even-padded length of the meta element is patched with it.
    Bytes head(meta.begin(), at - 8);
    const std::uint8_t element[] = {0x02, 0x00, 0x10, 0x00, 'U', 'I', 22, 0};
    head.insert(head.end(), std::begin(element), std::end(element));
    const std::string deflate_syntax = "1.2.840.10008.1.2.1.99";
    head.insert(head.end(), deflate_syntax.begin(), deflate_syntax.end());
    set<std::uint32_t>(head, 140, 30);
    const Bytes body = deflated(zeros, -15, 9);
    head.insert(head.end(), body.begin(), body.end());
    visit({"deflate-bomb.dcm", "a deflated data set of 192 MB of zeros", head});
  }
  visit({"archive.nii", "the start of a zip archive", bytes_of(std::string("PK\x03\x04", 4) + std::string(5000, 'z'))});
}

void names(const Visit& visit) {
  const Bytes sound = nifti();
  for (const char* name : {"-rf.nii", "$(touch pwned).nii", "a;b|c&d.nii", "new\nline.nii", "%s%n%x.nii", "..nii",
                           "quote\"'.nii", "\xff\xfe.nii", ".. .nii", "tab\there.nii"})
    visit({name, "a name", sound});
  visit({std::string(240, 'x') + ".nii", "a long name", sound});
}

}  // namespace

void each_hostile_file(std::uint64_t seed, std::size_t count, const Visit& visit) {
  nifti_cases(visit);
  text_cases(visit);
  dicom_cases(visit);
  names(visit);
  bombs(visit);
  Numbers numbers(seed);
  const std::vector<std::pair<std::string, Bytes>> sound{
      {".nii", nifti()}, {".nii.gz", gzipped(nifti())}, {".nrrd", nrrd()}, {".mha", mha()}, {".dcm", slice().file()}};
  for (std::size_t n = 0; n < count; ++n) {
    const auto& [ending, whole] = sound[numbers.below(sound.size())];
    Bytes file = whole;
    for (std::size_t flips = 1 + numbers.below(6); flips > 0; --flips)
      file[numbers.below(std::min<std::size_t>(file.size(), 700))] ^= static_cast<std::uint8_t>(1U << numbers.below(8));
    if (numbers.below(4) == 0) file.resize(numbers.below(file.size()));
    if (numbers.below(8) == 0)
      file.insert(file.begin() + static_cast<std::ptrdiff_t>(numbers.below(file.size() + 1)), 1 + numbers.below(40),
                  static_cast<std::uint8_t>(numbers.next()));
    visit({"x-" + std::to_string(n) + ending, "seed " + std::to_string(seed) + " file " + std::to_string(n), file});
  }
}

}  // namespace fovea::hostile
