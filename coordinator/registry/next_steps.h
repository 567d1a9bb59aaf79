// What the people of a federation have to do next, in words: for commands and for the log of a run.
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "coordinator/registry/coordinator_folder.h"
#include "federation/membership/invite.h"
#include "federation/membership/roster.h"

namespace fovea::coordinator::registry {

// The commands that bring the next roster into force, as many signatures as this federation asks for.
std::string renewal_steps(const federation::membership::Invite& facts);

// Why no task may leave under this roster at `now`, and what helps; empty while it is valid.
std::string why_not_valid(const federation::membership::Roster& roster, const federation::membership::Invite& facts,
                          UnixMs now);

// How many of the warnings before a roster runs out are due: at 24 hours, a tenth of its validity and one hour before.
std::uint32_t warnings_due(const federation::membership::Roster& roster, UnixMs now);
std::string warning_before_end(const federation::membership::Roster& roster,
                               const federation::membership::Invite& facts, UnixMs now);

// "5 days", "17 hours" or "3 minutes": the larger unit, of what is left.
std::string time_left(UnixMs until, UnixMs now);

// Where sites dial, by the founding document, and where the coordinator listens, by its settings, do not go together;
// empty when they may. A router in between can be the reason, so it is a warning.
std::string endpoint_warning(const federation::membership::Invite& facts, const CoordinatorConfig& config);

}  // namespace fovea::coordinator::registry
