// What the numbers in DICOM slices mean: read whole or refused by name, and only Hounsfield units pass for them.
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "node/intake/parser/scan_parser.h"
#include "tests/support/dicom_files.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

using Change = std::function<void(int, DicomBytes&)>;

class DicomValues : public testing::Test {
 protected:
  DicomValues() : parser_(started()) {}

  static intake::ScanParser started() {
    Result<intake::ScanParser> parser = intake::ScanParser::start(
        fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.memory_bytes = 1ull << 30, .cpu_s = 30, .wall_ms = 60'000});
    if (!parser) ADD_FAILURE() << parser.error().message;
    return std::move(parser).value();
  }

  // Five slices, 2 mm apart, each after `change` had its way with it.
  Result<intake::ParsedVolume> read(const Change& change) {
    ScratchFolder folder;
    std::vector<fs::path> files;
    for (int slice = 0; slice < 5; ++slice) {
      DicomBytes bytes = ct_slice(slice, 50 + 2.0 * slice);
      change(slice, bytes);
      files.push_back(folder.path() / ("f" + std::to_string(slice)));
      const Bytes raw = bytes.file();
      std::ofstream(files.back(), std::ios::binary)
          .write(as_text(raw).data(), static_cast<std::streamsize>(raw.size()));
    }
    return parser_.read_series(files);
  }

  std::vector<float> values(const Change& change) {
    const Result<intake::ParsedVolume> volume = read(change);
    if (!volume) {
      ADD_FAILURE() << volume.error().message;
      return {};
    }
    return std::visit([](const auto& span) { return std::vector<float>(span.begin(), span.end()); }, volume->voxels());
  }

  void expect_refused(const std::string& named, const Change& change) {
    const Result<intake::ParsedVolume> volume = read(change);
    ASSERT_FALSE(volume) << named;
    EXPECT_NE(volume.error().message.find(named), std::string::npos) << named << ": " << volume.error().message;
  }

  intake::ScanParser parser_;
};

TEST_F(DicomValues, HalfANumberIsRefusedByTheNameOfItsField) {
  const std::vector<std::pair<DicomTag, std::string>> fields{
      {{0x0020, 0x0032}, "Image Position (Patient) (0020,0032)"},
      {{0x0020, 0x0037}, "Image Orientation (Patient) (0020,0037)"},
      {{0x0028, 0x0030}, "Pixel Spacing (0028,0030)"},
      {{0x0018, 0x0050}, "Slice Thickness (0018,0050)"},
      {{0x0028, 0x1052}, "Rescale Intercept (0028,1052)"},
      {{0x0028, 0x1053}, "Rescale Slope (0028,1053)"}};
  for (const auto& [tag, name] : fields) {
    // In one slice of five, in each way that a half could be read.
    for (const auto& [text, fault] : std::vector<std::pair<std::string, std::string>>{{"1,5", "a decimal comma"},
                                                                                      {"0x10", "hexadecimal"},
                                                                                      {"nan", "not a number"},
                                                                                      {"1.5 mm", "a unit"},
                                                                                      {"1.000.000", "several points"},
                                                                                      {"1\\\\2", ": "}})
      expect_refused(name, [&, at = tag, t = text](int slice, DicomBytes& bytes) {
        if (slice == 3) bytes.text(at, "DS", t);
      });
    expect_refused(name + ": a decimal comma", [&, at = tag](int, DicomBytes& bytes) { bytes.text(at, "DS", "1,5"); });
  }
  expect_refused("Number of Frames (0028,0008): not a whole number", [](int slice, DicomBytes& bytes) {
    if (slice == 3) bytes.text({0x0028, 0x0008}, "IS", "1.5");
  });
}

TEST_F(DicomValues, PaddingThatTheStandardAllowsIsNoFault) {
  const std::vector<float> plain = values([](int, DicomBytes&) {});
  EXPECT_EQ(plain, values([](int slice, DicomBytes& bytes) {
              bytes.text({0x0028, 0x0030}, "DS", " 0.8 \\+5.0E-01 ");
              bytes.text({0x0020, 0x0032}, "DS", "-10 \\ 20\\" + decimal(50 + 2.0 * slice) + std::string(1, '\0'));
              bytes.text({0x0028, 0x1053}, "DS", "  ");
              bytes.text({0x0028, 0x1052}, "DS", "");
            }));
}

TEST_F(DicomValues, OnlyHounsfieldUnitsPassForThem) {
  const auto typed = [](const std::string& type, const std::string& sop_class) {
    return [=](int, DicomBytes& bytes) {
      bytes.text({0x0028, 0x1054}, "LO", type);
      bytes.text({0x0008, 0x0016}, "UI", sop_class);
    };
  };
  const std::string ct = "1.2.840.10008.5.1.4.1.1.2", mr = "1.2.840.10008.5.1.4.1.1.4";
  EXPECT_EQ(values(typed("HU", ct))[7], 11);
  EXPECT_EQ(values(typed("US", mr))[7], 11);  // MR has units of its own
  for (const std::string type : {"US", "Z_EFF", "MGML", "ED", "EDW", "HU_MOD", "PCT", "OD"})
    expect_refused("Rescale Type (0028,1054): \"" + type + "\"", typed(type, ct));
  expect_refused("Rescale Type", [&](int slice, DicomBytes& bytes) {
    if (slice == 4) typed("Z_EFF", ct)(slice, bytes);
  });
}

TEST_F(DicomValues, AModalityLutAndLeftAlignedBitsAreRefusedByName) {
  expect_refused("Modality LUT Sequence", [](int slice, DicomBytes& bytes) {
    DicomBytes table;
    table.text({0x0028, 0x3004}, "LO", "HU");
    if (slice == 2) bytes.sequence({0x0028, 0x3000}, table);
  });
  expect_refused("High Bit (0028,0102): 15; expected 11", [](int, DicomBytes& bytes) {
    bytes.us({0x0028, 0x0101}, 12);
  });
  expect_refused("Bits Stored (0028,0101): outside 1–16", [](int, DicomBytes& bytes) {
    bytes.us({0x0028, 0x0101}, 17);
    bytes.us({0x0028, 0x0102}, 16);
  });
}

TEST_F(DicomValues, ARangeOfPaddingIsAir) {
  // Slice 1 holds 100, 101, … 105 in its first row.
  const auto padded = [](std::uint16_t value, std::uint16_t limit) {
    return [=](int, DicomBytes& bytes) {
      bytes.us({0x0028, 0x0120}, value, "SS");
      bytes.us({0x0028, 0x0121}, limit, "SS");
      bytes.text({0x0028, 0x1052}, "DS", "-1024");
    };
  };
  for (const auto& [value, limit] : {std::pair<std::uint16_t, std::uint16_t>{101, 103}, {103, 101}}) {
    const std::vector<float> voxels = values(padded(value, limit));
    ASSERT_EQ(voxels.size(), 150u);
    EXPECT_EQ(std::vector<float>(voxels.begin() + 30, voxels.begin() + 36),
              (std::vector<float>{-924, -1000, -1000, -1000, -920, -919}));
  }
  // −2000 to 0 as binary numbers, also where the writer says that they are unsigned.
  for (const char* vr : {"US", "SS"}) {
    const std::vector<float> voxels = values([&](int, DicomBytes& bytes) {
      bytes.us({0x0028, 0x0120}, 63536, vr);
      bytes.us({0x0028, 0x0121}, 0, vr);
      bytes.text({0x0028, 0x1052}, "DS", "5");
    });
    ASSERT_EQ(voxels.size(), 150u);
    EXPECT_EQ(voxels[0], 6);  // the lowest that is left
    EXPECT_EQ(voxels[1], 6);
  }
  expect_refused("Pixel Padding Range Limit", [](int, DicomBytes& bytes) { bytes.us({0x0028, 0x0121}, 5); });
}

TEST_F(DicomValues, PetFieldsOfVendorsAreFoundInTheirPrivateBlocks) {
  const auto pet = [](int, DicomBytes& bytes) {
    bytes.text({0x0008, 0x0016}, "UI", "1.2.840.10008.5.1.4.1.1.128");
    bytes.text({0x0008, 0x0022}, "DA", "20200102"), bytes.text({0x0008, 0x0032}, "TM", "12");
    bytes.text({0x0008, 0x0021}, "DA", "20200102"), bytes.text({0x0008, 0x0031}, "TM", "15");
    bytes.text({0x0010, 0x1030}, "DS", "80");
    bytes.text({0x0028, 0x0051}, "CS", "ATTN\\DECY");
    bytes.text({0x0054, 0x1001}, "CS", "BQML"), bytes.text({0x0054, 0x1102}, "CS", "START");
    DicomBytes drug;
    drug.text({0x0018, 0x1072}, "TM", "1100");
    drug.text({0x0018, 0x1074}, "DS", "400000000"), drug.text({0x0018, 0x1075}, "DS", "3600");
    bytes.sequence({0x0054, 0x0016}, drug);
  };
  EXPECT_NEAR(values(pet)[7], 11 * 80'000.0 / 200e6, 1e-9);
  EXPECT_NEAR(values([&](int slice, DicomBytes& bytes) {
                pet(slice, bytes);
                bytes.text({0x0009, 0x0011}, "LO", "GEMS_PETD_01");
                bytes.text({0x0009, 0x110d}, "DT", "20200102110000.00");
              })[7],
              11 * 80'000.0 / 400e6, 1e-9);
  const auto counts = [&](const char* creator) {
    return [&, creator](int slice, DicomBytes& bytes) {
      pet(slice, bytes);
      bytes.text({0x0054, 0x1001}, "CS", "CNTS");
      bytes.text({0x7053, 0x0012}, "LO", creator);
      bytes.text({0x7053, 0x1209}, "DS", "2.5");
    };
  };
  EXPECT_NEAR(values(counts("Philips PET Private Group"))[7], 11 * 2.5 * 80'000.0 / 200e6, 1e-9);
  expect_refused("CNTS", counts("Somebody else"));
  expect_refused("SUV Type", [&](int slice, DicomBytes& bytes) {
    pet(slice, bytes);
    bytes.text({0x0054, 0x1001}, "CS", "GML"), bytes.text({0x0054, 0x1006}, "CS", "LBM");
  });
  expect_refused("Patient's Weight: differs", [&](int slice, DicomBytes& bytes) {
    pet(slice, bytes);
    if (slice == 4) bytes.text({0x0010, 0x1030}, "DS", "90");
  });
}

}  // namespace
}  // namespace fovea::node
