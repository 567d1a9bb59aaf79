// Failure class: a file of a site's folder that a full disk, a copy or another version left. Whatever it is, the error
// names the file and what to do, and nobody takes it for an empty one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "common/durable_file.h"
#include "coordinator/registry/coordinator_folder.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "federation/files/signed_document_file.h"
#include "federation/ledger/ledger.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/approval.h"
#include "node/io/site_folder.h"
#include "node/io/site_run.h"
#include "node/io/site_status.h"
#include "tests/support/probe_plan.h"
#include "tests/support/temporary_folder.h"

namespace fovea::test {
namespace {

namespace fs = std::filesystem;
using federation::membership::RosterSite;
using federation::membership::SignedDocument;
using node::io::SiteFolder;
using node::io::SiteRun;
using node::io::SiteStatus;

constexpr UnixMs kNow{1'900'000'000'000};
constexpr std::string_view kPassphrase = "correct horse\n";

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "" : result.error().message;
}

crypto::SigningKey log_key() { return crypto::SigningKey::from_seed({}); }

// A whole site, with one file of each kind.
class SiteFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    with_passphrase([&](const auto& source) {
      ASSERT_TRUE(site_.create(SiteId::create("anna").value(), source));
      approver_ = site_.approver_key(source).value();
    });
    self_ = site_.site().value();
    join();
    other_ = {SiteId::create("berta").value(), new_key(), new_key(), new_key(), new_key()};
    write(site_.acquaintance(entry_digest(*other_)),
          signed_by_approver("acquaintance",
                             federation::membership::Acquaintance{
                                 .site = self_->id, .accepted = *other_, .approver = "tester", .accepted_at = kNow}
                                 .document()
                                 .value()));
    plan_ = federation::membership::Plan::parse(as_bytes(kProbePlan)).value();
    ASSERT_TRUE(write_file_durably(site_.plan(plan_->hash), as_bytes(kProbePlan)));
    write(site_.approval(plan_->hash),
          signed_by_approver(
              "approval",
              federation::membership::Approval{
                  .site = self_->id, .plan = plan_->hash, .approver = "tester", .reason = "", .decided = kNow}
                  .document()
                  .value()));
    ASSERT_TRUE(write_file_durably(node::io::status_file(site_.root()), as_bytes(SiteStatus{.at = kNow}.text())));
    ASSERT_EQ(error_of(open_ledger()), "");
    ASSERT_TRUE(SiteRun::open(site_.run(kRun), kRun, *plan_, log_key())->save_model());
  }

  void with_passphrase(const std::function<void(const federation::files::PassphraseSource&)>& use) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    const Descriptor reader(ends[0]), writer(ends[1]);
    for (int i = 0; i < 2; ++i) ASSERT_GT(::write(writer.number(), kPassphrase.data(), kPassphrase.size()), 0);
    use({.descriptor = reader.number()});
  }
  federation::membership::PublicKeyBytes new_key() { return crypto::SigningKey::create(random_).verify_key(); }
  void write(const fs::path& path, const SignedDocument& document) {
    ASSERT_TRUE(create_directories_durably(path.parent_path()));
    ASSERT_TRUE(write_file_durably(path, document.serialize()));
  }
  SignedDocument signed_by_approver(const std::string& kind, std::string text) {
    SignedDocument out{kind, std::move(text), {}};
    EXPECT_TRUE(out.sign(*approver_));
    return out;
  }
  // A founding document, and a roster with this site.
  void join() {
    const coordinator::registry::CoordinatorFolder coordinator(folder_.path() / "coordinator");
    const crypto::SigningKey administrator = crypto::SigningKey::create(random_);
    ASSERT_TRUE(coordinator.create({"test", "127.0.0.1", 7443, {administrator.verify_key()}, 1}));
    SignedDocument founding = federation::files::read_signed_document(coordinator.founding_file()).value();
    ASSERT_TRUE(founding.sign(administrator));
    ASSERT_TRUE(coordinator.found(founding));
    ASSERT_TRUE(coordinator.sign_next({{*self_}, {}}, administrator, kNow));
    ASSERT_TRUE(site_.pin_invite(founding));
    ASSERT_TRUE(site_.keep_roster(coordinator.roster_document().value(), 1));
  }
  Result<federation::ledger::Ledger> open_ledger() const {
    FOVEA_TRY_ASSIGN(const node::io::SiteKeys keys, site_.keys());
    return federation::ledger::Ledger::open({.folder = site_.ledger(), .origin = "test/anna", .key = keys.log.copy()},
                                            {});
  }

  static constexpr RunId kRun{{7}};
  TemporaryFolder folder_;
  SiteFolder site_{folder_.path() / "anna"};
  crypto::SystemRandom random_;
  std::optional<crypto::SigningKey> approver_;
  std::optional<RosterSite> self_;
  std::optional<RosterSite> other_;
  std::optional<federation::membership::Plan> plan_;
};

