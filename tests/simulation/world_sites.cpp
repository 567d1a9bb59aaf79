#include <algorithm>

#include "federation/ledger/egress_rules.h"
#include "tests/simulation/world.h"

namespace fovea::test {

using federation::messages::MessageKind;

void World::start_site(RosterIndex index) {
  Site& site = sites_[index];
  auto machine =
      node::round::SiteMachine::create(federation_.site_config(index, policy()), site.journal, site.site_register);
  if (!machine) return violation("a site cannot start from its journal: " + machine.error().message);
  site.machine.emplace(std::move(*machine));
  if (site.model.round == 0) site.model = initial_model();
  perform(index, site.machine->step(node::round::ModelAdopted(site.model)));
  if (!site.machine) return;
  perform(index, site.machine->step(node::round::Tick{{now_}}));
  if (!site.machine) return;
  perform(index, site.machine->step(node::round::Connected{}));
  tick_site(index, site.life);
}

void World::tick_site(RosterIndex index, std::uint64_t life) {
  Site& site = sites_[index];
  if (!site.machine || site.life != life) return;
  perform(index, site.machine->step(node::round::Tick{{now_}}));
  at(500, [this, index, life] { tick_site(index, life); });
}

void World::crash_site(RosterIndex index, std::int64_t back_after_ms) {
  Site& site = sites_[index];
  if (!site.machine) return;
  ++crashes_;
  site.machine.reset();
  ++site.life;
  at(back_after_ms, [this, index] { start_site(index); });
}

void World::perform(RosterIndex index, node::round::SiteEffects effects) {
  Site& site = sites_[index];
  const auto crashed = [&] {
    if (!crashes_now()) return false;
    crash_site(index, 50 + static_cast<std::int64_t>(draw(3000)));
    return true;
  };
  if (effects.refusal) site.refusals.push_back(effects.refusal->reason);
  if (crashed()) return;
  for (Bytes& record : effects.journal) {
    site.journal.push_back(std::move(record));
    // As the driver's journal: without the shares that may not leave any more.
    if (!node::round::may_spend_shares(site.journal.back())) continue;
    auto rest = node::round::without_spent_shares(federation_.run(), site.journal);
    if (!rest) return violation("a journal cannot be rewritten: " + rest.error().message);
    if (*rest) site.journal = std::move(**rest);
  }
  if (crashed()) return;
  for (Bytes& record : effects.site_register) site.site_register.push_back(std::move(record));
  if (effects.abandoned && site.gate == effects.abandoned) site.gate.reset();
  if (effects.joined) site.gate = effects.joined->ref();
  for (node::round::SiteOutbound& message : effects.outbound) {
    if (crashed()) return;
    check_gate(index, message);
    check_outbound(index, message);
    post({Direction::to_coordinator, index, std::move(message.wire)});
  }
  if (crashed()) return;
  if (effects.start_training) {
    const RoundNumber round = effects.start_training->round;
    const std::uint64_t life = site.life;
    at(1 + static_cast<std::int64_t>(draw(200)), [this, index, round, life] {
      Site& trained = sites_[index];
      if (!trained.machine || trained.life != life) return;
      perform(index, trained.machine->step(node::round::TrainingFinished{round, update(index)}));
    });
  }
  if (effects.verified_sum) {
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      const bool contributed = std::any_of(effects.verified_sum->evidence.committed.begin(),
                                           effects.verified_sum->evidence.committed.end(),
                                           [&](const auto& entry) { return entry.site == i; });
      if ((effects.verified_sum->sum.sums()[i] != 0) != contributed)
        violation("a site took a sum that is not of the listed sites");
    }
    site.model = next_model(site.model, effects.verified_sum->round, effects.verified_sum->transcript);
    site.model.epoch = effects.verified_sum->epoch;
    perform(index, site.machine->step(node::round::ModelAdopted(site.model)));
    if (!site.machine) return;
  }
  if (effects.more) perform(index, site.machine->step(node::round::Resume{}));
}

// What the egress gate would not let out: the site would have written a mark for a message that never leaves.
void World::check_gate(RosterIndex index, const node::round::SiteOutbound& message) {
  if (federation::ledger::egress_scope(message.kind) != federation::messages::MessageScope::round) return;
  const auto& gate = sites_[index].gate;
  if (!gate || gate->round != message.round || gate->attempt != message.attempt)
    violation("a " + std::string(federation::messages::to_string(message.kind)) +
              " of an attempt that the egress gate has not open");
}

void World::check_outbound(RosterIndex index, const node::round::SiteOutbound& message) {
  Site& site = sites_[index];
  if (message.kind == MessageKind::keys) {
    const auto opened = federation_.open_at_coordinator(index, message.wire);
    const auto keys = federation::messages::KeysMessage::decode(opened->payload());
    // A repeated message is the same bytes; any other brings keys nobody has seen (I1: no seed covers two plaintexts).
    if (key_messages_[message.wire]++ == 0 &&
        (!keys_sent_.insert(keys->keys.channel).second || !keys_sent_.insert(keys->keys.mask).second))
      violation("a key was used in two attempts");
  }
  const bool guarded = message.kind == MessageKind::consistency_signature || message.kind == MessageKind::unmask_shares;
  if (!guarded) return;
  const auto memory = node::round::SiteMemory::restore(federation_.run(), site.journal, site.site_register);
  if (!memory) return violation("a journal cannot be read back");
  const bool durable = message.kind == MessageKind::consistency_signature
                           ? memory->consistency && memory->consistency->wire == message.wire
                           : memory->unmasked && memory->unmasked->wire == message.wire;
  if (!durable) violation("sent before it was durable: " + std::string(federation::messages::to_string(message.kind)));
  if (message.kind == MessageKind::unmask_shares && !memory->unregistered.empty())
    violation("shares left before their release was in the site's register");
  if (message.kind != MessageKind::unmask_shares) return;
  check_revealed(index, message.wire);
  if (memory->consistency) check_repeated(index, *memory->consistency);
}

// Two sums on one model that differ by an honest site would show that site's update.
void World::check_repeated(RosterIndex index, const node::round::SignedMark& statement) {
  const auto [last, first] =
      sites_[index].summed.emplace(statement.model_hash, std::pair(statement.ref.round, statement.voters));
  auto& [round, voters] = last->second;
  if (first || round == statement.ref.round) return;
  std::vector<RosterIndex> changed;
  std::set_symmetric_difference(voters.begin(), voters.end(), statement.voters.begin(), statement.voters.end(),
                                std::back_inserter(changed));
  for (const RosterIndex site : changed)
    if (!bad_dealers.contains(site)) violation("two sums on one model that differ by an honest site");
  if (!statement.repeats || statement.repeats->round != round)
    violation("a second release on a model that repeats nothing");
  last->second = {statement.ref.round, statement.voters};
}

void World::check_revealed(RosterIndex index, const Bytes& wire) {
  Site& site = sites_[index];
  const auto opened = federation_.open_at_coordinator(index, wire);
  const auto shares = federation::messages::UnmaskShares::decode(opened->payload());
  const RoundNumber round = shares->ref.round;
  const auto [released, first] = site.released.emplace(round, wire);
  if (!first && released->second != wire) violation("two different releases in one round");
  for (const federation::messages::RevealedShare& share : shares->shares) {
    const auto [known, fresh] = site.revealed.emplace(std::pair(round, share.subject), share.secret);
    if (!fresh && known->second != share.secret) violation("both secrets of a peer were revealed");
  }
}

}  // namespace fovea::test
