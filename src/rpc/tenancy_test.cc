#include "rpc/tenancy.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/call_context_testing.h"
#include "vectron/auth.pb.h"
#include "vectron/vectron.pb.h"

namespace vectron::rpc {
namespace {

constexpr char kUser[] = "user-01234567-89ab-4def-8123-456789abcde5";

class TenantMustExistTest : public testing::Test {
 protected:
  TenantMustExistTest() {
    EXPECT_TRUE(registry_.AddService("vectron.v1.VectronService").ok());
    EXPECT_TRUE(registry_.AddService("vectron.auth.v1.AuthService").ok());
    registry_.Unary<auth::v1::ListUsersRequest, auth::v1::ListUsersResponse>(
        "vectron.auth.v1.AuthService.ListUsers",
        [this](CallContext&, auth::v1::ListUsersRequest& request,
               auth::v1::ListUsersResponse& response, const RpcDone& done) {
          ++asked_;
          for (auto user = users_.upper_bound(request.after_id());
               user != users_.end() && response.users_size() < static_cast<int>(request.limit());
               ++user) {
            response.add_users()->set_id(*user);
          }
          done(failure_);
        });
    registry_.AddMiddleware(TenantMustExist(registry_));
  }

  absl::Status Call(const std::string& rpc, const std::string& tenant) {
    FakeCallContext context;
    context.identity = UserNamed("user-admin", Role::kAdmin);
    context.tenant = tenant;
    const RpcMethod* const method = registry_.Find("vectron.v1.VectronService." + rpc);
    absl::Status result = Internal("not called");
    registry_.Begin(*method, context,
                    [&result](absl::Status status) { result = std::move(status); });
    registry_.End(context, result.code());
    return result;
  }

  Metrics metrics_;
  ManualClock clock_;
  RpcRegistry registry_{metrics_, clock_, {}};
  std::set<std::string> users_;
  absl::Status failure_;
  int asked_ = 0;
};

TEST_F(TenantMustExistTest, RefusesCollectionsOfNobody) {
  // Others whose ids are before, after and alike.
  users_ = {"user-00000000-0000-4000-8000-000000000000",
            "user-ffffffff-ffff-4fff-8fff-ffffffffffff",
            "user-01234567-89ab-4def-8123-456789abcde1"};
  EXPECT_TRUE(absl::IsNotFound(Call("CreateCollection", kUser)));
  users_.insert(kUser);
  EXPECT_TRUE(Call("CreateCollection", kUser).ok());
}

TEST_F(TenantMustExistTest, AsksForNothingElse) {
  EXPECT_TRUE(Call("CreateCollection", "user-admin").ok());
  EXPECT_TRUE(Call("Search", kUser).ok());
  EXPECT_TRUE(Call("DeleteCollection", kUser).ok());
  EXPECT_EQ(asked_, 0);
}

TEST_F(TenantMustExistTest, AServiceThatDoesNotAnswerRefuses) {
  users_ = {kUser};
  failure_ = Unavailable("away");
  EXPECT_TRUE(absl::IsUnavailable(Call("CreateCollection", kUser)));
}

// Collections of these owners, by name.
class OwnedCollections : public PlacementApi {
 public:
  using Record = std::shared_ptr<const CollectionRecord>;

  void Add(const std::string& owner, const std::string& name) {
    CollectionRecord record;
    record.owner = owner;
    record.schema.name = name;
    records_.push_back(std::make_shared<const CollectionRecord>(std::move(record)));
  }
  void CreateCollection(CollectionSchema, std::string,
                        std::function<void(absl::Status)> done) override {
    done(Unimplemented("not here"));
  }
  void DeleteCollection(std::string, std::string, std::function<void(absl::Status)> done) override {
    done(Unimplemented("not here"));
  }
  Record FindCollection(const std::string& owner, const std::string& name) override {
    for (const Record& record : records_) {
      if (record->owner == owner && record->schema.name == name) return record;
    }
    return nullptr;
  }
  // What another gateway has made is known from here on.
  void CatchUp(std::function<void(const absl::Status&)> done) override {
    if (away.ok()) {
      for (const auto& [owner, name] : elsewhere) Add(owner, name);
      elsewhere.clear();
    }
    done(away);
  }
  std::vector<Record> ListCollections(const std::string&) override { return {}; }
  std::vector<Record> AllCollections() override { return records_; }

  std::vector<std::pair<std::string, std::string>> elsewhere;  // owner, name
  absl::Status away;

 private:
  std::vector<Record> records_;
};

class TenancyGuardTest : public testing::Test {
 protected:
  TenancyGuardTest() {
    EXPECT_TRUE(registry_.AddService("vectron.v1.VectronService").ok());
    placement_.Add(kUser, "docs");
  }

  // Whose collection an administrator's call is about.
  absl::StatusOr<std::string> TenantOf(const std::string& rpc, const std::string& named = "") {
    FakeCallContext context;
    context.method = registry_.Find("vectron.v1.VectronService." + rpc);
    context.identity = UserNamed("user-admin", Role::kAdmin);
    context.tenant = named.empty() ? "user-admin" : named;
    if (!named.empty()) context.headers["x-vectron-tenant"] = named;
    absl::Status status = Internal("no answer");
    TenancyGuard(placement_)(context, "docs", [&status](absl::Status s) { status = std::move(s); });
    if (!status.ok()) return status;
    return context.tenant;
  }

  Metrics metrics_;
  ManualClock clock_;
  RpcRegistry registry_{metrics_, clock_, {}};
  OwnedCollections placement_;
};

TEST_F(TenancyGuardTest, AnAdministratorWhoNamesNobodyReadsTheOneThereIs) {
  EXPECT_EQ(*TenantOf("Search"), kUser);
  placement_.Add("user-admin", "docs");
  EXPECT_EQ(*TenantOf("Search"), "user-admin");
}

TEST_F(TenancyGuardTest, AnAdministratorWhoNamesHimselfIsTakenAtHisWord) {
  EXPECT_EQ(*TenantOf("Search", "user-admin"), "user-admin");
  EXPECT_EQ(*TenantOf("DeleteCollection", "user-admin"), "user-admin");
}

TEST_F(TenancyGuardTest, FindsWhatAnotherGatewayHasMade) {
  placement_.elsewhere = {{"user-admin", "docs"}};
  EXPECT_EQ(*TenantOf("Search"), "user-admin");
}

TEST_F(TenancyGuardTest, DoesNotDenyACollectionThatPlacementCannotBeAskedFor) {
  placement_.away = Unavailable("nobody leads");
  EXPECT_TRUE(absl::IsUnavailable(TenantOf("Search", "user-admin").status()));
  EXPECT_EQ(*TenantOf("Search"), kUser);  // which is known
}

TEST_F(TenancyGuardTest, OnlyWhoNamesTheTenantDeletesItsCollection) {
  const absl::Status refused = TenantOf("DeleteCollection").status();
  EXPECT_TRUE(absl::IsNotFound(refused));
  EXPECT_NE(MessageOf(refused).find("x-vectron-tenant"), std::string_view::npos);
  EXPECT_EQ(*TenantOf("DeleteCollection", kUser), kUser);
}

}  // namespace
}  // namespace vectron::rpc
