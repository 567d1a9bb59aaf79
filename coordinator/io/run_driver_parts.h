// What the serving process is made of; private to coordinator/io/run_*.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/ids.h"
#include "coordinator/io/run_driver.h"
#include "coordinator/io/site_load.h"
#include "coordinator/io/unmask_worker.h"
#include "coordinator/round/round_machine.h"
#include "coordinator/store/blame_folder.h"
#include "federation/io/event_log.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "federation/membership/invite.h"
#include "federation/membership/roster.h"
#include "federation/messages/beacon_messages.h"
#include "federation/messages/envelope.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/parameters.h"

namespace fovea::coordinator::io {

struct RunDriver::Parts {
  RunDriverOptions options;
  std::unique_ptr<store::RunStore> run{};
  const Clock* clock = nullptr;
  registry::CoordinatorKeys keys;
  federation::membership::Invite facts;
  federation::membership::Roster roster;
  federation::io::EventLog events;
  federation::ledger::Ledger ledger;
  std::unique_ptr<UnmaskWorker> unmasker;
  Descriptor signals;  // SIGINT, SIGTERM
  std::unique_ptr<ZmqServer> server{};

  // A site whose session said that it takes part in this run.
  struct Joined {
    RoundNumber last_round = 0;
    BootId boot{};
  };
  std::map<SiteId, Joined> joined{};
  // Sites that said that the sum which follows on theirs was made under a roster they never had. They are sent neither
  // tasks nor sums until they stand elsewhere or start anew.
  struct CutOff {
    Joined stood;           // when they said so
    RoundNumber round = 0;  // of that sum
  };
  std::map<SiteId, CutOff> cut_off{};
  // Connected sites that said why they do not take part, until they join.
  std::map<SiteId, federation::messages::RefusalReason> declined{};
  // What connected sites said last of why they do not go on: it is said once, and when it changes.
  struct FailureSaid {
    federation::messages::RefusalReason reason = federation::messages::RefusalReason::malformed;
    RoundNumber round = 0;
    AttemptNumber attempt = 0;
    bool operator==(const FailureSaid&) const = default;
  };
  std::map<SiteId, FailureSaid> failures_said{};
  std::map<SiteId, RoundNumber> ahead{};    // sites that say that they have applied a later sum than is known here
  std::map<SiteId, std::size_t> sat_out{};  // not accepted at so many sites, as it was said
  std::set<SiteId> failed_in_round{};
  std::set<SiteId> served{};  // sites that have the last sum of a run that has ended
  struct Handout {
    std::int64_t stands = -2;  // where the site stood in the run when it said so last; -1: it has not opened it
    int times = 0;             // that it said so
    bool done = false;
  };
  struct Finished {
    store::RunStore run;
    std::map<SiteId, Handout> given;
  };
  std::map<RunId, Finished> finished{};         // other runs, of which sites asked for sums
  std::map<SiteId, BootId> second_processes{};  // refused, as it was said
  std::map<SiteId, SiteLoad> loads{};           // of sites that ever spoke to this process
  struct SumSent {
    ZmqServer::Position position;  // of its end
    RoundNumber after = 0;         // the last round of the model that it follows on
  };
  std::map<SiteId, SumSent> sums_sent{};            // to each, the newest
  RoundNumber before_last_sum = 0;                  // the sum before it, 0: none
  std::map<SiteId, std::uint64_t> bytes_arrived{};  // on the connection of each session, at the last tick
  std::map<SiteId, Digest> left_out{};              // blamed, until an administrator decides: digests of the evidence
  std::optional<round::RoundMachine> machine{};
  std::vector<Bytes> journal_at_start{};  // of the round that an earlier process left
  bool releasing_at_start = false;        // that round was past R4: it must end first, under the roster it began with
  std::optional<round::SumToRepeat> repeat{};  // what the next round has to be
  bool verify_each_tag = false;                // RoundEffects::verify_each_tag
  RoundNumber round = 0;                       // of the machine
  MonotonicMs round_began{};
  MonotonicMs next_round_not_before{};   // after rounds without a sum: ever longer pauses
  std::uint32_t rounds_without_sum = 0;  // in a row
  MonotonicMs last_joined{};
  MonotonicMs last_tick{};
  MonotonicMs last_saved{};
  std::optional<MonotonicMs> unpublished_since{};  // entries of the ledger that no checkpoint has
  MonotonicMs last_shown{};
  MonotonicMs last_roster_check{};
  std::filesystem::file_time_type roster_time{};
  std::uint32_t cohort_largest = 0;  // of a round: the plan's, as far as the roster allows it
  std::optional<federation::membership::Roster>
      next_roster{};  // signed; waits for the end of a round that it does not concern
  EpochNumber roster_said_to_wait = 0;
  std::uint32_t roster_warnings = 0;  // before this roster runs out: how many were given
  std::string roster_problem{};       // why no task may leave under this roster, while that lasts
  std::set<SiteId> doubters{};        // by their clocks it has run out, as they said in the newest round
  std::string roster_refused{};       // why roster.json is not used, as it was said
  std::string last_line{};
  bool ledger_dirty = false;
  bool stop = false;

