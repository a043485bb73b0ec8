#include "services/placement/map_feed.h"

#include <gtest/gtest.h>

#include <optional>

namespace vectron::placement {
namespace {

// Somebody who watches and may go.
class Watching : public rpc::AnyServerStream {
 public:
  bool WriteMessage(const google::protobuf::Message&) override { return !gone; }
  void FinishWithMessage(const google::protobuf::Message&) override {}
  void Finish(absl::Status finished) override { status = std::move(finished); }
  bool cancelled() const override { return gone; }

  std::optional<absl::Status> status;
  bool gone = false;
};

TEST(MapFeed, RefusesWatchersPastItsBoundUntilOneHasGone) {
  MapFeed feed;
  const auto first = std::make_shared<Watching>();
  const auto other = std::make_shared<Watching>();
  feed.Watch(MapFeed::Stream(first), true);
  for (size_t i = 1; i < MapFeed::kMaxWatchers; ++i) feed.Watch(MapFeed::Stream(other), true);
  EXPECT_EQ(feed.watchers(), MapFeed::kMaxWatchers);
  EXPECT_FALSE(other->status.has_value());
  const auto late = std::make_shared<Watching>();
  feed.Watch(MapFeed::Stream(late), true);
  ASSERT_TRUE(late->status.has_value());
  EXPECT_EQ(late->status->code(), absl::StatusCode::kResourceExhausted);
  first->gone = true;
  const auto next = std::make_shared<Watching>();
  feed.Watch(MapFeed::Stream(next), true);
  EXPECT_FALSE(next->status.has_value());
  EXPECT_EQ(feed.watchers(), MapFeed::kMaxWatchers);
}

}  // namespace
}  // namespace vectron::placement
