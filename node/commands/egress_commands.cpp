#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "federation/ledger/entry.h"
#include "federation/ledger/tile_check.h"
#include "node/commands/command.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

struct ListOptions {
  bool all = false;  // every message, not only sums
};

struct Egress {
  std::uint64_t index = 0;
  UnixMs at;
  federation::ledger::EgressIntent intent;
};

// Every message of the published ledger; its tiles are verified as they are read.
Result<std::vector<Egress>> read_egress(const io::SiteFolder& folder) {
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, folder.invite());
  FOVEA_TRY_ASSIGN(
      const crypto::NoteKey key,
      crypto::NoteKey::create(federation::ledger::ledger_origin(invite.federation, site.id.text()), site.log_key));
  auto checkpoint = federation::ledger::read_checkpoint(folder.ledger(), key);
  if (!checkpoint && checkpoint.error().code == ErrorCode::not_found)
    return not_found(
        "the ledger has no checkpoint yet, and only what is under one is listed; a node writes it after a round and "
        "when "
        "it ends");
  if (!checkpoint) return checkpoint.error();
  std::vector<Egress> out;
  std::optional<Error> unreadable;
  const federation::ledger::TileCheck check = federation::ledger::check_tiles(
      folder.ledger(), checkpoint->checkpoint, [&](std::uint64_t index, ByteView bytes) {
        auto entry = federation::ledger::decode_entry(bytes, "entry " + std::to_string(index));
        if (!entry) {
          if (!unreadable) unreadable = entry.error();
          return;
        }
        if (auto* intent = std::get_if<federation::ledger::EgressIntent>(&entry->body))
          out.push_back({index, entry->at, std::move(*intent)});
      });
  if (unreadable) return *unreadable;
  for (const federation::ledger::LedgerProblem& problem : check.problems)
    if (problem.kind != federation::ledger::ProblemKind::uncovered)
      return corruption(problem.where + ": " + problem.what + "; run fovea-audit verify for the whole picture");
  return out;
}

Result<void> run_list(CommandContext& context, const ListOptions& options) {
  FOVEA_TRY_ASSIGN(const std::vector<Egress> messages, read_egress(context.folder()));
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> kinds;
  std::uint64_t bytes = 0;
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows = {{"ENTRY", "TIME", "ROUND", "KIND", "BYTES", "SHA-256"}};
  for (const Egress& message : messages) {
    const federation::ledger::EgressIntent& intent = message.intent;
    auto& [count, total] = kinds[intent.kind];
    ++count;
    total += intent.length;
    bytes += intent.length;
    if (!options.all) continue;
    const std::string hash = to_hex(intent.payload);
    list.push_back({{"entry", message.index},
                    {"at_ms", message.at.value},
                    {"run", intent.key.run.text()},
                    {"round", intent.key.round},
                    {"attempt", intent.key.attempt},
                    {"kind", intent.kind},
                    {"bytes", intent.length},
                    {"sha256", hash}});
    rows.push_back({std::to_string(message.index), utc_text(message.at), std::to_string(intent.key.round), intent.kind,
                    std::to_string(intent.length), hash.substr(0, 16)});
  }
  Json summary = Json::object();
  std::vector<std::vector<std::string>> totals = {{"KIND", "MESSAGES", "BYTES"}};
  for (const auto& [kind, sums] : kinds) {
    summary[kind] = {{"messages", sums.first}, {"bytes", sums.second}};
    totals.push_back({kind, std::to_string(sums.first), std::to_string(sums.second)});
  }
  totals.push_back({"all", std::to_string(messages.size()), std::to_string(bytes)});
  Json data = {{"messages", messages.size()}, {"bytes", bytes}, {"kinds", summary}};
  if (options.all) data["list"] = list;
  context.console.data("egress list", data,
                       options.all ? text_table(rows) + "\n\n" + text_table(totals) : text_table(totals));
  return {};
}

}  // namespace

void add_egress_commands(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ListOptions>();
  auto* egress = app.add_subcommand("egress", "What has left this site, from its ledger");
  egress->require_subcommand(1);
  auto* list = egress->add_subcommand("list", "Messages and bytes by kind, up to the last checkpoint");
  list->add_flag("--all", options->all, "List every message");
  list->callback(
      [&context, options] { context.console.run("egress list", [&] { return run_list(context, *options); }); });
}

}  // namespace fovea::node::commands
