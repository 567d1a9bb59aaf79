#include "coordinator/round/sum_to_repeat.h"

#include "common/byte_fields.h"
#include "federation/messages/envelope.h"

namespace fovea::coordinator::round {

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, SumToRepeat> repeat) {
  fields(f, repeat.released);
  f.nested("repeat.task", repeat.task, 4096);
  f.array("repeat.roster", repeat.roster);
  federation::messages::site_list(f, "repeat.sites", repeat.sites);
  f.u16("repeat.encoded_for", repeat.encoded_for);
  f.list("repeat.faults", repeat.faults, {federation::messages::kCohortMax},
         [](Fields& g, auto& fault, auto*) { g.bytes("repeat.faults", fault, federation::messages::kWireBytesMax); });
}
Bytes SumToRepeat::encode() const { return encode_fields(*this); }
Result<SumToRepeat> SumToRepeat::decode(ByteView bytes) { return decode_fields<SumToRepeat>(bytes, "repeat"); }

}  // namespace fovea::coordinator::round
