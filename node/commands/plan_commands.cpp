#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "crypto/signature.h"
#include "federation/membership/plan.h"
#include "federation/secagg/framed_journal.h"
#include "node/commands/command.h"
#include "node/commands/site_ledger.h"
#include "node/io/site_status.h"
#include "node/round/site_marks.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::commands {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRegisterBytesMax = std::size_t{1} << 30U;

struct PlanChoice {
  std::string hash;
  std::string other;
  std::string approver;
  std::string reason;
};

// What the gate goes by: the newest decision in the ledger, and the file of one that is newer.
struct Standing {
  std::string state;  // "waiting", "approved", "rejected", or "unreadable: …"
  std::string note;   // why the file is not what counts
  std::string text() const { return note.empty() ? state : state + " (" + note + ")"; }
};

class Decisions {
 public:
  static Result<Decisions> read(const io::SiteFolder& folder) {
    FOVEA_TRY_ASSIGN(federation::membership::RosterSite site, folder.site());
    return Decisions(folder, std::move(site));
  }

  // One decision that is half a file must not hide the others.
  Standing about(const Digest& plan) const {
    const std::string name = folder_.approval(plan).filename().string();
    const auto document = folder_.decision(plan);
    if (!document) return {"unreadable: " + document.error().message, recorded(plan, "")};
    if (!*document) return {state_in_ledger(plan), recorded(plan, "approvals/" + name + " is missing; ")};
    const auto decision = federation::membership::verify_approval(**document, site_.approver_key);
    if (!decision)
      return {"unreadable: " + folder_.approval(plan).string() + ": " + decision.error().message, recorded(plan, "")};
    if (ledger_)
      if (const auto counts = ledger_->admit(*decision); !counts)
        return {state_in_ledger(plan), "approvals/" + name + " is ignored: " + counts.error().message};
    return {decision->decision == federation::membership::ApprovalDecision::approved ? "approved" : "rejected", ""};
  }

  // When the newest decision about the plan was signed, wherever it lies.
  std::optional<UnixMs> newest(const Digest& plan) const {
    std::optional<UnixMs> out;
    if (ledger_)
      if (const auto known = ledger_->newest().find(plan); known != ledger_->newest().end())
        out = known->second.decided;
    const auto document = folder_.decision(plan);
    if (!document || !*document) return out;
    const auto decision = federation::membership::verify_approval(**document, site_.approver_key);
    return decision ? std::max(out.value_or(decision->decided), decision->decided) : out;
  }

  // Why the ledger could not be asked; empty: it was.
  std::string warning() const {
    return ledger_ ? ""
                   : "the ledger cannot be read, so only the files in approvals/ are shown: " + ledger_.error().message;
  }

 private:
  Decisions(const io::SiteFolder& folder, federation::membership::RosterSite site)
      : folder_(folder), site_(std::move(site)), ledger_(read_plan_decisions(folder)) {}

  std::string state_in_ledger(const Digest& plan) const {
    if (!ledger_ || !ledger_->newest().contains(plan)) return "waiting";
    return ledger_->is_approved(plan) ? "approved" : "rejected";
  }
  std::string recorded(const Digest& plan, const std::string& lead) const {
    if (!ledger_) return "";
    const auto known = ledger_->newest().find(plan);
    if (known == ledger_->newest().end()) return "";
    return lead + "the ledger has that the plan was " + (known->second.approved ? "approved" : "rejected") + " at " +
           utc_text(known->second.decided);
  }

  io::SiteFolder folder_;
  federation::membership::RosterSite site_;
  Result<egress::PlanDecisions> ledger_;
};

// With what the policy of node.toml says, where that is what keeps the site out.
std::string with_policy(const Standing& standing, const std::optional<std::string>& broken) {
  if (!broken || (standing.state != "approved" && standing.state != "waiting")) return standing.text();
  return Standing{standing.state + ", but refused by " + *broken, standing.note}.text();
}

