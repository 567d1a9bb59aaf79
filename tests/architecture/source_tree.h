// The project's own source files as text, for tests of its structure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fovea::test {

struct Include {
  std::size_t line = 0;
  std::string target;  // what stands between the quotes or angle brackets
  bool quoted = false;
};

struct SourceFile {
  std::string path;  // relative to the root, '/'-separated
  std::vector<std::string> lines;
  std::vector<Include> includes;

  bool in(const std::string& folder) const { return path.rfind(folder + "/", 0) == 0; }
  bool is_header() const { return path.size() > 2 && path.substr(path.size() - 2) == ".h"; }
};

// Every .h and .cpp file below the root, but for what git ignores there. Sorted by path.
std::vector<SourceFile> read_source_tree(const std::string& root);

// That of the project itself, read once.
const std::vector<SourceFile>& source_tree();

// Likewise, files that a compiler reads too, by names that the rules of the tree are not applied to.
std::vector<SourceFile> read_other_sources(const std::string& root);

// Likewise, every CMakeLists.txt and .cmake file.
std::vector<SourceFile> read_build_files(const std::string& root);

// The include lines of one file's text.
std::vector<Include> find_includes(const std::vector<std::string>& lines);

}  // namespace fovea::test
