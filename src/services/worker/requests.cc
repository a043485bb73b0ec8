// What a worker does with requests: finds the shard, asks it, and gives its answer back.

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/work_limit.h"
#include "model/payload.h"
#include "rpc/error_table.h"
#include "services/worker/worker.h"

namespace vectron::worker {
namespace {

using AckDone = std::function<void(absl::StatusOr<rpc::WriteAck>)>;

// Hands answers on one at a time, whichever threads bring them: who finds nobody at it delivers all
// that wait.
class OneAtATime {
 public:
  explicit OneAtATime(std::function<void(rpc::ShardAnswer)> each) : each_(std::move(each)) {}

  void Deliver(rpc::ShardAnswer answer) {
    {
      const absl::MutexLock lock(&mutex_);
      waiting_.push_back(std::move(answer));
      if (delivering_) return;
      delivering_ = true;
    }
    while (std::optional<rpc::ShardAnswer> next = Next()) each_(*std::move(next));
  }

 private:
  std::optional<rpc::ShardAnswer> Next() {
    const absl::MutexLock lock(&mutex_);
    if (waiting_.empty()) {
      delivering_ = false;
      return std::nullopt;
    }
    std::optional<rpc::ShardAnswer> next(std::move(waiting_.front()));
    waiting_.pop_front();
    return next;
  }

  const std::function<void(rpc::ShardAnswer)> each_;
  absl::Mutex mutex_;
  std::deque<rpc::ShardAnswer> waiting_ ABSL_GUARDED_BY(mutex_);
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
};

// A page of a scan that grows chunk by chunk until one of its bounds is met.
class PageScan {
 public:
  PageScan(rpc::ShardScan request, WorkLimit limit)
      : request_(std::move(request)), limit_(std::move(limit)) {}

  absl::StatusOr<rpc::ScanPage> Run(shard::Shard& shard) {
    page_.scanned_to = request_.after_id;
    size_t chunk = kFirstChunk;
    while (!Full()) {
      RETURN_IF_ERROR(limit_.Check());
      chunk = std::min(
          {chunk, size_t{request_.limit} - page_.points.size(), kMaxScanExamined - examined_});
      if (request_.filter != nullptr) chunk = std::max(chunk, kFirstChunk);
      ASSIGN_OR_RETURN(std::vector<PointRecord> points,
                       shard.ScanPoints(page_.scanned_to, chunk, request_.include_vectors));
      page_.end = points.size() < chunk;
      RETURN_IF_ERROR(Take(std::move(points)));
      if (page_.end) break;
      chunk = std::min(chunk * 4, kMaxChunk);
    }
    return std::move(page_);
  }

 private:
  // Small at first, so that a chunk of large points stays a bounded piece of memory.
  static constexpr size_t kFirstChunk = 16;
  static constexpr size_t kMaxChunk = 1024;

  bool Full() const {
    return page_.points.size() >= request_.limit || bytes_ >= request_.max_bytes ||
           examined_ >= kMaxScanExamined;
  }

