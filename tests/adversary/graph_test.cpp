// Failure class: a hospital that believes its coordinator about who its neighbours are. A real fovea-node among 129
// colluders, which is more than the complete graph takes.
#include <memory>
#include <ostream>

#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/test_names.h"

namespace fovea::test {

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

namespace {

constexpr std::size_t kRosterSites = 130;
constexpr std::size_t kLost = 14;

// anna, and a roster of so many sites.
class GraphFederation : public HospitalTest {
 protected:
  // The first `accepted` of the roster are accepted at anna; the others come onto it later.
  void make_federation(std::size_t accepted) {
    std::vector<SiteIdentity> invented;
    coordinator::registry::RosterChange first;
    coordinator::registry::RosterChange then;
    for (std::size_t site = kSites.size(); site < kRosterSites; ++site) {
      invented.push_back(SiteIdentity::invented("site-" + std::to_string(site)));
      (site < accepted ? first : then).added.push_back(invented.back().entry);
    }
    sign_roster(first);
    make_plan(
        {.rounds = 100, .edit = [](Json& plan) {
           plan["cohort"] = {{"smallest", kRosterSites - kLost}, {"largest", kRosterSites}};
           plan["secure_aggregation"] = {{"colluders_max", 7}, {"threshold", kRosterSites - kLost}, {"honest_min", 3}};
         }});
    if (!then.added.empty()) sign_roster(then);
    play_coordinator(std::move(invented));
    start_hospital();
    scripted_->ignore_complaints(true);
  }
  void advance_to(MessageKind kind) {
    if (scripted_->is_trapped() && scripted_->trapped().kind() == kind) return;
    scripted_->trap(kind);
    if (scripted_->is_trapped()) scripted_->go_on();
    else scripted_->begin_round();
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->is_trapped(); }))
        << to_string(kind) << " was never sent";
  }
};

// One round that meets attack after attack, and then completes.
class GraphStage : public GraphFederation {
 public:
  void open() {
    SetUp();
    make_federation(kRosterSites);
  }
  ~GraphStage() override { TearDown(); }
  void TestBody() override {}

  void run(const Attack& attack, bool is_last) {
    advance_to(attack.at);
    ASSERT_FALSE(HasFailure());
    new_events();
    const std::size_t before = scripted_->answers();
    for (const Bytes& wire : attack.forge({*scripted_, scripted_->trapped()})) scripted_->send_to_victim(wire);
    expect_event(attack.expected);
    if (attack.at != MessageKind::round_evidence) {  // its shares may be on their way still
      EXPECT_EQ(scripted_->answers(), before);
    }
    if (!is_last) return;
    scripted_->release_all();
    finish_round();
  }
};

class DishonestGraph : public ::testing::TestWithParam<Attack> {
 protected:
  static void TearDownTestSuite() { stage_.reset(); }
  void SetUp() override {
    if (stage_) return;
    stage_ = std::make_unique<GraphStage>();
    stage_->open();
  }
  void TearDown() override {
    if (HasFailure()) stage_.reset();  // the next begins a round of its own
  }
  static inline std::unique_ptr<GraphStage> stage_;
};

TEST_P(DishonestGraph, IsRefusedAndTheRoundGoesOn) {
  stage_->run(GetParam(), GetParam().name == graph_attacks().back().name);
}

INSTANTIATE_TEST_SUITE_P(Attacks, DishonestGraph, ::testing::ValuesIn(graph_attacks()),
                         [](const auto& row) { return camel_case(row.param.name); });

using GraphOfSybils = GraphFederation;

// Every position is the beacon's. But a third of the sites were invented, and a colluder more for each of them leaves
// no neighbourhood safe.
TEST_F(GraphOfSybils, IsRefusedHoweverFairTheBeacon) {
  make_federation(kRosterSites * 2 / 3);
  scripted_->begin_round();
  expect_event(refused(RefusalReason::unacquainted_sites));
  expect_handled();
  EXPECT_EQ(scripted_->heard(MessageKind::keys), 0U);
  EXPECT_EQ(released(), 0U);
}

}  // namespace
}  // namespace fovea::test
