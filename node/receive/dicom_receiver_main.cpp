// fovea-dicom-receiver: speaks DICOM with one peer on one accepted connection, for `fovea-node data listen`; started by
// it, never by hand. The address was allowed before this process began; AE titles are checked here. Every C-STORE
// becomes a numbered file in the given folder, byte for byte as received, sealed before it reaches the disk
// (sealed_scan.h) for a key that this process does not have; nothing of it is parsed here. DCMTK stays in this process.
//   fovea-dicom-receiver FOLDER AE-TITLE ALLOWED-AE[,…] PDU-BYTES IDLE-S FILE-BYTES FOLDER-BYTES PUBLIC-KEY
// Descriptor 3 is the connection; each line on descriptor 4 is an event: "echo", "stored", "refused <TAB> why",
// "partly refused <TAB> what", "full", "failed".
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/diutil.h>
#include <dcmtk/dcmnet/scp.h>
#include <dcmtk/oflog/oflog.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/descriptor.h"
#include "common/numbers.h"
#include "common/result.h"
#include "crypto/core_dumps.h"
#include "crypto/key_agreement.h"
#include "node/receive/sealed_scan.h"

namespace {

using fovea::Descriptor;

constexpr int kConnection = 3, kEvents = 4;
constexpr std::uint64_t kFreeBytesMin = 1ull << 30;  // what a full disk keeps for everybody else

void tell(const std::string& event) {
  const std::string line = event + "\n";
  if (write(kEvents, line.data(), line.size()) < 0) _exit(1);
}

// An AE title comes from the peer: at most 16 printable characters of it reach a log.
std::string shown(const OFString& title) {
  std::string out;
  for (std::size_t n = 0; n < title.size() && out.size() < 16; ++n)
    out.push_back(title[n] > ' ' && title[n] < 0x7f && title[n] != '"' ? title[n] : '?');
  return out;
}

struct Options {
  std::filesystem::path folder;
  std::string title;
  std::vector<std::string> allowed;
  std::uint64_t file_bytes = 0, folder_bytes = 0;
  fovea::crypto::AgreementPublicKey seal_for{};
};

// DCMTK writes to files only: it is given the name of a pipe, whose other end is sealed into the file by a thread.
class SealingPipe {
 public:
  SealingPipe(const std::filesystem::path& file, const Options& options)
      : out_(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    int ends[2] = {-1, -1};
    if (!out_ || ::pipe2(ends, O_CLOEXEC) != 0) return;
    from_ = Descriptor(ends[0]);
    to_ = Descriptor(ends[1]);
    thread_ = std::thread([this, limit = options.file_bytes, key = options.seal_for] {
      fovea::Result<fovea::node::receive::SealedStream> done =
          fovea::node::receive::seal_stream(from_.number(), out_.number(), limit, key);
      if (done) sealed_ = *done;
      from_ = Descriptor();  // after a full disk: DCMTK's next write fails instead of waiting for ever
    });
  }
  SealingPipe(const SealingPipe&) = delete;
  SealingPipe& operator=(const SealingPipe&) = delete;
  ~SealingPipe() { finish(); }

  bool open() const { return thread_.joinable(); }
  std::string name() const { return "/proc/self/fd/" + std::to_string(to_.number()); }
  // What was sealed, when it was written whole and is not too large.
  std::optional<std::uint64_t> finish() {
    to_ = Descriptor();
    if (thread_.joinable()) thread_.join();
    if (!sealed_ || !sealed_->whole) return std::nullopt;
    return sealed_->scan_bytes;
  }

 private:
  Descriptor out_, from_, to_;
  std::optional<fovea::node::receive::SealedStream> sealed_;
  std::thread thread_;
};

// The classes that intake reads; and the question whether anybody is here.
constexpr const char* kTakenClasses[] = {UID_CTImageStorage,
                                         UID_EnhancedCTImageStorage,
                                         UID_LegacyConvertedEnhancedCTImageStorage,
                                         UID_MRImageStorage,
                                         UID_EnhancedMRImageStorage,
                                         UID_LegacyConvertedEnhancedMRImageStorage,
                                         UID_PositronEmissionTomographyImageStorage,
                                         UID_EnhancedPETImageStorage,
                                         UID_LegacyConvertedEnhancedPETImageStorage,
                                         UID_SegmentationStorage,
                                         UID_RTStructureSetStorage,
                                         UID_SecondaryCaptureImageStorage};

bool is_taken(const std::string& uid) {
  return uid == UID_VerificationSOPClass ||
         std::find(std::begin(kTakenClasses), std::end(kTakenClasses), uid) != std::end(kTakenClasses);
}

class Receiver final : public DcmSCP {
 public:
  explicit Receiver(Options options) : options_(std::move(options)) {}

