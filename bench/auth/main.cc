// vectron_bench_auth: what checking a credential costs.
//
// Prints nanoseconds of processor time per call of one thread, median of runs: the verdict of a
// token and of a key without the cache ("uncached"), with it ("cached"), and all that runs before a
// handler (policy, rates, admission), cached.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/temp_dir.h"
#include "rpc/admission.h"
#include "rpc/call_context_testing.h"
#include "rpc/policy.h"
#include "rpc/rate_limit.h"
#include "rpc/rpc_registry.h"
#include "services/auth/auth.h"
#include "services/auth/embedded_meta_store.h"
#include "storage/memory_kv.h"

namespace vectron {
namespace {

constexpr int kRuns = 21;
constexpr int kCallsPerRun = 20'000;

int64_t CpuNanos() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Report(const std::string& name, const std::function<void()>& call) {
  std::vector<double> nanos;
  for (int run = 0; run < kRuns; ++run) {
    const int64_t begin = CpuNanos();
    for (int i = 0; i < kCallsPerRun; ++i) call();
    nanos.push_back(static_cast<double>(CpuNanos() - begin) / kCallsPerRun);
  }
  std::sort(nanos.begin(), nanos.end());
  fmt::print("{:<36} {:>8.0f} ns\n", name, nanos[nanos.size() / 2]);
}

class Bench {
 public:
  Bench() {
    store_ = *auth::EmbeddedMetaStore::Open(
        std::make_unique<storage::MemoryKv>(1, storage::WriteAheadLog::kOn), clock_);
    auth_ = *auth::Auth::Open(
        {.secret_file = dir_ / "secret",
         .bootstrap_file = dir_ / "bootstrap",
         .hash_cost = {.memory_kib = 64, .passes = 1}},
        {.store = store_.get(),
         .clock = &clock_,
         .metrics = &metrics_,
         .remove_collections = [](const std::string&, auto done) { done(absl::OkStatus()); }});
    CHECK(auth_->Register(registry_).ok());
    CHECK(registry_.AddService("vectron.v1.VectronService").ok());
    verdicts_ = std::make_unique<rpc::VerdictCache>(auth_->verifier(), clock_, metrics_);
    policy_ = rpc::PolicyMiddleware({.verdicts = verdicts_.get()});
  }

  void Run() {
    auth::v1::RegisterUserRequest user;
    user.set_email("a@example.org");
    user.set_password("Correct-Horse-1");
    Call<auth::v1::RegisterUserResponse>("RegisterUser", user);
    auth::v1::LoginRequest login;
    login.set_email(user.email());
    login.set_password(user.password());
    const std::string token = Call<auth::v1::LoginResponse>("Login", login).jwt_token();
    identity_ = *auth_->VerifyNow(token).identity;
    auth::v1::CreateAPIKeyRequest make;
    make.set_name("key");
    const std::string key = Call<auth::v1::CreateAPIKeyResponse>("CreateAPIKey", make).full_key();
    auth::v1::CreateSDKJWTRequest sdk;
    sdk.set_api_key_id(key.substr(0, 13));
    const std::string sdk_token =
        Call<auth::v1::CreateSDKJWTResponse>("CreateSDKJWT", sdk).sdk_jwt();
    for (const auto& [name, credential] :
         {std::pair{"login token", token}, std::pair{"SDK token", sdk_token},
          std::pair{"API key", key}}) {
      Report(fmt::format("{}, uncached", name),
             [&] { CHECK(auth_->VerifyNow(credential).identity.ok()); });
      Report(fmt::format("{}, cached", name), [&] {
        verdicts_->Check(credential, [](const auto& identity) { CHECK(identity.ok()); });
      });
      BeforeAHandler(name, credential);
    }
  }

 private:
  void BeforeAHandler(const std::string& name, const std::string& credential) {
    rpc::FakeCallContext call;
    call.method = registry_.Find("vectron.v1.VectronService.Search");
    call.headers["authorization"] = "Bearer " + credential;
    Report(fmt::format("{}, all before a handler", name), [&] {
      policy_(call, [](const absl::Status& status) { CHECK(status.ok()); });
      CHECK(limiter_.Take(call).ok());
      CHECK(admission_.Enter(call).ok());
      admission_.Leave(call, absl::StatusCode::kOk);
    });
  }
  template <typename Response, typename Request>
  Response Call(const std::string& name, Request request) {
    rpc::FakeCallContext context;
    context.identity = identity_;
    const rpc::RpcMethod* method = registry_.Find("vectron.auth.v1.AuthService." + name);
    Response response;
    absl::Notification done;
    method->unary(context, request, response, [&](const absl::Status& status) {
      CHECK(status.ok());
      done.Notify();
    });
    done.WaitForNotification();
    return response;
  }

  TempDir dir_;
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<auth::MetaStore> store_;
  std::unique_ptr<auth::Auth> auth_;
  std::unique_ptr<rpc::VerdictCache> verdicts_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  rpc::Middleware policy_;
  rpc::RateLimiter limiter_{{.free_per_second = 1e9}, clock_, metrics_};
  rpc::Admission admission_{{}, clock_, metrics_};
  rpc::IdentityPtr identity_;
};

}  // namespace
}  // namespace vectron

int main() {
  vectron::Bench().Run();
  return 0;
}
