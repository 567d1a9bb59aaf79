// Wire messages: one encoding each, every truncation and every left-over byte refused; the envelope refuses any changed
// bit.
#include <gtest/gtest.h>

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/byte_fields.h"
#include "common/codec.h"
#include "common/ids.h"
#include "coordinator/round/sum_to_repeat.h"
#include "crypto/hash.h"
#include "federation/messages/attempt_ref.h"
#include "federation/messages/coordinator_messages.h"
#include "federation/messages/message_kind.h"
#include "federation/messages/refusal_reason.h"
#include "federation/messages/site_messages.h"
#include "federation/messages/sum_check.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/dealer_fault.h"
#include "federation/secagg/fixed_point.h"
#include "federation/secagg/framed_journal.h"
#include "federation/secagg/parameters.h"
#include "node/round/site_marks.h"
#include "tests/simulation/test_federation.h"

namespace fovea::test {
namespace {

using namespace federation;

const federation::messages::AttemptRef kRef{3, 2, Digest{9}};

// encode → decode → encode gives the same bytes; no prefix and no extension of them decodes.
template <class Message>
void expect_canonical(const Message& message) {
  const Bytes bytes = message.encode();
  const auto decoded = Message::decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->encode(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(Message::decode(ByteView(bytes).first(size)).has_value())
        << "of " << bytes.size() << " bytes, the first " << size;
  Bytes longer = bytes;
  longer.push_back(0);
  const auto left_over = Message::decode(longer);
  ASSERT_FALSE(left_over.has_value());
  EXPECT_EQ(left_over.error().code, ErrorCode::invalid_argument);
}

federation::messages::SealedShares sealed_for(RosterIndex peer) {
  federation::messages::SealedShares out;
  out.peer = peer;
  out.sealed[5] = 1;
  return out;
}

TEST(Messages, EverySiteMessageIsCanonical) {
  expect_canonical(federation::messages::Hello{4, Digest{1}, Digest{2}, "fovea 0.1"});
  expect_canonical(federation::messages::TrainingProgress{1, 999});
  expect_canonical(federation::messages::TrainingReady{1, Digest{3}});
  expect_canonical(federation::messages::KeysMessage{kRef, {}});
  expect_canonical(federation::messages::SharesMessage{kRef, Digest{1}, Digest{2}, {sealed_for(0), sealed_for(2)}});
  expect_canonical(federation::messages::MaskedStatement{.ref = kRef});
  expect_canonical(federation::messages::ConsistencySignature{.ref = kRef});
  expect_canonical(federation::messages::UnmaskShares{
      kRef, {{.subject = 0}, {.subject = 3, .secret = federation::messages::RevealedSecret::mask_key}}});
  expect_canonical(federation::messages::AttemptFailure{3, 2, federation::messages::RefusalReason::share_unreadable,
                                                        RosterIndex{1}});
  expect_canonical(
      federation::messages::AttemptFailure{3, 0, federation::messages::RefusalReason::training_failed, {}});
}

TEST(Messages, CarriesComeBackAndNothingElseIsTaken) {
  for (const std::size_t sites : {2U, 5U, 256U, 257U, 1000U}) {
    std::vector<std::uint16_t> carries(3000);
    for (std::size_t i = 0; i < carries.size(); ++i) carries[i] = static_cast<std::uint16_t>(i * i % sites);
    const Bytes packed = federation::messages::pack_carries(carries, sites);
    std::vector<std::uint16_t> back(carries.size());
    ASSERT_TRUE(federation::messages::unpack_carries(packed, sites, back).has_value());
    EXPECT_EQ(back, carries);
    std::vector<std::uint16_t> other(carries.size() - 1);
    EXPECT_FALSE(federation::messages::unpack_carries(packed, sites, other).has_value());
    other.resize(carries.size() + 1);
    EXPECT_FALSE(federation::messages::unpack_carries(packed, sites, other).has_value());
    EXPECT_FALSE(federation::messages::unpack_carries(ByteView(packed).first(packed.size() - 1), sites, back));
    Bytes longer = packed;
    longer.push_back(0);
    EXPECT_FALSE(federation::messages::unpack_carries(longer, sites, back).has_value());
    if (sites == 256) continue;                      // one byte cannot say it
    carries[7] = static_cast<std::uint16_t>(sites);  // a sum of n words passes 2^32 at most n − 1 times
    EXPECT_FALSE(federation::messages::unpack_carries(federation::messages::pack_carries(carries, sites), sites, back));
  }
}

TEST(Messages, EveryCoordinatorMessageIsCanonical) {
  expect_canonical(federation::messages::TagList{kRef, 3, {{}}});
  expect_canonical(federation::messages::CarryChunk{kRef, 2, {1, 2, 3}});
  EXPECT_FALSE(federation::messages::TagList::decode(federation::messages::TagList{kRef, 0, {}}.encode()).has_value());
  expect_canonical(federation::messages::PlanOffer{{1, 2, 3}});
  expect_canonical(federation::messages::RosterOffer{{1, 2}});
  expect_canonical(federation::messages::TrainTask{.round = 1});
  expect_canonical(federation::messages::KeyList{kRef, {{.site = 0, .keys = {}}, {.site = 1, .keys = {}}}});
  expect_canonical(federation::messages::RoutedShares{kRef, {0, 1, 5}, {sealed_for(0), sealed_for(5)}});
  expect_canonical(federation::messages::ChunkRequest{kRef, {0, 7}, true});
  expect_canonical(federation::messages::ConsistencyRequest{kRef, {0, 1}, {{.site = 0}, {.site = 1}}});
  expect_canonical(
      federation::messages::UnmaskRequest{kRef, {{.site = 0, .signature = {}}, {.site = 1, .signature = {}}}});
  expect_canonical(federation::messages::RefusalNotice{1, 2, federation::messages::MessageKind::keys,
                                                       federation::messages::RefusalReason::late_vector});
  expect_canonical(
      federation::messages::AttemptAbandoned{1, 2, federation::messages::RefusalReason::deadline_passed, true});
}

federation::secagg::RoundParameters repeated_parameters() {
  federation::secagg::RoundParameters p;
  p.round = 4;
  p.attempt = 1;
  p.candidates = {0, 2, 3};
  p.thresholds = {.colluders_max = 0, .threshold = 2, .honest_min = 2};
  p.dimension = 20;
  p.encoding = federation::secagg::make_encoding(4, 1, 1).value();
  p.phase_ms = 1;
  p.repeats = federation::secagg::RepeatedSum{.released = kRef, .encoded_for = 4};
  return p;
}

TEST(Messages, WhatRepeatsASumIsCanonical) {
  const Bytes p = repeated_parameters().encode();
  EXPECT_EQ(federation::secagg::RoundParameters::decode(p)->encode(), p);
  EXPECT_EQ(*federation::secagg::RoundParameters::decode(p), repeated_parameters());
  constexpr std::size_t kTail = 42;  // without it, it is the P of a sum that repeats nothing, under another hash
  for (std::size_t size = 0; size < p.size(); ++size)
    EXPECT_EQ(federation::secagg::RoundParameters::decode(ByteView(p).first(size)).has_value(),
              size == p.size() - kTail)
        << size;
  const federation::secagg::DealerFault fault{.parameters = repeated_parameters(),
                                              .dealer = 3,
                                              .secret = federation::messages::RevealedSecret::mask_key,
                                              .keys = {},
                                              .shares = {1, 2, 3},
                                              .openings = {{.holder = 0}, {.holder = 2}}};
  expect_canonical(fault);
  expect_canonical(coordinator::round::SumToRepeat{
      kRef, federation::messages::TrainTask{.round = 3}, Digest{1}, {0, 2}, 4, {Bytes(1, 7), Bytes(2, 8)}});
  auto twice = fault;
  twice.openings[1].holder = 0;
  EXPECT_FALSE(federation::secagg::DealerFault::decode(twice.encode()).has_value());
  auto kind = fault.encode();
  kind[4 + repeated_parameters().encode().size() + 2] = 3;
  EXPECT_EQ(federation::secagg::DealerFault::decode(kind).error().message, "fault.secret: expected 1 or 2");
}

TEST(Messages, ARepetitionOutOfBoundsIsRefused) {
  const auto refused = [](auto change) {
    auto p = repeated_parameters();
    change(p);
    return !federation::secagg::RoundParameters::decode(p.encode()).has_value();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& p) { p.repeats->released.round = 4; }));
  EXPECT_TRUE(refused([](auto& p) { p.repeats->released.round = 0; }));
  EXPECT_TRUE(refused([](auto& p) { p.repeats->released.attempt = 0; }));
  EXPECT_TRUE(refused([](auto& p) { p.repeats->encoded_for = 3; }));
  EXPECT_TRUE(refused([](auto& p) { p.repeats->encoded_for = 1025; }));
  EXPECT_TRUE(refused(
      [](auto& p) { p.encoding = federation::secagg::make_encoding(3, 1, 1).value(); }));  // four sites could wrap
  EXPECT_EQ(repeated_parameters().survivors_min(), 3U);                                    // all of them
  EXPECT_EQ(repeated_parameters().signatures_min(), 2U);
}

// What version 0.1 wrote is read, and lets nothing be repeated.
TEST(Marks, MarksOfVersion01AreRead) {
  const RunId run{.bytes = {1}};
  const Digest model{7};
  const auto start = [&](std::uint8_t type) {
    ByteWriter writer;
    writer.reserve(128);
    writer.u8(type);
    writer.raw(run.bytes);
    write_fields(writer, kRef);
    return writer;
  };
  ByteWriter joined = start(1);
  joined.raw(Digest{5});
  ByteWriter statement = start(2);
  for (const Digest& field : {Digest{1}, Digest{2}, model}) statement.raw(field);
  statement.u16(3);
  statement.u16(3);
  FieldWriter statement_fields(statement);
  for (const std::string_view field : {"voters", "holders"})
    federation::messages::site_list(statement_fields, field, std::vector<RosterIndex>{0, 1, 2});
  statement.sized(Bytes(1, 8));
  statement.sized(Bytes(1, 9));
  ByteWriter released = start(4);
  released.raw(model);
  std::vector<Bytes> journal;
  journal.push_back(std::move(joined).take());
  journal.push_back(std::move(statement).take());
  journal.push_back(node::round::encode_mark(run, node::round::UnmaskedMark{kRef, model, Bytes(1, 9)}));
  const auto memory = node::round::SiteMemory::restore(run, journal, std::vector<Bytes>{std::move(released).take()});
  ASSERT_TRUE(memory.has_value()) << memory.error().message;
  EXPECT_TRUE(memory->joined->stands_for(kRef));
  EXPECT_EQ(memory->joined->vector, Digest{});
  EXPECT_EQ(memory->consistency->voters.size(), 3U);
  EXPECT_TRUE(memory->unregistered.empty());
  EXPECT_EQ(memory->released_models.at(model).mark.ref, kRef);
  EXPECT_TRUE(memory->released_models.at(model).mark.survivors.empty());
}

// A later release of the same run takes the place of the one before; nothing else does.
TEST(Marks, TheLastReleaseOfARunOnAModelIsTheOneThatCounts) {
  const RunId run{.bytes = {1}};
  const Digest model{7};
  const auto mark = [&](RoundNumber round) {
    return node::round::ReleasedMark{
        .ref = {round, 1, Digest{3}}, .model_hash = model, .survivors = {0, 1}, .committed = {0}};
  };
  const auto last = [&](const std::vector<std::pair<RunId, RoundNumber>>& order) {
    std::vector<Bytes> site_register;
    for (const auto& [of, round] : order) site_register.push_back(node::round::encode_mark(of, mark(round)));
    return node::round::SiteMemory::restore(run, {}, site_register)->released_models.at(model);
  };
  EXPECT_EQ(last({{run, 3}, {run, 4}}).mark.ref.round, 4U);
  EXPECT_EQ(last({{run, 4}, {run, 3}}).mark.ref.round, 4U);
  EXPECT_EQ(last({{run, 3}, {RunId{.bytes = {2}}, 9}}).mark.ref.round, 3U);
  EXPECT_EQ(last({{run, 3}}).mark.survivors, (std::vector<RosterIndex>{0, 1}));
  EXPECT_EQ(last({{run, 3}}).mark.committed, (std::vector<RosterIndex>{0}));
}

TEST(Messages, ListsOutOfOrderOrTooLongAreRefused) {
  EXPECT_FALSE(federation::messages::SharesMessage::decode(
                   federation::messages::SharesMessage{kRef, {}, {}, {sealed_for(2), sealed_for(2)}}.encode())
                   .has_value());
  EXPECT_FALSE(federation::messages::RoutedShares::decode(federation::messages::RoutedShares{kRef, {1, 0}, {}}.encode())
                   .has_value());
  EXPECT_FALSE(federation::messages::UnmaskShares::decode(
                   federation::messages::UnmaskShares{kRef, {{.subject = 1}, {.subject = 1}}}.encode())
                   .has_value());
  std::vector<federation::messages::ListedKeys> many(federation::messages::kCohortMax + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].site = static_cast<RosterIndex>(i);
  EXPECT_FALSE(federation::messages::KeyList::decode(federation::messages::KeyList{kRef, many}.encode()).has_value());
  many.pop_back();
  EXPECT_TRUE(federation::messages::KeyList::decode(federation::messages::KeyList{kRef, many}.encode()).has_value());
}

TEST(Messages, ValuesOutsideTheirBoundsAreRefused) {
  EXPECT_FALSE(federation::messages::TrainingProgress::decode(federation::messages::TrainingProgress{1, 1001}.encode())
                   .has_value());
  EXPECT_FALSE(federation::messages::KeysMessage::decode(
                   federation::messages::KeysMessage{federation::messages::AttemptRef{0, 1, {}}, {}}.encode())
                   .has_value());
  EXPECT_FALSE(
      federation::messages::Hello::decode(federation::messages::Hello{0, {}, {}, std::string(81, 'x')}.encode())
          .has_value());
  EXPECT_FALSE(federation::messages::message_kind(0).has_value());
  EXPECT_FALSE(federation::messages::message_kind(13).has_value());
  EXPECT_FALSE(federation::messages::message_kind(52).has_value());
  EXPECT_FALSE(federation::messages::refusal_reason(9999).has_value());
}

TEST(Messages, EveryKindHasItsOwnNumberAndName) {
  std::set<std::string_view> names;
  for (const federation::messages::MessageKindInfo& info : federation::messages::kMessageKinds) {
    EXPECT_EQ(federation::messages::message_kind(static_cast<std::uint16_t>(info.kind)).value(), info.kind)
        << info.name;
    EXPECT_EQ(federation::messages::to_string(info.kind), info.name);
    EXPECT_EQ(federation::messages::is_from_site(info.kind), info.scope.has_value()) << info.name;
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
  }
  std::size_t known = 0;
  for (std::uint32_t number = 0; number <= 0xffff; ++number)
    known += federation::messages::message_kind(static_cast<std::uint16_t>(number)).has_value() ? 1U : 0U;
  EXPECT_EQ(known, federation::messages::kMessageKinds.size());
  EXPECT_EQ(federation::messages::to_string(static_cast<federation::messages::MessageKind>(13)), "unknown");
}

TEST(Chunks, RoundTripAndBounds) {
  const std::vector<std::uint32_t> words = {1, 0xFFFFFFFFU, 7};
  const Bytes bytes = federation::messages::encode_chunk(kRef, 5, words);
  const auto decoded = federation::messages::decode_chunk(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->index, 5U);
  std::vector<std::uint32_t> out(3);
  federation::messages::copy_words(decoded->words, out);
  EXPECT_EQ(out, words);
  EXPECT_FALSE(federation::messages::decode_chunk(ByteView(bytes).first(bytes.size() - 1)).has_value());
  EXPECT_FALSE(
      federation::messages::decode_chunk(ByteView(bytes).first(bytes.size() - 12)).has_value());  // no word at all
  EXPECT_EQ(federation::messages::chunk_count(federation::messages::kChunkWords), 1U);
  EXPECT_EQ(federation::messages::chunk_count(federation::messages::kChunkWords + 1), 2U);
  EXPECT_EQ(federation::messages::chunk_size(federation::messages::kChunkWords + 1, 1), 1U);
  EXPECT_EQ(federation::messages::chunk_size(federation::messages::kChunkWords + 1, 2), 0U);
}

TEST(Envelope, AnyChangedByteIsRefused) {
  const TestFederation f(3);
  const Bytes wire = f.from_site(1, federation::messages::MessageKind::training_ready,
                                 federation::messages::TrainingReady{1, Digest{1}}.encode())
                         .wire();
  ASSERT_TRUE(f.open_at_coordinator(1, wire).has_value());
  for (std::size_t i = 0; i < wire.size(); ++i) {
    Bytes changed = wire;
    changed[i] ^= 0x01;
    EXPECT_FALSE(f.open_at_coordinator(1, changed).has_value()) << "byte " << i;
  }
  for (std::size_t size = 0; size < wire.size(); ++size) {
    EXPECT_FALSE(
        f.open_at_coordinator(1, Bytes(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size))).has_value());
  }
  Bytes longer = wire;
  longer.push_back(0);
  EXPECT_FALSE(f.open_at_coordinator(1, longer).has_value());
}

