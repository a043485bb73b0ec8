#include "rpc/worker_codec.h"

#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

namespace wire_v1 = worker::v1;

constexpr uint32_t kMaxConsistency = static_cast<uint32_t>(Consistency::kEventual);

absl::StatusOr<Consistency> ConsistencyOf(uint32_t number) {
  if (number > kMaxConsistency) return InvalidArgument("consistency: {} is no known value", number);
  return static_cast<Consistency>(number);
}

template <typename Repeated>
std::vector<std::string> TakeStrings(Repeated& repeated) {
  std::vector<std::string> strings;
  strings.reserve(static_cast<size_t>(repeated.size()));
  for (std::string& text : repeated) strings.push_back(std::move(text));
  return strings;
}

std::vector<float> FloatsOf(const google::protobuf::RepeatedField<float>& floats) {
  return {floats.begin(), floats.end()};
}

void SetFloats(const std::vector<float>& floats, google::protobuf::RepeatedField<float>& wire) {
  wire.Reserve(static_cast<int>(floats.size()));
  wire.Add(floats.begin(), floats.end());
}

absl::StatusOr<PointBatch> PointsOf(wire_v1::PackedPoints& wire) {
  const auto count = static_cast<size_t>(wire.ids_size());
  const size_t dimension = wire.dimension();
  if (count == 0 || count > kMaxUpsertPoints) {
    return InvalidArgument("points: got {}, 1 to {} are allowed", count, kMaxUpsertPoints);
  }
  if (dimension == 0 || dimension > kMaxDimension ||
      static_cast<size_t>(wire.vectors_size()) != count * dimension) {
    return InvalidArgument("points: got {} components for {} points of dimension {}",
                           wire.vectors_size(), count, dimension);
  }
  if (wire.payloads_size() != 0 && static_cast<size_t>(wire.payloads_size()) != count) {
    return InvalidArgument("points: got {} payloads for {} points", wire.payloads_size(), count);
  }
  PointBatch points;
  points.dimension = wire.dimension();
  points.ids = TakeStrings(*wire.mutable_ids());
  points.vectors = FloatsOf(wire.vectors());
  points.payloads = TakeStrings(*wire.mutable_payloads());
  points.payloads.resize(count);
  return points;
}

void QueryToWire(SearchQuery&& query, wire_v1::ShardQuery& wire) {
  SetFloats(query.vector, *wire.mutable_vector());
  wire.set_k(query.k);
  wire.set_ef(query.ef);
  wire.set_exact(query.exact);
  if (query.filter != nullptr) ToWire(*query.filter, *wire.mutable_filter());
  if (query.score_threshold.has_value()) wire.set_score_threshold(*query.score_threshold);
  wire.set_include_vectors(query.include_vectors);
  wire.set_include_payload(query.include_payload);
  for (std::string& field : query.payload_fields) wire.add_payload_fields(std::move(field));
  wire.set_consistency(static_cast<uint32_t>(query.consistency));
  wire.set_max_staleness_ms(query.max_staleness_ms);
  wire.set_explain(query.explain);
  wire.set_trace(query.trace);
  wire.set_payload_excerpts(query.payload_excerpts);
}

absl::StatusOr<std::shared_ptr<const Filter>> SharedFilter(const wire_v1::ShardFilter& wire) {
  ASSIGN_OR_RETURN(Filter filter, FromWire(wire));
  return std::make_shared<const Filter>(std::move(filter));  // as worker_api.h has it
}

absl::StatusOr<SearchQuery> QueryOf(wire_v1::ShardQuery& wire) {
  SearchQuery query;
  query.vector = FloatsOf(wire.vector());
  query.k = wire.k();
  query.ef = wire.ef();
  query.exact = wire.exact();
  if (wire.has_filter()) {
    ASSIGN_OR_RETURN(query.filter, SharedFilter(wire.filter()));
  }
  if (wire.has_score_threshold()) query.score_threshold = wire.score_threshold();
  query.include_vectors = wire.include_vectors();
  query.include_payload = wire.include_payload();
  query.payload_fields = TakeStrings(*wire.mutable_payload_fields());
  ASSIGN_OR_RETURN(query.consistency, ConsistencyOf(wire.consistency()));
  query.max_staleness_ms = wire.max_staleness_ms();
  query.explain = wire.explain();
  query.trace = wire.trace();
  query.payload_excerpts = wire.payload_excerpts();
  return query;
}

