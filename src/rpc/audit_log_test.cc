#include "rpc/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/temp_dir.h"
#include "rpc/call_context_testing.h"
#include "rpc/json_text.h"

namespace vectron::rpc {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

class AuditLogTest : public testing::Test {
 protected:
  std::unique_ptr<AuditLog> Open(size_t max_file_bytes) {
    auto log =
        AuditLog::Open({.dir = dir_ / "audit", .max_file_bytes = max_file_bytes, .max_files = 3},
                       *files_, clock_, metrics_);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
  std::string Read(const std::string& name) {
    return files_->ReadAll(dir_ / ("audit/" + name)).value_or("(none)");
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  ManualClock clock_;
  Metrics metrics_;
};

TEST(AuditLine, IsOneJsonObjectAndHoldsNoCredential) {
  FakeCallContext call(
      {"vectron.auth.v1.AuthService.DeleteAPIKey", options::SCOPE_USER, "write", true});
  call.headers["authorization"] = "Bearer planted-secret";
  call.identity = UserNamed("user-1", Role::kUser, CredentialKind::kApiKey);
  call.tenant = "user-2";
  call.audit_target = "vkey-abc\n\"x\"";
  const std::string line = AuditLine(call, StatusCode::kOk, 1'700'000'000'123);
  EXPECT_TRUE(CheckJson(line, 2).ok()) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_THAT(line, HasSubstr("\"time\":\"2023-11-14T22:13:20.123Z\""));
  EXPECT_THAT(line, HasSubstr("\"user\":\"user-1\""));
  EXPECT_THAT(line, HasSubstr("\"tenant\":\"user-2\""));
  EXPECT_EQ(line.find("planted-secret"), std::string::npos);
}

TEST(AuditLine, IsWrittenForRefusalsAndAdministration) {
  FakeCallContext search;
  EXPECT_FALSE(IsAudited(search, StatusCode::kOk));
  EXPECT_FALSE(IsAudited(search, StatusCode::kNotFound));
  EXPECT_TRUE(IsAudited(search, StatusCode::kUnauthenticated));
  EXPECT_TRUE(IsAudited(search, StatusCode::kPermissionDenied));
  EXPECT_TRUE(IsAudited(search, StatusCode::kResourceExhausted));
  FakeCallContext upsert({"vectron.v1.VectronService.Upsert", options::SCOPE_WRITE, "write", true});
  EXPECT_FALSE(IsAudited(upsert, StatusCode::kOk));
  FakeCallContext drop(
      {"vectron.v1.VectronService.DeleteCollection", options::SCOPE_WRITE, "write", true});
  EXPECT_TRUE(IsAudited(drop, StatusCode::kOk));
  FakeCallContext rotate({"x", options::SCOPE_ADMIN, "write", true});
  EXPECT_TRUE(IsAudited(rotate, StatusCode::kOk));
  FakeCallContext stats({"GET /v1/admin/stats", options::SCOPE_ADMIN, "read", false});
  EXPECT_FALSE(IsAudited(stats, StatusCode::kOk));
}

TEST_F(AuditLogTest, GoesOnBehindWhatIsThereAndIsForItsOwnerOnly) {
  Open(1'000)->Add("first");
  {
    const auto log = Open(1'000);
    log->Add("second");
    log->Flush();
    EXPECT_EQ(Read("audit.log"), "first\nsecond\n");
  }
  struct stat info {};
  ASSERT_EQ(::stat((dir_ / "audit/audit.log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AuditLogTest, RotatesAndKeepsTheNewestFiles) {
  const auto log = Open(10);
  for (const char* line : {"11111111", "22222222", "33333333", "44444444"}) {
    log->Add(line);
    log->Flush();
  }
  EXPECT_EQ(Read("audit.log"), "44444444\n");
  EXPECT_EQ(Read("audit.log.1"), "33333333\n");
  EXPECT_EQ(Read("audit.log.2"), "22222222\n");
  EXPECT_EQ(Read("audit.log.3"), "(none)");
}

TEST_F(AuditLogTest, SaysHowManyWereDropped) {
  const auto log = Open(size_t{64} << 20);
  const std::string line(40, 'x');
  for (size_t i = 0; i < 50 * AuditLog::kMaxQueuedLines; ++i) log->Add(line);
  log->Flush();
  log->Add("last");
  log->Flush();
  const std::string text = Read("audit.log");
  EXPECT_TRUE(text.ends_with("last\n"));
  const auto lines = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  uint64_t dropped = 0;
  uint64_t notes = 0;
  for (size_t at = text.find("\"dropped\":"); at != std::string::npos;
       at = text.find("\"dropped\":", at + 1)) {
    dropped += std::stoull(text.substr(at + 10));
    ++notes;
  }
  EXPECT_EQ(lines - notes + dropped, 50 * AuditLog::kMaxQueuedLines + 1) << "each line is counted";
}

}  // namespace
}  // namespace vectron::rpc
