// Failure class: a member that connects again and again, until no descriptor or no number of a connection is left. The
// handler is asked as libzmq asks it, under a clock of the test's.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "coordinator/io/zap_handler.h"

namespace fovea::coordinator::io {
namespace {

using federation::io::CurvePublicKey;

class HandClock final : public Clock {
 public:
  MonotonicMs monotonic() const override { return now; }
  UnixMs wall() const override { return {}; }
  MonotonicMs now{1'000'000};
};

class ZapHandlerTest : public ::testing::Test {
 protected:
  ZapHandlerTest() {
    asker_.set(zmq::sockopt::linger, 0);
    asker_.connect("inproc://zeromq.zap.01");
  }

  // The status code of the answer, for a client with this key.
  std::string ask(const CurvePublicKey& key, const std::string& mechanism = "CURVE") {
    const std::vector<std::string> frames = {"",          "1.0", "7",       std::string(federation::io::kZapDomain),
                                             "192.0.2.1", "",    mechanism, std::string(key.begin(), key.end())};
    for (std::size_t i = 0; i < frames.size(); ++i)
      asker_.send(zmq::buffer(frames[i]), i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    handler_.answer_waiting();
    std::vector<std::string> answer;
    zmq::message_t frame;
    do {
      if (!asker_.recv(frame, zmq::recv_flags::dontwait)) return "no answer";
      answer.push_back(frame.to_string());
    } while (frame.more());
    EXPECT_EQ(answer.size(), 7U);
    EXPECT_EQ(answer.at(2), "7");
    EXPECT_EQ(answer.at(5), answer.at(3) == "200" ? admit(key)->text() : "");
    return answer.at(3);
  }
  std::int64_t admitted_of(int asked, const CurvePublicKey& key) {
    std::int64_t out = 0;
    for (int i = 0; i < asked; ++i) out += ask(key) == "200" ? 1 : 0;
    return out;
  }
  static std::optional<SiteId> admit(const CurvePublicKey& key) {
    if (key == kAnna) return SiteId::create("anna").value();
    if (key == kBerta) return SiteId::create("berta").value();
    return std::nullopt;
  }

  static inline const CurvePublicKey kAnna{1}, kBerta{2}, kStranger{3};
  HandClock clock_;
  zmq::context_t context_;
  ZapHandler handler_{context_, admit, clock_};
  zmq::socket_t asker_{context_, zmq::socket_type::dealer};
};

// L11 of docs/protocol.md, with its numbers.
TEST_F(ZapHandlerTest, AMemberConnectsSixtyTimesAtOnceAndThenOnceInTwoSeconds) {
  EXPECT_EQ(admitted_of(100, kAnna), 60);
  clock_.now.value += 1'999;
  EXPECT_EQ(ask(kAnna), "400");
  clock_.now.value += 1;
  EXPECT_EQ(admitted_of(10, kAnna), 1);
  clock_.now.value += 10 * 2'000;
  EXPECT_EQ(admitted_of(100, kAnna), 10);
  // However long it was away, no more than the burst.
  clock_.now.value += 24LL * 3600 * 1000;
  EXPECT_EQ(admitted_of(100, kAnna), 60);
  EXPECT_EQ(handler_.accepted_count(), 131U);
  EXPECT_EQ(handler_.refused_count(), 311U - 131U);
}

TEST_F(ZapHandlerTest, NeitherAMemberNorAStrangerTakesTheHandshakesOfAnother) {
  EXPECT_EQ(admitted_of(200, kStranger), 0);
  EXPECT_EQ(admitted_of(61, kAnna), 60);
  EXPECT_EQ(admitted_of(200, kStranger), 0);
  EXPECT_EQ(admitted_of(61, kBerta), 60);
  clock_.now.value += 2'000;
  EXPECT_EQ(ask(kAnna), "200");
  EXPECT_EQ(ask(kBerta), "200");
}

TEST_F(ZapHandlerTest, NothingButCurveIsLetIn) {
  for (const char* mechanism : {"NULL", "PLAIN", "GSSAPI", ""}) EXPECT_EQ(ask(kAnna, mechanism), "400") << mechanism;
  EXPECT_EQ(ask(kAnna), "200");
}

}  // namespace
}  // namespace fovea::coordinator::io
