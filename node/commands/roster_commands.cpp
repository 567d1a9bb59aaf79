#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "crypto/signature.h"
#include "federation/files/signed_document_file.h"
#include "federation/membership/acquaintance.h"
#include "node/commands/command.h"
#include "node/io/site_status.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;
using federation::membership::Acquaintance;
using federation::membership::Roster;
using federation::membership::RosterSite;

struct RosterChoice {
  std::vector<std::string> sites;
  bool all = false;
  std::string approver;
  std::string file;  // another roster than the pinned one
};

Result<Roster> read_roster(const io::SiteFolder& folder, const RosterChoice& choice) {
  if (!choice.file.empty()) {
    FOVEA_TRY_ASSIGN(Roster given, folder.roster_in(choice.file));
    FOVEA_TRY(folder.check_own_entry(given));
    return given;
  }
  FOVEA_TRY_ASSIGN(std::optional<Roster> pinned, folder.newest_roster());
  if (!pinned)
    return not_found(
        "there is no roster yet; the coordinator sends it when the node starts, or give its file with --roster");
  return std::move(*pinned);
}

// An acceptance of this site with other keys: that they changed is what a person must hear first.
bool was_accepted_before(const io::SiteFolder& folder, const RosterSite& self, const RosterSite& other) {
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(folder.root() / "acquaintances", ignored)) {
    const auto document = federation::files::read_signed_document(file.path());
    const auto before = document ? federation::membership::verify_acquaintance(*document, self.approver_key)
                                 : Result<Acquaintance>(document.error());
    if (before && before->accepted.id == other.id) return true;
  }
  return false;
}

struct Standing {
  std::string word;  // "self", "accepted", "changed", "unaccepted"
  std::string text;
};

Standing standing_of(const io::SiteFolder& folder, const RosterSite& self, const RosterSite& other) {
  if (other.identity_key == self.identity_key) return Standing{"self", "this site"};
  const auto document = folder.acceptance(federation::membership::entry_digest(other));
  const auto acceptance = document && *document
                              ? federation::membership::verify_acquaintance(**document, self, other)
                              : Result<Acquaintance>(document ? not_found("no acceptance") : document.error());
  if (acceptance) return Standing{"accepted", "accepted by " + acceptance->approver};
  if (!document) return Standing{"unaccepted", "not accepted: " + document.error().message};  // half a file
  if (was_accepted_before(folder, self, other)) return Standing{"changed", "KEYS CHANGED since it was accepted"};
  return Standing{"unaccepted", "not accepted"};
}

Result<void> run_list(CommandContext& context, const RosterChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
  Json sites = Json::array();
  std::vector<std::vector<std::string>> rows = {{"SITE", "FINGERPRINT", "HERE"}};
  std::size_t unaccepted = 0;
  for (const RosterSite& site : roster.sites) {
    const Standing standing = standing_of(folder, self, site);
    const std::string print = federation::membership::site_fingerprint(site);
    unaccepted += standing.word == "unaccepted" || standing.word == "changed" ? 1U : 0U;
    sites.push_back({{"site", site.id.text()}, {"fingerprint", print}, {"standing", standing.word}});
    rows.push_back({site.id.text(), print, standing.text});
  }
  std::string human = "roster of epoch " + std::to_string(roster.epoch) + "\n" + text_table(rows);
  if (unaccepted > 0)
    human += "\n" + io::sites_not_accepted(unaccepted) +
             "; compare fingerprints by telephone, then: fovea-node --site " + context.site.string() +
             " roster accept SITE --by \"your name\"";
  context.console.data("roster list", {{"epoch", roster.epoch}, {"unaccepted", unaccepted}, {"sites", sites}}, human);
  return {};
}

Result<const RosterSite*> find_site(const Roster& roster, const std::string& name) {
  const auto found = std::find_if(roster.sites.begin(), roster.sites.end(),
                                  [&](const RosterSite& site) { return site.id.text() == name; });
  if (found == roster.sites.end())
    return not_found("site \"" + name + "\": is not on the roster of epoch " + std::to_string(roster.epoch) +
                     "; see fovea-node roster list");
  return &*found;
}

Result<void> run_show(CommandContext& context, const RosterChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
  FOVEA_TRY_ASSIGN(const RosterSite* site, find_site(roster, choice.sites.front()));
  const Standing standing = standing_of(folder, self, *site);
  const std::string print = federation::membership::site_fingerprint(*site);
  const Json data = {{"site", site->id.text()},
                     {"fingerprint", print},
                     {"standing", standing.word},
                     {"identity_key", to_hex(site->identity_key)},
                     {"transport_key", to_hex(site->transport_key)},
                     {"log_key", to_hex(site->log_key)},
                     {"approver_key", to_hex(site->approver_key)}};
  context.console.data("roster show", data,
                       "site " + site->id.text() + ": " + standing.text + "\nfingerprint   " + print +
                           "\nidentity key  " + to_hex(site->identity_key) + "\ntransport key " +
                           to_hex(site->transport_key) + "\nlog key       " + to_hex(site->log_key) +
                           "\napprover key  " + to_hex(site->approver_key) +
                           "\nask this hospital by telephone, at a number you know, to read out its fingerprint: "
                           "fovea-node status shows it there");
  return {};
}

