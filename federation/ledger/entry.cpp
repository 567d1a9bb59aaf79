#include "federation/ledger/entry.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "common/canonical_json.h"
#include "common/json_fields.h"

namespace fovea::federation::ledger {
namespace {

using nlohmann::json;

constexpr std::uint64_t kIntegerMax = static_cast<std::uint64_t>(kCanonicalIntegerMax);
constexpr std::size_t kWordMax = 40;  // kinds, rules, outcomes
constexpr std::size_t kDetailMax = 500;
constexpr std::size_t kApprovalMax = 16 * 1024;
constexpr std::size_t kChecksMax = 16;

// The version of an entry is part of what is hashed: an auditor of a later version still reads this one. Version 2
// names what the site signed, in the two types that are about a message.
template <class Entry>
std::uint64_t version_of(const Entry& entry) {
  if constexpr (requires { entry.body; }) return entry.body ? 2 : 1;
  else if constexpr (requires { entry.proof; }) return entry.proof ? 2 : 1;
  else return 1;
}
template <class Entry>
constexpr std::uint64_t newest_version() {
  if constexpr (
      requires(Entry e) { e.body; } || requires(Entry e) { e.proof; })
    return 2;
  else return 1;
}

json header(std::string_view type, std::uint64_t version, UnixMs at) {
  return {{"at_ms", at.value}, {"type", type}, {"v", version}};
}

template <class Number>
constexpr std::uint64_t kLargest = std::min<std::uint64_t>(kIntegerMax, std::numeric_limits<Number>::max());

using Choices = std::initializer_list<std::string_view>;

// The two sides of a field list: one writes the fields of an entry, the other reads them and checks their bounds.
class FieldWriter {
 public:
  explicit FieldWriter(json& out) : out_(out) {}

  Result<void> hex(const char* name, ByteView value) { return put(name, to_hex(value)); }
  Result<void> base64(const char* name, const Bytes& value) { return put(name, to_base64(value)); }
  template <class Number>
  Result<void> number(const char* name, Number value, std::uint64_t /*min*/ = 0) {
    return put(name, value);
  }
  Result<void> text(const char* name, const std::string& value, std::size_t /*min*/, std::size_t /*max*/) {
    return put(name, value);
  }
  Result<void> choice(const char* name, const std::string& value, Choices /*allowed*/) { return put(name, value); }
  Result<void> texts(const char* name, const std::vector<std::string>& value) { return put(name, value); }
  Result<void> site(const char* name, const SiteId& value) { return put(name, value.text()); }
  template <class Value, class Fields>
  Result<void> optional(const char* /*first*/, const std::optional<Value>& value, const Fields& fields) {
    return value ? fields(*value) : Result<void>();
  }

 private:
  Result<void> put(const char* name, json value) {
    out_[name] = std::move(value);
    return {};
  }
  json& out_;
};

class FieldReader {
 public:
  explicit FieldReader(JsonFields& in) : in_(in) {}

  template <std::size_t Size>
  Result<void> hex(const char* name, std::array<std::uint8_t, Size>& value) {
    FOVEA_TRY_ASSIGN(value, in_.hex<Size>(name));
    return {};
  }
  Result<void> base64(const char* name, Bytes& value) {
    FOVEA_TRY_ASSIGN(const std::string encoded, in_.text(name, 1, kApprovalMax));
    FOVEA_TRY_ASSIGN(value, from_base64(encoded));
    return {};
  }
  template <class Number>
  Result<void> number(const char* name, Number& value, std::uint64_t min = 0) {
    FOVEA_TRY_ASSIGN(const std::uint64_t read, in_.integer(name, min, kLargest<Number>));
    value = static_cast<Number>(read);
    return {};
  }
  Result<void> text(const char* name, std::string& value, std::size_t min, std::size_t max) {
    FOVEA_TRY_ASSIGN(value, in_.text(name, min, max));
    return {};
  }
  Result<void> choice(const char* name, std::string& value, Choices allowed) {
    FOVEA_TRY_ASSIGN(value, in_.choice(name, allowed));
    return {};
  }
  Result<void> texts(const char* name, std::vector<std::string>& value) {
    FOVEA_TRY_ASSIGN(value, in_.texts(name, 0, kChecksMax, kWordMax));
    return {};
  }
  Result<void> site(const char* name, SiteId& value) {
    FOVEA_TRY_ASSIGN(const std::string id, in_.text(name, 1, kWordMax));
    FOVEA_TRY_ASSIGN(value, SiteId::create(id));
    return {};
  }
  // Present when the field `first` is.
  template <class Value, class Fields>
  Result<void> optional(const char* first, std::optional<Value>& value, const Fields& fields) {
    return in_.has(first) ? fields(value.emplace()) : Result<void>();
  }

