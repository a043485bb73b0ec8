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

// A map of one shard on three workers, all in sync.
class MapOfAShard : public testing::Test {
 protected:
  MapOfAShard() {
    for (const char* uid : {"a", "b", "c"}) {
      const Outcome worker = Apply(RegisterWorker{.known = {}, .profile = {.node_uid = uid}});
      Apply(ChangeWorker{WorkerId{worker.id}, WorkerChange::kJoined});
    }
    Apply(BeginCreate{.key = {"", "docs"},
                      .schema_bytes = "",
                      .replication_factor = 3,
                      .shards = {{WorkerId{1}, WorkerId{2}, WorkerId{3}}}});
    Apply(FinishCreate{{"", "docs"}});
    ShardLoad& measured = load_.shards[Shard().group];
    measured.leader = Shard().replicas[0].id;
    for (const ReplicaRecord& replica : Shard().replicas) measured.in_sync.insert(replica.id);
  }
  Outcome Apply(CommandBody body) { return state_.Apply(++index_, {.body = std::move(body)}); }
  const ShardRecord& Shard() { return state_.shards().begin()->second; }
  placementdriver::v1::MapShard Shown() {
    feed_.Update(state_, load_, "one:6001");
    return feed_.Full().collections(0).shards(0);
  }

  uint64_t index_ = 0;
  ClusterState state_;
  ClusterLoad load_;
  MapFeed feed_;
};

TEST_F(MapOfAShard, ShowsNoReplicaAsInSyncWhosePointsDiffer) {
  EXPECT_EQ(Shown().in_sync_size(), 3);
  load_.differing.insert(Shard().replicas[2].id);
  EXPECT_THAT(Shown().in_sync(),
              testing::ElementsAre(Shard().replicas[0].id.value, Shard().replicas[1].id.value));
}

TEST_F(MapOfAShard, TellsThatReplicasDifferAndWhoIsOutvoted) {
  EXPECT_FALSE(Shown().differs());
  load_.differing_groups.insert(Shard().group);
  EXPECT_TRUE(Shown().differs());
  EXPECT_THAT(Shown().outvoted(), testing::IsEmpty());
  const ReplicaId wrong = Shard().replicas[2].id;
  load_.shards[Shard().group].in_sync.erase(wrong);
  EXPECT_THAT(Shown().outvoted(), testing::IsEmpty());
  load_.differing.insert(wrong);
  EXPECT_THAT(Shown().outvoted(), testing::ElementsAre(wrong.value));
  load_.differing.clear();
  load_.differing_groups.clear();
  EXPECT_FALSE(Shown().differs());
  EXPECT_THAT(Shown().outvoted(), testing::IsEmpty());
}

}  // namespace
}  // namespace vectron::placement
