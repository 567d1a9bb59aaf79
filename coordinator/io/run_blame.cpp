// Who is left out of the run, and why: durable before it has an effect, and until an administrator says otherwise.
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/io/run_driver_parts.h"
#include "federation/membership/pardon.h"

namespace fovea::coordinator::io {

// Said again at each start: a crash may have come between the evidence and its entry.
Result<void> RunDriver::Parts::resume_blames() {
  FOVEA_TRY_ASSIGN(const std::vector<store::Blame> standing, store::BlameFolder(run->folder()).standing());
  for (const store::Blame& blamed : standing) {
    spdlog::warn("{}: is left out since round {}, {}; see fovea-coordinator sites", blamed.site.text(), blamed.round,
                 blamed.reason);
    FOVEA_TRY(record_blame(blamed));
  }
  return look_for_pardons();
}

Result<void> RunDriver::Parts::record_blame(const store::Blame& blamed) {
  const Digest digest = blamed.digest();
  FOVEA_TRY(record(federation::ledger::SiteBlamed{.site = blamed.site,
                                                  .key = blamed.key,
                                                  .run = blamed.run,
                                                  .round = blamed.round,
                                                  .reason = blamed.reason,
                                                  .evidence = digest}));
  FOVEA_TRY(publish_ledger());  // in the journal alone, an older journal that is put back would undo it
  left_out[blamed.site] = digest;
  return {};
}

// What shows it goes to the sites as well, the blamed one among them: else it is the coordinator's word. A run with
// some hundred sites can have evidence that is larger than a message; then its digest in the ledger is all that there
// is of it outside the coordinator's folder.
void RunDriver::Parts::tell_of_blame(const SiteId& site, const store::Blame& blame) {
  const Bytes payload = blame.encode();
  if (payload.size() > federation::messages::kDocumentBytesMax) return;
  send_own(site, federation::messages::MessageKind::site_blame, payload);
}

Result<void> RunDriver::Parts::tell_of_blames(const SiteId& site) {
  if (left_out.empty()) return {};
  FOVEA_TRY_ASSIGN(const std::vector<store::Blame> standing, store::BlameFolder(run->folder()).standing());
  for (const store::Blame& blame : standing) tell_of_blame(site, blame);
  return {};
}

// One blame a site: what else it does while it is left out changes nothing.
Result<void> RunDriver::Parts::blame(round::BlamedSite blamed) {
  if (left_out.contains(blamed.site)) return {};
  const std::string reason(federation::messages::to_string(blamed.reason));
  const federation::membership::RosterSite* member = roster.find(blamed.site);
  const store::Blame kept{.site = blamed.site,
                          .key = member == nullptr ? federation::membership::PublicKeyBytes{} : member->identity_key,
                          .run = run->facts().run,
                          .round = round,
                          .reason = reason,
                          .evidence = std::move(blamed.evidence)};
  FOVEA_TRY(store::BlameFolder(run->folder()).add(kept));
  FOVEA_TRY(record_blame(kept));
  spdlog::warn("{}: left out, {}; see fovea-coordinator sites", kept.site.text(), reason);
  events.write("site_blamed", {{"site", kept.site.text()},
                               {"reason", reason},
                               {"round", round},
                               {"evidence", to_hex(kept.digest())},
                               {"messages", kept.evidence.size()}});
  for (const auto& [site, session] : joined) tell_of_blame(site, kept);
  return {};
}

// A pardon is about one blame: one that was signed for another is no pardon.
Result<void> RunDriver::Parts::look_for_pardons() {
  const store::BlameFolder folder(run->folder());
  std::vector<SiteId> sites;
  for (const auto& [site, evidence] : left_out) sites.push_back(site);
  for (const SiteId& site : sites) {
    const auto document = folder.pardon_of(site);
    if (document && !*document) continue;
    FOVEA_TRY_ASSIGN(const std::optional<store::Blame> blamed, folder.find(site));
    if (!blamed) continue;  // moved away by hand: that takes a start
    const auto verified = document ? federation::membership::verify_pardon(**document, facts.administrators)
                                   : Result<federation::membership::VerifiedPardon>(document.error());
    if (!verified || verified->pardon.site != site || verified->pardon.run != blamed->run ||
        verified->pardon.evidence != blamed->digest()) {
      spdlog::warn("{}: the pardon is not used: {}", site.text(),
                   verified ? "it is about another blame" : verified.error().message);
      folder.drop_pardon(site);
      continue;
    }
    FOVEA_TRY(record(federation::ledger::SitePardoned{
        .site = site, .run = blamed->run, .evidence = blamed->digest(), .administrator = verified->administrator}));
    FOVEA_TRY(publish_ledger());
    FOVEA_TRY(folder.close(*blamed, **document));
    left_out.erase(site);
    spdlog::info("{}: pardoned; it may take part again", site.text());
    events.write("site_pardoned", {{"site", site.text()}, {"evidence", to_hex(blamed->digest())}});
  }
  return {};
}

}  // namespace fovea::coordinator::io
