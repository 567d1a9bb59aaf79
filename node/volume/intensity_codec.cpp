#include "node/volume/intensity_codec.h"

#include <array>

namespace fovea::node::volume {
namespace {

using Field = float IntensityStatistics::*;

// On disk in this order: brick files and catalogue rows would be read wrongly if it changed.
constexpr std::array<Field, 10> kFields{&IntensityStatistics::minimum, &IntensityStatistics::maximum,
                                        &IntensityStatistics::mean,    &IntensityStatistics::deviation,
                                        &IntensityStatistics::p99,     &IntensityStatistics::foreground_threshold,
                                        &IntensityStatistics::median,  &IntensityStatistics::p16,
                                        &IntensityStatistics::p84,     &IntensityStatistics::foreground_fraction};

}  // namespace

void put_statistics(ByteWriter& out, const IntensityStatistics& statistics) {
  for (const Field field : kFields) out.f32(statistics.*field);
}

Result<IntensityStatistics> get_statistics(ByteReader& in) {
  IntensityStatistics out;
  for (const Field field : kFields) {
    FOVEA_TRY_ASSIGN(out.*field, in.f32("statistics"));
  }
  return out;
}

}  // namespace fovea::node::volume
