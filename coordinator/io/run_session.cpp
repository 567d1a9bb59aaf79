#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/codec.h"
#include "coordinator/io/run_driver_parts.h"
#include "coordinator/store/cut_off_sites.h"
#include "crypto/hash.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/fixed_point.h"

namespace fovea::coordinator::io {
namespace {

using federation::messages::MessageKind;

std::shared_ptr<const Bytes> shared(Bytes bytes) { return std::make_shared<const Bytes>(std::move(bytes)); }

// Tells two starts of a node apart, from its "fovea-node 0.1.0 start <16 hex digits>".
BootId boot_of(const std::string& software) {
  BootId out{};
  const Digest digest = crypto::sha256(as_bytes(software));
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

// The attempt a message names, as the site's own ledger writes it.
federation::ledger::RoundKey key_of(const federation::messages::SignedMessage& message) {
  federation::ledger::RoundKey key{message.header().run, 0, 0};
  const bool of_no_round = message.kind() == MessageKind::hello || message.kind() == MessageKind::beacon_commitment ||
                           message.kind() == MessageKind::beacon_nonce;
  if (of_no_round) return key;
  ByteReader reader(message.payload());
  if (const auto number = reader.u32("round")) key.round = *number;
  if (message.kind() == MessageKind::training_progress || message.kind() == MessageKind::training_ready) return key;
  if (const auto number = reader.u32("attempt")) key.attempt = *number;
  return key;
}

}  // namespace

Result<void> RunDriver::Parts::handle(InboundMessage message) {
  const federation::membership::RosterSite* site = roster.find(message.site);
  if (site == nullptr || (next_roster && next_roster->find(message.site) == nullptr))
    return {};  // removed: its session is about to be cut
  const auto claimed = federation::messages::claimed_kind(message.payload);
  auto opened = federation::messages::SignedMessage::open(std::move(message.payload),
                                                          {.sender = message.site, .key = site->identity_key});
  if (!opened) {
    if (!load_of(message.site).admit_faulty(clock->monotonic())) return report_overload(message.site);
    spdlog::warn("{}: refused a message: {}", message.site.text(), opened.error().message);
    events.write("message_refused", {{"site", message.site.text()}, {"why", opened.error().message}});
    refuse(message, claimed.value_or(MessageKind::hello),
           opened.error().code == ErrorCode::invalid_argument ? federation::messages::RefusalReason::malformed
                                                              : federation::messages::RefusalReason::bad_signature);
    return {};
  }
  if (!admit(message.site, *opened)) return report_overload(message.site);
  FOVEA_TRY(record_receipt(message.site, *opened));
  if (opened->kind() == MessageKind::hello) {
    FOVEA_TRY(handle_hello(message, *opened));
    if (!server->is_session(message)) return {};
  } else if (!server->is_session(message)) {
    refuse(message, opened->kind(), federation::messages::RefusalReason::unknown_sender);
    return {};
  }
  if (opened->kind() == MessageKind::attempt_failure) FOVEA_TRY(note_failure(message.site, *opened));
  // A site that trained for this round has computed the model of the last sum.
  if (const auto state = joined.find(message.site);
      opened->kind() == MessageKind::training_ready && state != joined.end())
    if (const store::RoundRecord* last = run->last_sum(); last != nullptr && key_of(*opened).round == round)
      state->second.last_round = std::max(state->second.last_round, last->round);
  if (opened->header().epoch != roster.epoch) {
    if (opened->kind() == MessageKind::hello) return {};
    refuse(message, opened->kind(), federation::messages::RefusalReason::wrong_epoch);
    return offer_documents(message.site, true);
  }
  if (opened->header().run != run->facts().run) {
    if (opened->kind() != MessageKind::hello)
      refuse(message, opened->kind(), federation::messages::RefusalReason::wrong_run);
    return {};
  }
  if (!machine || (opened->kind() == MessageKind::hello && cut_off.contains(message.site))) return {};
  return feed(round::MessageReceived{std::move(*opened)});
}

SiteLoad& RunDriver::Parts::load_of(const SiteId& site) {
  if (const auto found = loads.find(site); found != loads.end()) return found->second;
  const std::size_t words = federation::secagg::vector_words(run->model().layout().size());
  return loads
      .emplace(site, SiteLoad(receipts_of_round(run->plan(), federation::messages::chunk_count(words),
                                                options.config.attempts_max)))
      .first->second;
}

bool RunDriver::Parts::admit(const SiteId& site, const federation::messages::SignedMessage& message) {
  SiteLoad& load = load_of(site);
  if (message.kind() != MessageKind::hello) return load.admit_receipt(round, clock->monotonic());
  const auto hello = federation::messages::Hello::decode(message.payload());
  const store::RoundRecord* last = run->last_sum();
  return load.admit_hello(hello ? hello->last_round : 0, last == nullptr ? 0 : last->round, clock->monotonic());
}

// One line in the ledger for a round, one event a minute: a flood must not do by its reports what its messages may not.
Result<void> RunDriver::Parts::report_overload(const SiteId& site) {
  SiteLoad& load = load_of(site);
  if (const auto refused = load.due_report(clock->monotonic())) {
    spdlog::warn("{}: sends more than a site needs to; {} messages were refused unread", site.text(), *refused);
    events.write("site_overload", {{"site", site.text()}, {"refused", *refused}});
  }
  if (!load.take_incident()) return {};
  return record(
      federation::ledger::Incident{"load", site.text() + " sends more messages than round " + std::to_string(round) +
                                               " allows; what is above the limit is refused and not recorded"});
}

Result<void> RunDriver::Parts::handle_hello(const InboundMessage& message,
                                            const federation::messages::SignedMessage& opened) {
  const auto hello = federation::messages::Hello::decode(opened.payload());
  if (!hello) {
    refuse(message, MessageKind::hello, federation::messages::RefusalReason::malformed);
    return {};
  }
  if (!server->open_session(message, boot_of(hello->software))) {
    // It asks again every few seconds, until the first one's connection is gone.
    const BootId boot = boot_of(hello->software);
    if (const auto said = second_processes.find(message.site); said == second_processes.end() || said->second != boot) {
      second_processes[message.site] = boot;
      spdlog::warn(
          "{}: a second process with this site's keys was refused: of a copy of its folder, or the same site before "
          "its "
          "last connection is known to be gone; it is let in when the first one's is",
          message.site.text());
      events.write("second_process_refused", {{"site", message.site.text()}});
    }
    refuse(message, MessageKind::hello, federation::messages::RefusalReason::unknown_sender);
    return {};
  }
  const bool newest_roster = opened.header().epoch == roster.epoch;
  if (opened.header().run != run->facts().run || !newest_roster) {
    events.write("site_connected", {{"site", message.site.text()}, {"epoch", opened.header().epoch}});
    joined.erase(message.site);
    if (newest_roster) {
      FOVEA_TRY_ASSIGN(const bool busy, hand_out_finished(message.site, opened.header().run, *hello));
      if (busy) return {};
    }
    return offer_documents(message.site, !newest_roster);
  }
  const store::RoundRecord* last = run->last_sum();
  FOVEA_TRY(note_ahead(message.site, hello->last_round));
  if (last != nullptr && hello->last_round == last->round && hello->model_hash != last->model &&
      hello->model_hash != Digest{}) {
    spdlog::warn("{}: computed another model than the coordinator", message.site.text());
    events.write("model_differs", {{"site", message.site.text()}});
    FOVEA_TRY(blame({message.site, federation::messages::RefusalReason::model_differs, {opened.wire()}}));
  }
  const bool first_time = !joined.contains(message.site);
  const Joined here{hello->last_round, boot_of(hello->software)};
  joined[message.site] = here;
  declined.erase(message.site);
  note_served(message.site, *hello);
  if (const auto lost = cut_off.find(message.site);
      lost != cut_off.end() &&
      (lost->second.stood.last_round != here.last_round || lost->second.stood.boot != here.boot)) {
    cut_off.erase(lost);
    show_cut_off();
  }
  if (first_time) {
    last_joined = clock->monotonic();
    spdlog::info("{} joined; the last round it applied is {}", message.site.text(), hello->last_round);
    events.write("site_joined", {{"site", message.site.text()}, {"last_round", hello->last_round}});
    FOVEA_TRY(tell_of_blames(message.site));
  }
  return send_missed_sum(message.site, hello->last_round);
}

Result<void> RunDriver::Parts::record_receipt(const SiteId& site, const federation::messages::SignedMessage& message) {
  return record(federation::ledger::IngressReceipt{
      .site = site,
      .key = key_of(message),
      .kind = std::string(federation::messages::to_string(message.kind())),
      .payload = message.wire_digest(),
      .length = message.wire().size(),
      .proof = federation::ledger::SiteSignature{.envelope = federation::messages::kEnvelopeVersion,
                                                 .epoch = message.header().epoch,
                                                 .body = message.payload_digest(),
                                                 .signature = message.signature()}});
}

void RunDriver::Parts::send_own(const SiteId& site, MessageKind kind, const Bytes& payload) {
  send_own(site, kind, payload, run->facts().run);
}

void RunDriver::Parts::send_own(const SiteId& site, MessageKind kind, const Bytes& payload, const RunId& about) {
  const SendVerdict verdict = server->send(
      site, shared(federation::messages::seal_message(
                {.kind = kind, .run = about, .sender = std::nullopt, .epoch = roster.epoch}, payload, keys.signing)));
  if (verdict == SendVerdict::outbox_full) spdlog::warn("{}: reads messages too slowly; one was dropped", site.text());
}

void RunDriver::Parts::refuse(const InboundMessage& message, MessageKind kind,
                              federation::messages::RefusalReason reason) {
  const federation::messages::RefusalNotice notice{.round = 0, .attempt = 0, .refused = kind, .reason = reason};
  server->reply(
      message,
      shared(federation::messages::seal_message(
          {.kind = MessageKind::refusal, .run = run->facts().run, .sender = std::nullopt, .epoch = roster.epoch},
          notice.encode(), keys.signing)));
}

Result<void> RunDriver::Parts::offer_roster(const SiteId& site) {
  FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document, options.folder.roster_document());
  const federation::messages::RosterOffer offer{document.serialize(), static_cast<std::uint64_t>(clock->wall().value)};
  send_own(site, MessageKind::roster_offer, offer.encode());
  return {};
}

Result<void> RunDriver::Parts::offer_documents(const SiteId& site, bool roster_too) {
  if (roster_too) FOVEA_TRY(offer_roster(site));
  send_own(site, MessageKind::plan_offer, federation::messages::PlanOffer{run->plan_bytes()}.encode());
  return {};
}

// One missed sum at a time: the site says hello again when it has applied it.
Result<void> RunDriver::Parts::send_missed_sum(const SiteId& site, RoundNumber last_round) {
  const store::RoundRecord* last = run->last_sum();
  if (last == nullptr || last_round >= last->round || cut_off.contains(site)) return {};
  if (is_sum_under_way(site, last_round) || !load_of(site).admit_publication(last_round, clock->monotonic())) return {};
  FOVEA_TRY_ASSIGN(std::optional<store::RunStore::Publication> missed, run->publication_after(last_round));
  if (!missed) return {};
  events.write("catching_up", {{"site", site.text()}, {"round", missed->round}});
  return send_publication(site, std::move(*missed), last_round);
}

void RunDriver::Parts::say_failure(const SiteId& site, const FailureSaid& failure) {
  using federation::messages::RefusalReason;
  const auto [known, is_first] = failures_said.try_emplace(site, failure);
  const FailureSaid before = std::exchange(known->second, failure);
  if (!is_first && before == failure) return;
  const std::string reason(federation::messages::to_string(failure.reason));
  events.write("site_failure",
               {{"site", site.text()}, {"round", failure.round}, {"attempt", failure.attempt}, {"reason", reason}});
  const bool declines = failure.round == 0;
  if (!is_first && before.reason == failure.reason && (before.round == 0) == declines) return;
  spdlog::warn("{}{}{}{}", site.text(), declines ? ": does not take part: " : " refused: ", reason,
               failure.reason == RefusalReason::unacquainted_sites
                   ? ": a person there must accept the other sites first: fovea-node roster list"
               : declines ? ""
                          : ", in round " + std::to_string(failure.round));
}

Result<void> RunDriver::Parts::note_failure(const SiteId& site, const federation::messages::SignedMessage& message) {
  using federation::messages::RefusalReason;
  const auto failure = federation::messages::AttemptFailure::decode(message.payload());
  if (!failure) return {};
  if (failure->round == 0) declined[site] = failure->reason;
  failed_in_round.insert(site);
  say_failure(site, {failure->reason, failure->round, failure->attempt});
  if (failure->reason == RefusalReason::roster_expired && failure->round == round) doubters.insert(site);
  if (failure->reason == RefusalReason::roster_differs && failure->attempt == 0) note_cut_off(site, failure->round);
  // The site has an old one, or a clock that is off, which this offer's time shows it.
  return failure->reason == RefusalReason::roster_expired ? offer_roster(site) : Result<void>();
}

// For people: a full disk loses a line of it, never the run.
void RunDriver::Parts::show_cut_off() const {
  std::vector<store::CutOffSite> sites;
  for (const auto& [site, lost] : cut_off) sites.push_back({site, lost.round});
  if (const auto written = store::write_cut_off_sites(run->folder(), sites); !written)
    spdlog::debug("cut-off.json: {}", written.error().message);
}

// No sum leaves before the history has it, so a site that has a later one shows that this folder is an older copy. Any
// m sites may lie, and must not end a run by it.
Result<void> RunDriver::Parts::note_ahead(const SiteId& site, RoundNumber last_round) {
  const store::RoundRecord* last = run->last_sum();
  const RoundNumber known = last == nullptr ? 0 : last->round;
  if (last_round <= known) {
    ahead.erase(site);
    return {};
  }
  const bool said = !ahead.insert_or_assign(site, last_round).second;
  const std::string here = "the history here ends with that of round " + std::to_string(known);
  if (!said) {
    spdlog::warn("{}: says that it has applied the sum of round {}, and {}", site.text(), last_round, here);
    events.write("site_ahead", {{"site", site.text()}, {"round", last_round}, {"known", known}});
  }
  if (ahead.size() <= run->plan().secure_aggregation.colluders_max) return {};
  std::string names;
  RoundNumber newest = 0;
  for (const auto& [each, round_there] : ahead) {
    names += (names.empty() ? "" : ", ") + each.text();
    newest = std::max(newest, round_there);
  }
  return corruption(
      run->folder().string() + ": was put back from an older copy: " + names + " have applied sums up to round " +
      std::to_string(newest) + ", and " + here +
      "; bring back the newest copy of the coordinator's folder. Without one this run cannot go on: begin "
      "another with a plan of another seed");
}

// Its word alone: whoever says so without need keeps nobody out but itself.
void RunDriver::Parts::note_cut_off(const SiteId& site, RoundNumber lost) {
  const auto state = joined.find(site);
  if (state == joined.end() || lost <= state->second.last_round) return;
  if (!cut_off.emplace(site, CutOff{state->second, lost}).second) return;
  show_cut_off();
  spdlog::warn(
      "{}: run {} goes on without it: it made sums under rosters that this site never had, from round {} on; the site "
      "takes part in the next plan",
      site.text(), run->facts().run.text().substr(0, 12), lost);
  events.write("site_cut_off", {{"site", site.text()}, {"round", lost}});
}

}  // namespace fovea::coordinator::io
