// Wire messages: one encoding each, every truncation and every left-over byte refused; the envelope refuses any changed bit.
#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "federation/messages/vector_chunk.h"
#include "federation/secagg/framed_journal.h"
#include "tests/simulation/test_federation.h"

namespace fovea::test {
namespace {

using namespace federation;

const AttemptRef kRef{3, 2, Digest{9}};

// encode → decode → encode gives the same bytes; no prefix and no extension of them decodes.
template <class Message>
void expect_canonical(const Message& message) {
  const Bytes bytes = message.encode();
  const auto decoded = Message::decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(decoded->encode(), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(Message::decode(ByteView(bytes).first(size)).has_value()) << "of " << bytes.size() << " bytes, the first " << size;
  Bytes longer = bytes;
  longer.push_back(0);
  const auto left_over = Message::decode(longer);
  ASSERT_FALSE(left_over.has_value());
  EXPECT_EQ(left_over.error().code, ErrorCode::invalid_argument);
}

SealedShares sealed_for(RosterIndex peer) {
  SealedShares out;
  out.peer = peer;
  out.sealed[5] = 1;
  return out;
}

TEST(Messages, EverySiteMessageIsCanonical) {
  expect_canonical(Hello{4, Digest{1}, Digest{2}, "fovea 0.1"});
  expect_canonical(TrainingProgress{1, 999});
  expect_canonical(TrainingReady{1, Digest{3}});
  expect_canonical(KeysMessage{kRef, {}});
  expect_canonical(SharesMessage{kRef, Digest{1}, Digest{2}, {sealed_for(0), sealed_for(2)}});
  expect_canonical(MaskedStatement{.ref = kRef});
  expect_canonical(ConsistencySignature{.ref = kRef});
  expect_canonical(UnmaskShares{kRef, {{.subject = 0}, {.subject = 3, .secret = RevealedSecret::mask_key}}});
  expect_canonical(AttemptFailure{3, 2, RefusalReason::share_unreadable, RosterIndex{1}});
  expect_canonical(AttemptFailure{3, 0, RefusalReason::training_failed, {}});
}

TEST(Messages, EveryCoordinatorMessageIsCanonical) {
  expect_canonical(PlanOffer{{1, 2, 3}});
  expect_canonical(RosterOffer{{1, 2}});
  expect_canonical(TrainTask{.round = 1});
  expect_canonical(KeyList{kRef, {{.site = 0, .keys = {}}, {.site = 1, .keys = {}}}});
  expect_canonical(RoutedShares{kRef, {0, 1, 5}, {sealed_for(0), sealed_for(5)}});
  expect_canonical(ChunkRequest{kRef, {0, 7}, true});
  expect_canonical(ConsistencyRequest{kRef, {0, 1}, {{.site = 0}, {.site = 1}}});
  expect_canonical(UnmaskRequest{kRef, {{.site = 0, .signature = {}}, {.site = 1, .signature = {}}}});
  expect_canonical(RefusalNotice{1, 2, MessageKind::keys, RefusalReason::late_vector});
  expect_canonical(AttemptAbandoned{1, 2, RefusalReason::deadline_passed, true});
}

TEST(Messages, ListsOutOfOrderOrTooLongAreRefused) {
  EXPECT_FALSE(SharesMessage::decode(SharesMessage{kRef, {}, {}, {sealed_for(2), sealed_for(2)}}.encode()).has_value());
  EXPECT_FALSE(RoutedShares::decode(RoutedShares{kRef, {1, 0}, {}}.encode()).has_value());
  EXPECT_FALSE(UnmaskShares::decode(UnmaskShares{kRef, {{.subject = 1}, {.subject = 1}}}.encode()).has_value());
  std::vector<ListedKeys> many(kCohortMax + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].site = static_cast<RosterIndex>(i);
  EXPECT_FALSE(KeyList::decode(KeyList{kRef, many}.encode()).has_value());
  many.pop_back();
  EXPECT_TRUE(KeyList::decode(KeyList{kRef, many}.encode()).has_value());
}

TEST(Messages, ValuesOutsideTheirBoundsAreRefused) {
  EXPECT_FALSE(TrainingProgress::decode(TrainingProgress{1, 1001}.encode()).has_value());
  EXPECT_FALSE(KeysMessage::decode(KeysMessage{AttemptRef{0, 1, {}}, {}}.encode()).has_value());
  EXPECT_FALSE(Hello::decode(Hello{0, {}, {}, std::string(81, 'x')}.encode()).has_value());
  EXPECT_FALSE(message_kind(0).has_value());
  EXPECT_FALSE(message_kind(13).has_value());
  EXPECT_FALSE(message_kind(48).has_value());
  EXPECT_FALSE(refusal_reason(9999).has_value());
}

TEST(Chunks, RoundTripAndBounds) {
  const std::vector<std::uint32_t> words = {1, 0xFFFFFFFFU, 7};
  const Bytes bytes = encode_chunk(kRef, 5, words);
  const auto decoded = decode_chunk(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->index, 5U);
  std::vector<std::uint32_t> out(3);
  copy_words(decoded->words, out);
  EXPECT_EQ(out, words);
  EXPECT_FALSE(decode_chunk(ByteView(bytes).first(bytes.size() - 1)).has_value());
  EXPECT_FALSE(decode_chunk(ByteView(bytes).first(bytes.size() - 12)).has_value());  // no word at all
  EXPECT_EQ(chunk_count(kChunkWords), 1U);
  EXPECT_EQ(chunk_count(kChunkWords + 1), 2U);
  EXPECT_EQ(chunk_size(kChunkWords + 1, 1), 1U);
  EXPECT_EQ(chunk_size(kChunkWords + 1, 2), 0U);
}

TEST(Envelope, AnyChangedByteIsRefused) {
  const TestFederation f(3);
  const Bytes wire = f.from_site(1, MessageKind::training_ready, TrainingReady{1, Digest{1}}.encode()).wire();
  ASSERT_TRUE(f.open_at_coordinator(1, wire).has_value());
  for (std::size_t i = 0; i < wire.size(); ++i) {
    Bytes changed = wire;
    changed[i] ^= 0x01;
    EXPECT_FALSE(f.open_at_coordinator(1, changed).has_value()) << "byte " << i;
  }
  for (std::size_t size = 0; size < wire.size(); ++size) {
    EXPECT_FALSE(f.open_at_coordinator(1, Bytes(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(size))).has_value());
  }
  Bytes longer = wire;
  longer.push_back(0);
  EXPECT_FALSE(f.open_at_coordinator(1, longer).has_value());
}

TEST(Envelope, OversizedAndForeignFramesAreRefused) {
  const TestFederation f(3);
  EXPECT_FALSE(f.open_at_coordinator(1, Bytes(kWireBytesMax + 1)).has_value());
  EXPECT_FALSE(claimed_kind(Bytes{1, 2, 3}).has_value());
  const Bytes wire = f.from_site(1, MessageKind::hello, Hello{}.encode()).wire();
  EXPECT_EQ(claimed_kind(wire).value(), MessageKind::hello);
  EXPECT_EQ(f.open_at_coordinator(0, wire).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(f.open_at_site(wire).error().code, ErrorCode::permission_denied);
}

TEST(Envelope, OnePassGivesTheDigestsOfThePayloadAndOfTheWholeMessage) {
  const TestFederation f(3);
  const Bytes payload = TrainingReady{1, Digest{1}}.encode();
  const auto opened = f.from_site(1, MessageKind::training_ready, payload);
  EXPECT_EQ(Bytes(opened.payload().begin(), opened.payload().end()), payload);
  EXPECT_EQ(opened.payload_digest(), hash_payload(payload));
  EXPECT_EQ(opened.wire_digest(), crypto::sha256(opened.wire()));
  EXPECT_NE(opened.payload_digest(), crypto::sha256(payload)) << "the length and version are part of it";
}

TEST(Envelope, SealingIsDeterministicSoAResendIsTheSameBytes) {
  const TestFederation f(3);
  const Bytes payload = TrainingReady{1, Digest{1}}.encode();
  EXPECT_EQ(f.from_site(1, MessageKind::training_ready, payload).wire(), f.from_site(1, MessageKind::training_ready, payload).wire());
}

TEST(FramedJournal, ATornTailIsCutAndADamagedMiddleIsAnError) {
  Bytes file;
  for (const Bytes& record : {Bytes{1, 2, 3}, Bytes{}, Bytes(300, 7)}) {
    const Bytes frame = frame_record(record);
    file.insert(file.end(), frame.begin(), frame.end());
  }
  const auto whole = read_journal(file);
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->records.size(), 3U);
  EXPECT_EQ(whole->intact_bytes, file.size());
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto torn = read_journal(ByteView(file).first(size));
    ASSERT_TRUE(torn.has_value()) << size;
    EXPECT_LE(torn->intact_bytes, size);
    EXPECT_LT(torn->records.size(), 3U);
  }
  Bytes zeros = file;
  zeros.resize(file.size() + 100);  // the file grew, its bytes never came
  EXPECT_EQ(read_journal(zeros)->intact_bytes, file.size());
  Bytes damaged = file;
  damaged[13] ^= 1;
  EXPECT_EQ(read_journal(damaged).error().code, ErrorCode::corruption);
  Bytes last = file;
  last.back() ^= 1;
  EXPECT_EQ(read_journal(last)->records.size(), 2U);
}

// A changed length must not pass for the end of the file: the records behind it would be cut off.
TEST(FramedJournal, ADamagedByteAnywhereBeforeTheLastRecordIsRefused) {
  const std::vector<Bytes> records = {Bytes(40, 3), Bytes{1, 2, 3}, Bytes(20, 9)};
  Bytes file;
  for (const Bytes& record : records) {
    const Bytes frame = frame_record(record);
    file.insert(file.end(), frame.begin(), frame.end());
  }
  const std::size_t second = frame_record(records[0]).size();
  const std::size_t last = second + frame_record(records[1]).size();
  for (const unsigned change : {0x01U, 0x80U, 0xffU})
    for (std::size_t i = 0; i < last; ++i) {
      Bytes damaged = file;
      damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ change);
      const auto read = read_journal(damaged);
      ASSERT_FALSE(read.has_value()) << "byte " << i;
      EXPECT_EQ(read.error().code, ErrorCode::corruption);
      const std::string where = "record at byte " + std::to_string(i < second ? 0 : second) + " is damaged";
      EXPECT_NE(read.error().message.find(where), std::string::npos) << read.error().message;
      EXPECT_NE(read.error().message.find("fix: "), std::string::npos);
    }
  for (std::size_t i = last; i < file.size(); ++i) {
    Bytes torn = file;
    torn[i] ^= 0x80;
    const auto read = read_journal(torn);
    ASSERT_TRUE(read.has_value()) << "byte " << i;
    EXPECT_EQ(read->intact_bytes, last);
    EXPECT_EQ(read->records.size(), 2U);
  }
}

}  // namespace
}  // namespace fovea::test
