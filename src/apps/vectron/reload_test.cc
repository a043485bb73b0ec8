#include "apps/vectron/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "apps/vectron/access_flags.h"
#include "apps/vectron/operator_flags.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace vectron {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The options of a gateway, parsed.
struct Reading {
  explicit Reading(const std::string& arguments) {
    AddLogLevelFlag(app);
    AddAccessFlags(app, access);
    AddOperatorFlags(app, operators);
    app.parse(arguments);
  }

  CLI::App app{"test"};
  AccessFlags access;
  OperatorOptions operators;
};

TEST(LiveSettings, AreWhatTheOptionsSay) {
  const Reading reading(
      "--log-level warning --rate-free-per-second 7 --auth-login-per-minute 8 --slow-query-ms 9 "
      "--alert-disk-percent 10 --alert-latency-ms 11");
  const LiveSettings settings = LiveSettingsOf(reading.app);
  EXPECT_EQ(settings.log_level, LogLevel::kWarning);
  EXPECT_EQ(settings.limits.free_per_second, 7);
  EXPECT_EQ(settings.limits.login_per_minute, 8);
  EXPECT_EQ(settings.slow_query_ms, 9);
  EXPECT_EQ(settings.thresholds.disk_percent, 10);
  EXPECT_EQ(settings.thresholds.latency_ms, 11);
}

TEST(LiveSettings, AreTheDefaultsWhereOptionsSayNothing) {
  const Reading reading("");
  const LiveSettings settings = LiveSettingsOf(reading.app);
  const LiveSettings defaults;
  EXPECT_EQ(settings.log_level, defaults.log_level);
  EXPECT_EQ(settings.limits.paid_per_second, defaults.limits.paid_per_second);
  EXPECT_EQ(settings.thresholds.error_percent, defaults.thresholds.error_percent);
  const CLI::App without{"test"};
  EXPECT_EQ(LiveSettingsOf(without).slow_query_ms, defaults.slow_query_ms);
}

TEST(CompareOptions, TellsWhatTakesEffectAndWhatNeedsARestart) {
  const Reading before("--console-prefix /a --trusted-proxy 10.0.0.1 --slow-query-ms 1");
  const Reading after(
      "--console-prefix /b --trusted-proxy 10.0.0.1 --trusted-proxy 10.0.0.2 "
      "--rate-free-per-second "
      "5");
  const ChangedOptions changed = CompareOptions(before.app, after.app);
  EXPECT_THAT(changed.live, ElementsAre("rate-free-per-second", "slow-query-ms"));
  EXPECT_THAT(changed.at_restart, ElementsAre("trusted-proxy", "console-prefix"));
  const ChangedOptions none = CompareOptions(after.app, after.app);
  EXPECT_THAT(none.live, IsEmpty());
  EXPECT_THAT(none.at_restart, IsEmpty());
}

TEST(CompareFiles, NamesTheOptionWhoseFileIsAnotherOne) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  const std::string secret = dir.path() + "/secret";
  const Reading reading("--cluster-secret-file " + secret);
  const auto missing = FilesReadAtStart(reading.app, *files);
  ASSERT_TRUE(files->WriteAtomically(secret, "one").ok());
  const auto before = FilesReadAtStart(reading.app, *files);
  ASSERT_TRUE(files->WriteAtomically(secret, "another").ok());
  const auto after = FilesReadAtStart(reading.app, *files);
  EXPECT_THAT(CompareFiles(before, after), ElementsAre("cluster-secret-file"));
  EXPECT_THAT(CompareFiles(after, after), IsEmpty());
  EXPECT_THAT(CompareFiles(missing, after), IsEmpty()) << "what it was is not known";
}

}  // namespace
}  // namespace vectron
