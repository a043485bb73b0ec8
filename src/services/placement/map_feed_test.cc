#include "services/placement/map_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "services/placement/command.h"

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

TEST(MapFeed, ShowsNoReplicaAsInSyncWhosePointsDiffer) {
  ClusterState state;
  uint64_t index = 0;
  const auto apply = [&](CommandBody body) {
    return state.Apply(++index, {.body = std::move(body)});
  };
  for (const char* uid : {"a", "b", "c"}) {
    const Outcome worker = apply(RegisterWorker{.known = {}, .profile = {.node_uid = uid}});
    apply(ChangeWorker{WorkerId{worker.id}, WorkerChange::kJoined});
  }
  apply(BeginCreate{.key = {"", "docs"},
                    .schema_bytes = "",
                    .replication_factor = 3,
                    .shards = {{WorkerId{1}, WorkerId{2}, WorkerId{3}}}});
  apply(FinishCreate{{"", "docs"}});
  const ShardRecord& shard = state.shards().begin()->second;
  ClusterLoad load;
  ShardLoad& measured = load.shards[shard.group];
  measured.leader = shard.replicas[0].id;
  for (const ReplicaRecord& replica : shard.replicas) measured.in_sync.insert(replica.id);
  MapFeed feed;
  const auto in_sync = [&] {
    feed.Update(state, load, "one:6001");
    const auto map = feed.Full();
    const auto& ids = map.collections(0).shards(0).in_sync();
    return std::vector<uint64_t>(ids.begin(), ids.end());
  };
  EXPECT_EQ(in_sync().size(), 3u);
  load.differing.insert(shard.replicas[2].id);
  EXPECT_THAT(in_sync(),
              testing::ElementsAre(shard.replicas[0].id.value, shard.replicas[1].id.value));
}

}  // namespace
}  // namespace vectron::placement
