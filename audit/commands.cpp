#include "audit/commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "audit/blame_evidence.h"
#include "audit/canaries.h"
#include "audit/describe.h"
#include "audit/ledger_copies.h"
#include "audit/report.h"
#include "audit/views.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/closest_name.h"
#include "common/durable_file.h"
#include "crypto/merkle_log.h"
#include "crypto/signed_note.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/journal.h"
#include "federation/ledger/ledger.h"
#include "federation/ledger/tile_check.h"
#include "federation/membership/signed_document.h"

namespace fovea::audit {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 53U) - 1;  // so that a negative one is refused
constexpr std::size_t kAdministratorsMax = 64;

// As a word of a shell's command.
std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+=@:";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Whose keys to believe: options of every command that verifies.
struct KeyOptions {
  std::vector<std::string> keys, rosters, administrators;
  std::size_t quorum = 0;  // 0: all that are named

  void add_to(CLI::App& command) {
    command.add_option("--key", keys, "A log key as <name>+<key id>+<base64>; may be repeated");
    command.add_option("--roster", rosters, "The federation's signed roster file; repeat it for several epochs");
    command.add_option("--admin", administrators,
                       "Public key (hex) of an administrator who must have signed the roster; may be repeated");
    command
        .add_option("--quorum", quorum,
                    "How many of these administrators must have signed each roster; the default is all")
        ->check(CLI::Range(std::size_t{1}, kAdministratorsMax));
  }

  Result<KeyRing> ring() const {
    KeyRing out;
    for (const std::string& key : keys)
      if (const auto added = out.add_key(key); !added) return added.error().with_context("--key \"" + key + "\"");
    std::vector<federation::membership::PublicKeyBytes> pinned;
    for (const std::string& hex : administrators) {
      const auto bytes = from_hex(hex);
      if (!bytes || bytes->size() != federation::membership::PublicKeyBytes().size())
        return invalid_argument("--admin \"" + hex +
                                "\": expected the 64 hex digits of an administrator's public key, as "
                                "fovea-coordinator administrator prints them");
      FOVEA_TRY_ASSIGN(const auto key, to_array<32>(*bytes, "--admin"));
      if (std::find(pinned.begin(), pinned.end(), key) != pinned.end())
        return invalid_argument("--admin " + hex + ": is given twice; one person is one administrator");
      pinned.push_back(key);
    }
    if (quorum > pinned.size())
      return invalid_argument("--quorum " + std::to_string(quorum) + ": only " +
                              counted(pinned.size(), "administrator was", "administrators were") +
                              " named with --admin");
    for (const std::string& roster : rosters) FOVEA_TRY(out.add_roster(roster, pinned, quorum_asked_for()));
    if (out.empty())
      return invalid_argument(
          "no key was given, and a ledger cannot vouch for itself: give the federation's roster (--roster FILE, "
          "with --admin KEY) or the log key of each ledger (--key NAME+ID+KEY)");
    return out;
  }

  std::size_t quorum_asked_for() const { return quorum == 0 ? administrators.size() : quorum; }

  std::string command_text() const {
    std::string out;
    for (const std::string& key : keys) out += " --key " + shell_word(key);
    for (const std::string& roster : rosters) out += " --roster " + shell_word(roster);
    for (const std::string& key : administrators) out += " --admin " + shell_word(key);
    if (quorum > 0) out += " --quorum " + std::to_string(quorum);
    return out;
  }
};

struct CanaryOptions {
  std::vector<std::string> texts, files;

  void add_to(CLI::App& command) {
    command.add_option("--canary", texts,
                       "A text that must not occur in any entry, whatever its capitals; may be repeated (others on "
                       "this machine can see it)");
    command.add_option("--canary-file", files,
                       "A UTF-8 file with such texts, one a line: file names, patient identifiers");
  }

  Result<std::vector<std::string>> all() const {
    std::vector<std::string> out;
    for (const std::string& text : texts) {
      FOVEA_TRY_ASSIGN(std::string checked, checked_canary(text, "--canary"));
      out.push_back(std::move(checked));
    }
    for (const std::string& file : files) {
      FOVEA_TRY_ASSIGN(const std::vector<std::string> read, read_canary_file(file));
      out.insert(out.end(), read.begin(), read.end());
    }
    return out;
  }
};

