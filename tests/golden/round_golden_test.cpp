// A frozen round of five sites in which one drops out after its shares: every message, byte for byte, as direction,
// site, kind and SHA-256, then the parameters hash, the opened secrets and the sum. A change of the wire format, of a
// statement or of a derivation shows here. To accept one: FOVEA_GOLDEN_WRITE=1 round_golden_test, and say why in the
// commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "crypto/hash.h"
#include "tests/simulation/world.h"

namespace fovea::test {
namespace {

constexpr const char* kPath = FOVEA_SOURCE_DIR "/tests/golden/five_sites_one_dropout.txt";

std::string transcript_of_the_round() {
  World world({.sites = 5, .seed = 2026, .rounds = 1, .faults = {}});
  std::ostringstream text;
  world.intercept = [&, dead = false](Delivery& delivery) mutable {
    const auto kind = federation::messages::claimed_kind(delivery.wire).value();
    if (delivery.site == 2 && dead) return false;
    if (delivery.site == 2 && kind == federation::messages::MessageKind::shares) dead = true;
    text << (delivery.direction == Direction::to_site ? "to   " : "from ")
         << world.federation().id(delivery.site).text() << ' ' << federation::messages::to_string(kind) << ' '
         << delivery.wire.size() << ' ' << to_hex(crypto::sha256(delivery.wire)) << '\n';
    return true;
  };
  world.run([&] { return !world.results().empty(); });
  if (world.results().empty() || !world.violations().empty()) return "the round did not end";
  const coordinator::round::RoundResult& result = world.results().front();
  text << "parameters " << to_hex(result.evidence.parameters.hash()) << '\n';
  text << "consistency " << to_hex(result.evidence.consistency()) << '\n';
  text << "transcript " << to_hex(result.transcript) << '\n';
  for (const auto& opened : result.evidence.opened)
    text << "opened " << opened.site << (opened.kind == federation::messages::RevealedSecret::self_seed ? " b " : " s ")
         << to_hex(opened.value) << '\n';
  for (const std::uint32_t word : result.sum.words) text << "sum " << word << '\n';
  return text.str();
}

TEST(RoundGolden, FiveSitesOneDropout) {
  const std::string now = transcript_of_the_round();
  if (std::getenv("FOVEA_GOLDEN_WRITE") != nullptr) {
    std::ofstream(kPath) << now;
    GTEST_SKIP() << "written: " << kPath;
  }
  std::ifstream file(kPath);
  std::stringstream frozen;
  frozen << file.rdbuf();
  ASSERT_TRUE(file.good() || !frozen.str().empty()) << "missing " << kPath;
  EXPECT_EQ(frozen.str(), now);
}

TEST(RoundGolden, TheTranscriptIsOfARoundThatEnded) {
  const std::string now = transcript_of_the_round();
  EXPECT_NE(now.find("opened 2 s "), std::string::npos) << "the drop-out's mask key was opened";
  EXPECT_EQ(now.find("opened 2 b "), std::string::npos) << "and its self seed was not";
  EXPECT_NE(now.find("opened 4 b "), std::string::npos);
}

}  // namespace
}  // namespace fovea::test
