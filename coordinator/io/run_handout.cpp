// Sums for sites that were away: those of this run, with the rosters that they were made under, also when the run has
// ended; and those of other runs that ended here.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "coordinator/io/run_driver_parts.h"
#include "coordinator/store/served_sites.h"
#include "federation/membership/signed_document.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::coordinator::io {
namespace {

using federation::messages::MessageKind;

constexpr std::size_t kFinishedMax = 8;  // other runs that are held open
constexpr int kHandoutsMax = 3;          // of one sum to one site, before it is let on to the run that is served

std::string names_of(const std::vector<SiteId>& sites) {
  std::string out;
  for (const SiteId& site : sites) out += (out.empty() ? "" : ", ") + site.text();
  return out;
}

nlohmann::ordered_json list_of(const std::vector<SiteId>& sites) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const SiteId& site : sites) out.push_back(site.text());
  return out;
}

// Of the run's last sum, by the site's own word, and of the model that follows from it.
bool stands_at_end(const store::RunStore& run, const federation::messages::Hello& hello) {
  const store::RoundRecord* last = run.last_sum();
  return run.complete() && last != nullptr && hello.last_round == last->round && hello.model_hash == last->model;
}

}  // namespace

// A site counts the sites of a sum by their places on its roster. One that was away while that roster was in force, or
// came later, gets it first, as the administrators signed it.
Result<void> RunDriver::Parts::offer_roster_of(const SiteId& site, const store::RunStore::Publication& sum) {
  if (sum.messages.empty()) return {};
  const auto first = federation::messages::SignedMessage::open(
      sum.messages.front(), {.sender = std::nullopt, .key = facts.coordinator_signing_key});
  if (!first || first->kind() != MessageKind::round_evidence) return {};  // no site takes it either
  const auto evidence = federation::secagg::RoundEvidence::decode(first->payload());
  if (!evidence || evidence->parameters.roster_hash == roster.hash) return {};
  const auto document = options.folder.replaced_roster_document(evidence->parameters.roster_hash);
  if (!document) {
    spdlog::warn("{}: the sum of round {} was made under a roster that is not here any more: {}", site.text(),
                 sum.round, document.error().message);
    return {};
  }
  const federation::messages::RosterOffer offer{document->serialize(), static_cast<std::uint64_t>(clock->wall().value)};
  send_own(site, MessageKind::roster_offer, offer.encode());
  return {};
}

Result<void> RunDriver::Parts::send_publication(const SiteId& site, store::RunStore::Publication sum,
                                                RoundNumber after) {
  FOVEA_TRY(offer_roster_of(site, sum));
  for (Bytes& message : sum.messages)
    if (server->send(site, std::make_shared<const Bytes>(std::move(message))) != SendVerdict::queued) break;
  note_sum_sent(site, after);
  return {};
}

void RunDriver::Parts::note_sum_sent(const SiteId& site, RoundNumber after) {
  if (auto sent = server->position(site)) sums_sent.insert_or_assign(site, SumSent{std::move(*sent), after});
}

bool RunDriver::Parts::is_sum_under_way(const SiteId& site, RoundNumber after) const {
  const auto sent = sums_sent.find(site);
  return sent != sums_sent.end() && sent->second.after == after && server->is_under_way(site, sent->second.position);
}

void RunDriver::Parts::note_served(const SiteId& site, const federation::messages::Hello& hello) {
  if (!stands_at_end(*run, hello) || !served.insert(site).second) return;
  spdlog::info("{} has the last sum", site.text());
  events.write("site_has_last_sum", {{"site", site.text()}, {"run", run->facts().run.text()}});
  if (const auto written = store::write_served_sites(run->folder(), served); !written)
    spdlog::debug("last-sum.json: {}", written.error().message);
}

void RunDriver::Parts::recall_served() {
  auto known = store::read_served_sites(run->folder());
  if (known) served = std::move(*known);
  else spdlog::warn("{}: not read; the sites say it again", known.error().message);
}

