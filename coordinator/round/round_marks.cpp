#include "coordinator/round/round_marks.h"

#include "common/codec.h"

namespace fovea::coordinator {
namespace {

constexpr std::uint8_t kAttemptMark = 1;
constexpr std::uint8_t kUnmaskMark1 = 2;  // of version 0.1: without the signed messages of R2
constexpr std::uint8_t kUnmaskMark = 3;

Result<DealerCommitments> read_dealer(ByteReader& reader, RosterIndex site, std::map<RosterIndex, Bytes>& wires) {
  FOVEA_TRY_ASSIGN(const ByteView wire, reader.sized("mark.shares", federation::kWireBytesMax));
  FOVEA_TRY_ASSIGN(const federation::UncheckedEnvelope envelope,
                   federation::read_envelope(wire));  // it was checked before it was written
  FOVEA_TRY_ASSIGN(federation::SharesMessage shares, federation::SharesMessage::decode(envelope.payload));
  wires.emplace(site, Bytes(wire.begin(), wire.end()));
  return DealerCommitments{site, shares.self_seed_commitment, std::move(shares.shares)};
}

Result<DealerCommitments> read_dealer_1(ByteReader& reader) {
  DealerCommitments out;
  FOVEA_TRY_ASSIGN(out.dealer, reader.u16("mark.dealer"));
  FOVEA_TRY_ASSIGN(out.self_seed_commitment, reader.array<32>("mark.self_seed_commitment"));
  FOVEA_TRY_ASSIGN(out.shares, federation::read_sealed_list(reader));
  return out;
}

Result<CollectingUnmask> read_unmask(ByteReader& reader, std::uint8_t type, std::map<RosterIndex, Bytes>& wires) {
  CollectingUnmask out;
  CommittedAttempt& attempt = out.attempt;
  FOVEA_TRY_ASSIGN(const ByteView parameters, reader.sized("mark.parameters", 4096));
  FOVEA_TRY_ASSIGN(federation::RoundParameters p, federation::RoundParameters::decode(parameters));
  attempt.context = federation::AttemptContext::begin(std::move(p));
  FOVEA_TRY_ASSIGN(attempt.context.keys, federation::read_listed_keys(reader));
  attempt.context.key_list = federation::key_list_hash(attempt.context.parameters_hash, attempt.context.keys);
  FOVEA_TRY_ASSIGN(attempt.survivors, federation::read_sites(reader, "mark.survivors"));
  FOVEA_TRY_ASSIGN(attempt.committed, federation::read_committed(reader));
  FOVEA_TRY_ASSIGN(out.signatures, federation::read_site_signatures(reader));
  for (const RosterIndex site : attempt.survivors) {
    FOVEA_TRY_ASSIGN(DealerCommitments dealer,
                     type == kUnmaskMark ? read_dealer(reader, site, wires) : read_dealer_1(reader));
    attempt.dealers.push_back(std::move(dealer));
  }
  const std::size_t words = attempt.context.parameters.dimension;
  FOVEA_TRY_ASSIGN(const ByteView sum, reader.raw("mark.sum", 4 * words));
  attempt.sum.resize(words);
  federation::copy_words(sum, attempt.sum);
  return out;
}

}  // namespace

Bytes encode_attempt_mark(RoundNumber round, AttemptNumber attempt) {
  ByteWriter writer;
  writer.reserve(16);
  writer.u8(kAttemptMark);
  writer.u32(round);
  writer.u32(attempt);
  return std::move(writer).take();
}

Bytes encode_unmask_mark(const CollectingUnmask& collecting, const std::map<RosterIndex, Bytes>& share_wires) {
  const CommittedAttempt& attempt = collecting.attempt;
  const federation::RoundParameters& parameters = attempt.context.parameters;
  ByteWriter writer;
  writer.reserve(4 * attempt.sum.size() + (std::size_t{64} << 10));
  writer.u8(kUnmaskMark);
  writer.u32(parameters.round);
  writer.u32(parameters.attempt);
  writer.sized(parameters.encode());
  federation::write_listed_keys(writer, attempt.context.keys);
  federation::write(writer, attempt.survivors);
  federation::write_committed(writer, attempt.committed);
  federation::write_site_signatures(writer, collecting.signatures);
  for (const RosterIndex site : attempt.survivors) writer.sized(share_wires.at(site));
  writer.raw(ByteView(reinterpret_cast<const std::uint8_t*>(attempt.sum.data()), 4 * attempt.sum.size()));
  return std::move(writer).take();
}

Result<RoundMemory> restore_round(RoundNumber round, std::span<const Bytes> journal) {
  RoundMemory memory;
  for (std::size_t i = 0; i < journal.size(); ++i) {
    const auto read = [&]() -> Result<void> {
      ByteReader reader(journal[i]);
      FOVEA_TRY_ASSIGN(const std::uint8_t type, reader.u8("mark.type"));
      FOVEA_TRY_ASSIGN(const RoundNumber of_round, reader.u32("mark.round"));
      FOVEA_TRY_ASSIGN(const AttemptNumber attempt, reader.u32("mark.attempt"));
      if (type != kAttemptMark && type != kUnmaskMark && type != kUnmaskMark1)
        return invalid_argument("mark.type: unknown number " + std::to_string(type));
      if (of_round != round) return {};
      memory.attempt_last = std::max(memory.attempt_last, attempt);
      if (type != kAttemptMark) {
        FOVEA_TRY_ASSIGN(memory.unmask, read_unmask(reader, type, memory.share_wires));
      }
      return reader.finish("mark");
    };
    if (auto done = read(); !done)
      return corruption("round journal, record " + std::to_string(i) + ": " + done.error().message);
  }
  return memory;
}

}  // namespace fovea::coordinator
