#include "rpc/placement_client.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "base/metrics.h"
#include "base/status.h"
#include "model/collection.h"
#include "rpc/error_table.h"
#include "rpc/grpc_server.h"
#include "rpc/refusing_address_testing.h"
#include "rpc/rpc_registry.h"
#include "vectron/placement.pb.h"

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

CollectionSchema Docs() {
  CollectionSchema schema;
  schema.name = "docs";
  schema.dimension = 4;
  return schema;
}

// A placement node as far as a client sees it: `refusal`, where it is one, is its answer to
// everything. Else it has the collection of Docs() and no other, of whose replicas worker 3's is
// outvoted.
class FakeNode {
 public:
  explicit FakeNode(absl::Status refusal) : refusal_(std::move(refusal)) {
    EXPECT_TRUE(registry_.AddService("vectron.placementdriver.v1.PlacementService").ok());
    Answer<pb::CreateCollectionRequest, pb::CreateCollectionResponse>(
        "CreateCollection",
        [](pb::CreateCollectionResponse&) { return AlreadyExists("exists already"); });
    Answer<pb::DeleteCollectionRequest, pb::DeleteCollectionResponse>(
        "DeleteCollection",
        [](pb::DeleteCollectionResponse&) { return NotFound("does not exist"); });
    Answer<pb::GetMapRequest, pb::ClusterMap>("GetMap", [](pb::ClusterMap& map) {
      map.set_version(1);
      map.set_full(true);
      pb::MapCollection& collection = *map.add_collections();
      SchemaToProto(Docs(), *collection.mutable_schema());
      pb::MapShard& shard = *collection.add_shards();
      shard.set_group_id(1);
      for (const uint64_t worker : {1, 2, 3}) {
        pb::ReplicaDescriptor& replica = *shard.add_replicas();
        replica.set_replica_id(worker * 10);
        replica.set_worker_id(worker);
        replica.set_role(pb::REPLICA_ROLE_VOTER);
      }
      shard.set_differs(true);
      shard.add_outvoted(30);
      return absl::OkStatus();
    });
    server_ = *GrpcServer::Start({}, registry_);
  }
  const std::string& address() const { return server_->bound_address(); }
  int asked() const { return asked_; }

 private:
  template <typename Request, typename Response>
  void Answer(const std::string& method, absl::Status (*answer)(Response&)) {
    registry_.Unary<Request, Response>(
        "vectron.placementdriver.v1.PlacementService." + method,
        [this, answer](CallContext&, Request&, Response& response, const RpcDone& done) {
          ++asked_;
          done(refusal_.ok() ? answer(response) : refusal_);
        });
  }

  const absl::Status refusal_;
  std::atomic<int> asked_{0};
  Metrics metrics_;
  SystemClock clock_;
  RpcRegistry registry_{metrics_, clock_, {}};
  std::unique_ptr<GrpcServer> server_;
};

// A client whose first node is `first`, and whose other one leads.
class ClientOfTwo {
 public:
  explicit ClientOfTwo(absl::Status first)
      : first_(std::make_unique<FakeNode>(std::move(first))), first_address_(first_->address()) {}
  // Nobody is at the first one's address.
  explicit ClientOfTwo(std::string first_address) : first_address_(std::move(first_address)) {}

  absl::Status Create(CollectionSchema schema) {
    return Await([&](std::function<void(absl::Status)> done) {
      client_.CreateCollection(std::move(schema), "", std::move(done));
    });
  }
  absl::Status Delete(const std::string& name) {
    return Await([&](std::function<void(absl::Status)> done) {
      client_.DeleteCollection("", name, std::move(done));
    });
  }
  // From the map, once it was asked for.
  std::shared_ptr<const CollectionRecord> Find(const std::string& name) {
    absl::Notification done;
    client_.Refresh([&done] { done.Notify(); });
    done.WaitForNotification();
    return client_.FindCollection("", name);
  }
  int first_asked() const { return first_->asked(); }

 private:
  static absl::Status Await(const std::function<void(std::function<void(absl::Status)>)>& call) {
    absl::Status result;
    absl::Notification done;
    call([&](absl::Status status) {
      result = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  const std::unique_ptr<FakeNode> first_;
  const std::string first_address_;
  FakeNode leader_{absl::OkStatus()};
  SystemClock clock_;
  ThreadTimer timer_{clock_};
  WorkerDirectory workers_{ChannelOptions{}, clock_};
  PlacementClient client_{{first_address_, leader_.address()},
                          ChannelOptions{},
                          {.clock = &clock_, .timer = &timer_, .workers = &workers_}};
};

absl::Status Follower() {
  return WithNothingDone(WithLeaderHint(Unavailable("not the leader of placement"), WorkerId{2}));
}

TEST(PlacementClient, SaysThatACollectionExistsThoughAFollowerWasAskedFirst) {
  ClientOfTwo client(Follower());
  EXPECT_TRUE(absl::IsAlreadyExists(client.Create(Docs())));
  EXPECT_GE(client.first_asked(), 1);
}

TEST(PlacementClient, SaysThatThereIsNoCollectionThoughAFollowerWasAskedFirst) {
  ClientOfTwo client(Follower());
  EXPECT_TRUE(absl::IsNotFound(client.Delete("none")));
  EXPECT_GE(client.first_asked(), 1);
}

TEST(PlacementClient, TellsTheTruthThoughANodeThatIsDownWasTriedFirst) {
  const RefusingAddress down;
  {
    ClientOfTwo client(down.text());
    EXPECT_TRUE(absl::IsAlreadyExists(client.Create(Docs())));
  }
  ClientOfTwo client(down.text());
  EXPECT_TRUE(absl::IsNotFound(client.Delete("none")));
}

TEST(PlacementClient, TakesAsDoneWhatALostTryMayHaveDone) {
  const absl::Status lost = Unavailable("placement could not answer in time");
  {
    ClientOfTwo client(lost);
    EXPECT_TRUE(client.Delete("docs").ok());
  }
  {
    ClientOfTwo client(lost);
    EXPECT_TRUE(client.Create(Docs()).ok()) << "the map has what was asked for";
  }
  ClientOfTwo client(lost);
  CollectionSchema other = Docs();
  other.dimension = 8;
  EXPECT_TRUE(absl::IsAlreadyExists(client.Create(std::move(other))));
}

TEST(PlacementClient, TellsWhoseReplicaHoldsOtherPointsThanMost) {
  ClientOfTwo client(Follower());
  const std::shared_ptr<const CollectionRecord> docs = client.Find("docs");
  ASSERT_NE(docs, nullptr);
  EXPECT_TRUE(docs->shards[0].differs);
  EXPECT_EQ(docs->shards[0].outvoted, std::vector<WorkerId>{WorkerId{3}});
}

}  // namespace
}  // namespace vectron::rpc
