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

// What one site's ledger can say about a receipt that none of its entries matches.
class SiteWitness {
 public:
  explicit SiteWitness(const std::vector<const Transfer*>& sent) {
    for (const Transfer* transfer : sent) {
      if (transfer->body) bodies_.emplace(transfer->kind, *transfer->body);
      else old_kinds_.insert(transfer->kind);
    }
  }

  // A signature says what a site sent, not how often, and not in which bytes the coordinator says it came: contents
  // that the site recorded convict nobody.
  // `silent`: why the ledger cannot speak against its site; null where it can.
  UnloggedReceipt judge(const Transfer& receipt, const char* silent) const {
    const auto verdict = [&](Culprit culprit, const char* why) { return UnloggedReceipt{receipt.index, culprit, why}; };
    if (receipt.proof == ReceiptProof::forged)
      return verdict(Culprit::coordinator, "the site did not sign it: the coordinator made it up");
    if (silent != nullptr) return verdict(Culprit::nobody, silent);
    if (receipt.proof == ReceiptProof::old_form)
      return verdict(Culprit::nobody, "it is of version 1, without the site's signature, and proves nothing");
    if (receipt.proof == ReceiptProof::unknown_key)
      return verdict(Culprit::nobody,
                     "its signature cannot be judged: no roster given was in force and names the site's identity key");
    if (bodies_.contains({receipt.kind, *receipt.body}))
      return verdict(Culprit::nobody,
                     "the site recorded a message with these contents, but fewer times or under other bytes");
    if (bodies_.empty() && old_kinds_.contains(receipt.kind))
      return verdict(Culprit::nobody, "the site's ledger has such messages in version 1, which does not name contents");
    return verdict(Culprit::site, "the site signed it and did not record it");
  }

 private:
  std::set<std::pair<std::string, Digest>> bodies_;
  std::set<std::string> old_kinds_;
};

// One site's transfers against its receipts. A message sent again has the same bytes: copies are matched one to one.
SiteReconciliation reconcile_site(const std::string& site, std::vector<const Transfer*> sent,
                                  std::vector<const Transfer*> received, const char* silent) {
  const auto order = [](const Transfer* a, const Transfer* b) {
    return std::tie(a->payload, a->kind, a->length, a->index) < std::tie(b->payload, b->kind, b->length, b->index);
  };
  const auto key = [](const Transfer* t) { return std::tie(t->payload, t->kind, t->length); };
  std::sort(sent.begin(), sent.end(), order);
  std::sort(received.begin(), received.end(), order);
  SiteReconciliation out;
  out.site = site;
  const SiteWitness witness(sent);
  const auto unlogged = [&](const Transfer& transfer) {
    UnloggedReceipt found = witness.judge(transfer, silent);
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
  return std::all_of(sites.begin(), sites.end(), [](const auto& site) { return site.unlogged.messages == 0; });
}

Reconciliation reconcile(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator) {
  std::map<std::string, std::pair<std::vector<const Transfer*>, std::vector<const Transfer*>>> by_site;
  std::set<std::string> given, damaged, unread;
  for (const AuditedLedger* site : sites) {
    given.insert(site->owner);
    if (!site->was_read()) unread.insert(site->owner);
    if (!site->whole) damaged.insert(site->owner);
    auto& sent = by_site[site->owner].first;
    for (const Transfer& transfer : site->facts.transfers) sent.push_back(&transfer);
  }
  for (const Transfer& receipt : coordinator.facts.transfers) by_site[receipt.site].second.push_back(&receipt);
  Reconciliation out;
  for (auto& [site, transfers] : by_site) {
    const char* silent = nullptr;
    if (!given.contains(site)) silent = "the site's ledger was not given";
    else if (unread.contains(site)) silent = "the site's ledger could not be verified with the keys that were given";
    else if (damaged.contains(site))
      silent = "it may be in what is changed or missing in this copy of the site's ledger";
    out.sites.push_back(reconcile_site(site, std::move(transfers.first), std::move(transfers.second), silent));
  }
  return out;
}

}  // namespace fovea::audit
