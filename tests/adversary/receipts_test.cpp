// Failure class: one party's word about another. A real run leaves its ledgers; then the coordinator has receipts of
// messages that anna never sent, or anna denies one that it did send, and fovea-audit says who of them it was.
#include <csignal>
#include <cstdint>
#include <fstream>

#include "coordinator/registry/coordinator_folder.h"
#include "crypto/signed_note.h"
#include "federation/ledger/ledger.h"
#include "federation/messages/site_messages.h"
#include "node/io/site_folder.h"
#include "node/io/zmq_transport.h"
#include "tests/adversary/copied_federation.h"
#include "tests/adversary/scripted_site.h"

namespace fovea::test {
namespace {

using federation::ledger::IngressReceipt;
using federation::messages::MessageKind;

constexpr int kIntegrity = 7;

class ReceiptsTest : public CopiedFederationTest {
 protected:
  void begin_run(int rounds) {
    make_plan({.rounds = rounds});
    for (const std::string& site : kSites) set_node_setting(site, "probe_delay_ms = 0", "probe_delay_ms = 50");
    serve();
    start_all_sites();
  }
  void stop(Program& program) {
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(kPatience), 0) << program.standard_error();
  }
  void stop_sites() {
    for (auto& [name, site] : sites_) stop(site);
  }

  Outcome audit(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--json", "--quiet"});
    const Json invite = Json::parse(Json::parse(read_text(home() / "invite.json"))["document"].get<std::string>());
    arguments.insert(arguments.end(), {"--roster", (home() / "roster.json").string()});
    for (const Json& key : invite["administrators"])
      arguments.insert(arguments.end(), {"--admin", key.get<std::string>()});
    return run_program("fovea-audit", arguments, root() / ("audit-" + std::to_string(++commands_)));
  }
  Outcome reconcile() {
    std::vector<std::string> arguments{"reconcile", "--coordinator", home().string()};
    for (const std::string& site : kSites) arguments.insert(arguments.end(), {"--site", site_folder(site).string()});
    return audit(arguments);
  }
  // Whom the one receipt of anna's that its ledger does not know of convicts.
  void expect_convicted(const std::string& whom) {
    const Outcome outcome = reconcile();
    EXPECT_EQ(outcome.exit_code, kIntegrity) << outcome.out << outcome.err;
    const Json anna = Json::parse(outcome.out)["data"]["sites"]["anna"];
    ASSERT_EQ(anna["unlogged_receipts"].size(), 1U) << anna;
    EXPECT_EQ(anna["unlogged_receipts"][0]["convicts"], whom);
    EXPECT_EQ(anna["against_site"]["messages"], whom == "site" ? 1 : 0);
    EXPECT_EQ(anna["against_coordinator"]["messages"], whom == "coordinator" ? 1 : 0);
  }

