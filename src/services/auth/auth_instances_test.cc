// Several instances of the Auth service over one store.

#include <gtest/gtest.h>

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/auth/auth_testing.h"

namespace vectron::auth {
namespace {

using absl::StatusCode;

// Hands commits on in pairs: the first of two waits until the other is there, as when two instances
// have both read before either has written.
class PairedCommits : public MetaStore {
 public:
  explicit PairedCommits(MetaStore& store) : store_(store) {}
  void Pair() {
    const absl::MutexLock lock(&mutex_);
    expected_ = 2;
  }
  absl::StatusOr<std::vector<MetaEntry>> Read(const std::string& prefix) override {
    return store_.Read(prefix);
  }
  absl::StatusOr<int64_t> Commit(const MetaTxn& txn) override {
    {
      const absl::MutexLock lock(&mutex_);
      if (expected_ > 0) --expected_;
      const auto all_here = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return expected_ == 0; };
      mutex_.Await(absl::Condition(&all_here));
    }
    return store_.Commit(txn);
  }
  std::unique_ptr<MetaSubscription> Subscribe(const std::string& prefix,
                                              MetaListener& listener) override {
    return store_.Subscribe(prefix, listener);
  }
  bool tells_at_once() const override { return store_.tells_at_once(); }

 private:
  MetaStore& store_;
  absl::Mutex mutex_;
  int expected_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(AuthTest, KeepsAnAdministratorWhenTwoInstancesLetTheLastTwoGo) {
  const std::string first = RegisterAdmin().id();
  const std::string admin = *Login("admin@example.org");
  const std::string second = Register("second@example.org")->id();
  const auto set_role = [](const std::string& id, v1::Role role) {
    v1::UpdateUserRequest request;
    request.set_user_id(id);
    request.set_role(role);
    return request;
  };
  ASSERT_TRUE(
      Call<v1::UpdateUserResponse>("UpdateUser", set_role(second, v1::ROLE_ADMIN), Bearer(admin))
          .ok());
  Close();
  const std::unique_ptr<MetaStore> store = std::move(store_);
  auto paired = std::make_unique<PairedCommits>(*store);
  PairedCommits& commits = *paired;
  store_ = std::move(paired);
  OpenAuth();
  const std::unique_ptr<Auth> one_auth = std::move(auth_);
  const std::unique_ptr<rpc::VerdictCache> one_verdicts = std::move(verdicts_);
  const std::unique_ptr<rpc::RpcRegistry> one = std::move(registry_);
  OpenAuth();
  commits.Pair();
  absl::Status of_first;
  absl::Status of_second;
  std::thread other([&] {
    of_first = Call<v1::UpdateUserResponse>("UpdateUser", set_role(first, v1::ROLE_USER),
                                            Bearer(admin), one.get())
                   .status();
  });
  of_second =
      Call<v1::UpdateUserResponse>("UpdateUser", set_role(second, v1::ROLE_USER), Bearer(admin))
          .status();
  other.join();
  EXPECT_NE(of_first.ok(), of_second.ok()) << of_first << " " << of_second;
  const absl::Status refused = of_first.ok() ? of_second : of_first;
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  Close();
}

}  // namespace
}  // namespace vectron::auth