Result<std::vector<AuditedLedger>> audit_all(const Console& console, const std::vector<std::string>& folders,
                                             const KeyRing& ring, const std::vector<std::string>& canaries) {
  std::vector<AuditedLedger> out;
  for (const std::string& folder : folders) {
    console.progress("reading " + on_one_line(folder));
    FOVEA_TRY_ASSIGN(AuditedLedger ledger, audit_ledger(folder, ring, canaries));
    out.push_back(std::move(ledger));
  }
  return out;
}

// Where nothing can be said without the ledger's entries.
Result<void> require_read(const AuditedLedger& ledger) {
  if (ledger.was_read()) return {};
  return corruption(ledger.folder.string() + ": " +
                    (ledger.findings.empty() ? ledger.unverified : ledger.findings.front().what));
}

ordered_json ledgers_json(const std::vector<AuditedLedger>& ledgers) {
  ordered_json out = ordered_json::array();
  for (const AuditedLedger& ledger : ledgers) out.push_back(to_json(ledger));
  return out;
}

// One for each pair of rosters of which a site can have followed only one.
std::string conflict_lines(const KeyRing& ring) {
  std::string out;
  for (const RosterConflict& conflict : ring.conflicts())
    out += (conflict.checked ? "FAIL  " : "NOT VERIFIED  ") + to_text(conflict) + "\n";
  return out;
}

void conclude(Console& console, bool sound) {
  if (!sound) console.exit_code = ExitCode::integrity;
}

// --- verify ---

struct VerifyOptions {
  KeyOptions keys;
  CanaryOptions canaries;
  std::vector<std::string> folders;
};

Result<void> verify(Console& console, const VerifyOptions& options) {
  FOVEA_TRY_ASSIGN(const KeyRing ring, options.keys.ring());
  FOVEA_TRY_ASSIGN(const auto canaries, options.canaries.all());
  FOVEA_TRY_ASSIGN(auto ledgers, audit_all(console, options.folders, ring, canaries));
  compare_copies(ledgers);
  const bool sound = all_sound(ledgers, nullptr, ring.conflicts());
  std::string text;
  for (const AuditedLedger& ledger : ledgers) text += to_text(ledger) + "\n";
  if (ring.has_roster() && !ring.roster_is_pinned())
    text += "note: the roster's signatures were not checked; give its administrators' keys with --admin\n";
  console.data("verify",
               {{"verdict", to_string(verdict_of(ledgers, nullptr, ring.conflicts()))},
                {"ledgers", ledgers_json(ledgers)},
                {"roster_conflicts", to_json(ring.conflicts())}},
               text + conflict_lines(ring) + verdict_sentence(ledgers, nullptr, ring.conflicts()));
  conclude(console, sound);
  return {};
}

// --- show: what entries say, unverified ---

struct ShowOptions {
  std::string folder, type;
  std::uint64_t from = 0, count = 1'000'000'000;
};

// The size that the checkpoint claims, its signature unchecked.
Result<std::uint64_t> claimed_size(const fs::path& folder) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, read_file(folder / "checkpoint", crypto::kNoteBytesMax));
  FOVEA_TRY_ASSIGN(const auto note, crypto::SignedNote::parse(bytes));
  FOVEA_TRY_ASSIGN(const auto checkpoint, crypto::Checkpoint::parse(note.text));
  return checkpoint.size;
}

struct ShownEntry {
  std::uint64_t index = 0;
  std::string text;
  bool covered = true;
};

struct ShownEntries {
  std::vector<ShownEntry> list;
  std::string journal_fault;
};