Result<void> run_list(CommandContext& context) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY(folder.site());
  FOVEA_TRY_ASSIGN(const std::vector<Digest> hashes, folder.plans());
  FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
  FOVEA_TRY_ASSIGN(const Decisions decisions, Decisions::read(folder));
  if (const std::string warning = decisions.warning(); !warning.empty())
    context.console.progress("warning: " + warning);
  Json data = Json::array();
  std::vector<std::vector<std::string>> rows = {{"PLAN", "NAME", "ROUNDS", "DECISION"}};
  for (const Digest& hash : hashes) {
    const auto bytes = folder.plan_bytes(hash);
    const Standing standing = decisions.about(hash);
    const auto parsed = bytes ? federation::membership::Plan::parse(*bytes)
                              : Result<federation::membership::Plan>(bytes.error());
    if (!parsed) {  // of another version, or half a file
      data.push_back({{"plan", to_hex(hash)}, {"decision", standing.state}, {"why", parsed.error().message}});
      rows.push_back({to_hex(hash).substr(0, 12), "unreadable: " + parsed.error().message, "", standing.text()});
      continue;
    }
    const federation::membership::Plan& plan = *parsed;
    const auto broken = io::broken_rule(config.policy, plan);
    data.push_back(
        {{"plan", to_hex(hash)}, {"name", plan.name}, {"rounds", plan.rounds_total()}, {"decision", standing.state}});
    if (!standing.note.empty()) data.back()["note"] = standing.note;
    if (broken) data.back()["refused_by"] = *broken;
    rows.push_back(
        {to_hex(hash).substr(0, 12), plan.name, std::to_string(plan.rounds_total()), with_policy(standing, broken)});
  }
  context.console.data("plan list", data,
                       hashes.empty() ? "no plan was offered yet; start the node to fetch one" : text_table(rows));
  return {};
}

Result<void> run_show(CommandContext& context, const PlanChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const Digest hash, folder.find_plan(choice.hash));
  FOVEA_TRY_ASSIGN(const Bytes bytes, folder.plan_bytes(hash));
  FOVEA_TRY_ASSIGN(const federation::membership::Plan plan, federation::membership::Plan::parse(bytes));
  FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
  FOVEA_TRY_ASSIGN(const Decisions decisions, Decisions::read(folder));
  if (const std::string warning = decisions.warning(); !warning.empty())
    context.console.progress("warning: " + warning);
  const std::string state = with_policy(decisions.about(hash), io::broken_rule(config.policy, plan));
  const auto allowed = io::check_policy(config.policy, plan);
  const std::string verdict = allowed ? "within this site's policy" : allowed.error().message;
  std::string text(as_text(bytes));
  const std::string weights(federation::membership::to_string(plan.strategy.weights));
  const std::string warning = plan.warning();
  context.console.data(
      "plan show",
      {{"plan", to_hex(hash)},
       {"decision", state},
       {"policy", verdict},
       {"weights", weights},
       {"slowest_link_kbit_s", plan.deadlines.slowest_link()},
       {"warning", warning},
       {"exact_bytes", text}},
      "plan " + to_hex(hash) + "\ndecision: " + state + "\npolicy: " + verdict + "\nweights: " + weights + ": " +
          std::string(federation::membership::meaning(plan.strategy.weights)) +
          "\nslowest link of a site: " + federation::membership::link_text(plan.deadlines.slowest_link()) + " upwards" +
          (warning.empty() ? "" : "\nwarning: " + warning) + "\n\n" + text);
  return {};
}

std::vector<std::string> lines_of(ByteView bytes) {
  const auto value = nlohmann::ordered_json::parse(as_text(bytes), nullptr, false).flatten();
  std::vector<std::string> out;
  for (const auto& [path, field] : value.items()) out.push_back(path + " = " + field.dump());
  return out;
}

// Field by field: what only one of the two plans says.
Result<void> run_diff(CommandContext& context, const PlanChoice& choice) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY_ASSIGN(const Digest before_hash, folder.find_plan(choice.hash));
  FOVEA_TRY_ASSIGN(const Digest after_hash, folder.find_plan(choice.other));
  FOVEA_TRY_ASSIGN(const Bytes before_bytes, folder.plan_bytes(before_hash));
  FOVEA_TRY_ASSIGN(const Bytes after_bytes, folder.plan_bytes(after_hash));
  const std::vector<std::string> before = lines_of(before_bytes);
  const std::vector<std::string> after = lines_of(after_bytes);
  const auto missing = [](const std::vector<std::string>& from, const std::vector<std::string>& in) {
    std::vector<std::string> out;
    for (const std::string& line : from)
      if (std::find(in.begin(), in.end(), line) == in.end()) out.push_back(line);
    return out;
  };
  const std::vector<std::string> removed = missing(before, after);
  const std::vector<std::string> added = missing(after, before);
  std::string human;
  for (const std::string& line : removed) human += "- " + line + "\n";
  for (const std::string& line : added) human += "+ " + line + "\n";
  if (!human.empty()) human.pop_back();
  context.console.data("plan diff", {{"removed", removed}, {"added", added}},
                       human.empty() ? "both plans have the same fields" : human);
  return {};
}

