// The parser programs lie beside fovea-node, not beside a test: this puts them where default_parser_program() looks.
#pragma once

#include <filesystem>

#include "node/intake/parser/scan_parser.h"

namespace fovea::node {

inline void link_parser_programs() {
  const std::filesystem::path here = intake::default_parser_program().parent_path();
  for (const char* name : {"fovea-scan-parser", "fovea-scan-parser-itk"})
    if (!std::filesystem::exists(here / name))
      std::filesystem::create_symlink(std::filesystem::path(FOVEA_BIN_DIR) / name, here / name);
}

}  // namespace fovea::node
