// Failure class: shares that stay on a disk. Whoever comes to own the journals of t sites later must not be able to
// open a sum with them.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "node/io/site_register.h"
#include "node/io/site_run.h"
#include "tests/support/probe_plan.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/round/coordinator_attack.h"

namespace fovea::test {
namespace {

Bytes contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool holds(ByteView bytes, ByteView part) {
  return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
}

crypto::SigningKey log_key() { return crypto::SigningKey::from_seed({}); }

class Erasure : public CoordinatorAttack {
 protected:
  std::filesystem::path runs() const { return folder_.path() / "runs"; }
  std::filesystem::path journal_file() const { return runs() / scene.world.federation().run().text() / "journal"; }
  bool is_unfinished_there() const {
    for (const auto& entry : std::filesystem::directory_iterator(journal_file().parent_path()))
      if (entry.path().extension() == ".tmp") return true;
    return false;
  }
  node::io::SiteRun open_run() const {
    const auto plan = federation::membership::Plan::parse(as_bytes(kProbePlan)).value();
    const RunId& run = scene.world.federation().run();
    return node::io::SiteRun::open(runs() / run.text(), run, plan, log_key()).value();
  }
  bool in_folder(ByteView part) const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      if (entry.is_regular_file() && holds(contents(entry.path()), part)) return true;
    return false;
  }
  // The site releases its shares; its journal is on disk, with this release.
  node::round::SiteEffects release(node::io::SiteRun& run) {
    request_ = scene.hold_to_site(kSite, MessageKind::unmask_request);
    EXPECT_TRUE(run.append_journal(scene.world.site_journal(kSite)));
    auto effects = tell(MessageKind::unmask_request, request_->payload());
    expect_sends(effects, MessageKind::unmask_shares);
    EXPECT_TRUE(run.append_journal(effects.journal));
    wire_ = effects.outbound.back().wire;
    const auto opened = scene.world.federation().open_at_coordinator(kSite, wire_);
    shares_ = federation::messages::UnmaskShares::decode(opened->payload()).value().shares;
    return effects;
  }
  node::round::ModelAdopted next() const { return next_model(scene.world.initial_model(), 1, Digest{0x77}); }
  node::round::SiteMachine restarted(const std::vector<Bytes>& journal) const {
    auto machine =
        node::round::SiteMachine::create(scene.world.federation().site_config(kSite, scene.world.policy()), journal)
            .value();
    machine.step(scene.world.initial_model());
    return machine;
  }
  node::round::MessageReceived message(MessageKind kind, ByteView payload) const {
    return {scene.world.federation().from_coordinator(kind, payload), std::nullopt};
  }
  void expect_no_share() const {
    EXPECT_FALSE(in_folder(wire_));
    for (const federation::messages::RevealedShare& share : shares_) EXPECT_FALSE(in_folder(share.share));
  }

