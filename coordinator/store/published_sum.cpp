#include "coordinator/store/published_sum.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "federation/messages/envelope.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/vector_chunk.h"
#include "federation/model/apply_sum.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/round_evidence.h"

namespace fovea::coordinator::store {
namespace {

Result<std::optional<federation::secagg::RoundEvidence>> find_evidence(const std::vector<Bytes>& messages) {
  for (const Bytes& wire : messages) {
    FOVEA_TRY_ASSIGN(const federation::messages::UncheckedEnvelope message, federation::messages::read_envelope(wire));
    if (message.header.kind != federation::messages::MessageKind::round_evidence) continue;
    FOVEA_TRY_ASSIGN(federation::secagg::RoundEvidence evidence,
                     federation::secagg::RoundEvidence::decode(message.payload));
    return std::optional<federation::secagg::RoundEvidence>(std::move(evidence));
  }
  return std::optional<federation::secagg::RoundEvidence>();
}

}  // namespace

Result<federation::model::ModelState> apply_publication(const federation::model::ModelState& model,
                                                        const std::vector<Bytes>& messages,
                                                        const federation::membership::PlanStage& stage) {
  FOVEA_TRY_ASSIGN(const auto evidence, find_evidence(messages));
  if (!evidence) return corruption("publication: holds no evidence");
  std::vector<std::uint32_t> words(evidence->parameters.dimension);
  std::size_t filled = 0;
  for (const Bytes& wire : messages) {
    FOVEA_TRY_ASSIGN(const federation::messages::UncheckedEnvelope message, federation::messages::read_envelope(wire));
    if (message.header.kind != federation::messages::MessageKind::aggregate_chunk) continue;
    FOVEA_TRY_ASSIGN(const federation::messages::ChunkView chunk, federation::messages::decode_chunk(message.payload));
    const std::size_t size = federation::messages::chunk_size(words.size(), chunk.index);
    if (size == 0 || chunk.words.size() != 4 * size)
      return corruption("publication: a chunk has another length than the vector");
    federation::messages::copy_words(chunk.words,
                                     std::span(words).subspan(chunk.index * federation::messages::kChunkWords, size));
    filled += size;
  }
  if (filled != words.size()) return corruption("publication: chunks are missing");
  FOVEA_TRY_ASSIGN(const federation::model::RoundSum sum,
                   federation::secagg::decode_sum(evidence->parameters, std::move(words), evidence->committed.size()));
  return federation::model::apply_sum(model, stage, sum);
}

}  // namespace fovea::coordinator::store
