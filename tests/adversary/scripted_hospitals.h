// Hospitals that a test plays against a real fovea-coordinator: each dials its port with its own keys. Left alone they
// are honest; `dishonest` may change what one of them says.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "federation/membership/invite.h"
#include "node/io/site_run.h"
#include "node/io/zmq_transport.h"
#include "tests/adversary/scripted_site.h"

namespace fovea::test {

class ScriptedHospitals {
 public:
  struct Options {
    std::filesystem::path home;  // the coordinator's, for its roster
    std::filesystem::path plan;
    std::vector<std::filesystem::path> sites;
    std::filesystem::path work;  // an empty folder for the model
    RunId run;                   // that the coordinator serves
    int port = 0;
  };
  explicit ScriptedHospitals(const Options& options);

  // What leaves instead of this message of a site; called for each.
  std::function<std::vector<Bytes>(const ScriptedSite& site, federation::messages::SignedMessage honest)> dishonest;

  const RunFacts& facts() const noexcept { return facts_; }
  const ScriptedSite& site(std::string_view name) const;
  RoundNumber last_round() const noexcept { return run_->last_round(); }
  // Beside what its machine says; waits in the queue for the connection to take it.
  void say(std::string_view name, Bytes wire);
  bool has_said_all(std::string_view name) const;
  // Plays until `done`; false when it does not come to that in time.
  bool play_until(const std::function<bool()>& done);

 private:
  struct Hospital {
    std::unique_ptr<ScriptedSite> site;
    std::unique_ptr<node::io::ZmqTransport> transport;
    std::uint64_t greeted = 0;
    std::deque<Bytes> extra{};
  };
  void play(Hospital& hospital);
  void say_all(Hospital& hospital);
  void apply_sum(ScriptedSite& site);
  const Hospital& hospital(std::string_view name) const;

  SystemClock clock_;
  RunFacts facts_;
  std::optional<node::io::SiteRun> run_;
  std::vector<Hospital> hospitals_;
};

}  // namespace fovea::test
