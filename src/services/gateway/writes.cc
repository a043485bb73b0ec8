// Writes: upsert and delete.

#include "base/limits.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/validate.h"
#include "services/gateway/fan_in.h"
#include "services/gateway/gateway.h"
#include "services/gateway/split.h"

namespace vectron::gateway {
namespace {

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.size() <= kMaxRequestIdBytes) return absl::OkStatus();
  return InvalidArgument("request_id: got {} bytes, at most {} are allowed", request_id.size(),
                         kMaxRequestIdBytes);
}

// Everything of an upsert that is wanted again once its shards have answered.
struct PendingUpsert {
  RecordPtr record;
  UpsertReply reply;
  bool return_versions = false;
  std::vector<ShardOrdinal> shard_of_point;  // of the request, as sent
  std::vector<ShardOrdinal> shard_of_part;
  UpsertDone done;
};

// One shard's part of an upsert.
struct ShardWrite {
  rpc::ShardUpsert request;
  rpc::WriteAck ack = {};
};

// Sends a copy, because it may have to be sent again.
auto UpsertOf(std::shared_ptr<ShardWrite> write) {
  return [write = std::move(write)](PartCall call) {
    rpc::ShardUpsert request = write->request;
    request.target = call.target;
    call.worker.Upsert(
        std::move(request), call.deadline_nanos,
        [write, ended = std::move(call.ended)](const absl::StatusOr<rpc::WriteAck>& ack) {
          ended(ack.status(), [&] { write->ack = *ack; });
        });
  };
}

void FillVersions(PendingUpsert& upsert, const std::vector<uint64_t>& version_of_shard) {
  upsert.reply.versions.reserve(upsert.shard_of_point.size());
  for (const ShardOrdinal shard : upsert.shard_of_point) {
    upsert.reply.versions.push_back(version_of_shard[shard.value]);
  }
}

}  // namespace

absl::Status Gateway::WriteError(
    const rpc::CollectionRecord& record,
    const std::vector<std::pair<ShardOrdinal, absl::Status>>& parts) const {
  constexpr size_t kMaxNamed = 16;  // shards named in one message
  absl::Status first;
  std::string failed;
  std::string written;
  size_t named = 0;
  for (const auto& [ordinal, status] : parts) {
    if (first.ok() && !status.ok()) first = ShardError(record, ordinal, status);
    if (++named > kMaxNamed) continue;
    std::string& list = status.ok() ? written : failed;
    list += fmt::format("{}{}", list.empty() ? "" : ", ", ordinal.value);
  }
  if (parts.size() == 1 || absl::IsNotFound(first)) return first;
  absl::Status error(
      first.code(),
      fmt::format("{} (of {} shards; failed: {}; written: {}{})", MessageOf(first), parts.size(),
                  failed, written.empty() ? "none" : written, named > kMaxNamed ? ", ..." : ""));
  first.ForEachPayload([&error](absl::string_view url, const absl::Cord& payload) {
    error.SetPayload(url, payload);
  });
  return error;
}

void Gateway::Upsert(const rpc::CallContext& context, UpsertCall call, UpsertDone done) {
  absl::StatusOr<RecordPtr> found = Find(context.tenant, call.collection);
  if (!found.ok()) return done(found.status());
  const rpc::CollectionRecord& record = **found;
  absl::Status checked = CheckRequestId(call.request_id);
  if (checked.ok()) checked = CheckPoints(call.points, record.schema);
  if (checked.ok()) checked = CheckOddLength(call.odd_length, record.schema);
  if (!checked.ok()) return done(checked);

  PendingUpsert upsert{
      .record = *found,
      .reply = {.upserted = static_cast<uint32_t>(call.points.size()), .versions = {}},
      .return_versions = call.return_versions,
      .shard_of_point = {},
      .shard_of_part = {},
      .done = std::move(done)};
  if (call.points.size() == 0) return upsert.done(std::move(upsert.reply));
  const uint32_t shard_count = record.schema.shard_count;
  if (call.return_versions) upsert.shard_of_point = ShardsOf(call.points.ids, shard_count);
  PointBatch points = KeepLastOfEachId(std::move(call.points));
  const std::vector<ShardOrdinal> shards = ShardsOf(points.ids, shard_count);
  std::vector<ShardPart> parts = SplitByShard(std::move(points), shards, shard_count);
  for (const ShardPart& part : parts) upsert.shard_of_part.push_back(part.ordinal);

  using Acks = FanIn<rpc::WriteAck>;
  const auto all = std::make_shared<Acks>(  // shared by the shards' callbacks
      parts.size(), [this, upsert = std::move(upsert), shard_count](Acks::Results results) mutable {
        std::vector<uint64_t> versions(shard_count, 0);
        std::vector<std::pair<ShardOrdinal, absl::Status>> statuses;
        bool failed = false;
        for (size_t i = 0; i < results.size(); ++i) {
          const ShardOrdinal ordinal = upsert.shard_of_part[i];
          if (results[i].ok()) versions[ordinal.value] = results[i]->version;
          failed |= !results[i].ok();
          statuses.emplace_back(ordinal, results[i].status());
        }
        if (failed) return upsert.done(WriteError(*upsert.record, statuses));
        if (upsert.return_versions) FillVersions(upsert, versions);
        upsert.done(std::move(upsert.reply));
      });
  const std::string request_id = RequestIdFor(std::move(call.request_id));
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto write = std::make_shared<ShardWrite>(  // shared by its tries
        ShardWrite{.request = {.target = {},
                               .points = std::move(parts[i].points),
                               .request_id = request_id,
                               .insert_only = call.insert_only}});
    router_.Send({.record = *found,
                  .ordinal = parts[i].ordinal,
                  .write = true,
                  .deadline_nanos = context.deadline_nanos,
                  .send = UpsertOf(write),
                  .done = [all, i, write](const absl::Status& status, const RecordPtr&) {
                    if (!status.ok()) return all->Set(i, status);
                    all->Set(i, write->ack);
                  }});
  }
}

void Gateway::Delete(const rpc::CallContext& context, const v1::DeleteRequest& request,
                     std::function<void(absl::StatusOr<uint64_t>)> done) {
  absl::StatusOr<RecordPtr> found = Find(context.tenant, request.collection());
  if (!found.ok()) return done(found.status());
  absl::Status checked = CheckPointId(request.id());
  if (checked.ok()) checked = CheckRequestId(request.request_id());
  if (!checked.ok()) return done(checked);
  const ShardOrdinal ordinal = ShardOf(request.id(), (*found)->schema.shard_count);
  const auto version = std::make_shared<uint64_t>(0);  // shared by its tries
  router_.Send({.record = *found,
                .ordinal = ordinal,
                .write = true,
                .deadline_nanos = context.deadline_nanos,
                .send =
                    [id = request.id(), request_id = RequestIdFor(request.request_id()),
                     version](PartCall call) {
                      call.worker.Delete(
                          {.target = call.target, .id = id, .request_id = request_id},
                          call.deadline_nanos,
                          [version, ended = std::move(call.ended)](
                              const absl::StatusOr<rpc::WriteAck>& ack) {
                            ended(ack.status(), [&] { *version = ack->version; });
                          });
                    },
                .done =
                    [this, ordinal, version, done = std::move(done)](const absl::Status& status,
                                                                     const RecordPtr& record) {
                      if (!status.ok()) return done(ShardError(*record, ordinal, status));
                      done(*version);
                    }});
}

}  // namespace vectron::gateway
