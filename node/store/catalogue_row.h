// The bytes of a catalogue row: the facts of a study that anyone at the site may see, and the identity to be sealed.
#pragma once

#include "common/bytes.h"
#include "common/result.h"
#include "node/store/study_catalogue.h"

namespace fovea::node::store {

// Everything of a StudyRecord that has no column of its own; paths follow from the code.
Bytes encode_facts(const StudyRecord& record);
Result<StudyRecord> decode_facts(ByteView bytes);  // corruption or invalid_argument: not a row of this version

Bytes encode_identity(const StudyIdentity& identity);
Result<StudyIdentity> decode_identity(ByteView bytes);

// All of an origin but the series' own name and the volume's tag, which are not kept.
Bytes encode_origin(const StudyOrigin& origin);
Result<StudyOrigin> decode_origin(ByteView bytes);

}  // namespace fovea::node::store