TEST(Envelope, OversizedAndForeignFramesAreRefused) {
  const TestFederation f(3);
  EXPECT_FALSE(f.open_at_coordinator(1, Bytes(federation::messages::kWireBytesMax + 1)).has_value());
  EXPECT_FALSE(federation::messages::claimed_kind(Bytes{1, 2, 3}).has_value());
  const Bytes wire =
      f.from_site(1, federation::messages::MessageKind::hello, federation::messages::Hello{}.encode()).wire();
  EXPECT_EQ(federation::messages::claimed_kind(wire).value(), federation::messages::MessageKind::hello);
  EXPECT_EQ(f.open_at_coordinator(0, wire).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(f.open_at_site(wire).error().code, ErrorCode::permission_denied);
}

TEST(Envelope, AnotherVersionIsRefusedByNumberWithWhatToDo) {
  const TestFederation f(3);
  Bytes wire = f.from_site(1, federation::messages::MessageKind::hello, federation::messages::Hello{}.encode()).wire();
  for (const int step : {-1, 1}) {
    const std::string version = std::to_string(federation::messages::kEnvelopeVersion + step);
    wire[0] = static_cast<std::uint8_t>(federation::messages::kEnvelopeVersion + step);
    const auto refused = f.open_at_coordinator(1, wire);
    ASSERT_FALSE(refused);
    for (const std::string& part : {"found " + version, std::string("updated together")})
      EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  }
}

// The coordinator records it in its ledger before it looks at it.
TEST(Envelope, AnEpochThatNoLedgerCanHoldIsRefused) {
  const TestFederation f(3);
  const auto open = [&](EpochNumber epoch) {
    return f.open_at_coordinator(
        1, federation::messages::seal_message({federation::messages::MessageKind::hello, f.run(), f.id(1), epoch},
                                              federation::messages::Hello{}.encode(), f.identity(1)));
  };
  constexpr EpochNumber kMost = (EpochNumber{1} << 53U) - 1;
  EXPECT_TRUE(open(kMost).has_value());
  for (const EpochNumber epoch : {kMost + 1, ~EpochNumber{0}}) {
    const auto refused = open(epoch);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("envelope.epoch"), std::string::npos) << refused.error().message;
  }
}

