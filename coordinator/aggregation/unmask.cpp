#include "coordinator/aggregation/unmask.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "common/check.h"
#include "common/contains.h"
#include "crypto/mask_stream.h"
#include "crypto/secret_bytes.h"
#include "crypto/shamir.h"
#include "federation/secagg/published_sum.h"
#include "federation/secagg/statements.h"

namespace fovea::coordinator::aggregation {
namespace {

using federation::messages::RefusalReason;
using federation::messages::RevealedSecret;

// The entry of `site` in a list that is sorted by the member `key`; null when there is none.
template <class Entry>
const Entry* find_entry(const std::vector<Entry>& list, RosterIndex Entry::*key, RosterIndex site) {
  const auto found = std::lower_bound(list.begin(), list.end(), site,
                                      [key](const Entry& entry, RosterIndex wanted) { return entry.*key < wanted; });
  return found != list.end() && (*found).*key == site ? &*found : nullptr;
}

// One released share that matches what its dealer committed to.
struct CheckedShare {
  RosterIndex from = 0;
  crypto::Share share;
};

class Unmasking {
 public:
  explicit Unmasking(UnmaskInput input)
      : input_(std::move(input)), threshold_(input_.context.parameters.thresholds.threshold) {}

  UnmaskOutcome run(std::uint32_t threads) {
    for (const DealerCommitments& dealer : input_.dealers) open_secret(dealer);
    const bool complete = outcome_.opened.size() == input_.survivors.size() &&
                          outcome_.opened.size() == input_.dealers.size();
    outcome_.complete = complete && remove_masks(threads);
    outcome_.sum = std::move(input_.sum);
    return std::move(outcome_);
  }

 private:
  void blame(RosterIndex site, RefusalReason reason) {
    const Blame entry{site, reason};
    if (std::find(outcome_.blames.begin(), outcome_.blames.end(), entry) == outcome_.blames.end())
      outcome_.blames.push_back(entry);
  }

  // The shares of one dealer that match its commitments; its own, to which it did not commit, last.
  std::vector<CheckedShare> checked_shares(const DealerCommitments& dealer, RevealedSecret kind) {
    std::vector<CheckedShare> shares;
    std::optional<CheckedShare> own;
    for (const UnmaskResponse& response : input_.responses) {
      if (!input_.context.holds_share(response.site, dealer.dealer)) continue;
      const federation::messages::RevealedShare* revealed =
          find_entry(response.shares, &federation::messages::RevealedShare::subject, dealer.dealer);
      if (revealed == nullptr || revealed->secret != kind) continue;
      if (response.site == dealer.dealer) {
        auto share = crypto::Share::decode(revealed->share);
        if (share && share->point() == std::uint32_t{response.site} + 1)
          own.emplace(CheckedShare{response.site, std::move(*share)});
        continue;
      }
      const federation::messages::SealedShares* promised =
          find_entry(dealer.shares, &federation::messages::SealedShares::peer, response.site);
      if (promised == nullptr) continue;
      auto share = federation::secagg::open_commitment(
          input_.context.parameters_hash, {dealer.dealer, response.site, kind}, revealed->share, *promised);
      if (!share) {
        blame(response.site, RefusalReason::bad_revealed_share);
        continue;
      }
      shares.push_back({response.site, std::move(*share)});
    }
    if (own) shares.push_back(std::move(*own));
    return shares;
  }

  void open_secret(const DealerCommitments& dealer) {
    const RevealedSecret kind = contains(input_.committed, dealer.dealer) ? RevealedSecret::self_seed
                                                                          : RevealedSecret::mask_key;
    std::vector<CheckedShare> checked = checked_shares(dealer, kind);
    if (checked.size() < threshold_) return;
    std::vector<crypto::Share> shares;
    for (std::size_t i = 0; i < threshold_; ++i) shares.push_back(std::move(checked[i].share));
    const auto secret = crypto::combine_shares(shares);
    // All of them are what the dealer committed to (or its own): only the dealer can have made them inconsistent.
    const federation::secagg::CommittedSecret committed{dealer.dealer, kind, dealer.self_seed_commitment,
                                                        input_.context.find(dealer.dealer)->mask};
    if (!secret || !federation::secagg::is_committed_secret(input_.context.parameters_hash, committed, *secret)) {
      blame(dealer.dealer, RefusalReason::inconsistent_dealer);
      note_dealing(dealer.dealer, kind, checked, shares);
      return;
    }
    federation::secagg::OpenedSecret opened{.site = dealer.dealer, .kind = kind};
    std::copy(secret->view().begin(), secret->view().end(), opened.value.begin());
    outcome_.opened.push_back(opened);
  }

  // `shares` were taken from the first of `checked`.
  void note_dealing(RosterIndex dealer, RevealedSecret kind, const std::vector<CheckedShare>& checked,
                    const std::vector<crypto::Share>& shares) {
    BadDealing dealing{.dealer = dealer, .secret = kind, .openings = {}};
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (checked[i].from == dealer) return;  // the dealer committed to no share of its own
      federation::secagg::ShareOpening opening{.holder = checked[i].from};
      const auto encoded = shares[i].encode();
      std::copy(encoded.view().begin(), encoded.view().end(), opening.share.begin());
      dealing.openings.push_back(opening);
    }
    outcome_.dealings.push_back(std::move(dealing));
  }

  // False, with the sum untouched, when a site's mask key is of low order (R1 refuses such keys).
  bool remove_masks(std::uint32_t threads) {
    const federation::secagg::MasksInSum masks =
        federation::secagg::masks_in_sum(input_.context, input_.committed, outcome_.opened, crypto::MaskSign::subtract);
    if (masks.low_order) {
      blame(*masks.low_order, RefusalReason::low_order_key);
      return false;
    }
    crypto::apply_masks(input_.sum, 0, masks.keys, threads);
    return true;
  }

  UnmaskInput input_;
  std::size_t threshold_;
  UnmaskOutcome outcome_;
};

}  // namespace

UnmaskOutcome unmask(UnmaskInput input, std::uint32_t threads) { return Unmasking(std::move(input)).run(threads); }

}  // namespace fovea::coordinator::aggregation