struct Damage {
  const char* name;
  std::string (*apply)(std::string);
};
// The first number after "fovea_": each of these formats has one there.
std::string of_format_99(std::string text) {
  const std::size_t field = text.find("\"fovea_");
  if (field == std::string::npos) return text + "99";
  const std::size_t begin = text.find_first_of("0123456789", text.find(':', field));
  return text.replace(begin, text.find_first_not_of("0123456789", begin) - begin, "99");
}
const Damage kDamages[] = {{"empty", [](std::string) { return std::string(); }},
                           {"cut in the middle", [](std::string text) { return text.substr(0, text.size() / 2); }},
                           {"of format 99", of_format_99}};

TEST_F(SiteFilesTest, HalfAFileAndOneOfANewerVersionAreRefusedByNameWithWhatToDo) {
  const fs::path root = site_.root();
  struct File {
    fs::path path;
    std::function<std::string()> read;
    std::string fix;
    bool numbered = true;  // its format has a number of its own
  };
  const File files[] = {
      {root / "site.json", [&] { return error_of(site_.site()); }, "put site.json back from your backup"},
      {root / "invite.json", [&] { return error_of(site_.invite()); }, "join INVITE --accept-change"},
      {site_.pins(), [&] { return error_of(site_.check_pins()); }, "join INVITE"},
      {root / "roster.json", [&] { return error_of(site_.newest_roster()); }, (root / "rosters").string()},
      {site_.approval(plan_->hash), [&] { return error_of(site_.decision(plan_->hash)); }, "plan approve"},
      {site_.acquaintance(entry_digest(*other_)), [&] { return error_of(site_.acceptance(entry_digest(*other_))); },
       "roster accept"},
      {site_.plan(plan_->hash), [&] { return error_of(site_.plan_bytes(plan_->hash)); }, "remove this file", false},
      {node::io::status_file(root), [&] { return error_of(node::io::read_status(root)); }, "remove this file"},
      {site_.ledger() / "checkpoint", [&] { return error_of(open_ledger()); }, "not older than the last start", false},
      {site_.run(kRun) / "run.json", [&] { return error_of(SiteRun::open(site_.run(kRun), kRun, *plan_, log_key())); },
       "", false},
      {site_.run(kRun) / "model.safetensors",
       [&] { return error_of(SiteRun::open(site_.run(kRun), kRun, *plan_, log_key())); }, "move this file away", false},
  };
  for (const File& file : files) {
    const Bytes whole = read_file(file.path, 1 << 20).value();
    ASSERT_EQ(file.read(), "") << file.path;
    for (const Damage& damage : kDamages) {
      const std::string text = damage.apply(std::string(as_text(whole)));
      std::ofstream(file.path, std::ios::binary | std::ios::trunc) << text;
      const std::string error = file.read();
      const bool newer = file.numbered && damage.apply == of_format_99;
      if (file.path.filename() == "run.json" && damage.apply == of_format_99) {
        EXPECT_FALSE(error.empty());  // a run of another version is another run
      } else {
        EXPECT_NE(error.find(file.path.filename().string()), std::string::npos)
            << file.path << " " << damage.name << ": " << error;
        EXPECT_NE(error.find(root.string()), std::string::npos) << file.path << " " << damage.name << ": " << error;
        EXPECT_NE(error.find(newer ? "update the program" : file.fix), std::string::npos)
            << file.path << " " << damage.name << ": " << error;
      }
      EXPECT_EQ(as_text(read_file(file.path, 1 << 20).value()), text) << "nothing is written over";
    }
    ASSERT_TRUE(write_file_durably(file.path, whole));
    ASSERT_EQ(file.read(), "") << file.path;
  }
}

// Half a run.json says nothing of another plan; a whole one does.
TEST_F(SiteFilesTest, HalfARunsRecordIsNotAnotherPlans) {
  const fs::path file = site_.run(kRun) / "run.json";
  std::ofstream(file, std::ios::trunc) << "{\"fovea_site_run\":1,";
  const auto half = SiteRun::open(site_.run(kRun), kRun, *plan_, log_key());
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, ErrorCode::corruption);
  EXPECT_NE(half.error().message.find(file.string()), std::string::npos) << half.error().message;
  std::ofstream(file, std::ios::trunc) << R"({"fovea_site_run":1,"run":")" << kRun.text() << R"(","plan":"00"})"
                                       << "\n";
  EXPECT_EQ(SiteRun::open(site_.run(kRun), kRun, *plan_, log_key()).error().code, ErrorCode::permission_denied);
}

