#include "audit/reconciliation.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/ids.h"
#include "federation/ledger/egress_rules.h"

namespace fovea::audit {
namespace {

constexpr std::size_t kReceiptsListedMax = 20;

void add(TransferCount& count, const Transfer& transfer) {
  ++count.messages;
  count.bytes += transfer.length;
}

// What the entries under one ledger's checkpoint show of when it ends: it is a copy, and may be older than the
// coordinator's. Others are not asked: whoever hands the folder over can have written them.
struct CopyEnd {
  std::optional<UnixMs> at;              // of the newest entry
  std::map<RunId, RoundNumber> rounds;   // the newest of each run that the site joined
  std::optional<std::int64_t> ahead_ms;  // how far the coordinator's clock is ahead of this one, at most
};

// Of an attempt that the site had joined: of rounds that it joins it never goes back to an earlier one, which its gate
// makes durable first. Other kinds name whatever round the coordinator asked for.
bool is_of_joined_round(const Transfer& transfer) {
  const auto kind = federation::ledger::egress_kind(transfer.kind);
  return transfer.round > 0 && kind &&
         federation::ledger::egress_scope(*kind) == federation::messages::MessageScope::round;
}

struct LedgerUnderKey {
  bool whole = true;
  // As in CopyEnd, before the first entry that a newer program wrote: of the rounds before these nothing is in what
  // cannot be read. Empty where something is missing or was changed.
  std::map<RunId, RoundNumber> rounds_known;
  CopyEnd end;
};

struct Sent {
  const Transfer* transfer;
  LedgerUnderKey* ledger;  // none: no checkpoint covers it
};

struct SiteLedgers {
  std::vector<Sent> sent;
  std::vector<const Transfer*> received;  // in the order of the coordinator's ledger
  bool given = false, forked = false;
  std::map<std::string, LedgerUnderKey> by_key;  // those that could be read
};

bool has_later_round(const std::map<RunId, RoundNumber>& newest, const Transfer& receipt) {
  const auto round = newest.find(receipt.run);
  return is_of_joined_round(receipt) && round != newest.end() && round->second > receipt.round;
}

struct CoordinatorsSide {
  const AuditedLedger& ledger;
  std::string nameless;  // a folder that was given and does not say whose it is; empty: none

  bool covers(const Transfer& receipt) const { return ledger.covers(receipt.index); }

  // Of a receipt. One that is not covered is newer than all that are, whatever it says.
  std::int64_t time_of(const Transfer& receipt) const {
    return covers(receipt) || !ledger.ends ? receipt.at.value : std::max(receipt.at.value, ledger.ends->value);
  }
};

std::string epochs_text(const SiteLogKey& key) {
  if (key.first == key.last) return "epoch " + std::to_string(key.first);
  return "epochs " + std::to_string(key.first) + " to " + std::to_string(key.last);
}

// What one site's ledgers can say about a receipt that none of their entries matches.
class SiteWitness {
 public:
  SiteWitness(std::string site, const SiteLedgers& ledgers, const CoordinatorsSide& coordinator,
              const std::vector<std::vector<SiteLogKey>>& log_keys)
      : site_(std::move(site)), ledgers_(ledgers), coordinator_(coordinator), log_keys_(log_keys) {
    for (const Sent& sent : ledgers.sent) {
      if (sent.transfer->body) bodies_.emplace(sent.transfer->kind, *sent.transfer->body);
      else has_old_form_ = true;
      has_new_form_ = has_new_form_ || (sent.transfer->body && sent.ledger != nullptr);
    }
  }

