#include "audit/reconciliation.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace fovea::audit {
namespace {

constexpr std::size_t kReceiptsListedMax = 20;

void add(TransferCount& count, const Transfer& transfer) {
  ++count.messages;
  count.bytes += transfer.length;
}

// One site's transfers against its receipts. A message sent again has the same bytes: copies are matched one to one.
SiteReconciliation reconcile_site(const std::string& site, std::vector<const Transfer*> sent,
                                  std::vector<const Transfer*> received) {
  const auto order = [](const Transfer* a, const Transfer* b) {
    return std::tie(a->payload, a->kind, a->length, a->index) < std::tie(b->payload, b->kind, b->length, b->index);
  };
  const auto key = [](const Transfer* t) { return std::tie(t->payload, t->kind, t->length); };
  std::sort(sent.begin(), sent.end(), order);
  std::sort(received.begin(), received.end(), order);
  SiteReconciliation out{.site = site, .matched = {}, .unconfirmed = {}, .unlogged = {}, .unlogged_receipts = {}};
  auto intent = sent.begin();
  auto receipt = received.begin();
  while (intent != sent.end() || receipt != received.end()) {
    if (receipt == received.end() || (intent != sent.end() && key(*intent) < key(*receipt))) {
      add(out.unconfirmed, **intent++);
    } else if (intent == sent.end() || key(*receipt) < key(*intent)) {
      if (out.unlogged_receipts.size() < kReceiptsListedMax) out.unlogged_receipts.push_back((*receipt)->index);
      add(out.unlogged, **receipt++);
    } else {
      add(out.matched, **intent++);
      ++receipt;
    }
  }
  std::sort(out.unlogged_receipts.begin(), out.unlogged_receipts.end());
  return out;
}

}  // namespace

std::uint64_t Reconciliation::unlogged_bytes() const noexcept {
  return std::accumulate(sites.begin(), sites.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& site) { return sum + site.unlogged.bytes; });
}

bool Reconciliation::clean() const noexcept {
  return std::all_of(sites.begin(), sites.end(), [](const auto& site) { return site.unlogged.messages == 0; });
}

Reconciliation reconcile(const std::vector<const AuditedLedger*>& sites, const AuditedLedger& coordinator) {
  std::map<std::string, std::pair<std::vector<const Transfer*>, std::vector<const Transfer*>>> by_site;
  for (const AuditedLedger* site : sites) {
    auto& sent = by_site[site->owner].first;
    for (const Transfer& transfer : site->facts.transfers) sent.push_back(&transfer);
  }
  for (const Transfer& receipt : coordinator.facts.transfers) by_site[receipt.site].second.push_back(&receipt);
  Reconciliation out;
  for (auto& [site, transfers] : by_site)
    out.sites.push_back(reconcile_site(site, std::move(transfers.first), std::move(transfers.second)));
  return out;
}

}  // namespace fovea::audit
