#include "node/io/dicom_listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "common/bytes.h"
#include "common/child_program.h"
#include "common/descriptor.h"

namespace fovea::node::io {
namespace {

namespace fs = std::filesystem;
using SteadyClock = std::chrono::steady_clock;

constexpr int kConnection = 3, kEvents = 4;  // descriptors in the receiver
constexpr int kBacklog = 16;
constexpr std::size_t kEventLineMax = 1024;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::optional<SocketAddress> numeric_address(const std::string& text, std::uint16_t port) {
  SocketAddress out;
  auto* four = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET, four->sin_port = htons(port), out.size = sizeof *four;
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6, six->sin6_port = htons(port), out.size = sizeof *six;
    return out;
  }
  return std::nullopt;
}

// An IPv4 peer on an IPv6 socket is shown, and compared, as IPv4.
std::string shown_address(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr, text, sizeof text);
  } else {
    const in6_addr& six = reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&six)) inet_ntop(AF_INET, six.s6_addr + 12, text, sizeof text);
    else inet_ntop(AF_INET6, &six, text, sizeof text);
  }
  return text;
}

std::uint64_t folder_bytes(const fs::path& folder) {
  std::uint64_t out = 0;
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed))
    if (entry.is_regular_file(failed)) out += entry.file_size(failed);
  return out;
}

