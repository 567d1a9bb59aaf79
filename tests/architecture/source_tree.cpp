#include "tests/architecture/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <utility>

namespace fovea::test {

namespace fs = std::filesystem;

std::vector<Include> find_includes(const std::vector<std::string>& lines) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> out;
  for (std::size_t n = 0; n < lines.size(); ++n) {
    std::smatch match;
    if (std::regex_search(lines[n], match, pattern)) out.push_back({n + 1, match[2].str(), match[1].str() == "\""});
  }
  return out;
}

namespace {

template <class Wanted>
std::vector<SourceFile> read_files(const std::string& root, Wanted wanted) {
  std::vector<SourceFile> files;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().filename().string();
    // What git ignores, at the root alone: a folder of such a name further down is part of the tree.
    if (it.depth() == 0 && (name == "build" || name == ".git" || name == ".cache" || name.starts_with("demo-run"))) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || !wanted(it->path())) continue;
    SourceFile file;
    file.path = fs::relative(it->path(), root).generic_string();
    std::ifstream in(it->path());
    for (std::string line; std::getline(in, line);) file.lines.push_back(line);
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace

std::vector<SourceFile> read_source_tree(const std::string& root) {
  std::vector<SourceFile> files =
      read_files(root, [](const fs::path& path) { return path.extension() == ".h" || path.extension() == ".cpp"; });
  for (SourceFile& file : files) file.includes = find_includes(file.lines);
  return files;
}

std::vector<SourceFile> read_other_sources(const std::string& root) {
  static const std::regex other(
      R"(\.(c|cc|cxx|c\+\+|C|cppm|ixx|hh|hpp|hxx|h\+\+|H|inc|inl|ipp|tpp|tcc|m|mm|cu|cuh|s|S|asm)$)");
  return read_files(root, [](const fs::path& path) { return std::regex_search(path.filename().string(), other); });
}

std::vector<SourceFile> read_build_files(const std::string& root) {
  return read_files(
      root, [](const fs::path& path) { return path.filename() == "CMakeLists.txt" || path.extension() == ".cmake"; });
}

const std::vector<SourceFile>& source_tree() {
  static const std::vector<SourceFile> files = read_source_tree(FOVEA_SOURCE_DIR);
  return files;
}

}  // namespace fovea::test
