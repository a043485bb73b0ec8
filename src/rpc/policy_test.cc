#include "rpc/policy.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/call_context_testing.h"
#include "rpc/cluster_secret.h"

namespace vectron::rpc {
namespace {

using absl::StatusCode;

TEST(PolicyTable, HasEveryRpcOnceAndAgreesWithTheOptions) {
  std::set<std::string_view> names;
  for (const PolicyRow& row : PolicyTable()) {
    EXPECT_TRUE(names.insert(row.rpc).second) << row.rpc;
    EXPECT_NE(row.scope, options::SCOPE_UNSPECIFIED) << row.rpc;
  }
  Metrics metrics;
  const SystemClock clock;
  RpcRegistry registry(metrics, clock, {});
  ASSERT_TRUE(registry.AddService("vectron.v1.VectronService").ok());
  ASSERT_TRUE(registry.AddService("vectron.auth.v1.AuthService").ok());
  for (const auto& method : registry.methods()) EXPECT_TRUE(names.contains(method->name()));
}

// Who may use what, written out by hand.
TEST(Policy, AllowsExactlyWhatEachScopeSays) {
  const auto login = UserNamed("u");
  const auto admin = UserNamed("a", Role::kAdmin);
  const auto read_key = UserNamed("u", Role::kUser, CredentialKind::kApiKey, Access::kRead);
  const auto write_key = UserNamed("u", Role::kUser, CredentialKind::kApiKey, Access::kWrite);
  const auto sdk = UserNamed("u", Role::kUser, CredentialKind::kSdk, Access::kWrite);
  const auto admin_key = UserNamed("a", Role::kAdmin, CredentialKind::kApiKey, Access::kAdmin);
  const auto admin_write_key =
      UserNamed("a", Role::kAdmin, CredentialKind::kApiKey, Access::kWrite);
  const auto admin_sdk = UserNamed("a", Role::kAdmin, CredentialKind::kSdk, Access::kWrite);
  const IdentityPtr nobody;
  const std::vector<IdentityPtr> callers = {nobody, login,     admin,           read_key, write_key,
                                            sdk,    admin_key, admin_write_key, admin_sdk};
  struct Row {
    options::Scope scope;
    const char* allowed;  // one character per caller: y, or n
  };
  constexpr Row kRows[] = {
      {options::SCOPE_PUBLIC, "yyyyyyyyy"},     {options::SCOPE_READ, "nyyyyyyyy"},
      {options::SCOPE_WRITE, "nyynyyyyy"},      {options::SCOPE_USER, "nyynnnnnn"},
      {options::SCOPE_ADMIN, "nnynnnynn"},      {options::SCOPE_INTERNAL, "nnnnnnnnn"},
      {options::SCOPE_UNSPECIFIED, "nnnnnnnnn"}};
  for (const Row& row : kRows) {
    for (size_t i = 0; i < callers.size(); ++i) {
      const absl::Status status = Allows(row.scope, callers[i].get(), false);
      const StatusCode refused =
          callers[i] == nullptr ? StatusCode::kUnauthenticated : StatusCode::kPermissionDenied;
      EXPECT_EQ(status.code(), row.allowed[i] == 'y' ? StatusCode::kOk : refused)
          << options::Scope_Name(row.scope) << " caller " << i;
    }
  }
  EXPECT_TRUE(Allows(options::SCOPE_INTERNAL, nullptr, true).ok());
  EXPECT_FALSE(Allows(options::SCOPE_READ, nullptr, true).ok()) << "the cluster is no user";
}

TEST(Policy, AKeyThatIsHeldToCollectionsActsForNoAdministrator) {
  Identity key = *UserNamed("a", Role::kAdmin, CredentialKind::kApiKey, Access::kAdmin);
  EXPECT_TRUE(Allows(options::SCOPE_ADMIN, &key, false).ok());
  key.collections = {"docs-*"};
  EXPECT_TRUE(absl::IsPermissionDenied(Allows(options::SCOPE_ADMIN, &key, false)));
  EXPECT_TRUE(Allows(options::SCOPE_WRITE, &key, false).ok());
}

// Knows two credentials.
class FakeVerifier : public CredentialVerifier {
 public:
  void Verify(std::string_view credential, std::function<void(Verdict)> done) override {
    Verdict verdict{.identity = Unauthenticated("unknown")};
    if (credential == "user") verdict.identity = UserNamed("user-1");
    if (credential == "admin") verdict.identity = UserNamed("user-2", Role::kAdmin);
    done(std::move(verdict));
  }
};

class PolicyMiddlewareTest : public testing::Test {
 protected:
  absl::Status Call(options::Scope scope, std::map<std::string, std::string, std::less<>> headers) {
    context_ = std::make_unique<FakeCallContext>(RouteRule{"test", scope, "read", false});
    context_->headers = std::move(headers);
    absl::Status result = Internal("not called");
    middleware_(*context_, [&result](absl::Status status) { result = std::move(status); });
    return result;
  }

