#include "tests/adversary/scripted_hospitals.h"

#include <algorithm>
#include <chrono>

#include "common/check.h"
#include "coordinator/registry/coordinator_folder.h"

namespace fovea::test {
namespace {

constexpr std::chrono::milliseconds kPatience{60'000};
constexpr std::size_t kQueuedBytesMax = std::size_t{4} << 20U;

}  // namespace

ScriptedHospitals::ScriptedHospitals(const Options& options)
    : facts_{options.run, read_plan(options.plan),
             coordinator::registry::CoordinatorFolder(options.home).roster(clock_.wall()).value()} {
  run_.emplace(
      node::io::SiteRun::open(options.work, facts_.run, facts_.plan, crypto::SigningKey::from_seed({})).value());
  const federation::membership::Invite invite =
      coordinator::registry::CoordinatorFolder(options.home).federation().value();
  for (const std::filesystem::path& folder : options.sites) {
    Hospital hospital;
    hospital.site = std::make_unique<ScriptedSite>(SiteIdentity::of(folder), facts_, run_->adopted().value());
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(options.port);
    hospital.transport =
        node::io::ZmqTransport::connect({.endpoint = endpoint, .coordinator_key = invite.coordinator_transport_key},
                                        hospital.site->transport())
            .value();
    hospitals_.push_back(std::move(hospital));
  }
}

const ScriptedHospitals::Hospital& ScriptedHospitals::hospital(std::string_view name) const {
  const auto found = std::find_if(hospitals_.begin(), hospitals_.end(),
                                  [&](const Hospital& entry) { return entry.site->id().text() == name; });
  FOVEA_CHECK(found != hospitals_.end());
  return *found;
}

const ScriptedSite& ScriptedHospitals::site(std::string_view name) const { return *hospital(name).site; }

void ScriptedHospitals::say(std::string_view name, Bytes wire) {
  const_cast<Hospital&>(hospital(name)).extra.push_back(std::move(wire));
}

bool ScriptedHospitals::has_said_all(std::string_view name) const {
  return hospital(name).extra.empty() && hospital(name).transport->outbox_bytes() == 0;
}

bool ScriptedHospitals::play_until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    for (Hospital& hospital : hospitals_) play(hospital);
  }
  return true;
}

void ScriptedHospitals::play(Hospital& hospital) {
  FOVEA_CHECK(hospital.transport->wait(std::chrono::milliseconds(2), {}).has_value());
  if (hospital.transport->connection_count() != hospital.greeted) {
    hospital.greeted = hospital.transport->connection_count();
    hospital.site->step(node::round::Connected{});
  }
  while (auto frame = hospital.transport->receive()) {
    hospital.site->receive(std::move(*frame));
    apply_sum(*hospital.site);
  }
  hospital.site->step(node::round::Tick{clock_.monotonic()});
  say_all(hospital);
}

void ScriptedHospitals::say_all(Hospital& hospital) {
  while (auto wire = hospital.site->next_wire()) {
    std::vector<Bytes> instead;
    if (dishonest) {
      auto opened = federation::messages::SignedMessage::open(
          *wire, {hospital.site->id(), hospital.site->identity().verify_key()});
      FOVEA_CHECK(opened.has_value());
      instead = dishonest(*hospital.site, std::move(*opened));
    } else {
      instead.push_back(std::move(*wire));
    }
    for (Bytes& message : instead) static_cast<void>(hospital.transport->send(std::move(message)));
  }
  while (!hospital.extra.empty() && hospital.transport->outbox_bytes() < kQueuedBytesMax) {
    if (!hospital.transport->send(hospital.extra.front())) return;  // not connected
    hospital.extra.pop_front();
  }
}

// All of them have one model, so one computes it.
void ScriptedHospitals::apply_sum(ScriptedSite& site) {
  const auto sum = site.take_sum();
  if (!sum) return;
  if (run_->last_round() < sum->round) FOVEA_CHECK(run_->apply(*sum).has_value());
  site.adopt(run_->adopted().value());
  site.step(node::round::Connected{});  // the coordinator waits to hear where a site stands
}

}  // namespace fovea::test
