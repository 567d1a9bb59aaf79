#include "coordinator/round/round_marks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/codec.h"
#include "common/ids.h"
#include "common/result.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/masking.h"
#include "federation/secagg/parameters.h"
#include "federation/secagg/statements.h"

namespace fovea::coordinator::round {
namespace {

constexpr std::uint8_t kAttemptMark = 1;
// Before linear tags: 2 without the signed messages of R2, 3 with them. No site would take a sum from one.
constexpr std::uint8_t kUntaggedMarks[] = {2, 3};
constexpr std::uint8_t kUnmaskMark = 4;

// What every record begins with.
struct MarkHead {
  std::uint8_t type = 0;
  RoundNumber round = 0;
  AttemptNumber attempt = 0;
};

template <class Fields>
void head(Fields& f, FieldsOf<Fields, MarkHead> mark) {
  f.u8("mark.type", mark.type);
  f.u32("mark.round", mark.round);
  f.u32("mark.attempt", mark.attempt);
}

// Of a mark of R5, what stands before R2 of each survivor and the sum.
template <class Fields>
void statement(Fields& f, FieldsOf<Fields, CollectingUnmask> collecting) {
  auto& attempt = collecting.attempt;
  f.nested("mark.parameters", attempt.context.parameters, federation::secagg::kParametersBytesMax);
  federation::messages::entry_list(f, attempt.context.keys, &federation::messages::ListedKeys::site);
  federation::messages::site_list(f, "mark.survivors", attempt.survivors);
  federation::messages::entry_list(f, attempt.committed, &federation::messages::CommittedVector::site);
  federation::messages::entry_list(f, collecting.signatures, &federation::messages::SiteSignature::site);
}

Result<aggregation::DealerCommitments> read_dealer(FieldReader& f, RosterIndex site,
                                                   std::map<RosterIndex, Bytes>& wires) {
  ByteView wire;
  f.bytes("mark.shares", wire, federation::messages::kWireBytesMax);
  FOVEA_TRY(f.status());
  FOVEA_TRY_ASSIGN(const federation::messages::UncheckedEnvelope envelope,
                   federation::messages::read_envelope(wire));  // it was checked before it was written
  FOVEA_TRY_ASSIGN(federation::messages::SharesMessage shares,
                   federation::messages::SharesMessage::decode(envelope.payload));
  wires.emplace(site, Bytes(wire.begin(), wire.end()));
  return aggregation::DealerCommitments{site, shares.self_seed_commitment, std::move(shares.shares)};
}

Result<CollectingUnmask> read_unmask(ByteReader& reader, std::map<RosterIndex, Bytes>& wires) {
  FieldReader f(reader);
  CollectingUnmask out;
  CommittedAttempt& attempt = out.attempt;
  statement(f, out);
  FOVEA_TRY(f.status());
  attempt.context = federation::secagg::AttemptContext::after_keys(std::move(attempt.context.parameters),
                                                                   std::move(attempt.context.keys));
  for (const RosterIndex site : attempt.survivors) {
    FOVEA_TRY_ASSIGN(aggregation::DealerCommitments dealer, read_dealer(f, site, wires));
    attempt.dealers.push_back(std::move(dealer));
  }
  const std::size_t words = attempt.context.parameters.dimension;
  FOVEA_TRY_ASSIGN(const ByteView sum, reader.raw("mark.sum", 4 * words));
  attempt.sum.resize(words);
  federation::messages::copy_words(sum, attempt.sum);
  attempt.carries.resize(words);
  for (std::uint16_t& carry : attempt.carries) {
    FOVEA_TRY_ASSIGN(carry, reader.u16("mark.carries"));
  }
  attempt.tags.resize(attempt.committed.size());
  for (crypto::LinearTag& tag : attempt.tags) {
    FOVEA_TRY_ASSIGN(tag, reader.array<crypto::kLinearTagBytes>("mark.tags"));
  }
  return out;
}

}  // namespace

Bytes encode_attempt_mark(RoundNumber round, AttemptNumber attempt) {
  ByteWriter writer;
  writer.reserve(16);
  FieldWriter f(writer);
  head(f, {kAttemptMark, round, attempt});
  return std::move(writer).take();
}

Bytes encode_unmask_mark(const CollectingUnmask& collecting, const std::map<RosterIndex, Bytes>& share_wires) {
  const CommittedAttempt& attempt = collecting.attempt;
  const federation::secagg::RoundParameters& parameters = attempt.context.parameters;
  ByteWriter writer;
  writer.reserve(6 * attempt.sum.size() + crypto::kLinearTagBytes * attempt.tags.size() + (std::size_t{64} << 10));
  FieldWriter f(writer);
  head(f, {kUnmaskMark, parameters.round, parameters.attempt});
  statement(f, collecting);
  for (const RosterIndex site : attempt.survivors) writer.sized(share_wires.at(site));
  writer.raw(ByteView(reinterpret_cast<const std::uint8_t*>(attempt.sum.data()), 4 * attempt.sum.size()));
  for (const std::uint16_t carry : attempt.carries) writer.u16(carry);
  for (const crypto::LinearTag& tag : attempt.tags) writer.raw(tag);
  return std::move(writer).take();
}

Result<RoundMemory> restore_round(RoundNumber round, std::span<const Bytes> journal) {
  RoundMemory memory;
  for (std::size_t i = 0; i < journal.size(); ++i) {
    const auto read = [&]() -> Result<void> {
      ByteReader reader(journal[i]);
      FieldReader f(reader);
      MarkHead mark;
      head(f, mark);
      FOVEA_TRY(f.status());
      const std::uint8_t type = mark.type;
      if (mark.round != round) return {};
      if (std::ranges::find(kUntaggedMarks, type) != std::end(kUntaggedMarks))
        return invalid_argument("mark.type: number " + std::to_string(type) +
                                " is of version 0.1, whose rounds this version cannot end; end the round with that "
                                "version, or begin a new run with a plan of another seed");
      if (type != kAttemptMark && type != kUnmaskMark)
        return invalid_argument("mark.type: unknown number " + std::to_string(type));
      memory.attempt_last = std::max(memory.attempt_last, mark.attempt);
      if (type != kAttemptMark) {
        FOVEA_TRY_ASSIGN(memory.unmask, read_unmask(reader, memory.share_wires));
      }
      return reader.finish("mark");
    };
    if (auto done = read(); !done)
      return corruption("round journal, record " + std::to_string(i) + ": " + done.error().message);
  }
  return memory;
}

}  // namespace fovea::coordinator::round
