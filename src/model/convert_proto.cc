#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "model/convert.h"
#include "model/convert_check.h"
#include "model/payload_proto.h"
#include "model/validate.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

absl::StatusOr<std::shared_ptr<const Filter>> SharedFilter(const v1::Filter& proto) {
  ASSIGN_OR_RETURN(Filter filter, FilterFromProto(proto));
  if (filter.empty()) return std::shared_ptr<const Filter>();
  // Shared because the shards of a search read it in parallel.
  return std::make_shared<const Filter>(std::move(filter));
}

void TraceToProto(const ShardTrace& trace, v1::ShardExplain& proto) {
  proto.set_shard_id(trace.shard_id);
  proto.set_plan(trace.plan);
  proto.set_reason(trace.reason);
  proto.set_points(trace.points);
  proto.set_matches_estimated(trace.matches_estimated);
  proto.set_matches(trace.matches);
  proto.set_hops(trace.hops);
  proto.set_distances(trace.distances);
  proto.set_tail_scanned(trace.tail_scanned);
  proto.set_tombstones(trace.tombstones);
  proto.set_reranked(trace.reranked);
  proto.set_rerank_changes(trace.rerank_changes);
  proto.set_time_us(trace.time_us);
}

}  // namespace

absl::StatusOr<UpsertCall> UpsertFromProto(v1::UpsertRequest& request) {
  UpsertCall call;
  RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  call.collection = std::move(*request.mutable_collection());
  call.request_id = std::move(*request.mutable_request_id());
  call.return_versions = request.return_versions();
  call.insert_only = request.insert_only();
  BatchBuilder builder;
  const auto count = static_cast<size_t>(request.points_size());
  RETURN_IF_ERROR(BatchBuilder::CheckCount(count));
  if (count > 0) {
    const size_t components = count * static_cast<size_t>(request.points(0).vector_size());
    builder.Reserve(count, std::min(components, kMaxUpsertBytes / sizeof(float)));
  }
  for (v1::Point& point : *request.mutable_points()) {
    builder.BeginPoint();
    builder.vectors().insert(builder.vectors().end(), point.vector().begin(), point.vector().end());
    const std::span<const float> vector(point.vector().data(), builder.component_count());
    if (const absl::Status finite = CheckFinite(vector, ""); !finite.ok()) {
      return Annotate(finite, PointPlace(builder.size(), point.id()));
    }
    auto payload = PayloadFromProto(point.payload(), point.fields());
    if (!payload.ok()) {
      return Annotate(payload.status(), PointPlace(builder.size(), point.id()));
    }
    RETURN_IF_ERROR(builder.EndPoint(std::move(*point.mutable_id()), *std::move(payload)));
  }
  call.points = builder.Take();
  call.odd_length = builder.TakeOddLength();
  return call;
}

absl::StatusOr<SearchCall> SearchFromProto(const v1::SearchRequest& request) {
  SearchCall call;
  SearchQuery& query = call.query;
  call.collection = request.collection();
  query.vector.assign(request.vector().begin(), request.vector().end());
  call.top_k = request.top_k();
  call.text = request.query();
  call.timeout_ms = request.timeout_ms();
  query.include_vectors = request.include_vectors();
  query.include_payload = !request.has_include_metadata() || request.include_metadata();
  ASSIGN_OR_RETURN(query.filter, SharedFilter(request.filter()));
  query.ef = request.params().ef();
  query.exact = request.params().exact();
  call.target_recall = request.params().target_recall();
  call.offset = request.offset();
  if (request.has_score_threshold()) query.score_threshold = request.score_threshold();
  ASSIGN_OR_RETURN(query.consistency, ConsistencyFromProto(request.consistency(), "consistency"));
  query.max_staleness_ms = request.max_staleness_ms();
  query.explain = request.explain();
  if (request.has_rerank()) call.rerank = RerankFromProto(request.rerank());
  query.payload_fields.assign(request.payload_fields().begin(), request.payload_fields().end());
  RETURN_IF_ERROR(FinishSearch(call));
  return call;
}

absl::StatusOr<ScrollCall> ScrollFromProto(const v1::ScrollRequest& request) {
  ScrollCall call;
  call.collection = request.collection();
  call.after_id = request.after_id();
  call.limit = request.limit();
  ASSIGN_OR_RETURN(call.filter, SharedFilter(request.filter()));
  call.include_vectors = request.include_vectors();
  call.include_payload = !request.has_include_metadata() || request.include_metadata();
  ASSIGN_OR_RETURN(call.consistency, ConsistencyFromProto(request.consistency(), "consistency"));
  call.max_staleness_ms = request.max_staleness_ms();
  RETURN_IF_ERROR(FinishScroll(call));
  return call;
}

void ReplyToProto(const SearchReply& reply, v1::SearchResponse& response) {
  response.Clear();
  response.mutable_results()->Reserve(static_cast<int>(reply.hits.size()));
  for (const SearchHit& hit : reply.hits) {
    v1::SearchResult& result = *response.add_results();
    result.set_id(hit.id);
    result.set_score(hit.score);
    result.set_version(hit.version);
    PayloadToProto(hit.payload, result);
    result.mutable_vector()->Add(hit.vector.begin(), hit.vector.end());
  }
  response.set_query_id(reply.query_id);
  response.set_reranked(reply.reranked);
  response.set_partial(reply.partial);
  response.mutable_missing_shards()->Add(reply.missing_shards.begin(), reply.missing_shards.end());
  response.set_last(reply.last);
  if (reply.rerank.has_value()) {
    v1::RerankInfo& rerank = *response.mutable_rerank();
    rerank.set_strategy(reply.rerank->strategy);
    rerank.set_reason(reply.rerank->reason);
    rerank.set_from_cache(reply.rerank->from_cache);
    rerank.set_explored(reply.rerank->explored);
    rerank.set_time_us(reply.rerank->time_us);
  }
  if (!reply.explain) return;
  v1::SearchExplain& explain = *response.mutable_explain();
  for (const ShardTrace& trace : reply.traces) TraceToProto(trace, *explain.add_shards());
  for (const RerankTrace& trace : reply.rerank_explain) {
    v1::RerankExplain& rerank = *explain.add_rerank();
    rerank.set_id(trace.id);
    rerank.set_vector_rank(trace.vector_rank);
    rerank.set_distance(trace.distance);
    rerank.set_explanation(trace.explanation);
  }
}

void PointToProto(const PointRecord& point, v1::Point& proto) {
  proto.Clear();
  proto.set_id(point.id);
  proto.mutable_vector()->Add(point.vector.begin(), point.vector.end());
  PayloadToProto(point.payload, proto);
  proto.set_version(point.version);
}

}  // namespace vectron