 protected:
  void notifyAssociationRequest(const T_ASC_Parameters& request, DcmSCPActionType& action) override {
    DcmSCP::notifyAssociationRequest(request, action);
    auto* offered = const_cast<T_ASC_Parameters*>(&request);  // ASC_* only read it
    for (int n = 0; n < ASC_countPresentationContexts(offered); ++n) {
      T_ASC_PresentationContext context{};
      if (ASC_getPresentationContext(offered, n, &context).bad() || is_taken(context.abstractSyntax)) continue;
      const char* const name = dcmFindNameOfUID(context.abstractSyntax);  // never the peer's own words
      untaken_.insert(name != nullptr ? name : "an unknown kind");
    }
  }
  void notifyAssociationAcknowledge() override {
    // Who offers whatever there is says nothing about what will come.
    if (!untaken_.empty() && untaken_.size() <= kShownMax)
      tell("partly refused\tof what it offers to send, not taken: " + untaken_names());
  }
  void refuseAssociation(const DcmRefuseReasonType reason) override {
    const bool nothing_taken = reason == DCMSCP_NO_PRESENTATION_CONTEXTS;
    const bool is_told = reason == DCMSCP_CALLED_AE_TITLE_NOT_RECOGNIZED ||
                         reason == DCMSCP_CALLING_AE_TITLE_NOT_RECOGNIZED;
    if (nothing_taken && untaken_.empty()) tell("refused\tit offers no transfer syntax that is taken");
    else if (nothing_taken) tell("refused\tnothing that it offers to send is taken: " + untaken_names());
    else if (!is_told) tell("refused\tits request for an association is not one that DICOM knows");
    DcmSCP::refuseAssociation(reason);
  }
  OFBool checkCalledAETitleAccepted(const OFString& called) override {
    if (called == options_.title.c_str()) return OFTrue;
    tell("refused\tit called \"" + shown(called) + "\", this node is \"" + options_.title + "\"");
    return OFFalse;
  }
  OFBool checkCallingAETitleAccepted(const OFString& calling) override {
    for (const std::string& allowed : options_.allowed)
      if (calling == allowed.c_str()) return OFTrue;
    std::string all;
    for (const std::string& allowed : options_.allowed) all += (all.empty() ? "\"" : ", \"") + allowed + "\"";
    tell("refused\tit calls itself \"" + shown(calling) + "\", from its address " + all + " may send");
    return OFFalse;
  }
  OFCondition handleIncomingCommand(T_DIMSE_Message* message, const DcmPresentationContextInfo& context) override {
    if (message->CommandField == DIMSE_C_ECHO_RQ) {
      const OFCondition done = handleECHORequest(message->msg.CEchoRQ, context.presentationContextID);
      if (done.good()) tell("echo");
      return done;
    }
    if (message->CommandField == DIMSE_C_STORE_RQ) return store(message->msg.CStoreRQ, context.presentationContextID);
    tell("refused\ta request other than C-ECHO and C-STORE");
    return DIMSE_BADCOMMANDTYPE;
  }
  OFBool stopAfterCurrentAssociation() override { return OFTrue; }
  OFBool stopAfterConnectionTimeout() override { return OFTrue; }

 private:
  bool has_room() const {
    struct statvfs disk {};
    if (statvfs(options_.folder.c_str(), &disk) != 0) return false;
    return received_ + options_.file_bytes <= options_.folder_bytes &&
           static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize >= kFreeBytesMin + options_.file_bytes;
  }

  OFCondition store(T_DIMSE_C_StoreRQ& request, T_ASC_PresentationContextID id) {
    if (!has_room()) {
      tell("full");
      sendSTOREResponse(id, request, STATUS_STORE_Refused_OutOfResources);
      return DIMSE_OUTOFRESOURCES;
    }
    // The name is a number: nothing that a peer sends becomes part of a path.
    const std::filesystem::path part =
        options_.folder / ("." + std::to_string(getpid()) + "-" + std::to_string(count_++) + ".part");
    SealingPipe pipe(part, options_);
    const OFCondition received = pipe.open() ? receiveSTORERequest(request, id, OFString(pipe.name().c_str()))
                                             : OFCondition(DIMSE_OUTOFRESOURCES);
    const std::optional<std::uint64_t> bytes = pipe.finish();
    std::error_code failed;
    if (received.bad() || !bytes) {
      std::filesystem::remove(part, failed);
      tell("failed");
      // DCMTK has read the data set to its end unless the connection is lost.
      const OFCondition answered = sendSTOREResponse(id, request, STATUS_STORE_Refused_OutOfResources);
      return answered.bad() ? answered : received.bad() ? received : OFCondition(DIMSE_OUTOFRESOURCES);
    }
    received_ += *bytes;
    const std::string name = part.stem().string().substr(1) + std::string(fovea::node::receive::kSealedScanEnding);
    std::filesystem::rename(part, options_.folder / name, failed);
    if (failed) return DIMSE_OUTOFRESOURCES;
    tell("stored");
    return sendSTOREResponse(id, request, STATUS_Success);
  }

