// The key under which a site's volumes lie sealed on disk. Every open volume keeps it, so it is shared, never copied.
#pragma once

#include <memory>
#include <utility>

#include "crypto/random_source.h"
#include "crypto/secret_bytes.h"

namespace fovea::node::store {

using VolumeKey = std::shared_ptr<const crypto::SecretKey>;

inline VolumeKey make_volume_key(crypto::SecretKey key) {
  return std::make_shared<const crypto::SecretKey>(std::move(key));
}

// For volumes that live as long as the process: what they hold is lost with it.
inline VolumeKey fresh_volume_key() {
  crypto::SystemRandom random;
  return make_volume_key(random.secret_key());
}

}  // namespace fovea::node::store
