#include "node/intake/parser/scan_protocol.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "common/codec.h"
#include "node/volume/canonical.h"
#include "node/volume/geometry_codec.h"

namespace fovea::node::intake {
namespace {

constexpr std::size_t kMessageBytesMax = 256 + 4 * kChosenLabelsMax;
constexpr std::size_t kReasonBytesMax = 4096;
constexpr std::size_t kTextBytesMax = 1024;
constexpr std::size_t kDescribedBytesMax = 120;   // of each text of a described file: kJobFilesMax answers must fit
constexpr std::size_t kFileReasonBytesMax = 400;  // and of the reason
constexpr std::uint32_t kOk = 0;

std::string_view cut(std::string_view text, std::size_t size_max) { return text.substr(0, size_max); }

void put_error(ByteWriter& out, const Error& error) {
  out.u32(static_cast<std::uint32_t>(error.code) + 1);
  out.sized(cut(error.message, kReasonBytesMax));
}

// Nothing that the other side wrote is used unchecked.
Result<volume::VolumeGeometry> get_checked_geometry(ByteReader& in) {
  FOVEA_TRY_ASSIGN(const volume::VolumeGeometry geometry, volume::get_geometry(in));
  return volume::checked_geometry(geometry);
}

// The child's own error travels back as the error of the decode.
Result<void> check_status(ByteReader& in) {
  FOVEA_TRY_ASSIGN(const std::uint32_t status, in.u32("status"));
  if (status == kOk) return {};
  if (status > static_cast<std::uint32_t>(ErrorCode::internal) + 1) return corruption("parser answer: unknown status");
  FOVEA_TRY_ASSIGN(std::string message, in.text("reason", kReasonBytesMax));
  // Only what a file can be guilty of: a hostile one must not pass for a fault of the site, which ends an ingest.
  const auto code = static_cast<ErrorCode>(status - 1);
  const bool of_the_file = code == ErrorCode::internal || code == ErrorCode::permission_denied;
  return Error{of_the_file ? code : ErrorCode::invalid_argument, std::move(message)};
}

Result<JobKind> job_kind(std::uint32_t value) {
  for (const JobKind kind :
       {JobKind::volume, JobKind::describe, JobKind::series, JobKind::labels, JobKind::count, JobKind::crash,
        JobKind::allocate, JobKind::spin, JobKind::open_file, JobKind::open_socket, JobKind::find_leftovers})
    if (static_cast<std::uint32_t>(kind) == value) return kind;
  return invalid_argument("job: unknown kind");
}

}  // namespace

ParserLimits limits_for_files(const ParserLimits& most, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kStartS = 10, kBytesPerS = 1'000'000;
  ParserLimits out = most;
  out.cpu_s = static_cast<std::uint32_t>(std::min<std::uint64_t>(most.cpu_s, kStartS + bytes / kBytesPerS));
  out.wall_ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(most.wall_ms, out.cpu_s * 2000ULL));
  return out;
}

Bytes encode(const ParserJob& job) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(job.kind));
  out.u64(job.limits.memory_bytes);
  out.u32(job.limits.cpu_s);
  out.u32(job.limits.wall_ms);
  out.u32(job.files);
  volume::put_geometry(out, job.grid.image);
  out.u32(job.grid.layer);
  FOVEA_CHECK(job.grid.chosen.size() <= kChosenLabelsMax);
  out.u32(static_cast<std::uint32_t>(job.grid.chosen.size()));
  for (const std::int32_t label : job.grid.chosen) out.u32(static_cast<std::uint32_t>(label));
  out.u32(job.part);
  out.u8(job.correct_bias ? 1 : 0);
  return std::move(out).take();
}

Result<ParserJob> decode_job(ByteView bytes) {
  ByteReader in(bytes);
  ParserJob out;
  FOVEA_TRY_ASSIGN(const std::uint32_t kind, in.u32("kind"));
  FOVEA_TRY_ASSIGN(out.kind, job_kind(kind));
  FOVEA_TRY_ASSIGN(out.limits.memory_bytes, in.u64("memory"));
  FOVEA_TRY_ASSIGN(out.limits.cpu_s, in.u32("cpu"));
  FOVEA_TRY_ASSIGN(out.limits.wall_ms, in.u32("wall"));
  FOVEA_TRY_ASSIGN(out.files, in.u32("files"));
  if (out.files > kJobFilesMax) return invalid_argument("job: more than " + std::to_string(kJobFilesMax) + " files");
  FOVEA_TRY_ASSIGN(out.grid.image, get_checked_geometry(in));
  FOVEA_TRY_ASSIGN(out.grid.layer, in.u32("layer"));
  FOVEA_TRY_ASSIGN(const std::uint32_t chosen, in.u32("chosen labels"));
  if (chosen > kChosenLabelsMax) return invalid_argument("job: too many chosen labels");
  for (std::uint32_t n = 0; n < chosen; ++n) {
    FOVEA_TRY_ASSIGN(const std::uint32_t label, in.u32("chosen label"));
    out.grid.chosen.push_back(static_cast<std::int32_t>(label));
  }
  FOVEA_TRY_ASSIGN(out.part, in.u32("part"));
  FOVEA_TRY_ASSIGN(const std::uint8_t correct_bias, in.u8("correct bias"));
  out.correct_bias = correct_bias == 1;
  FOVEA_TRY(in.finish("job"));
  return out;
}

Bytes encode(const JobFate& fate) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(fate.fate));
  out.u32(fate.detail);
  return std::move(out).take();
}

