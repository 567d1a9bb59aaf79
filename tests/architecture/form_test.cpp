// What every source looks like: header guards, lengths, sizes of folders, and habits that no source may have.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/source_tree.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

TEST(Architecture, HeadersGuardThemselvesAndSayWhatTheyAreFor) {
  for (const SourceFile& file : source_tree()) {
    if (!file.is_header() || file.lines.empty()) continue;
    EXPECT_NE(std::find(file.lines.begin(), file.lines.end(), "#pragma once"), file.lines.end()) << file.path;
    EXPECT_EQ(file.lines.front().rfind("//", 0), 0U) << file.path << ": the first line says what the header is for";
  }
}

// The code of each line: texts, characters and comments are blanks, directives are left out.
std::vector<std::string> code_of(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  bool comment = false;
  std::string raw_end;  // of a raw text that is open
  for (const std::string& line : lines) {
    std::string code;
    const bool directive = !comment && raw_end.empty() && line.starts_with('#');
    for (std::size_t at = 0; at < line.size() && !directive;) {
      const bool last_was_digit = !code.empty() && std::isxdigit(static_cast<unsigned char>(code.back())) != 0;
      if (comment || !raw_end.empty()) {
        const std::string end = comment ? "*/" : raw_end;
        const std::size_t found = line.find(end, at);
        if (found == std::string::npos) break;
        at = found + end.size();
        comment = false;
        raw_end.clear();
      } else if (line.compare(at, 2, "//") == 0) {
        break;
      } else if (line.compare(at, 2, "/*") == 0) {
        comment = true;
        at += 2;
      } else if (line.compare(at, 2, "R\"") == 0) {
        raw_end = ")" + line.substr(at + 2, line.find('(', at) - at - 2) + "\"";
        at = line.find('(', at) + 1;
      } else if (line[at] == '"' || (line[at] == '\'' && !last_was_digit)) {
        const char quote = line[at++];
        while (at < line.size() && line[at] != quote) at += line[at] == '\\' ? 2U : 1U;
        ++at;
      } else {
        code += line[at++];
      }
    }
    out.push_back(code);
  }
  return out;
}

