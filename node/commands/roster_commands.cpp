#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "crypto/signature.h"
#include "federation/membership/acquaintance.h"
#include "node/commands/command.h"
#include "node/commands/site_ledger.h"
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
  if (const std::string why = pinned ? "" : io::roster_trouble(folder.root()); !why.empty())
    return failed_precondition("no roster could be taken here yet: " + why);
  if (!pinned)
    return not_found(
        "there is no roster yet; the coordinator sends it when the node starts, or give its file with --roster");
  return std::move(*pinned);
}

struct Standing {
  std::string word;  // "self", "accepted", "changed", "withdrawn", "unaccepted"
  std::string text;
};

Standing standing_of(const io::KnownSites& known, const RosterSite& self, const RosterSite& other) {
  if (other.identity_key == self.identity_key) return Standing{"self", "this site"};
  const Digest entry = federation::membership::entry_digest(other);
  const auto ignored = known.ignored.find(entry);
  const std::string note = ignored == known.ignored.end() ? "" : " (its file is ignored: " + ignored->second + ")";
  if (const auto word = known.words.newest().find(entry); word != known.words.newest().end()) {
    const std::string by = word->second.person.empty() ? "" : " by " + word->second.person;
    return word->second.accepted ? Standing{"accepted", "accepted" + by + note}
                                 : Standing{"withdrawn", "not accepted: the acceptance was taken back" + by + note};
  }
  if (known.words.knows_other_keys_of(other)) return Standing{"changed", "KEYS CHANGED since it was accepted" + note};
  return Standing{"unaccepted", "not accepted" + note};
}

bool is_accepted(const Standing& standing) { return standing.word == "self" || standing.word == "accepted"; }

Result<io::KnownSites> known_sites(CommandContext& context) {
  FOVEA_TRY_ASSIGN(RecordedSites recorded, read_known_sites(context.folder()));
  if (!recorded.warning.empty()) context.console.progress("warning: " + recorded.warning);
  return std::move(recorded.known);
}

