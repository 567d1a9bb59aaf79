// Tables as spreadsheets write them, and as they lie in folders: read, or named with what to do; the masks of a table
// never become scans.
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "node/intake/csv_reader.h"
#include "node/intake/formats/file_format.h"
#include "node/intake/label_tables.h"
#include "node/intake/manifest.h"
#include "node/intake/parser/scan_parser.h"
#include "node/intake/scan_walk.h"
#include "node/store/study_catalogue.h"
#include "tests/support/scans.h"

namespace fovea::node {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "study,patient,image,mask,split,label\n";

TEST(Tables, WhatSpreadsheetsWriteInPlaceOfCommasIsRead) {
  for (const std::string text :
       {"study;patient;image;mask;split;label\ns 1;p;a,b.nii;m.nii;test;1\n",
        "study\tpatient\timage\tmask\tsplit\tlabel\ns 1\tp\ta,b.nii\tm.nii\ttest\t1\n",
        "study, patient ,image, mask, split, label\n s 1, p , \"a,b.nii\" , m.nii, test, 1\n,,,,,\n , ,,,, \n",
        "Study,PATIENT,Image,Mask,Split,Label\ns 1,p,\"a,b.nii\",m.nii,test,1\n"}) {
    const auto rows = intake::parse_manifest(text, "/d");
    ASSERT_TRUE(rows) << rows.error().message << '\n' << text;
    ASSERT_EQ(rows->size(), 1u) << text;
    const intake::StudySource& row = rows->front();
    EXPECT_EQ(row.identity.study, "s 1");
    EXPECT_EQ(row.identity.patient, "p");
    EXPECT_EQ(row.images.front(), fs::path("/d/a,b.nii"));
    EXPECT_EQ(*row.mask, fs::path("/d/m.nii"));
    EXPECT_EQ(row.split, store::Split::test);
    EXPECT_EQ(row.label, 1);
  }
  const auto quoted = intake::parse_manifest("study,patient,image,mask,split,label\n\" s\",p,\" a\",,train,\n", "/");
  EXPECT_EQ(quoted->front().images.front(), fs::path("/ a"));  // within quotes a blank is meant
  EXPECT_EQ(quoted->front().identity.study, "s");              // but not in what names a study or a patient
}

TEST(Tables, WhatCannotBeReadSaysWhatTheTableIs) {
  std::string wide;
  for (const char c : kHeader) wide += std::string(1, c) + '\0';
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\xff\xfe" + wide, "UTF-16"},
      {std::string("\xfe\xff\0s\0t", 6), "UTF-16"},
      {wide, "UTF-16"},
      {"study|patient|image|mask|split|label\n", "separated by commas"},
      {"study,patient,image,mask,split,label,label\ns,p,a,,train,1,0\n", "\"label\" stands twice"},
      {"study,patient,image,mask,split,label,Split\ns,p,a,,train,1,test\n", "\"split\" stands twice"}};
  for (const auto& [text, named] : cases) {
    const auto rows = intake::parse_manifest(text, "/");
    ASSERT_FALSE(rows) << named;
    EXPECT_NE(rows.error().message.find(named), std::string::npos) << rows.error().message;
  }
  EXPECT_NE(intake::parse_study_labels("study,label,split,split\na,1,test,train\n").error().message.find("twice"),
            std::string::npos);
  EXPECT_EQ((*intake::parse_points("study;x_mm;y_mm;z_mm;radius_mm\na;1;2;3;4\n"))[0].finding->diameter_mm, 8);
  const auto comma = intake::parse_points("study;x_mm;y_mm;z_mm;radius_mm\na;1,5;2;3;4\n");
  ASSERT_FALSE(comma);
  EXPECT_NE(comma.error().message.find("column x_mm"), std::string::npos) << comma.error().message;
  EXPECT_TRUE(intake::is_table_name("P.CSV") && !intake::is_table_name("P.CSV.gz"));
}

TEST(Tables, AVolumeFileIsNamedByAllOfItsNameButTheEnding) {
  const std::vector<std::pair<std::string, std::string>> names{{"/d/1.2.840.7.nii.gz", "1.2.840.7"},
                                                               {"a.nii", "a"},
                                                               {"a.b.nrrd", "a.b"},
                                                               {"c.mha", "c"},
                                                               {"IM1.dcm", "IM1.dcm"}};
  for (const auto& [file, name] : names) EXPECT_EQ(intake::name_without_ending(file), name);
}