  // A signature says what a site sent, not how often, and not in which bytes the coordinator says it came: contents
  // that the site recorded convict nobody. A receipt with a signature is of a message that only programs send whose
  // entries name contents, so that an older form is no excuse on either side.
  UnloggedReceipt judge(const Transfer& receipt) const {
    const auto verdict = [&](Culprit culprit, const char* why) { return UnloggedReceipt{receipt.index, culprit, why}; };
    const bool is_coordinators = coordinator_.covers(receipt);
    if (receipt.proof == ReceiptProof::forged && is_coordinators)
      return verdict(Culprit::coordinator, "the site did not sign it: the coordinator made it up");
    if (receipt.proof == ReceiptProof::forged)
      return verdict(Culprit::nobody,
                     "the site did not sign it, and no checkpoint of the coordinator covers it: anybody may have "
                     "written it");
    const std::vector<SiteLogKey>& keys = log_keys_[receipt.log_keys];
    if (std::string missing = not_given(keys); !missing.empty())
      return {receipt.index, Culprit::nobody, std::move(missing), true};
    if (is_damaged(receipt, keys))
      return verdict(Culprit::nobody,
                     "it may be in what cannot be read or is missing in this copy of the site's ledger");
    if (receipt.proof == ReceiptProof::old_form && keys.empty())
      return verdict(Culprit::nobody,
                     "it is of version 1, without the site's signature, and no roster that was given and in force says "
                     "under which keys the site kept its ledger");
    if (receipt.proof == ReceiptProof::old_form && has_new_form_ && !has_old_form_ && is_coordinators)
      return verdict(Culprit::coordinator,
                     "it is of version 1, without the signature that every message of this site has by its ledger: the "
                     "coordinator left it out");
    if (receipt.proof == ReceiptProof::old_form)
      return verdict(Culprit::nobody, "it is of version 1, without the site's signature, and proves nothing");
    if (receipt.proof == ReceiptProof::unknown_key)
      return verdict(Culprit::nobody,
                     "its signature cannot be judged: no roster given was in force and names the site's identity key");
    if (std::string early = ends_before(receipt, keys); !early.empty())
      return {receipt.index, Culprit::nobody, std::move(early), true};
    if (!is_coordinators)
      return {
          receipt.index, Culprit::nobody,
          "no checkpoint of the coordinator covers it, so that nothing shows when it came: let its program end once "
          "and copy its ledger again",
          true};
    if (bodies_.contains({receipt.kind, *receipt.body}))
      return verdict(Culprit::nobody,
                     "the site recorded a message with these contents, but fewer times or under other bytes");
    return verdict(Culprit::site, ledgers_.forked ? "the site signed it, and this one of its two ledgers lacks it"
                                                  : "the site signed it and did not record it");
  }

 private:
  // Of the ledgers in which the receipt's message may be recorded, what the auditor lacks; empty: nothing.
  std::string not_given(const std::vector<SiteLogKey>& keys) const {
    if (!ledgers_.given && !coordinator_.nameless.empty())
      return "the ledger of " + site_ + " was not given, unless it is " + coordinator_.nameless +
             ", whose checkpoint is missing or cannot be read";
    if (!ledgers_.given) return "the ledger of " + site_ + " was not given";
    if (ledgers_.by_key.empty())
      return "the ledger of " + site_ + " could not be verified with the keys that were given";
    for (const SiteLogKey& key : keys)
      if (!ledgers_.by_key.contains(key.key))
        return "the ledger of " + site_ + "'s keys of " + epochs_text(key) + " was not given";
    return "";
  }

  bool is_damaged(const Transfer& receipt, const std::vector<SiteLogKey>& keys) const {
    return std::any_of(ledgers_.by_key.begin(), ledgers_.by_key.end(), [&](const auto& of_key) {
      const auto names = [&](const SiteLogKey& key) { return key.key == of_key.first; };
      return !of_key.second.whole && !has_later_round(of_key.second.rounds_known, receipt) &&
             (keys.empty() || std::any_of(keys.begin(), keys.end(), names));
    });
  }

  // An old copy convicts nobody. Once a site has joined a round it sends nothing of an attempt of an earlier one, so
  // that a later round shows, whatever its operator wrote for times, that the copy reaches further than the receipt.
  std::string ends_before(const Transfer& receipt, const std::vector<SiteLogKey>& keys) const {
    for (const SiteLogKey& key : keys) {
      const CopyEnd& end = ledgers_.by_key.at(key.key).end;
      if (coordinator_.covers(receipt) && has_later_round(end.rounds, receipt)) continue;
      if (end.at && end.at->value >= coordinator_.time_of(receipt) - end.ahead_ms.value_or(0)) continue;
      return (end.at ? "the copy of " + site_ + "'s ledger ends at " + utc_text(*end.at) + ", before this was received"
                     : "the copy of " + site_ + "'s ledger is empty") +
             ": copy the sites' ledgers after the coordinator's";
    }
    return "";
  }

