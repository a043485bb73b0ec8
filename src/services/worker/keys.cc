// The contract's RPCs on a shard as a whole: its keys beside the points, its status, its files.

#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "services/worker/service.h"
#include "services/worker/wire.h"

namespace vectron::worker {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

absl::Status CheckKey(std::string_view key) {
  if (!key.empty() && key.size() <= kMaxPointIdBytes) return absl::OkStatus();
  return InvalidArgument("key: got {} bytes, 1 to {} are allowed", key.size(), kMaxPointIdBytes);
}

absl::Status CheckValue(std::string_view value) {
  if (value.size() <= kMaxPayloadBytes) return absl::OkStatus();
  return InvalidArgument("kv.value: got {} bytes, at most {} are allowed", value.size(),
                         kMaxPayloadBytes);
}

void WriteKey(Worker& worker, const rpc::ShardTarget& target, shard::KeyWrite write, RpcDone done) {
  const absl::Status checked = CheckKey(write.key);
  if (!checked.ok()) return done(checked);
  worker.WriteKey(
      target, std::move(write),
      [done = std::move(done)](const absl::StatusOr<rpc::WriteAck>& ack) { done(ack.status()); });
}

std::string StatusText(const absl::StatusOr<shard::ShardStats>& stats) {
  if (!stats.ok()) return std::string(MessageOf(stats.status()));
  return fmt::format(
      "ready: {} points, {} indexed, applied index {}, digest {:016x}, {} bytes on disk",
      stats->points, stats->indexed, stats->applied_index, stats->digest, stats->disk_bytes);
}

}  // namespace

void WorkerService::RegisterKeys(rpc::RpcRegistry& registry) {
  Worker& worker = *deps_.worker;
  registry.Unary<v1::PutRequest, v1::PutResponse>(
      RpcName("Put"),
      [&worker](CallContext&, v1::PutRequest& request, v1::PutResponse&, RpcDone done) {
        v1::KeyValuePair& kv = *request.mutable_kv();
        const absl::Status checked = CheckValue(kv.value());
        if (!checked.ok()) return done(checked);
        WriteKey(worker, TargetOf(request.shard_id(), request.shard_epoch()),
                 {.key = std::move(*kv.mutable_key()), .value = std::move(*kv.mutable_value())},
                 std::move(done));
      });
  registry.Unary<v1::DeleteRequest, v1::DeleteResponse>(
      RpcName("Delete"),
      [&worker](CallContext&, v1::DeleteRequest& request, v1::DeleteResponse&, RpcDone done) {
        WriteKey(worker, TargetOf(request.shard_id(), request.shard_epoch()),
                 {.key = std::move(*request.mutable_key()), .value = std::nullopt},
                 std::move(done));
      });
  registry.Unary<v1::GetRequest, v1::GetResponse>(
      RpcName("Get"),
      [&worker](CallContext&, v1::GetRequest& request, v1::GetResponse& response, RpcDone done) {
        const absl::Status checked = CheckKey(request.key());
        if (!checked.ok()) return done(checked);
        worker.GetKey(TargetOf(request.shard_id(), request.shard_epoch()), request.key(),
                      [&request, &response,
                       done = std::move(done)](absl::StatusOr<std::optional<std::string>> value) {
                        if (!value.ok()) return done(value.status());
                        if (!value->has_value())
                          return done(NotFound("kv.key: there is no such key"));
                        response.mutable_kv()->set_key(request.key());
                        response.mutable_kv()->set_value(**std::move(value));
                        done(absl::OkStatus());
                      });
      });
  registry.Unary<v1::StatusRequest, v1::StatusResponse>(
      RpcName("Status"),
      [this](CallContext&, v1::StatusRequest& request, v1::StatusResponse& response, RpcDone done) {
        const absl::StatusOr<shard::ShardStats> stats =
            deps_.worker->Stats(TargetOf(request.shard_id(), request.shard_epoch()));
        if (absl::IsFailedPrecondition(stats.status())) return done(stats.status());
        response.set_status(StatusText(stats));
        done(absl::OkStatus());
      });
  registry.Unary<v1::FlushRequest, v1::FlushResponse>(
      RpcName("Flush"),
      [this](CallContext&, v1::FlushRequest& request, v1::FlushResponse& response, RpcDone done) {
        const rpc::ShardTarget target = TargetOf(request.shard_id(), request.shard_epoch());
        deps_.background_executor->Schedule([this, target, &response, done = std::move(done)] {
          const absl::Status flushed = deps_.worker->Flush(target);
          if (flushed.ok()) response.set_status("flushed");
          done(flushed);
        });
      });
}

}  // namespace vectron::worker