TEST_F(SiteFilesTest, TheStatusIsReadAsItWasWritten) {
  const SiteStatus whole{.at = kNow,
                         .pid = 7,
                         .connected = true,
                         .epoch = 3,
                         .not_admitted = "taken off",
                         .clock_ahead_ms = -660'000,
                         .sites_unaccepted = 2,
                         .roster_invalid = "has run out",
                         .waiting_for_approval = std::string(64, 'a'),
                         .waiting_for_acceptances = std::string(64, 'b'),
                         .plan_refused = "plan \"x\": refused by cohort_min = 4 (the plan has 3)",
                         .cut_off = "run 00 goes on without this site",
                         .shut_out = "the coordinator left this site out",
                         .run = SiteStatus::Run{"run", "plan", "training", 4, 3, 9}};
  for (const SiteStatus& status : {whole, SiteStatus{.at = kNow}}) {
    const auto again = SiteStatus::parse(as_bytes(status.text()));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->text(), status.text());
    EXPECT_EQ(again->clock_ahead_ms, status.clock_ahead_ms);
    EXPECT_EQ(again->run.has_value(), status.run.has_value());
    EXPECT_EQ(node::io::kept_out(*again), node::io::kept_out(status));
  }
  EXPECT_EQ(node::io::kept_out(whole).size(), 4U);
  EXPECT_TRUE(node::io::kept_out(SiteStatus{.at = kNow}).empty());
}

TEST_F(SiteFilesTest, AStatusOfOtherKindsOrFieldsIsRefusedByTheFieldsName) {
  const std::string text = SiteStatus{.at = kNow, .connected = true, .run = SiteStatus::Run{}}.text();
  const std::pair<std::string, std::string> changes[] = {{"\"connected\":true", "\"connected\":1"},
                                                         {"\"pid\":0", "\"pid\":-1"},
                                                         {"\"pid\":0", "\"pid\":\"0\""},
                                                         {"\"round\":0", "\"round\":0.5"},
                                                         {"\"phase\":\"\"", "\"phase\":7"},
                                                         {"\"epoch\":0", "\"epoch\":0,\"extra\":1"}};
  for (const auto& [what, other] : changes) {
    std::string changed = text;
    ASSERT_NE(changed.find(what), std::string::npos) << what;
    changed.replace(changed.find(what), what.size(), other);
    const auto refused = SiteStatus::parse(as_bytes(changed));
    ASSERT_FALSE(refused) << other;
    const std::string field = other.find("extra") == std::string::npos ? other.substr(1, other.find(':') - 2) : "extra";
    EXPECT_NE(refused.error().message.find("status." + field), std::string::npos) << refused.error().message;
  }
}