Result<JobFate> decode_fate(ByteView bytes) {
  ByteReader in(bytes);
  JobFate out;
  FOVEA_TRY_ASSIGN(const std::uint32_t fate, in.u32("fate"));
  if (fate > static_cast<std::uint32_t>(Fate::failed)) return corruption("parser: unknown fate");
  out.fate = static_cast<Fate>(fate);
  FOVEA_TRY_ASSIGN(out.detail, in.u32("detail"));
  FOVEA_TRY(in.finish("fate"));
  return out;
}

Bytes encode_answer(const Result<VolumeAnswer>& answer) {
  ByteWriter out;
  if (!answer) {
    put_error(out, answer.error());
    return std::move(out).take();
  }
  out.u32(kOk);
  volume::put_geometry(out, answer->geometry);
  out.u32(static_cast<std::uint32_t>(answer->storage));
  out.sized(cut(answer->modality, kTextBytesMax));
  out.sized(cut(answer->patient, kTextBytesMax));
  out.sized(cut(answer->frame_of_reference, kTextBytesMax));
  out.u32(answer->layers);
  out.sized(cut(answer->note, kTextBytesMax));
  return std::move(out).take();
}

Result<VolumeAnswer> decode_volume_answer(ByteView bytes) {
  ByteReader in(bytes);
  FOVEA_TRY(check_status(in));
  VolumeAnswer out;
  FOVEA_TRY_ASSIGN(out.geometry, get_checked_geometry(in));
  FOVEA_TRY_ASSIGN(const std::uint32_t storage, in.u32("storage"));
  if (storage != static_cast<std::uint32_t>(volume::VoxelStorage::int16) &&
      storage != static_cast<std::uint32_t>(volume::VoxelStorage::float32))
    return corruption("parser answer: unknown storage");
  out.storage = static_cast<volume::VoxelStorage>(storage);
  FOVEA_TRY_ASSIGN(out.modality, in.text("modality", kTextBytesMax));
  FOVEA_TRY_ASSIGN(out.patient, in.text("patient", kTextBytesMax));
  FOVEA_TRY_ASSIGN(out.frame_of_reference, in.text("frame of reference", kTextBytesMax));
  FOVEA_TRY_ASSIGN(out.layers, in.u32("layers"));
  if (out.layers < 1 || out.layers > kLabelLayersMax) return corruption("parser answer: layers out of bounds");
  FOVEA_TRY_ASSIGN(out.note, in.text("note", kTextBytesMax));
  FOVEA_TRY(in.finish("parser answer"));
  return out;
}

Bytes encode_answer(const Result<std::vector<DicomFile>>& answer) {
  ByteWriter out;
  if (!answer) {
    put_error(out, answer.error());
    return std::move(out).take();
  }
  out.u32(kOk);
  out.u32(static_cast<std::uint32_t>(answer->size()));
  for (const DicomFile& file : *answer) {
    for (const bool told : {file.is_image, file.is_label, file.is_damaged, file.is_foreign}) out.u8(told ? 1 : 0);
    for (const std::string* text :
         {&file.reason, &file.series, &file.modality, &file.patient, &file.person, &file.study,
          &file.frame_of_reference, &file.instance, &file.position, &file.acquisition})
      out.sized(cut(*text, text == &file.reason ? kFileReasonBytesMax : kDescribedBytesMax));
  }
  return std::move(out).take();
}

Result<std::vector<DicomFile>> decode_describe_answer(ByteView bytes) {
  ByteReader in(bytes);
  FOVEA_TRY(check_status(in));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, in.u32("count"));
  if (count > kJobFilesMax) return corruption("parser answer: too many files");
  std::vector<DicomFile> out(count);
  for (DicomFile& file : out) {
    for (bool* told : {&file.is_image, &file.is_label, &file.is_damaged, &file.is_foreign}) {
      FOVEA_TRY_ASSIGN(const std::uint8_t flag, in.u8("flag"));
      *told = flag == 1;
    }
    for (std::string* text : {&file.reason, &file.series, &file.modality, &file.patient, &file.person, &file.study,
                              &file.frame_of_reference, &file.instance, &file.position, &file.acquisition}) {
      FOVEA_TRY_ASSIGN(*text, in.text("text", kTextBytesMax));
    }
  }
  FOVEA_TRY(in.finish("parser answer"));
  return out;
}

Bytes encode_answer(const Result<std::uint32_t>& answer) {
  ByteWriter out;
  if (!answer) {
    put_error(out, answer.error());
    return std::move(out).take();
  }
  out.u32(kOk);
  out.u32(*answer);
  return std::move(out).take();
}

Result<std::uint32_t> decode_count_answer(ByteView bytes) {
  ByteReader in(bytes);
  FOVEA_TRY(check_status(in));
  FOVEA_TRY_ASSIGN(const std::uint32_t count, in.u32("count"));
  FOVEA_TRY(in.finish("parser answer"));
  return count;
}

Result<void> send_message(int socket, ByteView bytes, std::span<const int> descriptors) {
  FOVEA_CHECK(bytes.size() <= kMessageBytesMax && descriptors.size() <= kDescriptorsPerMessage);
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kDescriptorsPerMessage * sizeof(int))> control{};
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = -1;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent != static_cast<ssize_t>(bytes.size())) return unavailable("scan parser: cannot be reached");
  return {};
}

Result<ReceivedMessage> receive_message(int socket) {
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kDescriptorsPerMessage * sizeof(int))> control{};
  ReceivedMessage out;
  out.bytes.resize(kMessageBytesMax);
  iovec part{out.bytes.data(), out.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got <= 0) return unavailable("scan parser: the other end is gone");
  out.bytes.resize(static_cast<std::size_t>(got));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    out.descriptors.resize(count);
    std::memcpy(out.descriptors.data(), CMSG_DATA(header), count * sizeof(int));
  }
  return out;
}

}  // namespace fovea::node::intake
