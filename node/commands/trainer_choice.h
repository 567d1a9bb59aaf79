// Which trainer an approved plan gets at this site.
#pragma once

#include <cstdint>
#include <memory>

#include "common/result.h"
#include "crypto/signature.h"
#include "federation/membership/plan.h"
#include "node/io/node_config.h"
#include "node/io/site_folder.h"
#include "node/training/trainer.h"

namespace fovea::node::commands {

// Seeds what a site draws at random: another at each site, the same at each start (a sum may have to be repeated with
// the same vector), and to be foreseen by nobody without the site's key.
std::uint64_t site_seed(const crypto::SigningKey& identity);

// failed_precondition: the plan needs a part this program was built without, or there is nothing to train on.
Result<std::unique_ptr<training::Trainer>> make_trainer(const federation::membership::Plan& plan,
                                                        const io::SiteFolder& folder, const io::NodeConfig& config);

// For "fovea-1" (node/commands/learning_trainer.cpp, with learning only).
Result<std::unique_ptr<training::Trainer>> make_learning_trainer(const federation::membership::Plan& plan,
                                                                 const io::SiteFolder& folder,
                                                                 const io::NodeConfig& config);

}  // namespace fovea::node::commands