// From the tiles, then those that wait in the journal.
Result<ShownEntries> entries_of(const fs::path& folder, std::uint64_t size, const ShowOptions& options) {
  ShownEntries out;
  const auto wanted = [&](std::uint64_t index) {
    return index >= options.from && index - options.from < options.count;
  };
  for (std::uint64_t index = options.from; index < size && wanted(index); ++index) {
    FOVEA_TRY_ASSIGN(std::string text, federation::ledger::read_entry(folder, size, index));
    out.list.push_back({index, std::move(text)});
  }
  const auto journal = federation::ledger::read_ledger_journal(folder / "journal");
  if (!journal) out.journal_fault = journal.error().message;
  if (!journal) return out;
  for (const federation::ledger::LedgerJournalEntry& record : journal->entries)
    if (record.index >= size && wanted(record.index)) out.list.push_back({record.index, record.entry, false});
  return out;
}

Result<void> check_type(const std::string& type) {
  const std::vector<std::string> types = federation::ledger::entry_types();
  if (type.empty() || std::find(types.begin(), types.end(), type) != types.end()) return {};
  std::string list;
  for (const std::string& known : types) list += (list.empty() ? "" : ", ") + known;
  return invalid_argument("--type " + type + ": there is no such type" + did_you_mean(type, types) +
                          "\n  types: " + list);
}

Result<void> show(Console& console, const ShowOptions& options) {
  FOVEA_TRY(check_type(options.type));
  FOVEA_TRY_ASSIGN(const fs::path folder, find_ledger(options.folder));
  FOVEA_TRY_ASSIGN(const std::uint64_t size, claimed_size(folder));
  FOVEA_TRY_ASSIGN(const ShownEntries shown, entries_of(folder, size, options));
  ordered_json entries = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"entry", "time", "type", "what"}};
  std::uint64_t uncovered = 0;
  for (const ShownEntry& one : shown.list) {
    const auto entry = federation::ledger::decode_entry(as_bytes(one.text), "entry " + std::to_string(one.index));
    const std::string type(entry ? federation::ledger::entry_type(entry->body) : "");
    if (!options.type.empty() && type != options.type) continue;
    uncovered += one.covered ? 0 : 1;
    if (console.json && entry)
      entries.push_back({{"index", one.index}, {"covered", one.covered}, {"entry", ordered_json::parse(one.text)}});
    else if (console.json)
      entries.push_back({{"index", one.index}, {"covered", one.covered}, {"unreadable", entry.error().message}});
    else
      rows.push_back({std::to_string(one.index) + (one.covered ? "" : " *"), entry ? utc_text(entry->at) : "?",
                      entry ? type : "?", entry ? one_line(entry->body) : on_one_line(entry.error().message)});
  }
  std::string text = console.json ? "" : text_table(rows);
  if (uncovered > 0) text += "\n* in the journal: no checkpoint covers it yet, and anybody may have written it";
  if (!shown.journal_fault.empty()) text += "\n" + shown.journal_fault;
  ordered_json data{{"folder", folder.string()}, {"size", size}, {"entries", entries}};
  if (!shown.journal_fault.empty()) data["journal_fault"] = shown.journal_fault;
  console.data("show", data, text);
  return {};
}

// --- explain: one entry in words, with the proof that it is in the ledger ---

struct ExplainOptions {
  KeyOptions keys;
  std::string folder;
  std::uint64_t index = 0;
};

struct Inclusion {
  bool covered = false;
  std::vector<Digest> proof;  // empty where a tile that it needs is damaged
  std::string text;
};

// Whether these bytes are the entry under the signed checkpoint, by the audit of the whole folder or by a proof alone.
Inclusion inclusion_of(const AuditedLedger& ledger, std::uint64_t index, const std::string& bytes) {
  const std::uint64_t size = ledger.checkpoint.size;
  const auto proof = crypto::inclusion_proof(index, size, federation::ledger::stored_subtrees(ledger.folder, size));
  const crypto::InclusionClaim claim{crypto::merkle_leaf(as_bytes(bytes)), index, size, ledger.checkpoint.root};
  const bool proven = proof && crypto::check_inclusion(claim, *proof) == crypto::ProofVerdict::valid;
  Inclusion out{.covered = proven || ledger.covers(index), .proof = {}, .text = {}};
  if (proven) out.proof = *proof;
  if (out.covered)
    out.text = "It is entry " + std::to_string(index) + " of " + std::to_string(size) +
               " under a checkpoint signed by " + ledger.origin + ".\n";
  else
    out.text =
        "It is NOT under the signed checkpoint: it does not lead to the root that was signed. Whoever had this folder "
        "can have written it; it speaks against nobody. Ask for an undamaged copy.\n";
  return out;
}

