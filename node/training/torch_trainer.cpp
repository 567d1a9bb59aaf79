#include "node/training/torch_trainer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "federation/model/fovea_1_layout.h"
#include "federation/model/layout.h"
#include "federation/model/state.h"
#include "node/embedding/look.h"
#include "node/embedding/region_network.h"
#include "node/network/random_draws.h"
#include "node/saliency/hit_rule.h"
#include "node/saliency/proposer.h"
#include "node/saliency/regions.h"
#include "node/scan_view/coarse_view.h"

namespace fovea::node::training {
namespace {

using federation::model::TrainingMetric;

double& metric(TrainingOutcome& outcome, TrainingMetric which) {
  return outcome.metric_sums[static_cast<std::size_t>(which)];
}

Error no_findings_known() {
  return failed_precondition("training: no study here has known findings; ingest masks or labels");
}

federation::model::StudyTag tag_of(const LearningStudy& study) {
  const Digest digest = crypto::TaggedHash("FOVEA/1/measured-study").add(as_bytes(study.code)).finish();
  federation::model::StudyTag out{};
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

// Networks and settings that decide what a stored embedding means.
Result<Digest> look_identity(const federation::model::ModelState& model, const saliency::LookSettings& look) {
  FOVEA_TRY_ASSIGN(const Digest proposer, model.digest_of("proposer."));
  FOVEA_TRY_ASSIGN(const Digest encoder, model.digest_of("encoder."));
  FOVEA_TRY_ASSIGN(const Digest intensity, model.digest_of("intensity."));
  crypto::TaggedHash hash("FOVEA/2/look");
  hash.add(proposer).add(encoder).add(intensity).add_u64(look.regions);
  hash.add(std::to_string(look.exploration)).add(std::to_string(look.nms_mm));
  return hash.finish();
}

}  // namespace

struct TorchTrainer::Memory {
  std::string stage;
  std::vector<std::string> trains;
  std::uint32_t sum = 0;
  std::optional<AdamW> optimiser;         // after the training towards `sum`
  std::optional<AdamW> optimiser_before;  // before it, so that another training towards the same sum starts alike
  std::optional<Digest> proposed_by;      // digest of the proposer
  ProposedRegions proposed;
  std::optional<Digest> vectors_for;             // the networks that made the vectors
  std::vector<embedding::StudyVectors> vectors;  // of the training studies
};

struct TorchTrainer::Stage {
  const TrainingTask& task;
  const TrainingProgress& progress;
  AdamW optimiser;
  network::RandomDraws random;
  TrainingOutcome outcome;

  void add_loss(double loss) {
    metric(outcome, TrainingMetric::loss_sum) += loss;
    metric(outcome, TrainingMetric::loss_count) += 1;
  }

  Result<void> report(double done) const {
    if (progress && !progress(done)) return deadline_exceeded("training was cancelled");
    return {};
  }