TEST(Envelope, OnePassGivesTheDigestsOfThePayloadAndOfTheWholeMessage) {
  const TestFederation f(3);
  const Bytes payload = federation::messages::TrainingReady{1, Digest{1}}.encode();
  const auto opened = f.from_site(1, federation::messages::MessageKind::training_ready, payload);
  EXPECT_EQ(Bytes(opened.payload().begin(), opened.payload().end()), payload);
  EXPECT_EQ(opened.payload_digest(), federation::messages::hash_payload(payload));
  EXPECT_EQ(opened.wire_digest(), crypto::sha256(opened.wire()));
  EXPECT_NE(opened.payload_digest(), crypto::sha256(payload)) << "the length and version are part of it";
}

// What a receipt holds: header, digest and signature are enough to show who sent a message, and to whom else it cannot
// be ascribed.
TEST(Envelope, ASignatureIsVerifiedWithoutThePayload) {
  const TestFederation f(3);
  const auto message = f.from_site(1, federation::messages::MessageKind::training_ready,
                                   federation::messages::TrainingReady{1, Digest{1}}.encode());
  const federation::messages::EnvelopeProof proof{.version = federation::messages::kEnvelopeVersion,
                                                  .header = message.header(),
                                                  .payload_digest = message.payload_digest(),
                                                  .signature = message.signature()};
  const auto key = [&](RosterIndex site) { return f.roster().sites[site].identity_key; };
  EXPECT_TRUE(federation::messages::verify_proof(proof, key(1)));
  EXPECT_EQ(federation::messages::verify_proof(proof, key(2)).error().code, ErrorCode::permission_denied);
  const auto refused = [&](auto change) {
    federation::messages::EnvelopeProof changed = proof;
    change(changed);
    return !federation::messages::verify_proof(changed, key(1)).has_value();
  };
  EXPECT_TRUE(refused([](auto& p) { p.version = 1; }));
  EXPECT_TRUE(refused([](auto& p) { p.header.kind = federation::messages::MessageKind::training_progress; }));
  EXPECT_TRUE(refused([](auto& p) { p.header.run.bytes[0] ^= 1U; }));
  EXPECT_TRUE(refused([](auto& p) { p.header.epoch += 1; }));
  EXPECT_TRUE(refused([](auto& p) { p.header.sender = SiteId::create("somebody-else").value(); }));
  EXPECT_TRUE(refused([](auto& p) { p.payload_digest[0] ^= 1U; }));
  EXPECT_TRUE(refused([](auto& p) { p.signature[0] ^= 1U; }));
}