  std::string site_;
  const SiteLedgers& ledgers_;
  const CoordinatorsSide& coordinator_;
  const std::vector<std::vector<SiteLogKey>>& log_keys_;
  std::set<std::pair<std::string, Digest>> bodies_;
  bool has_old_form_ = false;
  bool has_new_form_ = false;  // under the site's checkpoint
};

struct Matches {
  std::vector<std::pair<Sent, const Transfer*>> both;
  std::vector<Sent> sent_only;
  std::vector<const Transfer*> received_only;  // in the order of the coordinator's ledger
};

// One site's transfers against its receipts. A message sent again has the same bytes: copies are matched one to one.
Matches match(std::vector<Sent> sent, std::vector<const Transfer*> received) {
  const auto order = [](const Transfer* a, const Transfer* b) {
    return std::tie(a->payload, a->kind, a->length, a->index) < std::tie(b->payload, b->kind, b->length, b->index);
  };
  const auto key = [](const Transfer* t) { return std::tie(t->payload, t->kind, t->length); };
  std::sort(sent.begin(), sent.end(), [&](const Sent& a, const Sent& b) { return order(a.transfer, b.transfer); });
  std::sort(received.begin(), received.end(), order);
  Matches out;
  auto intent = sent.begin();
  auto receipt = received.begin();
  while (intent != sent.end() || receipt != received.end()) {
    if (receipt == received.end() || (intent != sent.end() && key(intent->transfer) < key(*receipt)))
      out.sent_only.push_back(*intent++);
    else if (intent == sent.end() || key(*receipt) < key(intent->transfer)) out.received_only.push_back(*receipt++);
    else out.both.emplace_back(*intent++, *receipt++);
  }
  std::sort(out.received_only.begin(), out.received_only.end(),
            [](const Transfer* a, const Transfer* b) { return a->index < b->index; });
  return out;
}

// A message arrives after it was recorded: the least difference is what the clocks differ by, or more.
void compare_clocks(const Matches& matches, const CoordinatorsSide& coordinator) {
  for (const auto& [sent, receipt] : matches.both) {
    if (sent.ledger == nullptr || !coordinator.covers(*receipt)) continue;
    std::optional<std::int64_t>& ahead = sent.ledger->end.ahead_ms;
    const std::int64_t difference = receipt->at.value - sent.transfer->at.value;
    ahead = std::min(ahead.value_or(difference), difference);
  }
}

// What was announced when the coordinator's copy had ended cannot be in it. The clocks differ by at most what the
// messages in both show.
bool is_after_end(const Sent& sent, const CoordinatorsSide& coordinator) {
  if (!coordinator.ledger.ends) return true;
  const std::int64_t ahead = sent.ledger == nullptr ? 0 : sent.ledger->end.ahead_ms.value_or(0);
  return sent.transfer->at.value + ahead > coordinator.ledger.ends->value;
}

// The first of each kind, in order; those that convict are shown before the others.
class ListedReceipts {
 public:
  void add(UnloggedReceipt receipt) {
    std::vector<UnloggedReceipt>& list = receipt.culprit == Culprit::nobody ? others_ : convicting_;
    if (list.size() < kReceiptsListedMax) list.push_back(std::move(receipt));
  }
  std::vector<UnloggedReceipt> take() {
    for (UnloggedReceipt& receipt : others_)
      if (convicting_.size() < kReceiptsListedMax) convicting_.push_back(std::move(receipt));
    return std::move(convicting_);
  }

