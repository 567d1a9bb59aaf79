// Receives scans from a hospital's archive: the listening side of `fovea-node data listen` (DICOM PS3.4 B: storage; A:
// C-ECHO).
//
// One poll loop accepts connections, compares the peer's address with the allow-list, and starts fovea-dicom-receiver
// for each association that is allowed; DICOM itself is spoken there. Received files wait, sealed, in a batch folder;
// when nobody has sent for settle_s and no association is open, the batch is handed over, and a new one begins.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "crypto/key_agreement.h"

namespace fovea::node::io {

// One peer that may send: AE title and numeric address must both fit.
struct DicomPeer {
  std::string ae_title, address;
};
// "AE@address"; invalid_argument says what is wrong.
Result<DicomPeer> parse_dicom_peer(const std::string& text);
// 1-16 characters: letters, digits, '_', '-', '.', and spaces but at the ends.
bool is_ae_title(const std::string& text) noexcept;

struct DicomConfig {
  std::string ae_title = "FOVEA";
  std::string bind = "127.0.0.1";  // numeric address
  std::uint16_t port = 11112;      // 0: any free one
  std::vector<DicomPeer> peers;    // nobody may send when empty
  std::uint32_t associations_max = 4;
  std::uint32_t pdu_bytes_max = 65'536;
  std::uint32_t idle_s = 60;
  std::uint32_t settle_s = 10;
  std::uint32_t keep_hours = 24;  // what was ingested is kept for what comes late (node/receive/kept_series.h)
  std::uint64_t file_bytes_max = 2'000'000'000;
  std::uint64_t incoming_bytes_max = 50'000'000'000;  // of all batches that wait
};

// partly_refused: of the kinds of objects that a peer offers to send, some are not taken.
enum class DicomEvent { refused, partly_refused, echo, stored, full, failed };
const char* to_string(DicomEvent event) noexcept;

class DicomListener {
 public:
  struct Hooks {
    // For a log: the event and, of a refusal, what was offered and what is expected. Never anything of a patient.
    std::function<void(DicomEvent event, const std::string& detail)> log;
    // A complete batch; the callee removes its folder. Called in the loop.
    std::function<void(const std::filesystem::path& batch)> batch_ready;
    // Called in the loop, first of all, after each batch, and when the time that it returned is over; none: never.
    std::function<std::chrono::milliseconds()> tend{};
  };
  struct Places {
    std::filesystem::path receiver_program;
    std::filesystem::path incoming;         // where received scans wait, sealed
    crypto::AgreementPublicKey seal_for{};  // for which receivers seal; they can open nothing (sealed_scan.h)
  };
  // invalid_argument names the setting; unavailable: the port is taken, or the receiver program is missing. `incoming`
  // is made, mode 0700; batches that an earlier run left there are handed over first.
  static Result<DicomListener> open(DicomConfig config, Places places, Hooks hooks);
  DicomListener(DicomListener&&) noexcept;
  DicomListener& operator=(DicomListener&&) noexcept;
  ~DicomListener();

  std::uint16_t port() const noexcept;
  // Runs until `stop_descriptor` becomes readable; open associations are ended, the last batch is handed over.
  Result<void> run(int stop_descriptor);

 private:
  struct Impl;
  explicit DicomListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fovea::node::io
