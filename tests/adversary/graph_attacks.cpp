// What a coordinator of more than 128 sites can try: the graph of neighbours, and lists that leave neighbours out.
#include <algorithm>
#include <utility>

#include "federation/messages/beacon_messages.h"
#include "federation/secagg/masking.h"
#include "tests/adversary/attack.h"

namespace fovea::test {

using federation::messages::ConsistencyRequest;
using federation::messages::KeyList;
using federation::messages::RoutedShares;
using federation::messages::UnmaskRequest;

namespace {

Attack row(const char* name, MessageKind at, RefusalReason reason, Forger forge) {
  return {name, at, Timing::instead, refused(reason), std::move(forge)};
}

// Of the attempt that runs: its graph, and all of its sites.
federation::secagg::AttemptContext context(const Situation& s) {
  return federation::secagg::AttemptContext::begin(
      RoundParameters::decode(s.coordinator.last_to(s.victim(), MessageKind::parameters).value().payload()).value());
}
std::vector<RosterIndex> neighbours(const Situation& s) {
  const federation::secagg::AttemptContext attempt = context(s);
  return attempt.holders(s.victim(), attempt.parameters.candidates);
}
bool contains(const std::vector<RosterIndex>& sites, RosterIndex site) {
  return std::find(sites.begin(), sites.end(), site) != sites.end();
}
// So many neighbours that one more would be too many to leave out; all other sites stay.
std::vector<RosterIndex> too_many_neighbours(const Situation& s) {
  std::vector<RosterIndex> out = neighbours(s);
  out.resize(out.size() - context(s).parameters.thresholds.threshold + 1);
  return out;
}
// So many others, none of them a neighbour.
std::vector<RosterIndex> too_many_strangers(const Situation& s) {
  const auto& p = context(s).parameters;
  const std::vector<RosterIndex> near = neighbours(s);
  std::vector<RosterIndex> out = p.candidates;
  std::erase_if(out, [&](RosterIndex site) { return site == s.victim() || contains(near, site); });
  out.resize(p.candidates.size() - p.graph->survivors_min + 1);
  return out;
}

template <class Entry>
void leave_out(std::vector<Entry>& entries, const std::vector<RosterIndex>& sites) {
  std::erase_if(entries, [&](const Entry& entry) { return contains(sites, entry.site); });
}

std::vector<Attack> positions() {
  const MessageKind at = MessageKind::parameters;
  const auto edit = [](std::function<void(RoundParameters&)> e) {
    return edited<RoundParameters>([e](const Situation&, RoundParameters& p) { e(p); });
  };
  return {
      row("R0 with another beacon", at, RefusalReason::beacon_differs,
          edit([](RoundParameters& p) { p.graph->beacon[0] ^= 1; })),
      row("R0 with a graph over another roster", at, RefusalReason::graph_differs,
          edit([](RoundParameters& p) { p.graph->roster_sites += 1; })),
      row("R0 with fewer neighbours", at, RefusalReason::threshold_too_low,
          edit([](RoundParameters& p) { p.graph->neighbours -= 8; })),
      row("R0 with a threshold of half the neighbours", at, RefusalReason::threshold_too_low,
          edit([](RoundParameters& p) { p.thresholds.threshold = p.graph->neighbours / 2 + 1; })),
      row("R0 with statements that a minority could sign", at, RefusalReason::threshold_too_low,
          edit([](RoundParameters& p) {
            p.graph->survivors_min = static_cast<std::uint16_t>(p.candidates.size() / 2);
          })),
      row("R0 without the graph", at, RefusalReason::malformed, edit([](RoundParameters& p) { p.graph.reset(); })),
      // With the nonces known, another list would give positions of the coordinator's choice.
      row("a second list of commitments for the beacon", at, RefusalReason::beacon_differs,
          [](const Situation& s) {
            auto list = federation::messages::BeaconCommitments::decode(
                            s.coordinator.last_to(s.victim(), MessageKind::beacon_commitments).value().payload())
                            .value();
            list.sites[s.sybil()].commitment[0] ^= 1;
            return std::vector<Bytes>{s.seal(MessageKind::beacon_commitments, list.encode())};
          }),
  };
}

std::vector<Attack> neighbourhoods() {
  return {
      row("R1 without enough neighbours", MessageKind::key_list, RefusalReason::too_few_survivors,
          edited<KeyList>([](const Situation& s, KeyList& m) { leave_out(m.keys, too_many_neighbours(s)); })),
      row("R1 of too few sites", MessageKind::key_list, RefusalReason::cohort_too_small,
          edited<KeyList>([](const Situation& s, KeyList& m) { leave_out(m.keys, too_many_strangers(s)); })),
      row("R2 without enough neighbours", MessageKind::routed_shares, RefusalReason::too_few_survivors,
          edited<RoutedShares>([](const Situation& s, RoutedShares& m) {
            const std::vector<RosterIndex> out = too_many_neighbours(s);
            std::erase_if(m.survivors, [&](RosterIndex site) { return contains(out, site); });
            std::erase_if(m.shares, [&](const auto& share) { return contains(out, share.peer); });
          })),
      // A colluder that the beacon put elsewhere would hold shares of this site's secrets, and mask with it.
      row("R2 with a share of no neighbour", MessageKind::routed_shares, RefusalReason::survivors_not_subset,
          edited<RoutedShares>([](const Situation& s, RoutedShares& m) {
            const RosterIndex stranger = too_many_strangers(s).front();
            auto share = m.shares.front();
            share.peer = stranger;
            m.shares.erase(m.shares.begin());
            m.shares.insert(std::find_if(m.shares.begin(), m.shares.end(),
                                         [&](const auto& entry) { return entry.peer > stranger; }),
                            share);
          })),
      row("R4 without enough neighbours", MessageKind::consistency_request, RefusalReason::too_few_survivors,
          edited<ConsistencyRequest>(
              [](const Situation& s, ConsistencyRequest& m) { leave_out(m.committed, too_many_neighbours(s)); })),
      row("R4 of too few sites", MessageKind::consistency_request, RefusalReason::too_few_survivors,
          edited<ConsistencyRequest>(
              [](const Situation& s, ConsistencyRequest& m) { leave_out(m.committed, too_many_strangers(s)); })),
      row("R5 signed by too few neighbours", MessageKind::unmask_request, RefusalReason::too_few_signatures,
          edited<UnmaskRequest>(
              [](const Situation& s, UnmaskRequest& m) { leave_out(m.signatures, too_many_neighbours(s)); })),
      row("R5 signed by too few sites", MessageKind::unmask_request, RefusalReason::too_few_signatures,
          edited<UnmaskRequest>(
              [](const Situation& s, UnmaskRequest& m) { leave_out(m.signatures, too_many_strangers(s)); })),
  };
}

std::vector<Attack> evidence() {
  const MessageKind at = MessageKind::round_evidence;
  const auto edit = [](std::function<void(const Situation&, RoundEvidence&)> e) { return edited<RoundEvidence>(e); };
  return {
      row("evidence of another graph", at, RefusalReason::beacon_differs,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.graph->beacon[0] ^= 1; })),
      row("evidence with fewer neighbours", at, RefusalReason::threshold_too_low,
          edit([](const Situation&, RoundEvidence& e) { e.parameters.graph->neighbours -= 8; })),
      row("evidence signed by too few sites", at, RefusalReason::too_few_signatures,
          edit([](const Situation& s, RoundEvidence& e) { leave_out(e.signatures, too_many_strangers(s)); })),
  };
}

}  // namespace

std::vector<Attack> graph_attacks() {
  std::vector<Attack> out;
  for (auto* table : {&positions, &neighbourhoods, &evidence})
    for (Attack& attack : (*table)()) out.push_back(std::move(attack));
  return out;
}

}  // namespace fovea::test
