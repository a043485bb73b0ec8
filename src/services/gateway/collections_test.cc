#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status.h"
#include "rpc/error_table.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using ::testing::HasSubstr;

TEST(GatewayCollections, TellsOneThatWasMadeAnewFromOneThatIsGone) {
  class ChangingPlacement : public FakePlacement {
   public:
    void Refresh(std::function<void()> done) override {
      if (on_refresh != nullptr) on_refresh();
      done();
    }
    std::function<void()> on_refresh;
  };
  ManualClock clock;
  ManualTimer timer(clock);
  FakeWorker worker;
  ChangingPlacement placement;
  const auto create = [&placement] {
    CollectionSchema schema;
    schema.name = "docs";
    schema.dimension = 2;
    placement.CreateCollection(schema, "",
                               [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  };
  const auto drop = [&placement] {
    placement.DeleteCollection("", "docs",
                               [](const absl::Status& status) { EXPECT_TRUE(status.ok()); });
  };
  const auto leave = [&] {  // the worker holds nothing any more of what the map has
    worker.failing[placement.FindCollection("", "docs")->shards[0].group] =
        FailedPrecondition("not here");
  };
  Gateway gateway({.placement = &placement,
                   .worker_of = [&worker](WorkerId) { return &worker; },
                   .clock = &clock,
                   .timer = &timer});
  const rpc::CallContext context;
  absl::Status written = absl::UnknownError("no answer yet");
  const auto write = [&] {
    UpsertCall call;
    call.collection = "docs";
    call.points.dimension = 2;
    call.points.ids = {"a"};
    call.points.vectors = {1, 2};
    call.points.payloads = {"{}"};
    gateway.Upsert(context, std::move(call), [&](const auto& reply) { written = reply.status(); });
  };

  create();
  leave();
  placement.on_refresh = [&] {
    drop();
    create();
  };
  write();
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
  EXPECT_TRUE(rpc::RetryAfterMillis(written).has_value());
  EXPECT_THAT(std::string(MessageOf(written)), HasSubstr("made anew"));
  placement.on_refresh = nullptr;
  write();
  EXPECT_TRUE(written.ok()) << written;

  leave();
  placement.on_refresh = drop;
  write();
  EXPECT_TRUE(absl::IsNotFound(written)) << written;
}

}  // namespace
}  // namespace vectron::gateway