// What became of a rejection.
std::string decided_since(const AuditedLedger& ledger, std::uint64_t index,
                          const federation::ledger::LedgerEntry& entry) {
  const auto* withdrawn = std::get_if<federation::ledger::PlanWithdrawn>(&entry);
  if (withdrawn == nullptr) return "";
  for (const PlanRecord& record : ledger.facts.decisions)
    if (record.approved && record.index > index && record.plan == withdrawn->plan && ledger.covers(record.index))
      return "It was approved again in entry " + std::to_string(record.index) + ".\n";
  return "";
}

Result<void> explain(Console& console, const ExplainOptions& options) {
  FOVEA_TRY_ASSIGN(const KeyRing ring, options.keys.ring());
  FOVEA_TRY_ASSIGN(const AuditedLedger ledger, audit_ledger(options.folder, ring));
  FOVEA_TRY(require_read(ledger));
  if (options.index >= ledger.checkpoint.size && options.index < ledger.checkpoint.size + ledger.unpublished)
    return failed_precondition("entry " + std::to_string(options.index) +
                               ": is in the journal, and no checkpoint covers it yet, so that nothing can be proved of "
                               "it; show lists it. Let the program end once and copy the ledger again");
  FOVEA_TRY_ASSIGN(const std::string text,
                   federation::ledger::read_entry(ledger.folder, ledger.checkpoint.size, options.index));
  const std::string name = "entry " + std::to_string(options.index);
  FOVEA_TRY_ASSIGN(const auto entry, federation::ledger::decode_entry(as_bytes(text), name));
  const Inclusion inclusion = inclusion_of(ledger, options.index, text);
  std::string human = inclusion.covered ? "" : "Nothing of this is under the signed checkpoint. It says:\n";
  human += explanation(options.index, entry) + decided_since(ledger, options.index, entry.body) + inclusion.text;
  bool broken = false;
  for (const Finding& finding : ledger.findings) {
    if (finding.where != name) continue;
    broken = true;
    human += (inclusion.covered ? "It breaks the rule \"" + finding.rule + "\": " : "Found about it: ") +
             on_one_line(finding.what) + ".\n";
  }
  if (ledger.finding_count > ledger.findings.size()) {  // one of those may be about this entry
    broken = true;
    human += "This ledger has more faults than are listed, so that nothing more can be said of one entry.\n";
  }
  human += conflict_lines(ring);
  const bool sound = inclusion.covered && !broken && ring.conflicts().empty();
  ordered_json hashes = ordered_json::array();
  for (const Digest& hash : inclusion.proof) hashes.push_back(to_base64(hash));
  console.data("explain",
               {{"index", options.index},
                {"origin", ledger.origin},
                {"entry", ordered_json::parse(text)},
                {"explanation", human},
                {"included", inclusion.covered},
                {"proof", hashes},
                {"verdict", sound ? "pass" : "fail"}},
               human);
  conclude(console, sound);
  return {};
}

// --- reconcile ---

struct ReconcileOptions {
  KeyOptions keys;
  std::vector<std::string> sites;
  std::string coordinator;
};

std::vector<const AuditedLedger*> sites_among(const std::vector<AuditedLedger>& ledgers) {
  std::vector<const AuditedLedger*> out;
  for (const AuditedLedger& ledger : ledgers)
    if (!ledger.coordinator) out.push_back(&ledger);
  return out;
}