  Metrics metrics_;
  ManualClock clock_;
  FakeVerifier verifier_;
  VerdictCache verdicts_{verifier_, clock_, metrics_};
  Middleware middleware_ =
      PolicyMiddleware({.verdicts = &verdicts_, .cluster_secret = "0123456789abcdef"});
  std::unique_ptr<FakeCallContext> context_;
};

TEST_F(PolicyMiddlewareTest, TakesTheCredentialFromEitherHeader) {
  EXPECT_TRUE(Call(options::SCOPE_READ, {{"authorization", "Bearer user"}}).ok());
  EXPECT_EQ(context_->tenant, "user-1");
  EXPECT_TRUE(Call(options::SCOPE_READ, {{"authorization", "bearer user"}}).ok());
  EXPECT_TRUE(Call(options::SCOPE_READ, {{"x-api-key", "user"}}).ok());
  for (const char* bad :
       {"", "user", "Basic user", "Bearer", "Bearer ", "Bearer other", "Bearer  user"}) {
    EXPECT_EQ(Call(options::SCOPE_READ, {{"authorization", bad}, {"x-api-key", "user"}}).code(),
              StatusCode::kUnauthenticated)
        << "'" << bad << "'";
  }
}

TEST_F(PolicyMiddlewareTest, AsksNothingOnPublicRoutes) {
  EXPECT_TRUE(Call(options::SCOPE_PUBLIC, {{"authorization", "Bearer stale"}}).ok());
  EXPECT_EQ(context_->identity, nullptr);
}

TEST_F(PolicyMiddlewareTest, LetsAdministratorsActForATenant) {
  const std::string tenant = "user-01234567-89ab-4def-8123-456789abcdef";
  EXPECT_TRUE(
      Call(options::SCOPE_READ, {{"authorization", "Bearer admin"}, {"x-vectron-tenant", tenant}})
          .ok());
  EXPECT_EQ(context_->tenant, tenant);
  EXPECT_EQ(context_->identity->user_id, "user-2");
  EXPECT_EQ(
      Call(options::SCOPE_READ, {{"authorization", "Bearer user"}, {"x-vectron-tenant", "user-2"}})
          .code(),
      StatusCode::kPermissionDenied);
}

TEST_F(PolicyMiddlewareTest, TakesNoTenantThatIsNoUsersId) {
  for (const std::string& wrong :
       {std::string(), std::string("user-ghost"), std::string("../../etc"),
        "user-" + std::string(36, 'g'), "user-" + std::string(37, 'a'),
        "user-" + std::string(35, 'a'), std::string(41, 'a')}) {
    EXPECT_EQ(
        Call(options::SCOPE_WRITE, {{"authorization", "Bearer admin"}, {"x-vectron-tenant", wrong}})
            .code(),
        StatusCode::kInvalidArgument)
        << wrong;
  }
}

TEST_F(PolicyMiddlewareTest, WantsTheClusterSecretOnInternalRoutes) {
  EXPECT_TRUE(Call(options::SCOPE_INTERNAL, {{kClusterSecretHeader, "0123456789abcdef"}}).ok());
  for (const char* wrong : {"", "0123456789abcdeg", "0123456789abcde", "0123456789abcdef0"}) {
    EXPECT_EQ(Call(options::SCOPE_INTERNAL, {{kClusterSecretHeader, wrong}}).code(),
              StatusCode::kUnauthenticated);
  }
  EXPECT_EQ(Call(options::SCOPE_INTERNAL, {{"authorization", "Bearer admin"}}).code(),
            StatusCode::kPermissionDenied);
}

TEST_F(PolicyMiddlewareTest, RefusesEveryoneOnInternalRoutesWithoutASecret) {
  middleware_ = PolicyMiddleware({.verdicts = &verdicts_});
  EXPECT_EQ(Call(options::SCOPE_INTERNAL, {{kClusterSecretHeader, ""}}).code(),
            StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace vectron::rpc
