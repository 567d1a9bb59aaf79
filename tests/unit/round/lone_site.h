// One real site in a round of the sparse graph; the coordinator and all other sites are the test's, which has every
// key. So an attack on a federation of hundreds costs what one site does. Nothing is random, and U1 = U2 = the whole
// roster.
#pragma once

#include "federation/secagg/masking.h"
#include "federation/secagg/statements.h"
#include "node/round/site_marks.h"
#include "tests/unit/round/scene.h"

namespace fovea::test {

struct LoneSiteOptions {
  std::size_t sites = 0;
  RosterIndex self = 0;
  std::uint16_t corrupt_max = 0;  // m
  std::uint16_t lost_max = 0;     // n − s
  std::uint16_t honest_min = 2;
};

class LoneSite {
 public:
  explicit LoneSite(const LoneSiteOptions& options);

  const TestFederation& federation() const noexcept { return federation_; }
  const federation::secagg::AttemptContext& context() const noexcept { return context_; }
  const federation::secagg::RoundParameters& parameters() const noexcept { return context_.parameters; }
  static federation::secagg::NeighbourCounts counts(const LoneSiteOptions& options);

  node::round::SiteEffects tell(MessageKind kind, ByteView payload);
  void change_policy(const node::round::SitePolicy& policy) { machine_->step(node::round::PolicyChanged{policy}); }
  // What an honest coordinator sends next. The site must have answered the step before: advance_to() does that.
  federation::messages::KeyList key_list() const { return {context_.ref(), context_.keys}; }
  federation::messages::RoutedShares routed_shares() const;
  federation::messages::ConsistencyRequest consistency_request(std::span<const RosterIndex> committed) const;
  // The statement over this request, signed by these sites.
  federation::messages::UnmaskRequest unmask_request(const federation::messages::ConsistencyRequest& request,
                                                     std::span<const RosterIndex> signers) const;

  // Answers everything honestly up to the message of `kind`, which is not sent yet: parameters, key_list, routed_shares
  // or consistency_request.
  void advance_to(MessageKind kind);
  void mask();  // the last of these steps
  std::vector<RosterIndex> everybody() const { return context_.parameters.candidates; }

 private:
  void join();

  LoneSiteOptions options_;
  TestFederation federation_;
  federation::secagg::AttemptContext context_;
  std::vector<federation::secagg::AttemptSecrets> peers_;  // by roster index; that of this site is not used
  std::optional<node::round::SiteMachine> machine_;
  std::optional<federation::messages::CommittedVector> own_;
  std::uint64_t seeds_ = 0;
};

}  // namespace fovea::test
