// Failure class: a hospital that believes what its coordinator says. A real fovea-node against a coordinator that the
// test plays, with all other sites as its colluders. Each attack is refused for its reason, and an honest round
// completes after it.
#include <memory>
#include <ostream>

#include "tests/adversary/hospital_fixture.h"
#include "tests/adversary/test_names.h"

namespace fovea::test {

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

namespace {

// One hospital, anna, that meets attack after attack.
class Stage : public HospitalTest {
 public:
  void open() {
    SetUp();
    make_plan({.rounds = 1'000});
    ASSERT_EQ(coordinator({"sign", "--renew"}).exit_code, 0);  // so that there is a roster that was replaced
    play_coordinator();
    start_hospital();
    for (int round = 0; round < 2; ++round) {  // attacks repeat what was said in the round before
      expect_round();
      ASSERT_FALSE(HasFailure());
    }
  }
  ~Stage() override { TearDown(); }
  void TestBody() override {}

  void run(const Attack& attack) {
    scripted_->ignore_complaints(true);
    scripted_->trap(attack.at);
    scripted_->begin_round();
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->is_trapped(); }))
        << to_string(attack.at) << " was never sent";
    if (attack.timing == Timing::on_top) {
      const std::size_t before = scripted_->answers();
      scripted_->release_first();
      ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->answers() > before; }));
    }
    new_events();
    const std::vector<Bytes> forged = attack.forge({*scripted_, scripted_->trapped()});
    ASSERT_FALSE(forged.empty());
    for (const Bytes& wire : forged) scripted_->send_to_victim(wire);
    expect_event(attack.expected);
    scripted_->release_all();
    finish_round();
  }

  void withhold(MessageKind kind) {
    ASSERT_NO_FATAL_FAILURE(hold_round_at(kind));
    scripted_->give_up_round();
    expect_round();
  }

  bool has_kept_a_blame() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(site_folder("anna") / "runs"))
      if (entry.path().parent_path().filename() == "blame") return true;
    return false;
  }

  bool is_broken() const { return broken_; }
  void mark_broken() { broken_ = true; }

 private:
  bool broken_ = false;
};

// Cases share a hospital until one of them fails.
class StagedTest : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { stage_.reset(); }
  void SetUp() override {
    if (stage_ && !stage_->is_broken()) return;
    stage_.reset();
    stage_ = std::make_unique<Stage>();
    stage_->open();
  }
  void TearDown() override {
    if (HasFailure()) stage_->mark_broken();
  }
  static inline std::unique_ptr<Stage> stage_;
};

class DishonestCoordinator : public StagedTest, public ::testing::WithParamInterface<Attack> {};
class SilentCoordinator : public StagedTest, public ::testing::WithParamInterface<MessageKind> {};

TEST_P(DishonestCoordinator, IsRefusedAndTheRunGoesOn) { stage_->run(GetParam()); }

// The message never comes. The site waits for nobody: it takes part in the next round on the same model.
TEST_P(SilentCoordinator, IsNotWaitedFor) { stage_->withhold(GetParam()); }

// What is not refused: a blame whose messages are signed by whom it names is kept, for who reads them.
TEST_F(StagedTest, ABlameWithItsEvidenceIsKeptAtTheHospital) {
  stage_->run(true_blame());
  EXPECT_TRUE(stage_->has_kept_a_blame());
}

INSTANTIATE_TEST_SUITE_P(Attacks, DishonestCoordinator, ::testing::ValuesIn(all_attacks()),
                         [](const auto& row) { return camel_case(row.param.name); });

// Not the unmask request: the others have released their shares then, and no sum follows on that model.
INSTANTIATE_TEST_SUITE_P(Attacks, SilentCoordinator,
                         ::testing::Values(MessageKind::train_task, MessageKind::parameters, MessageKind::key_list,
                                           MessageKind::routed_shares, MessageKind::consistency_request),
                         [](const auto& row) { return camel_case(to_string(row.param)); });

TEST(AttackTable, HasAtLeastFortyAttacksAndEachAName) {
  std::set<std::string> names;
  for (const Attack& attack : all_attacks()) EXPECT_TRUE(names.insert(attack.name).second) << attack.name;
  EXPECT_GE(names.size(), 40U);
}

}  // namespace
}  // namespace fovea::test
