// A real hospital, anna, under a coordinator that the test plays, with every administrator's key in the test's hands.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/registry/coordinator_folder.h"
#include "tests/adversary/attack.h"
#include "tests/adversary/copied_federation.h"

namespace fovea::test {

// Reads a growing event file; each event once.
class EventReader {
 public:
  explicit EventReader(std::filesystem::path file) : file_(std::move(file)) {}
  std::vector<Json> next();

 private:
  std::filesystem::path file_;
  std::size_t read_ = 0;
};

// Of a hospital's or the coordinator's folder.
std::uint64_t entries_under_checkpoint(const std::filesystem::path& owner);

class HospitalTest : public CopiedFederationTest {
 protected:
  // Approved at anna, where everybody of the roster is accepted but for its `strangers`.
  void make_plan(PlanChoices choices);
  // The others of kSites are the coordinator's colluders, and so are these. anna is not started.
  void play_coordinator(std::vector<SiteIdentity> more = {});
  void start_hospital();                       // and it takes part in the run
  void begin_run(const PlanChoices& choices);  // the three of them
  // The next roster, signed by all administrators; in the coordinator's folder, and offered to nobody yet.
  void sign_roster(const coordinator::registry::RosterChange& change, UnixMs now = SystemClock().wall());
  void accept(const std::string& site);  // by a person at anna

  // A round without an attack, which anna is in.
  void expect_round();
  void finish_round();  // the one that runs
  // The next round, until its message of this kind would go to anna: it is held back.
  void hold_round_at(federation::messages::MessageKind kind);
  // anna says so, after what it said when it was last listened to.
  void expect_event(const ExpectedEvent& expected, const std::function<bool(const Json&)>& wanted = {});
  std::vector<Json> new_events();  // of anna, since then
  void expect_handled();           // everything that was sent before
  std::size_t released() const;    // messages with something of anna's update in them, which the coordinator has
  void stop_hospital();

  std::unique_ptr<ScriptedCoordinator> scripted_;
  std::optional<EventReader> events_;
  std::vector<Json> later_;  // read with the event that was expected last, and after it
};

}  // namespace fovea::test
