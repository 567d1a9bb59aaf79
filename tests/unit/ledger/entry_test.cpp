// Failure class: an entry that says something else to an auditor than to the site that wrote it.
#include "federation/ledger/entry.h"

#include <gtest/gtest.h>

#include "tests/support/ledger_folder.h"

namespace fovea::federation {
namespace {

using test::kTestTime;

ledger::RoundKey some_key() { return {RunId{test::hex_array<16>("000102030405060708090a0b0c0d0e0f")}, 3, 2}; }
Digest digest(std::uint8_t fill) {
  Digest out;
  out.fill(fill);
  return out;
}

ledger::EgressIntent some_intent() {
  ledger::EgressIntent intent{.site = SiteId::create("st-anna").value()};
  intent.key = some_key();
  intent.destination = digest(1);
  intent.kind = "masked-chunk";
  intent.payload = digest(2);
  intent.body = digest(8);
  intent.length = 983'149;
  intent.software = digest(3);
  intent.binding = ledger::PlanBinding{digest(4), digest(5), digest(6), digest(7), "0.05", "none", "none"};
  intent.bytes_spent = 983'149;
  intent.bytes_left = 17;
  intent.checks = {"kind", "length", "plan", "model", "uniform", "cohort", "budget"};
  intent.previous = 12;
  return intent;
}

ledger::IngressReceipt some_receipt() {
  ledger::IngressReceipt receipt{SiteId::create("st-anna").value(), some_key(), "masked-chunk", digest(2), 983'149};
  receipt.proof = ledger::SiteSignature{.envelope = 2, .epoch = 7, .body = digest(8), .signature = {}};
  return receipt;
}

std::vector<ledger::LedgerEntry> one_of_each() {
  ledger::EgressIntent session{.site = SiteId::create("st-anna").value()};
  session.kind = "hello";
  return {
      ledger::PlanApproved{digest(1), digest(2), {1, 2, 3}},
      ledger::PlanWithdrawn{digest(1), digest(2), {4}},
      ledger::RosterEpoch{7, digest(3), 4},
      ledger::RosterAccepted{
          SiteId::create("st-anna").value(), digest(1), digest(2), digest(3), digest(4), digest(5), {6, 7}},
      ledger::RosterWithdrawn{
          SiteId::create("st-anna").value(), digest(1), digest(2), digest(3), digest(4), digest(5), {8}},
      ledger::RoundOpen{some_key(), digest(1), digest(2), digest(3), digest(4), 4, 3, 2000},
      ledger::InputSealed{some_key(), digest(5)},
      some_intent(),
      session,
      ledger::EgressSent{5, 2},
      ledger::IngressReceipt{SiteId::create("st-anna").value(), some_key(), "masked-chunk", digest(2), 983'149},
      some_receipt(),
      ledger::SiteBlamed{SiteId::create("st-anna").value(), digest(1), some_key().run, 3, "bad-signature", digest(2)},
      ledger::SitePardoned{SiteId::create("st-anna").value(), some_key().run, digest(2), digest(3)},
      ledger::RoundClose{some_key(), "applied", digest(9), 4},
      ledger::Incident{"plan", "nobody approved it"}};
}

TEST(LedgerEntry, ReadsBackWhatItWrites) {
  for (const ledger::LedgerEntry& entry : one_of_each()) {
    const std::string text = ledger::encode_entry({kTestTime, entry}).value();
    const ledger::StampedEntry back = ledger::decode_entry(as_bytes(text), "entry").value();
    EXPECT_EQ(back.at, kTestTime);
    EXPECT_EQ(ledger::entry_type(back.body), ledger::entry_type(entry));
    EXPECT_EQ(ledger::encode_entry(back).value(), text);
  }
}

TEST(LedgerEntry, SaysWhatASiteCountsForAndReadsLedgersThatDoNot) {
  ledger::EgressIntent intent = some_intent();
  const auto back = [&] {
    const std::string text = ledger::encode_entry({kTestTime, intent}).value();
    return std::get<ledger::EgressIntent>(ledger::decode_entry(as_bytes(text), "entry").value().body).binding->weights;
  };
  EXPECT_FALSE(back().has_value());
  intent.binding->weights = "equal";
  EXPECT_EQ(back(), "equal");
  std::string text = ledger::encode_entry({kTestTime, intent}).value();
  text.replace(text.find("\"weights\":\"equal\""), 17, "\"weights\":\"other\"");
  EXPECT_FALSE(ledger::decode_entry(as_bytes(text), "entry"));
}

// Pins the format: a change here breaks every ledger on disk and must come with a new version and document.
TEST(LedgerEntry, HasAFixedTextForm) {
  EXPECT_EQ(
      ledger::encode_entry({kTestTime, some_intent()}).value(),
      R"({"approver":"0707070707070707070707070707070707070707070707070707070707070707",)"
      R"("at_ms":1700000000000,"attempt":2,)"
      R"("body":"0808080808080808080808080808080808080808080808080808080808080808",)"
      R"("bytes_left":17,"bytes_spent":983149,"checks":["kind","length","plan","model","uniform","cohort","budget"],)"
      R"("clip":"0.05","kind":"masked-chunk","length":983149,)"
      R"("model":"0505050505050505050505050505050505050505050505050505050505050505",)"
      R"("noise":"none","payload":"0202020202020202020202020202020202020202020202020202020202020202",)"
      R"("plan":"0404040404040404040404040404040404040404040404040404040404040404","previous":12,"privacy":"none",)"
      R"("roster":"0606060606060606060606060606060606060606060606060606060606060606","round":3,)"
      R"("run":"000102030405060708090a0b0c0d0e0f","site":"st-anna",)"
      R"("software":"0303030303030303030303030303030303030303030303030303030303030303",)"
      R"("to":"0101010101010101010101010101010101010101010101010101010101010101","type":"egress.intent","v":2})");
}

TEST(LedgerEntry, RefusesEveryChangeOfForm) {
  for (const ledger::LedgerEntry& entry : one_of_each()) {
    const std::string text = ledger::encode_entry({kTestTime, entry}).value();
    EXPECT_FALSE(ledger::decode_entry(as_bytes(text + " "), "entry"));
    EXPECT_FALSE(ledger::decode_entry(as_bytes(text.substr(0, text.size() - 1)), "entry"));
    std::string extra = text;
    extra.insert(extra.find("\"type\""), "\"note\":1,");  // between two keys and out of order, or unknown
    EXPECT_FALSE(ledger::decode_entry(as_bytes(extra), "entry"));
    std::string version = text;
    const std::size_t at = version.find("\"v\":") + 4;
    version[at] = version[at] == '1' ? '2' : '1';  // the fields of the one under the number of the other
    EXPECT_FALSE(ledger::decode_entry(as_bytes(version), "entry"));
    std::string type = text;
    type.replace(type.find("\"type\":\"") + 8, 1, "x");
    EXPECT_FALSE(ledger::decode_entry(as_bytes(type), "entry"));
  }
}

TEST(LedgerEntry, ReadsTheFirstVersionsOfIntentsAndReceipts) {
  ledger::EgressIntent intent = some_intent();
  intent.body.reset();
  ledger::IngressReceipt receipt = some_receipt();
  receipt.proof.reset();
  for (const ledger::LedgerEntry& entry : {ledger::LedgerEntry(intent), ledger::LedgerEntry(receipt)}) {
    const std::string text = ledger::encode_entry({kTestTime, entry}).value();
    EXPECT_NE(text.find("\"v\":1"), std::string::npos);
    EXPECT_TRUE(ledger::decode_entry(as_bytes(text), "entry"));
  }
}

TEST(LedgerEntry, RefusesValuesOutsideTheirBounds) {
  EXPECT_FALSE(ledger::encode_entry({UnixMs{-1}, ledger::Incident{"plan", ""}}));
  EXPECT_FALSE(ledger::encode_entry({kTestTime, ledger::Incident{"", ""}}));
  EXPECT_FALSE(ledger::encode_entry({kTestTime, ledger::Incident{"plan", std::string(501, 'x')}}));
  EXPECT_FALSE(ledger::encode_entry({kTestTime, ledger::EgressSent{0, 0}}));
  EXPECT_FALSE(ledger::encode_entry({kTestTime, ledger::RoundClose{some_key(), "perhaps", digest(0), 1}}));
  ledger::EgressIntent huge = some_intent();
  huge.length = std::uint64_t{1} << 53U;
  EXPECT_FALSE(ledger::encode_entry({kTestTime, huge}));
  EXPECT_FALSE(ledger::encode_entry({kTestTime, ledger::PlanApproved{{}, {}, Bytes(20'000)}}));
}

TEST(LedgerOrigin, IsSafeInANote) {
  EXPECT_EQ(ledger::ledger_origin("nordic-mr", "st-anna"), "nordic-mr/st-anna");
  EXPECT_EQ(ledger::ledger_origin("Nordic trial+/1", ledger::kCoordinatorOwner), "Nordic%20trial%2b%2f1/coordinator");
  EXPECT_TRUE(crypto::NoteKey::create(ledger::ledger_origin("a b\n+\xc3\xa9", "st-anna"), {}));
}

}  // namespace
}  // namespace fovea::federation