Result<void> reconcile_ledgers(Console& console, const ReconcileOptions& options) {
  FOVEA_TRY_ASSIGN(const KeyRing ring, options.keys.ring());
  std::vector<std::string> folders = options.sites;
  folders.push_back(options.coordinator);
  FOVEA_TRY_ASSIGN(auto ledgers, audit_all(console, folders, ring, {}));
  // A broken ledger is reported as broken whatever its role: what it says of itself cannot be believed.
  AuditedLedger coordinator = std::move(ledgers.back());
  ledgers.pop_back();
  if (coordinator.sound() && !coordinator.coordinator)
    return invalid_argument("--coordinator: " + options.coordinator + " is the ledger of " + coordinator.origin);
  for (std::size_t i = 0; i < ledgers.size(); ++i) {
    if (ledgers[i].sound() && ledgers[i].coordinator)
      return invalid_argument("--site: " + options.sites[i] + " is the coordinator's ledger");
    if (ledgers[i].was_read() && coordinator.was_read() && federation_of(ledgers[i]) != federation_of(coordinator))
      return invalid_argument("--site: " + options.sites[i] + " is the ledger of " + ledgers[i].origin +
                              ", the coordinator's that of " + coordinator.origin + ": compare one federation");
  }
  compare_copies(ledgers);
  const Reconciliation result = reconcile(sites_among(ledgers), coordinator);
  ledgers.push_back(std::move(coordinator));
  const bool sound = all_sound(ledgers, &result, ring.conflicts());
  std::string text = to_text(result) + "\n";
  for (const AuditedLedger& ledger : ledgers)
    if (!ledger.sound()) text += to_text(ledger) + "\n";
  ordered_json data = to_json(result);
  data["verdict"] = to_string(verdict_of(ledgers, &result, ring.conflicts()));
  data["ledgers"] = ledgers_json(ledgers);
  data["roster_conflicts"] = to_json(ring.conflicts());
  console.data("reconcile", data, text + conflict_lines(ring) + verdict_sentence(ledgers, &result, ring.conflicts()));
  conclude(console, sound);
  return {};
}

// --- evidence: why sites were left out, against the ledger that names it ---

struct EvidenceOptions {
  KeyOptions keys;
  std::vector<std::string> files;
  std::string coordinator;
};

Result<void> evidence(Console& console, const EvidenceOptions& options) {
  FOVEA_TRY_ASSIGN(const KeyRing ring, options.keys.ring());
  FOVEA_TRY_ASSIGN(const auto ledgers, audit_all(console, {options.coordinator}, ring, {}));
  const AuditedLedger& coordinator = ledgers.front();
  if (coordinator.sound() && !coordinator.coordinator)
    return invalid_argument("--coordinator: " + options.coordinator + " is the ledger of " + coordinator.origin);
  FOVEA_TRY(require_read(coordinator));
  std::vector<BlameRecord> named;  // under the coordinator's signature
  for (const BlameRecord& record : coordinator.facts.blames)
    if (coordinator.covers(record.index)) named.push_back(record);
  Verdict worst = verdict_of(ledgers, nullptr, ring.conflicts());
  ordered_json checked = ordered_json::array();
  std::string text = coordinator.sound() ? "" : to_text(coordinator) + "\n";
  for (const std::string& file : options.files) {
    FOVEA_TRY_ASSIGN(const BlameEvidence found, check_evidence(file, named, ring, coordinator.is_damaged()));
    if (!found.findings.empty()) worst = Verdict::fail;
    checked.push_back(to_json(found));
    text += to_text(found) + "\n";
  }
  console.data("evidence",
               {{"verdict", to_string(worst)},
                {"evidence", checked},
                {"ledgers", ledgers_json(ledgers)},
                {"roster_conflicts", to_json(ring.conflicts())}},
               text + conflict_lines(ring));
  conclude(console, worst == Verdict::pass);
  return {};
}

// --- report ---

struct ReportOptions {
  KeyOptions keys;
  CanaryOptions canaries;
  std::vector<std::string> folders;
  std::string out;
};

// What repeats the report's checks; texts that were searched for are not written down.
std::vector<std::string> commands_of(const ReportOptions& options, const std::vector<AuditedLedger>& ledgers) {
  std::string verify_command = "fovea-audit verify" + options.keys.command_text();
  std::string compare_command = "fovea-audit reconcile" + options.keys.command_text();
  std::size_t coordinators = 0, sites = 0;
  for (std::size_t i = 0; i < options.folders.size(); ++i) {
    const std::string folder = shell_word(options.folders[i]);
    verify_command += " " + folder;
    compare_command += (ledgers[i].coordinator ? " --coordinator " : " --site ") + folder;
    ++(ledgers[i].coordinator ? coordinators : sites);
  }
  std::vector<std::string> out{verify_command};
  if (coordinators == 1 && sites > 0) out.push_back(compare_command);
  return out;
}

