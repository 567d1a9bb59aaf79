#include "node/io/site_status.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/canonical_json.h"
#include "common/durable_file.h"
#include "common/file_lock.h"
#include "common/json_fields.h"
#include "federation/membership/site_fields.h"
#include "node/io/clock_difference.h"

namespace fovea::node::io {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;
constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kIntegerMax{kCanonicalIntegerMax};
constexpr std::size_t kTextMax = 4'096;

Result<void> text_into(JsonFields& fields, std::string_view name, std::optional<std::string>& out) {
  if (!fields.has(name)) return {};
  FOVEA_TRY_ASSIGN(out, fields.text(name, 0, kTextMax));
  return {};
}

Result<SiteStatus::Run> read_run(JsonFields& fields) {
  SiteStatus::Run out;
  FOVEA_TRY_ASSIGN(out.run, fields.text("run", 0, kTextMax));
  FOVEA_TRY_ASSIGN(out.plan, fields.text("plan", 0, kTextMax));
  FOVEA_TRY_ASSIGN(out.phase, fields.text("phase", 0, kTextMax));
  FOVEA_TRY_ASSIGN(out.round, fields.integer("round", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.sums_applied, fields.integer("sums_applied", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.rounds_total, fields.integer("rounds_total", 0, kIntegerMax));
  return out;
}

Result<void> read_optional_numbers(JsonFields& fields, SiteStatus& out) {
  if (fields.has("clock_ahead_ms")) {  // it can be behind
    constexpr auto kMax = static_cast<double>(kIntegerMax);
    FOVEA_TRY_ASSIGN(const double ahead_ms, fields.number("clock_ahead_ms", -kMax, kMax));
    out.clock_ahead_ms = static_cast<std::int64_t>(ahead_ms);
  }
  if (fields.has("sites_unaccepted")) {
    FOVEA_TRY_ASSIGN(out.sites_unaccepted, fields.integer("sites_unaccepted", 0, kIntegerMax));
  }
  if (fields.has("upload_kbit_s")) {
    FOVEA_TRY_ASSIGN(out.upload_kbit_s, fields.integer("upload_kbit_s", 0, kIntegerMax));
  }
  if (fields.has("slowest_link_kbit_s")) {
    FOVEA_TRY_ASSIGN(out.slowest_link_kbit_s, fields.integer("slowest_link_kbit_s", 0, kIntegerMax));
  }
  return {};
}

}  // namespace

std::string SiteStatus::text() const {
  nlohmann::ordered_json out = {
      {"fovea_status", kFormat}, {"at_ms", at.value}, {"pid", pid}, {"connected", connected}, {"epoch", epoch}};
  const auto put = [&out](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  put("not_admitted", not_admitted);
  put("clock_ahead_ms", clock_ahead_ms);
  put("sites_unaccepted", sites_unaccepted);
  put("upload_kbit_s", upload_kbit_s);
  put("slowest_link_kbit_s", slowest_link_kbit_s);
  put("roster_invalid", roster_invalid);
  put("waiting_for_approval", waiting_for_approval);
  put("waiting_for_acceptances", waiting_for_acceptances);
  put("plan_refused", plan_refused);
  put("cut_off", cut_off);
  put("sits_out", sits_out);
  put("shut_out", shut_out);
  if (run) {
    out["run"] = run->run;
    out["plan"] = run->plan;
    out["phase"] = run->phase;
    out["round"] = run->round;
    out["sums_applied"] = run->sums_applied;
    out["rounds_total"] = run->rounds_total;
  }
  return out.dump() + "\n";
}

Result<SiteStatus> SiteStatus::parse(ByteView bytes) {
  FOVEA_TRY_ASSIGN(const nlohmann::json value, parse_json(bytes, "status", kBytesMax));
  FOVEA_TRY_ASSIGN(JsonFields fields, JsonFields::open(value, "status"));
  FOVEA_TRY(federation::membership::read_format(fields, "fovea_status", kFormat));
  SiteStatus out;
  FOVEA_TRY_ASSIGN(const std::uint64_t at_ms, fields.integer("at_ms", 0, kIntegerMax));
  out.at = UnixMs{static_cast<std::int64_t>(at_ms)};
  FOVEA_TRY_ASSIGN(out.pid, fields.integer("pid", 0, kIntegerMax));
  FOVEA_TRY_ASSIGN(out.connected, fields.boolean("connected"));
  FOVEA_TRY_ASSIGN(out.epoch, fields.integer("epoch", 0, kIntegerMax));
  FOVEA_TRY(text_into(fields, "not_admitted", out.not_admitted));
  FOVEA_TRY(text_into(fields, "roster_invalid", out.roster_invalid));
  FOVEA_TRY(text_into(fields, "waiting_for_approval", out.waiting_for_approval));
  FOVEA_TRY(text_into(fields, "waiting_for_acceptances", out.waiting_for_acceptances));
  FOVEA_TRY(text_into(fields, "plan_refused", out.plan_refused));
  FOVEA_TRY(text_into(fields, "cut_off", out.cut_off));
  FOVEA_TRY(text_into(fields, "sits_out", out.sits_out));
  FOVEA_TRY(text_into(fields, "shut_out", out.shut_out));
  FOVEA_TRY(read_optional_numbers(fields, out));
  if (fields.has("run")) {
    FOVEA_TRY_ASSIGN(out.run, read_run(fields));
  }
  FOVEA_TRY(fields.finish());
  return out;
}

Result<std::optional<SiteStatus>> read_status(const std::filesystem::path& site_folder) {
  const std::filesystem::path file = status_file(site_folder);
  const auto bytes = read_file(file, kBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::not_found) return std::optional<SiteStatus>();
  auto status = bytes ? SiteStatus::parse(*bytes) : Result<SiteStatus>(bytes.error());
  if (!status)
    return corruption(file.string() + ": " + status.error().message +
                      "\n  fix: remove this file; a running node writes it again within a second");
  return std::optional(std::move(status).value());
}

std::vector<std::string> kept_out(const SiteStatus& status) {
  std::vector<std::string> out;
  for (const auto& why : {status.not_admitted, status.shut_out, status.plan_refused, status.cut_off, status.sits_out})
    if (why) out.push_back(*why);
  return out;
}

bool node_runs(const std::filesystem::path& site_folder) { return FileLock::is_held(site_folder / "lock"); }

namespace {

std::string with_time(const std::filesystem::path& site_folder, const SiteStatus& status, std::string what) {
  if (node_runs(site_folder)) return what;
  return what + " (seen at " + utc_text(status.at) +
         " by this machine's clock, when the node ran last; start it to look again)";
}

}  // namespace

std::string roster_trouble(const std::filesystem::path& site_folder) {
  const auto status = read_status(site_folder);
  if (!status || !*status || !(*status)->roster_invalid) return {};
  return with_time(site_folder, **status, *(*status)->roster_invalid);
}

std::string clock_trouble(const std::filesystem::path& site_folder) {
  const auto status = read_status(site_folder);
  if (!status || !*status || clock_agrees((*status)->clock_ahead_ms.value_or(0))) return {};
  return with_time(site_folder, **status, clock_difference_text(*(*status)->clock_ahead_ms));
}

std::string sites_not_accepted(std::size_t count, const std::string& names) {
  return std::to_string(count) +
         (count == 1 ? " site is not accepted here and counts as a colluder"
                     : " sites are not accepted here and count as colluders") +
         (names.empty() ? "" : " (" + names + ")");
}

}  // namespace fovea::node::io
