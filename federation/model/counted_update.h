// What of a site's training goes into its vector, by the plan's weights.
#pragma once

#include "federation/membership/plan.h"
#include "federation/model/local_update.h"

namespace fovea::federation::model {

// With "studies" the weight is the number of studies, at most weight_max, and the metric sums are as they are. With
// "equal" no word of the vector counts studies or findings, since two sums over cohorts that differ by one site show
// that site's word: the weight is 1, the loss is the site's mean, counted once, and hits and findings (of the few
// studies that a site holds back) are 0. Not their ratio: a fraction with a small denominator tells the denominator.
LocalUpdate counted_update(LocalUpdate update, const membership::PlanStrategy& strategy);

}  // namespace fovea::federation::model
