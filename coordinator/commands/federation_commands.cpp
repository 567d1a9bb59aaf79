#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/console.h"
#include "common/durable_file.h"
#include "common/ids.h"
#include "coordinator/commands/command.h"
#include "crypto/key_file.h"
#include "crypto/random_source.h"
#include "crypto/signature.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/invite.h"
#include "federation/membership/join_request.h"
#include "federation/membership/roster.h"
#include "federation/membership/signed_document.h"

namespace fovea::coordinator::commands {
namespace {

using Json = nlohmann::ordered_json;

struct Choice {
  std::string name;
  std::string host = "127.0.0.1";
  std::uint16_t port = 7443;
  std::string second_administrator;
  std::string output;
  std::vector<std::string> files;
  std::string key;
  bool renew = false;
};

Result<federation::membership::PublicKeyBytes> parse_key(const std::string& hex) {
  FOVEA_TRY_ASSIGN(const Bytes bytes, from_hex(hex));
  return to_array<32>(bytes, "administrator's public key");
}

Result<void> run_init(CommandContext& context, const Choice& choice) {
  registry::CoordinatorFolder::NewFederation fresh{choice.name, choice.host, choice.port, std::nullopt};
  if (!choice.second_administrator.empty()) {
    FOVEA_TRY_ASSIGN(fresh.second_administrator, parse_key(choice.second_administrator));
  }
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, context.folder().create(fresh, context.clock.wall()));
  const std::string print = federation::membership::fingerprint(invite.administrators.front());
  context.console.data("init",
                       {{"federation", invite.federation},
                        {"endpoint", invite.endpoint},
                        {"folder", context.home.string()},
                        {"fingerprint", print}},
                       "federation " + invite.federation + " made in " + context.home.string() + "\nsites will dial " +
                           invite.endpoint + "\nfingerprint " + print + "\nnext: fovea-coordinator --home " +
                           context.home.string() + " invite");
  return {};
}

Result<void> run_invite(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const federation::membership::Invite invite, context.folder().federation());
  FOVEA_TRY_ASSIGN(const Bytes bytes, context.folder().invite_bytes());
  const std::filesystem::path out = choice.output.empty() ? context.folder().root() / "invite.json"
                                                          : std::filesystem::path(choice.output);
  if (!choice.output.empty()) FOVEA_TRY(write_file_durably(out, bytes));
  const std::string print = federation::membership::fingerprint(invite.administrators.front());
  context.console.data("invite", {{"invite", out.string()}, {"fingerprint", print}},
                       "send " + out.string() + " to the hospital, and read out the federation's fingerprint " + print +
                           " by telephone");
  return {};
}

void show_roster(CommandContext& context, const std::string& command, const registry::SignedRoster& outcome) {
  Json sites = Json::array();
  for (const auto& site : outcome.roster.sites) sites.push_back(site.id.text());
  context.console.data(
      command, {{"epoch", outcome.roster.epoch}, {"in_force", outcome.in_force}, {"sites", sites}},
      "roster of epoch " + std::to_string(outcome.roster.epoch) + ": " + std::to_string(outcome.roster.sites.size()) +
          " sites" +
          (outcome.in_force ? "" : "\nthe second administrator has yet to sign: fovea-coordinator cosign --key FILE"));
}

Result<crypto::SigningKey> key_of(CommandContext& context, const Choice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  return folder.administrator_key(choice.key.empty() ? folder.administrator_key_file()
                                                     : std::filesystem::path(choice.key));
}

Result<void> run_sign(CommandContext& context, const Choice& choice) {
  const registry::CoordinatorFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const federation::membership::Invite facts, folder.federation());
  if (choice.files.empty() && !choice.renew)
    return invalid_argument(
        "sign: name the join requests to sign, or --renew to sign the present sites for another week");
  registry::RosterChange change;
  for (const std::string& file : choice.files) {
    FOVEA_TRY_ASSIGN(const federation::membership::SignedDocument document,
                     federation::files::read_signed_document(file));
    auto request = federation::membership::verify_join_request(document);
    if (!request) return request.error().with_context(file);
    if (request->federation != facts.federation)
      return permission_denied(file + ": asks to join " + request->federation + ", this is " + facts.federation);
    context.console.progress(request->site.id.text() + ": fingerprint " +
                             federation::membership::fingerprint(request->site.identity_key) +
                             "; compare it by telephone");
    change.added.push_back(request->site);
  }
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, key_of(context, choice));
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, folder.sign_next(change, key, context.clock.wall()));
  show_roster(context, "sign", outcome);
  return {};
}

Result<void> run_cosign(CommandContext& context, const Choice& choice) {
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, key_of(context, choice));
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, context.folder().cosign(key));
  show_roster(context, "cosign", outcome);
  return {};
}