// Functions, of classes and of constants too, by their braces: the line of the head's first word, and how many lines.
std::vector<std::pair<std::size_t, std::size_t>> long_functions(const std::vector<std::string>& lines,
                                                                std::size_t lines_max) {
  static const std::regex function(R"(\)\s*(const|noexcept|override|final|mutable|try|&&?|\s)*(->[^;{}]*)?)"
                                   R"((requires[^;{}]*)?(:[^:][^;{}]*)?$)");
  std::vector<std::pair<std::size_t, std::size_t>> out;
  std::string head;  // since the last ; { or }
  std::size_t head_line = 0, depth = 0, depth_of_function = 0, begin = 0;
  bool inside = false;
  const std::vector<std::string> code = code_of(lines);
  for (std::size_t n = 0; n < code.size(); ++n) {
    for (const char c : code[n]) {
      if (c == '{') {
        if (!inside && std::regex_search(head, function)) {
          inside = true;
          begin = head_line;
          depth_of_function = depth;
        }
        ++depth;
      }
      if (c == '}' && depth > 0 && --depth == depth_of_function && inside) {
        inside = false;
        if (n - begin + 1 > lines_max) out.emplace_back(begin + 1, n - begin + 1);
      }
      const bool access = c == ':' && (head == "public" || head == "private" || head == "protected");
      if (access || c == ';' || c == '{' || c == '}') head.clear();
      else if (c != ' ' || !head.empty()) {
        if (head.empty()) head_line = n;
        head += c;
      }
    }
    if (!head.empty()) head += ' ';
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

TEST(Architecture, TheLengthRuleFindsFunctionsWhereverTheyStand) {
  using Lines = std::vector<std::string>;
  for (const std::string head : {"const Roster& f() {", "struct Size f(int a) const {", "enum Kind f() noexcept {",
                                 "extern \"C\" void f(int) {", "static const int kValue = [](int a) -> int {",
                                 "template <class T> T f(T a) requires Small<T> {", "A::A(int b) : b_(b) {"})
    EXPECT_EQ(long_functions({head, "  if (a) {", "    b(\"}\");  // }", "  }", "  c('}', 1'000);", "}"}, 5),
              (std::vector<std::pair<std::size_t, std::size_t>>{{1, 6}}))
        << head;
  EXPECT_EQ(long_functions(Lines{"class A {", " public:", "  int f() const {", "    a();", "  }", "};"}, 2),
            (std::vector<std::pair<std::size_t, std::size_t>>{{3, 3}}));
  EXPECT_EQ(long_functions(Lines{"constexpr int kTable[] = {", "  1,", "  2,", "};", "struct A {", "  int a;", "};",
                                 "namespace a {", "enum class B {", "  c,", "  d,", "};", "}"},
                           2),
            (std::vector<std::pair<std::size_t, std::size_t>>{}));
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
      vague(R"(\b(class|struct|namespace)\s+[\w:]*(Manager|Helpers?|Utils?|Utilities|Processor|Misc)\b)",
            std::regex::icase),
      weak_random(R"(\bstd::(mt19937|minstd_rand|ranlux|knuth_b|default_random_engine|random_device|\w+_engine)|)"
                  R"(\b(s?rand(om)?|[delmn]rand48|[sj]rand48)(_r)?\(\)|\bsrand)"),
      sleeping(R"(\bsleep_(for|until)\(|\b(u|nano|clock_nano)?sleep\(|\bpp?oll\((nullptr|NULL|0),)"),
      raw_write(
          R"(\b(fsync|fdatasync|syncfs|std::(o|basic_o)?fstream|std::ofstream|std::(basic_)?filebuf|fopen|fdopen|)"
          R"(freopen|creat|std::rename|filesystem::(rename|copy\w*|resize_file)|fs::(rename|copy\w*|resize_file)|)"
          R"(O_WRONLY|O_RDWR|O_CREAT|mkstemps?|mkostemps?)\b|)"
          R"((^|[^\w.>:])(::)?(renameat2?|rename|pwritev?2?|ftruncate|linkat)\(|(^|[^\w>])::(truncate|link)\(|)"
          R"((^|[^\w>])::open(at)?\((?!.*\bO_RDONLY\b)|\bopen(at)?\([^()]*, *[0-9])");
  static const std::regex raw_number(
      R"(\b(sto(i|l|ll|ul|ull|f|d|ld)|strto(d|f|ld|l|ll|ul|ull|imax|umax)|ato(i|l|ll|f)|v?[fs]?scanf|from_chars)\()");
  // Each writes no state that a later run relies on, or is a door of its own; the reason stands there.
  static const std::regex may_write(
      R"(^(tests|bench)/|^common/(descriptor|durable_file|file_lock|child_program)\.cpp$|)"
      R"(^node/receive/dicom_receiver_main\.cpp$|^federation/io/event_log\.cpp$|)"
      R"(^node/volume_files/nifti_writer\.cpp$|)"
      R"(^node/(receive/sealed_scan|intake/parser/(shared_memory|child/nifti_job))\.cpp$)");
  if (std::regex_search(line, comment)) return "";
  if (path != "common/numbers.cpp" && std::regex_search(line, raw_number)) return "reads numbers past common/numbers.h";
  if (std::regex_search(line, vague)) return "a name that hides what the thing is";
  // Fuzzed bytes come from a seed.
  if (path != "tests/fuzz/parse_targets_test.cpp" && std::regex_search(line, weak_random)) return "weak randomness";
  // "Training" that only takes time; nothing tells when a descriptor is free, or when a copy of files has ended.
  static const std::regex may_sleep(R"(^(node/(training/probe_trainer|commands/data_ingest)|common/descriptor)\.cpp$)");
  if (!std::regex_search(path, may_sleep) && std::regex_search(line, sleeping)) return "sleeps; wait for an event";
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
  for (const std::string line : {"class RoundManager {",
                                 "struct FileUtils {",
                                 "namespace helpers {",
                                 "std::mt19937_64 draw(7);",
                                 "x = rand();",
                                 "std::this_thread::sleep_until(then);",
                                 "  nanosleep(&time, nullptr);",
                                 "sleep(1);",
                                 "std::ofstream out(path);",
                                 "std::ofstream out{path};",
                                 "std::ofstream out;",
                                 "fdatasync(file);",
                                 "fs::rename(a, b);",
                                 "const int file = ::open(path, O_WRONLY | O_CREAT);",
                                 "const int file = ::open(path, 0x41);",
                                 "x = open(p, 577);",
                                 "::rename(a, b);",
                                 "std::filebuf out;",
                                 "std::filesystem::copy(a, b);",
                                 "fs::copy_file(a, b);",
                                 "::pwrite(file, a, b, 0);",
                                 "if (ftruncate(file, 0) != 0)",
                                 "std::minstd_rand draw;",
                                 "x = drand48();",
                                 "std::mersenne_twister_engine<int> draw;",
                                 "::poll(nullptr, 0, 1000);",
                                 "namespace fovea::node::utils {",
                                 "const double x = std::stod(text);",
                                 "x = stoul(words[3]);",
                                 "x = std::strtod(part.c_str(), &end);",
                                 "x = strtoull(argv[1], nullptr, 10);",
                                 "x = std::atoi(argv[1]);",
                                 "if (std::sscanf(text, \"%llu\", &pages) != 1) return 0;",
                                 "std::from_chars(a, b, value);"})
    EXPECT_NE(habit_fault("node/io/site_run.cpp", line), "") << line;
  for (const std::string line : {"// what an fsync costs", "int operand(int a);", "bool asleep = false;",
                                 "::open(path.c_str(), O_RDONLY | O_CLOEXEC)", "Ledger::open(folder);",
                                 "if (pipe.open())", "::poll(&waiting, 1, -1);", "random.fill(bytes);",
                                 "std::to_chars(a, b, value);", "read_decimal(text);", "store(a);", "restore(a);"})
    EXPECT_EQ(habit_fault("node/io/site_run.cpp", line), "") << line;
  EXPECT_EQ(habit_fault("common/durable_file.cpp", "::fsync(file);"), "");
  EXPECT_EQ(habit_fault("common/numbers.cpp", "std::from_chars(a, b, value);"), "");
}

// The rules read .h and .cpp below every folder, so nothing may be compiled under another name.
TEST(Architecture, SourcesHaveTheNamesThatTheRulesRead) {
  for (const SourceFile& file : read_other_sources(FOVEA_SOURCE_DIR))
    ADD_FAILURE() << file.path << ": sources are called .cpp and headers .h; the rules read no other";
}

TEST(Architecture, TheRuleOfNamesFindsPlantedFaults) {
  const TemporaryFolder root;
  for (const std::string name : {"node/io/a.hpp", "node/io/b.cc", "node/build/c.inc", "d.c", "build/e.cc"}) {
    std::filesystem::create_directories((root.path() / name).parent_path());
    std::ofstream(root.path() / name) << "int f();\n";
  }
  EXPECT_EQ(read_other_sources(root.path()).size(), 4U);  // but for the build's output at the root
  std::ofstream(root.path() / "node/build/hidden.cpp") << "int f();\n";
  std::ofstream(root.path() / "build/made.cpp") << "int f();\n";
  const std::vector<SourceFile> read = read_source_tree(root.path());
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].path, "node/build/hidden.cpp");
}

}  // namespace
}  // namespace fovea::test