void TraceToWire(const ShardTrace& trace, wire_v1::ShardTrace& wire) {
  wire.set_shard_id(trace.shard_id);
  wire.set_plan(trace.plan);
  wire.set_reason(trace.reason);
  wire.set_points(trace.points);
  wire.set_matches_estimated(trace.matches_estimated);
  wire.set_matches(trace.matches);
  wire.set_hops(trace.hops);
  wire.set_distances(trace.distances);
  wire.set_tail_scanned(trace.tail_scanned);
  wire.set_tombstones(trace.tombstones);
  wire.set_reranked(trace.reranked);
  wire.set_rerank_changes(trace.rerank_changes);
  wire.set_time_us(trace.time_us);
}

ShardTrace TraceOf(const wire_v1::ShardTrace& wire) {
  return {.shard_id = wire.shard_id(),
          .plan = wire.plan(),
          .reason = wire.reason(),
          .points = wire.points(),
          .matches_estimated = wire.matches_estimated(),
          .matches = wire.matches(),
          .hops = wire.hops(),
          .distances = wire.distances(),
          .tail_scanned = wire.tail_scanned(),
          .tombstones = wire.tombstones(),
          .reranked = wire.reranked(),
          .rerank_changes = wire.rerank_changes(),
          .time_us = wire.time_us()};
}

absl::StatusOr<SearchAnswer> HitsOf(wire_v1::ShardHits& wire) {
  const auto count = static_cast<size_t>(wire.ids_size());
  const auto is_one_each = [count](int size) { return static_cast<size_t>(size) == count; };
  const auto components = static_cast<size_t>(wire.vectors_size());
  if (!is_one_each(wire.scores_size()) || !is_one_each(wire.versions_size()) ||
      (wire.payloads_size() != 0 && !is_one_each(wire.payloads_size())) ||
      (components != 0 && (count == 0 || components % count != 0))) {
    return Internal(
        "the worker's answer has {} ids, {} scores, {} versions, {} payloads, {} "
        "components",
        count, wire.scores_size(), wire.versions_size(), wire.payloads_size(), components);
  }
  const size_t dimension = count == 0 ? 0 : components / count;
  SearchAnswer answer;
  answer.hits.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(i);
    SearchHit& hit = answer.hits[i];
    hit.id = std::move(*wire.mutable_ids(at));
    hit.score = wire.scores(at);
    hit.version = wire.versions(at);
    if (wire.payloads_size() != 0) hit.payload = std::move(*wire.mutable_payloads(at));
    if (dimension != 0) {
      const float* const row = wire.vectors().data() + i * dimension;
      hit.vector.assign(row, row + dimension);
    }
  }
  for (const uint32_t excerpt : wire.excerpts()) {
    if (excerpt >= count) {
      return Internal("the worker's answer has an excerpt {} among {} hits", excerpt, count);
    }
    answer.hits[excerpt].is_excerpt = true;
  }
  for (const wire_v1::ShardTrace& trace : wire.traces()) answer.traces.push_back(TraceOf(trace));
  return answer;
}

}  // namespace

void ToWire(const ShardTarget& target, wire_v1::ShardTarget& wire) {
  wire.set_group(target.group.value);
  wire.set_epoch(target.epoch);
}

ShardTarget FromWire(const wire_v1::ShardTarget& wire) {
  return {.group = GroupId{wire.group()}, .epoch = wire.epoch()};
}

void ToWire(ShardUpsert&& request, wire_v1::UpsertPointsRequest& wire) {
  ToWire(request.target, *wire.mutable_target());
  wire_v1::PackedPoints& points = *wire.mutable_points();
  points.set_dimension(request.points.dimension);
  bool any_payload = false;
  for (std::string& id : request.points.ids) points.add_ids(std::move(id));
  for (const std::string& payload : request.points.payloads) any_payload |= !payload.empty();
  if (any_payload) {
    for (std::string& payload : request.points.payloads) points.add_payloads(std::move(payload));
  }
  SetFloats(request.points.vectors, *points.mutable_vectors());
  wire.set_request_id(std::move(request.request_id));
  wire.set_insert_only(request.insert_only);
}