// A report replaces its file: it must not be part of what it is about, nor what is no file at all.
Result<void> check_output(const ReportOptions& options) {
  std::error_code error;
  const fs::path out(options.out);
  const fs::path place = fs::weakly_canonical(out.has_parent_path() ? out.parent_path() : fs::path("."), error);
  const fs::file_status there = fs::symlink_status(out, error);
  const bool exists = there.type() != fs::file_type::not_found;
  const auto refused = [&](const std::string& why) {
    return invalid_argument("--out " + options.out + ": " + why + "; choose another file");
  };
  if (exists && there.type() != fs::file_type::regular) return refused("is there and is not a regular file");
  const auto is_within = [&](const fs::path& folder) {
    const fs::path whole = fs::weakly_canonical(folder, error);
    return std::mismatch(whole.begin(), whole.end(), place.begin(), place.end()).first == whole.end();
  };
  for (const std::string& folder : options.folders) {
    const auto ledger = find_ledger(folder);
    if (ledger && is_within(*ledger)) return refused("is in the ledger " + ledger->string() + ", which is examined");
    if (exists && is_within(folder)) return refused("would replace a file of " + folder + ", which is examined");
  }
  for (const std::vector<std::string>& inputs : {options.keys.rosters, options.canaries.files})
    for (const std::string& input : inputs)
      if (exists && fs::equivalent(out, input, error)) return refused("is the file " + input + ", which is read");
  return {};
}

// With the coordinator's ledger, if there is one.
Result<std::optional<Reconciliation>> comparison_among(const std::vector<AuditedLedger>& ledgers) {
  const AuditedLedger *first = nullptr, *coordinator = nullptr;
  for (const AuditedLedger& ledger : ledgers) {
    if (!ledger.was_read() || ledger.copy) continue;
    if (first == nullptr) first = &ledger;
    if (federation_of(ledger) != federation_of(*first))
      return invalid_argument("ledgers of " + first->origin + " and " + ledger.origin +
                              ": a report is about one federation");
    if (!ledger.coordinator) continue;
    if (coordinator != nullptr)
      return invalid_argument(coordinator->folder.string() + " and " + ledger.folder.string() +
                              ": both are the coordinator's, under two keys; report on one of them at a time");
    coordinator = &ledger;
  }
  if (coordinator == nullptr) return std::optional<Reconciliation>();
  return std::optional(reconcile(sites_among(ledgers), *coordinator));
}

Result<void> report(Console& console, const ReportOptions& options) {
  FOVEA_TRY(check_output(options));
  FOVEA_TRY_ASSIGN(const KeyRing ring, options.keys.ring());
  FOVEA_TRY_ASSIGN(const auto canaries, options.canaries.all());
  FOVEA_TRY_ASSIGN(auto ledgers, audit_all(console, options.folders, ring, canaries));
  const std::vector<std::string> commands = commands_of(options, ledgers);
  compare_copies(ledgers);
  FOVEA_TRY_ASSIGN(const std::optional<Reconciliation> reconciliation, comparison_among(ledgers));
  const Reconciliation* compared = reconciliation ? &*reconciliation : nullptr;
  const std::string html = html_report({.ledgers = ledgers,
                                        .reconciliation = compared,
                                        .roster_given = ring.has_roster(),
                                        .roster_pinned = ring.roster_is_pinned(),
                                        .administrators = options.keys.administrators.size(),
                                        .quorum = options.keys.quorum_asked_for(),
                                        .rosters = ring.rosters(),
                                        .conflicts = ring.conflicts(),
                                        .canaries = canaries.size(),
                                        .commands = commands,
                                        .now = SystemClock().wall()});
  FOVEA_TRY(write_file_durably(options.out, as_bytes(html)));
  const bool sound = all_sound(ledgers, compared, ring.conflicts());
  const std::string verdict = verdict_sentence(ledgers, compared, ring.conflicts());
  console.data("report",
               {{"verdict", to_string(verdict_of(ledgers, compared, ring.conflicts()))},
                {"sentence", verdict},
                {"file", options.out},
                {"bytes", html.size()}},
               verdict + "\nReport: " + options.out);
  conclude(console, sound);
  return {};
}

