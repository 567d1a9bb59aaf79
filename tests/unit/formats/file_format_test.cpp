// The format of a file by its name and by its first bytes.
#include "node/intake/formats/file_format.h"

#include <gtest/gtest.h>

#include <string>

namespace fovea::node {
namespace {

TEST(FileFormat, TheEndingNamesAVolumeAndNothingElse) {
  EXPECT_EQ(intake::format_of_name("/a/scan.nii"), intake::FileFormat::nifti);
  EXPECT_EQ(intake::format_of_name("scan.nii.gz"), intake::FileFormat::nifti);
  EXPECT_EQ(intake::format_of_name("x.y.nrrd"), intake::FileFormat::nrrd);
  EXPECT_EQ(intake::format_of_name("scan.mha"), intake::FileFormat::metaimage);
  EXPECT_EQ(intake::format_of_name("SCAN.NII.GZ"), intake::FileFormat::nifti);
  EXPECT_EQ(intake::format_of_name("Scan.Nrrd"), intake::FileFormat::nrrd);
  for (const char* name :
       {".nii", ".nii.gz", ".nrrd", "nii", "scan.gz", "scan.mhd", "IM0001", "slice.dcm", "scan.nii/", "scan.nii.txt"})
    EXPECT_FALSE(intake::format_of_name(name)) << name;
}

TEST(FileFormat, TheEndingForALibraryNamesTheSameFormat) {
  for (const intake::FileFormat format :
       {intake::FileFormat::nifti, intake::FileFormat::nrrd, intake::FileFormat::metaimage})
    EXPECT_EQ(intake::format_of_name("scan" + std::string(intake::ending_of(format))), format);
  EXPECT_EQ(intake::ending_of(intake::FileFormat::dicom), ".dcm");
}

TEST(FileFormat, TheFirstBytesDecideWhateverTheNameSays) {
  EXPECT_EQ(intake::format_of_contents(Bytes{0x1f, 0x8b, 8, 0}), intake::FileFormat::nifti);
  EXPECT_EQ(intake::format_of_contents(Bytes{0x5c, 0x01, 0, 0}), intake::FileFormat::nifti);  // 348
  EXPECT_EQ(intake::format_of_contents(Bytes{0, 0, 0x02, 0x1c}), intake::FileFormat::nifti);  // 540, byte-swapped
  EXPECT_EQ(intake::format_of_contents(as_bytes("NRRD0005\ntype: short")), intake::FileFormat::nrrd);
  EXPECT_EQ(intake::format_of_contents(as_bytes("ObjectType = Image\nNDims = 3\n")), intake::FileFormat::metaimage);
  const std::string dicom = std::string(128, '\0') + "DICM";
  EXPECT_EQ(intake::format_of_contents(as_bytes(dicom)), intake::FileFormat::dicom);
  // Some exports leave the preamble out: the file begins with the length of its meta group.
  EXPECT_EQ(intake::format_of_contents(as_bytes(std::string("\2\0\0\0UL\4\0\xb0\0\0\0", 12))),
            intake::FileFormat::dicom);
  // DICOM leaves its preamble to anybody, so another format may seem to begin there (PS3.10 7.1).
  EXPECT_EQ(intake::format_of_contents(as_bytes("NRRD0005" + dicom.substr(8))), intake::FileFormat::dicom);
  for (const std::string& other : {std::string(), std::string("NRRD"), std::string("ObjectType = Image\n"),
                                   dicom.substr(0, 131), dicom.substr(1), std::string(600, 'x')})
    EXPECT_FALSE(intake::format_of_contents(as_bytes(other))) << other.size();
}

}  // namespace
}  // namespace fovea::node
