// What every source looks like: header guards, lengths, sizes of folders, and habits that no source may have.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/source_tree.h"

namespace fovea::test {
namespace {

TEST(Architecture, HeadersGuardThemselvesAndSayWhatTheyAreFor) {
  for (const SourceFile& file : source_tree()) {
    if (!file.is_header() || file.lines.empty()) continue;
    EXPECT_NE(std::find(file.lines.begin(), file.lines.end(), "#pragma once"), file.lines.end()) << file.path;
    EXPECT_EQ(file.lines.front().rfind("//", 0), 0U) << file.path << ": the first line says what the header is for";
  }
}

// Functions at namespace scope: from a line in the first column that opens a body to the brace that closes it.
std::vector<std::pair<std::size_t, std::size_t>> long_functions(const std::vector<std::string>& lines,
                                                                std::size_t lines_max) {
  static const std::regex not_a_function(
      R"(^(namespace|class|struct|enum|union|extern|template <.*> struct|const|constexpr|static const|)"
      R"(inline constexpr|\}|#|//))");
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    const std::string& line = lines[n];
    if (line.empty() || line.front() == ' ' || line == "{" || std::regex_search(line, not_a_function)) continue;
    std::size_t end = n;  // the signature may take several lines, all but the first indented
    while (end + 1 < lines.size() && lines[end].back() != '{' && !lines[end + 1].empty() && lines[end + 1][0] == ' ')
      ++end;
    if (lines[end].back() != '{') continue;
    while (end < lines.size() && lines[end] != "}") ++end;
    if (end - n + 1 > lines_max) out.emplace_back(n + 1, end - n + 1);
    n = end;
  }
  return out;
}

TEST(Architecture, FunctionsHaveAtMostSeventyLines) {
  for (const SourceFile& file : source_tree())
    for (const auto& [line, count] : long_functions(file.lines, 70))
      ADD_FAILURE() << file.path << ":" << line << " starts a function of " << count << " lines; the limit is 70";
}

TEST(Architecture, TheLengthRuleCountsLines) {
  const std::vector<std::string> lines{"int f(int a,", "      int b) {", "  return 1;", "}", "void g() {", "}",
                                       "int x;"};
  const auto found = long_functions(lines, 3);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].first, 1U);
  EXPECT_EQ(found[0].second, 4U);
}

// Characters, not bytes: a continuation byte of UTF-8 counts nothing.
std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

constexpr std::size_t kColumnsMax = 120;

// Numbers of the lines that are wider.
std::vector<std::size_t> wide_lines(const std::vector<std::string>& lines) {
  std::vector<std::size_t> out;
  for (std::size_t n = 0; n < lines.size(); ++n)
    if (columns_of(lines[n]) > kColumnsMax) out.push_back(n + 1);
  return out;
}

TEST(Architecture, LinesHaveAtMost120Columns) {
  for (const SourceFile& file : source_tree())
    for (const std::size_t line : wide_lines(file.lines))
      ADD_FAILURE() << file.path << ":" << line << " has more than " << kColumnsMax << " columns";
}

TEST(Architecture, TheColumnRuleCountsCharactersAndFindsPlantedFaults) {
  EXPECT_EQ(columns_of("\u00e9\u2260\U0001d11e"), 3U);  // two, three and four bytes
  std::string accents;
  for (int n = 0; n < 120; ++n) accents += "\u00e9";
  EXPECT_EQ(wide_lines({"", std::string(120, 'x'), std::string(121, 'x'), accents, accents + "x"}),
            (std::vector<std::size_t>{3, 5}));
}

constexpr std::size_t kFolderFilesMax = 40;

// Folders of product code with more source files than that.
std::vector<std::string> crowded_folders(const std::vector<SourceFile>& files) {
  std::map<std::string, std::size_t> counts;
  for (const SourceFile& file : files)
    if (!file.in("tests") && !file.in("demo") && !file.in("bench"))
      ++counts[file.path.substr(0, file.path.find_last_of('/'))];
  std::vector<std::string> out;
  for (const auto& [folder, count] : counts)
    if (count > kFolderFilesMax) out.push_back(folder + ": " + std::to_string(count) + " files");
  return out;
}

