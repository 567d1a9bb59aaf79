#include "federation/io/program_log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "federation/io/line_writer.h"

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

class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(std::shared_ptr<LineWriter> lines) : lines_(std::move(lines)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    lines_->write(STDERR_FILENO, std::string(text.data(), text.size()));
  }
  void flush_() override {}

 private:
  std::shared_ptr<LineWriter> lines_;
};

}  // namespace

void set_up_log(const std::string& program, const std::string& level, Console& console) {
  auto lines = std::make_shared<LineWriter>();
  console.writer = [lines](int descriptor, std::string text) { lines->write(descriptor, std::move(text)); };
  auto logger = std::make_shared<spdlog::logger>(program, std::make_shared<LineSink>(std::move(lines)));
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<OneLine>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace fovea::federation::io
