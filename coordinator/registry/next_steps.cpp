#include "coordinator/registry/next_steps.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "common/console.h"
#include "federation/membership/endpoint.h"

namespace fovea::coordinator::registry {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;

bool is_loopback(std::string_view host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

}  // namespace

std::string renewal_steps(const federation::membership::Invite& facts) {
  std::string out = "an administrator signs the next roster: fovea-coordinator sign --renew --key KEYFILE";
  const std::uint32_t more = facts.quorum - std::min<std::uint32_t>(facts.quorum, 1);
  if (more > 0)
    out += ", which " + counted(more, "more administrator") + " must sign: fovea-coordinator cosign --key KEYFILE";
  return out + "; a roster that was signed in another folder comes into force here with fovea-coordinator take FILE";
}

std::string why_not_valid(const federation::membership::Roster& roster, const federation::membership::Invite& facts,
                          UnixMs now) {
  const std::string epoch = "the roster of epoch " + std::to_string(roster.epoch);
  if (now < roster.valid_from)
    return epoch + " is valid from " + utc_text(roster.valid_from) + " only: check this machine's clock, which says " +
           utc_text(now);
  if (roster.valid_until < now)
    return epoch + " ran out at " + utc_text(roster.valid_until) + ": " + renewal_steps(facts);
  return {};
}

std::uint32_t warnings_due(const federation::membership::Roster& roster, UnixMs now) {
  const std::int64_t left = roster.valid_until.value - now.value;
  const std::array<std::int64_t, 3> before = {kDayMs, (roster.valid_until.value - roster.valid_from.value) / 10,
                                              kHourMs};
  return static_cast<std::uint32_t>(
      std::count_if(before.begin(), before.end(), [&](std::int64_t threshold) { return left < threshold; }));
}

std::string warning_before_end(const federation::membership::Roster& roster,
                               const federation::membership::Invite& facts, UnixMs now) {
  return "the roster of epoch " + std::to_string(roster.epoch) + " runs out in " + time_left(roster.valid_until, now) +
         ", at " + utc_text(roster.valid_until) + "; without a newer one the run waits then: " + renewal_steps(facts);
}

std::string time_left(UnixMs until, UnixMs now) {
  const std::int64_t left = std::max<std::int64_t>(0, until.value - now.value);
  const auto in = [&](std::int64_t unit, std::string_view name) {
    return counted(static_cast<std::uint64_t>(left / unit), name);
  };
  if (left >= 2 * kDayMs) return in(kDayMs, "day");
  return left >= 2 * kHourMs ? in(kHourMs, "hour") : in(kMinuteMs, "minute");
}

std::string endpoint_warning(const federation::membership::Invite& facts, const CoordinatorConfig& config) {
  const auto dialled = federation::membership::Endpoint::parse(facts.endpoint);
  if (!dialled) return {};
  const std::string listens = "the founding document says that sites dial " + facts.endpoint +
                              ", and coordinator.toml that this machine listens on " + config.listen_host + ", port " +
                              std::to_string(config.listen_port) + ": ";
  if (dialled->port != config.listen_port)
    return listens + "unless a router leads from one port to the other, no site gets through; to change it, port = " +
           std::to_string(dialled->port) + " under [listen]";
  if (is_loopback(config.listen_host) && !is_loopback(dialled->host))
    return listens +
           "unless a tunnel ends here, no other machine gets through; to change it, host = \"0.0.0.0\" "
           "under [listen]";
  return {};
}

}  // namespace fovea::coordinator::registry