// Whoever approves a plan learns at once that the site's studies do not fit it. Not an error: they can be ingested
// again before it starts.
void warn_about_mismatch(const CommandContext& context, const federation::membership::Plan& plan) {
  const Result<store::StudyCatalogue> catalogue = store::StudyCatalogue::open(context.folder().data(), false);
  if (!catalogue) return;
  const Result<std::vector<store::StudyRecord>> records = catalogue->list();
  const std::string mismatch = records ? store::bias_mismatch(*records, plan.n4) : "";
  if (!mismatch.empty()) context.console.progress("warning: " + mismatch);
}

// Nor is it an error that studies were measured before: where all in the training data are new, the stage goes on. Read
// beside a running node, so nothing is cut or mended here.
void warn_about_measured(const CommandContext& context, const federation::membership::Plan& plan) {
  const auto measures = [](const federation::membership::PlanStage& stage) { return stage.name == "intensity"; };
  if (std::none_of(plan.stages.begin(), plan.stages.end(), measures)) return;
  const auto bytes = read_file(context.folder().site_register(), kRegisterBytesMax);
  if (!bytes) return;
  const auto records = federation::secagg::read_journal(*bytes);
  if (!records) return;
  const auto memory = round::SiteMemory::restore(RunId{}, {}, records->records);
  if (!memory || memory->statistics.empty()) return;
  context.console.progress("warning: stages: " + std::to_string(memory->statistics.size()) +
                           " studies of this site were measured for a stage \"intensity\" before, and none is measured "
                           "twice: if one of them is in the training data, this site will refuse the stage; ask for a "
                           "plan without it");
}

// What keeps this site from an approved plan: strangers on the roster count as colluders, and with too many of them no
// plan is begun. Empty: nothing is missing.
std::string still_missing(const io::SiteFolder& folder, const federation::membership::RosterSite& site,
                          const io::NodeConfig& config, const federation::membership::Plan& plan) {
  const std::string program = "fovea-node --site " + folder.root().string();
  const std::string not_yet = "this site does not take part yet: ";
  const auto roster = folder.newest_roster();
  if (!roster) return not_yet + roster.error().message;
  if (!*roster)
    return not_yet + "there is no roster yet, which the running node fetches; then accept the other sites: " + program +
           " roster list, then roster accept";
  const std::size_t sites = (*roster)->sites.size();
  const auto recorded = read_known_sites(folder);
  if (!recorded) return not_yet + recorded.error().message;
  const std::size_t unknown = recorded->known.unaccepted(**roster, site).size();
  const std::string accept = ": " + program + " roster list, then roster accept";
  if (const auto enough = io::check_acquaintances(config.policy, plan, {sites, sites - unknown}); !enough)
    return not_yet + enough.error().message + accept;
  return unknown == 0 ? "" : io::sites_not_accepted(unknown) + accept;
}

// After the decision before it, even where a clock was put back meanwhile: only a later one undoes it.
Result<UnixMs> time_of_decision(const CommandContext& context, const Digest& plan) {
  const UnixMs now = context.clock.wall();
  FOVEA_TRY_ASSIGN(const Decisions decisions, Decisions::read(context.folder()));
  const std::optional<UnixMs> before = decisions.newest(plan);
  return before ? std::max(now, UnixMs{before->value + 1}) : now;
}

// A rejection is not for ever, and who signed it is told from when on it counts.
std::string after_rejection(const io::SiteFolder& folder, const Digest& plan) {
  const bool running = FileLock::is_held(folder.root() / "lock");
  return std::string(running ? "\nnothing of it leaves any more"
                             : "\nthe node is not running: this counts from its next start on, and nothing leaves "
                               "until then") +
         "\nto take it back: fovea-node --site " + folder.root().string() + " plan approve " +
         to_hex(plan).substr(0, 12) + " --by \"your name\"";
}

