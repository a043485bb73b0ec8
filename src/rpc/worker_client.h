#pragma once

// A worker on the other side of a network: WorkerApi over vectron.worker.v1.
//
// Errors beside the worker's own: Unavailable (not reached, or lost on the way: a write may have
// happened), DeadlineExceeded, InvalidArgument and Internal (it speaks another version).

#include <memory>
#include <string>

#include "rpc/channel_pool.h"
#include "rpc/worker_api.h"

namespace vectron::rpc {

// Thread-safe. The destructor ends calls under way as Cancelled; their callbacks run before it
// returns.
class WorkerClient : public WorkerApi {
 public:
  WorkerClient(std::string address, ChannelOptions options, const Clock& clock);
  ~WorkerClient() override;

  void Upsert(ShardUpsert request, int64_t deadline_nanos,
              std::function<void(absl::StatusOr<WriteAck>)> done) override;
  void Delete(ShardDelete request, int64_t deadline_nanos,
              std::function<void(absl::StatusOr<WriteAck>)> done) override;
  void Get(ShardGet request, int64_t deadline_nanos,
           std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override;
  void Search(ShardsSearch request, int64_t deadline_nanos,
              std::function<void(ShardAnswer)> each) override;
  void Scan(ShardScan request, int64_t deadline_nanos,
            std::function<void(absl::StatusOr<ScanPage>)> done) override;
  void Describe(std::vector<GroupId> groups, int64_t deadline_nanos,
                std::function<void(absl::StatusOr<std::vector<ShardInfo>>)> done) override;
  size_t load() const override { return channels_.in_flight(); }

  const std::string& address() const { return channels_.address(); }

 private:
  ChannelPool channels_;
};

}  // namespace vectron::rpc