Result<void> run_list(CommandContext& context, const RosterChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
  FOVEA_TRY_ASSIGN(const io::KnownSites known, known_sites(context));
  Json sites = Json::array();
  std::vector<std::vector<std::string>> rows = {{"SITE", "FINGERPRINT", "HERE"}};
  std::size_t unaccepted = 0;
  for (const RosterSite& site : roster.sites) {
    const Standing standing = standing_of(known, self, site);
    const std::string print = federation::membership::site_fingerprint(site);
    unaccepted += is_accepted(standing) ? 0U : 1U;
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
  FOVEA_TRY_ASSIGN(const io::KnownSites known, known_sites(context));
  const Standing standing = standing_of(known, self, *site);
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

// What a person decides about, with the words that there are about it.
struct Selection {
  std::vector<RosterSite> sites;
  std::string note;  // for the person, of what was left out
};

// The entries to accept: all of them exist and are not this site's own before anything is signed. Whom a person took
// back, a person accepts by name.
Result<Selection> sites_to_accept(const io::KnownSites& known, const RosterSite& self, const Roster& roster,
                                  const RosterChoice& choice) {
  Selection out;
  if (choice.all == !choice.sites.empty())
    return invalid_argument("roster accept: name the sites, or give --all for every site of the roster");
  for (const std::string& name : choice.sites) {
    FOVEA_TRY_ASSIGN(const RosterSite* site, find_site(roster, name));
    if (site->identity_key == self.identity_key)
      return invalid_argument("site \"" + name + "\": is this site; it needs nobody's acceptance here");
    out.sites.push_back(*site);
  }
  if (!choice.all) return out;
  for (const RosterSite& site : roster.sites) {
    const Standing standing = standing_of(known, self, site);
    if (standing.word == "withdrawn")
      out.note += "\n" + site.id.text() + "  " + standing.text + "; to accept it again, name it";
    else if (!is_accepted(standing)) out.sites.push_back(site);
  }
  if (out.sites.empty() && out.note.empty()) out.note = "\nevery site of the roster is accepted already";
  return out;
}

// Whatever keys a site of the name was accepted with: one that left the roster may come back.
Result<Selection> sites_to_forget(const io::SiteFolder& folder, const io::KnownSites& known,
                                  const RosterChoice& choice) {
  Selection out;
  std::set<Digest> chosen;
  for (const std::string& name : choice.sites) {
    bool named = false;
    bool accepted = false;
    for (const auto& [entry, word] : known.words.newest()) {
      if (word.entry.id.text() != name) continue;
      named = true;
      accepted = accepted || word.accepted;
      if (word.accepted && chosen.insert(entry).second) out.sites.push_back(word.entry);
    }
    if (!named) {
      FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
      FOVEA_TRY(find_site(roster, name));
    }
    if (!accepted) out.note += "\n" + name + "  is not accepted here: there is nothing to take back";
  }
  return out;
}

// Later than what was said about the entry before, even where a clock was put back meanwhile.
UnixMs time_of_word(const CommandContext& context, const io::KnownSites& known, const RosterSite& site) {
  const UnixMs now = context.clock.wall();
  const auto before = known.words.newest().find(federation::membership::entry_digest(site));
  return before == known.words.newest().end() ? now : std::max(now, UnixMs{before->second.signed_at.value + 1});
}

Result<void> sign_words(CommandContext& context, const RosterChoice& choice, const io::KnownSites& known,
                        const Selection& selection, bool ended) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  std::vector<std::pair<RosterSite, federation::membership::SignedDocument>> documents;
  for (const RosterSite& site : selection.sites) {
    const Acquaintance word{.site = self.id,
                            .accepted = site,
                            .approver = choice.approver,
                            .accepted_at = time_of_word(context, known, site),
                            .ended = ended};
    FOVEA_TRY_ASSIGN(std::string text, word.document());
    documents.emplace_back(site, federation::membership::SignedDocument{std::string(word.kind()), std::move(text), {}});
  }
  Json data = Json::array();
  std::string human;
  if (!documents.empty()) {
    FOVEA_TRY_ASSIGN(const crypto::SigningKey key, folder.approver_key(context.passphrase));
    FOVEA_TRY(create_directories_durably(folder.root() / "acquaintances"));
    for (auto& [site, document] : documents) {
      FOVEA_TRY(document.sign(key));
      FOVEA_TRY(
          write_file_durably(folder.acquaintance(federation::membership::entry_digest(site)), document.serialize()));
      const std::string print = federation::membership::site_fingerprint(site);
      data.push_back({{"site", site.id.text()}, {"fingerprint", print}, {"approver", choice.approver}});
      human += "\n" + site.id.text() + "  fingerprint " + print +
               (ended ? "  acceptance taken back by " : "  accepted by ") + choice.approver;
    }
    human += ended ? "\neach counts as a colluder here before the running node sends its next byte, or from its next "
                     "start, until it is accepted again: fovea-node --site " +
                         context.site.string() + " roster accept SITE --by \"your name\""
                   : "\neach of these fingerprints must be the one that the hospital itself reads out";
  }
  human += selection.note;
  context.console.data(ended ? "roster forget" : "roster accept", data,
                       human.substr(std::min<std::size_t>(1, human.size())));
  return {};
}

Result<void> run_accept(CommandContext& context, const RosterChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY(folder.check_pins());  // before a roster is blamed
  FOVEA_TRY_ASSIGN(const RosterSite self, folder.site());
  FOVEA_TRY_ASSIGN(const Roster roster, read_roster(folder, choice));
  FOVEA_TRY_ASSIGN(const io::KnownSites known, known_sites(context));
  FOVEA_TRY_ASSIGN(const Selection selection, sites_to_accept(known, self, roster, choice));
  return sign_words(context, choice, known, selection, false);
}

Result<void> run_forget(CommandContext& context, const RosterChoice& choice) {
  FOVEA_TRY(context.folder().check_pins());
  FOVEA_TRY_ASSIGN(const io::KnownSites known, known_sites(context));
  FOVEA_TRY_ASSIGN(const Selection selection, sites_to_forget(context.folder(), known, choice));
  return sign_words(context, choice, known, selection, true);
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
  auto* forget = roster->add_subcommand("forget", "Take back that sites were accepted here; each counts as a colluder");
  forget->add_option("site", choice->sites, "Names of the sites")->required();
  forget->add_option("--by", choice->approver, "Name or role of the person who takes it back")->required();
  forget->callback(
      [&context, choice] { context.console.run("roster forget", [&] { return run_forget(context, *choice); }); });
}

}  // namespace fovea::node::commands