TEST(Envelope, SealingIsDeterministicSoAResendIsTheSameBytes) {
  const TestFederation f(3);
  const Bytes payload = federation::messages::TrainingReady{1, Digest{1}}.encode();
  EXPECT_EQ(f.from_site(1, federation::messages::MessageKind::training_ready, payload).wire(),
            f.from_site(1, federation::messages::MessageKind::training_ready, payload).wire());
}

TEST(FramedJournal, ATornTailIsCutAndADamagedMiddleIsAnError) {
  Bytes file;
  for (const Bytes& record : {Bytes{1, 2, 3}, Bytes{}, Bytes(300, 7)}) {
    const Bytes frame = federation::secagg::frame_record(record);
    file.insert(file.end(), frame.begin(), frame.end());
  }
  const auto whole = federation::secagg::read_journal(file);
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->records.size(), 3U);
  EXPECT_EQ(whole->intact_bytes, file.size());
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto torn = federation::secagg::read_journal(ByteView(file).first(size));
    ASSERT_TRUE(torn.has_value()) << size;
    EXPECT_LE(torn->intact_bytes, size);
    EXPECT_LT(torn->records.size(), 3U);
  }
  Bytes zeros = file;
  zeros.resize(file.size() + 100);  // the file grew, its bytes never came
  EXPECT_EQ(federation::secagg::read_journal(zeros)->intact_bytes, file.size());
  Bytes damaged = file;
  damaged[13] ^= 1;
  EXPECT_EQ(federation::secagg::read_journal(damaged).error().code, ErrorCode::corruption);
  Bytes last = file;
  last.back() ^= 1;
  EXPECT_EQ(federation::secagg::read_journal(last)->records.size(), 2U);
}