// A command whose options live as long as its callback.
template <class Options>
void add_command(CLI::App& command, Console& console, std::string name, std::shared_ptr<Options> options,
                 Result<void> (*body)(Console&, const Options&)) {
  command.callback([&console, name = std::move(name), options = std::move(options), body] {
    console.run(name, [&] { return body(console, *options); });
  });
}

void add_show_commands(CLI::App& app, Console& console) {
  auto shown = std::make_shared<ShowOptions>();
  CLI::App* show_command =
      app.add_subcommand("show",
                         "List the entries of a ledger as they are written, also those that no checkpoint "
                         "covers yet; verifies nothing");
  show_command->add_option("folder", shown->folder, "The ledger, or the folder of its site")->required();
  show_command->add_option("--from", shown->from, "First entry")->check(CLI::Range(std::uint64_t{0}, kNumberMax));
  show_command->add_option("--count", shown->count, "How many")->check(CLI::Range(std::uint64_t{0}, kNumberMax));
  show_command->add_option("--type", shown->type, "Only this type, for example egress.intent");
  add_command(*show_command, console, "show", shown, show);

  auto explained = std::make_shared<ExplainOptions>();
  CLI::App* explain_command =
      app.add_subcommand("explain", "Say in words what one entry means, and prove that it is in the ledger");
  explain_command->add_option("folder", explained->folder, "The ledger, or the folder of its site")->required();
  explain_command->add_option("index", explained->index, "Number of the entry, as show lists it")
      ->required()
      ->check(CLI::Range(std::uint64_t{0}, kNumberMax));
  explained->keys.add_to(*explain_command);
  add_command(*explain_command, console, "explain", explained, explain);
}

}  // namespace

void add_commands(CLI::App& app, Console& console) {
  auto verified = std::make_shared<VerifyOptions>();
  CLI::App* verify_command = app.add_subcommand(
      "verify", "Check signature, tiles, every entry and every rule of one or more ledgers, offline");
  verify_command->add_option("folders", verified->folders, "Ledgers, or the folders of their owners")->required();
  verified->keys.add_to(*verify_command);
  verified->canaries.add_to(*verify_command);
  add_command(*verify_command, console, "verify", verified, verify);

  add_show_commands(app, console);

  auto reconciled = std::make_shared<ReconcileOptions>();
  CLI::App* reconcile_command =
      app.add_subcommand("reconcile", "Compare what sites sent with what the coordinator received");
  reconcile_command->add_option("--site", reconciled->sites, "A site's ledger or folder; may be repeated")->required();
  reconcile_command->add_option("--coordinator", reconciled->coordinator, "The coordinator's ledger or folder")
      ->required();
  reconciled->keys.add_to(*reconcile_command);
  add_command(*reconcile_command, console, "reconcile", reconciled, reconcile_ledgers);

  auto shown = std::make_shared<EvidenceOptions>();
  CLI::App* evidence_command = app.add_subcommand(
      "evidence", "Check who signed the messages for which a site was left out, and that the ledger names them");
  evidence_command->add_option("files", shown->files, "Files of blame/ in a run's folder of the coordinator")
      ->required();
  evidence_command->add_option("--coordinator", shown->coordinator, "The coordinator's ledger or folder")->required();
  shown->keys.add_to(*evidence_command);
  add_command(*evidence_command, console, "evidence", shown, evidence);

  auto reported = std::make_shared<ReportOptions>();
  CLI::App* report_command = app.add_subcommand("report", "Write one self-contained page to print and file");
  report_command
      ->add_option("folders", reported->folders,
                   "Ledgers of sites, and of the coordinator if there is one, or their folders")
      ->required();
  report_command->add_option("--out", reported->out, "The HTML file to write")->required();
  reported->keys.add_to(*report_command);
  reported->canaries.add_to(*report_command);
  add_command(*report_command, console, "report", reported, report);
}

}  // namespace fovea::audit
