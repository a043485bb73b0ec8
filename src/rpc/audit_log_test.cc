#include "rpc/audit_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/temp_dir.h"
#include "model/json_check.h"
#include "rpc/call_context_testing.h"
#include "rpc/policy.h"

namespace vectron::rpc {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

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

TEST(AuditLine, SaysWhatWasAskedForAndThatTheClusterAskedIt) {
  FakeCallContext call(
      {"vectron.auth.v1.AuthService.SetSubscription", options::SCOPE_INTERNAL, "write", true});
  call.audit_detail = "plan=PAID";
  const std::string line = AuditLine(call, StatusCode::kOk, 0);
  EXPECT_THAT(line, HasSubstr("\"detail\":\"plan=PAID\""));
  EXPECT_THAT(line, HasSubstr("\"credential\":\"cluster\""));
  EXPECT_THAT(AuditLine(call, StatusCode::kUnauthenticated, 0), Not(HasSubstr("credential")));
}

TEST(AuditKind, TellsActionsFromRefusalsAndFromTheRest) {
  FakeCallContext search;
  search.identity = UserNamed("u");
  EXPECT_EQ(AuditKindOf(search, StatusCode::kOk), AuditKind::kNone);
  EXPECT_EQ(AuditKindOf(search, StatusCode::kNotFound), AuditKind::kNone);
  for (const StatusCode code : {StatusCode::kUnauthenticated, StatusCode::kPermissionDenied,
                                StatusCode::kResourceExhausted})
    EXPECT_EQ(AuditKindOf(search, code), AuditKind::kRefusal);
  const auto kind_of = [](const RouteRule& rule, StatusCode code) {
    FakeCallContext call(rule);
    if (rule.scope != options::SCOPE_INTERNAL)
      call.identity =
          UserNamed("u", rule.scope == options::SCOPE_ADMIN ? Role::kAdmin : Role::kUser);
    return AuditKindOf(call, code);
  };
  EXPECT_EQ(kind_of({"vectron.v1.VectronService.Upsert", options::SCOPE_WRITE, "write", true},
                    StatusCode::kOk),
            AuditKind::kNone);
  EXPECT_EQ(
      kind_of({"vectron.v1.VectronService.DeleteCollection", options::SCOPE_WRITE, "write", true},
              StatusCode::kOk),
      AuditKind::kUserAction);
  EXPECT_EQ(kind_of({"x", options::SCOPE_ADMIN, "write", true}, StatusCode::kOk),
            AuditKind::kAction);
  EXPECT_EQ(kind_of({"GET /v1/admin/stats", options::SCOPE_ADMIN, "read", false}, StatusCode::kOk),
            AuditKind::kNone);
  const RouteRule billing = {"vectron.auth.v1.AuthService.SetSubscription", options::SCOPE_INTERNAL,
                             "write", true};
  EXPECT_EQ(kind_of(billing, StatusCode::kOk), AuditKind::kAction);
  EXPECT_EQ(kind_of(billing, StatusCode::kNotFound), AuditKind::kAction);
  EXPECT_EQ(kind_of(billing, StatusCode::kUnauthenticated), AuditKind::kRefusal);
  const RouteRule data = {"vectron.worker.v1.WorkerService.UpsertPoints", options::SCOPE_INTERNAL,
                          "write", true};
  EXPECT_EQ(kind_of(data, StatusCode::kOk), AuditKind::kNone);
  EXPECT_EQ(kind_of(data, StatusCode::kResourceExhausted), AuditKind::kNone) << "a full worker";
  EXPECT_EQ(kind_of(data, StatusCode::kUnauthenticated), AuditKind::kRefusal);
}

TEST(AuditKind, WhatAdministratorsDoWithOthersDataIsAnAction) {
  for (const RouteRule& rule :
       {RouteRule{"vectron.v1.VectronService.Search", options::SCOPE_READ, "read", false},
        RouteRule{"vectron.v1.VectronService.ListFeedback", options::SCOPE_READ, "read", false},
        RouteRule{"vectron.v1.VectronService.Upsert", options::SCOPE_WRITE, "write", true},
        RouteRule{"vectron.v1.VectronService.GetRanking", options::SCOPE_ADMIN, "read", false}}) {
    FakeCallContext call(rule);
    call.identity = UserNamed("admin", Role::kAdmin);
    call.tenant = "admin";
    EXPECT_EQ(AuditKindOf(call, StatusCode::kOk), AuditKind::kNone) << rule.name;
    call.tenant = "user-1";
    EXPECT_EQ(AuditKindOf(call, StatusCode::kOk), AuditKind::kAction) << rule.name;
    EXPECT_EQ(AuditKindOf(call, StatusCode::kNotFound), AuditKind::kAction) << rule.name;
    EXPECT_THAT(AuditLine(call, StatusCode::kOk, 0), HasSubstr("\"tenant\":\"user-1\""));
  }
}

TEST(AuditKind, ReadingAccountsIsAnAction) {
  FakeCallContext list(
      {"vectron.auth.v1.AuthService.ListUsers", options::SCOPE_ADMIN, "read", false});
  list.identity = UserNamed("admin", Role::kAdmin);
  list.tenant = "admin";
  EXPECT_EQ(AuditKindOf(list, StatusCode::kOk), AuditKind::kAction);
  FakeCallContext own(
      {"vectron.auth.v1.AuthService.GetUserProfile", options::SCOPE_USER, "read", false});
  own.identity = UserNamed("user-1");
  own.tenant = "user-1";
  EXPECT_EQ(AuditKindOf(own, StatusCode::kOk), AuditKind::kNone);
}

TEST(AuditKind, WhatStrangersGetWrongCannotPushActionsOut) {
  FakeCallContext login(
      {"vectron.auth.v1.AuthService.Login", options::SCOPE_PUBLIC, "login", true});
  EXPECT_EQ(AuditKindOf(login, StatusCode::kOk), AuditKind::kUserAction);
  EXPECT_EQ(AuditKindOf(login, StatusCode::kInvalidArgument), AuditKind::kRefusal);
  login.audit_detail = "role=ROLE_ADMIN";
  EXPECT_EQ(AuditKindOf(login, StatusCode::kOk), AuditKind::kAction);
  FakeCallContext validate(
      {"vectron.auth.v1.AuthService.ValidateAPIKey", options::SCOPE_PUBLIC, "validate", true});
  EXPECT_EQ(AuditKindOf(validate, StatusCode::kOk), AuditKind::kNone);
}

// Who adds an internal RPC says here whether it is an action.
TEST(AuditKind, OfEveryInternalRpcIsKnown) {
  std::set<std::string> quiet;
  std::set<std::string> actions;
  for (const PolicyRow& row : PolicyTable()) {
    if (row.scope != options::SCOPE_INTERNAL) continue;
    const std::string rpc(row.rpc);
    (IsInternalAction(rpc) ? actions : quiet).insert(rpc.substr(rpc.rfind('.') + 1));
  }
  EXPECT_THAT(actions, ::testing::ElementsAre("ControlModel", "CreateCollection",
                                              "DeleteCollection", "DrainWorker", "InvalidateCache",
                                              "Rebalance", "RemoveWorker", "SetSubscription"));
  EXPECT_THAT(
      quiet,
      ::testing::ElementsAre(
          "BatchSearch", "BatchStoreVector", "Delete", "DeletePoint", "DeleteVector",
          "DescribeShards", "Exchange", "FetchSnapshot", "Flush", "Get", "GetAuthDetailsForSDK",
          "GetCollectionStatus", "GetLeader", "GetMap", "GetModel", "GetPoint", "GetReranker",
          "GetStrategy", "GetVector", "GetWorker", "Heartbeat", "LearnFeedback", "ListCollections",
          "ListRerankers", "ListWorkers", "ListWorkersForCollection", "Put", "RegisterReranker",
          "RegisterWorker", "Rerank", "RerankerHeartbeat", "ScanShard", "Search", "SearchShards",
          "Status", "StoreVector", "StreamBatchStoreVector", "StreamHNSWSnapshot",
          "StreamHNSWUpdates", "UpsertPoints", "VerifyCredential", "WatchMap"));
}

TEST_F(AuditLogTest, GoesOnBehindWhatIsThereAndIsForItsOwnerOnly) {
  Open(1'000)->Add(AuditKind::kAction, "first");
  {
    const auto log = Open(1'000);
    log->Add(AuditKind::kAction, "second");
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
    log->Add(AuditKind::kAction, line);
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
  for (size_t i = 0; i < 50 * AuditLog::kMaxQueuedLines; ++i) log->Add(AuditKind::kAction, line);
  log->Flush();
  log->Add(AuditKind::kAction, "last");
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

TEST_F(AuditLogTest, KeepsRefusalsApart) {
  const auto log = Open(100);
  log->Add(AuditKind::kAction, "done");
  for (int i = 0; i < 50; ++i) {
    log->Add(AuditKind::kRefusal, std::string(60, 'r'));
    log->Flush();
  }
  EXPECT_EQ(Read("audit.log"), "done\n");
  EXPECT_EQ(Read("refused.log"), std::string(60, 'r') + "\n");
}

TEST_F(AuditLogTest, KeepsWhatAdministratorsDidWhateverUsersDo) {
  const auto log = Open(1'000);
  FakeCallContext act(
      {"vectron.auth.v1.AuthService.UpdateUser", options::SCOPE_ADMIN, "write", true});
  act.identity = UserNamed("user-admin", Role::kAdmin);
  log->Observe(act, StatusCode::kOk);
  for (size_t user = 0; user < 8; ++user) {
    FakeCallContext refresh(
        {"vectron.auth.v1.AuthService.RefreshToken", options::SCOPE_USER, "write", true});
    refresh.identity = UserNamed(fmt::format("user-{}", user));
    for (size_t i = 0; i < AuditLog::kLinesPerUser; ++i) log->Observe(refresh, StatusCode::kOk);
    log->Flush();
  }
  EXPECT_THAT(Read("users.log.2"), HasSubstr("RefreshToken")) << "more than the files hold";
  const std::string audit = Read("audit.log");
  EXPECT_THAT(audit, HasSubstr("user-admin"));
  EXPECT_EQ(std::count(audit.begin(), audit.end(), '\n'), 1);
}

TEST_F(AuditLogTest, CountsWhatOneUserDoesInsteadOfWritingItAll) {
  auto log = Open(1 << 20);
  FakeCallContext refresh(
      {"vectron.auth.v1.AuthService.RefreshToken", options::SCOPE_USER, "write", true});
  refresh.identity = UserNamed("user-1");
  for (size_t i = 0; i < AuditLog::kLinesPerUser + 500; ++i) log->Observe(refresh, StatusCode::kOk);
  refresh.identity = UserNamed("user-2");
  log->Observe(refresh, StatusCode::kOk);
  log->Flush();
  const std::string text = Read("users.log");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), int{AuditLog::kLinesPerUser} + 1);
  EXPECT_THAT(text, HasSubstr("user-2"));
  log.reset();
  EXPECT_THAT(Read("users.log"), HasSubstr("\"more_done\":500,\"user\":\"user-1\"}"));
}

TEST_F(AuditLogTest, CountsTheRefusalsOfOneAddressInsteadOfWritingThemAll) {
  auto log = Open(1 << 20);
  FakeCallContext stranger;
  for (size_t i = 0; i < RefusalLimit::kLinesPerAddress + 7; ++i)
    log->Observe(stranger, StatusCode::kUnauthenticated);
  FakeCallContext other;
  other.client = "10.9.9.9";
  log->Observe(other, StatusCode::kUnauthenticated);
  log->Flush();
  std::string text = Read("refused.log");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), int{RefusalLimit::kLinesPerAddress} + 1);
  EXPECT_THAT(text, Not(HasSubstr("more_refused")));
  clock_.AdvanceMillis(RefusalLimit::kWindowMs);
  log->Observe(stranger, StatusCode::kUnauthenticated);
  log->Flush();
  text = Read("refused.log");
  EXPECT_THAT(text, HasSubstr("\"more_refused\":7,\"client\":\"10.1.2.3\"}"));
  EXPECT_THAT(text.substr(text.find("more_refused")), HasSubstr("Unauthenticated"))
      << "in the next minute it has lines again";
  for (size_t i = 0; i < RefusalLimit::kLinesPerAddress + 2; ++i)
    log->Observe(stranger, StatusCode::kUnauthenticated);
  log.reset();
  EXPECT_THAT(Read("refused.log"), HasSubstr("\"more_refused\":3,"))
      << "nothing is lost at the end";
}

TEST(RefusalLimit, HoldsForAllAddressesTogetherAndRemembersSoManyOfThem) {
  RefusalLimit limit;
  size_t lines = 0;
  constexpr size_t kCalls = 3 * RefusalLimit::kMaxAddresses;
  for (size_t i = 0; i < kCalls; ++i)
    lines += limit.Admit(fmt::format("10.0.{}.{}", i / 256, i % 256), 5) ? 1 : 0;
  EXPECT_EQ(lines, RefusalLimit::kLines);
  EXPECT_TRUE(limit.TakeEnded(RefusalLimit::kWindowMs + 4).empty()) << "the minute is not over";
  const auto more = limit.TakeEnded(RefusalLimit::kWindowMs + 5);
  EXPECT_LE(more.size(), RefusalLimit::kMaxAddresses + 1);
  uint64_t counted = 0;
  for (const RefusalLimit::More& of : more) counted += of.count;
  EXPECT_EQ(lines + counted, kCalls);
  EXPECT_EQ(more.front().address, "") << "those beyond share a count";
}

TEST(RefusalLimit, CountsANetworkOfIpv6AsOneAddress) {
  RefusalLimit limit;
  size_t lines = 0;
  for (size_t i = 0; i < 100; ++i)
    lines += limit.Admit(fmt::format("2001:db8::{:x}", i), 0) ? 1 : 0;
  EXPECT_EQ(lines, RefusalLimit::kLinesPerAddress);
}

}  // namespace
}  // namespace vectron::rpc
