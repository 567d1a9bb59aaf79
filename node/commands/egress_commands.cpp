#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes.h"
#include "federation/ledger/entry.h"
#include "node/commands/command.h"
#include "node/commands/site_ledger.h"

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

Result<std::vector<Egress>> read_egress(const io::SiteFolder& folder) {
  std::vector<Egress> out;
  const auto read = read_published(folder, [&](std::uint64_t index, federation::ledger::StampedEntry entry) {
    if (auto* intent = std::get_if<federation::ledger::EgressIntent>(&entry.body))
      out.push_back({index, entry.at, std::move(*intent)});
  });
  if (!read && read.error().code == ErrorCode::not_found && folder.invite())
    return not_found(
        "the ledger has no checkpoint yet, and only what is under one is listed; a node writes it after a round and "
        "when it ends");
  if (!read) return read.error();
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
