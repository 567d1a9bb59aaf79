// Sites whose shares all match their commitments and are of another secret than they are bound to.
#pragma once

#include "federation/secagg/masking.h"
#include "federation/secagg/statements.h"
#include "tests/simulation/world.h"

namespace fovea::test {

using Intercept = std::function<bool(Delivery&)>;

// Its Bcom is another one in rounds `from` to `to`: found where it is in U3.
inline Intercept deal_another_seed(World& world, RosterIndex bad, RoundNumber from = 1, RoundNumber to = 1) {
  world.bad_dealers.insert(bad);
  return [&world, bad, from, to](Delivery& delivery) {
    if (delivery.direction != Direction::to_coordinator || delivery.site != bad) return true;
    const TestFederation& f = world.federation();
    const auto opened = f.open_at_coordinator(bad, delivery.wire);
    const auto concerned = [&](const federation::messages::AttemptRef& ref) {
      return ref.round >= from && ref.round <= to;
    };
    if (opened->kind() == federation::messages::MessageKind::shares) {
      auto shares = federation::messages::SharesMessage::decode(opened->payload()).value();
      if (!concerned(shares.ref)) return true;
      shares.self_seed_commitment[0] ^= 1;
      delivery.wire = f.from_site(bad, federation::messages::MessageKind::shares, shares.encode()).wire();
    } else if (opened->kind() == federation::messages::MessageKind::masked_statement) {
      auto statement = federation::messages::MaskedStatement::decode(opened->payload()).value();
      if (!concerned(statement.ref)) return true;
      statement.self_seed_commitment[0] ^= 1;
      statement.signature = f.identity(bad).sign(federation::secagg::masked_statement(
          statement.ref.parameters,
          {bad, statement.vector_hash, statement.survivors_hash, statement.self_seed_commitment,
           federation::secagg::tag_hash(statement.ref.parameters, bad, statement.tag)}));
      delivery.wire = f.from_site(bad, federation::messages::MessageKind::masked_statement, statement.encode()).wire();
    }
    return true;
  };
}

// Its S is another one than that of the key it shares, and it sends no vector: found where it is in U2 and not in U3.
inline Intercept deal_another_mask_key(World& world, RosterIndex bad) {
  world.bad_dealers.insert(bad);
  struct Script {
    federation::secagg::AttemptContext context;
    std::optional<federation::secagg::AttemptSecrets> secrets;
  };
  return [&world, bad, script = std::make_shared<Script>()](Delivery& delivery) {
    if (delivery.site != bad) return true;
    const TestFederation& f = world.federation();
    if (delivery.direction == Direction::to_site) {
      const auto opened = f.open_at_site(delivery.wire);
      if (opened->kind() == federation::messages::MessageKind::parameters)
        script->context = federation::secagg::AttemptContext::begin(
            federation::secagg::RoundParameters::decode(opened->payload()).value());
      if (opened->kind() == federation::messages::MessageKind::key_list) {
        script->context.keys = federation::messages::KeyList::decode(opened->payload())->keys;
        script->context.key_list =
            federation::secagg::key_list_hash(script->context.parameters_hash, script->context.keys);
      }
      return true;
    }
    const auto opened = f.open_at_coordinator(bad, delivery.wire);
    const Digest& hash = script->context.parameters_hash;
    if (opened->kind() == federation::messages::MessageKind::keys) {
      script->secrets.emplace(
          federation::secagg::AttemptSecrets::derive(seed_of("bad dealer", script->context.parameters.attempt), bad));
      federation::messages::KeysMessage keys{.ref = script->context.ref(),
                                             .keys = {.channel = script->secrets->channel_key()}};
      keys.keys.mask =
          crypto::AgreementKey::from_private(seed_of("another mask key", script->context.parameters.attempt))
              .public_key();
      keys.keys.signature = f.identity(bad).sign(federation::secagg::keys_statement(hash, bad, keys.keys));
      delivery.wire = f.from_site(bad, federation::messages::MessageKind::keys, keys.encode()).wire();
    } else if (opened->kind() == federation::messages::MessageKind::attempt_failure && script->secrets &&
               !script->context.keys.empty()) {
      // The machine under it saw keys that are not its own.
      const federation::messages::SharesMessage shares{
          .ref = script->context.ref(),
          .key_list = script->context.key_list,
          .self_seed_commitment = script->secrets->self_seed_commitment(hash),
          .shares = script->secrets->deal(script->context)->sealed};
      delivery.wire = f.from_site(bad, federation::messages::MessageKind::shares, shares.encode()).wire();
      script->secrets.reset();
    }
    return true;
  };
}

// The first that loses a message ends it.
inline Intercept both(Intercept first, Intercept second) {
  return [first = std::move(first), second = std::move(second)](Delivery& delivery) {
    return first(delivery) && second(delivery);
  };
}

}  // namespace fovea::test