 private:
  std::vector<UnloggedReceipt> convicting_, others_;
};

SiteReconciliation reconcile_site(const std::string& site, const SiteLedgers& ledgers,
                                  const CoordinatorsSide& coordinator,
                                  const std::vector<std::vector<SiteLogKey>>& log_keys) {
  const Matches matches = match(ledgers.sent, ledgers.received);
  compare_clocks(matches, coordinator);
  SiteReconciliation out;
  out.site = site;
  out.forked = ledgers.forked;
  for (const auto& [sent, receipt] : matches.both) add(out.matched, *receipt);
  for (const Sent& sent : matches.sent_only) {
    add(out.unconfirmed, *sent.transfer);
    if (is_after_end(sent, coordinator)) add(out.unconfirmed_after, *sent.transfer);
  }
  ListedReceipts listed;
  const SiteWitness witness(site, ledgers, coordinator, log_keys);
  // It did send that, so that nobody made it up, and only its ledger shows more. A folder that does not say whose it is
  // may be that ledger.
  const bool not_given = !ledgers.given && coordinator.nameless.empty();
  for (const Transfer* receipt : matches.received_only) {
    if (not_given && receipt->proof == ReceiptProof::site) {
      add(out.not_looked_at, *receipt);
      continue;
    }
    UnloggedReceipt found = witness.judge(*receipt);
    add(out.unlogged, *receipt);
    if (found.culprit == Culprit::site) add(out.against_site, *receipt);
    if (found.culprit == Culprit::coordinator) add(out.against_coordinator, *receipt);
    if (found.lacks) add(out.undecided, *receipt);
    const bool is_new = std::find(out.lacking.begin(), out.lacking.end(), found.why) == out.lacking.end();
    if (found.lacks && is_new && out.lacking.size() < kReceiptsListedMax) out.lacking.push_back(found.why);
    listed.add(std::move(found));
  }
  out.unlogged_receipts = listed.take();
  return out;
}

void add_ledger(SiteLedgers& own, const AuditedLedger& site) {
  own.given = true;
  if (!site.was_read()) return;  // whose it is, it only says
  LedgerUnderKey& ledger = own.by_key[site.key];
  ledger.whole = ledger.whole && site.whole;
  own.forked = own.forked || site.forked;
  if (site.ends && (!ledger.end.at || site.ends->value > ledger.end.at->value)) ledger.end.at = site.ends;
  for (const Transfer& transfer : site.facts.transfers) {
    const bool covered = site.covers(transfer.index);
    own.sent.push_back({&transfer, covered ? &ledger : nullptr});
    if (!covered || !is_of_joined_round(transfer)) continue;
    RoundNumber& newest = ledger.end.rounds[transfer.run];
    newest = std::max(newest, transfer.round);
    if (site.known_until && transfer.index < *site.known_until) ledger.rounds_known[transfer.run] = newest;
  }
}

}  // namespace

std::string_view to_string(Culprit culprit) noexcept {
  switch (culprit) {
    case Culprit::site: return "site";
    case Culprit::coordinator: return "coordinator";
    case Culprit::nobody: return "nobody";
  }
  return "nobody";
}

std::string_view to_string(Compared compared) noexcept {
  switch (compared) {
    case Compared::everything: return "everything";
    case Compared::a_part: return "a part";
    case Compared::nothing: return "nothing";
  }
  return "nothing";
}

std::uint64_t Reconciliation::unlogged_bytes() const noexcept {
  return std::accumulate(sites.begin(), sites.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& site) { return sum + site.unlogged.bytes; });
}

bool Reconciliation::clean() const noexcept {
  return std::all_of(sites.begin(), sites.end(),
                     [](const auto& site) { return site.unlogged.messages == 0 && !site.forked; });
}

std::vector<std::string> Reconciliation::not_looked_at() const {
  std::vector<std::string> out;
  for (const SiteReconciliation& site : sites)
    if (site.not_looked_at.messages > 0) out.push_back(site.site);
  return out;
}

std::string federation_of(const AuditedLedger& ledger) { return ledger.origin.substr(0, ledger.origin.rfind('/')); }

bool Reconciliation::convicts() const noexcept {
  return std::any_of(sites.begin(), sites.end(), [](const auto& site) {
    return site.forked || site.against_site.messages + site.against_coordinator.messages > 0;
  });
}

bool Reconciliation::undecided() const noexcept {
  return !clean() && std::all_of(sites.begin(), sites.end(), [](const auto& site) {
    return !site.forked && site.undecided.messages == site.unlogged.messages;
  });
}

namespace {

Compared compared_of(const AuditedLedger& coordinator) {
  if (!coordinator.was_read()) return Compared::nothing;
  if (coordinator.whole) return Compared::everything;
  const bool has_entries = coordinator.ends || coordinator.unpublished > 0;
  return has_entries || coordinator.checkpoint.size == 0 ? Compared::a_part : Compared::nothing;
}

}  // namespace

Reconciliation reconcile(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator) {
  std::map<std::string, SiteLedgers> by_site;
  for (const AuditedLedger* site : sites)
    if (!site->copy && !site->owner.empty() && federation_of(*site) == federation_of(coordinator))
      add_ledger(by_site[site->owner], *site);
  for (const Transfer& receipt : coordinator.facts.transfers) by_site[receipt.site].received.push_back(&receipt);
  CoordinatorsSide side{coordinator, {}};
  for (const AuditedLedger* site : sites)
    if (site->owner.empty() && side.nameless.empty()) side.nameless = site->folder.string();
  Reconciliation out;
  out.compared = compared_of(coordinator);
  out.coordinator_ends = coordinator.ends;
  for (const auto& [site, ledgers] : by_site)
    out.sites.push_back(reconcile_site(site, ledgers, side, coordinator.facts.log_keys));
  return out;
}

}  // namespace fovea::audit
