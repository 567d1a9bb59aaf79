#include "federation/io/program_log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string_view>
#include <utility>

#include "common/console.h"

namespace fovea::federation::io {
namespace {

// A message on one line, without what a terminal would obey: much of it was said by others.
class OneLine final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    bool begins = false;  // a further line of the message, indented for a terminal
    for (const char c : printable({message.payload.data(), message.payload.size()})) {
      if (c == '\n' && !begins) out.append(std::string_view("; "));
      begins = c == '\n' || (begins && c == ' ');
      if (!begins) out.push_back(c);
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<OneLine>(); }
};

}  // namespace

void set_up_log(const std::string& program, const std::string& level) {
  auto logger = spdlog::stderr_logger_mt(program);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<OneLine>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace fovea::federation::io
