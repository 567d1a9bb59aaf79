// One coordinator machine and N site machines on one thread, with a simulated network, disk and clock, from one seed.
//
// The network drops, delays, duplicates and reorders; a machine may be killed between any two effects of a step and
// comes back from its durable records only. Site i's update is the one-hot i, so a finished sum must be the indicator
// of its contributors. The oracles run inside and collect what they find in violations(): an empty list is a pass.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <queue>
#include <set>

#include "node/round/site_marks.h"
#include "tests/simulation/test_federation.h"

namespace fovea::test {

struct Faults {
  double drop = 0;  // of a message
  double duplicate = 0;
  std::int64_t delay_ms = 1;  // uniform in 0…delay_ms, so messages overtake each other
  double crash = 0;           // of a machine, at each of its effects
  std::int64_t heal_ms = 0;   // no faults from this time on
};

struct WorldOptions {
  std::size_t sites = 4;
  std::uint64_t seed = 1;
  RoundNumber rounds = 3;        // sums to reach
  std::size_t extra_floats = 0;  // beside the one-hot
  Faults faults;
  std::int64_t end_ms = 600'000;
  std::size_t staging_bytes = std::size_t{256} << 20;
  std::optional<federation::secagg::Thresholds> thresholds{};  // of the design's table when none
  std::uint32_t cohort_smallest = 0;                           // t when 0
};

enum class Direction { to_site, to_coordinator };
struct Delivery {
  Direction direction = Direction::to_site;
  RosterIndex site = 0;
  Bytes wire;
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();

  // Called for each message when it is sent; may change it. False: it is lost.
  std::function<bool(Delivery&)> intercept;
  // Sites that the test makes deal badly: a sum may be repeated without them, and without nobody else.
  std::set<RosterIndex> bad_dealers;

  // Runs until the rounds are reached, `stop` says so, or the time is over. True when the rounds were reached.
  bool run(const std::function<bool()>& stop = [] { return false; });

  const TestFederation& federation() const noexcept { return federation_; }
  node::round::SiteMachine& site(RosterIndex site) { return *sites_.at(site).machine; }
  coordinator::round::RoundMachine& coordinator() { return *machine_; }
  void kill_site(RosterIndex site, std::int64_t back_after_ms);
  void kill_coordinator(std::int64_t back_after_ms);
  const std::vector<std::string>& violations() const noexcept { return violations_; }
  const std::vector<coordinator::round::RoundResult>& results() const noexcept { return results_; }
  const std::vector<coordinator::round::BlamedSite>& blamed() const noexcept { return blamed_; }
  const std::vector<coordinator::round::RoundAborted>& aborted() const noexcept { return aborted_; }
  const std::optional<coordinator::round::SumToRepeat>& repeat() const noexcept { return repeat_; }
  const std::vector<federation::messages::RefusalReason>& site_refusals(RosterIndex site) const {
    return sites_.at(site).refusals;
  }
  const std::vector<federation::messages::RefusalReason>& coordinator_refusals() const noexcept { return refusals_; }
  const std::vector<Bytes>& site_journal(RosterIndex site) const { return sites_.at(site).journal; }
  const std::vector<Bytes>& site_register(RosterIndex site) const { return sites_.at(site).site_register; }
  const std::vector<Bytes>& coordinator_journal() const noexcept { return journal_; }
  federation::secagg::Thresholds thresholds() const {
    return options_.thresholds.value_or(table_thresholds(options_.sites));
  }
  const std::vector<Delivery>& trace() const noexcept { return trace_; }
  Digest trace_hash() const;
  std::string where() const;  // the phase of each machine, for a failing seed
  std::int64_t now_ms() const noexcept { return now_; }
  node::round::SitePolicy policy() const;
  federation::model::LocalUpdate update(RosterIndex site) const;
  node::round::ModelAdopted initial_model() const;  // the plan's hash stands for the initial weights
  std::size_t crashes() const noexcept { return crashes_; }

