#include "coordinator/round/sum_to_repeat.h"

#include "federation/messages/envelope.h"

namespace fovea::coordinator {

Bytes SumToRepeat::encode() const {
  ByteWriter writer;
  federation::write(writer, released);
  writer.sized(task.encode());
  writer.raw(roster);
  federation::write(writer, sites);
  writer.u16(encoded_for);
  writer.u32(static_cast<std::uint32_t>(faults.size()));
  for (const Bytes& fault : faults) writer.sized(fault);
  return std::move(writer).take();
}

Result<SumToRepeat> SumToRepeat::decode(ByteView bytes) {
  ByteReader reader(bytes);
  SumToRepeat out;
  FOVEA_TRY_ASSIGN(out.released, federation::read_attempt_ref(reader));
  FOVEA_TRY_ASSIGN(const ByteView task, reader.sized("repeat.task", 4096));
  FOVEA_TRY_ASSIGN(out.task, federation::TrainTask::decode(task));
  FOVEA_TRY_ASSIGN(out.roster, reader.array<32>("repeat.roster"));
  FOVEA_TRY_ASSIGN(out.sites, federation::read_sites(reader, "repeat.sites"));
  FOVEA_TRY_ASSIGN(out.encoded_for, reader.u16("repeat.encoded_for"));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, reader.u32("repeat.faults"));
  if (count > federation::kCohortMax)
    return invalid_argument("repeat.faults: at most " + std::to_string(federation::kCohortMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    FOVEA_TRY_ASSIGN(const ByteView fault, reader.sized("repeat.faults", federation::kWireBytesMax));
    out.faults.emplace_back(fault.begin(), fault.end());
  }
  FOVEA_TRY(reader.finish("repeat"));
  return out;
}

}  // namespace fovea::coordinator