absl::StatusOr<ShardUpsert> FromWire(wire_v1::UpsertPointsRequest& wire) {
  ShardUpsert request;
  request.target = FromWire(wire.target());
  ASSIGN_OR_RETURN(request.points, PointsOf(*wire.mutable_points()));
  request.request_id = std::move(*wire.mutable_request_id());
  request.insert_only = wire.insert_only();
  return request;
}

void ToWire(ShardDelete&& request, wire_v1::DeletePointRequest& wire) {
  ToWire(request.target, *wire.mutable_target());
  wire.set_id(std::move(request.id));
  wire.set_request_id(std::move(request.request_id));
}

ShardDelete FromWire(wire_v1::DeletePointRequest& wire) {
  return {.target = FromWire(wire.target()),
          .id = std::move(*wire.mutable_id()),
          .request_id = std::move(*wire.mutable_request_id())};
}

void ToWire(ShardGet&& request, wire_v1::GetPointRequest& wire) {
  ToWire(request.target, *wire.mutable_target());
  wire.set_id(std::move(request.id));
  wire.set_consistency(static_cast<uint32_t>(request.consistency));
  wire.set_max_staleness_ms(request.max_staleness_ms);
}

absl::StatusOr<ShardGet> FromWire(wire_v1::GetPointRequest& wire) {
  ShardGet request;
  request.target = FromWire(wire.target());
  request.id = std::move(*wire.mutable_id());
  ASSIGN_OR_RETURN(request.consistency, ConsistencyOf(wire.consistency()));
  request.max_staleness_ms = wire.max_staleness_ms();
  return request;
}

void ToWire(PointRecord&& point, wire_v1::StoredPoint& wire) {
  wire.set_id(std::move(point.id));
  SetFloats(point.vector, *wire.mutable_vector());
  wire.set_payload(std::move(point.payload));
  wire.set_version(point.version);
}

PointRecord FromWire(wire_v1::StoredPoint& wire) {
  return {.id = std::move(*wire.mutable_id()),
          .vector = FloatsOf(wire.vector()),
          .payload = std::move(*wire.mutable_payload()),
          .version = wire.version()};
}

void ToWire(ShardsSearch&& request, wire_v1::SearchShardsRequest& wire) {
  for (const ShardTarget& target : request.targets) ToWire(target, *wire.add_targets());
  QueryToWire(std::move(request.query), *wire.mutable_query());
}

absl::StatusOr<ShardsSearch> FromWire(wire_v1::SearchShardsRequest& wire) {
  if (wire.targets_size() == 0 ||
      static_cast<size_t>(wire.targets_size()) > kMaxShardsPerCollection) {
    return InvalidArgument("targets: got {}, 1 to {} are allowed", wire.targets_size(),
                           kMaxShardsPerCollection);
  }
  ShardsSearch request;
  for (const wire_v1::ShardTarget& target : wire.targets()) {
    request.targets.push_back(FromWire(target));
  }
  ASSIGN_OR_RETURN(request.query, QueryOf(*wire.mutable_query()));
  return request;
}

void ToWire(ShardAnswer&& answer, wire_v1::ShardHits& wire) {
  wire.set_group(answer.group.value);
  if (!answer.answer.ok()) return ToWire(answer.answer.status(), *wire.mutable_error());
  std::vector<SearchHit>& hits = answer.answer->hits;
  bool any_payload = false;
  for (const SearchHit& hit : hits) any_payload |= !hit.payload.empty();
  if (!hits.empty()) {
    wire.mutable_vectors()->Reserve(static_cast<int>(hits.size() * hits[0].vector.size()));
  }
  for (SearchHit& hit : hits) {
    if (hit.is_excerpt) wire.add_excerpts(static_cast<uint32_t>(wire.ids_size()));
    wire.add_ids(std::move(hit.id));
    wire.add_scores(hit.score);
    wire.add_versions(hit.version);
    if (any_payload) wire.add_payloads(std::move(hit.payload));
    wire.mutable_vectors()->Add(hit.vector.begin(), hit.vector.end());
  }
  for (const ShardTrace& trace : answer.answer->traces) TraceToWire(trace, *wire.add_traces());
}

ShardAnswer FromWire(wire_v1::ShardHits& wire) {
  ShardAnswer answer{.group = GroupId{wire.group()}, .answer = SearchAnswer{}};
  if (wire.has_error()) {
    answer.answer = FromWire(wire.error());
  } else {
    answer.answer = HitsOf(wire);
  }
  return answer;
}