  std::string untaken_names() const {
    std::string out;
    std::size_t shown = 0;
    for (const std::string& name : untaken_)
      if (++shown <= kShownMax) out += (out.empty() ? "" : ", ") + name;
    return shown > kShownMax ? out + " and " + std::to_string(shown - kShownMax) + " more" : out;
  }

  static constexpr std::size_t kShownMax = 8;
  Options options_;
  std::set<std::string> untaken_;  // kinds of objects
  std::uint64_t received_ = 0;
  std::size_t count_ = 0;
};

// What a peer may send: the classes that intake reads, in the transfer syntaxes that it decodes or refuses by name.
bool add_contexts(Receiver& receiver) {
  OFList<OFString> syntaxes;
  for (const char* uid :
       {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax,
        UID_BigEndianExplicitTransferSyntax, UID_JPEGLSLosslessTransferSyntax, UID_JPEGProcess14SV1TransferSyntax,
        UID_JPEGProcess14TransferSyntax, UID_JPEGProcess2_4TransferSyntax, UID_JPEGProcess1TransferSyntax,
        UID_JPEG2000LosslessOnlyTransferSyntax, UID_JPEG2000TransferSyntax, UID_RLELosslessTransferSyntax,
        UID_DeflatedExplicitVRLittleEndianTransferSyntax})
    syntaxes.push_back(uid);
  for (const char* uid : kTakenClasses)
    if (receiver.addPresentationContext(uid, syntaxes).bad()) return false;
  OFList<OFString> plain;
  plain.push_back(UID_LittleEndianExplicitTransferSyntax);
  plain.push_back(UID_LittleEndianImplicitTransferSyntax);
  return receiver.addPresentationContext(UID_VerificationSOPClass, plain).good();
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ',') out.emplace_back();
    else out.back().push_back(c);
  }
  return out;
}

void limit(std::uint64_t scan_bytes) {
  const std::uint64_t file_bytes = fovea::node::receive::sealed_scan_bytes(scan_bytes);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit fails instead
  signal(SIGPIPE, SIG_IGN);
  const rlimit file{file_bytes, file_bytes}, memory{2ull << 30, 2ull << 30};
  if (setrlimit(RLIMIT_FSIZE, &file) != 0 || setrlimit(RLIMIT_AS, &memory) != 0) _exit(3);
}

int receive(const std::vector<std::string>& words) {
  const auto pdu_bytes = fovea::read_whole<Uint32>(words[3]), idle_s = fovea::read_whole<Uint32>(words[4]);
  const auto file_bytes = fovea::read_digits(words[5]), folder_bytes = fovea::read_digits(words[6]);
  if (!pdu_bytes || !idle_s || !file_bytes || !folder_bytes) return 2;
  Options options{.folder = words[0],
                  .title = words[1],
                  .allowed = split(words[2]),
                  .file_bytes = *file_bytes,
                  .folder_bytes = *folder_bytes};
  const auto key = fovea::from_hex(words[7]);
  const auto public_key = key ? fovea::to_array<32>(*key, "public key")
                              : fovea::Result<fovea::crypto::AgreementPublicKey>(key.error());
  if (!public_key) return 2;
  options.seal_for = *public_key;
  limit(options.file_bytes);
  OFLog::configure(OFLogger::OFF_LOG_LEVEL);  // DCMTK's log may quote what a peer sent
  dcmExternalSocketHandle.set(kConnection);
  Receiver receiver(options);
  receiver.setAETitle(options.title.c_str());
  receiver.setMaxReceivePDULength(*pdu_bytes);
  receiver.setACSETimeout(*idle_s);
  receiver.setDIMSEBlockingMode(DIMSE_NONBLOCKING);
  receiver.setDIMSETimeout(*idle_s);
  receiver.setConnectionBlockingMode(DUL_NOBLOCK);
  receiver.setConnectionTimeout(*idle_s);
  receiver.setHostLookupEnabled(OFFalse);
  receiver.setPort(0);
  if (!add_contexts(receiver)) return 4;
  const OFCondition done = receiver.listen();
  return done.good() || done == NET_EC_StopAfterAssociation || done == NET_EC_StopAfterConnectionTimeout ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  fovea::crypto::forbid_core_dumps();
  if (count != 9 || fcntl(kConnection, F_GETFD) < 0 || fcntl(kEvents, F_GETFD) < 0) {
    std::fputs("fovea-dicom-receiver is started by fovea-node data listen; it has no use of its own\n", stderr);
    return 2;
  }
  return receive({words + 1, words + count});
}
