#pragma once

// The service of one placement node over a log in memory, with a fleet of workers and a clock that
// the test turns; for tests of this folder.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/temp_dir.h"
#include "services/placement/fleet_testing.h"
#include "services/placement/service.h"

namespace vectron::placement {

class PlacementServiceTest : public ::testing::Test {
 protected:
  PlacementServiceTest() { Start(); }
  ~PlacementServiceTest() override { Shutdown(); }

  void Start() {
    auto state = ReplicatedState::Open(*files_, dir_ / "state", ++runs_);
    ASSERT_TRUE(state.ok()) << state.status();
    state_ = *std::move(state);
    for (const shard::Entry& entry : log_) state_->Apply({entry});
    replicator_ = std::make_unique<MemoryReplicator>(state_->applied_index());
    replicator_->applier = state_.get();
    state_->Bind(*replicator_, [this] {
      if (service_ != nullptr) service_->OnStateChanged();
    });
    PlacementOptions options;
    options.dead_after_ms = 60'000;
    service_ = std::make_unique<PlacementService>(
        options, ServiceDeps{.state = state_.get(),
                             .clock = &clock_,
                             .leadership = [this] { return leadership_; },
                             .cluster_id = "test-cluster",
                             .seed = 1});
    fleet_ = std::make_unique<Fleet>(*service_, clock_);
    service_->Tick();
  }
  void Shutdown() {
    log_.insert(log_.end(), replicator_->log.begin(), replicator_->log.end());
    state_->Unbind();
    service_->Stop();
    service_.reset();
  }

  // Starts a creation; its answer comes as time passes.
  void BeginCreate(const std::string& name, uint32_t shards, uint32_t replicas,
                   Answer<placementdriver::v1::CreateCollectionResponse>& answer) {
    placementdriver::v1::CreateCollectionRequest request;
    request.mutable_schema()->set_name(name);
    request.mutable_schema()->set_dimension(4);
    request.mutable_schema()->set_shard_count(shards);
    request.mutable_schema()->set_replication_factor(replicas);
    service_->CreateCollection(request, answer.Callback());
  }
  absl::Status Create(const std::string& name, uint32_t shards, uint32_t replicas) {
    Answer<placementdriver::v1::CreateCollectionResponse> answer;
    BeginCreate(name, shards, replicas, answer);
    for (int i = 0; i < 100 && !answer.answered(); ++i) fleet_->Run(500);
    return answer.get().status();
  }
  void BeginDelete(const std::string& name,
                   Answer<placementdriver::v1::DeleteCollectionResponse>& answer) {
    placementdriver::v1::DeleteCollectionRequest request;
    request.set_name(name);
    service_->DeleteCollection(request, answer.Callback());
  }
  absl::Status Delete(const std::string& name) {
    Answer<placementdriver::v1::DeleteCollectionResponse> answer;
    BeginDelete(name, answer);
    for (int i = 0; i < 100 && !answer.answered(); ++i) fleet_->Run(500);
    return answer.get().status();
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(void (PlacementService::*call)(const Request&,
                                                               PlacementService::Done<Response>),
                                const Request& request = {}) {
    Answer<Response> answer;
    (service_.get()->*call)(request, answer.Callback());
    EXPECT_TRUE(answer.answered());
    return answer.get();
  }
  std::string Bytes() {
    return state_->With([](const ClusterState& state) { return state.Encode(); });
  }
  size_t Doomed() {
    return state_->With([](const ClusterState& state) { return state.doomed().size(); });
  }
  std::vector<uint64_t> WorkersOf(const std::string& name) {
    placementdriver::v1::GetCollectionStatusRequest request;
    request.set_name(name);
    const auto status = Call(&PlacementService::GetCollectionStatus, request);
    EXPECT_TRUE(status.ok()) << status.status();
    return {status->shards(0).replicas().begin(), status->shards(0).replicas().end()};
  }
  template <typename Request>
  static Request Of(WorkerId worker) {
    Request request;
    request.set_worker_id(std::to_string(worker.value));
    return request;
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  ManualClock clock_;
  uint64_t runs_ = 0;
  Leadership leadership_{.is_leader = true, .term = 1, .node = {1}, .address = "one:6001"};
  std::vector<shard::Entry> log_;
  std::unique_ptr<ReplicatedState> state_;
  std::unique_ptr<MemoryReplicator> replicator_;
  std::unique_ptr<PlacementService> service_;
  std::unique_ptr<Fleet> fleet_;
};

}  // namespace vectron::placement
