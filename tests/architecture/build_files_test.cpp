// What the build files of CMake say: complete builds, outside things named in one place, no source without a target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/source_tree.h"

namespace fovea::test {
namespace {

// What a line of a build file does wrong; empty when nothing.
std::string build_fault(const std::string& path, const std::string& line) {
  static const std::regex optional(R"(^[^#]*\b(if|elseif)\s*\([^#)]*\b(EXISTS|IS_DIRECTORY)\b)", std::regex::icase),
      globbing(R"(^[^#]*\bfile\s*\(\s*GLOB)", std::regex::icase);
  static const std::regex finding(
      R"(^[^#]*\b(find_(package|library|path|file|program)|pkg_(check_modules|search_module)|)"
      R"(FetchContent_\w+|ExternalProject_\w+|file\s*\(\s*DOWNLOAD|CPMAddPackage)\s*\(?)",
      std::regex::icase);
  // What a target may include and link is declared by the functions of FoveaTargets.cmake, which CheckIncludes reads.
  static const std::regex undeclared(R"(^[^#]*\b(target_)?(link_libraries|include_directories|link_directories)\s*\()",
                                     std::regex::icase);
  const bool is_list = path == "CMakeLists.txt" || path.ends_with("/CMakeLists.txt");
  if (is_list && std::regex_search(line, optional))
    return "builds only what happens to be there: a file that is missing would go unnoticed";
  if (std::regex_search(line, globbing)) return "builds whatever happens to be there; name each file";
  if (is_list && std::regex_search(line, undeclared)) return "links or includes past fovea_library and fovea_program";
  if (path != "cmake/FoveaDependencies.cmake" && std::regex_search(line, finding))
    return "looks for something outside; cmake/FoveaDependencies.cmake is the place for that";
  return "";
}

// Each command from its first line to the line that closes its bracket, as one line; by the number of the first.
std::vector<std::pair<std::size_t, std::string>> commands_of(const std::vector<std::string>& lines) {
  std::vector<std::pair<std::size_t, std::string>> out;
  std::ptrdiff_t depth = 0;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    const std::string code = lines[n].substr(0, lines[n].find('#'));
    if (depth == 0) out.emplace_back(n + 1, "");
    out.back().second += " " + code;
    depth += std::count(code.begin(), code.end(), '(') - std::count(code.begin(), code.end(), ')');
  }
  return out;
}

TEST(Architecture, BuildsAreCompleteAndNameOutsideThingsInOnePlace) {
  const std::vector<SourceFile> files = read_build_files(FOVEA_SOURCE_DIR);
  ASSERT_FALSE(files.empty());
  for (const SourceFile& file : files)
    for (const auto& [line, command] : commands_of(file.lines))
      EXPECT_EQ(build_fault(file.path, command), "") << file.path << ":" << line << ": " << command;
}

TEST(Architecture, TheBuildRuleFindsPlantedFaults) {
  EXPECT_NE(build_fault("node/io/CMakeLists.txt", "if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/a.cpp)"), "");
  EXPECT_NE(build_fault("CMakeLists.txt", "  elseif (NOT EXISTS b.cpp)"), "");
  EXPECT_NE(build_fault("node/io/CMakeLists.txt", "find_package(ZLIB REQUIRED)"), "");
  EXPECT_NE(build_fault("cmake/FoveaTests.cmake", "  Find_Program(X x)"), "");
  EXPECT_NE(build_fault("audit/CMakeLists.txt", "pkg_check_modules(ZMQ libzmq)"), "");
  EXPECT_NE(build_fault("audit/CMakeLists.txt", "FetchContent_Declare(json URL x)"), "");
  EXPECT_NE(build_fault("audit/CMakeLists.txt", "target_link_libraries(fovea_audit PRIVATE zmq)"), "");
  EXPECT_NE(build_fault("audit/CMakeLists.txt", "include_directories(/usr/include/x)"), "");
  EXPECT_NE(build_fault("audit/CMakeLists.txt", "if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/x)"), "");
  EXPECT_NE(build_fault("cmake/FoveaTests.cmake", "file(GLOB sources *.cpp)"), "");
  const auto split = commands_of({"if(A OR", "   EXISTS a.cpp)  # (", "endif()"});
  ASSERT_EQ(split.size(), 2U);
  EXPECT_NE(build_fault("node/io/CMakeLists.txt", split[0].second), "");
  EXPECT_EQ(build_fault("cmake/FoveaDependencies.cmake", "find_package(ZLIB REQUIRED)"), "");
  EXPECT_EQ(build_fault("cmake/FoveaIncludes.cmake", "if(EXISTS ${header})"), "");
  EXPECT_EQ(build_fault("audit/CMakeLists.txt", "# if(EXISTS x) and find_package(x) are no commands here"), "");
  EXPECT_EQ(build_fault("audit/CMakeLists.txt", "if(FOVEA_WITH_IMAGING)"), "");
}

// Every path that a word of some build file could mean, from the root.
std::set<std::string> paths_named(const std::vector<SourceFile>& build_files) {
  static const std::regex word(R"re([^\s()"]+)re");
  static const std::string root = "${CMAKE_SOURCE_DIR}/";
  std::set<std::string> out;
  for (const SourceFile& file : build_files) {
    const std::string folder = file.path.substr(0, file.path.find_last_of('/') + 1);
    for (const auto& [line, command] : commands_of(file.lines))
      for (auto it = std::sregex_iterator(command.begin(), command.end(), word); it != std::sregex_iterator(); ++it) {
        const std::string found = it->str();
        out.insert(found.starts_with(root) ? found.substr(root.size()) : folder + found);
      }
  }
  return out;
}

// Whether a build file names this source, or for a header the source of its name. tests/support has headers alone.
bool is_built(const SourceFile& file, const std::set<std::string>& named) {
  if (file.in("tests/support") || named.contains(file.path)) return true;
  return file.is_header() && named.contains(file.path.substr(0, file.path.size() - 2) + ".cpp");
}

TEST(Architecture, EverySourceIsBuilt) {
  const std::set<std::string> named = paths_named(read_build_files(FOVEA_SOURCE_DIR));
  for (const SourceFile& file : source_tree())
    EXPECT_TRUE(is_built(file, named)) << file.path << " is part of no target: name it or delete it";
}

TEST(Architecture, TheRuleOfBuiltSourcesFindsPlantedFaults) {
  const std::set<std::string> named =
      paths_named({{"node/io/CMakeLists.txt", {"fovea_library(x", "  SOURCES a.cpp deeper/b.cpp  # c.cpp", ")"}, {}},
                   {"node/x/CMakeLists.txt", {"fovea_program(y SOURCES ${CMAKE_SOURCE_DIR}/node/main.cpp)"}, {}}});
  for (const std::string path : {"node/io/a.cpp", "node/io/a.h", "node/io/deeper/b.cpp", "node/main.cpp"})
    EXPECT_TRUE(is_built({path, {}, {}}, named)) << path;
  for (const std::string path : {"node/io/c.cpp", "node/io/b.cpp", "node/io/c.h", "node/x/main.cpp", "a.cpp"})
    EXPECT_FALSE(is_built({path, {}, {}}, named)) << path;
}

}  // namespace
}  // namespace fovea::test
