// Failure class: a word that the program does not expect, and a hint that leads to the next refusal.
#include "common/command_line.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "common/console.h"

namespace fovea {
namespace {

// What is said about a line that is refused.
std::string refusal_of(std::vector<std::string> words) {
  Console console;
  CLI::App app("a program", "fovea-test");
  add_program_options(app, console);
  std::string text;
  auto* init = app.add_subcommand("init", "");
  init->add_option("--host", text, "");
  auto* amend = app.add_subcommand("amend", "");
  amend->add_option("--endpoint", text, "");
  auto* plan = app.add_subcommand("plan", "");
  plan->require_subcommand(1);
  plan->add_subcommand("show", "")->add_option("--output", text, "");
  words.insert(words.begin(), "fovea-test");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_command_line(app, static_cast<int>(argv.size()), argv.data(), console), 2);
  return ::testing::internal::GetCapturedStderr();
}

TEST(CommandLine, SuggestsWhatTheCommandThatWasTypedTakes) {
  EXPECT_NE(refusal_of({"amend", "--endpont", "x"}).find("did you mean \"--endpoint\"?"), std::string::npos);
  EXPECT_NE(refusal_of({"amend", "--jsno"}).find("did you mean \"--json\"?"), std::string::npos);
  EXPECT_NE(refusal_of({"plan", "shwo"}).find("did you mean \"show\"?"), std::string::npos);
  EXPECT_NE(refusal_of({"amned"}).find("did you mean \"amend\"?"), std::string::npos);
}

TEST(CommandLine, AnOptionOfAnotherCommandIsNotSuggestedButPlaced) {
  const std::string said = refusal_of({"amend", "--host", "x"});
  EXPECT_EQ(said.find("did you mean"), std::string::npos) << said;
  EXPECT_NE(said.find("\"--host\" is an option of \"init\""), std::string::npos) << said;
  EXPECT_NE(refusal_of({"init", "--output=x"}).find("\"--output\" is an option of \"plan show\""), std::string::npos);
  EXPECT_EQ(refusal_of({"amend", "--hostt", "x"}).find("did you mean \"--host\""), std::string::npos);
}

}  // namespace
}  // namespace fovea
