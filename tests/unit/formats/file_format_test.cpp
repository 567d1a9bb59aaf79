// The format of a file by its name and by its first bytes.
#include "node/intake/formats/file_format.h"

#include <gtest/gtest.h>

#include <string>

namespace fovea::node {
namespace {

TEST(FileFormat, TheEndingNamesAVolumeAndNothingElse) {
  EXPECT_EQ(format_of_name("/a/scan.nii"), FileFormat::nifti);
  EXPECT_EQ(format_of_name("scan.nii.gz"), FileFormat::nifti);
  EXPECT_EQ(format_of_name("x.y.nrrd"), FileFormat::nrrd);
  EXPECT_EQ(format_of_name("scan.mha"), FileFormat::metaimage);
  for (const char* name : {".nii", ".nii.gz", ".nrrd", "nii", "scan.gz", "scan.mhd", "scan.NII", "IM0001", "slice.dcm",
                           "scan.nii/", "scan.nii.txt"})
    EXPECT_FALSE(format_of_name(name)) << name;
}

TEST(FileFormat, TheEndingForALibraryNamesTheSameFormat) {
  for (const FileFormat format : {FileFormat::nifti, FileFormat::nrrd, FileFormat::metaimage})
    EXPECT_EQ(format_of_name("scan" + std::string(ending_of(format))), format);
  EXPECT_EQ(ending_of(FileFormat::dicom), ".dcm");
}

TEST(FileFormat, TheFirstBytesDecideWhateverTheNameSays) {
  EXPECT_EQ(format_of_contents(Bytes{0x1f, 0x8b, 8, 0}), FileFormat::nifti);
  EXPECT_EQ(format_of_contents(Bytes{0x5c, 0x01, 0, 0}), FileFormat::nifti);  // 348
  EXPECT_EQ(format_of_contents(Bytes{0, 0, 0x02, 0x1c}), FileFormat::nifti);  // 540, byte-swapped
  EXPECT_EQ(format_of_contents(as_bytes("NRRD0005\ntype: short")), FileFormat::nrrd);
  EXPECT_EQ(format_of_contents(as_bytes("ObjectType = Image\nNDims = 3\n")), FileFormat::metaimage);
  const std::string dicom = std::string(128, '\0') + "DICM";
  EXPECT_EQ(format_of_contents(as_bytes(dicom)), FileFormat::dicom);
  // DICOM leaves its preamble to anybody, so another format may seem to begin there (PS3.10 7.1).
  EXPECT_EQ(format_of_contents(as_bytes("NRRD0005" + dicom.substr(8))), FileFormat::dicom);
  for (const std::string& other : {std::string(), std::string("NRRD"), std::string("ObjectType = Image\n"),
                                   dicom.substr(0, 131), dicom.substr(1), std::string(600, 'x')})
    EXPECT_FALSE(format_of_contents(as_bytes(other))) << other.size();
}

}  // namespace
}  // namespace fovea::node