 private:
  struct Site {
    std::optional<node::round::SiteMachine> machine;
    std::uint64_t life = 0;  // grows at each crash: stale timers are ignored
    // durable
    std::vector<Bytes> journal;
    std::vector<Bytes> site_register;
    node::round::ModelAdopted model;
    std::optional<federation::messages::AttemptRef> gate;  // the attempt that the egress gate has open
    // for the oracles
    std::map<std::pair<RoundNumber, RosterIndex>, federation::messages::RevealedSecret> revealed;
    std::map<RoundNumber, Bytes> released;
    std::map<Digest, std::pair<RoundNumber, std::vector<RosterIndex>>>
        summed;  // by model: round and U3 of the last release
    std::vector<federation::messages::RefusalReason> refusals;
  };
  struct Timer {
    std::int64_t at = 0;
    std::uint64_t order = 0;
    std::function<void()> run;
    bool operator>(const Timer& other) const { return std::tie(at, order) > std::tie(other.at, other.order); }
  };

  // world.cpp
  void at(std::int64_t delay_ms, std::function<void()> run);
  double chance();
  std::uint64_t draw(std::uint64_t bound);
  bool faulty() const { return now_ < options_.faults.heal_ms; }
  bool crashes_now();
  void post(Delivery delivery);
  void deliver(const Delivery& delivery);
  void violation(std::string what);
  crypto::SecretKey fresh_seed();

  // world_sites.cpp
  void start_site(RosterIndex site);
  void crash_site(RosterIndex site, std::int64_t back_after_ms);
  void tick_site(RosterIndex site, std::uint64_t life);
  void perform(RosterIndex site, node::round::SiteEffects effects);
  void check_outbound(RosterIndex site, const node::round::SiteOutbound& message);
  void check_gate(RosterIndex site, const node::round::SiteOutbound& message);
  void check_revealed(RosterIndex site, const Bytes& wire);
  void check_repeated(RosterIndex site, const node::round::SignedMark& statement);

  // world_coordinator.cpp
  coordinator::round::RoundSetup setup() const;
  void start_coordinator();
  void crash_coordinator(std::int64_t back_after_ms);
  void tick_coordinator(std::uint64_t life);
  void perform(coordinator::round::RoundEffects effects);
  void on_hello(RosterIndex site, const federation::messages::SignedMessage& message);
  void record_opening(const federation::secagg::RoundParameters& opened);
  void check_opened(const Bytes& wire);
  void check_result(const coordinator::round::RoundResult& result);
  void begin_round();

  WorldOptions options_;
  TestFederation federation_;
  crypto::SeededRandom random_;
  std::uint64_t seeds_drawn_ = 0;
  std::int64_t now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::vector<Site> sites_;
  std::set<crypto::AgreementPublicKey> keys_sent_;
  std::map<Bytes, int> key_messages_;

  std::optional<coordinator::round::RoundMachine> machine_;
  std::uint64_t coordinator_life_ = 0;
  bool coordinator_up_ = false;
  // durable at the coordinator
  std::vector<Bytes> journal_;
  std::optional<federation::messages::BeaconTranscript> beacon_;
  std::optional<coordinator::round::SumToRepeat> repeat_;
  RoundNumber next_round_ = 1;
  node::round::ModelAdopted model_;
  std::vector<std::pair<RoundNumber, std::vector<Bytes>>> publications_;
  std::set<RosterIndex> excluded_;
  std::map<std::pair<RoundNumber, AttemptNumber>, Digest> opened_;  // H(P) of each attempt in its ledger

  std::vector<coordinator::round::RoundResult> results_;
  std::vector<coordinator::round::BlamedSite> blamed_;
  std::vector<coordinator::round::RoundAborted> aborted_;
  std::vector<federation::messages::RefusalReason> refusals_;
  std::vector<std::string> violations_;
  std::vector<Delivery> trace_;
  Digest trace_hash_{};
  std::size_t crashes_ = 0;
};

// The model after a round, as both sides compute it.
node::round::ModelAdopted next_model(const node::round::ModelAdopted& model, RoundNumber round,
                                     const Digest& transcript);

}  // namespace fovea::test
