#include "rpc/verdict_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/call_context_testing.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;

// Answers when told to.
class SlowVerifier : public CredentialVerifier {
 public:
  explicit SlowVerifier(const Clock& clock) : clock_(clock) {}
  void Verify(std::string_view credential, std::function<void(Verdict)> done) override {
    ++asked;
    waiting.emplace_back(std::string(credential), std::move(done));
    if (at_once) Answer(UserNamed(std::string(credential)));
  }
  uint64_t generation() const override { return present; }
  void Answer(absl::StatusOr<IdentityPtr> identity) {
    for (auto& [credential, done] : std::exchange(waiting, {})) {
      done({.identity = identity,
            .good_until_nanos = clock_.MonotonicNanos() + 100 * kNanosPerMs,
            .generation = present});
    }
  }

  bool at_once = true;
  int asked = 0;
  uint64_t present = 7;
  std::vector<std::pair<std::string, std::function<void(Verdict)>>> waiting;

 private:
  const Clock& clock_;
};

class VerdictCacheTest : public testing::Test {
 protected:
  absl::Status Check(std::string_view credential) {
    absl::Status result = Internal("not called");
    cache_.Check(credential, [&result](const absl::StatusOr<IdentityPtr>& identity) {
      result = identity.status();
    });
    return result;
  }

  Metrics metrics_;
  ManualClock clock_;
  SlowVerifier verifier_{clock_};
  VerdictCache cache_{verifier_, clock_, metrics_};
};

TEST_F(VerdictCacheTest, AsksOnceWhileTheVerdictHolds) {
  EXPECT_TRUE(Check("a").ok());
  EXPECT_TRUE(Check("a").ok());
  EXPECT_EQ(verifier_.asked, 1);
  EXPECT_TRUE(Check("b").ok());
  EXPECT_EQ(verifier_.asked, 2);
  clock_.AdvanceMillis(100);
  EXPECT_TRUE(Check("a").ok());
  EXPECT_EQ(verifier_.asked, 3);
}

TEST_F(VerdictCacheTest, AsksAgainWhenTheGenerationHasChanged) {
  EXPECT_TRUE(Check("a").ok());
  ++verifier_.present;
  EXPECT_TRUE(Check("a").ok());
  EXPECT_EQ(verifier_.asked, 2);
}

TEST_F(VerdictCacheTest, AsksOnceForManyCallsThatWait) {
  verifier_.at_once = false;
  int answers = 0;
  for (int i = 0; i < 5; ++i) {
    cache_.Check("a", [&answers](const absl::StatusOr<IdentityPtr>& identity) {
      EXPECT_TRUE(identity.ok());
      ++answers;
    });
  }
  EXPECT_EQ(verifier_.asked, 1);
  EXPECT_EQ(answers, 0);
  verifier_.Answer(UserNamed("u"));
  EXPECT_EQ(answers, 5);
}

TEST_F(VerdictCacheTest, NeverRemembersThatItCouldNotKnow) {
  verifier_.at_once = false;
  for (int i = 1; i <= 2; ++i) {
    cache_.Check("a", [](const absl::StatusOr<IdentityPtr>& identity) {
      EXPECT_TRUE(absl::IsUnavailable(identity.status()));
    });
    EXPECT_EQ(verifier_.asked, i);
    verifier_.Answer(Unavailable("away"));
  }
}

TEST_F(VerdictCacheTest, RefusesWhatIsTooLongWithoutAsking) {
  EXPECT_TRUE(absl::IsUnauthenticated(Check("")));
  EXPECT_TRUE(absl::IsUnauthenticated(Check(std::string(kMaxCredentialBytes + 1, 'x'))));
  EXPECT_EQ(verifier_.asked, 0);
}

TEST_F(VerdictCacheTest, KeepsWhatIsUsedWhenItIsFull) {
  for (size_t i = 0; i < 2 * VerdictCache::kMaxEntries; ++i) {
    EXPECT_TRUE(Check(std::to_string(i)).ok());
    if (i % 1'000 == 0) {
      EXPECT_TRUE(Check("often").ok());
    }
  }
  const int before = verifier_.asked;
  EXPECT_TRUE(Check("often").ok());
  EXPECT_EQ(verifier_.asked, before);
  EXPECT_TRUE(Check("1").ok());
  EXPECT_EQ(verifier_.asked, before + 1) << "the first ones should be forgotten";
}

class BadCredentialsTest : public VerdictCacheTest {
 protected:
  // A new cache; credentials that begin with "good" are.
  BadCredentialsTest() { verifier_.at_once = false; }
  absl::Status Show(const std::string& credential, const std::string& address) {
    absl::Status result = Internal("not called");
    limited_.Check(
        credential,
        [&result](const absl::StatusOr<IdentityPtr>& identity) { result = identity.status(); },
        address);
    if (credential.starts_with("good")) {
      verifier_.Answer(UserNamed(credential));
    } else {
      verifier_.Answer(Unauthenticated("unknown"));
    }
    return result;
  }

  VerdictCache limited_{verifier_, clock_, metrics_, 3};
};

TEST_F(BadCredentialsTest, AreLimitedByAddress) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsUnauthenticated(Show(fmt::format("bad {}", i), "10.0.0.1")));
  }
  const absl::Status refused = Show("bad 3", "10.0.0.1");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_NEAR(static_cast<double>(RetryAfterMillis(refused).value_or(0)), 20'000, 1);
  EXPECT_EQ(verifier_.asked, 3);
  EXPECT_TRUE(absl::IsUnauthenticated(Show("bad 0", "10.0.0.1"))) << "is known";
  EXPECT_TRUE(absl::IsUnauthenticated(Show("bad 3", "10.0.0.2")));
  EXPECT_TRUE(absl::IsUnauthenticated(Show("bad 4", "")));
  clock_.AdvanceMillis(21'000);
  EXPECT_TRUE(absl::IsUnauthenticated(Show("bad 5", "10.0.0.1")));
  EXPECT_TRUE(absl::IsResourceExhausted(Show("bad 6", "10.0.0.1")));
}

TEST_F(BadCredentialsTest, GoodOnesOfTheAddressGoOn) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Show(fmt::format("good {}", i), "10.0.0.1").ok()) << "costs nothing";
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsUnauthenticated(Show(fmt::format("bad {}", i), "10.0.0.1")));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Show("good and new", "10.0.0.1")));
  clock_.AdvanceMillis(1'000);  // no verdict holds any more
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Show(fmt::format("good {}", i), "10.0.0.1").ok());
  }
}

}  // namespace
}  // namespace vectron::rpc
