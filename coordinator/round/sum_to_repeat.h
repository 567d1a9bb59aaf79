// A sum whose shares were released but which could not be opened, because of a dealer's fault
// (federation/secagg/dealer_fault.h): what the next round has to be. The driver keeps it on disk from the end of the
// round until the sum is made, or a site refuses to repeat it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/bytes.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"

namespace fovea::coordinator::round {

struct SumToRepeat {
  federation::messages::AttemptRef released;  // the attempt
  federation::messages::TrainTask task;       // of its round: the same update answers it, under a new round number
  Digest roster{};
  std::vector<RosterIndex> sites;  // its U3 less the dealers at fault
  std::uint16_t encoded_for = 0;   // federation::RepeatedSum::encoded_for
  std::vector<Bytes> faults;       // payloads of federation::DealerFault, for every site to check

  Bytes encode() const;
  static Result<SumToRepeat> decode(ByteView bytes);  // invalid_argument names the field
};

}  // namespace fovea::coordinator::round
