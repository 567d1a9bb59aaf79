// Failure class: a hospital that believes what its coordinator says. A real fovea-node against a coordinator that the
// test plays, with all other sites as its colluders. Each attack is refused for its reason, and an honest round
// completes after it.
#include <cctype>
#include <fstream>
#include <memory>
#include <ostream>

#include "tests/adversary/attack.h"
#include "tests/integration/federation_fixture.h"

namespace fovea::test {

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

namespace {

// Reads a growing event file; each event once.
class EventReader {
 public:
  explicit EventReader(std::filesystem::path file) : file_(std::move(file)) {}
  std::vector<Json> next() {
    std::vector<Json> out;
    std::ifstream file(file_);
    file.seekg(static_cast<std::streamoff>(read_));
    for (std::string line; std::getline(file, line) && !file.eof();) {  // the last line may be half there
      read_ += line.size() + 1;
      out.push_back(Json::parse(line));
    }
    return out;
  }

 private:
  std::filesystem::path file_;
  std::size_t read_ = 0;
};

// One hospital, anna, that meets attack after attack.
class Stage : public FederationTest {
 public:
  void open() {
    SetUp();
    make_plan({.rounds = 1'000});
    ASSERT_EQ(coordinator({"sign", "--renew"}).exit_code, 0);  // so that there is a roster that was replaced
    ScriptedFederation federation{.home = home(),
                                  .plan = plan_file(),
                                  .victim = site_folder("anna"),
                                  .sybils = {},
                                  .work = root() / "model",
                                  .port = port_};
    for (const std::string& site : kSites)
      if (site != "anna") federation.sybils.push_back(site_folder(site));
    scripted_ = std::make_unique<ScriptedCoordinator>(federation);
    events_.emplace(site_folder("anna") / "events.jsonl");
    start_site("anna");
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->victim_has_joined(); }));
    for (int round = 0; round < 2; ++round) {  // attacks repeat what was said in the round before
      scripted_->begin_round();
      finish_round();
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
    events_->next();
    const std::vector<Bytes> forged = attack.forge({*scripted_, scripted_->trapped()});
    ASSERT_FALSE(forged.empty());
    for (const Bytes& wire : forged) scripted_->send_to_victim(wire);
    std::string seen;
    const bool met = scripted_->serve_until([&] {
      for (const Json& event : events_->next()) {
        seen += event.dump() + "\n";
        if (event["event"] == attack.expected.event &&
            (attack.expected.reason.empty() || event["reason"] == attack.expected.reason))
          return true;
      }
      return false;
    });
    EXPECT_TRUE(met) << "expected " << attack.expected.event << " " << attack.expected.reason << ", saw\n" << seen;
    scripted_->release_all();
    finish_round();
  }

  void withhold(MessageKind kind) {
    scripted_->trap(kind);
    scripted_->begin_round();
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->is_trapped(); }));
    scripted_->give_up_round();
    scripted_->begin_round();
    finish_round();
  }

  bool has_kept_a_blame() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(site_folder("anna") / "runs"))
      if (entry.path().parent_path().filename() == "blame") return true;
    return false;
  }

  bool is_broken() const { return broken_; }
  void mark_broken() { broken_ = true; }

 private:
  // The victim applies the sum of the round, which an honest coordinator would have got too.
  void finish_round() {
    const RoundNumber round = scripted_->round();
    std::string seen;
    const bool applied = scripted_->serve_until([&] {
      for (const Json& event : events_->next()) {
        seen += event.dump() + "\n";
        if (event["event"] == "sum_applied" && event["round"] == round && event["in_sum"] == true) return true;
      }
      return scripted_->aborted().has_value();
    });
    ASSERT_FALSE(scripted_->aborted()) << to_string(scripted_->aborted()->reason) << scripted_->aborted()->detail;
    ASSERT_TRUE(applied) << "round " << round << " did not complete; events:\n" << seen;
    ASSERT_TRUE(scripted_->serve_until([&] { return scripted_->round_is_over(); }));
  }

  std::unique_ptr<ScriptedCoordinator> scripted_;
  std::optional<EventReader> events_;
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

std::string camel_case(std::string_view text) {
  std::string out;
  bool upper = true;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out;
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
