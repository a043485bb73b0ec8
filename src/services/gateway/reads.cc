// Reads of points: one by id, or a page in id order.

#include <algorithm>

#include "base/limits.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/payload.h"
#include "services/gateway/fan_in.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using Pages = FanIn<rpc::ScanPage>;

// Points a shard is asked for: its expected share of a page and room for chance, so that pages of
// collections with many shards do not cost many times their size.
uint32_t ShardLimit(uint32_t limit, uint32_t shard_count) {
  const uint32_t share = limit / shard_count;
  return std::min(limit, share + share / 4 + 16);
}

// One page from those of all shards: sorted, cut at the limit, at the bytes of a page and where the
// first shard that is not at its end stopped looking.
ScrollReply MergePages(std::vector<rpc::ScanPage> pages, uint32_t limit) {
  ScrollReply reply;
  const std::string* bound = nullptr;  // ids above it may be missing
  for (const rpc::ScanPage& page : pages) {
    if (!page.end && (bound == nullptr || page.scanned_to < *bound)) bound = &page.scanned_to;
  }
  for (rpc::ScanPage& page : pages) {
    std::move(page.points.begin(), page.points.end(), std::back_inserter(reply.points));
  }
  std::sort(reply.points.begin(), reply.points.end(),
            [](const PointRecord& a, const PointRecord& b) { return a.id < b.id; });
  size_t kept = 0;
  size_t bytes = 0;
  while (kept < reply.points.size() && kept < limit) {
    const PointRecord& point = reply.points[kept];
    if (bound != nullptr && point.id > *bound) break;
    bytes += point.id.size() + point.payload.size() + point.vector.size() * sizeof(float);
    if (kept > 0 && bytes > kMaxScanBytes) break;
    ++kept;
  }
  const bool beyond_bound =
      bound != nullptr && (kept == reply.points.size() || reply.points[kept].id > *bound);
  if (beyond_bound) {
    reply.next_after_id = *bound;
  } else if (kept < reply.points.size()) {
    reply.next_after_id = reply.points[kept - 1].id;
  }
  reply.points.resize(kept);
  return reply;
}

auto ScanOf(const rpc::ShardScan& scan, std::shared_ptr<rpc::ScanPage> page) {
  return [scan, page = std::move(page)](PartCall call) {
    rpc::ShardScan request = scan;
    request.target = call.target;
    request.cancellation = std::move(call.cancellation);
    call.worker.Scan(std::move(request), call.deadline_nanos,
                     [page, ended = std::move(call.ended)](absl::StatusOr<rpc::ScanPage> got) {
                       ended(got.status(), [&] { *page = *std::move(got); });
                     });
  };
}

}  // namespace

void Gateway::Get(const rpc::CallContext& context, const v1::GetRequest& request, GetDone done) {
  absl::StatusOr<RecordPtr> found = Find(context.tenant, request.collection());
  if (!found.ok()) return done(found.status());
  const absl::Status checked = CheckPointId(request.id());
  if (!checked.ok()) return done(checked);
  const absl::StatusOr<Consistency> consistency =
      ConsistencyFromProto(request.consistency(), "consistency");
  if (!consistency.ok()) return done(consistency.status());
  const ShardOrdinal ordinal = ShardOf(request.id(), (*found)->schema.shard_count);
  const auto point = std::make_shared<std::optional<PointRecord>>();  // shared by its tries
  router_.Send({.record = *found,
                .ordinal = ordinal,
                .to = RouteOf(*consistency, (*found)->schema),
                .read = ReadKind::kGet,
                .deadline_nanos = context.deadline_nanos,
                .send =
                    [id = request.id(), consistency = *consistency,
                     max_staleness_ms = request.max_staleness_ms(), point](PartCall call) {
                      call.worker.Get({.target = call.target,
                                       .id = id,
                                       .consistency = consistency,
                                       .max_staleness_ms = max_staleness_ms,
                                       .cancellation = std::move(call.cancellation)},
                                      call.deadline_nanos,
                                      [point, ended = std::move(call.ended)](
                                          absl::StatusOr<std::optional<PointRecord>> got) {
                                        ended(got.status(), [&] { *point = *std::move(got); });
                                      });
                    },
                .done =
                    [this, ordinal, id = request.id(), point, done = std::move(done)](
                        const absl::Status& status, const RecordPtr& record) {
                      if (!status.ok()) return done(ShardError(*record, ordinal, status));
                      if (!point->has_value()) {
                        return done(
                            NotFound("collection '{}' has no point '{}'", record->schema.name, id));
                      }
                      done(std::move(**point));
                    }});
}

void Gateway::Scroll(const rpc::CallContext& context, ScrollCall call, ScrollDone done) {
  absl::StatusOr<RecordPtr> found = Find(context.tenant, call.collection);
  if (!found.ok()) return done(found.status());
  if (!call.after_id.empty()) {
    const absl::Status checked = CheckPointId(call.after_id);
    if (!checked.ok()) return done(Annotate(checked, "after_id"));
  }
  const rpc::CollectionRecord& record = **found;
  const auto all = std::make_shared<Pages>(  // shared by the shards' callbacks
      record.shards.size(),
      [this, record = *found, limit = call.limit, include_payload = call.include_payload,
       done = std::move(done)](Pages::Results results) {
        std::vector<rpc::ScanPage> pages;
        for (size_t i = 0; i < results.size(); ++i) {
          if (!results[i].ok()) {
            return done(ShardError(*record, record->shards[i].ordinal, results[i].status()));
          }
          pages.push_back(*std::move(results[i]));
        }
        ScrollReply reply = MergePages(std::move(pages), limit);
        if (!include_payload) {
          for (PointRecord& point : reply.points) point.payload.clear();
        }
        done(std::move(reply));
      });
  const rpc::ShardScan scan{.target = {},
                            .after_id = call.after_id,
                            .limit = ShardLimit(call.limit, record.schema.shard_count),
                            .max_bytes = 2 * kMaxScanBytes / (record.schema.shard_count + 1),
                            .filter = call.filter,
                            .include_vectors = call.include_vectors,
                            .consistency = call.consistency,
                            .max_staleness_ms = call.max_staleness_ms};
  for (size_t i = 0; i < record.shards.size(); ++i) {
    const auto page = std::make_shared<rpc::ScanPage>();  // shared by its tries
    router_.Send({.record = *found,
                  .ordinal = record.shards[i].ordinal,
                  .to = RouteOf(call.consistency, record.schema),
                  .read = ReadKind::kScan,
                  .deadline_nanos = context.deadline_nanos,
                  .send = ScanOf(scan, page),
                  .done = [all, i, page](const absl::Status& status, const RecordPtr&) {
                    if (!status.ok()) return all->Set(i, status);
                    all->Set(i, std::move(*page));
                  }});
  }
}

}  // namespace vectron::gateway
