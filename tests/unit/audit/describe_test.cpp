// Failure class: a report that says "unknown" of a message which the gate lets out.
#include "audit/describe.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "federation/messages/message_kind.h"

namespace fovea::audit {
namespace {

TEST(Describe, EveryKindOfMessageThatASiteSendsHasAMeaningAndALimitOfItsOwn) {
  const std::string_view unknown = kind_meaning("no-such-kind");
  std::set<std::string_view> meanings;
  for (const federation::messages::MessageKindInfo& kind : federation::messages::kMessageKinds) {
    if (!federation::messages::is_from_site(kind.kind)) {
      EXPECT_EQ(kind_meaning(kind.name), unknown) << kind.name << " never leaves a site";
      continue;
    }
    EXPECT_NE(kind_meaning(kind.name), unknown) << kind.name;
    EXPECT_NE(kind_limit(kind.name), kind_limit("no-such-kind")) << kind.name;
    meanings.insert(kind_meaning(kind.name));
  }
  EXPECT_EQ(kind_count(), 12U);
  EXPECT_EQ(meanings.size(), kind_count());
}

TEST(Describe, OneOfAThingIsNotSeveral) {
  EXPECT_EQ(byte_text(1), "1 byte");
  const federation::ledger::RosterEpoch alone{.epoch = 1, .roster = {}, .sites = 1};
  EXPECT_NE(one_line(alone).find("1 site"), std::string::npos);
  for (const std::string& text : {one_line(alone), explanation(0, {UnixMs{0}, alone})})
    EXPECT_EQ(text.find("1 sites"), std::string::npos) << text;
}

TEST(Describe, BytesAreGivenInTheUnitThatAPersonReads) {
  EXPECT_EQ(byte_text(9'831), "9831 bytes");
  EXPECT_EQ(byte_text(983'149), "983.1 kB");
  EXPECT_EQ(byte_text(3'900'000), "3.9 MB");
}

}  // namespace
}  // namespace fovea::audit