// The entries to accept: all of them exist and are not this site's own before anything is signed.
Result<std::vector<const RosterSite*>> chosen_sites(const io::SiteFolder& folder, const RosterSite& self,
                                                    const Roster& roster, const RosterChoice& choice) {
  std::vector<const RosterSite*> out;
  if (choice.all == !choice.sites.empty())
    return invalid_argument("roster accept: name the sites, or give --all for every site of the roster");
  for (const std::string& name : choice.sites) {
    FOVEA_TRY_ASSIGN(const RosterSite* site, find_site(roster, name));
    if (site->identity_key == self.identity_key)
      return invalid_argument("site \"" + name + "\": is this site; it needs nobody's acceptance here");
    out.push_back(site);
  }
  if (!choice.all) return out;
  for (const RosterSite& site : roster.sites) {
    const Standing standing = standing_of(folder, self, site);
    if (standing.word == "unaccepted" || standing.word == "changed") out.push_back(&site);
  }
  return out;
}

Result<void> run_accept(CommandContext& context, const RosterChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
  FOVEA_TRY_ASSIGN(const std::vector<const RosterSite*> sites, chosen_sites(folder, self, roster, choice));
  std::vector<std::pair<const RosterSite*, federation::membership::SignedDocument>> documents;
  for (const RosterSite* site : sites) {
    const Acquaintance acceptance{
        .site = self.id, .accepted = *site, .approver = choice.approver, .accepted_at = context.clock.wall()};
    FOVEA_TRY_ASSIGN(std::string text, acceptance.document());
    documents.emplace_back(site, federation::membership::SignedDocument{
                                     std::string(federation::membership::kAcquaintanceKind), std::move(text), {}});
  }
  Json data = Json::array();
  std::string human = sites.empty() ? "every site of the roster is accepted already" : "";
  if (!documents.empty()) {
    FOVEA_TRY_ASSIGN(const crypto::SigningKey key, folder.approver_key(context.passphrase));
    FOVEA_TRY(create_directories_durably(folder.root() / "acquaintances"));
    for (auto& [site, document] : documents) {
      FOVEA_TRY(document.sign(key));
      FOVEA_TRY(
          write_file_durably(folder.acquaintance(federation::membership::entry_digest(*site)), document.serialize()));
      const std::string print = federation::membership::site_fingerprint(*site);
      data.push_back({{"site", site->id.text()}, {"fingerprint", print}, {"approver", choice.approver}});
      human +=
          (human.empty() ? "" : "\n") + site->id.text() + "  fingerprint " + print + "  accepted by " + choice.approver;
    }
    human += "\neach of these fingerprints must be the one that the hospital itself reads out";
  }
  context.console.data("roster accept", data, human);
  return {};
}

}  // namespace

void add_roster_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<RosterChoice>();
  auto* roster = app.add_subcommand("roster", "Who takes part, and whom of them a person here has accepted");
  roster->require_subcommand(1);
  const auto takes_file = [&choice](CLI::App* command) {
    command->add_option("--roster", choice->file, "A signed roster file instead of the one that the node has pinned");
  };
  auto* list = roster->add_subcommand("list", "Sites, their fingerprints, and whether they are accepted here");
  takes_file(list);
  list->callback(
      [&context, choice] { context.console.run("roster list", [&] { return run_list(context, *choice); }); });
  auto* show = roster->add_subcommand("show", "A site's keys, and the fingerprint to compare by telephone");
  show->add_option("site", choice->sites, "The site's name")->required()->expected(1);
  takes_file(show);
  show->callback(
      [&context, choice] { context.console.run("roster show", [&] { return run_show(context, *choice); }); });
  auto* accept = roster->add_subcommand("accept", "Vouch for sites whose fingerprints were compared by telephone");
  accept->add_option("site", choice->sites, "Names of the sites");
  accept->add_flag("--all", choice->all, "Every site of the roster that is not accepted yet");
  accept->add_option("--by", choice->approver, "Name or role of the person who compared them")->required();
  takes_file(accept);
  accept->callback(
      [&context, choice] { context.console.run("roster accept", [&] { return run_accept(context, *choice); }); });
}

}  // namespace fovea::node::commands
