// Which sites the coordinator left out of the run, with the signed messages that show why. They are kept here as well,
// so that it is not the coordinator's word alone: a person at this site, or an auditor, can check who signed them.
//
//   runs/<run>/blame/<site>-<digest>   in the coordinator's format (federation/membership/blame.h), for fovea-audit
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "common/durable_file.h"
#include "federation/membership/blame.h"
#include "node/io/site_driver_parts.h"

namespace fovea::node::io {

using federation::membership::Blame;
using federation::membership::RosterSite;

namespace {

// That the blame is about a member, in this run, and that each message in it is signed by a member whom it names.
// Whether what they say is a fault is for who reads them.
Result<void> check_blame(const Blame& blame, const RunId& run, const federation::membership::Roster& roster) {
  const RosterSite* member = roster.find(blame.site);
  if (blame.run != run) return permission_denied("a blame: is of another run");
  if (member == nullptr || member->identity_key != blame.key)
    return permission_denied("a blame: " + blame.site.text() + " is not on the roster with this key");
  for (const Bytes& wire : blame.evidence) {
    FOVEA_TRY_ASSIGN(const auto envelope, federation::messages::read_envelope(wire));
    const RosterSite* sender = envelope.header.sender ? roster.find(*envelope.header.sender) : nullptr;
    if (sender == nullptr || envelope.header.run != run)
      return permission_denied("a blame of " + blame.site.text() + ": a message in it is of no site of this run");
    FOVEA_TRY(federation::messages::SignedMessage::open(wire, {.sender = sender->id, .key = sender->identity_key}));
  }
  return {};
}

constexpr std::size_t kBlamesKeptMax = 64;  // of a run

std::size_t file_count(const std::filesystem::path& folder) {
  std::error_code none_yet;
  const std::filesystem::directory_iterator files(folder, none_yet);
  return none_yet ? 0 : static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// What was released in R5 is erased at the sites when its round is closed, and does not come back in this way.
bool holds_released_shares(const Blame& blame) {
  return std::any_of(blame.evidence.begin(), blame.evidence.end(), [](const Bytes& wire) {
    const auto kind = federation::messages::claimed_kind(wire);
    return !kind || *kind == federation::messages::MessageKind::unmask_shares;
  });
}

}  // namespace

Result<void> SiteDriver::Parts::take_blame(const federation::messages::SignedMessage& message) {
  if (!run || !roster) return {};  // it is sent again when this site has joined the run
  if (message.header().run != run->run())
    return note_ignored("blame_ignored", "a blame: was sent under another run"), Result<void>();
  const auto blame = Blame::decode(message.payload());
  if (!blame) return note_ignored("blame_ignored", blame.error().message), Result<void>();
  if (blames_heard.contains(blame->digest())) return {};
  if (!blame_offers.admit(clock->monotonic())) {
    note_ignored("blame_ignored", "more than 16 blames in an hour");
    return {};
  }
  if (const auto sound = check_blame(*blame, run->run(), *roster); !sound)
    return note_ignored("blame_ignored", sound.error().message), Result<void>();
  blames_heard.insert(blame->digest());
  const std::filesystem::path folder = options.folder.blames(run->run());
  const std::filesystem::path file = folder / (blame->site.text() + "-" + to_hex(blame->digest()).substr(0, 16));
  // Nothing is written over: a later blame of the same site must not take the evidence of the first away.
  if (!holds_released_shares(*blame) && !std::filesystem::exists(file)) {
    if (file_count(folder) >= kBlamesKeptMax) {
      note_ignored("blame_ignored",
                   folder.string() + ": holds " + std::to_string(kBlamesKeptMax) + " blames of this run already");
      return {};
    }
    FOVEA_TRY(create_directories_durably(folder));
    FOVEA_TRY(write_file_durably(file, blame->encode()));
  }
  const bool self_blamed = blame->key == self.identity_key;
  if (self_blamed)
    shut_out = "the coordinator left this site out of the run in round " + std::to_string(blame->round) + ": " +
               blame->reason +
               "; an administrator who finds that it is not at fault lets it in again: " + "fovea-coordinator pardon " +
               self.id.text();
  spdlog::warn("{} is left out of the run since round {}: {}", self_blamed ? "this site" : blame->site.text(),
               blame->round, blame->reason);
  events.write("site_blamed", {{"site", blame->site.text()},
                               {"reason", blame->reason},
                               {"round", blame->round},
                               {"evidence", to_hex(blame->digest())},
                               {"messages", blame->evidence.size()}});
  return {};
}

}  // namespace fovea::node::io
