#include "node/io/address_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace fovea::node::io {

std::vector<std::string> addresses_of(const federation::membership::Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<std::string> out;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    char host[NI_MAXHOST];
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    std::string text = federation::membership::Endpoint{host, endpoint.port}.text();
    if (!federation::membership::Endpoint::parse(text)) continue;  // a zone of a form that nobody writes
    if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
  }
  ::freeaddrinfo(found);
  return out;
}

struct AddressLookup::State {
  Resolve resolve;
  std::mutex mutex;
  std::vector<std::string> found{};
  bool asking = false;
};

AddressLookup::AddressLookup(Resolve resolve) : state_(std::make_shared<State>()) {
  state_->resolve = std::move(resolve);
}

std::vector<std::string> AddressLookup::addresses() {
  const std::lock_guard lock(state_->mutex);
  if (std::exchange(state_->asking, true)) return state_->found;
  try {
    std::thread([state = state_] {
      std::vector<std::string> answer = state->resolve();
      const std::lock_guard done(state->mutex);
      state->asking = false;
      if (!answer.empty()) state->found = std::move(answer);
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had now: libzmq goes on with the address that it has
    state_->asking = false;
  }
  return state_->found;
}

}  // namespace fovea::node::io
