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
  static const std::regex directive(R"(^(?!\s*//)[^"]*(#|%:).*\binclude)");
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
  for (const std::string line :
       {"#include <crypto/hash.h>", "#include \"../crypto/hash.h\"", "#include \"hash.h\"", "#  include <vector>",
        "  #include <vector>", "#include HEADER", "#include_next <vector>", "/* x */ #include <vector>",
        "#include\"crypto/hash.h\"", "#/**/include <vector>", "%:include <vector>"})
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

// A wall inside a program: files of `rooms` never include what is `walled`, but for what is `open`.
struct Wall {
  std::string reason;
  std::string rooms, walled, open{};  // regular expressions of paths
};

const std::vector<Wall> kWalls{
    {"what runs inside the parser's walls is nobody's library: it holds no key and reaches no store",
     R"(^(common|crypto|federation|coordinator|audit|demo|node/(?!intake/parser/child/))(/|\w))",
     R"(^node/intake/parser/child/)"},
    {"a parser's child, and the readers it runs, see volumes and each other: no key, stored scan, embedding or client",
     R"(^node/intake/(parser/child|formats|dicom)/)", R"(.)",
     R"(^(common/|node/volume/|node/intake/(formats|dicom|parser/child)/|node/intake/parser/scan_protocol\.h$))"},
    {"scans are read in the parser's child; others know names of formats, and what a scan says of itself",
     // trusted_reader.cpp reads what the same program wrote; it serves the phantoms and tests.
     R"(^(common|crypto|federation|coordinator|audit|node)/(?!intake/(formats|dicom|parser/child)/|)"
     R"(volume_files/trusted_reader\.cpp$))",
     R"(^node/intake/(formats|dicom)/)", R"(^node/intake/formats/(scan_facts|file_format)\.h$)"},
    {"rounds are driven from io/, and commands read their marks; no other room knows a round machine",
     R"(^(common|crypto|federation|audit)/|^(node|coordinator)/(?!(round|io|commands)/))",
     R"(^(node|coordinator)/round/)"},
    {"stored scans are volumes and ciphers; where they come from is no concern of the store", R"(^node/store/)",
     R"(^(federation|node/(?!store/|volume/))(/|\w))"},
    {"where to look is decided on the coarse view alone", R"(^node/saliency/)",
     R"(^node/(scan_view/(scan_source|brick_scan)\.h|store/(brick_volume|pyramid|study_catalogue)\.h))"},
    {"the voxels' room knows nothing of files, keys or programs", R"(^node/volume/)",
     R"(^(crypto|federation|node/(?!volume/))(/|\w))"},
};

std::string wall_fault(const std::string& path, const std::string& target) {
  for (const Wall& wall : kWalls)
    if (std::regex_search(path, std::regex(wall.rooms)) && std::regex_search(target, std::regex(wall.walled)) &&
        (wall.open.empty() || !std::regex_search(target, std::regex(wall.open))))
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
  for (const std::string target :
       {"node/embedding/embedding_store.h", "node/scan_view/brick_scan.h", "node/egress/egress_gate.h",
        "node/intake/parser/scan_files.h", "node/round/site_machine.h"})
    EXPECT_NE(wall_fault("node/intake/parser/child/nifti_job.cpp", target), "") << target;
  EXPECT_NE(wall_fault("node/intake/scan_walk.cpp", "node/intake/formats/nifti_header.h"), "");
  EXPECT_NE(wall_fault("node/intake/parser/scan_parser.cpp", "node/intake/dicom/dicom_header.h"), "");
  EXPECT_NE(wall_fault("node/commands/data_show.cpp", "node/intake/formats/volume_reader.h"), "");
  EXPECT_NE(wall_fault("node/volume_files/nifti_writer.cpp", "node/intake/formats/volume_reader.h"), "");
  EXPECT_EQ(wall_fault("node/volume_files/trusted_reader.cpp", "node/intake/formats/volume_reader.h"), "");
  EXPECT_EQ(wall_fault("node/intake/manifest.h", "node/intake/formats/scan_facts.h"), "");
  EXPECT_NE(wall_fault("node/training/adamw.cpp", "node/round/site_machine.h"), "");
  EXPECT_NE(wall_fault("node/egress/egress_gate.cpp", "node/round/site_marks.h"), "");
  EXPECT_NE(wall_fault("coordinator/aggregation/unmask.cpp", "coordinator/round/round_machine.h"), "");
  EXPECT_EQ(wall_fault("node/io/site_run.cpp", "node/round/site_machine.h"), "");
  EXPECT_NE(wall_fault("node/store/pyramid.cpp", "node/intake/parser/scan_protocol.h"), "");
  EXPECT_NE(wall_fault("node/volume/canonical.cpp", "node/store/pyramid.h"), "");
  EXPECT_NE(wall_fault("node/saliency/proposer.cpp", "node/scan_view/scan_source.h"), "");
  EXPECT_NE(wall_fault("node/saliency/prior.cpp", "node/store/brick_volume.h"), "");
  EXPECT_EQ(wall_fault("node/intake/parser/child/nifti_job.cpp", "node/intake/parser/scan_protocol.h"), "");
  EXPECT_EQ(wall_fault("node/intake/parser/child/nifti_job.cpp", "node/intake/parser/child/sandbox.h"), "");
  EXPECT_EQ(wall_fault("node/store/pyramid.cpp", "node/volume/intensity.h"), "");
}

// The namespace that a file in this folder has to have; a namespace inside it is its own affair.
std::string own_namespace(const std::string& path) {
  static const std::regex room(R"(^(node|coordinator|federation)/(\w+)/)"), folder(R"(^(crypto|audit|demo)/)");
  std::smatch found;
  if (std::regex_search(path, found, room)) return "fovea::" + found[1].str() + "::" + found[2].str();
  if (std::regex_search(path, found, folder)) return "fovea::" + found[1].str();
  return path.rfind("common/", 0) == 0 ? "fovea" : "";
}

// The namespace that line n opens where it is not the folder's own. A type of another program or room may be declared,
// in a block that holds nothing else.
std::string foreign_namespace(const std::string& path, const std::vector<std::string>& lines, std::size_t n) {
  static const std::regex opened(R"(^\s*(inline )?namespace (\w[\w:]*)\s*(\{.*)?$)"),
      declaration(R"(^((class|struct) \w+;)?$)");
  std::smatch found;
  const std::string own = own_namespace(path);
  if (own.empty() || !std::regex_search(lines[n], found, opened)) return "";
  const std::string name = found[2];
  if (name == own || (own != "fovea" && name.starts_with(own + "::"))) return "";
  const auto opens_own = [&](const std::string& line) { return line.starts_with("namespace " + own); };
  const auto at = lines.begin() + static_cast<std::ptrdiff_t>(n);
  if (!name.starts_with("fovea") && std::any_of(lines.begin(), at, opens_own)) return "";  // inside it
  std::size_t end = n + 1;
  while (end < lines.size() && std::regex_match(lines[end], declaration)) ++end;
  if (!lines[n].starts_with(' ') && end < lines.size() && lines[end].starts_with('}')) return "";
  return name + " instead of " + own;
}

TEST(Architecture, NamespacesFollowFolders) {
  for (const SourceFile& file : source_tree())
    for (std::size_t n = 0; n < file.lines.size(); ++n)
      EXPECT_EQ(foreign_namespace(file.path, file.lines, n), "") << file.path << ":" << n + 1;
}

TEST(Architecture, TheNamespaceRuleFindsPlantedFaults) {
  const auto fault = [](const std::string& path, const std::vector<std::string>& lines) {
    return foreign_namespace(path, lines, 0);
  };
  const std::string code = "int f();";
  EXPECT_NE(fault("node/store/crop.cpp", {"namespace fovea {", code}), "");
  EXPECT_NE(fault("node/store/crop.cpp", {"namespace fovea::node {", code}), "");
  EXPECT_NE(fault("node/store/crop.cpp", {"namespace fovea::node::intake {", code}), "");
  EXPECT_NE(fault("node/store/crop.cpp", {"namespace fovea::coordinator::store {", code}), "");
  EXPECT_NE(fault("node/store/crop.cpp", {"namespace fovea::crypto {", "class SigningKey;", code, "}"}), "");
  EXPECT_NE(fault("crypto/hash.h", {"namespace fovea::audit {", code}), "");
  EXPECT_NE(fault("common/bytes.h", {"namespace fovea::crypto {", code}), "");
  EXPECT_NE(fault("audit/views.cpp", {"namespace audit {", code}), "");
  EXPECT_NE(fault("demo/phantom/main.cpp", {"namespace fovea {", code}), "");
  EXPECT_EQ(fault("node/store/crop.cpp", {"namespace fovea::crypto {", "class SigningKey;", "}"}), "");
  EXPECT_EQ(fault("crypto/mask_kernels.h", {"namespace fovea::crypto::mask {", code}), "");
  EXPECT_EQ(fault("common/bytes.h", {"namespace fovea {", code}), "");
  EXPECT_EQ(fault("node/intake/dicom/suv.cpp", {"namespace fovea::node::intake {", code}), "");
  EXPECT_EQ(fault("federation/ledger/entry.cpp", {"namespace fovea::federation::ledger {", code}), "");
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
    // What can reach another machine. The parser's socket pairs are the exception: its child is under seccomp.
    {"sockets",
     R"(^(sys/(socket|un)\.h|netdb\.h|netinet/|arpa/|net/|linux/tcp\.h))",
     {R"(^(node|coordinator|federation)/io/)", R"(^node/intake/parser/(parser_process|scan_protocol)\.cpp$)",
      R"(^node/intake/parser/child/parser_server\.cpp$)", R"(^tests/)"}},
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

TEST(Architecture, SocketsAreInIoAlone) {
  const LibraryRule& sockets = kLibraryRules.back();
  for (const std::string header : {"sys/socket.h", "netdb.h", "netinet/in.h", "arpa/inet.h", "net/if.h", "sys/un.h"})
    EXPECT_TRUE(std::regex_search(header, std::regex(sockets.pattern))) << header;
  for (const std::string path : {"node/training/adamw.cpp", "node/intake/ingest.cpp", "node/egress/egress_gate.cpp",
                                 "audit/commands.cpp", "coordinator/registry/coordinator_folder.cpp",
                                 "node/intake/parser/child/nifti_job.cpp", "node/commands/doctor_command.cpp"})
    EXPECT_FALSE(allowed(sockets, path)) << path;
  EXPECT_TRUE(allowed(sockets, "node/io/reachability.cpp"));
}

// A name of the system's that needs no include of its own would be a way out beside the gate.
std::string way_out(const std::string& path, const std::string& line) {
  static const std::regex comment(R"(^\s*//)"),
      call(R"((^\s*|[=(!{;,<|?]\s*|\breturn\s+|&&\s*)(::)?(socket|connect|sendto|sendmsg|popen|posix_spawnp?|)"
           R"(execvp?e?|execlp?|v?fork|system)\()"),
      may(R"(^(tests|bench|demo)/|^node/io/reachability\.cpp$|^node/io/dicom_listener\.cpp$|)"
          R"(^common/child_program\.cpp$|^node/intake/parser/(scan_protocol|child/parser_server)\.cpp$)");
  if (std::regex_search(line, comment) || std::regex_search(path, may)) return "";
  return std::regex_search(line, call) ? "reaches out of the program" : "";
}

TEST(Architecture, NoOtherRoomConnectsOrStartsPrograms) {
  for (const SourceFile& file : source_tree())
    for (std::size_t n = 0; n < file.lines.size(); ++n)
      EXPECT_EQ(way_out(file.path, file.lines[n]), "") << file.path << ":" << n + 1 << ": " << file.lines[n];
}

TEST(Architecture, TheRuleOfWaysOutFindsPlantedFaults) {
  for (const std::string line :
       {"  ::connect(s, to, size);", "if (socket(AF_INET, SOCK_STREAM, 0) < 0)", "  system(text);",
        "FILE* pipe = ::popen(text, \"w\");", "  return fork();", "::sendto(s, a, b, 0, c, d);"})
    EXPECT_NE(way_out("node/training/adamw.cpp", line), "") << line;
  for (const std::string line : {"draws.fork(3);", "ZmqTransport::connect(options)", "// a socket(…)", "reconnect();"})
    EXPECT_EQ(way_out("node/training/adamw.cpp", line), "") << line;
}

// What the round machines may know: values, and functions of values. A list of what they may include, because what
// touches the world has no end.
bool is_pure_room(const std::string& path) {
  return std::regex_search(path, std::regex(R"(^((node|coordinator)/round|federation/secagg)/)"));
}

std::string impure_include(const std::string& path, const Include& include) {
  static const std::regex outside(
      R"(^(algorithm|array|bit|bitset|cmath|compare|concepts|cstddef|cstdint|cstring|deque|functional|)"
      R"(initializer_list|iterator|limits|list|map|memory|numeric|optional|queue|ranges|set|span|string|string_view|)"
      R"(tuple|type_traits|utility|variant|vector)$)");
  static const std::regex ours(
      R"(^(common/(byte_fields|bytes|check|clock|codec|contains|ids|numbers|overloaded|result)\.h$|)"
      R"(crypto/(aead|hash|hkdf|key_agreement|linear_hash|mask_stream|merkle_log|secret_bytes|shamir|signature)\.h$|)"
      R"(federation/(membership|messages|model|secagg)/|coordinator/aggregation/unmask\.h$|)"
      R"((node|coordinator)/round/))");
  // The source of a shuffle is an argument there.
  if (path.rfind("federation/secagg/", 0) == 0 && include.target == "crypto/random_source.h") return "";
  return std::regex_search(include.target, include.quoted ? ours : outside) ? "" : "is not on the list of pure headers";
}

// The same without an include of its own.
std::string impure_word(const std::string& line) {
  static const std::regex comment(R"(^\s*//)"),
      word(R"(\b(system_clock|steady_clock|high_resolution_clock|filesystem|getenv|SystemClock|SystemRandom|)"
           R"(this_thread|jthread|random_device|clock_gettime|gettimeofday|std::(thread|mutex|atomic|time|cout|cerr)|)"
           R"(printf|fopen|thread_local)\b|(^|[^\w>])::(open|read|write|time|getrandom)\()");
  return !std::regex_search(line, comment) && std::regex_search(line, word) ? "touches the world" : "";
}

TEST(Architecture, RoundMachinesArePure) {
  for (const SourceFile& file : source_tree()) {
    if (!is_pure_room(file.path)) continue;
    for (const Include& include : file.includes)
      EXPECT_EQ(impure_include(file.path, include), "") << place(file, include);
    for (std::size_t n = 0; n < file.lines.size(); ++n)
      EXPECT_EQ(impure_word(file.lines[n]), "") << file.path << ":" << n + 1 << ": " << file.lines[n];
  }
}

TEST(Architecture, TheRuleOfPureRoomsFindsPlantedFaults) {
  const std::string path = "node/round/site_core.cpp";
  for (const std::string header : {"netdb.h", "poll.h", "fcntl.h", "spawn.h", "cstdio", "cstdlib", "ctime",
                                   "shared_mutex", "chrono", "thread", "fstream", "unistd.h", "spdlog/spdlog.h"})
    EXPECT_NE(impure_include(path, {1, header, false}), "") << header;
  for (const std::string header :
       {"common/durable_file.h", "common/child_program.h", "common/file_lock.h", "crypto/random_source.h",
        "crypto/key_file.h", "federation/files/record_file.h", "federation/ledger/ledger.h"})
    EXPECT_NE(impure_include(path, {1, header, true}), "") << header;
  EXPECT_EQ(impure_include(path, {1, "vector", false}), "");
  EXPECT_EQ(impure_include(path, {1, "crypto/aead.h", true}), "");
  EXPECT_EQ(impure_include("federation/secagg/masking.h", {1, "crypto/random_source.h", true}), "");
  EXPECT_TRUE(is_pure_room("coordinator/round/round_core.cpp"));
  EXPECT_FALSE(is_pure_room("node/io/site_run.cpp"));
  for (const std::string line : {"const auto now = std::chrono::system_clock::now();", "std::filesystem::space(p);",
                                 "if (getenv(\"X\"))", "  SystemClock clock;", "::open(p, 0);"})
    EXPECT_NE(impure_word(line), "") << line;
  for (const std::string line : {"// the system_clock of the driver", "attempt.secrets.open(context, sealed);"})
    EXPECT_EQ(impure_word(line), "") << line;
}

}  // namespace
}  // namespace fovea::test
