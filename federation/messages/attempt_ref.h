// Which attempt a round message belongs to. H(P) makes it one attempt under exactly one set of parameters.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/ids.h"

namespace fovea::federation::messages {

inline constexpr std::size_t kCohortMax = 1024;        // sites in one round
inline constexpr std::size_t kCompleteGraphMax = 128;  // above, the graph of neighbours is sparse

struct AttemptRef {
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
  Digest parameters{};  // H(P)
  bool operator==(const AttemptRef&) const = default;
};

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, AttemptRef> ref) {
  f.u32("round", ref.round);
  f.u32("attempt", ref.attempt);
  f.array("parameters hash", ref.parameters);
  f.require(ref.round > 0 && ref.attempt > 0, "round and attempt", "count from 1");
}

// Roster indices, strictly ascending, at most kCohortMax.
template <class Fields>
void site_list(Fields& f, std::string_view field, FieldsOf<Fields, std::vector<RosterIndex>> sites) {
  f.list(field, sites, {kCohortMax, "sites"}, [field](Fields& g, auto& site, const RosterIndex* previous) {
    g.u16(field, site);
    g.require(previous == nullptr || site > *previous, field, "roster indices must be strictly ascending");
  });
}

// What a list of entries, each of one site, is called in errors: "keys" of "keys.site" and other "keys.…".
struct EntryNames {
  std::string_view list;
  std::string_view prefix;  // of an entry's fields
  std::string_view site;    // the field in which an entry names its site, with the prefix
  std::string_view rule = "must be strictly ascending";
};

// Entries of each site at most once, strictly ascending by their member `site`, at most kCohortMax. `Entry::kNames`:
// their EntryNames.
template <class Fields, class Entry>
void entry_list(Fields& f, FieldsOf<Fields, std::vector<Entry>> entries, RosterIndex Entry::*site) {
  f.list(Entry::kNames.list, entries, {kCohortMax}, [site](Fields& g, auto& entry, const Entry* previous) {
    g.group(Entry::kNames.prefix, entry);
    g.require(previous == nullptr || entry.*site > previous->*site, Entry::kNames.site, Entry::kNames.rule);
  });
}

}  // namespace fovea::federation::messages
