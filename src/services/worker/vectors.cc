// The contract's RPCs on single vectors, and searches.

#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/payload.h"
#include "model/validate.h"
#include "services/worker/search_collect.h"
#include "services/worker/service.h"
#include "services/worker/wire.h"

namespace vectron::worker {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

void VectorToWire(PointRecord&& point, v1::Vector& wire) {
  wire.set_id(std::move(point.id));
  wire.mutable_vector()->Add(point.vector.begin(), point.vector.end());
  wire.set_metadata(std::move(point.payload));
}

// The shards a search asks: the one named, or all of the collection.
absl::StatusOr<std::vector<rpc::ShardTarget>> TargetsOf(const Worker& worker,
                                                        const v1::SearchRequest& request) {
  if (request.shard_id() == 0) return worker.ShardsOf(request.collection());
  return std::vector<rpc::ShardTarget>{TargetOf(request.shard_id(), request.shard_epoch())};
}

absl::StatusOr<SearchQuery> QueryOf(const v1::SearchRequest& request) {
  if (request.k() < 0) return InvalidArgument("k: got {}, 0 or more are allowed", request.k());
  SearchQuery query;
  query.vector.assign(request.vector().begin(), request.vector().end());
  query.k = request.k() == 0 ? kDefaultTopK : static_cast<uint32_t>(request.k());
  query.exact = request.brute_force();
  if (request.linearizable()) query.consistency = Consistency::kStrong;
  return query;
}

// All or nothing: a shard that fails is the answer.
void FillResponse(std::vector<rpc::ShardAnswer> answers, size_t k, v1::SearchResponse& response,
                  const RpcDone& done) {
  std::vector<SearchAnswer> good;
  for (rpc::ShardAnswer& answer : answers) {
    if (!answer.answer.ok()) {
      return done(
          Annotate(answer.answer.status(), fmt::format("shard group {}", answer.group.value)));
    }
    good.push_back(*std::move(answer.answer));
  }
  for (SearchHit& hit : MergeAnswers(std::move(good), k).hits) {
    response.add_ids(std::move(hit.id));
    response.add_scores(hit.score);
    response.add_metadata(std::move(hit.payload));
  }
  done(absl::OkStatus());
}

void RunSearch(const WorkerServiceDeps& deps, const v1::SearchRequest& request,
               int64_t deadline_nanos, v1::SearchResponse& response, RpcDone done) {
  absl::StatusOr<std::vector<rpc::ShardTarget>> targets = TargetsOf(*deps.worker, request);
  if (!targets.ok()) return done(targets.status());
  absl::StatusOr<SearchQuery> query = QueryOf(request);
  if (!query.ok()) return done(query.status());
  const size_t k = query->k;
  const auto collect = std::make_shared<SearchCollect>(
      deps, [k, &response, done = std::move(done)](std::vector<rpc::ShardAnswer> answers) {
        FillResponse(std::move(answers), k, response, done);
      });
  collect->Start({.targets = *std::move(targets), .query = *std::move(query)}, deadline_nanos);
}

// Runs the searches of a batch one after the other: each uses all processors it can.
class SearchBatch : public std::enable_shared_from_this<SearchBatch> {
 public:
  SearchBatch(const WorkerServiceDeps& deps, int64_t deadline_nanos,
              const v1::BatchSearchRequest& request, v1::BatchSearchResponse& response,
              RpcDone done)
      : deps_(deps),
        deadline_nanos_(deadline_nanos),
        request_(request),
        response_(response),
        done_(std::move(done)) {}

  void Next() {
    const int at = response_.responses_size();
    if (at == request_.requests_size()) return done_(absl::OkStatus());
    RunSearch(deps_, request_.requests(at), deadline_nanos_, *response_.add_responses(),
              [self = shared_from_this()](const absl::Status& status) {
                if (!status.ok()) return self->done_(status);
                const absl::Status fits = self->CheckSize();
                if (!fits.ok()) return self->done_(fits);
                // Not from here: a long batch of quick answers would nest that deep.
                self->deps_.background_executor->Schedule([self] { self->Next(); });
              });
  }

 private:
  absl::Status CheckSize() {
    bytes_ += response_.responses().rbegin()->ByteSizeLong();
    if (bytes_ <= deps_.max_answer_bytes) return absl::OkStatus();
    return ResourceExhausted(
        "requests: the answers of the first {} of {} take {} bytes, at most {} are allowed; ask "
        "for "
        "fewer at once",
        response_.responses_size(), request_.requests_size(), bytes_, deps_.max_answer_bytes);
  }

  const WorkerServiceDeps& deps_;
  const int64_t deadline_nanos_;
  const v1::BatchSearchRequest& request_;
  v1::BatchSearchResponse& response_;
  const RpcDone done_;
  size_t bytes_ = 0;  // of the answers so far
};

}  // namespace