Result<void> run_revoke(CommandContext& context, const Choice& choice) {
  registry::RosterChange change;
  for (const std::string& name : choice.files) {
    FOVEA_TRY_ASSIGN(SiteId id, SiteId::create(name));
    change.removed.push_back(std::move(id));
  }
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, key_of(context, choice));
  FOVEA_TRY_ASSIGN(const registry::SignedRoster outcome, context.folder().sign_next(change, key, context.clock.wall()));
  show_roster(context, "revoke", outcome);
  return {};
}

Result<void> run_sites(CommandContext& context) {
  FOVEA_TRY(context.folder().federation());
  FOVEA_TRY_ASSIGN(const federation::membership::Roster roster, context.folder().newest_roster());
  const std::int64_t left_ms = roster.valid_until.value - context.clock.wall().value;
  Json sites = Json::array();
  std::vector<std::vector<std::string>> rows = {{"SITE", "FINGERPRINT"}};
  for (const auto& site : roster.sites) {
    const std::string print = federation::membership::fingerprint(site.identity_key);
    sites.push_back({{"site", site.id.text()},
                     {"fingerprint", print},
                     {"identity_key", to_hex(site.identity_key)},
                     {"log_key", to_hex(site.log_key)}});
    rows.push_back({site.id.text(), print});
  }
  const std::string validity = left_ms > 0 ? "valid for another " + std::to_string(left_ms / 3'600'000) + " hours"
                                           : "has run out: fovea-coordinator sign --renew";
  context.console.data("sites",
                       {{"epoch", roster.epoch}, {"valid_until_ms", roster.valid_until.value}, {"sites", sites}},
                       "epoch " + std::to_string(roster.epoch) + ", " + validity + "\n" + text_table(rows));
  return {};
}

Result<void> run_administrator(CommandContext& context, const Choice& choice) {
  if (std::filesystem::exists(choice.output))
    return failed_precondition(choice.output + ": exists; choose another file");
  crypto::SystemRandom random;
  const crypto::SigningKey key = crypto::SigningKey::create(random);
  FOVEA_TRY(crypto::write_key_file(choice.output, key.seed()));
  const std::string hex = to_hex(key.verify_key());
  context.console.data("administrator", {{"file", choice.output}, {"public_key", hex}},
                       "secret key in " + choice.output + "; keep it with the second administrator\npublic key " + hex +
                           "\nnext: fovea-coordinator init NAME --second-administrator " + hex);
  return {};
}

}  // namespace

Result<registry::CoordinatorConfig> CommandContext::config() {
  FOVEA_TRY(folder().federation());  // says to run init
  auto config = registry::CoordinatorConfig::read(folder().config());
  if (!config) console.configuration_failed = true;
  return config;
}

void add_federation_commands(CLI::App& app, CommandContext& context) {
  app.add_option("--home", context.home, "The coordinator's folder")->capture_default_str();
  auto choice = std::make_shared<Choice>();
  auto* init = app.add_subcommand("init", "Make a federation: keys, settings, invite");
  init->add_option("name", choice->name, "The federation's name, for example lesions-2026")->required();
  init->add_option("--host", choice->host, "Name or address under which sites reach this machine")
      ->capture_default_str();
  init->add_option("--port", choice->port, "Port to listen on")->capture_default_str()->check(CLI::Range(1, 65535));
  init->add_option("--second-administrator", choice->second_administrator,
                   "Public key of a second person who must sign rosters too");
  init->callback([&context, choice] { context.console.run("init", [&] { return run_init(context, *choice); }); });
  auto* invite = app.add_subcommand("invite", "Write the invite for hospitals");
  invite->add_option("--output", choice->output, "Where to; the default is invite.json in the coordinator's folder");
  invite->callback([&context, choice] { context.console.run("invite", [&] { return run_invite(context, *choice); }); });
  auto* sign = app.add_subcommand("sign", "Put sites on the roster: sign the next epoch");
  sign->add_option("requests", choice->files, "Join requests");
  sign->add_flag("--renew", choice->renew, "Sign the present sites for another seven days");
  auto* cosign = app.add_subcommand("cosign", "Sign the waiting roster as the second administrator");
  auto* revoke = app.add_subcommand("revoke", "Take sites off the roster; their connections are cut");
  revoke->add_option("sites", choice->files, "Names of sites")->required();
  for (auto* command : {sign, cosign, revoke})
    command->add_option("--key", choice->key, "The administrator's key file");
  sign->callback([&context, choice] { context.console.run("sign", [&] { return run_sign(context, *choice); }); });
  cosign->callback([&context, choice] { context.console.run("cosign", [&] { return run_cosign(context, *choice); }); });
  revoke->callback([&context, choice] { context.console.run("revoke", [&] { return run_revoke(context, *choice); }); });
  auto* sites = app.add_subcommand("sites", "Show the roster");
  sites->callback([&context] { context.console.run("sites", [&] { return run_sites(context); }); });
  auto* administrator = app.add_subcommand("administrator", "Make a key for a second administrator");
  administrator->add_option("output", choice->output, "Where to write the secret key")->required();
  administrator->callback([&context, choice] {
    context.console.run("administrator", [&] { return run_administrator(context, *choice); });
  });
}

}  // namespace fovea::coordinator::commands
