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

namespace fovea::coordinator {
namespace {

Result<std::optional<federation::RoundEvidence>> find_evidence(const std::vector<Bytes>& messages) {
  for (const Bytes& wire : messages) {
    FOVEA_TRY_ASSIGN(const federation::UncheckedEnvelope message, federation::read_envelope(wire));
    if (message.header.kind != federation::MessageKind::round_evidence) continue;
    FOVEA_TRY_ASSIGN(federation::RoundEvidence evidence, federation::RoundEvidence::decode(message.payload));
    return std::optional<federation::RoundEvidence>(std::move(evidence));
  }
  return std::optional<federation::RoundEvidence>();
}

}  // namespace

Result<federation::ModelState> apply_publication(const federation::ModelState& model,
                                                 const std::vector<Bytes>& messages,
                                                 const federation::PlanStage& stage) {
  FOVEA_TRY_ASSIGN(const auto evidence, find_evidence(messages));
  if (!evidence) return corruption("publication: holds no evidence");
  std::vector<std::uint32_t> words(evidence->parameters.dimension);
  std::size_t filled = 0;
  for (const Bytes& wire : messages) {
    FOVEA_TRY_ASSIGN(const federation::UncheckedEnvelope message, federation::read_envelope(wire));
    if (message.header.kind != federation::MessageKind::aggregate_chunk) continue;
    FOVEA_TRY_ASSIGN(const federation::ChunkView chunk, federation::decode_chunk(message.payload));
    const std::size_t size = federation::chunk_size(words.size(), chunk.index);
    if (size == 0 || chunk.words.size() != 4 * size)
      return corruption("publication: a chunk has another length than the vector");
    federation::copy_words(chunk.words, std::span(words).subspan(chunk.index * federation::kChunkWords, size));
    filled += size;
  }
  if (filled != words.size()) return corruption("publication: chunks are missing");
  FOVEA_TRY_ASSIGN(const federation::RoundSum sum,
                   federation::decode_sum(evidence->parameters, std::move(words), evidence->committed.size()));
  return federation::apply_sum(model, stage, sum);
}

}  // namespace fovea::coordinator
