// The protocol between the node and its sandboxed parser, over one SOCK_SEQPACKET Unix socket.
//
// The node sends a job: a header, then descriptors (the result memory, whose size is sealed, a scratch memory, then the
// input files; at most kDescriptorsPerMessage a message). The parser forks a child for the job, which writes its answer
// into the result memory: u64 length and that many bytes of answer within the first kAnswerBytesMax, voxels from
// kVoxelOffset on. When the child has ended, the parser sends its fate. Nothing that the child wrote is used unchecked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "common/result.h"
#include "node/intake/formats/scan_facts.h"
#include "node/volume/canonical.h"
#include "node/volume/volume.h"
#include "node/volume/voxel_storage.h"

namespace fovea::node::intake {

constexpr std::size_t kAnswerBytesMax = 4u << 20;
constexpr std::size_t kVoxelOffset = kAnswerBytesMax;
constexpr std::uint64_t kResultBytes =
    kVoxelOffset + static_cast<std::uint64_t>(volume::kVolumeVoxelsMax) * sizeof(float);
// More than any header may promise: kVolumeVoxelsMax doubles, and what lies before them.
constexpr std::uint64_t kScratchBytesMax = 8ull << 30;
constexpr std::size_t kDescriptorsPerMessage = 200;
constexpr std::uint32_t kJobFilesMax = 8192;
constexpr int kControlDescriptor = 3;  // where the parser program finds its end of the socket

// The self-tests do what a hostile file might make the parser do; each must end the way its name says.
enum class JobKind : std::uint32_t {
  volume = 1,            // one file: NIfTI, NRRD or MHA
  describe = 2,          // DICOM: what each file is
  series = 3,            // DICOM: one volume from these files
  count = 5,             // DICOM: how many volumes the files of one series hold
  labels = 4,            // one file that marks structures: a mask in any volume format, DICOM SEG or RTSTRUCT
  crash = 100,           // dies of a signal
  allocate = 101,        // asks for more memory than the limit
  spin = 102,            // never ends
  open_file = 103,       // opens a file by path: must be refused
  open_socket = 104,     // must be killed
  find_leftovers = 105,  // looks for what an earlier file left in the shared memories
};

struct ParserLimits {
  std::uint64_t memory_bytes = 4ull << 30;  // on top of the parser program itself
  std::uint32_t cpu_s = 120;
  std::uint32_t wall_ms = 240'000;
};

// What files of so many bytes in all may use of `most`: time for what is in them, so that a small hostile one does not
// hold a worker for minutes. The slowest decoder takes half a second for a megabyte of packed voxels; the wall clock
// leaves twice the processor's.
ParserLimits limits_for_files(const ParserLimits& most, std::uint64_t bytes) noexcept;

struct ParserJob {
  JobKind kind = JobKind::volume;
  ParserLimits limits{};
  std::uint32_t files = 0;
  LabelGrid grid{};                  // of a labels job
  std::uint32_t part = kOnlyVolume;  // of a volume or series job: which of a series' volumes
  bool correct_bias = false;         // of a volume or series job: N4, unless it is a CT or PET
};

enum class Fate : std::uint32_t { finished = 0, signalled = 1, timed_out = 2, failed = 3 };
struct JobFate {
  Fate fate = Fate::failed;
  std::uint32_t detail = 0;  // the signal, or the exit status
};

Bytes encode(const ParserJob& job);
Result<ParserJob> decode_job(ByteView bytes);
Bytes encode(const JobFate& fate);
Result<JobFate> decode_fate(ByteView bytes);

// The answer to a volume, series or labels job.
struct VolumeAnswer {
  volume::VolumeGeometry geometry;  // canonical
  volume::VoxelStorage storage = volume::VoxelStorage::float32;
  std::string modality;            // DICOM's code ("CT", "MR", "PT"), empty when the format does not say
  std::string patient;             // what identifies the patient in the file; to be sealed, never shown
  std::string frame_of_reference;  // DICOM's UID of the space that positions are in; empty when not said
  std::uint32_t layers = 1;        // of a labels job: how many label maps the object's structures need
  std::string note;                // see add_note; empty when there is nothing to say
};
Bytes encode_answer(const Result<VolumeAnswer>& answer);
Result<VolumeAnswer> decode_volume_answer(ByteView bytes);  // gives the child's own error, or corruption

// The answer to a describe job: one for each file, in order.
Bytes encode_answer(const Result<std::vector<DicomFile>>& answer);
Result<std::vector<DicomFile>> decode_describe_answer(ByteView bytes);

// The answer to a count job.
Bytes encode_answer(const Result<std::uint32_t>& answer);
Result<std::uint32_t> decode_count_answer(ByteView bytes);

// One message with descriptors beside it. unavailable: the other end is gone.
Result<void> send_message(int socket, ByteView bytes, std::span<const int> descriptors);
struct ReceivedMessage {
  Bytes bytes;
  std::vector<int> descriptors;  // now the caller's to close
};
Result<ReceivedMessage> receive_message(int socket);

}  // namespace fovea::node::intake