absl::StatusOr<PointBatch> PointsOf(google::protobuf::RepeatedPtrField<v1::Vector>& vectors) {
  if (vectors.empty() || static_cast<size_t>(vectors.size()) > kMaxUpsertPoints) {
    return InvalidArgument("vectors: got {}, 1 to {} are allowed", vectors.size(),
                           kMaxUpsertPoints);
  }
  PointBatch points;
  points.dimension = static_cast<uint32_t>(vectors[0].vector_size());
  for (int i = 0; i < vectors.size(); ++i) {
    v1::Vector& vector = vectors[i];
    const std::string place = PointPlace(static_cast<size_t>(i), vector.id());
    if (static_cast<uint32_t>(vector.vector_size()) != points.dimension) {
      return InvalidArgument("{}: vector has {} components, the first has {}", place,
                             vector.vector_size(), points.dimension);
    }
    absl::StatusOr<std::string> payload = NormalizePayload(vector.metadata());
    if (!payload.ok()) return Annotate(payload.status(), place + ": metadata");
    points.ids.push_back(std::move(*vector.mutable_id()));
    points.payloads.push_back(*std::move(payload));
    points.vectors.insert(points.vectors.end(), vector.vector().begin(), vector.vector().end());
  }
  return points;
}

void WorkerService::RegisterVectors(rpc::RpcRegistry& registry) {
  Worker& worker = *deps_.worker;
  registry.Unary<v1::StoreVectorRequest, v1::StoreVectorResponse>(
      RpcName("StoreVector"), [&worker](CallContext& context, v1::StoreVectorRequest& request,
                                        v1::StoreVectorResponse&, RpcDone done) {
        google::protobuf::RepeatedPtrField<v1::Vector> one;
        one.Add()->Swap(request.mutable_vector());
        absl::StatusOr<PointBatch> points = PointsOf(one);
        if (!points.ok()) return done(points.status());
        CheckedUpsert(worker,
                      {.target = TargetOf(request.shard_id(), request.shard_epoch()),
                       .points = *std::move(points),
                       .request_id = request.request_id()},
                      context.deadline_nanos,
                      [done = std::move(done)](const absl::StatusOr<rpc::WriteAck>& ack) {
                        done(ack.status());
                      });
      });
  registry.Unary<v1::BatchStoreVectorRequest, v1::BatchStoreVectorResponse>(
      RpcName("BatchStoreVector"),
      [&worker](CallContext& context, v1::BatchStoreVectorRequest& request,
                v1::BatchStoreVectorResponse& response, RpcDone done) {
        const int count = request.vectors_size();
        absl::StatusOr<PointBatch> points = PointsOf(*request.mutable_vectors());
        if (!points.ok()) return done(points.status());
        CheckedUpsert(
            worker,
            {.target = TargetOf(request.shard_id(), request.shard_epoch()),
             .points = *std::move(points),
             .request_id = request.request_id()},
            context.deadline_nanos,
            [count, &response, done = std::move(done)](const absl::StatusOr<rpc::WriteAck>& ack) {
              if (ack.ok()) response.set_stored(count);
              done(ack.status());
            });
      });
  registry.Unary<v1::GetVectorRequest, v1::GetVectorResponse>(
      RpcName("GetVector"), [&worker](CallContext& context, v1::GetVectorRequest& request,
                                      v1::GetVectorResponse& response, RpcDone done) {
        const absl::Status checked = CheckPointId(request.id());
        if (!checked.ok()) return done(checked);
        worker.Get(
            {.target = TargetOf(request.shard_id(), request.shard_epoch()), .id = request.id()},
            context.deadline_nanos,
            [id = request.id(), &response,
             done = std::move(done)](absl::StatusOr<std::optional<PointRecord>> point) {
              if (!point.ok()) return done(point.status());
              if (!point->has_value()) return done(NotFound("there is no point '{}'", id));
              VectorToWire(**std::move(point), *response.mutable_vector());
              done(absl::OkStatus());
            });
      });
  registry.Unary<v1::DeleteVectorRequest, v1::DeleteVectorResponse>(
      RpcName("DeleteVector"), [&worker](CallContext& context, v1::DeleteVectorRequest& request,
                                         v1::DeleteVectorResponse&, RpcDone done) {
        CheckedDelete(worker,
                      {.target = TargetOf(request.shard_id(), request.shard_epoch()),
                       .id = request.id(),
                       .request_id = request.request_id()},
                      context.deadline_nanos,
                      [done = std::move(done)](const absl::StatusOr<rpc::WriteAck>& ack) {
                        done(ack.status());
                      });
      });
}

void WorkerService::RegisterSearches(rpc::RpcRegistry& registry) {
  registry.Unary<v1::SearchRequest, v1::SearchResponse>(
      RpcName("Search"), [this](CallContext& context, v1::SearchRequest& request,
                                v1::SearchResponse& response, RpcDone done) {
        RunSearch(deps_, request, context.deadline_nanos, response, std::move(done));
      });
  registry.Unary<v1::BatchSearchRequest, v1::BatchSearchResponse>(
      RpcName("BatchSearch"), [this](CallContext& context, v1::BatchSearchRequest& request,
                                     v1::BatchSearchResponse& response, RpcDone done) {
        std::make_shared<SearchBatch>(deps_, context.deadline_nanos, request, response,
                                      std::move(done))
            ->Next();
      });
}

}  // namespace vectron::worker
