#include "node/commands/trainer_choice.h"

#include <utility>

#include "common/bytes.h"
#include "crypto/hkdf.h"
#include "federation/model/layout.h"
#include "node/training/probe_trainer.h"

namespace fovea::node::commands {

std::uint64_t site_seed(const crypto::SigningKey& identity) {
  const crypto::SecretKey derived =
      crypto::hkdf_sha256({.secret = identity.seed().view(), .salt = {}, .info = as_bytes("FOVEA/1/training-draws")});
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out |= static_cast<std::uint64_t>(derived.view()[i]) << (8 * i);
  return out;
}

Result<std::unique_ptr<training::Trainer>> make_trainer(const federation::membership::Plan& plan,
                                                        const io::SiteFolder& folder, const io::NodeConfig& config) {
  if (plan.probe_size) {
    FOVEA_TRY_ASSIGN(federation::model::ModelLayout layout, federation::model::make_layout(plan.architecture));
    FOVEA_TRY_ASSIGN(const io::SiteKeys keys, folder.keys());
    const std::uint64_t chosen = config.training.probe_seed;  // so that a test can foresee the sums
    return std::unique_ptr<training::Trainer>(std::make_unique<training::ProbeTrainer>(
        std::move(layout), training::ProbeSettings{.site_seed = chosen != 0 ? chosen : site_seed(keys.identity),
                                                   .studies = 20,
                                                   .delay_ms = config.training.probe_delay_ms}));
  }
#ifdef FOVEA_WITH_LEARNING
  return make_learning_trainer(plan, folder, config);
#else
  return failed_precondition("plan \"" + plan.name +
                             "\": needs learning, and this program was built without it (FOVEA_WITH_LEARNING)");
#endif
}

}  // namespace fovea::node::commands