Result<void> run_decide(CommandContext& context, const PlanChoice& choice,
                        federation::membership::ApprovalDecision decision) {
  const io::SiteFolder folder = context.folder();
  FOVEA_TRY(folder.check_pins());
  FOVEA_TRY_ASSIGN(const federation::membership::RosterSite site, folder.site());
  FOVEA_TRY_ASSIGN(const Digest hash, folder.find_plan(choice.hash));
  FOVEA_TRY_ASSIGN(const Bytes bytes, folder.plan_bytes(hash));
  FOVEA_TRY_ASSIGN(const federation::membership::Plan plan, federation::membership::Plan::parse(bytes));
  const bool approve = decision == federation::membership::ApprovalDecision::approved;
  std::string missing;
  if (approve) {
    FOVEA_TRY_ASSIGN(const io::NodeConfig config, context.config());
    FOVEA_TRY(io::check_policy(config.policy, plan));
    if (const std::string warning = plan.warning(); !warning.empty()) context.console.progress("warning: " + warning);
    if (!plan.probe_size) warn_about_mismatch(context, plan);
    warn_about_measured(context, plan);
    missing = still_missing(folder, site, config, plan);
  }
  FOVEA_TRY_ASSIGN(const UnixMs decided, time_of_decision(context, hash));
  federation::membership::Approval approval{.site = site.id,
                                            .plan = hash,
                                            .decision = decision,
                                            .approver = choice.approver,
                                            .reason = choice.reason,
                                            .decided = decided};
  FOVEA_TRY_ASSIGN(std::string text, approval.document());
  FOVEA_TRY_ASSIGN(const crypto::SigningKey key, folder.approver_key(context.passphrase));
  federation::membership::SignedDocument document{"approval", std::move(text), {}};
  FOVEA_TRY(document.sign(key));
  FOVEA_TRY(create_directories_durably(folder.approval(hash).parent_path()));
  FOVEA_TRY(write_file_durably(folder.approval(hash), document.serialize()));
  const std::string word = approve ? "approved" : "rejected";
  context.console.data(
      approve ? "plan approve" : "plan reject",
      {{"plan", to_hex(hash)}, {"decision", word}, {"approver", choice.approver}, {"missing", missing}},
      "plan " + to_hex(hash).substr(0, 12) + " \"" + plan.name + "\" " + word + " by " + choice.approver +
          (missing.empty() ? "" : "\n" + missing) + (approve ? "" : after_rejection(folder, hash)));
  return {};
}

}  // namespace

void add_plan_commands(CLI::App& app, CommandContext& context) {
  auto choice = std::make_shared<PlanChoice>();
  auto* plan = app.add_subcommand("plan", "Plans that the coordinator offered, and this site's decisions about them");
  plan->require_subcommand(1);
  auto* list = plan->add_subcommand("list", "Plans and decisions");
  list->callback([&context] { context.console.run("plan list", [&] { return run_list(context); }); });
  auto* show = plan->add_subcommand("show", "A plan's exact text, and whether this site's policy allows it");
  show->add_option("plan", choice->hash, "The plan's hash, or its first digits")->required();
  show->callback([&context, choice] { context.console.run("plan show", [&] { return run_show(context, *choice); }); });
  auto* diff = plan->add_subcommand("diff", "What changed between two plans");
  diff->add_option("before", choice->hash, "A plan's hash, or its first digits")->required();
  diff->add_option("after", choice->other, "Another plan's hash, or its first digits")->required();
  diff->callback([&context, choice] { context.console.run("plan diff", [&] { return run_diff(context, *choice); }); });
  for (const bool approve : {true, false}) {
    auto* decide = plan->add_subcommand(approve ? "approve" : "reject",
                                        approve ? "Let this site take part in a plan" : "Keep this site out of a plan");
    decide->add_option("plan", choice->hash, "The plan's hash, or its first digits")->required();
    decide->add_option("--by", choice->approver, "Name or role of the person who decides")->required();
    decide->add_option("--reason", choice->reason, "Why; kept with the decision");
    decide->callback([&context, choice, approve] {
      context.console.run(approve ? "plan approve" : "plan reject", [&] {
        return run_decide(context, *choice,
                          approve ? federation::membership::ApprovalDecision::approved
                                  : federation::membership::ApprovalDecision::rejected);
      });
    });
  }
}

}  // namespace fovea::node::commands