  double learning_rate(std::uint32_t step, std::uint64_t warm_up) const {
    const std::uint64_t steps = task.local_steps;
    return scheduled_learning_rate(task.learning_rate, (task.stage_round - 1) * steps + step, task.stage_rounds * steps,
                                   warm_up);
  }
};

TorchTrainer::TorchTrainer(federation::model::ModelLayout layout, TorchTrainerSettings settings, LearningSet training,
                           LearningSet validation, std::optional<embedding::EmbeddingStore> embeddings)
    : settings_(settings),
      training_(std::move(training)),
      validation_(std::move(validation)),
      embeddings_(std::move(embeddings)),
      parameters_(std::move(layout)),
      memory_(std::make_unique<Memory>()) {
  network::prepare_torch(settings_.threads);
}

TorchTrainer::~TorchTrainer() = default;

Result<TrainingOutcome> TorchTrainer::train(const TrainingTask& task, const TrainingProgress& progress) {
  network::prepare_torch(settings_.threads);  // on this thread, which may be another than the constructor's
  if (task.stage_round == 0 || task.stage_round > task.stage_rounds)
    return invalid_argument("training task: stage_round must be 1 to stage_rounds");
  FOVEA_TRY_ASSIGN(const std::vector<federation::model::FlatRange> ranges, parameters_.layout().ranges(task.trains));
  FOVEA_TRY(parameters_.load(task.model));

  const bool same_stage = memory_->stage == task.stage && memory_->trains == task.trains && task.stage_round > 1;
  const bool again = same_stage && memory_->sum == task.sum;
  const std::optional<AdamW>& carried = again ? memory_->optimiser_before : memory_->optimiser;
  AdamW optimiser = same_stage && carried ? *carried : AdamW(parameters_.layout(), ranges, settings_.optimiser);
  Stage stage{task, progress, optimiser, network::draws_of_sum(task.seed, settings_.site_seed, task.sum), {}};
  stage.outcome.studies_skipped = training_.skipped;

  if (task.stage == "intensity") FOVEA_TRY(measure_intensity(stage));
  else if (task.stage == "proposer") FOVEA_TRY(train_proposer(stage));
  else if (task.stage == "encoder") FOVEA_TRY(train_encoder(stage));
  else if (task.stage == "study") FOVEA_TRY(train_study(stage));
  else
    return invalid_argument("training task: no stage \"" + task.stage +
                            "\"; expected intensity, proposer, encoder or study");

  for (const federation::model::FlatRange& range : ranges)
    for (std::size_t i = range.offset; i < range.offset + range.size; ++i) {
      const float delta = parameters_.values()[i] - task.model[i];
      if (!std::isfinite(delta))
        return internal_error("training diverged: a weight is not finite; lower the plan's learning rate");
      stage.outcome.delta.push_back(delta);
    }
  memory_->stage = task.stage;
  memory_->trains = task.trains;
  memory_->sum = task.sum;
  memory_->optimiser_before = std::move(optimiser);
  memory_->optimiser = std::move(stage.optimiser);
  return std::move(stage.outcome);
}

// Every study counts the same, however many voxels it has. Measured on the coarse view, which the proposer sees too.
Result<void> TorchTrainer::measure_intensity(Stage& stage) {
  double mean = 0, square = 0;
  for (const LearningStudy& study : training_.studies) {
    const float body = study.scan->levels().body;
    const scan_view::CoarseView& coarse = study.scan->coarse();
    const volume::Index3& size = coarse.geometry().size;
    std::vector<float> row(static_cast<std::size_t>(size[0]));
    double sum = 0, squares = 0, count = 0;
    for (std::int64_t line = 0; line < size[1] * size[2]; ++line) {
      coarse.copy_row({0, line % size[1], line / size[1]}, row);
      for (const float voxel : row)
        if (voxel > body)
          sum += static_cast<double>(voxel), squares += static_cast<double>(voxel) * static_cast<double>(voxel),
              ++count;
    }
    if (count == 0) continue;
    mean += sum / count, square += squares / count;
    ++stage.outcome.weight;
    stage.outcome.measured.push_back(tag_of(study));
  }
  std::sort(stage.outcome.measured.begin(), stage.outcome.measured.end());
  if (stage.outcome.weight == 0)
    return failed_precondition("training: no study here shows a body to measure; see fovea-node data check");
  const auto put = [this, n = stage.outcome.weight](std::string_view name, double total, float unit) -> Result<void> {
    FOVEA_TRY_ASSIGN(const federation::model::FlatRange range, parameters_.layout().find(name));
    parameters_.values()[range.offset] = static_cast<float>(total / n / static_cast<double>(unit));
    return {};
  };
  FOVEA_TRY(put(federation::model::kIntensityMean, mean, federation::model::kIntensityMeanUnit));
  FOVEA_TRY(put(federation::model::kIntensitySquare, square, federation::model::kIntensitySquareUnit));
  return stage.report(1);
}

// Local steps of the optimiser; `accumulate` adds the gradient of one.
template <class Accumulate>
Result<void> TorchTrainer::run_steps(Stage& stage, Accumulate accumulate) {
  for (std::uint32_t step = 0; step < stage.task.local_steps; ++step) {
    parameters_.zero_gradients();
    FOVEA_TRY(accumulate());
    stage.optimiser.step(parameters_.values(), parameters_.gradients(), stage.learning_rate(step, settings_.warm_up));
    FOVEA_TRY(stage.report(static_cast<double>(step + 1) / stage.task.local_steps));
  }
  return {};
}

Result<void> TorchTrainer::train_proposer(Stage& stage) {
  const ProposerSampler sampler(training_, settings_.proposer);
  if (sampler.studies() == 0) return no_findings_known();
  FOVEA_TRY(validate(stage));
  FOVEA_TRY(run_steps(stage, [&]() -> Result<void> {
    FOVEA_TRY_ASSIGN(const double loss,
                     saliency::accumulate_proposer_gradient(parameters_, sampler.draw(stage.random)));
    stage.add_loss(loss);
    return {};
  }));
  stage.outcome.weight = static_cast<std::uint32_t>(sampler.studies());
  return {};
}

Result<void> TorchTrainer::train_encoder(Stage& stage) {
  FOVEA_TRY(refresh_proposals());
  const BagSampler sampler(training_, memory_->proposed, settings_.bags);
  if (sampler.studies() == 0) return no_findings_known();
  FOVEA_TRY(run_steps(stage, [&]() -> Result<void> {
    FOVEA_TRY_ASSIGN(const embedding::RegionBag bag, sampler.draw(stage.random));
    FOVEA_TRY_ASSIGN(const double loss, embedding::accumulate_bag_gradient(parameters_, bag));
    stage.add_loss(loss);
    return {};
  }));
  stage.outcome.weight = static_cast<std::uint32_t>(sampler.studies());
  return {};
}

Result<void> TorchTrainer::train_study(Stage& stage) {
  FOVEA_TRY(refresh_vectors());
  std::vector<std::size_t> labelled;
  for (std::size_t s = 0; s < training_.studies.size(); ++s)
    if (training_.studies[s].label && !memory_->vectors[s].embeddings.empty()) labelled.push_back(s);
  if (labelled.empty())
    return failed_precondition("training: no study here has a label; the stage \"study\" needs them");
  FOVEA_TRY(run_steps(stage, [&]() -> Result<void> {
    for (std::size_t n = 0; n < settings_.studies_per_step; ++n) {
      const std::size_t s = labelled[stage.random.below(labelled.size())];
      FOVEA_TRY_ASSIGN(const double loss, embedding::accumulate_study_gradient(parameters_, memory_->vectors[s],
                                                                               *training_.studies[s].label));
      stage.add_loss(loss);
    }
    const float share = 1 / static_cast<float>(settings_.studies_per_step);
    for (float& gradient : parameters_.gradients()) gradient *= share;
    return {};
  }));
  stage.outcome.weight = static_cast<std::uint32_t>(labelled.size());
  return {};
}

// Recall of the model that the round starts from, on a few studies held back here: hits and findings go into the
// masked metrics, where the plan's weights allow counts, so that the federation sees its own recall and no site's.
Result<void> TorchTrainer::validate(Stage& stage) {
  std::vector<LearningStudy*> studies;
  for (LearningStudy& study : validation_.studies)
    if (!study.findings.empty()) studies.push_back(&study);
  const std::size_t count = std::min(settings_.validation_studies, studies.size());
  for (std::size_t s = 0; s < count; ++s) {
    LearningStudy* study = studies[(stage.task.sum * count + s) % studies.size()];
    FOVEA_TRY_ASSIGN(const saliency::HeatMap heat,
                     saliency::find_heat(parameters_, study->scan->coarse(), study->prior));
    const std::vector<saliency::Region> regions = saliency::choose_regions(
        study->prior, heat, settings_.look, embedding::look_seed(settings_.site_seed, study->code));
    for (const store::Finding& finding : study->findings) {
      metric(stage.outcome, TrainingMetric::findings) += 1;
      const bool hit = std::any_of(regions.begin(), regions.end(), [&](const saliency::Region& region) {
        return saliency::is_hit(region.centre_mm, finding);
      });
      metric(stage.outcome, TrainingMetric::hits) += hit ? 1 : 0;
    }
  }
  return {};
}

Result<federation::model::ModelState> TorchTrainer::current_model() {
  const std::span<const float> values = parameters_.values();
  return federation::model::ModelState::create(parameters_.layout(), {values.begin(), values.end()});
}

Result<void> TorchTrainer::refresh_proposals() {
  FOVEA_TRY_ASSIGN(const federation::model::ModelState model, current_model());
  FOVEA_TRY_ASSIGN(const Digest proposer, model.digest_of("proposer."));
  if (memory_->proposed_by == proposer) return {};
  ProposedRegions proposed;
  for (const LearningStudy& study : training_.studies) {
    std::vector<saliency::Region>& regions = proposed.emplace_back();
    if (!study.findings_known) continue;
    FOVEA_TRY_ASSIGN(const saliency::HeatMap heat, saliency::find_heat(parameters_, study.scan->coarse(), study.prior));
    regions = saliency::suppress_non_maxima(study.prior, heat, settings_.proposed_regions, settings_.look.nms_mm);
  }
  memory_->proposed = std::move(proposed);
  memory_->proposed_by = proposer;
  return {};
}

Result<void> TorchTrainer::refresh_vectors() {
  FOVEA_TRY_ASSIGN(const federation::model::ModelState model, current_model());
  FOVEA_TRY_ASSIGN(const Digest identity, look_identity(model, settings_.look));
  if (memory_->vectors_for == identity) return {};
  std::vector<embedding::StudyVectors> vectors;
  for (LearningStudy& study : training_.studies) {
    FOVEA_TRY_ASSIGN(embedding::StudyVectors made, vectors_of(study, identity));
    vectors.push_back(std::move(made));
  }
  memory_->vectors = std::move(vectors);
  memory_->vectors_for = identity;
  return {};
}

Result<embedding::StudyVectors> TorchTrainer::vectors_of(LearningStudy& study, const Digest& identity) {
  if (embeddings_) {
    FOVEA_TRY_ASSIGN(const std::optional<embedding::StoredStudy> stored,
                     embeddings_->get(study.code, identity, "train"));
    if (stored) return embedding::to_vectors(*stored);
  }
  FOVEA_TRY_ASSIGN(const embedding::StudyLook look,
                   embedding::look_at(parameters_, *study.scan, study.prior, settings_.look,
                                      embedding::look_seed(settings_.site_seed, study.code)));
  const embedding::StoredStudy stored = embedding::to_stored(look, study.prior, study.label);
  if (embeddings_) FOVEA_TRY(embeddings_->put(study.code, identity, stored));
  return embedding::to_vectors(stored);
}

}  // namespace fovea::node::training
