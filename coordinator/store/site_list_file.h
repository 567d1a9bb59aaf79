// A JSON file about some sites of a run: {"fovea_cut_off": 1, "sites": [{"site": "anna", …}]}. Not evidence, and not
// durable.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/ids.h"
#include "common/json_fields.h"
#include "common/result.h"

namespace fovea::coordinator::store {

struct SiteListFile {
  std::filesystem::path path;
  std::string kind;  // the first field's name

  Result<void> write(const nlohmann::ordered_json& entries) const;
  // `take` gets each site, with what else its entry says. Nothing where there is no such file. invalid_argument names
  // it, with the field.
  Result<void> read(const std::function<Result<void>(SiteId, JsonFields&)>& take) const;
};

}  // namespace fovea::coordinator::store