// A changed length must not pass for the end of the file: the records behind it would be cut off.
TEST(FramedJournal, ADamagedByteAnywhereBeforeTheLastRecordIsRefused) {
  const std::vector<Bytes> records = {Bytes(40, 3), Bytes{1, 2, 3}, Bytes(20, 9)};
  Bytes file;
  for (const Bytes& record : records) {
    const Bytes frame = federation::secagg::frame_record(record);
    file.insert(file.end(), frame.begin(), frame.end());
  }
  const std::size_t second = federation::secagg::frame_record(records[0]).size();
  const std::size_t last = second + federation::secagg::frame_record(records[1]).size();
  for (const unsigned change : {0x01U, 0x80U, 0xffU})
    for (std::size_t i = 0; i < last; ++i) {
      Bytes damaged = file;
      damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ change);
      const auto read = federation::secagg::read_journal(damaged);
      ASSERT_FALSE(read.has_value()) << "byte " << i;
      EXPECT_EQ(read.error().code, ErrorCode::corruption);
      const std::string where = "record at byte " + std::to_string(i < second ? 0 : second) + " is damaged";
      EXPECT_NE(read.error().message.find(where), std::string::npos) << read.error().message;
      EXPECT_NE(read.error().message.find("fix: "), std::string::npos);
    }
  for (std::size_t i = last; i < file.size(); ++i) {
    Bytes torn = file;
    torn[i] ^= 0x80;
    const auto read = federation::secagg::read_journal(torn);
    ASSERT_TRUE(read.has_value()) << "byte " << i;
    EXPECT_EQ(read->intact_bytes, last);
    EXPECT_EQ(read->records.size(), 2U);
  }
}

}  // namespace
}  // namespace fovea::test