TEST_F(SiteFilesTest, NoStatusMeansThatNoNodeEverRanHere) {
  fs::remove(node::io::status_file(site_.root()));
  const auto none = node::io::read_status(site_.root());
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

// Without its keys a site is another one; what is missing is said before a passphrase is asked for.
TEST_F(SiteFilesTest, AKeyThatIsMissingOrAnothersIsNamedWithWhatItIsForAndWhatToDo) {
  const fs::path keys = site_.root() / "keys";
  const auto expect_says = [](const std::string& error, std::initializer_list<std::string> parts) {
    for (const std::string& part : parts) EXPECT_NE(error.find(part), std::string::npos) << part << "\n" << error;
  };
  EXPECT_EQ(error_of(site_.check_approver_key()), "");
  const federation::files::PassphraseSource nobody{.descriptor = -1};
  const fs::path approver = keys / "approver.pem";
  const Bytes whole = read_file(approver, 8192).value();
  fs::remove(approver);
  for (const std::string& error : {error_of(site_.check_approver_key()), error_of(site_.approver_key(nobody))})
    expect_says(error, {approver.string(), "is missing", "plan approve", "restore it from your backup",
                        "fovea-node init", "data/ and register"});
  std::ofstream(approver) << "half";
  fs::permissions(approver, fs::perms::owner_read | fs::perms::owner_write);
  for (const std::string& error : {error_of(site_.check_approver_key()), error_of(site_.approver_key(nobody))})
    expect_says(error, {approver.string(), "is not a key", "backup"});
  // That of another person: nobody would believe what it signs.
  with_passphrase([&](const auto& source) {
    ASSERT_TRUE(crypto::write_protected_key_file(approver, crypto::SigningKey::create(random_),
                                                 source.existing("key").value()));
    expect_says(error_of(site_.approver_key(source)), {approver.string(), "is not the key that site.json names"});
  });
  ASSERT_TRUE(write_file_durably(approver, whole, FileMode::secret));
  with_passphrase([&](const auto& source) { EXPECT_EQ(error_of(site_.approver_key(source)), ""); });

  for (const char* name : {"identity", "log", "transport"}) {
    const fs::path file = keys / (std::string(name) + ".key");
    const Bytes before = read_file(file, 8192).value();
    fs::remove(file);
    expect_says(error_of(site_.keys()), {file.string(), "is missing", "restore it from your backup"});
    ASSERT_TRUE(crypto::write_key_file(file, random_.secret_key()));
    expect_says(error_of(site_.keys()), {file.string(), "is not the key that site.json names"});
    ASSERT_TRUE(write_file_durably(file, before, FileMode::secret));
    EXPECT_EQ(error_of(site_.keys()), "");
  }
}

TEST_F(SiteFilesTest, WhoIsNotAcceptedHereIsCountedByTheWholeFiles) {
  federation::membership::Roster roster;
  roster.sites = {*self_, *other_};
  const auto unaccepted = [&] {
    return site_.known_sites({self_->id, self_->approver_key}).unaccepted(roster, *self_);
  };
  EXPECT_TRUE(unaccepted().empty());
  std::ofstream(site_.acquaintance(entry_digest(*other_)), std::ios::trunc) << "{";
  ASSERT_EQ(unaccepted().size(), 1U);
  EXPECT_EQ(unaccepted()[0]->id.text(), "berta");
  EXPECT_EQ(node::io::sites_not_accepted(1), "1 site is not accepted here and counts as a colluder");
  EXPECT_EQ(node::io::sites_not_accepted(2, "a, b"), "2 sites are not accepted here and count as colluders (a, b)");
}

// The ledger knows which word was the last; a file that was put back says nothing against it, and is named.
TEST_F(SiteFilesTest, AnAcceptanceThatWasTakenBackIsNoneWhateverFileIsPutBack) {
  federation::membership::Roster roster;
  roster.sites = {*self_, *other_};
  const Digest entry = entry_digest(*other_);
  const federation::membership::Acquaintance end{.site = self_->id,
                                                 .accepted = *other_,
                                                 .approver = "tester",
                                                 .accepted_at = UnixMs{kNow.value + 1},
                                                 .ended = true};
  const node::egress::SiteAcquaintances nothing(self_->id, self_->approver_key);
  node::egress::SiteAcquaintances recorded = nothing;
  recorded.take(end);
  const node::io::KnownSites put_back = site_.known_sites(recorded);
  EXPECT_EQ(put_back.unaccepted(roster, *self_).size(), 1U);
  ASSERT_TRUE(put_back.ignored.contains(entry));
  EXPECT_NE(put_back.ignored.at(entry).find("was put back"), std::string::npos) << put_back.ignored.at(entry);
  // Nor does its file need a ledger.
  write(site_.acquaintance(entry), signed_by_approver(std::string(end.kind()), end.document().value()));
  EXPECT_EQ(site_.known_sites(nothing).unaccepted(roster, *self_).size(), 1U);
  // What the ledger has, and whose file is gone.
  node::egress::SiteAcquaintances accepted = nothing;
  accepted.take({.site = self_->id, .accepted = *other_, .approver = "tester", .accepted_at = kNow});
  fs::remove(site_.acquaintance(entry));
  EXPECT_TRUE(site_.known_sites(accepted).unaccepted(roster, *self_).empty());
}

// A run, or a roster with this log key. Neither what moves to a folder with new keys, nor what a person may do there
// before the first start.
TEST_F(SiteFilesTest, ARunOrARosterShowsThatTheLedgerHadEntries) {
  EXPECT_EQ(site_.ledger_history(), "runs/" + kRun.text() + " is of a run that this site took part in");
  fs::remove_all(site_.runs());
  EXPECT_EQ(site_.ledger_history().rfind("roster.json is", 0), 0U) << site_.ledger_history();
  const SiteFolder fresh(folder_.path() / "fresh");
  with_passphrase([&](const auto& source) { ASSERT_TRUE(fresh.create(SiteId::create("anna").value(), source)); });
  for (const char* file : {"roster.json", "invite.json"}) fs::copy_file(site_.root() / file, fresh.root() / file);
  for (const char* part : {"approvals", "acquaintances"})
    fs::copy(site_.root() / part, fresh.root() / part, fs::copy_options::overwrite_existing);
  std::ofstream(fresh.site_register()) << "records";
  EXPECT_EQ(fresh.ledger_history(), "");
  fs::remove(site_.root() / "roster.json");
  EXPECT_EQ(site_.ledger_history().rfind("rosters/1.json is", 0), 0U) << site_.ledger_history();
  fs::remove_all(site_.root() / "rosters");
  EXPECT_EQ(site_.ledger_history(), "");
}

}  // namespace
}  // namespace fovea::test
