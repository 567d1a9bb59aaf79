// How long an audit takes, and what durable intents cost a round:
//   audit_bench [entries, default 1000000] [folder, default a temporary one; kept when given]
// Writes a ledger of honest rounds (nine messages each), audits it as `fovea-audit verify` does, and times the gate.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/ledger_audit.h"
#include "common/bytes.h"
#include "common/check.h"
#include "common/ids.h"
#include "common/numbers.h"
#include "crypto/hash.h"
#include "federation/ledger/egress_rules.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/ledger.h"
#include "federation/messages/vector_chunk.h"
#include "node/egress/egress_gate.h"
#include "tests/support/audited_run.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

using federation::ledger::LedgerEntry;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Entries as the gate writes them, without its cost.
class HonestRun {
 public:
  explicit HonestRun(const test::EgressSite& site) : site_(site) {
    put(federation::ledger::PlanApproved{site.plan.hash, site.approver.verify_key(), site.approval().serialize()});
    put(federation::ledger::RosterEpoch{1, site.roster.hash, 4});
  }

  std::vector<LedgerEntry> next_round() {
    ++round_;
    const federation::ledger::RoundKey key{site_.run, round_, 1};
    egress("training-ready", 146);
    put(federation::ledger::RoundOpen{key, site_.plan.hash, site_.model, site_.roster.hash, test::filled(9), 4, 3,
                                      1'000'000});
    egress("keys", 270);
    egress("shares", 900);
    put(federation::ledger::InputSealed{key, test::filled(8)});
    for (int chunk = 0; chunk < 4; ++chunk) egress("masked-chunk", 983'149);
    egress("masked-statement", 300);
    egress("consistency-signature", 210);
    egress("unmask-shares", 190);
    put(federation::ledger::EgressSent{next_ - 7, 7});
    put(federation::ledger::RoundClose{key, "applied", site_.model, 4});
    return std::exchange(entries_, {});
  }

 private:
  void put(LedgerEntry entry) {
    entries_.push_back(std::move(entry));
    ++next_;
  }
  void egress(const std::string& kind, std::uint64_t length) {
    federation::ledger::EgressIntent intent{.site = site_.site};
    intent.key = {site_.run, round_, kind == "training-ready" ? 0U : 1U};
    intent.kind = kind;
    intent.payload = crypto::sha256(as_bytes(std::to_string(next_)));
    intent.length = length;
    intent.binding = federation::ledger::PlanBinding{
        site_.plan.hash, site_.model, site_.roster.hash, site_.approver.verify_key(), "0.05", "none", "none"};
    intent.checks = federation::ledger::required_checks(*federation::ledger::egress_kind(kind));
    intent.bytes_spent = spent_ += length;
    intent.bytes_left = (std::uint64_t{1} << 52U) - spent_;
    intent.previous = previous_;
    previous_ = next_;
    put(std::move(intent));
  }

  const test::EgressSite& site_;
  std::vector<LedgerEntry> entries_;
  std::uint64_t next_ = 0, spent_ = 0;
  RoundNumber round_ = 0;
  std::optional<std::uint64_t> previous_;
};

void write(const std::filesystem::path& folder, std::uint64_t entries) {
  const test::EgressSite site(folder);
  HonestRun run(site);
  federation::ledger::Ledger ledger = federation::ledger::Ledger::open(test::ledger_options(folder)).value();
  while (ledger.size() < entries) FOVEA_CHECK(ledger.append(test::kTestTime, run.next_round()).has_value());
  FOVEA_CHECK(ledger.publish().has_value());
}

void bench_audit(const std::filesystem::path& folder, std::uint64_t entries) {
  auto start = std::chrono::steady_clock::now();
  write(folder, entries);
  std::printf("write      %8.2f s\n", seconds_since(start));
  audit::KeyRing ring;
  FOVEA_CHECK(ring.add_key(test::note_key_text("test/st-anna", 1)).has_value());
  start = std::chrono::steady_clock::now();
  const auto audited = audit::audit_ledger(folder, ring);
  const double seconds = seconds_since(start);
  FOVEA_CHECK(audited.has_value() && audited->sound());
  std::printf("verify     %8.2f s  for %llu entries, %.2f us an entry\n", seconds,
              static_cast<unsigned long long>(audited->checkpoint.size),
              seconds * 1e6 / static_cast<double>(audited->checkpoint.size));
}

// A site's egress of one round of 1 M parameters: two batches, five chunks of a megabyte among them.
void bench_gate(const std::filesystem::path& folder) {
  test::EgressSite site(folder);
  site.parameters.dimension = 1'000'005;
  site.run_bytes_max = std::uint64_t{1} << 50U;
  node::egress::EgressGate gate = site.open().value();
  FOVEA_CHECK(site.prepare(gate).has_value());
  constexpr int kRepeats = 20;
  std::vector<Bytes> chunks;
  const auto words = site.masked_words(site.parameters.dimension);
  for (std::uint32_t i = 0; i < federation::messages::chunk_count(words.size()); ++i) {
    const std::size_t begin = i * federation::messages::kChunkWords;
    chunks.push_back(site.chunk(
        {words.begin() + static_cast<std::ptrdiff_t>(begin),
         words.begin() + static_cast<std::ptrdiff_t>(begin + federation::messages::chunk_size(words.size(), i))},
        i));
  }
  const std::vector<ByteView> vector(chunks.begin(), chunks.end());
  const Bytes keys = site.keys();
  const std::vector<ByteView> small{keys};
  const auto time = [&](const char* name, const std::vector<ByteView>& batch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) {
      const auto tickets = gate.intend(batch);
      FOVEA_CHECK(tickets.has_value());
      FOVEA_CHECK(gate.sent(*tickets).has_value());
    }
    std::printf("%-10s %8.2f ms a batch\n", name, seconds_since(start) * 1e3 / kRepeats);
  };
  time("keys", small);
  time("vector 4MB", vector);
  double publish = 0;
  for (int i = 0; i < kRepeats; ++i) {
    FOVEA_CHECK(gate.intend(small).has_value());
    const auto start = std::chrono::steady_clock::now();
    FOVEA_CHECK(gate.publish().has_value());
    publish += seconds_since(start);
  }
  std::printf("publish    %8.2f ms\n", publish * 1e3 / kRepeats);
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  const auto entries = argc > 1 ? fovea::read_digits(argv[1]) : std::optional<std::uint64_t>(1'000'000);
  if (!entries) {
    std::fputs("usage: audit_bench [ENTRIES [FOLDER]]\n", stderr);
    return 2;
  }
  const fovea::test::TemporaryFolder temporary;
  const std::filesystem::path folder = argc > 2 ? std::filesystem::path(argv[2]) : temporary.path() / "ledger";
  fovea::bench_gate(temporary.path() / "gate");
  fovea::bench_audit(folder, *entries);
  return 0;
}