// Of those that took part. Who is left out, or takes no part any more, is not waited for, but gets the sum if it asks.
std::vector<SiteId> RunDriver::Parts::lacking() const {
  std::set<std::string> took_part;
  for (const store::RoundRecord& past : run->history())
    took_part.insert(past.contributors.begin(), past.contributors.end());
  std::vector<SiteId> out;
  for (const federation::membership::RosterSite& site : roster.sites) {
    const bool is_out = left_out.contains(site.id) || cut_off.contains(site.id) || declined.contains(site.id);
    const bool concerned = took_part.contains(site.id.text()) || joined.contains(site.id);
    if (concerned && !is_out && !served.contains(site.id)) out.push_back(site.id);
  }
  return out;
}

std::string RunDriver::Parts::handout_in_words() const {
  const std::vector<SiteId> sites = lacking();
  return "complete · " + (sites.empty() ? std::string("every site that took part has the last sum")
                                        : "handing out sums to whoever lacks them: " + names_of(sites) +
                                              (sites.size() == 1 ? " lacks" : " lack") + " the last");
}

// The sums of a run that has ended, until every site that took part has them, the time is over, or a signal.
Result<void> RunDriver::Parts::hand_out() {
  const MonotonicMs began = clock->monotonic();
  std::vector<SiteId> said;
  while (!stop) {
    std::vector<SiteId> sites = lacking();
    if (sites.empty() && !options.stay) return {};
    if (!sites.empty() && options.hand_out_ms && clock->monotonic().value - began.value >= *options.hand_out_ms) break;
    if (sites != said) {
      events.write("handing_out", {{"run", run->facts().run.text()}, {"lacking", list_of(sites)}});
      said = std::move(sites);
    }
    FOVEA_TRY(loop_once());
  }
  const std::vector<SiteId> left = lacking();
  if (left.empty()) return {};
  events.write("last_sum_lacking", {{"run", run->facts().run.text()}, {"sites", list_of(left)}});
  spdlog::warn("{} {} the last sum of run {}; hand it out with: fovea-coordinator --home {} serve --run {}",
               names_of(left), left.size() == 1 ? "lacks" : "lack", run->facts().run.text().substr(0, 12),
               options.folder.root().string(), run->facts().run.text().substr(0, 12));
  return {};
}

// A run that has ended here, and is not the one that is served; nothing where there is none.
RunDriver::Parts::Finished* RunDriver::Parts::finished_run(const RunId& id) {
  if (id == RunId{}) return nullptr;
  if (const auto known = finished.find(id); known != finished.end()) return &known->second;
  if (finished.size() >= kFinishedMax) return nullptr;
  auto opened = store::RunStore::open(options.folder.runs() / id.text());
  if (!opened || !opened->complete()) return nullptr;
  return &finished.emplace(id, Finished{std::move(opened).value(), {}}).first->second;
}

// True: the site is busy with that run, and hears of the one that is served when it has the last sum of it.
Result<bool> RunDriver::Parts::hand_out_finished(const SiteId& site, const RunId& id,
                                                 const federation::messages::Hello& hello) {
  Finished* const ended = finished_run(id);
  if (ended == nullptr) return false;
  Handout& given = ended->given[site];
  const bool opened_there = hello.model_hash != Digest{};
  if (stands_at_end(ended->run, hello)) {
    if (!std::exchange(given.done, true))
      events.write("site_has_last_sum", {{"site", site.text()}, {"run", id.text()}});
    return false;
  }
  if (opened_there && is_sum_under_way(site, hello.last_round)) return true;
  const std::int64_t stands = opened_there ? std::int64_t{hello.last_round} : -1;
  given.times = stands == given.stands ? given.times + 1 : 1;
  given.stands = stands;
  if (given.done || given.times > kHandoutsMax) return false;  // it comes no further in it
  if (!opened_there) {
    const Bytes offer = federation::messages::PlanOffer{ended->run.plan_bytes()}.encode();
    send_own(site, MessageKind::plan_offer, offer, id);
    return true;
  }
  auto missed = ended->run.publication_after(hello.last_round);
  if (!missed || !*missed) {
    if (!missed) spdlog::warn("{}: {}", site.text(), missed.error().message);
    return false;
  }
  events.write("catching_up", {{"site", site.text()}, {"run", id.text()}, {"round", (*missed)->round}});
  FOVEA_TRY(send_publication(site, std::move(**missed), hello.last_round));
  return true;
}

}  // namespace fovea::coordinator::io
