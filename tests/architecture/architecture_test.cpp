// The rules of ARCHITECTURE.md that a compiler cannot enforce, because system headers lie on its default path.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/source_tree.h"

namespace fovea::test {
namespace {

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = read_source_tree(FOVEA_SOURCE_DIR);
  return files;
}

// Rooms from the ground up. A file may include its own layer and those below it; what libraries of one layer may
// include of each other is declared in their CMakeLists.txt and held by cmake/CheckIncludes.cmake.
const std::vector<std::pair<std::string, int>> kLayers{
    {"cmake", 0},
    {"common", 0},
    {"crypto", 1},
    {"federation", 2},
    {"node/volume", 3},
    {"node/intake/formats", 4},
    {"node/intake/dicom", 5},
    {"node/intake/parser", 6},
    {"node/intake/parser/child", 7},
    {"node/store", 4},
    {"node/receive", 4},
    {"node/picture", 5},
    {"node/volume_files", 5},
    {"node/intake", 8},
    {"node/network", 3},
    {"node/scan_view", 5},
    {"node/saliency", 6},
    {"node/embedding", 7},
    {"node/training", 8},
    {"node/evaluation", 9},
    {"node/egress", 3},
    {"coordinator/aggregation", 3},
    {"coordinator/registry", 3},
    {"coordinator/store", 3},
    {"node/round", 4},
    {"coordinator/round", 4},
    {"federation/io", 10},
    {"node/io", 10},
    {"coordinator/io", 10},
    {"node/commands", 11},
    {"coordinator/commands", 11},
    {"audit", 11},
    {"node", 12},
    {"coordinator", 12},
    {"demo", 13},
    {"bench", 13},
    {"tests", 13},
};

// The longest folder of kLayers that holds the path; -1 for none.
int layer_of(const std::string& path) {
  std::size_t longest = 0;
  int layer = -1;
  for (const auto& [folder, number] : kLayers)
    if (path.rfind(folder + "/", 0) == 0 && folder.size() > longest) longest = folder.size(), layer = number;
  return layer;
}

std::string place(const SourceFile& file, const Include& include) {
  return file.path + ":" + std::to_string(include.line) + " includes " + include.target;
}

// Why this include breaks the layering; empty when it does not.
std::string layering_fault(const SourceFile& file, const Include& include) {
  const int target = layer_of(include.target);
  if (!include.quoted || target < 0) return "";
  if (target > layer_of(file.path)) return "points up";
  const auto within = [](const std::string& path, const std::string& folder) {
    return path.rfind(folder + "/", 0) == 0;
  };
  const bool product = !file.in("tests") && !file.in("demo") && !file.in("bench");
  if (!product) return "";
  for (const std::string role : {"node", "coordinator", "audit"})
    if (within(include.target, role) && !file.in(role)) return "reaches into another program";
  if (within(include.target, "tests") || within(include.target, "demo") || within(include.target, "bench"))
    return "the product depends on what only tests, demo or benchmarks may use";
  return "";
}

TEST(Architecture, EveryFolderHasALayer) {
  for (const SourceFile& file : tree())
    EXPECT_GE(layer_of(file.path), 0) << file.path << " lies in no room of kLayers; add the room or move the file";
}

// Why a line that includes something is not in the one form that the rules here and cmake/CheckIncludes.cmake read: a
// path from the root in quotes for our headers, angle brackets for all others. Otherwise a wall falls to a "../".
std::string include_form_fault(const std::string& line, const std::function<bool(const std::string&)>& is_ours) {
  static const std::regex directive(R"(^(?!\s*//)[^"]*#\s*include)");
  static const std::regex quoted(R"re(^#include "([^"]+)"( *//.*)?$)re"), outside(R"(^#include <([^>]+)>( *//.*)?$)");
  std::smatch found;
  if (!std::regex_search(line, directive)) return "";
  if (std::regex_match(line, found, quoted)) return is_ours(found[1]) ? "" : "no header of ours, from the root";
  if (std::regex_match(line, found, outside)) return is_ours(found[1]) ? "ours: write it in quotes" : "";
  return "not in the form that is read";
}

TEST(Architecture, IncludesHaveOneForm) {
  const auto is_ours = [](const std::string& target) {
    const auto& files = tree();
    return target == "node/io/default_config.h" || target == "coordinator/registry/default_config.h" ||
           target == "coordinator/commands/default_plan.h" ||  // made by cmake
           std::any_of(files.begin(), files.end(), [&](const SourceFile& file) { return file.path == target; });
  };
  for (const SourceFile& file : tree())
    for (std::size_t n = 0; n < file.lines.size(); ++n)
      EXPECT_EQ(include_form_fault(file.lines[n], is_ours), "") << file.path << ":" << n + 1;
}

TEST(Architecture, TheIncludeFormRuleFindsPlantedFaults) {
  const auto is_ours = [](const std::string& target) { return target == "crypto/hash.h"; };
  EXPECT_EQ(include_form_fault("#include \"crypto/hash.h\"", is_ours), "");
  EXPECT_EQ(include_form_fault("#include <vector>  // why", is_ours), "");
  for (const std::string line : {"#include <crypto/hash.h>", "#include \"../crypto/hash.h\"", "#include \"hash.h\"",
                                 "#  include <vector>", "  #include <vector>", "#include HEADER",
                                 "#include_next <vector>", "/* x */ #include <vector>", "#include\"crypto/hash.h\""})
    EXPECT_NE(include_form_fault(line, is_ours), "") << line;
}

TEST(Architecture, IncludesPointDown) {
  for (const SourceFile& file : tree())
    for (const Include& include : file.includes) EXPECT_EQ(layering_fault(file, include), "") << place(file, include);
}

TEST(Architecture, LayeringRuleFindsPlantedFaults) {
  const SourceFile low{"common/a.cpp", {}, {}};
  EXPECT_EQ(layering_fault(low, {1, "crypto/hash.h", true}), "points up");
  const SourceFile node{"node/io/a.cpp", {}, {}};
  EXPECT_EQ(layering_fault(node, {1, "coordinator/store/a.h", true}), "reaches into another program");
  EXPECT_EQ(layering_fault(node, {1, "node/round/a.h", true}), "");
}

// A wall inside a program: files of `rooms` never include `walled`.
struct Wall {
  std::string reason;
  std::string rooms, walled;  // regular expressions of paths
};

const std::vector<Wall> kWalls{
    {"what runs inside the parser's walls is nobody's library: it holds no key and reaches no store",
     R"(^(common|crypto|federation|coordinator|audit|demo|node/(?!intake/parser/child/))(/|\w))",
     R"(^node/intake/parser/child/)"},
    {"a parser's child, and the readers it runs, never see keys, stored scans or the parser's client",
     R"(^node/intake/(parser/child|formats|dicom)/)",
     R"(^(crypto/|federation/|node/(store|receive|io|commands)/|node/intake/[a-z_]+\.h|)"
     R"(node/intake/parser/(scan_parser|parser_process|shared_memory|scan_files|memory_budget)\.h))"},
    {"stored scans are volumes and ciphers; where they come from is no concern of the store", R"(^node/store/)",
     R"(^(federation|node/(?!store/|volume/))(/|\w))"},
    {"where to look is decided on the coarse view alone", R"(^node/saliency/)",
     R"(^node/(scan_view/(scan_source|brick_scan)\.h|store/(brick_volume|pyramid|study_catalogue)\.h))"},
    {"the voxels' room knows nothing of files, keys or programs", R"(^node/volume/)",
     R"(^(crypto|federation|node/(?!volume/))(/|\w))"},
};

std::string wall_fault(const std::string& path, const std::string& target) {
  for (const Wall& wall : kWalls)
    if (std::regex_search(path, std::regex(wall.rooms)) && std::regex_search(target, std::regex(wall.walled)))
      return wall.reason;
  return "";
}

TEST(Architecture, WallsInsideTheNodeHold) {
  for (const SourceFile& file : tree())
    for (const Include& include : file.includes)
      if (include.quoted) {
        EXPECT_EQ(wall_fault(file.path, include.target), "") << place(file, include);
      }
}

TEST(Architecture, WallRuleFindsPlantedFaults) {
  EXPECT_NE(wall_fault("node/intake/ingest.cpp", "node/intake/parser/child/sandbox.h"), "");
  EXPECT_NE(wall_fault("node/io/site_run.cpp", "node/intake/parser/child/nifti_job.h"), "");
  EXPECT_NE(wall_fault("node/intake/parser/scan_parser.cpp", "node/intake/parser/child/parser_server.h"), "");
  EXPECT_NE(wall_fault("node/intake/parser/child/nifti_job.cpp", "crypto/aead.h"), "");
  EXPECT_NE(wall_fault("node/intake/dicom/suv.cpp", "node/store/brick_volume.h"), "");
  EXPECT_NE(wall_fault("node/intake/formats/nifti_header.cpp", "node/intake/parser/scan_parser.h"), "");
  EXPECT_NE(wall_fault("node/intake/formats/nifti_header.cpp", "node/intake/manifest.h"), "");
  EXPECT_NE(wall_fault("node/store/pyramid.cpp", "node/intake/parser/scan_protocol.h"), "");
  EXPECT_NE(wall_fault("node/volume/canonical.cpp", "node/store/pyramid.h"), "");
  EXPECT_NE(wall_fault("node/saliency/proposer.cpp", "node/scan_view/scan_source.h"), "");
  EXPECT_NE(wall_fault("node/saliency/prior.cpp", "node/store/brick_volume.h"), "");
  EXPECT_EQ(wall_fault("node/intake/parser/child/nifti_job.cpp", "node/intake/parser/scan_protocol.h"), "");
  EXPECT_EQ(wall_fault("node/intake/parser/child/nifti_job.cpp", "node/intake/parser/child/sandbox.h"), "");
  EXPECT_EQ(wall_fault("node/store/pyramid.cpp", "node/volume/intensity.h"), "");
}

// The namespace that a line opens in a room of node/, coordinator/ or federation/, where it is not the room's own. A
// type of another program or room may be declared, in a block that holds nothing else.
std::string foreign_namespace(const std::string& path, const std::string& line, const std::string& next) {
  static const std::regex opened(R"(^namespace (fovea[\w:]*) \{)"), declaration(R"(^(class|struct) \w+;$)");
  static const std::regex room(R"(^(node|coordinator|federation)/(\w+)/)");
  std::smatch found, folder;
  if (!std::regex_search(line, found, opened) || !std::regex_search(path, folder, room)) return "";
  const std::string own = "fovea::" + folder[1].str() + "::" + folder[2].str();
  return found[1] == own || std::regex_match(next, declaration) ? "" : found[1].str() + " instead of " + own;
}

TEST(Architecture, NamespacesFollowFolders) {
  for (const SourceFile& file : tree())
    for (std::size_t n = 0; n + 1 < file.lines.size(); ++n)
      EXPECT_EQ(foreign_namespace(file.path, file.lines[n], file.lines[n + 1]), "") << file.path << ":" << n + 1;
}

TEST(Architecture, TheNamespaceRuleFindsPlantedFaults) {
  const std::string code = "int f();";
  EXPECT_NE(foreign_namespace("node/store/crop.cpp", "namespace fovea {", code), "");
  EXPECT_NE(foreign_namespace("node/store/crop.cpp", "namespace fovea::node {", code), "");
  EXPECT_NE(foreign_namespace("node/store/crop.cpp", "namespace fovea::node::intake {", code), "");
  EXPECT_NE(foreign_namespace("node/store/crop.cpp", "namespace fovea::coordinator::store {", code), "");
  EXPECT_EQ(foreign_namespace("node/store/crop.cpp", "namespace fovea::crypto {", "class SigningKey;"), "");
  EXPECT_EQ(foreign_namespace("node/intake/dicom/suv.cpp", "namespace fovea::node::intake {", code), "");
  EXPECT_EQ(foreign_namespace("federation/ledger/entry.cpp", "namespace fovea::federation::ledger {", code), "");
}

struct LibraryRule {
  std::string library;
  std::string pattern;               // of the include's target
  std::vector<std::string> allowed;  // regular expressions of paths
};

const std::vector<LibraryRule> kLibraryRules{
    {"torch",
     R"(^(torch|ATen|c10)/)",
     {R"(^node/(network|saliency|embedding|training|evaluation)/.*\.cpp$)", R"(^tests/unit/learning/.*\.cpp$)"}},
    {"OpenSSL", R"(^openssl/)", {R"(^crypto/.*\.cpp$)", R"(^crypto/openssl_\w+\.h$)", R"(^bench/.*\.cpp$)"}},
    {"ZeroMQ", R"(^zmq)", {R"(^(node|coordinator|federation)/io/)", R"(^tests/)"}},
    {"DCMTK", R"(^dcmtk/)", {R"(^node/receive/dicom_receiver_main\.cpp$)", R"(^tests/)"}},
    {"ITK",
     R"(^itk)",
     {R"(^node/intake/formats/(volume_reader|bias_field)\.cpp$)", R"(^node/volume_files/nifti_writer\.cpp$)",
      R"(^bench/.*\.cpp$)"}},
    {"GDCM", R"(^gdcm)", {R"(^node/intake/dicom/)"}},
};

bool allowed(const LibraryRule& rule, const std::string& path) {
  return std::any_of(rule.allowed.begin(), rule.allowed.end(),
                     [&](const std::string& pattern) { return std::regex_search(path, std::regex(pattern)); });
}

TEST(Architecture, OutsideLibrariesStayInTheirRooms) {
  for (const LibraryRule& rule : kLibraryRules)
    for (const SourceFile& file : tree())
      for (const Include& include : file.includes)
        if (std::regex_search(include.target, std::regex(rule.pattern))) {
          EXPECT_TRUE(allowed(rule, file.path))
              << place(file, include) << ": " << rule.library << " is not allowed here";
        }
}

TEST(Architecture, LibraryRuleRefusesAHeaderOutsideTheRoom) {
  EXPECT_FALSE(allowed(kLibraryRules[0], "node/training/trainer.h"));
  EXPECT_FALSE(allowed(kLibraryRules[1], "crypto/hash.h"));
  EXPECT_FALSE(allowed(kLibraryRules[2], "node/round/site_machine.cpp"));
  EXPECT_FALSE(allowed(kLibraryRules[3], "node/io/dicom_listener.cpp"));
  EXPECT_TRUE(allowed(kLibraryRules[0], "node/training/torch_trainer.cpp"));
}

TEST(Architecture, RoundMachinesArePure) {
  const std::regex impure(R"(^(chrono|thread|mutex|random|fstream|iostream|filesystem|condition_variable|future)$|)"
                          R"(^(unistd\.h|sys/.*|spdlog/.*|sqlite3\.h)$)");
  for (const SourceFile& file : tree()) {
    if (!file.in("node/round") && !file.in("coordinator/round") && !file.in("federation/secagg")) continue;
    for (const Include& include : file.includes)
      EXPECT_FALSE(!include.quoted && std::regex_search(include.target, impure)) << place(file, include);
  }
}

TEST(Architecture, HeadersGuardThemselvesAndSayWhatTheyAreFor) {
  for (const SourceFile& file : tree()) {
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
  for (const SourceFile& file : tree())
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
  for (const SourceFile& file : tree())
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
  EXPECT_EQ(crowded_folders(tree()), std::vector<std::string>());
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

// What a line of a build file does wrong; empty when nothing.
std::string build_fault(const std::string& path, const std::string& line) {
  static const std::regex optional(R"(^[^#]*\b(if|elseif)\s*\([^#)]*\bEXISTS\b)", std::regex::icase);
  static const std::regex finding(
      R"(^[^#]*\b(find_(package|library|path|file|program)|pkg_(check_modules|search_module))\s*\()",
      std::regex::icase);
  const bool is_list = path == "CMakeLists.txt" || path.ends_with("/CMakeLists.txt");
  if (is_list && std::regex_search(line, optional))
    return "builds only what happens to be there: a file that is missing would go unnoticed";
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
  for (const SourceFile& file : tree())
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
  for (const SourceFile& file : tree())
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
