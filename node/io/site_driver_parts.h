// What the site's daemon is made of; private to node/io/site_*.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "common/file_lock.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/io/event_log.h"
#include "federation/io/rate_limit.h"
#include "federation/membership/acquaintance.h"
#include "federation/membership/plan.h"
#include "federation/membership/roster.h"
#include "node/io/site_driver.h"
#include "node/io/site_run.h"
#include "node/io/zmq_transport.h"

namespace fovea::node::io {

// What the coordinator can make this site write to its disk without a person's doing: offers of plans and rosters, and
// what is said in the log and the event file about messages that were not accepted.
inline constexpr federation::io::Rate kOfferRate{.burst = 16, .every_ms = 225'000};  // 16 an hour
// Each sum that is applied earns the burst anew: no sum needs more than one.
inline constexpr federation::io::Rate kPastRosterRate{.burst = 64, .every_ms = 225'000};
inline constexpr std::size_t kPlansUndecidedMax = 32;  // of offered plans, on disk
inline constexpr federation::io::Rate kIgnoredRate{.burst = 32, .every_ms = 10'000};
inline constexpr federation::io::Rate kRefusedRate{.burst = 1'000, .every_ms = 1'000};
// What the coordinator asks of the round machine that costs something: entries of the ledger, a mark of the journal, a
// training. Each sum that is applied earns the burst anew; an honest coordinator gives a run up long before it is
// spent.
inline constexpr federation::io::Rate kAnswerRate{.burst = 1'000, .every_ms = 2'000};
inline constexpr federation::io::Rate kGreetingRate{.burst = 60, .every_ms = 2'000};  // with each connection

struct SiteDriver::Parts {
  FileLock lock;  // of the folder; first, so that it is held until everything else is closed
  SiteDriverOptions options;
  const Clock* clock = nullptr;
  federation::membership::RosterSite self;
  SiteKeys keys;
  federation::membership::Invite invite;
  std::string endpoint;  // that is dialled
  federation::io::EventLog events;
  egress::EgressGate gate;
  federation::files::RecordFile site_register;
  std::unique_ptr<ZmqTransport> transport;
  std::string software;  // name, version and a random word of this start: tells a reconnect from a second process
  Descriptor signals;    // signalfd

  std::optional<federation::membership::Roster> roster{};
  // Newer, but not valid by this machine's clock: tried again until it is.
  std::optional<federation::membership::SignedDocument> roster_waiting{};
  std::optional<std::int64_t> clock_ahead_ms{};  // of the coordinator's, when it last offered a roster
  std::optional<RunId> acceptances_asked{};      // the run whose plan waits for them
  struct Offer {
    RunId run;
    federation::membership::Plan plan;
    bool refused = false;  // the coordinator was told of a rejection; an approval may follow
  };
  std::optional<Offer> offer{};  // waits for a person's decision
  // The file of a person's decision as it was read last: another one is read before the next byte leaves.
  struct FileStamp {
    std::uint64_t inode = 0;
    std::int64_t modified_ns = 0;
    std::int64_t size = 0;
    bool operator==(const FileStamp&) const = default;
  };
  // Whether there is a file, and not the one that `read` has under `key`; it has it from then on.
  static bool is_another(std::map<Digest, FileStamp>& read, const Digest& key, const std::filesystem::path& file);
  std::map<Digest, FileStamp> decisions_read{};    // by plan
  std::map<Digest, FileStamp> acceptances_read{};  // by roster entry
  // Offered last, and refused by the policy of node.toml.
  std::optional<federation::membership::Plan> ruled_out{};
  std::string cut_off{};      // why the open run goes on without this site, as it was said
  std::string sits_out{};     // why the open run's rounds do, as it was said
  std::string shut_out{};     // why the coordinator asks nothing of this site, by its word, until it does
  std::string refused{};      // what the machine refused last, as it was said
  bool policy_due = false;    // the machine has yet to hear of an approval, a withdrawal or another policy
  bool attempt_ends = false;  // with it: an acceptance was taken back
  bool reload_due = false;    // SIGHUP
  std::optional<SiteRun> run{};
  std::optional<round::SiteMachine> machine{};
  std::unique_ptr<TrainingWorker> worker{};

  federation::io::RateLimit plan_offers{kOfferRate};
  federation::io::RateLimit roster_offers{kOfferRate};
  federation::io::RateLimit past_offers{kPastRosterRate};
  federation::io::RateLimit blame_offers{kOfferRate};
  federation::io::RateLimit rejections_told{kOfferRate};  // of a plan that is offered again
  federation::io::RateLimit answers{kAnswerRate};
  bool answered = false;  // the message in hand has cost something
  federation::io::RateLimit greetings{kGreetingRate};
  federation::io::RateLimit connections_shown{kGreetingRate};
  federation::io::RateLimit egress_refusals_shown{kIgnoredRate};
  std::set<Digest> blames_heard{};
  federation::io::RateLimit ignored_shown{kIgnoredRate};
  federation::io::RateLimit refusals_shown{kRefusedRate};

  bool stop = false;
  std::optional<EpochNumber> removed_by{};  // a roster that does not have this site any more
  std::string roster_ignored_why{};         // said last: an offer comes with every greeting
  bool resume_pending = false;
  bool greeting_due = false;
  std::uint64_t greeted_connection = 0;
  bool rest_asked = false;           // for sums of an earlier run
  MonotonicMs rest_awaited_until{};  // until then the plan on offer waits
  MonotonicMs greeted_at{};          // while no run is open
  bool greeting_answered = false;
  std::string second_process{};    // why the coordinator does not talk to this one, as it was said
  std::string notice_said{};       // of the coordinator's refusals, the last
  std::string untrainable{};       // why the plan on offer cannot be trained here, as it was said
  MonotonicMs trainer_again_at{};  // then it is tried again
  bool trainer_failed = false;     // of the open run: the next training begins with a new one
  ConnectionState shown_state = ConnectionState::connecting;
  bool state_shown = false;
  MonotonicMs last_tick{};
  MonotonicMs last_save{};
  std::optional<MonotonicMs> unpublished_since{};  // entries of the ledger that no checkpoint has
  MonotonicMs last_status{};

  // site_driver.cpp
  Result<void> loop_once();
  std::int64_t unpublished_for();  // in ms; of the ledger's entries
  void handle_signals();
  Result<void> tick();
  void show_connection();
  std::string refused_text() const;  // by the coordinator, at the handshake
  void write_status();

  // site_session.cpp: hello, roster, plans and their approval
  Result<void> on_connected();
  Result<void> handle_frame(Bytes frame);
  Result<void> take_roster(const federation::messages::SignedMessage& message);
  // For the log and the event file, at a bounded rate.
  void note_ignored(const char* event, const std::string& why);
  // Whether a plan that nobody has decided about may still be stored.
  Result<bool> has_room_for(const Digest& plan) const;
  Result<void> take_plan(const federation::messages::SignedMessage& message);
  Result<void> look_for_decision();
  Result<bool> read_decision(const Digest& plan);  // whether it is another one than before
  Result<void> read_decisions();                   // of all plans but those of the run and the offer
  Result<void> recall_decisions();                 // of all plans that the ledger has a decision about
  Result<void> erase_closed();                     // shares in journals, of what the gate has closed
  Result<void> follow_decision();                  // of the plan of the open run
  Result<void> reload_policy();
  Result<void> adopt_roster(const federation::membership::SignedDocument& document,
                            federation::membership::Roster verified);
  Result<void> try_waiting_roster();
  Result<void> refuse_second_roster(const federation::membership::SignedDocument& document,
                                    const federation::membership::Roster& verified);
  Result<void> refuse_plan(const RunId& run, federation::messages::RefusalReason reason, const Error& why);
  Result<void> refuse_as(const RunId& run, const federation::membership::Plan& plan);  // with refusal_of()
  // Why nothing of this plan leaves: nobody approved it, a person rejected it, or the policy rules it out.
  federation::messages::Refusal refusal_of(const federation::membership::Plan& plan) const;
  // Of the plan of the open run, or the one that was offered last: "plan \"lesions\": …", if it is refused here.
  std::optional<std::string> refused_plan() const;
  void warn_of_lost_records();  // of the open run
  Result<void> open_run(const Offer& accepted, std::unique_ptr<training::Trainer> trainer);
  round::SitePolicy site_policy() const;
  Result<void> hold_if_asked(const federation::messages::SignedMessage& message);

  // site_answers.cpp: where the first answer is not the last word
  Result<void> greet_again();
  Result<void> ask_for_rest(const RunId& offered);
  void note_notice(const federation::messages::RefusalNotice& notice);   // of the coordinator
  void take_notice(const federation::messages::SignedMessage& message);  // while no run is open
  void hear(federation::messages::MessageKind kind);                     // of the coordinator's message
  Result<std::unique_ptr<training::Trainer>> trainer_of_offer();         // none: it cannot be trained now
  Result<void> refuse_untrainable();
  std::string untrainable_text() const;
  Result<bool> renew_trainer(RoundNumber round);  // after a failure; false: it fails again
  Result<void> take_past_roster(const federation::membership::SignedDocument& document,
                                federation::membership::Roster verified);

  // site_acquaintance.cpp: which sites of the roster a person here has accepted
  std::vector<const federation::membership::RosterSite*> strangers() const;
  void show_strangers();
  std::vector<Digest> entries_to_hear_of() const;
  // Before each send: what a person says about another site holds from the next byte on.
  Result<void> follow_acceptances();
  Result<void> act_on(const std::vector<federation::membership::Acquaintance>& words);
  Result<void> wait_for_acceptances(const Error& why);
  void note_invalid_roster(const federation::membership::Roster& offered);

  // site_blames.cpp: which sites the coordinator left out, and what shows why
  Result<void> take_blame(const federation::messages::SignedMessage& message);

  // site_effects.cpp
  Result<void> feed(round::SiteEvent event);
  void log(const round::SiteEffects& effects);
  void note_cut_off(RoundNumber round);              // once
  void note_sits_out(RoundNumber round);             // once, until a sum has this site again
  void note_egress_refused(const std::string& why);  // at a bounded rate
  Result<void> take_round_message(federation::messages::SignedMessage message);
  Result<void> open_round_at_gate(const federation::secagg::RoundParameters& joined);
  void drop_what_is_withdrawn(std::vector<round::SiteOutbound>& batch) const;
  void close_round_at_gate(RoundNumber round, const char* outcome, std::uint32_t cohort);
  Result<void> send(std::vector<round::SiteOutbound> batch);
  Result<void> send_own(federation::messages::MessageKind kind, const RunId& run, const Bytes& payload);
  Result<void> begin_training(const federation::messages::TrainTask& task);
  Result<void> take_training_reports();
  Result<std::optional<round::SiteEvent>> apply(const round::VerifiedSum& sum);
};

}  // namespace fovea::node::io