  // run_driver.cpp
  Result<void> loop_once();
  Result<void> tick();
  Result<void> tell_what_arrives();  // to the machine
  void show_progress();
  void show_line(const std::string& line);
  Result<void> end_run();
  std::string why_no_round() const;    // while there is none
  std::string round_in_words() const;  // while there is one
  Result<void> resume_round();         // at the start, before any message is read
  Result<void> wait_for_confirmations();
  Result<void> write_summary();

  // run_roster.cpp: which roster is in force, and whether it is valid
  Result<void> watch_roster();
  Result<void> stop_round_for_roster();
  bool wait_for_doubters();  // whether a round that ended did so because of them
  bool may_repeat_under(const federation::membership::Roster& newer) const;
  bool keeps_every_site(const federation::membership::Roster& newer) const;
  bool waits_for_roster() const;
  Result<void> check_for_new_roster();
  Result<void> adopt_roster();

  // run_session.cpp: who is connected, and what each of them lacks
  Result<void> handle(InboundMessage message);
  SiteLoad& load_of(const SiteId& site);
  // Whether the message is within what its site may cost. Before it is recorded or acted on.
  bool admit(const SiteId& site, const federation::messages::SignedMessage& message);
  Result<void> report_overload(const SiteId& site);
  Result<void> handle_hello(const InboundMessage& message, const federation::messages::SignedMessage& opened);
  Result<void> record_receipt(const SiteId& site, const federation::messages::SignedMessage& message);
  void send_own(const SiteId& site, federation::messages::MessageKind kind, const Bytes& payload);
  void send_own(const SiteId& site, federation::messages::MessageKind kind, const Bytes& payload, const RunId& about);
  void refuse(const InboundMessage& message, federation::messages::MessageKind kind,
              federation::messages::RefusalReason reason);
  Result<void> offer_roster(const SiteId& site);
  Result<void> offer_documents(const SiteId& site, bool roster_too);
  Result<void> send_missed_sum(const SiteId& site, RoundNumber last_round);
  // Over a slow link a sum takes longer than the site waits before it asks again.
  void note_sum_sent(const SiteId& site, RoundNumber after);
  bool is_sum_under_way(const SiteId& site, RoundNumber after) const;
  void say_failure(const SiteId& site, const FailureSaid& failure);
  Result<void> note_failure(const SiteId& site, const federation::messages::SignedMessage& message);
  void note_cut_off(const SiteId& site, RoundNumber round);
  // corruption: so many sites are ahead that one of them must be honest.
  Result<void> note_ahead(const SiteId& site, RoundNumber last_round);
  void show_cut_off() const;  // to `sites`

  // run_handout.cpp: sums for sites that were away
  Result<void> offer_roster_of(const SiteId& site, const store::RunStore::Publication& sum);
  Result<void> send_publication(const SiteId& site, store::RunStore::Publication sum, RoundNumber after);
  void note_served(const SiteId& site, const federation::messages::Hello& hello);
  void recall_served();  // at the start
  std::vector<SiteId> lacking() const;
  std::string handout_in_words() const;
  Result<void> hand_out();
  Finished* finished_run(const RunId& id);
  Result<bool> hand_out_finished(const SiteId& site, const RunId& id, const federation::messages::Hello& hello);

  // run_rounds.cpp: rounds and their effects
  Result<void> begin_round_when_ready();
  struct Cohort {
    std::size_t present = 0;
    std::vector<RosterIndex> invited;  // ascending
    std::vector<RosterIndex> quiet;    // of those, not here now
  };
  void limit_cohort();  // after each change of the roster
  bool is_present(const SiteId& site) const;
  Cohort cohort_of_round(RoundNumber number) const;
  Cohort cohort_to_repeat() const;
  Result<round::RoundSetup> make_setup(Cohort cohort) const;
  std::filesystem::path beacon_file() const;
  Result<std::optional<federation::messages::BeaconTranscript>> stored_beacon() const;
  Result<void> store_beacon(const federation::messages::BeaconTranscript& beacon);
  Result<void> feed(round::RoundEvent event);
  Result<void> perform(round::RoundEffects effects);
  void note_sat_out(const round::SatOut& stranger);
  void forget_mended(const std::vector<SiteId>& contributors);  // of what was said about them

  // run_blame.cpp: who is left out, over restarts
  Result<void> resume_blames();  // at the start, before any message is read
  Result<void> blame(round::BlamedSite blamed);
  Result<void> record_blame(const store::Blame& blame);
  void tell_of_blame(const SiteId& site, const store::Blame& blame);
  Result<void> tell_of_blames(const SiteId& site);  // of those in force
  Result<void> look_for_pardons();

  Result<void> store_sum(const round::RoundResult& result);
  Result<void> publish(round::RoundResult result);
  Result<void> end_without_sum(const round::RoundAborted& aborted);
  Result<void> close_without_sum(const round::RoundAborted& aborted);  // whatever the cause; counts nothing
  Result<void> record_opening(const federation::secagg::RoundParameters& opened);
  Result<void> send_all(std::vector<round::RoundOutbound> outbound);
  Result<void> record(federation::ledger::LedgerEntry entry);
  Result<void> sync_ledger();
  Result<void> save();  // the model's file and the ledger's checkpoint
  Result<void> publish_ledger();
  Result<void> publish_ledger_in_time(bool idle);  // while no message waits, unless it takes too long
  store::RoundRecord describe(RoundNumber number, AttemptNumber attempt) const;
};

}  // namespace fovea::coordinator::io