Result<Descriptor> listening_socket(const DicomConfig& config) {
  const auto address = numeric_address(config.bind, config.port);
  if (!address) return invalid_argument("dicom.bind: expected a numeric address such as \"127.0.0.1\"");
  Descriptor out(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const std::string place = config.bind + " port " + std::to_string(config.port);
  if (out.number() < 0 || setsockopt(out.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(out.number(), reinterpret_cast<const sockaddr*>(&address->storage), address->size) != 0 ||
      ::listen(out.number(), kBacklog) != 0)
    return unavailable("dicom.port: cannot listen on " + place + ": " + std::strerror(errno) +
                       " (is another program there, or does the port need root?)");
  return out;
}

}  // namespace

bool is_ae_title(const std::string& text) noexcept {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '_' ||
           c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= 16 && text.front() != ' ' && text.back() != ' ' &&
         std::all_of(text.begin(), text.end(), good);
}

Result<DicomPeer> parse_dicom_peer(const std::string& text) {
  const std::size_t at = text.find('@');
  if (at == std::string::npos) return invalid_argument("expected AE@address, for example \"PACS1@10.0.0.5\"");
  DicomPeer out{text.substr(0, at), text.substr(at + 1)};
  if (!is_ae_title(out.ae_title))
    return invalid_argument("the AE title has 1-16 letters, digits, spaces, '_', '-' or '.'");
  const auto address = numeric_address(out.address, 0);
  if (!address) return invalid_argument("expected a numeric address after '@', for example \"PACS1@10.0.0.5\"");
  out.address = shown_address(*address);
  return out;
}

const char* to_string(DicomEvent event) noexcept {
  switch (event) {
    case DicomEvent::refused: return "refused";
    case DicomEvent::partly_refused: return "partly refused";
    case DicomEvent::echo: return "echo";
    case DicomEvent::stored: return "stored";
    case DicomEvent::full: return "full";
    case DicomEvent::failed: return "failed";
  }
  return "";
}

struct DicomListener::Impl {
  struct Association {
    pid_t process = -1;
    Descriptor events;
    std::string address, line;
    bool has_told = false;  // why it ended, or what it did
  };

  DicomConfig config;
  fs::path program, incoming, batch;
  std::string seal_for;
  Hooks hooks;
  Descriptor socket;
  std::uint16_t port = 0;
  std::size_t batches = 0;
  bool batch_has_files = false;
  SteadyClock::time_point last_stored{}, tend_at{};
  std::vector<Association> open;

  Result<void> begin_batch() {
    std::error_code failed;
    do batch = incoming / ("batch-" + std::to_string(batches++));
    while (fs::exists(batch, failed));
    if (::mkdir(batch.c_str(), 0700) != 0)
      return unavailable(batch.string() + ": cannot be made: " + std::strerror(errno));
    batch_has_files = false;
    return {};
  }

  Result<void> hand_over() {
    const fs::path done = batch;
    FOVEA_TRY(begin_batch());
    hooks.batch_ready(done);
    tend_at = SteadyClock::now();
    return {};
  }

  void tend_if_due() {
    if (hooks.tend && SteadyClock::now() >= tend_at) tend_at = SteadyClock::now() + hooks.tend();
  }

  // The AE titles that may send from this address, with commas between; empty: none.
  std::string titles_from(const std::string& address) const {
    std::string out;
    for (const DicomPeer& peer : config.peers)
      if (peer.address == address) out += (out.empty() ? "" : ",") + peer.ae_title;
    return out;
  }

  void accept_one() {
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    const Descriptor connection(
        ::accept4(socket.number(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.size, SOCK_CLOEXEC));
    if (connection.number() < 0) return;
    const std::string address = shown_address(peer);
    const std::string titles = titles_from(address);
    if (titles.empty()) {
      std::string allowed;
      for (const DicomPeer& known : config.peers) allowed += (allowed.empty() ? "" : ", ") + known.address;
      return hooks.log(DicomEvent::refused, "address " + address + " is not among those that may send (" +
                                                (allowed.empty() ? "none" : allowed) + ")");
    }
    if (open.size() >= config.associations_max)
      return hooks.log(DicomEvent::refused, "address " + address + ": " + std::to_string(open.size()) +
                                                " associations are open, at most " +
                                                std::to_string(config.associations_max) + " may be");
    const std::uint64_t waiting = folder_bytes(incoming);
    if (waiting >= config.incoming_bytes_max)
      return hooks.log(DicomEvent::full, "address " + address + ": " + std::to_string(waiting) +
                                             " bytes wait to be ingested, at most " +
                                             std::to_string(config.incoming_bytes_max) + " may");
    start(connection, address, titles, config.incoming_bytes_max - waiting);
  }

  void start(const Descriptor& connection, const std::string& address, const std::string& titles, std::uint64_t room) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return hooks.log(DicomEvent::failed, "cannot make a pipe to a receiver");
    Descriptor ours(ends[0]), theirs(ends[1]);
    fcntl(ours.number(), F_SETFL, O_NONBLOCK);
    const ChildProgram receiver{.path = program,
                                .arguments = {batch.string(), config.ae_title, titles,
                                              std::to_string(config.pdu_bytes_max), std::to_string(config.idle_s),
                                              std::to_string(config.file_bytes_max), std::to_string(room), seal_for}};
    static_assert(kConnection == 3 && kEvents == 4);  // start_child numbers them from 3
    const Result<pid_t> process = start_child(receiver, std::array{connection.number(), theirs.number()});
    if (!process) return hooks.log(DicomEvent::failed, process.error().message);
    Association association;
    association.process = *process;
    association.events = std::move(ours);
    association.address = address;
    open.push_back(std::move(association));
  }

  void on_event(Association& from, const std::string& line) {
    const std::size_t tab = line.find('\t');
    const std::string kind = line.substr(0, tab);
    const std::string detail =
        "address " + from.address + (tab == std::string::npos ? "" : ": " + line.substr(tab + 1));
    for (const DicomEvent event : {DicomEvent::refused, DicomEvent::partly_refused, DicomEvent::echo,
                                   DicomEvent::stored, DicomEvent::full, DicomEvent::failed}) {
      if (kind != to_string(event)) continue;
      from.has_told = true;
      if (event == DicomEvent::stored) {
        batch_has_files = true;
        last_stored = SteadyClock::now();
      }
      hooks.log(event, detail);
    }
  }

  // False when the association has ended.
  bool read_events(Association& from) {
    char text[4096];
    for (;;) {
      const ssize_t got = ::read(from.events.number(), text, sizeof text);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN;
      if (got == 0) return false;
      for (ssize_t n = 0; n < got; ++n) {
        if (text[n] != '\n') {
          if (from.line.size() < kEventLineMax) from.line.push_back(text[n]);
          continue;
        }
        on_event(from, std::exchange(from.line, {}));
      }
    }
  }

  // Its exit status.
  static int reap(const Association& association, bool kill_it) {
    if (kill_it) kill(association.process, SIGKILL);
    int status = 0;
    while (waitpid(association.process, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  static std::chrono::milliseconds until(SteadyClock::time_point due) {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(due - SteadyClock::now()));
  }
  std::chrono::milliseconds until_settled() const { return until(last_stored + std::chrono::seconds(config.settle_s)); }

  int wait_ms() const {
    constexpr std::chrono::milliseconds kLongest{3'600'000};
    std::chrono::milliseconds out = kLongest;
    if (open.empty() && batch_has_files) out = std::min(out, until_settled());
    if (hooks.tend) out = std::min(out, until(tend_at));
    return static_cast<int>(out.count());
  }

  Result<void> run(int stop_descriptor) {
    for (;;) {
      std::vector<pollfd> watched{{socket.number(), POLLIN, 0}, {stop_descriptor, POLLIN, 0}};
      for (const Association& association : open) watched.push_back({association.events.number(), POLLIN, 0});
      const int ready = poll(watched.data(), watched.size(), wait_ms());
      if (ready < 0 && errno != EINTR)
        return unavailable(std::string("dicom: waiting for connections failed: ") + std::strerror(errno));
      if (ready > 0 && watched[1].revents != 0) return finish();
      for (std::size_t n = open.size(); n-- > 0;)
        if (ready > 0 && watched[n + 2].revents != 0 && !read_events(open[n])) {
          if (const int status = reap(open[n], false); status != 0 && (WIFSIGNALED(status) || !open[n].has_told))
            hooks.log(DicomEvent::failed,
                      "address " + open[n].address + ": the connection ended early, or spoke no DICOM");
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(n));
        }
      if (ready > 0 && (watched[0].revents & POLLIN) != 0) accept_one();
      if (open.empty() && batch_has_files && until_settled().count() == 0) FOVEA_TRY(hand_over());
      tend_if_due();
    }
  }

  Result<void> finish() {
    for (Association& association : open) {
      reap(association, true);
      read_events(association);
    }
    open.clear();
    if (batch_has_files) FOVEA_TRY(hand_over());
    tend_if_due();
    std::error_code ignored;
    fs::remove_all(batch, ignored);
    return {};
  }

  ~Impl() {
    for (const Association& association : open) reap(association, true);
  }
};

DicomListener::DicomListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DicomListener::DicomListener(DicomListener&&) noexcept = default;
DicomListener& DicomListener::operator=(DicomListener&&) noexcept = default;
DicomListener::~DicomListener() = default;

Result<DicomListener> DicomListener::open(DicomConfig config, Places places, Hooks hooks) {
  if (!is_ae_title(config.ae_title))
    return invalid_argument("dicom.ae_title: expected 1-16 letters, digits, spaces, '_', '-' or '.'");
  if (access(places.receiver_program.c_str(), X_OK) != 0)
    return unavailable(places.receiver_program.string() +
                       ": missing (build or install fovea-dicom-receiver beside fovea-node)");
  auto impl = std::make_unique<Impl>();
  impl->config = std::move(config);
  impl->program = std::move(places.receiver_program);
  impl->incoming = std::move(places.incoming);
  impl->seal_for = to_hex(places.seal_for);
  impl->hooks = std::move(hooks);
  FOVEA_TRY_ASSIGN(impl->socket, listening_socket(impl->config));
  SocketAddress own;
  own.size = sizeof own.storage;
  if (getsockname(impl->socket.number(), reinterpret_cast<sockaddr*>(&own.storage), &own.size) != 0)
    return unavailable("dicom.port: cannot ask which port was given");
  impl->port = ntohs(own.storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&own.storage)->sin_port
                                                      : reinterpret_cast<sockaddr_in6*>(&own.storage)->sin6_port);
  std::error_code failed;
  fs::create_directories(impl->incoming, failed);
  if (::chmod(impl->incoming.c_str(), 0700) != 0)
    return unavailable(impl->incoming.string() + ": cannot be made private: " + std::strerror(errno));
  std::vector<fs::path> left;  // by an earlier run
  for (const auto& entry : fs::directory_iterator(impl->incoming, failed)) left.push_back(entry.path());
  std::sort(left.begin(), left.end());
  for (const fs::path& batch : left) impl->hooks.batch_ready(batch);
  FOVEA_TRY(impl->begin_batch());
  return DicomListener(std::move(impl));
}

std::uint16_t DicomListener::port() const noexcept { return impl_->port; }
Result<void> DicomListener::run(int stop_descriptor) { return impl_->run(stop_descriptor); }

}  // namespace fovea::node::io
