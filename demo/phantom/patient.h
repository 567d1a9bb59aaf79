// One phantom patient: the template brain, warped, with lesions, scanned as a given hospital would.
#pragma once

#include <cstdint>
#include <vector>

#include "demo/phantom/hospital_profile.h"
#include "node/network/random_draws.h"
#include "node/volume/volume.h"

namespace fovea::demo {

// The template on one 1 mm grid: intensities of the whole head, and where lesions may be put.
struct Template {
  node::volume::Volume head;            // template units
  std::vector<std::uint8_t> placeable;  // 1 where a lesion's centre may lie: brain tissue, a few mm from its border
  double white_matter = 0;              // template units
};

// Marks where lesions may be put: inside `brain` (> 0) by at least `margin_mm`, in grey or white matter.
Template make_template(node::volume::Volume head, const node::volume::Volume& brain, double margin_mm);

struct Lesion {
  node::volume::Point3 center_mm = node::volume::Point3::Zero();  // LPS
  double diameter_mm = 0;
  double contrast = 0;  // of white matter
};

struct Patient {
  node::volume::Volume image;  // scanner units
  node::volume::Volume mask;   // lesion number from 1, 0 elsewhere
  std::vector<Lesion> lesions;
};

Patient make_patient(const Template& base, const HospitalProfile& hospital, node::network::RandomDraws random);

}  // namespace fovea::demo