  absl::Status Take(std::vector<PointRecord> points) {
    for (PointRecord& point : points) {
      if (Full()) {  // the rest is read again for the next page
        page_.end = false;
        return absl::OkStatus();
      }
      if (examined_++ % WorkLimit::kPayloadsPerCheck == 0) RETURN_IF_ERROR(limit_.Check());
      page_.scanned_to = point.id;
      ASSIGN_OR_RETURN(const bool passes, Passes(point));
      if (!passes) continue;
      bytes_ += point.id.size() + point.payload.size() + point.vector.size() * sizeof(float);
      page_.points.push_back(std::move(point));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Passes(const PointRecord& point) const {
    if (request_.filter == nullptr) return true;
    const absl::StatusOr<Value> payload = ParsePayload(point.payload);
    if (!payload.ok()) {
      return DataLoss("payload of point '{}': {}", point.id, MessageOf(payload.status()));
    }
    return Matches(*request_.filter, point.id, *payload);
  }

  const rpc::ShardScan request_;
  const WorkLimit limit_;
  rpc::ScanPage page_;
  size_t bytes_ = 0;
  size_t examined_ = 0;
};

// Calls `then` once every write acknowledged before now can be seen, or with why that is not known.
// (A get of any id waits just for that.)
void Barrier(shard::Shard& shard, const shard::Shard::GetOptions& freshness,
             std::function<void(const absl::Status&)> then) {
  shard.Get("-", freshness,
            [then = std::move(then)](const absl::StatusOr<std::optional<PointRecord>>& point) {
              then(point.status());
            });
}

// Null when there is nothing that could call the work off.
std::function<bool()> CalledOff(const std::shared_ptr<rpc::Cancellation>& cancellation) {
  if (cancellation == nullptr) return nullptr;
  return [cancellation] { return cancellation->cancelled(); };
}

}  // namespace

absl::Status Worker::WithHint(GroupId group, const absl::Status& error) const {
  if (!absl::IsUnavailable(error)) return error;
  const std::optional<shard::GroupView> view = deps_.shards->View(group);
  if (!view.has_value() || view->is_leader || view->leader.value == 0) return error;
  return rpc::WithLeaderHint(error, view->leader.node());
}

// Keeps the shard in use until its answer has been given.
shard::WriteCallback Worker::AckWrite(Handle shard, GroupId group, AckDone done) const {
  return [this, group, shard = std::move(shard),
          done = std::move(done)](absl::StatusOr<shard::WriteResult> result) {
    if (!result.ok()) return done(WithHint(group, result.status()));
    done(rpc::WriteAck{.version = result->version});
  };
}

void Worker::Upsert(rpc::ShardUpsert request, int64_t deadline_nanos, AckDone done) {
  const GroupId group = request.target.group;
  absl::StatusOr<Handle> shard = Use(request.target);
  if (!shard.ok()) return done(shard.status());
  shard::Shard& target = **shard;
  target.Upsert({.points = std::move(request.points),
                 .request_id = std::move(request.request_id),
                 .insert_only = request.insert_only},
                deadline_nanos, AckWrite(*std::move(shard), group, std::move(done)));
}

void Worker::Delete(rpc::ShardDelete request, int64_t deadline_nanos, AckDone done) {
  const GroupId group = request.target.group;
  absl::StatusOr<Handle> shard = Use(request.target);
  if (!shard.ok()) return done(shard.status());
  shard::Shard& target = **shard;
  target.Delete({.id = std::move(request.id), .request_id = std::move(request.request_id)},
                deadline_nanos, AckWrite(*std::move(shard), group, std::move(done)));
}

void Worker::Get(rpc::ShardGet request, int64_t deadline_nanos,
                 std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) {
  absl::StatusOr<Handle> shard = Use(request.target);
  if (!shard.ok()) return done(shard.status());
  shard::Shard& target = **shard;
  target.Get(request.id,
             {.consistency = request.consistency,
              .max_staleness_ms = request.max_staleness_ms,
              .include_vector = true,
              .deadline_nanos = deadline_nanos},
             [shard = *std::move(shard), done = std::move(done)](
                 absl::StatusOr<std::optional<PointRecord>> point) { done(std::move(point)); });
}

void Worker::WriteKey(const rpc::ShardTarget& target, shard::KeyWrite write, AckDone done) {
  absl::StatusOr<Handle> found = Use(target);
  if (!found.ok()) return done(found.status());
  shard::Shard& shard = **found;
  shard.WriteKey(std::move(write), AckWrite(*std::move(found), target.group, std::move(done)));
}

void Worker::GetKey(const rpc::ShardTarget& target, const std::string& key,
                    std::function<void(absl::StatusOr<std::optional<std::string>>)> done) const {
  absl::StatusOr<Handle> found = Use(target);
  if (!found.ok()) return done(found.status());
  shard::Shard& shard = **found;
  shard.GetKey(key,
               [shard = *std::move(found), done = std::move(done)](
                   absl::StatusOr<std::optional<std::string>> value) { done(std::move(value)); });
}

void Worker::Search(rpc::ShardsSearch request, int64_t deadline_nanos,
                    std::function<void(rpc::ShardAnswer)> each) {
  CHECK(!request.targets.empty());
  const shard::Shard::ReadTerms here{.deadline_nanos = deadline_nanos,
                                     .called_off = CalledOff(request.cancellation),
                                     .for_long = &long_searches_};
  if (request.targets.size() == 1) {  // without a copy, and without a hop unless it takes long
    const rpc::ShardTarget& target = request.targets.front();
    absl::StatusOr<Handle> shard = Use(target);
    if (!shard.ok()) return each({.group = target.group, .answer = shard.status()});
    shard::Shard& one = **shard;
    return one.Search(request.query, here,
                      [shard = *std::move(shard), group = target.group,
                       each = std::move(each)](absl::StatusOr<SearchAnswer> answer) {
                        each({.group = group, .answer = std::move(answer)});
                      });
  }
  struct Shared {  // by the shards that search in parallel
    Shared(rpc::ShardsSearch r, std::function<void(rpc::ShardAnswer)> e)
        : request(std::move(r)), answers(std::move(e)) {}
    const rpc::ShardsSearch request;
    OneAtATime answers;
  };
  const auto shared = std::make_shared<Shared>(std::move(request), std::move(each));
  // Each part may be handed on: one that waits for its group ends up in a thread that others need.
  const auto search_one = [this, shared, here](size_t i) {
    const rpc::ShardTarget& target = shared->request.targets[i];
    absl::StatusOr<Handle> shard = Use(target);
    if (!shard.ok())
      return shared->answers.Deliver({.group = target.group, .answer = shard.status()});
    shard::Shard& one = **shard;
    one.Search(shared->request.query, here,
               [shared, shard = *std::move(shard),
                group = target.group](absl::StatusOr<SearchAnswer> answer) {
                 shared->answers.Deliver({.group = group, .answer = std::move(answer)});
               });
  };
  const size_t count = shared->request.targets.size();
  // While other searches keep the processors busy, handing short parts around only costs: then all
  // begin here, one by one.
  const size_t others = searches_under_way_.fetch_add(1, std::memory_order_relaxed);
  const bool busy = others + long_searches_.under_way() >= deps_.search_executor->parallelism();
  size_t inline_from = 0;
  if (!busy) {
    for (; inline_from + 1 < count; ++inline_from) {
      deps_.search_executor->Schedule([search_one, i = inline_from] { search_one(i); });
    }
  }
  for (size_t i = inline_from; i < count; ++i) search_one(i);
  searches_under_way_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::Scan(rpc::ShardScan request, int64_t deadline_nanos,
                  std::function<void(absl::StatusOr<rpc::ScanPage>)> done) {
  absl::StatusOr<Handle> shard = Use(request.target);
  if (!shard.ok()) return done(shard.status());
  shard::Shard& target = **shard;
  const shard::Shard::GetOptions freshness{.consistency = request.consistency,
                                           .max_staleness_ms = request.max_staleness_ms,
                                           .include_vector = false,
                                           .deadline_nanos = deadline_nanos};
  WorkLimit limit(*deps_.clock, deadline_nanos, CalledOff(request.cancellation));
  // A page may take a while: not in a thread that others wait for.
  auto scan = [this, shard = *std::move(shard), request = std::move(request),
               limit = std::move(limit),
               done = std::move(done)](const absl::Status& ready) mutable {
    if (!ready.ok()) return done(ready);
    long_searches_.Schedule([shard = std::move(shard), request = std::move(request),
                             limit = std::move(limit), done = std::move(done)]() mutable {
      done(PageScan(std::move(request), std::move(limit)).Run(*shard));
    });
  };
  Barrier(target, freshness, std::move(scan));
}

absl::StatusOr<rpc::ScanPage> Worker::ScanNow(rpc::ShardScan request) const {
  ASSIGN_OR_RETURN(const Handle shard, Use(request.target));
  return PageScan(std::move(request), WorkLimit()).Run(*shard);
}

absl::StatusOr<std::optional<PointRecord>> Worker::GetNow(const rpc::ShardTarget& target,
                                                          const std::string& id) const {
  ASSIGN_OR_RETURN(const Handle shard, Use(target));
  absl::StatusOr<std::optional<PointRecord>> result = Internal("no answer");
  // Without a barrier the shard answers before the call returns.
  shard->Get(
      id, {.consistency = Consistency::kEventual},
      [&result](absl::StatusOr<std::optional<PointRecord>> point) { result = std::move(point); });
  return result;
}

absl::StatusOr<std::vector<shard::Entry>> Worker::ReadLog(const rpc::ShardTarget& target,
                                                          uint64_t after,
                                                          uint64_t max_entries) const {
  ASSIGN_OR_RETURN(const Handle shard, Use(target));
  const uint64_t last = std::min(shard->stats().applied_index, after + max_entries);
  if (last <= after) return std::vector<shard::Entry>();
  return deps_.shards->ReadLog(target.group, after + 1, last);
}

void Worker::Describe(std::vector<GroupId> groups, int64_t deadline_nanos,
                      std::function<void(absl::StatusOr<std::vector<rpc::ShardInfo>>)> done) {
  const WorkLimit limit(*deps_.clock, deadline_nanos);
  std::vector<rpc::ShardInfo> infos;
  for (const GroupId group : groups) {
    const absl::Status in_time = limit.Check();
    if (!in_time.ok()) return done(in_time);
    rpc::ShardInfo info{.group = group};
    const absl::StatusOr<Handle> shard = Use({.group = group, .epoch = ~uint64_t{0}});
    if (shard.ok()) {
      const shard::ShardStats stats = (*shard)->stats();
      info.points = stats.points;
      info.indexed = stats.indexed;
      info.disk_bytes = stats.disk_bytes;
      info.memory_bytes = stats.memory_bytes;
      info.applied_index = stats.applied_index;
      info.ready = !stats.quarantined && stats.damage.empty();
      const std::optional<shard::GroupView> view = deps_.shards->View(group);
      info.leads = !view.has_value() || view->is_leader;
    }
    infos.push_back(info);
  }
  done(std::move(infos));
}

}  // namespace vectron::worker
