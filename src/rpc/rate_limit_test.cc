#include "rpc/rate_limit.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/admission.h"
#include "rpc/call_context_testing.h"
#include "rpc/client_address.h"
#include "rpc/error_table.h"
#include "rpc/http_message.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(TokenBuckets, GiveTheBurstThenTheRate) {
  TokenBuckets buckets(2, 3);
  int64_t now = 5 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(buckets.Take("a", now), 0);
  const int64_t wait = buckets.Take("a", now);
  EXPECT_EQ(wait, kSecond / 2);
  EXPECT_EQ(buckets.Take("b", now), 0) << "each name has its own";
  now += wait;
  EXPECT_EQ(buckets.Take("a", now), 0);
  EXPECT_GT(buckets.Take("a", now), 0);
  now += 100 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(buckets.Take("a", now), 0);
  EXPECT_GT(buckets.Take("a", now), 0) << "never more than the burst";
}

TEST(TokenBuckets, CountWhoWasActive) {
  TokenBuckets buckets(1, 1);
  buckets.Take("a", kSecond);
  buckets.Take("b", 10 * kSecond);
  EXPECT_EQ(buckets.Active(10 * kSecond, 5 * kSecond), 1u);
  EXPECT_EQ(buckets.Active(10 * kSecond, 20 * kSecond), 2u);
}

TEST(TokenBuckets, ForgetTheOldestWhenThereAreTooMany) {
  TokenBuckets buckets(1, 1);
  for (size_t i = 0; i < 3 * TokenBuckets::kMaxNames; ++i) buckets.Take(std::to_string(i), kSecond);
  EXPECT_LE(buckets.Active(kSecond, kSecond), TokenBuckets::kMaxNames);
}

class RateLimiterTest : public testing::Test {
 protected:
  Metrics metrics_;
  ManualClock clock_;
};

TEST_F(RateLimiterTest, LimitsLoginsPerAddressAndSaysWhenToTryAgain) {
  RateLimiter limiter({.login_per_minute = 5}, clock_, metrics_);
  FakeCallContext call({"Login", options::SCOPE_PUBLIC, "login", true});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.Take(call).ok());
  const absl::Status refused = limiter.Take(call);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(RetryAfterMillis(refused), 12'000);
  call.client = "10.1.2.4";
  EXPECT_TRUE(limiter.Take(call).ok());
  call.client = "10.1.2.3";
  clock_.AdvanceMillis(12'000);
  EXPECT_TRUE(limiter.Take(call).ok());
  EXPECT_EQ(limiter.refused(), 1u);
}

TEST_F(RateLimiterTest, NewLimitsHoldAtOnceAndOthersGoOnAsTheyWere) {
  RateLimiter limiter({.login_per_minute = 1, .register_per_minute = 1}, clock_, metrics_);
  FakeCallContext login({"Login", options::SCOPE_PUBLIC, "login", true});
  FakeCallContext registration({"Register", options::SCOPE_PUBLIC, "register", true});
  EXPECT_TRUE(limiter.Take(login).ok());
  EXPECT_TRUE(limiter.Take(registration).ok());
  limiter.SetLimits({.login_per_minute = 2, .register_per_minute = 1});
  EXPECT_EQ(limiter.limits().login_per_minute, 2);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(limiter.Take(login).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Take(login)));
  EXPECT_TRUE(absl::IsResourceExhausted(limiter.Take(registration))) << "used up before";
  limiter.SetLimits({.login_per_minute = 0, .register_per_minute = 1});
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limiter.Take(login).ok());
}

TEST_F(RateLimiterTest, TakesANetworkOfIpv6AsOneClient) {
  RateLimiter limiter({.login_per_minute = 1}, clock_, metrics_);
  FakeCallContext call({"Login", options::SCOPE_PUBLIC, "login", true});
  call.client = "2001:db8:1:2::1";
  EXPECT_TRUE(limiter.Take(call).ok());
  call.client = "2001:db8:1:2::2";
  EXPECT_FALSE(limiter.Take(call).ok());
  call.client = "2001:db8:1:3::1";
  EXPECT_TRUE(limiter.Take(call).ok());
}

