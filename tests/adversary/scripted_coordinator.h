// The coordinator that a test plays: it holds the coordinator's keys and those of all sites but one, the victim, which
// is a real fovea-node that dials its port. Left alone it is honest: the real round machine, with the other sites
// played in memory. An attack says at which message to the victim it stops (trap), and sends what it likes instead.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "coordinator/io/zmq_server.h"
#include "coordinator/registry/coordinator_folder.h"
#include "coordinator/round/round_machine.h"
#include "federation/messages/envelope.h"
#include "node/io/site_run.h"
#include "tests/adversary/scripted_site.h"

namespace fovea::test {

struct ScriptedFederation {
  std::filesystem::path home;          // the coordinator's, made by `fovea-coordinator init` and `sign`
  std::filesystem::path plan;          // which the victim has approved
  std::filesystem::path victim;        // site folders
  std::vector<SiteIdentity> sybils{};  // all sites of the roster but the victim, and any that come onto it later
  std::filesystem::path work;          // an empty folder for the model
  int port = 0;
};

class ScriptedCoordinator {
 public:
  explicit ScriptedCoordinator(ScriptedFederation federation);

  const RunFacts& facts() const noexcept { return facts_; }
  const std::filesystem::path& home() const noexcept { return federation_.home; }
  const crypto::SigningKey& key() const noexcept { return keys_.signing; }
  RosterIndex victim() const noexcept { return victim_index_; }
  const ScriptedSite& sybil(RosterIndex site) const;  // any but the victim
  RosterIndex any_sybil() const { return sybils_.front()->index(); }
  node::round::ModelAdopted model() const { return model_; }
  RoundNumber round() const noexcept { return round_; }  // the one that runs, or ran last

  // Serves until `done`; false when it does not come to that in time.
  bool serve_until(const std::function<bool()>& done);
  bool victim_has_joined() const noexcept { return victim_joined_; }  // this run, under this roster
  // Takes over the roster that is in the folder now, whatever its validity, with what runs given up.
  void follow_roster();
  void offer_roster(UnixMs sent);
  void offer_roster() { offer_roster(clock_.wall()); }
  void offer_plan();
  void begin_round();
  void skip_rounds(RoundNumber count) noexcept { round_ += count; }  // their numbers
  void begin_round_without_victim();                                 // which is told of its sum
  void give_up_round();                                              // without a word; what waits is never sent
  bool round_is_over() const noexcept { return !machine_.has_value(); }
  const std::optional<coordinator::round::RoundAborted>& aborted() const noexcept { return aborted_; }

  // Stops at the next message of `kind` to the victim: it and all that would follow wait.
  void trap(federation::messages::MessageKind kind);
  bool is_trapped() const noexcept { return !waiting_.empty(); }
  const federation::messages::SignedMessage& trapped() const { return waiting_.front(); }
  void release_first();  // sends it, and goes on holding what follows
  void go_on();          // to the next trap
  void release_all();
  // While an attack is on, the coordinator does not hear that the victim complains.
  void ignore_complaints(bool ignore) noexcept { ignores_complaints_ = ignore; }

  void send_to_victim(Bytes wire);
  Bytes seal(federation::messages::MessageKind kind, ByteView payload) const;
  // Messages of the victim other than greetings, complaints, and how far its training is.
  std::size_t answers() const noexcept { return answers_; }
  std::size_t heard(federation::messages::MessageKind kind) const;  // messages of the victim, of this kind
  // A mask key of a colluder that was in a list before the one of this round.
  crypto::AgreementPublicKey key_of_last_round(RosterIndex site) const;
  // The last message of a kind that went to the victim, or to another site.
  std::optional<federation::messages::SignedMessage> last_to(RosterIndex site,
                                                             federation::messages::MessageKind kind) const;

 private:
  void begin_round(coordinator::round::RoundSetup setup);
  void listen();
  void play_sybils();
  void pump(std::chrono::milliseconds timeout);
  void serve_sybils();
  void take(coordinator::io::InboundMessage message);
  void feed(coordinator::round::RoundEvent event);
  void perform(coordinator::round::RoundEffects effects);
  void deliver(const SiteId& to, const Bytes& wire);
  void apply_sums();
  coordinator::round::RoundSetup make_setup() const;

  ScriptedFederation federation_;
  coordinator::registry::CoordinatorFolder folder_;
  coordinator::registry::CoordinatorKeys keys_;
  RunFacts facts_;
  SiteId victim_;
  RosterIndex victim_index_ = 0;
  SystemClock clock_;
  std::optional<node::io::SiteRun> run_;
  node::round::ModelAdopted model_;
  std::vector<std::unique_ptr<ScriptedSite>> sybils_;
  std::unique_ptr<coordinator::io::ZmqServer> server_;
  bool victim_joined_ = false;
  bool ignores_complaints_ = false;
  std::size_t answers_ = 0;
  std::map<federation::messages::MessageKind, std::size_t> heard_;
  std::optional<federation::messages::BeaconTranscript> beacon_;  // of the roster, where it needs one
  RoundNumber round_ = 0;
  std::optional<coordinator::round::RoundMachine> machine_;
  std::optional<coordinator::round::RoundAborted> aborted_;
  std::optional<federation::messages::MessageKind> trap_;
  std::deque<federation::messages::SignedMessage> waiting_;
  std::map<std::pair<RosterIndex, federation::messages::MessageKind>, Bytes> last_;
  std::map<RoundNumber, Bytes> key_lists_;  // payloads
};

}  // namespace fovea::test
