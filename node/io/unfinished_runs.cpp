#include "node/io/unfinished_runs.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "common/durable_file.h"
#include "common/json_fields.h"
#include "common/numbers.h"
#include "federation/membership/approval.h"
#include "federation/membership/plan.h"
#include "federation/model/safetensors.h"
#include "node/io/site_run.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;

std::optional<Digest> plan_of(const fs::path& run) {
  const auto file = read_file(run / "run.json", 4096);
  const auto json = file ? parse_json(*file, "run.json", 4096) : Result<nlohmann::json>(file.error());
  if (!json || !json->is_object() || !json->contains("plan") || !(*json)["plan"].is_string()) return std::nullopt;
  const auto bytes = from_hex((*json)["plan"].get<std::string>());
  const auto digest = bytes ? to_array<32>(*bytes, "plan") : Result<Digest>(bytes.error());
  return digest ? std::optional<Digest>(*digest) : std::nullopt;
}

// Nothing for a model that cannot be read: a start names it.
std::optional<std::uint32_t> sums_in(const fs::path& model) {
  const auto file = read_file(model, federation::model::kSafetensorsFileMax);
  if (!file) return file.error().code == ErrorCode::not_found ? std::optional<std::uint32_t>(0) : std::nullopt;
  const auto stored = federation::model::read_safetensors(*file);
  if (!stored) return std::nullopt;
  const auto text = stored->metadata.find("fovea.sums");
  return text == stored->metadata.end() ? std::nullopt : read_whole<std::uint32_t>(text->second);
}

UnixMs changed_at(const fs::path& run) {
  std::error_code error;
  auto time = fs::last_write_time(run / kModelFile, error);
  if (error) time = fs::last_write_time(run / "run.json", error);
  if (error) return UnixMs{};
  const auto system = std::chrono::file_clock::to_sys(time);
  return UnixMs{std::chrono::duration_cast<std::chrono::milliseconds>(system.time_since_epoch()).count()};
}

bool is_rejected(const SiteFolder& folder, const Digest& plan) {
  const auto document = folder.decision(plan);
  if (!document || !*document) return false;
  const auto decision = federation::membership::Approval::parse((*document)->document);
  return decision && decision->decision == federation::membership::ApprovalDecision::rejected;
}

std::optional<UnfinishedRun> read_run(const SiteFolder& folder, const fs::path& path) {
  const auto id = RunId::parse(path.filename().string());
  const auto plan_hash = id ? plan_of(path) : std::nullopt;
  const auto bytes = plan_hash ? folder.plan_bytes(*plan_hash) : Result<Bytes>(not_found("no plan"));
  const auto plan = bytes ? federation::membership::Plan::parse(*bytes)
                          : Result<federation::membership::Plan>(bytes.error());
  const auto sums = plan ? sums_in(path / kModelFile) : std::nullopt;
  if (!sums || *sums >= plan->rounds_total() || is_rejected(folder, *plan_hash)) return std::nullopt;
  return UnfinishedRun{*id, *plan_hash, plan->name, *sums, plan->rounds_total(), changed_at(path)};
}

}  // namespace

std::string UnfinishedRun::text() const {
  return "run " + run.text().substr(0, 12) + " of plan \"" + name + "\": " + std::to_string(sums) + " of " +
         std::to_string(rounds_total) + " sums are in the model here" +
         (sums > 0 ? ", the last since " : ", and none since the run was opened at ") + utc_text(since);
}

std::vector<UnfinishedRun> unfinished_runs(const SiteFolder& folder) {
  std::vector<UnfinishedRun> out;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.runs(), ignored))
    if (auto run = read_run(folder, entry.path())) out.push_back(std::move(*run));
  std::sort(out.begin(), out.end(),
            [](const UnfinishedRun& a, const UnfinishedRun& b) { return b.since.value < a.since.value; });
  return out;
}

}  // namespace fovea::node::io
