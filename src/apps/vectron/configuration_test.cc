#include "apps/vectron/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;

class ConfigurationTest : public ::testing::Test {
 protected:
  ConfigurationTest() {
    role_.add_option("--http", http_, "Where")->capture_default_str();
    role_.add_option("--beat-ms", beat_ms_, "How often")->capture_default_str();
    role_.add_option("--api-key", key_, "Who");
    role_.add_option("--proxy", proxies_, "Through whom");
    role_.add_flag("--search-only", search_only_, "Never votes");
    AddConfiguration(app_);
  }
  ~ConfigurationTest() override { ::unsetenv("VECTRON_BEAT_MS"); }

  std::string File(const std::string& text) {
    const std::string path = dir_ / "role.toml";
    std::ofstream(path) << text;
    return path;
  }
  // Parses as main does; the error's message, "" for none.
  std::string Parse(const std::vector<std::string>& args) {
    auto all = WithConfiguration(app_, args);
    if (!all.ok()) return std::string(MessageOf(all.status()));
    std::reverse(all->begin(), all->end());
    app_.parse(*all);
    return "";
  }

  TempDir dir_;
  CLI::App app_{"test"};
  CLI::App& role_ = *app_.add_subcommand("worker", "Works.");
  std::string http_ = "here:1";
  int beat_ms_ = 5;
  std::string key_;
  std::vector<std::string> proxies_;
  bool search_only_ = false;
};

TEST_F(ConfigurationTest, FlagsWinOverTheEnvironmentAndThatOverTheFile) {
  const std::string file = File("http = \"file:1\"\nbeat-ms = 7\nsearch-only = true\n");
  EXPECT_EQ(Parse({"worker", "--config", file}), "");
  EXPECT_EQ(http_, "file:1");
  EXPECT_EQ(beat_ms_, 7);
  EXPECT_TRUE(search_only_);
  ::setenv("VECTRON_BEAT_MS", "8", 1);
  EXPECT_EQ(Parse({"worker", "--config=" + file}), "");
  EXPECT_EQ(beat_ms_, 8);
  EXPECT_EQ(Parse({"worker", "--beat-ms", "9", "--config", file}), "");
  EXPECT_EQ(beat_ms_, 9);
  EXPECT_EQ(http_, "file:1");
}

TEST_F(ConfigurationTest, ListsAreTakenWhole) {
  EXPECT_EQ(Parse({"worker", "--config", File("proxy = [\"a\", \"b\"]\n"), "--proxy", "c"}), "");
  EXPECT_THAT(proxies_, ::testing::ElementsAre("a", "b", "c"));
}

TEST_F(ConfigurationTest, AnUnknownKeyIsAnErrorThatNamesTheNearest) {
  EXPECT_EQ(
      Parse({"worker", "--config", File("# a comment\nhttps = \"x\"\n")}),
      std::string(dir_ / "role.toml") + ":2: unknown option \"https\"; did you mean \"http\"?");
  EXPECT_THAT(Parse({"worker", "--config", File("frobnicate = 1\n")}),
              HasSubstr("`vectron worker --help` lists them"));
}

TEST_F(ConfigurationTest, MisspeltVariablesOfTheEnvironmentAreTold) {
  const std::vector<std::string> theirs = {
      "VECTRON_API",    "VECTRON_BEAT", "VECTRON_BINARY", "VECTRON_HOST",
      "VECTRON_TENANT", "VECTRON_HTTP", "VECTRON_PUT",    "VECTRON_WORKER_SERVICE_PORT"};
  const std::vector<std::string> wrong = {"VECTRON_BEET_MS", "VECTRON_HTPP", "VECTRON_SEARCH_ONL"};
  for (const auto* names : {&theirs, &wrong}) {
    for (const std::string& name : *names) ::setenv(name.c_str(), "1", 1);
  }
  const std::vector<std::string> told = MisspeltEnvironment(app_);
  for (const auto* names : {&theirs, &wrong}) {
    for (const std::string& name : *names) ::unsetenv(name.c_str());
  }
  EXPECT_THAT(told, ::testing::ElementsAre(
                        "the environment has VECTRON_BEET_MS, which is no option; did you mean "
                        "VECTRON_BEAT_MS?",
                        "the environment has VECTRON_HTPP, which is no option; did you mean "
                        "VECTRON_HTTP?",
                        "the environment has VECTRON_SEARCH_ONL, which is no option; did you mean "
                        "VECTRON_SEARCH_ONLY?"));
}

TEST_F(ConfigurationTest, BadFilesAreRefusedWithTheirLine) {
  EXPECT_THAT(Parse({"worker", "--config", File("http = \"a\"\nbeat-ms = = 3\n")}),
              HasSubstr("role.toml:2: "));
  EXPECT_THAT(Parse({"worker", "--config", File("[worker]\nhttp = \"a\"\n")}),
              HasSubstr("role.toml:1: table [worker]"));
  EXPECT_THAT(Parse({"worker", "--config", File("http = [1]\n")}),
              HasSubstr("role.toml:1: http: wanted one value"));
  EXPECT_THAT(Parse({"worker", "--config", dir_ / "none.toml"}),
              HasSubstr("none.toml: cannot be read"));
}

TEST_F(ConfigurationTest, PrintsWhatHoldsAndMasksSecrets) {
  EXPECT_EQ(Parse({"worker", "--api-key", "abc", "--config", File("beat-ms = 7\n")}), "");
  EXPECT_EQ(PrintConfiguration(role_),
            "# vectron worker\nhttp = \"here:1\"\nbeat-ms = 7\napi-key = \"********\"\n# "
            "proxy is unset\n# search-only is unset\n");
}

TEST_F(ConfigurationTest, PrintsListsWholeAndTakesThemAgain) {
  EXPECT_EQ(Parse({"worker", "--proxy", "a", "--proxy", "b"}), "");
  const std::string printed = PrintConfiguration(role_);
  EXPECT_THAT(printed, HasSubstr("proxy = [\"a\", \"b\"]\n"));
  EXPECT_EQ(Parse({"worker", "--config", File(printed)}), "");
  EXPECT_EQ(PrintConfiguration(role_), printed);
}

TEST_F(ConfigurationTest, TheReferenceNamesEveryOption) {
  EXPECT_THAT(ConfigurationReference(app_),
              HasSubstr("| `beat-ms` | `5` | at a restart | How often |"));
  EXPECT_THAT(ConfigurationReference(app_), HasSubstr("## worker\nWorks.\n"));
}

}  // namespace
}  // namespace vectron