TEST(Architecture, AFolderHoldsAtMostFortySourceFiles) {
  EXPECT_EQ(crowded_folders(source_tree()), std::vector<std::string>());
}

TEST(Architecture, TheFolderRuleFindsPlantedFaults) {
  std::vector<SourceFile> files;
  for (int n = 0; n < 40; ++n)
    for (const std::string folder : {"node/io/", "node/io/deeper/", "tests/unit/io/"})
      files.push_back({folder + std::to_string(n) + ".cpp", {}, {}});
  EXPECT_EQ(crowded_folders(files), std::vector<std::string>());
  files.push_back({"node/io/more.h", {}, {}});
  files.push_back({"tests/unit/io/more.cpp", {}, {}});
  EXPECT_EQ(crowded_folders(files), std::vector<std::string>{"node/io: 41 files"});
}

// What a line does that no source may do; empty when nothing.
std::string habit_fault(const std::string& path, const std::string& line) {
  static const std::regex comment(R"(^\s*//)"),
      vague(R"(\b(class|struct|namespace)\s+\w*(Manager|Helpers?|Utils?|Utilities|Processor|Misc)\b)",
            std::regex::icase),
      weak_random(R"(\bstd::(mt19937|default_random_engine|random_device)|\bs?rand(om|48)?\(\)|\bsrand)"),
      sleeping(R"(\bsleep_(for|until)\(|\b(u|nano|clock_nano)?sleep\()"),
      raw_write(R"(\b(fsync|fdatasync|syncfs|std::(o|basic_o)?fstream|std::ofstream|fopen|creat|fs::rename|std::rename)"
                R"(|filesystem::rename|copy_file|O_WRONLY|O_RDWR|O_CREAT)\b)");
  // Each writes no state that a later run relies on, or is a door of its own; the reason stands there.
  static const std::regex may_write(R"(^(tests|bench)/|^common/(durable_file|file_lock|child_program)\.cpp$|)"
                                    R"(^node/receive/dicom_receiver_main\.cpp$|^federation/io/event_log\.cpp$|)"
                                    R"(^node/volume_files/nifti_writer\.cpp$)");
  if (std::regex_search(line, comment)) return "";
  if (std::regex_search(line, vague)) return "a name that hides what the thing is";
  if (std::regex_search(line, weak_random)) return "weak randomness";
  // "Training" that only takes time.
  if (path != "node/training/probe_trainer.cpp" && std::regex_search(line, sleeping))
    return "sleeps; wait for an event";
  if (!std::regex_search(path, may_write) && std::regex_search(line, raw_write))
    return "writes past common/durable_file.h";
  return "";
}

TEST(Architecture, SourcesKeepToTheHabits) {
  for (const SourceFile& file : source_tree())
    for (std::size_t n = 0; n < file.lines.size() && !file.in("tests/architecture"); ++n)
      EXPECT_EQ(habit_fault(file.path, file.lines[n]), "") << file.path << ":" << n + 1 << ": " << file.lines[n];
}

TEST(Architecture, TheRuleOfHabitsFindsPlantedFaults) {
  for (const std::string line :
       {"class RoundManager {", "struct FileUtils {", "namespace helpers {", "std::mt19937_64 draw(7);", "x = rand();",
        "std::this_thread::sleep_until(then);", "  nanosleep(&time, nullptr);", "sleep(1);", "std::ofstream out(path);",
        "std::ofstream out{path};", "std::ofstream out;", "fdatasync(file);", "fs::rename(a, b);",
        "const int file = ::open(path, O_WRONLY | O_CREAT);"})
    EXPECT_NE(habit_fault("node/io/site_run.cpp", line), "") << line;
  for (const std::string line : {"// what an fsync costs", "int operand(int a);", "bool asleep = false;"})
    EXPECT_EQ(habit_fault("node/io/site_run.cpp", line), "") << line;
  EXPECT_EQ(habit_fault("common/durable_file.cpp", "::fsync(file);"), "");
}

}  // namespace
}  // namespace fovea::test
