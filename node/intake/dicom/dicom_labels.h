// DICOM objects that mark structures in a scan, as label maps, inside the parser's walls: Segmentation (PS3.3 A.51,
// binary, fractional and label map) and RT Structure Set (PS3.3 A.19).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

struct LabelFacts {
  std::uint32_t layers = 1;        // label maps that the object's structures need, overlaps apart
  std::string frame_of_reference;  // UID; empty when not said
  std::string note;                // what was left out; see add_note
};

// Whether the file is such an object, and the series it refers to ("" when it names none, or several).
struct LabelObject {
  bool is_label = false;
  std::string series;
};
bool is_label_class(std::string_view uid);  // a SOPClassUID
LabelObject describe_labels(const std::filesystem::path& file);

// One layer of label numbers (segment or ROI number; 0: nothing) through `allocate`, as int16. A segmentation keeps its
// own grid, completed where planes without anything marked are left out; one without any frame says that nothing is
// marked, in `grid.image`; a structure set is drawn into `grid.image`. Structures that are not among `grid.chosen`, if
// that names any, are not looked at.
// Fractions count from one half of the object's maximum. Regions that describe no finding (EXTERNAL, SUPPORT, FIXATION,
// BOLUS) and regions without a closed contour are left out, as are regions within the scan that are smaller than its
// voxels, which the note names.
// invalid_argument: everything wrong with the object, or a layer beyond the last.
Result<LabelFacts> read_dicom_labels(const std::filesystem::path& file, const LabelGrid& grid,
                                     const volume::VoxelAllocator& allocate);

}  // namespace fovea::node::intake
