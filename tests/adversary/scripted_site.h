// A site that the test plays: the real round machine, an update of the test's choice, and no process. Its keys are in
// the test's hands, so that it can also sign whatever an attack needs: a colluder, or an invented site (Sybil).
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "crypto/random_source.h"
#include "federation/membership/blame.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/envelope.h"
#include "node/io/site_folder.h"
#include "node/round/site_machine.h"

namespace fovea::test {

// The parts of a run that every party of it agrees on.
struct RunFacts {
  RunId run;
  federation::membership::Plan plan;
  federation::membership::Roster roster;
};
RunId random_run();
federation::membership::Plan read_plan(const std::filesystem::path& file);

// The keys of a hospital, or of one that does not exist: whoever signs the roster can put any on it.
struct SiteIdentity {
  federation::membership::RosterSite entry;
  node::io::SiteKeys keys;

  static SiteIdentity of(const std::filesystem::path& folder);  // that `fovea-node init` made
  static SiteIdentity invented(const std::string& name);
};

class ScriptedSite {
 public:
  ScriptedSite(const SiteIdentity& identity, const RunFacts& facts, const node::round::ModelAdopted& model);

  const SiteId& id() const noexcept { return id_; }
  RosterIndex index() const noexcept { return index_; }
  const crypto::SigningKey& identity() const noexcept { return keys_.identity; }
  const crypto::AgreementKey& transport() const noexcept { return keys_.transport; }

  // The machine's step with all that follows from it, but for a verified sum: take_sum() has it, and adopt() goes on.
  void step(node::round::SiteEvent event);
  void receive(Bytes wire);  // of the coordinator; nothing when it does not open
  std::optional<Bytes> next_wire();
  std::optional<node::round::VerifiedSum> take_sum() { return std::exchange(sum_, std::nullopt); }
  void adopt(const node::round::ModelAdopted& model);
  // What the coordinator said of sites that it leaves out.
  const std::vector<federation::membership::Blame>& blames() const noexcept { return blames_; }
  // What of this site's messages the coordinator said that it refused.
  const std::vector<federation::messages::RefusalNotice>& refused() const noexcept { return refused_; }

  Bytes seal(federation::messages::MessageKind kind, ByteView payload) const;

 private:
  SiteId id_;
  node::io::SiteKeys keys_;
  RunFacts facts_;
  RosterIndex index_ = 0;
  crypto::SystemRandom random_;
  node::round::ModelAdopted model_;
  std::optional<node::round::SiteMachine> machine_;
  std::optional<node::round::VerifiedSum> sum_;
  std::deque<Bytes> outbox_;
  std::vector<federation::membership::Blame> blames_;
  std::vector<federation::messages::RefusalNotice> refused_;
};

}  // namespace fovea::test
