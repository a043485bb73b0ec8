#include "apps/vectron/auth_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "rpc/credential_verifier.h"

namespace vectron {
namespace {

using testing::HasSubstr;

class AuthWatchTest : public testing::Test {
 protected:
  // What the service answers to the questions that are open.
  void Answer(const absl::Status& status) {
    for (const auto& done : std::exchange(asked_, {})) done(status);
  }
  void Ask(const absl::Status& status) {
    watch_.Tick();
    Answer(status);
  }

  ManualClock clock_;
  std::vector<std::function<void(absl::Status)>> asked_;
  AuthWatch watch_{[this](auto done) { asked_.push_back(std::move(done)); }, clock_};
};

TEST_F(AuthWatchTest, IsNotReadyBeforeTheServiceHasAnsweredOnce) {
  EXPECT_THAT(watch_.Problem(), HasSubstr("not answered yet"));
  Ask(absl::UnavailableError("no connection"));
  EXPECT_THAT(watch_.Problem(), HasSubstr("not answered yet"));
  Ask(absl::OkStatus());
  EXPECT_EQ(watch_.Problem(), "");
}

TEST_F(AuthWatchTest, TellsAnOutageWhenNoVerdictIsRememberedAnyLonger) {
  Ask(absl::OkStatus());
  clock_.AdvanceMillis(1'000);
  Ask(absl::UnavailableError("connect to 10.0.0.7:8091: refused"));
  EXPECT_EQ(watch_.Problem(), "");
  clock_.AdvanceMillis(rpc::kMaxRemoteVerdictMs - 1'000);
  EXPECT_EQ(watch_.Problem(), "");
  clock_.AdvanceMillis(1);
  EXPECT_THAT(watch_.Problem(), HasSubstr("does not answer"));
  EXPECT_THAT(watch_.Problem(), testing::Not(HasSubstr("10.0.0.7"))) << "everyone reads it";
  Ask(absl::OkStatus());
  EXPECT_EQ(watch_.Problem(), "");
}

TEST_F(AuthWatchTest, AsksOneQuestionAtATime) {
  watch_.Tick();
  watch_.Tick();
  EXPECT_EQ(asked_.size(), 1u);
  Answer(absl::OkStatus());
  watch_.Tick();
  EXPECT_EQ(asked_.size(), 1u);
  Answer(absl::OkStatus());
}

TEST_F(AuthWatchTest, ASlowAnswerThatIsGoodIsNoOutage) {
  Ask(absl::OkStatus());
  watch_.Tick();
  clock_.AdvanceMillis(rpc::kMaxRemoteVerdictMs + 1);
  EXPECT_EQ(watch_.Problem(), "") << "nothing has failed";
  Answer(absl::OkStatus());
  EXPECT_EQ(watch_.Problem(), "");
}

}  // namespace
}  // namespace vectron
