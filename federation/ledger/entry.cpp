#include "federation/ledger/entry.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/canonical_json.h"
#include "common/json_fields.h"

namespace fovea::federation {
namespace {

using nlohmann::json;

constexpr std::uint64_t kIntegerMax = static_cast<std::uint64_t>(kCanonicalIntegerMax);
constexpr std::uint32_t kNumberMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t kWordMax = 40;  // kinds, rules, outcomes
constexpr std::size_t kDetailMax = 500;
constexpr std::size_t kApprovalMax = 16 * 1024;
constexpr std::size_t kChecksMax = 16;
constexpr std::uint64_t kEntryVersion = 1;

// The version of an entry is part of what is hashed: an auditor of a later version still reads this one.
json header(std::string_view type, UnixMs at) { return {{"at_ms", at.value}, {"type", type}, {"v", kEntryVersion}}; }

void put_key(json& out, const RoundKey& key) {
  out["run"] = key.run.text();
  out["round"] = key.round;
  out["attempt"] = key.attempt;
}

Result<RoundKey> take_key(JsonFields& in) {
  RoundKey key;
  FOVEA_TRY_ASSIGN(key.run.bytes, in.hex<16>("run"));
  FOVEA_TRY_ASSIGN(key.round, in.integer32("round", 0, kNumberMax));
  FOVEA_TRY_ASSIGN(key.attempt, in.integer32("attempt", 0, kNumberMax));
  return key;
}

Result<SiteId> take_site(JsonFields& in) {
  FOVEA_TRY_ASSIGN(const std::string text, in.text("site", 1, kWordMax));
  return SiteId::create(text);
}

// --- one writer and one reader an entry type, side by side ---

constexpr std::string_view type_of(const PlanApproved&) { return "plan.approved"; }
constexpr std::string_view type_of(const PlanWithdrawn&) { return "plan.withdrawn"; }
constexpr std::string_view type_of(const RosterEpoch&) { return "roster.epoch"; }
constexpr std::string_view type_of(const RoundOpen&) { return "round.open"; }
constexpr std::string_view type_of(const InputSealed&) { return "input.sealed"; }
constexpr std::string_view type_of(const EgressIntent&) { return "egress.intent"; }
constexpr std::string_view type_of(const EgressSent&) { return "egress.sent"; }
constexpr std::string_view type_of(const IngressReceipt&) { return "ingress.receipt"; }
constexpr std::string_view type_of(const RoundClose&) { return "round.close"; }
constexpr std::string_view type_of(const Incident&) { return "incident"; }

template <class Decision>  // PlanApproved and PlanWithdrawn have the same fields
void put_decision(json& out, const Decision& entry) {
  out["plan"] = to_hex(entry.plan);
  out["approver"] = to_hex(entry.approver);
  out["approval"] = to_base64(entry.approval);
}

template <class Decision>
Result<LedgerEntry> take_decision(JsonFields& in) {
  Decision out;
  FOVEA_TRY_ASSIGN(out.plan, in.hex<32>("plan"));
  FOVEA_TRY_ASSIGN(out.approver, in.hex<32>("approver"));
  FOVEA_TRY_ASSIGN(const std::string approval, in.text("approval", 1, kApprovalMax));
  FOVEA_TRY_ASSIGN(out.approval, from_base64(approval));
  return LedgerEntry(std::move(out));
}

void put(json& out, const PlanApproved& entry) { put_decision(out, entry); }
void put(json& out, const PlanWithdrawn& entry) { put_decision(out, entry); }

void put(json& out, const RosterEpoch& entry) {
  out["epoch"] = entry.epoch;
  out["roster"] = to_hex(entry.roster);
  out["sites"] = entry.sites;
}

Result<LedgerEntry> take_roster_epoch(JsonFields& in) {
  RosterEpoch out;
  FOVEA_TRY_ASSIGN(out.epoch, in.integer("epoch", 1, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.roster, in.hex<32>("roster"));
  FOVEA_TRY_ASSIGN(out.sites, in.integer32("sites", 0, kNumberMax));
  return LedgerEntry(out);
}

void put(json& out, const RoundOpen& entry) {
  put_key(out, entry.key);
  out["plan"] = to_hex(entry.plan);
  out["model"] = to_hex(entry.model);
  out["roster"] = to_hex(entry.roster);
  out["parameters"] = to_hex(entry.parameters);
  out["cohort"] = entry.cohort;
  out["threshold"] = entry.threshold;
  out["dimension"] = entry.dimension;
}

Result<LedgerEntry> take_round_open(JsonFields& in) {
  RoundOpen out;
  FOVEA_TRY_ASSIGN(out.key, take_key(in));
  FOVEA_TRY_ASSIGN(out.plan, in.hex<32>("plan"));
  FOVEA_TRY_ASSIGN(out.model, in.hex<32>("model"));
  FOVEA_TRY_ASSIGN(out.roster, in.hex<32>("roster"));
  FOVEA_TRY_ASSIGN(out.parameters, in.hex<32>("parameters"));
  FOVEA_TRY_ASSIGN(out.cohort, in.integer32("cohort", 0, kNumberMax));
  FOVEA_TRY_ASSIGN(out.threshold, in.integer32("threshold", 0, kNumberMax));
  FOVEA_TRY_ASSIGN(out.dimension, in.integer32("dimension", 0, kNumberMax));
  return LedgerEntry(out);
}

void put(json& out, const InputSealed& entry) {
  put_key(out, entry.key);
  out["commitment"] = to_hex(entry.commitment);
}

Result<LedgerEntry> take_input_sealed(JsonFields& in) {
  InputSealed out;
  FOVEA_TRY_ASSIGN(out.key, take_key(in));
  FOVEA_TRY_ASSIGN(out.commitment, in.hex<32>("commitment"));
  return LedgerEntry(out);
}

void put_binding(json& out, const PlanBinding& binding) {
  out["plan"] = to_hex(binding.plan);
  out["model"] = to_hex(binding.model);
  out["roster"] = to_hex(binding.roster);
  out["approver"] = to_hex(binding.approver);
  out["clip"] = binding.clip;
  out["noise"] = binding.noise;
  out["privacy"] = binding.privacy;
}

Result<PlanBinding> take_binding(JsonFields& in) {
  PlanBinding out;
  FOVEA_TRY_ASSIGN(out.plan, in.hex<32>("plan"));
  FOVEA_TRY_ASSIGN(out.model, in.hex<32>("model"));
  FOVEA_TRY_ASSIGN(out.roster, in.hex<32>("roster"));
  FOVEA_TRY_ASSIGN(out.approver, in.hex<32>("approver"));
  FOVEA_TRY_ASSIGN(out.clip, in.text("clip", 1, kWordMax));
  FOVEA_TRY_ASSIGN(out.noise, in.text("noise", 1, kWordMax));
  FOVEA_TRY_ASSIGN(out.privacy, in.text("privacy", 1, kWordMax));
  return out;
}

void put(json& out, const EgressIntent& entry) {
  put_key(out, entry.key);
  out["site"] = entry.site.text();
  out["to"] = to_hex(entry.destination);
  out["kind"] = entry.kind;
  out["payload"] = to_hex(entry.payload);
  out["length"] = entry.length;
  out["software"] = to_hex(entry.software);
  if (entry.binding) put_binding(out, *entry.binding);
  out["bytes_spent"] = entry.bytes_spent;
  out["bytes_left"] = entry.bytes_left;
  out["checks"] = entry.checks;
  if (entry.previous) out["previous"] = *entry.previous;
}

Result<LedgerEntry> take_egress_intent(JsonFields& in) {
  FOVEA_TRY_ASSIGN(SiteId site, take_site(in));
  EgressIntent out{.site = std::move(site)};
  FOVEA_TRY_ASSIGN(out.key, take_key(in));
  FOVEA_TRY_ASSIGN(out.destination, in.hex<32>("to"));
  FOVEA_TRY_ASSIGN(out.kind, in.text("kind", 1, kWordMax));
  FOVEA_TRY_ASSIGN(out.payload, in.hex<32>("payload"));
  FOVEA_TRY_ASSIGN(out.length, in.integer("length", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.software, in.hex<32>("software"));
  if (in.has("plan")) {
    FOVEA_TRY_ASSIGN(out.binding, take_binding(in));
  }
  FOVEA_TRY_ASSIGN(out.bytes_spent, in.integer("bytes_spent", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.bytes_left, in.integer("bytes_left", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.checks, in.texts("checks", 0, kChecksMax, kWordMax));
  if (in.has("previous")) {
    FOVEA_TRY_ASSIGN(out.previous, in.integer("previous", 0, kIntegerMax));
  }
  return LedgerEntry(std::move(out));
}

void put(json& out, const EgressSent& entry) {
  out["first"] = entry.first;
  out["count"] = entry.count;
}

Result<LedgerEntry> take_egress_sent(JsonFields& in) {
  EgressSent out;
  FOVEA_TRY_ASSIGN(out.first, in.integer("first", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.count, in.integer("count", 1, kIntegerMax));
  return LedgerEntry(out);
}

void put(json& out, const IngressReceipt& entry) {
  put_key(out, entry.key);
  out["site"] = entry.site.text();
  out["kind"] = entry.kind;
  out["payload"] = to_hex(entry.payload);
  out["length"] = entry.length;
}

Result<LedgerEntry> take_ingress_receipt(JsonFields& in) {
  FOVEA_TRY_ASSIGN(SiteId site, take_site(in));
  IngressReceipt out{.site = std::move(site)};
  FOVEA_TRY_ASSIGN(out.key, take_key(in));
  FOVEA_TRY_ASSIGN(out.kind, in.text("kind", 1, kWordMax));
  FOVEA_TRY_ASSIGN(out.payload, in.hex<32>("payload"));
  FOVEA_TRY_ASSIGN(out.length, in.integer("length", 0, kIntegerMax));
  return LedgerEntry(std::move(out));
}

void put(json& out, const RoundClose& entry) {
  put_key(out, entry.key);
  out["outcome"] = entry.outcome;
  out["model"] = to_hex(entry.model);
  out["cohort"] = entry.cohort;
}

Result<LedgerEntry> take_round_close(JsonFields& in) {
  RoundClose out;
  FOVEA_TRY_ASSIGN(out.key, take_key(in));
  FOVEA_TRY_ASSIGN(out.outcome, in.choice("outcome", {"applied", "abandoned"}));
  FOVEA_TRY_ASSIGN(out.model, in.hex<32>("model"));
  FOVEA_TRY_ASSIGN(out.cohort, in.integer32("cohort", 0, kNumberMax));
  return LedgerEntry(std::move(out));
}

void put(json& out, const Incident& entry) {
  out["rule"] = entry.rule;
  out["detail"] = entry.detail;
}

Result<LedgerEntry> take_incident(JsonFields& in) {
  Incident out;
  FOVEA_TRY_ASSIGN(out.rule, in.text("rule", 1, kWordMax));
  FOVEA_TRY_ASSIGN(out.detail, in.text("detail", 0, kDetailMax));
  return LedgerEntry(std::move(out));
}

struct EntryReader {
  std::string_view type;
  Result<LedgerEntry> (*take)(JsonFields&);
};

constexpr std::array kReaders{
    EntryReader{"plan.approved", take_decision<PlanApproved>},
    EntryReader{"plan.withdrawn", take_decision<PlanWithdrawn>},
    EntryReader{"roster.epoch", take_roster_epoch},
    EntryReader{"round.open", take_round_open},
    EntryReader{"input.sealed", take_input_sealed},
    EntryReader{"egress.intent", take_egress_intent},
    EntryReader{"egress.sent", take_egress_sent},
    EntryReader{"ingress.receipt", take_ingress_receipt},
    EntryReader{"round.close", take_round_close},
    EntryReader{"incident", take_incident},
};

}  // namespace

std::string_view entry_type(const LedgerEntry& entry) noexcept {
  return std::visit([](const auto& body) { return type_of(body); }, entry);
}

Result<std::string> encode_entry(const StampedEntry& entry) {
  json out = header(entry_type(entry.body), entry.at);
  std::visit([&out](const auto& body) { put(out, body); }, entry.body);
  FOVEA_TRY_ASSIGN(std::string text, canonical_json(out));
  // The reader's bounds are the writer's bounds: nothing goes into a ledger that cannot be read back.
  if (auto readable = decode_entry(as_bytes(text), "ledger entry"); !readable) return readable.error();
  return text;
}

Result<StampedEntry> decode_entry(ByteView bytes, std::string_view source) {
  if (bytes.size() > kEntryBytesMax)
    return invalid_argument(std::string(source) + ": " + std::to_string(bytes.size()) + " bytes, at most " +
                            std::to_string(kEntryBytesMax) + " are allowed");
  FOVEA_TRY_ASSIGN(const json value, parse_canonical_json(as_text(bytes), source));
  FOVEA_TRY_ASSIGN(JsonFields in, JsonFields::open(value, std::string(source)));
  FOVEA_TRY_ASSIGN(const std::uint64_t at, in.integer("at_ms", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(const std::string type, in.text("type", 1, kWordMax));
  FOVEA_TRY(in.integer("v", kEntryVersion, kEntryVersion));
  const auto reader =
      std::find_if(kReaders.begin(), kReaders.end(), [&](const EntryReader& r) { return r.type == type; });
  if (reader == kReaders.end()) return invalid_argument(std::string(source) + ".type: unknown entry type");
  FOVEA_TRY_ASSIGN(LedgerEntry body, reader->take(in));
  FOVEA_TRY(in.finish());
  return StampedEntry{UnixMs{static_cast<std::int64_t>(at)}, std::move(body)};
}

std::string ledger_origin(std::string_view federation, std::string_view owner) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  std::string out;
  const auto put_name = [&out](std::string_view name) {
    for (char c : name) {
      const auto byte = static_cast<std::uint8_t>(c);
      out += kPlain.find(c) != std::string_view::npos ? std::string(1, c) : "%" + to_hex(ByteView(&byte, 1));
    }
  };
  put_name(federation);
  out += '/';
  put_name(owner);
  return out;
}

}  // namespace fovea::federation