 private:
  JsonFields& in_;
};

// --- the fields of each entry type; `Entry` is const when they are written ---

template <class Entry, class Type>
concept Is = std::same_as<std::remove_const_t<Entry>, Type>;

template <class F>
Result<void> list(F& f, Is<RoundKey> auto& key) {
  FOVEA_TRY(f.hex("run", key.run.bytes));
  FOVEA_TRY(f.number("round", key.round));
  return f.number("attempt", key.attempt);
}

template <class F, class Decision>
requires Is<Decision, PlanApproved> || Is<Decision, PlanWithdrawn> Result<void> list(F& f, Decision& entry) {
  FOVEA_TRY(f.hex("plan", entry.plan));
  FOVEA_TRY(f.hex("approver", entry.approver));
  return f.base64("approval", entry.approval);
}

template <class F>
Result<void> list(F& f, Is<RosterEpoch> auto& entry) {
  FOVEA_TRY(f.number("epoch", entry.epoch, 1));
  FOVEA_TRY(f.hex("roster", entry.roster));
  return f.number("sites", entry.sites);
}

template <class F, class Word>
requires Is<Word, RosterAccepted> || Is<Word, RosterWithdrawn> Result<void> list_keys(F& f, Word& entry) {
  FOVEA_TRY(f.site("site", entry.site));
  FOVEA_TRY(f.hex("identity_key", entry.identity_key));
  FOVEA_TRY(f.hex("transport_key", entry.transport_key));
  FOVEA_TRY(f.hex("log_key", entry.log_key));
  FOVEA_TRY(f.hex("approver_key", entry.approver_key));
  return f.hex("approver", entry.approver);
}

template <class F>
Result<void> list(F& f, Is<RosterAccepted> auto& entry) {
  FOVEA_TRY(list_keys(f, entry));
  return f.base64("acceptance", entry.acceptance);
}

template <class F>
Result<void> list(F& f, Is<RosterWithdrawn> auto& entry) {
  FOVEA_TRY(list_keys(f, entry));
  return f.base64("withdrawal", entry.withdrawal);
}

template <class F>
Result<void> list(F& f, Is<RoundOpen> auto& entry) {
  FOVEA_TRY(list(f, entry.key));
  FOVEA_TRY(f.hex("plan", entry.plan));
  FOVEA_TRY(f.hex("model", entry.model));
  FOVEA_TRY(f.hex("roster", entry.roster));
  FOVEA_TRY(f.hex("parameters", entry.parameters));
  FOVEA_TRY(f.number("cohort", entry.cohort));
  FOVEA_TRY(f.number("threshold", entry.threshold));
  return f.number("dimension", entry.dimension);
}

template <class F>
Result<void> list(F& f, Is<InputSealed> auto& entry) {
  FOVEA_TRY(list(f, entry.key));
  return f.hex("commitment", entry.commitment);
}

template <class F>
Result<void> list(F& f, Is<PlanBinding> auto& binding) {
  FOVEA_TRY(f.hex("plan", binding.plan));
  FOVEA_TRY(f.hex("model", binding.model));
  FOVEA_TRY(f.hex("roster", binding.roster));
  FOVEA_TRY(f.hex("approver", binding.approver));
  FOVEA_TRY(f.text("clip", binding.clip, 1, kWordMax));
  FOVEA_TRY(f.text("noise", binding.noise, 1, kWordMax));
  FOVEA_TRY(f.text("privacy", binding.privacy, 1, kWordMax));
  return f.optional("weights", binding.weights, [&f](auto& weights) {
    return f.choice("weights", weights, {"equal", "studies"});
  });
}

template <class F>
Result<void> list(F& f, Is<EgressIntent> auto& entry) {
  FOVEA_TRY(f.site("site", entry.site));
  FOVEA_TRY(list(f, entry.key));
  FOVEA_TRY(f.hex("to", entry.destination));
  FOVEA_TRY(f.text("kind", entry.kind, 1, kWordMax));
  FOVEA_TRY(f.hex("payload", entry.payload));
  FOVEA_TRY(f.optional("body", entry.body, [&f](auto& body) { return f.hex("body", body); }));
  FOVEA_TRY(f.number("length", entry.length));
  FOVEA_TRY(f.hex("software", entry.software));
  FOVEA_TRY(f.optional("plan", entry.binding, [&f](auto& binding) { return list(f, binding); }));
  FOVEA_TRY(f.number("bytes_spent", entry.bytes_spent));
  FOVEA_TRY(f.number("bytes_left", entry.bytes_left));
  FOVEA_TRY(f.texts("checks", entry.checks));
  return f.optional("previous", entry.previous, [&f](auto& index) { return f.number("previous", index); });
}

template <class F>
Result<void> list(F& f, Is<EgressSent> auto& entry) {
  FOVEA_TRY(f.number("first", entry.first));
  return f.number("count", entry.count, 1);
}

template <class F>
Result<void> list(F& f, Is<SiteSignature> auto& proof) {
  FOVEA_TRY(f.number("envelope", proof.envelope));
  FOVEA_TRY(f.number("epoch", proof.epoch));
  FOVEA_TRY(f.hex("body", proof.body));
  return f.hex("signature", proof.signature);
}

template <class F>
Result<void> list(F& f, Is<IngressReceipt> auto& entry) {
  FOVEA_TRY(f.site("site", entry.site));
  FOVEA_TRY(list(f, entry.key));
  FOVEA_TRY(f.text("kind", entry.kind, 1, kWordMax));
  FOVEA_TRY(f.hex("payload", entry.payload));
  FOVEA_TRY(f.number("length", entry.length));
  return f.optional("body", entry.proof, [&f](auto& proof) { return list(f, proof); });
}

template <class F>
Result<void> list(F& f, Is<SiteBlamed> auto& entry) {
  FOVEA_TRY(f.site("site", entry.site));
  FOVEA_TRY(f.hex("key", entry.key));
  FOVEA_TRY(f.hex("run", entry.run.bytes));
  FOVEA_TRY(f.number("round", entry.round));
  FOVEA_TRY(f.text("reason", entry.reason, 1, kWordMax));
  return f.hex("evidence", entry.evidence);
}

template <class F>
Result<void> list(F& f, Is<SitePardoned> auto& entry) {
  FOVEA_TRY(f.site("site", entry.site));
  FOVEA_TRY(f.hex("run", entry.run.bytes));
  FOVEA_TRY(f.hex("evidence", entry.evidence));
  return f.hex("administrator", entry.administrator);
}

template <class F>
Result<void> list(F& f, Is<RoundClose> auto& entry) {
  FOVEA_TRY(list(f, entry.key));
  FOVEA_TRY(f.choice("outcome", entry.outcome, {"applied", "abandoned"}));
  FOVEA_TRY(f.hex("model", entry.model));
  return f.number("cohort", entry.cohort);
}

template <class F>
Result<void> list(F& f, Is<Incident> auto& entry) {
  FOVEA_TRY(f.text("rule", entry.rule, 1, kWordMax));
  return f.text("detail", entry.detail, 0, kDetailMax);
}

// What an entry is before its fields are read. A site's id has no empty value.
template <class Entry>
Entry blank() {
  if constexpr (requires(Entry e) { e.site; }) return Entry{.site = SiteId::create("unread").value()};
  else return Entry{};
}

template <class Entry>
Result<LedgerEntry> read_entry_of(JsonFields& in, std::uint64_t version) {
  Entry out = blank<Entry>();
  FieldReader reader(in);
  FOVEA_TRY(list(reader, out));
  if (version_of(out) != version)
    return invalid_argument(std::string(Entry::kType) + ".v: is " + std::to_string(version) + ", with the fields of " +
                            std::to_string(version_of(out)));
  return LedgerEntry(std::move(out));
}

struct EntryReader {
  std::string_view type;
  std::uint64_t version_max;
  Result<LedgerEntry> (*read)(JsonFields&, std::uint64_t version);
};

// One for each alternative of LedgerEntry.
template <class... Entries>
constexpr std::array<EntryReader, sizeof...(Entries)> readers_of(std::type_identity<std::variant<Entries...>>) {
  return {EntryReader{Entries::kType, newest_version<Entries>(), read_entry_of<Entries>}...};
}
constexpr std::array kReaders = readers_of(std::type_identity<LedgerEntry>{});

}  // namespace

std::string_view entry_type(const LedgerEntry& entry) noexcept {
  return std::visit([](const auto& body) { return body.kType; }, entry);
}

std::vector<std::string> entry_types() {
  std::vector<std::string> out;
  for (const EntryReader& reader : kReaders) out.emplace_back(reader.type);
  return out;
}

Result<std::string> encode_entry(const StampedEntry& entry) {
  const std::uint64_t version = std::visit([](const auto& body) { return version_of(body); }, entry.body);
  json out = header(entry_type(entry.body), version, entry.at);
  FieldWriter writer(out);
  FOVEA_TRY(std::visit([&writer](const auto& body) { return list(writer, body); }, entry.body));
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
  FOVEA_TRY_ASSIGN(const std::uint64_t version, in.integer("v", 1, kIntegerMax));
  const auto reader =
      std::find_if(kReaders.begin(), kReaders.end(), [&](const EntryReader& r) { return r.type == type; });
  if (reader == kReaders.end() || version > reader->version_max)
    return failed_precondition(std::string(source) + ": is of the type \"" + type + "\", version " +
                               std::to_string(version) +
                               ", and was written by a newer version than this program: update the program");
  FOVEA_TRY_ASSIGN(LedgerEntry body, reader->read(in, version));
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

}  // namespace fovea::federation::ledger
