#include "audit/reconciliation.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace fovea::audit {
namespace {

constexpr std::size_t kReceiptsListedMax = 20;

void add(TransferCount& count, const Transfer& transfer) {
  ++count.messages;
  count.bytes += transfer.length;
}

struct SiteLedgers {
  std::vector<const Transfer*> sent, received;
  bool given = false, read = false, damaged = false, forked = false;
};

// What one site's ledger can say about a receipt that none of its entries matches.
class SiteWitness {
 public:
  SiteWitness(const SiteLedgers& ledgers, std::uint64_t signed_receipts)
      : ledgers_(ledgers), signed_receipts_(signed_receipts) {
    for (const Transfer* transfer : ledgers.sent) {
      if (transfer->body) bodies_.emplace(transfer->kind, *transfer->body);
      else has_old_form_ = true;
    }
  }

  // A signature says what a site sent, not how often, and not in which bytes the coordinator says it came: contents
  // that the site recorded convict nobody. A receipt with a signature is of a message that only programs send whose
  // entries name contents, so that an older form is no excuse on either side.
  UnloggedReceipt judge(const Transfer& receipt) const {
    const auto verdict = [&](Culprit culprit, const char* why) { return UnloggedReceipt{receipt.index, culprit, why}; };
    const bool is_coordinators = receipt.index < signed_receipts_;
    if (receipt.proof == ReceiptProof::forged && is_coordinators)
      return verdict(Culprit::coordinator, "the site did not sign it: the coordinator made it up");
    if (receipt.proof == ReceiptProof::forged)
      return verdict(Culprit::nobody,
                     "the site did not sign it, and no checkpoint of the coordinator covers it: anybody may have "
                     "written it");
    if (const char* silent = silence(); silent != nullptr) return verdict(Culprit::nobody, silent);
    if (receipt.proof == ReceiptProof::old_form && !bodies_.empty() && !has_old_form_ && is_coordinators)
      return verdict(Culprit::coordinator,
                     "it is of version 1, without the signature that every message of this site has by its ledger: the "
                     "coordinator left it out");
    if (receipt.proof == ReceiptProof::old_form)
      return verdict(Culprit::nobody, "it is of version 1, without the site's signature, and proves nothing");
    if (receipt.proof == ReceiptProof::unknown_key)
      return verdict(Culprit::nobody,
                     "its signature cannot be judged: no roster given was in force and names the site's identity key");
    if (bodies_.contains({receipt.kind, *receipt.body}))
      return verdict(Culprit::nobody,
                     "the site recorded a message with these contents, but fewer times or under other bytes");
    return verdict(Culprit::site, ledgers_.forked ? "the site signed it, and this one of its two ledgers lacks it"
                                                  : "the site signed it and did not record it");
  }

 private:
  // Why the ledger cannot speak against its site; null where it can.
  const char* silence() const {
    if (!ledgers_.given) return "the site's ledger was not given";
    if (!ledgers_.read) return "the site's ledger could not be verified with the keys that were given";
    if (ledgers_.damaged) return "it may be in what is changed or missing in this copy of the site's ledger";
    return nullptr;
  }

  const SiteLedgers& ledgers_;
  std::uint64_t signed_receipts_;  // entries under the coordinator's checkpoint
  std::set<std::pair<std::string, Digest>> bodies_;
  bool has_old_form_ = false;
};

// One site's transfers against its receipts. A message sent again has the same bytes: copies are matched one to one.
SiteReconciliation reconcile_site(const std::string& site, const SiteLedgers& ledgers, std::uint64_t signed_receipts) {
  std::vector<const Transfer*> sent = ledgers.sent, received = ledgers.received;
  const auto order = [](const Transfer* a, const Transfer* b) {
    return std::tie(a->payload, a->kind, a->length, a->index) < std::tie(b->payload, b->kind, b->length, b->index);
  };
  const auto key = [](const Transfer* t) { return std::tie(t->payload, t->kind, t->length); };
  std::sort(sent.begin(), sent.end(), order);
  std::sort(received.begin(), received.end(), order);
  SiteReconciliation out;
  out.site = site;
  out.forked = ledgers.forked;
  const SiteWitness witness(ledgers, signed_receipts);
  const auto unlogged = [&](const Transfer& transfer) {
    UnloggedReceipt found = witness.judge(transfer);
    add(out.unlogged, transfer);
    if (found.culprit == Culprit::site) add(out.against_site, transfer);
    if (found.culprit == Culprit::coordinator) add(out.against_coordinator, transfer);
    if (out.unlogged_receipts.size() < kReceiptsListedMax) out.unlogged_receipts.push_back(std::move(found));
  };
  auto intent = sent.begin();
  auto receipt = received.begin();
  while (intent != sent.end() || receipt != received.end()) {
    if (receipt == received.end() || (intent != sent.end() && key(*intent) < key(*receipt))) {
      add(out.unconfirmed, **intent++);
    } else if (intent == sent.end() || key(*receipt) < key(*intent)) {
      unlogged(**receipt++);
    } else {
      add(out.matched, **intent++);
      ++receipt;
    }
  }
  std::sort(out.unlogged_receipts.begin(), out.unlogged_receipts.end(),
            [](const UnloggedReceipt& a, const UnloggedReceipt& b) { return a.index < b.index; });
  return out;
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

std::uint64_t Reconciliation::unlogged_bytes() const noexcept {
  return std::accumulate(sites.begin(), sites.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& site) { return sum + site.unlogged.bytes; });
}

bool Reconciliation::clean() const noexcept {
  return std::all_of(sites.begin(), sites.end(),
                     [](const auto& site) { return site.unlogged.messages == 0 && !site.forked; });
}

std::string federation_of(const AuditedLedger& ledger) { return ledger.origin.substr(0, ledger.origin.rfind('/')); }

Reconciliation reconcile(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator) {
  std::map<std::string, SiteLedgers> by_site;
  for (const AuditedLedger* site : sites) {
    if (site->copy || federation_of(*site) != federation_of(coordinator)) continue;
    SiteLedgers& own = by_site[site->owner];
    own.given = true;
    if (!site->was_read()) continue;  // whose it is, it only says
    own.read = true;
    own.damaged = own.damaged || !site->whole;
    own.forked = own.forked || site->forked;
    for (const Transfer& transfer : site->facts.transfers) own.sent.push_back(&transfer);
  }
  for (const Transfer& receipt : coordinator.facts.transfers) by_site[receipt.site].received.push_back(&receipt);
  Reconciliation out;
  for (const auto& [site, ledgers] : by_site)
    out.sites.push_back(reconcile_site(site, ledgers, coordinator.checkpoint.size));
  return out;
}

}  // namespace fovea::audit