  struct OpenLedger {
    federation::ledger::Ledger ledger;
    std::vector<federation::ledger::LedgerEntry> entries;
  };
  // Of the coordinator, by whoever has its keys: the coordinator.
  OpenLedger coordinators_ledger() {
    const coordinator::registry::CoordinatorFolder folder(home());
    std::vector<federation::ledger::LedgerEntry> entries;
    auto ledger = federation::ledger::Ledger::open(
        {.folder = folder.ledger(),
         .origin = federation::ledger::ledger_origin(folder.federation().value().federation, "coordinator"),
         .key = folder.keys().value().signing.copy()},
        [&](std::uint64_t, const federation::ledger::StampedEntry& entry) {
          entries.push_back(entry.body);
          return Result<void>();
        });
    EXPECT_TRUE(ledger.has_value()) << ledger.error().message;
    return {std::move(ledger).value(), std::move(entries)};
  }
};

// ---- receipts that the coordinator made up

struct InventedReceipt {
  const char* name;
  std::function<void(IngressReceipt&, const IngressReceipt& other)> change;  // of one of anna's; another site's
};

// One run for all of them, and each a copy of what it left.
class AfterARun : public ReceiptsTest {
 protected:
  void SetUp() override {
    if (!ran_) {
      ReceiptsTest::SetUp();
      begin_run(2);
      ASSERT_EQ(server_->wait(kPatience), 0) << server_->standard_error();
      stop_sites();
      ASSERT_EQ(reconcile().exit_code, 0);
      ran_ = std::make_unique<TemporaryFolder>();
      std::filesystem::copy(root(), ran_->path(), std::filesystem::copy_options::recursive);
      return;
    }
    std::filesystem::copy(ran_->path(), root(), std::filesystem::copy_options::recursive);
  }
  static void TearDownTestSuite() { ran_.reset(); }
  static inline std::unique_ptr<TemporaryFolder> ran_;
};

class Invented : public AfterARun, public ::testing::WithParamInterface<InventedReceipt> {};

TEST_P(Invented, ReceiptConvictsTheCoordinator) {
  OpenLedger open = coordinators_ledger();
  const auto last_of = [&](const char* site) {
    IngressReceipt out{.site = SiteId::create(site).value()};
    for (const federation::ledger::LedgerEntry& entry : open.entries)
      if (const auto* receipt = std::get_if<IngressReceipt>(&entry);
          receipt != nullptr && receipt->site == out.site && receipt->kind == "training-ready")
        out = *receipt;
    return out;
  };
  IngressReceipt invented = last_of("anna");
  ASSERT_TRUE(invented.proof.has_value());
  GetParam().change(invented, last_of("berta"));
  const federation::ledger::LedgerEntry entry = invented;
  ASSERT_TRUE(open.ledger.append(SystemClock().wall(), {&entry, 1}).has_value());
  ASSERT_TRUE(open.ledger.publish().has_value());
  expect_convicted("coordinator");
  EXPECT_EQ(audit({"verify", home().string()}).exit_code, kIntegrity);  // its ledger is not sound by itself, too
}

INSTANTIATE_TEST_SUITE_P(Attacks, Invented,
                         ::testing::Values(InventedReceipt{"OfAMessageThatNobodySigned",
                                                           [](IngressReceipt& r, const IngressReceipt&) {
                                                             r.payload[0] ^= 1;
                                                             r.proof->signature[5] ^= 1;
                                                           }},
                                           InventedReceipt{"WithTheSignatureOfAnotherMessage",
                                                           [](IngressReceipt& r, const IngressReceipt&) {
                                                             r.payload[0] ^= 1;
                                                             r.kind = "unmask-shares";
                                                             r.key.round = 1;
                                                             r.key.attempt = 1;
                                                           }},
                                           InventedReceipt{"OfAnotherSitesMessage",
                                                           [](IngressReceipt& r, const IngressReceipt& other) {
                                                             const SiteId site = r.site;
                                                             r = other;
                                                             r.site = site;
                                                           }}),
                         [](const auto& row) { return row.param.name; });

// ---- what a hospital's operator writes, who has its log key

class Rewritten : public AfterARun {
 protected:
  // The first of dora's entries, as `change` leaves them, under its key in another folder; all of them, with one of
  // now.
  std::filesystem::path write_anew(std::size_t count,
                                   const std::function<void(federation::ledger::LedgerEntry&)>& change) {
    const node::io::SiteFolder dora(site_folder("dora"));
    const std::filesystem::path folder = root() / "anew";
    const std::string origin = federation::ledger::ledger_origin("test-federation", "dora");
    const auto key = [&dora] { return dora.keys().value().log.copy(); };
    std::vector<federation::ledger::StampedEntry> entries;
    const auto keep = [&entries](std::uint64_t, const federation::ledger::StampedEntry& entry) {
      entries.push_back(entry);
      return Result<void>();
    };
    EXPECT_TRUE(
        federation::ledger::Ledger::open({.folder = dora.ledger(), .origin = origin, .key = key()}, keep).has_value());
    auto written = federation::ledger::Ledger::open({.folder = folder, .origin = origin, .key = key()}).value();
    for (std::size_t i = 0; i < std::min(count, entries.size()); ++i) {
      change(entries[i].body);
      EXPECT_TRUE(written.append(entries[i].at, {&entries[i].body, 1}).has_value());
    }
    const federation::ledger::LedgerEntry later = federation::ledger::Incident{"load", "later"};
    const bool goes_on = count > entries.size();
    EXPECT_TRUE(!goes_on || written.append(SystemClock().wall(), {&later, 1}).has_value());
    EXPECT_TRUE(written.publish().has_value());
    return folder;
  }
  Outcome reconcile_with(const std::vector<std::filesystem::path>& doras) {
    std::vector<std::string> arguments{"reconcile", "--coordinator", home().string()};
    for (const std::string& site : kSites)
      if (site != "dora") arguments.insert(arguments.end(), {"--site", site_folder(site).string()});
    for (const auto& dora : doras) arguments.insert(arguments.end(), {"--site", dora.string()});
    return audit(arguments);
  }
  // Of the ledger of a hospital in the first round, what it has recorded before its first statement.
  std::size_t entries_before_the_first_statement() {
    const std::vector<Json> entries = entries_of(site_folder("dora"));
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (entries[i].value("kind", "") == "masked-statement") return i;
    ADD_FAILURE() << "no statement";
    return 0;
  }
};

TEST_F(Rewritten, ASecondLedgerOfOneSiteConvictsItThoughTheyExplainEverythingTogether) {
  const std::size_t common = entries_before_the_first_statement();
  std::size_t at = 0;
  const auto second = write_anew(common + 1, [&](federation::ledger::LedgerEntry& entry) {
    if (at++ == common) entry = federation::ledger::Incident{"load", "another history"};
  });
  const Outcome outcome = reconcile_with({site_folder("dora"), second});
  EXPECT_EQ(outcome.exit_code, kIntegrity) << outcome.out << outcome.err;
  const Json data = Json::parse(outcome.out)["data"];
  EXPECT_EQ(data["verdict"], "fail");
  EXPECT_EQ(data["unlogged_bytes"], 0);
  EXPECT_EQ(data["sites"]["dora"]["forked"], true);
  EXPECT_EQ(data["sites"]["anna"]["forked"], false);
  EXPECT_EQ(audit({"verify", site_folder("dora").string(), second.string()}).exit_code, kIntegrity);
  EXPECT_EQ(reconcile_with({site_folder("dora"), site_folder("dora") / "ledger"}).exit_code, 0);  // one, given twice
  std::filesystem::remove_all(second);
  EXPECT_EQ(reconcile_with({site_folder("dora"), write_anew(common, [](auto&) {})}).exit_code, 0);  // an older copy
}

TEST_F(Rewritten, AWholeLedgerInTheOldFormIsNoExcuse) {
  const std::size_t kept = entries_before_the_first_statement();
  std::size_t at = 0;
  const auto old = write_anew(SIZE_MAX, [&](federation::ledger::LedgerEntry& entry) {
    if (auto* intent = std::get_if<federation::ledger::EgressIntent>(&entry)) intent->body.reset();
    if (at++ >= kept) entry = federation::ledger::Incident{"load", "nothing left"};
  });
  EXPECT_EQ(audit({"verify", old.string()}).exit_code, 0);  // by itself it can be read, and breaks no rule
  const Outcome outcome = reconcile_with({old});
  EXPECT_EQ(outcome.exit_code, kIntegrity);
  const Json dora = Json::parse(outcome.out)["data"]["sites"]["dora"];
  EXPECT_GT(dora["unlogged"]["messages"], 0);
  EXPECT_EQ(dora["against_site"], dora["unlogged"]);
}

// Whoever ends his ledger before what he denies has handed in an old copy, for all that the auditor can see: it
// convicts nobody, and does not pass.
TEST_F(Rewritten, ALedgerThatIsCutShortDoesNotPass) {
  const auto cut = write_anew(entries_before_the_first_statement() / 2, [](auto&) {});
  const Outcome outcome = reconcile_with({cut});
  EXPECT_EQ(outcome.exit_code, kIntegrity);
  const Json data = Json::parse(outcome.out)["data"];
  EXPECT_EQ(data["verdict"], "unverified");
  EXPECT_GT(data["sites"]["dora"]["unlogged"]["messages"], 0);
  EXPECT_EQ(data["sites"]["dora"]["against_site"]["messages"], 0);
  EXPECT_NE(data["sites"]["dora"]["lacking"][0].get<std::string>().find("the copy of dora's ledger ends at"),
            std::string::npos);
}

TEST_F(Rewritten, ACheckpointOfEntriesThatAreNowhereEndsTheAuditSoon) {
  const node::io::SiteFolder dora(site_folder("dora"));
  const crypto::Checkpoint claim{"test-federation/dora", 10'000'000'000, {}};
  const auto note = crypto::sign_note(claim.text(), claim.origin, dora.keys().value().log).value();
  std::ofstream(dora.ledger() / "checkpoint") << note.serialize();
  const Outcome outcome = audit({"verify", site_folder("dora").string()});
  EXPECT_EQ(outcome.exit_code, kIntegrity);
  EXPECT_EQ(Json::parse(outcome.out)["data"]["ledgers"][0]["findings"][0]["where"], "checkpoint");
}

// ---- a message that the hospital denies

class Denied : public ReceiptsTest {
 protected:
  // One message of anna's, with its own keys.
  void send_past_the_gate_of_anna() {
    const SiteIdentity anna = SiteIdentity::of(site_folder("anna"));
    const auto invite = coordinator::registry::CoordinatorFolder(home()).federation().value();
    const auto transport = node::io::ZmqTransport::connect({.endpoint = "tcp://127.0.0.1:" + std::to_string(port_),
                                                            .coordinator_key = invite.coordinator_transport_key},
                                                           anna.keys.transport)
                               .value();
    federation::messages::Hello hello;
    hello.software = "none that keeps a ledger";
    const Bytes wire = federation::messages::seal_message(
        {.kind = MessageKind::hello, .run = RunId{}, .sender = anna.entry.id, .epoch = 0}, hello.encode(),
        anna.keys.identity);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (transport->connection_count() == 0 && std::chrono::steady_clock::now() < deadline)
      ASSERT_TRUE(transport->wait(std::chrono::milliseconds(10), {}).has_value());
    ASSERT_TRUE(transport->send(wire).has_value());
    while (!transport->receive() &&
           std::chrono::steady_clock::now() < deadline)  // the coordinator offers its documents
      ASSERT_TRUE(transport->wait(std::chrono::milliseconds(10), {}).has_value());
  }
};

TEST_F(Denied, AReceiptThatTheSiteDeniesConvictsTheSite) {
  begin_run(400);
  wait_for_site("anna", "sum_applied");
  stop(sites_.at("anna"));
  send_past_the_gate_of_anna();
  // Its ledger goes on: what it sent before that is there, or was not recorded.
  start_site("anna");
  wait_for_site("anna", "run_opened", [](const Json& event) { return event["sums_applied"] > 0; });
  stop(sites_.at("anna"));
  stop(*server_);
  sites_.erase("anna");
  stop_sites();
  EXPECT_EQ(audit({"verify", site_folder("anna").string(), home().string()}).exit_code, 0);  // each is sound by itself
  expect_convicted("site");
}

}  // namespace
}  // namespace fovea::test
