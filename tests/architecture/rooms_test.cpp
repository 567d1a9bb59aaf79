// The rules of ARCHITECTURE.md about rooms that a compiler cannot enforce, because system headers lie on its default
// path.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "tests/architecture/source_tree.h"

namespace fovea::test {
namespace {

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
  for (const SourceFile& file : source_tree())
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
    const auto& files = source_tree();
    return target == "node/io/default_config.h" || target == "coordinator/registry/default_config.h" ||
           target == "coordinator/commands/default_plan.h" ||  // made by cmake
           std::any_of(files.begin(), files.end(), [&](const SourceFile& file) { return file.path == target; });
  };
  for (const SourceFile& file : source_tree())
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
  for (const SourceFile& file : source_tree())
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
  for (const SourceFile& file : source_tree())
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
  for (const SourceFile& file : source_tree())
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
    for (const SourceFile& file : source_tree())
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
  for (const SourceFile& file : source_tree()) {
    if (!file.in("node/round") && !file.in("coordinator/round") && !file.in("federation/secagg")) continue;
    for (const Include& include : file.includes)
      EXPECT_FALSE(!include.quoted && std::regex_search(include.target, impure)) << place(file, include);
  }
}

}  // namespace
}  // namespace fovea::test