class TablesInFolders : public testing::Test {
 protected:
  void SetUp() override {
    Result<intake::ScanParser> parser =
        intake::ScanParser::start(fs::path(FOVEA_BIN_DIR) / "fovea-scan-parser", {.cpu_s = 30, .wall_ms = 60'000});
    ASSERT_TRUE(parser) << parser.error().message;
    parser_ = std::make_unique<intake::ScanParser>(std::move(parser).value());
  }
  fs::path in(const std::string& name) const { return hospital_.path() / name; }
  void write(const std::string& name, std::string_view text) const {
    fs::create_directories(in(name).parent_path());
    ASSERT_TRUE(write_file_durably(in(name), as_bytes(text)));
  }
  // A folder with a scan, its mask and a table that says so.
  void write_set(const std::string& folder, const std::string& table) const {
    write(folder + "/im.nii", "never opened here");
    write(folder + "/mask.nii", "never opened here");
    write(folder + "/" + table, std::string(kHeader) + folder + "," + folder + ",im.nii,mask.nii,test,\n");
  }
  Result<intake::FoundStudies> find(const std::vector<fs::path>& paths) {
    return intake::find_studies(paths, store::Split::train, *parser_);
  }

  ScratchFolder hospital_;
  std::unique_ptr<intake::ScanParser> parser_;
};

TEST_F(TablesInFolders, EachTableStandsForItsFolderWhereverItLies) {
  write_set("a", "studies.csv");
  write_set("b", "Studies.CSV");
  write("rest/c.nii", "never opened here");
  const std::vector<std::pair<std::vector<fs::path>, std::size_t>> asked{{{in("a")}, 1},
                                                                         {{in("b")}, 1},
                                                                         {{in("a/studies.csv")}, 1},
                                                                         {{in("a"), in("b") / ""}, 2},
                                                                         {{hospital_.path()}, 3}};
  for (const auto& [paths, studies] : asked) {
    const Result<intake::FoundStudies> found = find(paths);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->sources.size(), studies);
    for (const intake::StudySource& source : found->sources) {
      const bool is_rest = source.images.front().filename() == "c.nii";
      EXPECT_NE(source.images.front().filename(), "mask.nii");
      EXPECT_EQ(source.split, is_rest ? store::Split::train : store::Split::test);
      EXPECT_EQ(source.mask.has_value(), !is_rest);
      EXPECT_EQ(source.split_is_stated, !is_rest);
    }
    EXPECT_EQ(found->tables.size(), std::min<std::size_t>(studies, 2));
  }
  EXPECT_EQ(find({in("a")})->sources[0].name, "line 2");
  EXPECT_NE(find({hospital_.path()})->sources[0].name.find("a/studies.csv line 2"), std::string::npos);
}

TEST_F(TablesInFolders, WhatATableMightMeanIsNeverGuessed) {
  const auto error_of = [&](const std::vector<fs::path>& paths) {
    const Result<intake::FoundStudies> found = find(paths);
    return found ? std::string("found") : found.error().message;
  };
  write_set("named", "my-scans.csv");
  EXPECT_NE(error_of({in("named")}).find("my-scans.csv: a table of studies"), std::string::npos);
  write_set("tabs", "studies.tsv");
  write("tabs/studies.tsv", "study\timage\tmask\n");
  EXPECT_NE(error_of({in("tabs")}).find("studies.tsv: a table of studies"), std::string::npos);
  write_set("two", "studies.csv");
  write_set("two", "STUDIES.csv");
  EXPECT_NE(error_of({in("two")}).find("two tables of one folder"), std::string::npos);
  write_set("a", "studies.csv");
  write("a/more/c.nii", "never opened here");
  EXPECT_NE(error_of({in("a"), in("a/more")}).find("lies in the folder of the table"), std::string::npos);
  write("columns/studies.csv", "id,file\n");
  EXPECT_NE(error_of({in("columns")}).find("the column \"study\" is missing"), std::string::npos);
  write("labels/points.csv", "study,x_mm,y_mm,z_mm,radius_mm\n");
  write("labels/c.nii", "never opened here");
  const Result<intake::FoundStudies> labels = find({in("labels")});
  ASSERT_TRUE(labels) << labels.error().message;
  EXPECT_EQ(labels->sources.size(), 1u);
  ASSERT_EQ(labels->not_scans.size(), 1u);
  EXPECT_NE(labels->not_scans[0].reason.find("--points"), std::string::npos);
}

}  // namespace
}  // namespace fovea::node
