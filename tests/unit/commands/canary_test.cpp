// Failure class: what identifies a patient lies unsealed in the site's folder, or is printed. The scans of one patient
// are ingested in every way there is; then every byte of the folder and of the output is searched.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/durable_file.h"
#include "node/commands/data_commands.h"
#include "node/store/study_catalogue.h"
#include "node/volume_files/nifti_writer.h"
#include "tests/support/dicom_files.h"
#include "tests/support/parser_programs.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

// Name, id, birth date, study date, and the UIDs of study, series and slices.
const std::vector<std::string> kIdentifying{"Canary^Dicom", "Canary",          "CANARY-ID-99",  "19610704",
                                            "20250317",     "1.2.3.4.5.6.7.8", "1.2.3.4.5.900", "1.2.826.77.0"};

DicomBytes canary_slice(int n, double z_mm) {
  DicomBytes out = ct_slice(n, z_mm);
  out.text({0x0008, 0x0018}, "UI", "1.2.826.77.0." + std::to_string(n + 1));
  out.text({0x0008, 0x0020}, "DA", "20250317");
  out.text({0x0010, 0x0030}, "DA", "19610704");
  out.text({0x0020, 0x000d}, "UI", "1.2.3.4.5.6.7.8");
  out.text({0x0020, 0x000e}, "UI", "1.2.3.4.5.900");
  return out;
}

void make_hospital(const fs::path& folder) {
  fs::create_directories(folder / "Canary_good");
  fs::create_directories(folder / "Canary_gap");
  for (int n = 0; n < 5; ++n)
    ASSERT_TRUE(replace_file(folder / "Canary_good" / (std::to_string(n) + ".dcm"), canary_slice(n, 2 * n).file()));
  for (int n : {0, 1, 4}) {
    DicomBytes gap = canary_slice(n, 2 * n);
    gap.text({0x0020, 0x000e}, "UI", "1.2.3.4.5.900.2");
    ASSERT_TRUE(replace_file(folder / "Canary_gap" / (std::to_string(n) + ".dcm"), gap.file()));
  }
  const Bytes whole = canary_slice(7, 7).file();
  ASSERT_TRUE(replace_file(folder / "Canary_cut.dcm", ByteView(whole).first(whole.size() - 30)));
  ASSERT_TRUE(volume_files::write_nifti(folder / "Canary.nii.gz", make_scan({30, 28, 26}, 1),
                                        volume_files::VoxelType::int16, true));
  ASSERT_TRUE(
      replace_file(folder / "Canary.nrrd", as_bytes("NRRD0004\ncontent: Canary^Dicom CANARY-ID-99\nsizes: 0\n")));
}

std::vector<std::string> found_in(ByteView bytes) {
  std::vector<std::string> out;
  for (const std::string& word : kIdentifying)
    if (as_text(bytes).find(word) != std::string_view::npos) out.push_back(word);
  return out;
}

TEST(Canary, PatientIdentifiersAppearOnlySealed) {
  ScratchFolder hospital, site;
  make_hospital(hospital.path());
  // The search itself works: it finds her identifiers in the hospital's own files.
  const Result<Bytes> slice = read_file(hospital.path() / "Canary_good" / "0.dcm", 1 << 20);
  ASSERT_TRUE(slice);
  EXPECT_EQ(found_in(*slice).size(), kIdentifying.size());

  link_parser_programs();
  Console console;
  commands::IngestRequest request;
  request.paths = {hospital.path()};
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  console.json = true;  // without it, the local terminal is shown the names of refused files
  const Result<void> ingested = commands::run_data_ingest(console, site.path(), request);
  std::vector<std::string> codes;
  {
    Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(site.path(), false);
    ASSERT_TRUE(catalogue) << catalogue.error().message;
    const Result<std::vector<store::StudyRecord>> records = catalogue->list();
    ASSERT_TRUE(records) << records.error().message;
    for (const store::StudyRecord& record : *records) codes.push_back(record.code);
    ASSERT_FALSE(codes.empty());
    const Result<store::StudyIdentity> identity = catalogue->identity(codes.front());
    ASSERT_TRUE(identity);
    EXPECT_FALSE(found_in(as_bytes(identity->patient)).empty());  // sealed, for who may see it
  }
  for (const bool json : {true, false}) {
    console.json = json;
    EXPECT_TRUE(commands::run_data_list(console, site.path()));
    EXPECT_TRUE(commands::run_data_check(console, site.path(), true));
    for (const std::string& code : codes)
      static_cast<void>(commands::run_data_show(console, site.path(), {code, site.path() / (code + ".png"), false}));
  }
  const std::string printed = testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
  ASSERT_TRUE(ingested) << ingested.error().message;
  EXPECT_GE(codes.size(), 3U);
  EXPECT_TRUE(found_in(as_bytes(printed)).empty()) << testing::PrintToString(found_in(as_bytes(printed))) << "\n"
                                                   << printed;

  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(site.path())) {
    if (!entry.is_regular_file()) continue;
    const Result<Bytes> bytes = read_file(entry.path(), 1U << 30U);
    ASSERT_TRUE(bytes);
    ++files;
    EXPECT_TRUE(found_in(*bytes).empty()) << entry.path() << ": " << testing::PrintToString(found_in(*bytes));
    EXPECT_TRUE(found_in(as_bytes(entry.path().filename().string())).empty());
  }
  EXPECT_GE(files, 6U);
  const std::string forgotten = codes.front();
  ASSERT_TRUE(commands::run_data_forget(console, site.path(), forgotten, 1));
  for (const auto& entry : fs::recursive_directory_iterator(site.path()))
    EXPECT_NE(entry.path().filename().string().substr(0, forgotten.size() + 1), forgotten + ".") << "left after forget";
}

}  // namespace
}  // namespace fovea::node