TEST_F(RateLimiterTest, LimitsUsersByTheirPlan) {
  RateLimiter limiter({.free_per_second = 2, .paid_per_second = 4}, clock_, metrics_);
  FakeCallContext call;
  call.identity = UserNamed("free");
  auto paid = std::make_shared<Identity>(*UserNamed("paid"));
  paid->plan = Plan::kPaid;
  const auto count = [&] {
    int taken = 0;
    while (limiter.Take(call).ok()) ++taken;
    return taken;
  };
  EXPECT_EQ(count(), 2);
  call.identity = paid;
  EXPECT_EQ(count(), 4);
  EXPECT_EQ(limiter.active_users(), 2u);
}

TEST_F(RateLimiterTest, DoesNotLimitAtZero) {
  RateLimiter limiter({.login_per_minute = 0, .free_per_second = 0}, clock_, metrics_);
  FakeCallContext login({"Login", options::SCOPE_PUBLIC, "login", true});
  FakeCallContext read;
  read.identity = UserNamed("u");
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(limiter.Take(login).ok());
    EXPECT_TRUE(limiter.Take(read).ok());
  }
}

class AdmissionTest : public RateLimiterTest {
 protected:
  AdmissionTest() : registry_(metrics_, clock_, {}) {
    EXPECT_TRUE(registry_.AddService("vectron.v1.VectronService").ok());
  }
  std::unique_ptr<FakeCallContext> Call(const std::string& user) {
    auto call = std::make_unique<FakeCallContext>();
    call->method = registry_.Find("vectron.v1.VectronService.Search");
    call->start_nanos = clock_.MonotonicNanos();
    call->identity = UserNamed(user);
    return call;
  }
  // One call that takes this long.
  void Took(int64_t millis) {
    const auto call = Call("pace");
    ASSERT_TRUE(admission_.Enter(*call).ok());
    clock_.AdvanceMillis(millis);
    admission_.Leave(*call, absl::StatusCode::kOk);
  }

  RpcRegistry registry_;
  Admission admission_{
      {.max_in_flight_per_caller = 2, .max_managing_per_caller = 1}, clock_, metrics_};
};

TEST_F(AdmissionTest, BoundsTheCallsOfOneCallerOnly) {
  const auto a1 = Call("a");
  const auto a2 = Call("a");
  const auto a3 = Call("a");
  const auto b = Call("b");
  EXPECT_TRUE(admission_.Enter(*a1).ok());
  EXPECT_TRUE(admission_.Enter(*a2).ok());
  const absl::Status refused = admission_.Enter(*a3);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_TRUE(RetryAfterMillis(refused).has_value());
  admission_.Leave(*a3, refused.code());
  EXPECT_TRUE(admission_.Enter(*b).ok());
  admission_.Leave(*a1, absl::StatusCode::kOk);
  const auto a4 = Call("a");
  EXPECT_TRUE(admission_.Enter(*a4).ok());
}

TEST_F(AdmissionTest, GivesManagementRoomOfItsOwn) {
  const auto a1 = Call("a");
  const auto a2 = Call("a");
  EXPECT_TRUE(admission_.Enter(*a1).ok());
  EXPECT_TRUE(admission_.Enter(*a2).ok());
  FakeCallContext manages({"Health", options::SCOPE_READ, "manage", false});
  manages.method = a1->method;
  manages.identity = UserNamed("a");
  EXPECT_TRUE(admission_.Enter(manages).ok());
  FakeCallContext more({"Health", options::SCOPE_READ, "manage", false});
  more.method = a1->method;
  more.identity = UserNamed("a");
  EXPECT_TRUE(absl::IsResourceExhausted(admission_.Enter(more)));
  admission_.Leave(manages, absl::StatusCode::kOk);
  EXPECT_TRUE(admission_.Enter(more).ok());
}

