// Secure aggregation measured: masks, linear tags, one site, the coordinator. Prints a table; --json FILE writes the
// same figures.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "bench/coordinator_case.h"
#include "bench/mask_cases.h"
#include "bench/site_cases.h"
#include "bench/tag_cases.h"
#include "common/numbers.h"

namespace {

using fovea::bench::Options;
using fovea::bench::Report;

constexpr std::uint32_t kMillion = 1'000'000;

void run_coordinator_cases(const Options& options, Report& report) {
  report.section("The coordinator's own work, complete graph");
  run_coordinator_case({.sites = 100, .dropped = 10, .words = 10 * kMillion, .headline = true}, options, report);
  if (!options.quick)
    // 0, 5 and 10 %; of ten sites one is 10 %.
    for (const auto& [sites, dropped] : {std::pair{10U, 0U}, {10U, 1U}, {100U, 0U}, {100U, 5U}, {100U, 10U}})
      run_coordinator_case({.sites = sites, .dropped = dropped, .words = kMillion}, options, report);
  report.section("The coordinator's own work, sparse graph");
  for (const std::uint32_t dropped : {0U, 50U, 100U})
    if (!options.quick || dropped == 50)
      run_coordinator_case({.sites = 1000, .dropped = dropped, .words = kMillion, .sparse = true}, options, report);
}

int usage() {
  std::fputs("usage: secagg_bench [--quick] [--threads N] [--json FILE] [--only mask|tag|site|coordinator]\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--threads" && i + 1 < argc) {
      const auto threads = fovea::read_whole<std::uint32_t>(argv[++i]);
      if (!threads || *threads == 0) return usage();
      options.threads = *threads;
    } else if (argument == "--json" && i + 1 < argc) {
      options.json_path = argv[++i];
    } else if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      return usage();
    }
  }
  fovea::bench::return_large_buffers_to_the_system();
  Report report;
  if (only.empty() || only == "mask") run_mask_cases(options, report);
  if (only.empty() || only == "tag") run_tag_cases(options, report);
  if (only.empty() || only == "site") run_site_cases(options, report);
  if (only.empty() || only == "coordinator") run_coordinator_cases(options, report);
  report.print();
  if (options.json_path.empty()) return 0;
  if (const auto written = report.write_json(options.json_path); !written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 1;
  }
  return 0;
}
