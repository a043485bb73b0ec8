#include "rpc/rpc_registry.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "vectron/management.pb.h"

namespace vectron::rpc {
namespace {

TEST(RpcRegistry, GivesManagementRoomOfItsOwn) {
  // Links the service in: nothing else here does.
  ASSERT_NE(management::v1::SystemHealth::descriptor(), nullptr);
  Metrics metrics;
  SystemClock clock;
  RpcRegistry registry(metrics, clock, {.max_in_flight = 1, .max_managing = 1});
  ASSERT_TRUE(registry.AddService("vectron.v1.VectronService").ok());
  ASSERT_TRUE(registry.AddService("vectron.management.v1.ManagementService").ok());
  const RpcMethod& search = *registry.Find("vectron.v1.VectronService.Search");
  const RpcMethod& health =
      *registry.Find("vectron.management.v1.ManagementService.GetSystemHealth");
  const auto begin = [&registry](const RpcMethod& method, CallContext& context) {
    absl::Status admitted = absl::UnknownError("not asked");
    registry.Begin(method, context, [&admitted](absl::Status status) { admitted = status; });
    return admitted;
  };
  CallContext data;
  CallContext more_data;
  CallContext managing;
  CallContext more_managing;
  EXPECT_TRUE(begin(search, data).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(begin(search, more_data)));
  EXPECT_TRUE(begin(health, managing).ok()) << "a flood of searches does not hide the health";
  EXPECT_TRUE(absl::IsResourceExhausted(begin(health, more_managing)));
  EXPECT_EQ(registry.in_flight(), 2u);
  for (CallContext* const call : {&data, &more_data, &managing, &more_managing}) {
    registry.End(*call, absl::StatusCode::kOk);
  }
  EXPECT_EQ(registry.in_flight(), 0u);
}

}  // namespace
}  // namespace vectron::rpc