TEST_F(AdmissionTest, ShedsWhatCannotBeAnsweredInTimeAndProbesNowAndThen) {
  for (int i = 0; i < 500; ++i) Took(100);
  int let_in = 0;
  for (int i = 0; i < 32; ++i) {
    const auto call = Call("c");
    call->deadline_nanos = clock_.MonotonicNanos() + 20'000'000;
    const absl::Status status = admission_.Enter(*call);
    if (status.ok()) ++let_in;
    admission_.Leave(*call, absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(let_in, 2);
  Took(5);
  const auto call = Call("c");
  call->deadline_nanos = clock_.MonotonicNanos() + 20'000'000;
  EXPECT_TRUE(admission_.Enter(*call).ok()) << "one quick call shows that the load has gone";
}

TEST_F(AdmissionTest, DoesNotTakeAFewLongCallsForLoad) {
  for (int i = 0; i < 50; ++i) {
    Took(2);
    if (i % 10 == 9) Took(300);
  }
  const auto call = Call("c");
  call->deadline_nanos = clock_.MonotonicNanos() + 20'000'000;
  EXPECT_TRUE(admission_.Enter(*call).ok());
}

TEST(ClientAddress, IsThePeersUnlessATrustedProxySaysOtherwise) {
  const auto proxies = TrustedProxies::Parse({"10.0.0.0/8", "::1"});
  ASSERT_TRUE(proxies.ok());
  FakeCallContext call;
  const auto address = [&](const std::string& peer, const std::string& forwarded) {
    call.peer = peer;
    call.headers["x-forwarded-for"] = forwarded;
    return ClientAddress(call, *proxies, false);
  };
  EXPECT_EQ(address("192.0.2.1:5", "203.0.113.9"), "192.0.2.1") << "no proxy of ours";
  EXPECT_EQ(address("10.0.0.1:5", "203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(address("10.0.0.1:5", "6.6.6.6, 203.0.113.9, 10.9.9.9"), "203.0.113.9");
  EXPECT_EQ(address("[::1]:5", "2001:db8::7"), "2001:db8::7");
  EXPECT_EQ(address("10.0.0.1:5", "rubbish"), "10.0.0.1");
  EXPECT_EQ(address("10.0.0.1:5", ""), "10.0.0.1");
  EXPECT_EQ(address("10.0.0.1:5", "10.0.0.2"), "10.0.0.2");
  call.peer = "192.0.2.1:5";
  call.headers["x-forwarded-for"] = "203.0.113.9";
  EXPECT_EQ(ClientAddress(call, {}, true), "203.0.113.9");
}

TEST(ClientAddress, IsOfTheLineThatTheProxyWrote) {
  HttpRequest request;
  request.SetTarget("/");
  request.AddHeader("X-Forwarded-For", "6.6.6.6");
  request.AddHeader("X-Forwarded-For", "203.0.113.9");
  FakeCallContext call;
  call.peer = "10.0.0.1:5";
  call.headers["x-forwarded-for"] = *request.Header("x-forwarded-for");
  EXPECT_EQ(ClientAddress(call, *TrustedProxies::Parse({"10.0.0.0/8"}), false), "203.0.113.9");
}

TEST(TrustedProxies, RefuseWhatIsNoNetwork) {
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.0/x"}) {
    EXPECT_FALSE(TrustedProxies::Parse({bad}).ok()) << bad;
  }
  const auto proxies = TrustedProxies::Parse({"192.168.4.0/22", "fd00::/7"});
  ASSERT_TRUE(proxies.ok());
  EXPECT_TRUE(proxies->Contains("192.168.7.255"));
  EXPECT_FALSE(proxies->Contains("192.168.8.0"));
  EXPECT_TRUE(proxies->Contains("fc00::1"));
  EXPECT_FALSE(proxies->Contains("fe00::1"));
}

}  // namespace
}  // namespace vectron::rpc
