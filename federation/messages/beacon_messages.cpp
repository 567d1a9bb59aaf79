#include "federation/messages/beacon_messages.h"

#include "common/byte_fields.h"
#include "common/bytes.h"
#include "common/result.h"
#include "federation/messages/attempt_ref.h"

namespace fovea::federation::messages {

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconRequest> request) {
  f.array("beacon.roster", request.roster);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconCommitment> entry) {
  f.array("beacon.commitment", entry.commitment);
  f.array("beacon.signature", entry.signature);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconCommitmentMessage> message) {
  f.array("beacon.roster", message.roster);
  fields(f, message.commitment);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconCommitments> list) {
  f.array("beacon.roster", list.roster);
  f.list("beacon.commitments", list.sites, {kCohortMax}, [](Fields& g, auto& entry, auto*) { fields(g, entry); });
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconNonceMessage> message) {
  f.array("beacon.roster", message.roster);
  f.array("beacon.commitments", message.commitments);
  f.array("beacon.nonce", message.nonce);
}

template <class Fields>
void fields(Fields& f, FieldsOf<Fields, BeaconTranscript> transcript) {
  fields(f, transcript.commitments);
  f.list("beacon.nonces", transcript.nonces, {kCohortMax}, [&](Fields& g, auto& nonce, auto*) {
    g.require(transcript.nonces.size() == transcript.commitments.sites.size(), "beacon.nonces",
              "expected none, or one for each commitment");
    g.array("beacon.nonce", nonce);
  });
}

Bytes BeaconRequest::encode() const { return encode_fields(*this); }
Bytes BeaconCommitmentMessage::encode() const { return encode_fields(*this); }
Bytes BeaconCommitments::encode() const { return encode_fields(*this); }
Bytes BeaconNonceMessage::encode() const { return encode_fields(*this); }
Bytes BeaconTranscript::encode() const { return encode_fields(*this); }

// The name of a message is for the error about bytes that are left over.
Result<BeaconRequest> BeaconRequest::decode(ByteView payload) {
  return decode_fields<BeaconRequest>(payload, "beacon request");
}
Result<BeaconCommitmentMessage> BeaconCommitmentMessage::decode(ByteView payload) {
  return decode_fields<BeaconCommitmentMessage>(payload, "beacon commitment");
}
Result<BeaconCommitments> BeaconCommitments::decode(ByteView payload) {
  return decode_fields<BeaconCommitments>(payload, "beacon commitments");
}
Result<BeaconNonceMessage> BeaconNonceMessage::decode(ByteView payload) {
  return decode_fields<BeaconNonceMessage>(payload, "beacon nonce");
}
Result<BeaconTranscript> BeaconTranscript::decode(ByteView payload) {
  return decode_fields<BeaconTranscript>(payload, "beacon");
}

}  // namespace fovea::federation::messages