void ToWire(ShardScan&& request, wire_v1::ScanShardRequest& wire) {
  ToWire(request.target, *wire.mutable_target());
  wire.set_after_id(std::move(request.after_id));
  wire.set_limit(request.limit);
  wire.set_max_bytes(request.max_bytes);
  if (request.filter != nullptr) ToWire(*request.filter, *wire.mutable_filter());
  wire.set_include_vectors(request.include_vectors);
  wire.set_consistency(static_cast<uint32_t>(request.consistency));
  wire.set_max_staleness_ms(request.max_staleness_ms);
}

absl::StatusOr<ShardScan> FromWire(wire_v1::ScanShardRequest& wire) {
  if (wire.limit() == 0 || wire.limit() > kMaxScrollLimit) {
    return InvalidArgument("limit: got {}, 1 to {} are allowed", wire.limit(), kMaxScrollLimit);
  }
  ShardScan request;
  request.target = FromWire(wire.target());
  request.after_id = std::move(*wire.mutable_after_id());
  request.limit = wire.limit();
  request.max_bytes = std::min<size_t>(wire.max_bytes(), kMaxScanBytes);
  if (wire.has_filter()) {
    ASSIGN_OR_RETURN(request.filter, SharedFilter(wire.filter()));
  }
  request.include_vectors = wire.include_vectors();
  ASSIGN_OR_RETURN(request.consistency, ConsistencyOf(wire.consistency()));
  request.max_staleness_ms = wire.max_staleness_ms();
  return request;
}

void ToWire(ScanPage&& page, wire_v1::ScanShardResponse& wire) {
  for (PointRecord& point : page.points) ToWire(std::move(point), *wire.add_points());
  wire.set_scanned_to(std::move(page.scanned_to));
  wire.set_end(page.end);
}

ScanPage FromWire(wire_v1::ScanShardResponse& wire) {
  ScanPage page;
  for (wire_v1::StoredPoint& point : *wire.mutable_points()) page.points.push_back(FromWire(point));
  page.scanned_to = std::move(*wire.mutable_scanned_to());
  page.end = wire.end();
  return page;
}

void ToWire(const ShardInfo& info, wire_v1::ShardDescription& wire) {
  wire.set_group(info.group.value);
  wire.set_points(info.points);
  wire.set_indexed(info.indexed);
  wire.set_disk_bytes(info.disk_bytes);
  wire.set_memory_bytes(info.memory_bytes);
  wire.set_applied_index(info.applied_index);
  wire.set_ready(info.ready);
  wire.set_leads(info.leads);
}

ShardInfo FromWire(const wire_v1::ShardDescription& wire) {
  return {.group = GroupId{wire.group()},
          .points = wire.points(),
          .indexed = wire.indexed(),
          .disk_bytes = wire.disk_bytes(),
          .memory_bytes = wire.memory_bytes(),
          .applied_index = wire.applied_index(),
          .ready = wire.ready(),
          .leads = wire.leads()};
}

void ToWire(const absl::Status& status, wire_v1::ShardError& wire) {
  CHECK(!status.ok());
  wire.set_code(static_cast<uint32_t>(status.code()));
  wire.set_message(std::string(MessageOf(status)));
  if (const auto millis = RetryAfterMillis(status)) wire.set_retry_after_ms(*millis);
  if (const auto leader = LeaderHint(status)) wire.set_leader_worker(leader->value);
}

absl::Status FromWire(const wire_v1::ShardError& wire) {
  constexpr auto kLastCode = static_cast<uint32_t>(absl::StatusCode::kUnauthenticated);
  const auto code = wire.code() == 0 || wire.code() > kLastCode
                        ? absl::StatusCode::kUnknown
                        : static_cast<absl::StatusCode>(wire.code());
  absl::Status status(code, wire.message());
  if (wire.has_retry_after_ms() && wire.retry_after_ms() >= 0) {
    status = WithRetryAfter(std::move(status), wire.retry_after_ms());
  }
  if (wire.leader_worker() != 0) {
    status = WithLeaderHint(std::move(status), WorkerId{wire.leader_worker()});
  }
  return status;
}

}  // namespace vectron::rpc