  TemporaryFolder folder_;
  std::optional<federation::messages::SignedMessage> request_;
  Bytes wire_;
  std::vector<federation::messages::RevealedShare> shares_;
};

TEST_F(Erasure, AfterTheSumNoByteOfAShareIsInTheSitesFolder) {
  auto run = open_run();
  release(run);
  EXPECT_TRUE(in_folder(wire_));
  ASSERT_EQ(shares_.size(), 4U);
  for (const federation::messages::RevealedShare& share : shares_) EXPECT_TRUE(in_folder(share.share));
  const auto closed = scene.world.site(kSite).step(next());
  ASSERT_EQ(closed.journal.size(), 1U);
  ASSERT_TRUE(run.append_journal(closed.journal));
  expect_no_share();
  EXPECT_TRUE(scene.world.site(kSite).step(node::round::Tick{{1}}).journal.empty());
}

// What is left of the journal holds every rule that it held before.
TEST_F(Erasure, ARestartFromTheErasedJournalRefusesWhatItRefusedBefore) {
  auto run = open_run();
  auto p = parameters();
  const auto seeded = [&](node::round::SiteMachine& site, std::uint64_t seed) {
    auto event = message(MessageKind::parameters, p.encode());
    event.seed = seed_of("erasure", seed);
    return site.step(std::move(event));
  };
  const auto joined = seeded(scene.world.site(kSite), 1);
  expect_sends(joined, MessageKind::keys);
  const std::vector<Bytes> before = joined.journal;
  ASSERT_TRUE(run.append_journal(before));

  Scene other;  // the same round, to its end
  const auto request = other.hold_to_site(kSite, MessageKind::unmask_request);
  const auto ref = federation::messages::UnmaskRequest::decode(request.payload())->ref;
  ASSERT_TRUE(run.append_journal(other.world.site_journal(kSite)));
  const auto released = other.tell(kSite, MessageKind::unmask_request, request.payload());
  ASSERT_TRUE(run.append_journal(released.journal));
  const auto closed = other.world.site(kSite).step(next());
  ASSERT_TRUE(run.append_journal(closed.journal));

  const auto reopened = open_run();
  ASSERT_EQ(reopened.journal_at_start().size(), before.size() + other.world.site_journal(kSite).size() + 2);
  auto site = restarted(reopened.journal_at_start());
  expect_refused(site.step(message(MessageKind::unmask_request, request.payload())),
                 RefusalReason::round_already_unmasked);
  const auto task =
      federation::messages::TrainTask{.round = ref.round + 1, .plan_hash = p.plan_hash, .model_hash = p.model_hash};
  expect_refused(site.step(message(MessageKind::train_task, task.encode())), RefusalReason::model_already_released);

  // On the model after: the seed of an attempt that is long over is still known.
  auto later = restarted(reopened.journal_at_start());
  later.step(next());
  auto new_task = task;
  new_task.stage_round = 2;
  new_task.seed = 7;
  new_task.model_hash = next().model_hash;
  new_task.previous_transcript = next().transcript;
  ASSERT_TRUE(later.step(message(MessageKind::train_task, new_task.encode())).start_training.has_value());
  later.step(node::round::TrainingFinished{new_task.round, scene.world.update(kSite)});
  p.round = new_task.round;
  p.model_hash = new_task.model_hash;
  p.previous_transcript = new_task.previous_transcript;
  expect_refused(seeded(later, 1), RefusalReason::seed_reused);
  expect_sends(seeded(later, 2), MessageKind::keys);
  // And a deleted register is made again from what is left.
  const auto register_file = folder_.path() / "register";
  const auto made = node::io::open_site_register(register_file, runs(), log_key()).value();
  const auto memory = node::round::SiteMemory::restore(RunId{{9}}, {}, made.records()).value();
  EXPECT_EQ(memory.released_models.at(scene.world.federation().plan()).mark.committed.size(), 4U);
}

// Every site signs a first statement, whose sum is never asked for. Before the erasure, the journals of t sites, got
// hold of later, opened it beside the sum that was published, and two sums on one model may differ by one site.
TEST_F(Erasure, TheJournalsOfTSitesOpenNoSumThatWasGivenUp) {
  const auto held = scene.hold_to_site(kSite, MessageKind::unmask_request);
  const RunId& run = scene.world.federation().run();
  std::vector<Bytes> releases;
  for (RosterIndex site = 0; site < 4; ++site) {
    const auto memory = node::round::SiteMemory::restore(run, scene.world.site_journal(site)).value();
    if (memory.consistency && !memory.consistency->release.empty()) releases.push_back(memory.consistency->release);
  }
  ASSERT_GE(releases.size(), scene.world.thresholds().threshold);  // enough to open the sum: while it may be asked for
  // The coordinator gives the attempt up, or a site fell out and it begins another: either way.
  const auto memory = node::round::SiteMemory::restore(run, scene.world.site_journal(kSite)).value();
  const auto ref = memory.joined->ref;
  auto later = ref;
  later.attempt += 1;
  const std::vector<std::vector<Bytes>> endings = {
      tell(MessageKind::attempt_abandoned,
           federation::messages::AttemptAbandoned{ref.round, ref.attempt, RefusalReason::deadline_passed, false}
               .encode())
          .journal,
      {node::round::encode_mark(run, node::round::JoinedMark{later, Digest{7}})}};
  for (const std::vector<Bytes>& ending : endings) {
    ASSERT_EQ(ending.size(), 1U);
    std::filesystem::remove_all(runs());
    auto disk = open_run();
    ASSERT_TRUE(disk.append_journal(scene.world.site_journal(kSite)));
    EXPECT_TRUE(in_folder(memory.consistency->release));
    ASSERT_TRUE(disk.append_journal(ending));
    EXPECT_FALSE(in_folder(memory.consistency->release));
    auto site = restarted(open_run().journal_at_start());
    const auto refused = site.step(message(MessageKind::unmask_request, held.payload()));
    EXPECT_TRUE(refused.refusal.has_value());
    EXPECT_TRUE(refused.journal.empty());
  }
}

// A person says no, the policy gets stricter, the roster is renewed, or the gate has closed it before a restart: what
// was signed may not be opened any more, and so its release is no longer on the disk.
TEST_F(Erasure, WhateverGivesASignedAttemptUpErasesItsShares) {
  using node::round::SiteEffects;
  const std::vector<std::pair<const char*, std::function<SiteEffects(Scene&)>>> endings = {
      {"rejected",
       [](Scene& s) {
         auto policy = s.world.policy();
         policy.plans_approved.clear();
         return s.world.site(kSite).step(node::round::PolicyChanged{policy});
       }},
      {"stricter",
       [](Scene& s) {
         auto policy = s.world.policy();
         policy.cohort_min += 1;
         return s.world.site(kSite).step(node::round::PolicyChanged{policy});
       }},
      {"roster",
       [](Scene& s) {
         auto roster = s.world.federation().roster();
         roster.epoch += 1;
         roster.hash[0] ^= 1U;
         return s.world.site(kSite).step(node::round::RosterAdopted{roster});
       }},
      {"closed before a restart", [](Scene& s) {
         auto config = s.world.federation().site_config(kSite, s.world.policy());
         config.last_attempt_open = false;
         auto machine = node::round::SiteMachine::create(std::move(config), s.world.site_journal(kSite),
                                                         s.world.site_register(kSite))
                            .value();
         return machine.step(s.world.initial_model());
       }}};
  for (const auto& [name, end] : endings) {
    Scene other;
    other.hold_to_site(kSite, MessageKind::unmask_request);
    std::filesystem::remove_all(runs());
    auto disk = open_run();
    ASSERT_TRUE(disk.append_journal(other.world.site_journal(kSite)));
    const auto memory = node::round::SiteMemory::restore(disk.run(), other.world.site_journal(kSite)).value();
    EXPECT_TRUE(in_folder(memory.consistency->release)) << name;
    const SiteEffects effects = end(other);
    ASSERT_TRUE(disk.append_journal(effects.journal));
    EXPECT_FALSE(in_folder(memory.consistency->release)) << name;
    EXPECT_TRUE(in_folder(memory.consistency->wire)) << name;  // what was signed is still known
  }
}

// No machine opens for a run whose plan was rejected, or that the coordinator does not go on with.
TEST_F(Erasure, AStartErasesWhatTheGateHasClosed) {
  auto run = open_run();
  release(run);
  const RunId& id = scene.world.federation().run();
  const auto ref = node::round::SiteMemory::restore(id, scene.world.site_journal(kSite))->joined->ref;
  const std::map<RunId, federation::ledger::RoundKey> before = {{id, {id, ref.round, ref.attempt - 1}}};
  const std::map<RunId, federation::ledger::RoundKey> closed = {{id, {id, ref.round, ref.attempt}}};
  ASSERT_TRUE(node::io::erase_closed_shares(runs(), {}, std::nullopt, log_key()));
  ASSERT_TRUE(node::io::erase_closed_shares(runs(), before, std::nullopt, log_key()));
  ASSERT_TRUE(node::io::erase_closed_shares(runs(), closed, id, log_key()));  // its own machine does
  EXPECT_TRUE(in_folder(wire_));
  ASSERT_TRUE(node::io::erase_closed_shares(runs(), closed, std::nullopt, log_key()));
  expect_no_share();
  auto site = restarted(open_run().journal_at_start());
  expect_refused(site.step(message(MessageKind::unmask_request, request_->payload())),
                 RefusalReason::round_already_unmasked);
}

TEST_F(Erasure, AShareThatMayStillBeAskedForStays) {
  auto run = open_run();
  release(run);
  auto reopened = open_run();  // a restart in R5 erases nothing
  auto site = restarted(reopened.journal_at_start());
  const auto again = site.step(message(MessageKind::unmask_request, request_->payload()));
  expect_sends(again, MessageKind::unmask_shares);
  EXPECT_EQ(again.outbound.back().wire, wire_);
  EXPECT_TRUE(in_folder(wire_));
}

// The process is killed (SIGXFSZ) after so many bytes of the new journal.
TEST_F(Erasure, AKillInTheMiddleLeavesTheOldJournalOrTheNewOne) {
  std::vector<Bytes> closed;
  {
    auto run = open_run();
    release(run);
    closed = scene.world.site(kSite).step(next()).journal;
  }
  const Bytes old = contents(journal_file());
  std::size_t killed = 0;
  for (rlim_t limit = 0; limit < old.size() + 1; limit += 97) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto run = open_run();
      ::signal(SIGXFSZ, SIG_DFL);
      const rlimit no_core{0, 0};
      const rlimit bytes{limit, limit};
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::setrlimit(RLIMIT_FSIZE, &bytes);
      ::_exit(run.append_journal(closed) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      ASSERT_EQ(WEXITSTATUS(status), 0);
      break;  // whole
    }
    ASSERT_EQ(WTERMSIG(status), SIGXFSZ);
    ++killed;
    EXPECT_EQ(contents(journal_file()), old);
    EXPECT_TRUE(is_unfinished_there());
    const auto run = open_run();
    EXPECT_FALSE(is_unfinished_there());
    auto site = restarted(run.journal_at_start());
    expect_sends(site.step(message(MessageKind::unmask_request, request_->payload())), MessageKind::unmask_shares);
  }
  EXPECT_GE(killed, 3U);
  EXPECT_NE(contents(journal_file()), old);
  expect_no_share();
  auto site = restarted(open_run().journal_at_start());
  expect_refused(site.step(message(MessageKind::unmask_request, request_->payload())),
                 RefusalReason::round_already_unmasked);
}

// Of the version before, or of a run that is not gone on with: erased when the site starts.
TEST_F(Erasure, AStartErasesWhatAVersionBeforeLeft) {
  std::vector<Bytes> records;
  {
    auto run = open_run();
    const auto effects = release(run);
    records = scene.world.site_journal(kSite);
    records.insert(records.end(), effects.journal.begin(), effects.journal.end());
  }
  const RunId& run = scene.world.federation().run();
  const auto ref = node::round::SiteMemory::restore(run, records)->joined->ref;
  auto later = ref;
  later.round += 1;
  records.push_back(node::round::encode_mark(run, node::round::JoinedMark{later, Digest{7}}));
  std::filesystem::remove(journal_file());
  auto file = node::io::open_run_journal(journal_file(), run, log_key());
  ASSERT_TRUE(file->append(records));
  EXPECT_TRUE(in_folder(wire_));
  ASSERT_TRUE(node::io::open_site_register(folder_.path() / "register", runs(), log_key()));
  expect_no_share();
  EXPECT_EQ(open_run().journal_at_start().size(), records.size());
}

}  // namespace
}  // namespace fovea::test
