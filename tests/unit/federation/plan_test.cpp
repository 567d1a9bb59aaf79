// Failure class: plans that must not be run.
#include "federation/membership/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/hash.h"
#include "node/io/clock_difference.h"
#include "node/io/node_config.h"

namespace fovea::federation {
namespace {

using Json = nlohmann::ordered_json;

Json good_plan() {
  return Json::parse(R"({"fovea_plan":2,"name":"test","finding":{"kind":"lesion","modality":"MR"},
    "intake":{"normalisation":"mr-foreground","n4":false},"look":{"regions":32,"exploration":0.125,"nms_mm":10},
    "architecture":"probe-1000","seed":7,
    "stages":[{"name":"one","rounds":2,"trains":["probe."],
               "local_steps":5,"learning_rate":0.01,"server_learning_rate":1},
              {"name":"two","rounds":3,"trains":["probe."],
               "local_steps":5,"learning_rate":0.01,"server_learning_rate":1}],
    "strategy":{"name":"fedavg","weights":"equal","delta_max":0.5},"cohort":{"smallest":3,"largest":16},
    "secure_aggregation":{"colluders_max":1,"threshold":3,"honest_min":2},"privacy":{"mechanism":"none"},
    "deadlines":{"progress_s":60,"phase_s":20}})");
}

Result<membership::Plan> parse(const Json& plan) { return membership::Plan::parse(as_bytes(plan.dump())); }

TEST(PlanTest, IsKnownByTheHashOfItsExactBytes) {
  const std::string text = good_plan().dump();
  const membership::Plan plan = membership::Plan::parse(as_bytes(text)).value();
  EXPECT_EQ(plan.hash, crypto::sha256(as_bytes(text)));
  EXPECT_NE(plan.hash, membership::Plan::parse(as_bytes(text + "\n")).value().hash);
  EXPECT_EQ(plan.probe_size, 1000U);
  EXPECT_EQ(plan.rounds_total(), 5U);
  EXPECT_EQ(plan.position(3).value().stage_index, 1U);
  EXPECT_EQ(plan.position(3).value().stage_round, 1U);
  EXPECT_EQ(plan.position(0).error().code, ErrorCode::not_found);
  EXPECT_EQ(plan.position(6).error().code, ErrorCode::not_found);
}

TEST(PlanTest, N4IsForMrAndMustBeStatedEitherWay) {
  EXPECT_FALSE(parse(good_plan()).value().n4);
  Json plan = good_plan();
  plan["intake"]["n4"] = true;
  EXPECT_TRUE(parse(plan).value().n4);
  plan["intake"]["normalisation"] = "ct-lung";
  EXPECT_NE(parse(plan).error().message.find("plan.intake.n4: true is for MR"), std::string::npos);
}

TEST(PlanTest, AnIntensityStageComesFirstOnceAloneAndForCtOnly) {
  Json plan = good_plan();
  plan["intake"]["normalisation"] = "ct-lung";
  const Json stage = Json::parse(
      R"({"name":"intensity","rounds":1,"trains":["intensity."],
          "local_steps":1,"learning_rate":1,"server_learning_rate":1})");
  plan["stages"].insert(plan["stages"].begin(), stage);
  EXPECT_TRUE(parse(plan)) << parse(plan).error().message;
  const auto refused = [&plan](const char* pointer, const Json& value) {
    Json wrong = plan;
    wrong[Json::json_pointer(pointer)] = value;
    const auto parsed = parse(wrong);
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_NE(refused("/stages/0/rounds", 2).find("plan.stages[0]: the stage \"intensity\" comes first and has 1 round"),
            std::string::npos);
  EXPECT_NE(refused("/stages/0/server_learning_rate", 0.5).find("plan.stages[0].server_learning_rate"),
            std::string::npos);
  EXPECT_NE(refused("/stages/0/trains", Json::array({"intensity.", "probe."})).find("plan.stages[0].trains"),
            std::string::npos);
  EXPECT_NE(refused("/stages/1/trains", Json::array({"in"})).find("plan.stages[1].trains"), std::string::npos);
  EXPECT_NE(refused("/strategy/delta_max", 0.4).find("plan.strategy.delta_max"), std::string::npos);
  EXPECT_NE(refused("/intake/normalisation", "mr-foreground").find("is for CT"), std::string::npos);
  std::swap(plan["stages"][0], plan["stages"][1]);
  EXPECT_NE(parse(plan).error().message.find("plan.stages[1]: the stage \"intensity\" comes first"), std::string::npos);
}

TEST(PlanTest, EqualWeightsAreOneAndStudiesHaveAMaximum) {
  const membership::Plan equal = parse(good_plan()).value();
  EXPECT_EQ(equal.strategy.weights, membership::SiteWeights::equal);
  EXPECT_EQ(equal.strategy.weight_max, 1U);
  Json plan = good_plan();
  plan["strategy"] = {{"name", "fedavg"}, {"weights", "studies"}, {"weight_max", 100}, {"delta_max", 0.5}};
  const membership::Plan studies = parse(plan).value();
  EXPECT_EQ(studies.strategy.weights, membership::SiteWeights::studies);
  EXPECT_EQ(studies.strategy.weight_max, 100U);
  plan["strategy"]["weight_max"] = 0;
  EXPECT_NE(parse(plan).error().message.find("plan.strategy.weight_max"), std::string::npos);
}

TEST(PlanTest, WeightsByStudiesAreWarnedOfBelowTenSites) {
  EXPECT_EQ(parse(good_plan())->warning(), "");
  Json plan = good_plan();
  plan["strategy"] = {{"name", "fedavg"}, {"weights", "studies"}, {"weight_max", 100}, {"delta_max", 0.5}};
  const std::string warning = parse(plan)->warning();
  EXPECT_NE(warning.find("cohort.smallest = 3, below 10"), std::string::npos) << warning;
  EXPECT_NE(warning.find("exact number of studies"), std::string::npos) << warning;
  plan["cohort"]["smallest"] = 10;
  plan["secure_aggregation"]["threshold"] = 6;
  EXPECT_EQ(parse(plan)->warning(), "");
}

// Else "one sum on a model" is met by a thousand sums on models that are all but the same.
TEST(PlanTest, AStageThatHardlyMovesTheModelIsWarnedOf) {
  const auto warning_with = [](const Json& changes) {
    Json plan = good_plan();
    plan["stages"][1].update(changes["stage"]);
    plan["strategy"].update(changes.value("strategy", Json::object()));
    return parse(plan).value().warning();
  };
  const std::string tiny = warning_with({{"stage", {{"learning_rate", 1e-9}, {"server_learning_rate", 1e-3}}}});
  EXPECT_NE(tiny.find("stages[1] (5e-12): a sum moves no weight by more than about that"), std::string::npos) << tiny;
  EXPECT_EQ(tiny.find("stages[0]"), std::string::npos) << tiny;
  // The bound of a coordinate holds it still as well, whatever the rates.
  EXPECT_NE(warning_with({{"stage", Json::object()}, {"strategy", {{"delta_max", 1e-6}}}})
                .find("stages[0] (1e-06), stages[1] (1e-06)"),
            std::string::npos);
  EXPECT_EQ(warning_with({{"stage", {{"learning_rate", 2.1e-6}}}}), "");  // five steps
  EXPECT_NE(warning_with({{"stage", {{"learning_rate", 1.9e-6}}}}), "");
}

// A pointer into the plan, what to put there (null: remove), and what the error must name.
struct Change {
  const char* pointer;
  Json value;
  const char* named;
};

class BadPlanTest : public ::testing::TestWithParam<Change> {};

TEST_P(BadPlanTest, IsRefusedByName) {
  Json plan = good_plan();
  const Json::json_pointer pointer(GetParam().pointer);
  if (GetParam().value.is_null()) plan.at(pointer.parent_pointer()).erase(pointer.back());
  else plan[pointer] = GetParam().value;
  const auto parsed = parse(plan);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(parsed.error().message.find(GetParam().named), std::string::npos) << parsed.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadPlanTest,
    ::testing::Values(
        Change{"/fovea_plan", 1,
               "plan.fovea_plan: expected 2, found 1; plans of that format did not say how sites are weighted: write "
               "a new one with fovea-coordinator plan new"},
        Change{"/fovea_plan", 3, "plan.fovea_plan: expected 2, found 3; this program is older than the plan"},
        Change{"/strategy/weights", nullptr, "plan.strategy.weights: is missing"},
        Change{"/strategy/weights", "findings", "plan.strategy.weights: expected one of"},
        Change{"/strategy/weights", "studies", "plan.strategy.weight_max: is missing"},
        Change{"/strategy/weight_max", 1,
               "plan.strategy.weight_max: is for \"weights\": \"studies\"; with \"equal\" every site's weight is 1"},
        Change{"/name", "", "plan.name"}, Change{"/privacy/mechanism", nullptr, "plan.privacy.mechanism: is missing"},
        Change{"/privacy/mechanism", "gauss", "plan.privacy.mechanism"},
        Change{"/architecture", "probe-0", "plan.architecture"},
        Change{"/architecture", "probe-007", "plan.architecture"},
        Change{"/architecture", "probe-99999999999", "plan.architecture"},
        Change{"/architecture", "resnet", "plan.architecture"}, Change{"/seed", -1, "plan.seed"},
        Change{"/seed", 9007199254740992ULL, "plan.seed"}, Change{"/stages", Json::array(), "plan.stages"},
        Change{"/stages/1/name", "one", "plan.stages[1].name"}, Change{"/stages/0/rounds", 0, "plan.stages[0].rounds"},
        Change{"/stages/0/rounds", 10000, "plan.stages"},
        Change{"/stages/0/trains", Json::array(), "plan.stages[0].trains"},
        Change{"/stages/0/server_learning_rate", 0, "plan.stages[0].server_learning_rate"},
        Change{"/stages/1/server_learning_rate", nullptr, "plan.stages[1].server_learning_rate: is missing"},
        Change{"/look/exploration", 1.5, "plan.look.exploration"}, Change{"/cohort/largest", 2, "plan.cohort.largest"},
        Change{"/secure_aggregation/threshold", 2, "plan.secure_aggregation.threshold: expected 3 to 3"},
        Change{"/secure_aggregation/threshold", 4, "plan.secure_aggregation.threshold"},
        Change{"/secure_aggregation/honest_min", 3, "plan.secure_aggregation.honest_min"},
        Change{"/secure_aggregation/collduers_max", 1, "did you mean \"colluders_max\""},
        Change{"/finding/modality", "US", "plan.finding.modality"},
        Change{"/strategy/delta_max", 0, "plan.strategy.delta_max"},
        Change{"/deadlines/phase_s", "20", "plan.deadlines.phase_s: expected an integer 1 to 3600, found a text"}));

TEST(PolicyTest, APlanThatAsksForLessIsRefusedByTheRulesName) {
  const membership::Plan plan = parse(good_plan()).value();
  EXPECT_TRUE(node::io::check_policy({}, plan));
  const auto rule = [&](const node::io::PolicyConfig& policy) {
    const auto checked = node::io::check_policy(policy, plan);
    EXPECT_FALSE(checked.has_value());
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_NE(rule({.modalities = {"CT"}}).find("rule modalities"), std::string::npos);
  EXPECT_NE(rule({.cohort_min = 4}).find("rule cohort_min"), std::string::npos);
  EXPECT_NE(rule({.colluders_max = 2}).find("rule colluders_max"), std::string::npos);
  EXPECT_NE(rule({.honest_min = 3}).find("rule honest_min"), std::string::npos);
  EXPECT_NE(rule({.rounds_max = 4}).find("rule rounds_max"), std::string::npos);
  EXPECT_NE(rule({.weights = {"studies"}}).find("rule weights: the plan has \"equal\""), std::string::npos);
  EXPECT_TRUE(node::io::check_policy({.weights = {"equal"}}, plan));
}

TEST(PolicyTest, TheRuleThatRefusesAPlanIsNamedWithBothValues) {
  const membership::Plan plan = parse(good_plan()).value();
  const auto rule = [&](const node::io::PolicyConfig& policy) {
    return node::io::broken_rule(policy, plan).value_or("");
  };
  EXPECT_EQ(rule({}), "");
  EXPECT_EQ(rule({.cohort_min = 4}), "cohort_min = 4 (the plan has 3)");
  EXPECT_EQ(rule({.colluders_max = 2}), "colluders_max = 2 (the plan has 1)");
  EXPECT_EQ(rule({.honest_min = 3}), "honest_min = 3 (the plan has 2)");
  EXPECT_EQ(rule({.modalities = {"CT", "PET"}}),
            "modalities = [\"CT\", \"PET\"] (the plan has \"" + plan.finding.modality + "\")");
  EXPECT_EQ(rule({.weights = {"studies"}}), "weights = [\"studies\"] (the plan has \"equal\")");
  EXPECT_EQ(rule({.rounds_max = 4}), "rounds_max = 4 (the plan has " + std::to_string(plan.rounds_total()) + ")");
}

// A plan of which no round would be taken is not begun: m = 1, t = 3 and h = 2 leave no room for a stranger.
TEST(PolicyTest, APlanWaitsUntilEnoughOfTheRosterIsAccepted) {
  const membership::Plan plan = parse(good_plan()).value();
  const auto check = [&](std::size_t roster, std::size_t known) {
    return node::io::check_acquaintances({}, plan, {.roster_sites = roster, .known = known});
  };
  const auto alone = check(4, 1);
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().code, ErrorCode::permission_denied);
  EXPECT_NE(alone.error().message.find("3 of the roster's 4 sites are not accepted here"), std::string::npos)
      << alone.error().message;
  EXPECT_FALSE(check(4, 2));
  EXPECT_TRUE(check(4, 3));  // a round of those three
  EXPECT_TRUE(check(4, 4));
  EXPECT_TRUE(check(2, 1));     // too small for the plan in any case: the coordinator waits for more sites
  EXPECT_TRUE(check(1000, 1));  // a neighbour graph: each round decides
}

TEST(ClockDifference, SaysWhichWayAClockIsOffAndByHowMuch) {
  using node::io::clock_difference_text;
  constexpr std::int64_t kMinute = 60'000;
  EXPECT_EQ(clock_difference_text(-11 * kMinute),
            "this machine's clock is 11 minutes behind the coordinator's: set it right");
  EXPECT_EQ(clock_difference_text(3 * 60 * kMinute),
            "this machine's clock is 3 hours ahead of the coordinator's: set it right");
  EXPECT_EQ(clock_difference_text(8 * 24 * 60 * kMinute),
            "this machine's clock is 8 days ahead of the coordinator's: set it right");
  EXPECT_EQ(clock_difference_text(kMinute), "this machine's clock agrees with the coordinator's");
}

// One cause, said once: not "check this machine's clock" beside "it agrees".
TEST(ClockDifference, ARosterOutOfItsTimeIsTheClocksOrTheAdministratorsMatter) {
  using node::io::invalid_roster_text;
  constexpr std::int64_t kDay = 24 * 3'600'000;
  membership::Roster roster;
  roster.epoch = 3;
  roster.valid_from = UnixMs{10 * kDay};
  roster.valid_until = UnixMs{17 * kDay};
  EXPECT_EQ(invalid_roster_text(roster, UnixMs{12 * kDay}, 8 * kDay), "");
  EXPECT_EQ(invalid_roster_text(roster, UnixMs{2 * kDay}, -9 * kDay),
            "the roster of epoch 3 is not valid yet, but this machine's clock is 9 days behind the "
            "coordinator's: set it right");
  EXPECT_EQ(invalid_roster_text(roster, UnixMs{20 * kDay}, 8 * kDay),
            "the roster of epoch 3 has run out, but this machine's clock is 8 days ahead of the "
            "coordinator's: set it right");
  for (const std::string& agrees :
       {invalid_roster_text(roster, UnixMs{2 * kDay}, 0), invalid_roster_text(roster, UnixMs{20 * kDay}, 0)}) {
    EXPECT_NE(agrees.find("administrator"), std::string::npos) << agrees;
    EXPECT_EQ(agrees.find("check this machine's clock"), std::string::npos) << agrees;
  }
  EXPECT_NE(invalid_roster_text(roster, UnixMs{2 * kDay}, std::nullopt).find("check this machine's clock"),
            std::string::npos);
}

}  // namespace
}  // namespace fovea::federation
