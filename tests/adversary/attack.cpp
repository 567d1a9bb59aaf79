#include "tests/adversary/attack.h"

namespace fovea::test {

federation::messages::AttemptRef Situation::ref() const {
  return RoundParameters::decode(coordinator.last_to(victim(), MessageKind::parameters).value().payload())
      .value()
      .ref();
}

ExpectedEvent refused(RefusalReason reason) { return {"message_refused", federation::messages::to_string(reason)}; }

std::vector<Attack> all_attacks() {
  std::vector<Attack> out;
  for (auto* table : {&envelope_attacks, &session_attacks, &blame_attacks, &round_attacks, &sum_attacks})
    for (Attack& attack : (*table)()) out.push_back(std::move(attack));
  return out;
}

}  // namespace fovea::test
