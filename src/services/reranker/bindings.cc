// The handlers of RerankService: messages to the calls of rpc/reranker_api.h and back.

#include <algorithm>
#include <charconv>

#include "base/status.h"
#include "model/collection.h"
#include "model/json_writer.h"
#include "services/reranker/service.h"

namespace vectron::reranker {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

std::string Named(std::string_view method) {
  return fmt::format("vectron.reranker.v1.RerankService.{}", method);
}

// The textual metadata as a payload, keys sorted so that equal maps are equal texts.
std::string PayloadOf(v1::Candidate& candidate) {
  if (!candidate.payload().empty()) return std::move(*candidate.mutable_payload());
  if (candidate.metadata().empty()) return {};
  std::vector<std::pair<std::string, std::string>> fields(candidate.metadata().begin(),
                                                          candidate.metadata().end());
  std::sort(fields.begin(), fields.end());
  std::string payload;
  for (const auto& [name, text] : fields) {
    payload.push_back(payload.empty() ? '{' : ',');
    AppendJsonString(payload, name);
    payload.push_back(':');
    AppendJsonString(payload, text);
  }
  return payload + "}";
}

std::string Option(const v1::RerankRequest& request, const std::string& name) {
  const auto found = request.options().find(name);
  return found == request.options().end() ? std::string() : found->second;
}

// A number of the options; `base` of its digits. `otherwise` when it is left out.
template <typename Integer>
absl::StatusOr<Integer> NumberOption(const v1::RerankRequest& request, const std::string& name,
                                     Integer otherwise, int base = 10) {
  const std::string text = Option(request, name);
  if (text.empty()) return otherwise;
  Integer value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value, base);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return InvalidArgument("options.{}: is no number", name);
  }
  return value;
}

absl::StatusOr<rpc::RerankCall> CallOf(v1::RerankRequest& request, int64_t now_nanos,
                                       int64_t deadline_nanos) {
  rpc::RerankCall call;
  if (request.top_n() <= 0) return InvalidArgument("top_n: wanted 1 or more");
  call.top_n = static_cast<uint32_t>(request.top_n());
  call.tenant = Option(request, "tenant");
  call.collection = Option(request, "collection");
  call.strategy = Option(request, "strategy");
  call.query_id = Option(request, "query_id");
  call.end_user = Option(request, "end_user");
  const std::string metric = Option(request, "metric");
  ASSIGN_OR_RETURN(call.metric, ParseMetric(metric.empty() ? "cosine" : metric));
  ASSIGN_OR_RETURN(call.now_s, NumberOption<int64_t>(request, "now_s", 0));
  if (call.now_s < 0) return InvalidArgument("options.now_s: is negative");
  ASSIGN_OR_RETURN(call.vector_hash, NumberOption<uint64_t>(request, "vector_hash", 0, 16));
  ASSIGN_OR_RETURN(const uint32_t budget_ms, NumberOption<uint32_t>(request, "budget_ms", 0));
  RETURN_IF_ERROR(CheckRerank({.strategy = call.strategy, .budget_ms = budget_ms, .explore = {}}));
  call.first_page = Option(request, "first_page") == "true";
  if (Option(request, "explore") == "false") call.explore = false;
  call.explain = Option(request, "explain") != "false";
  call.deadline_nanos = deadline_nanos;
  if (budget_ms != 0) {
    const int64_t limit = now_nanos + int64_t{budget_ms} * 1'000'000;
    call.deadline_nanos = deadline_nanos == 0 ? limit : std::min(limit, deadline_nanos);
  }
  call.query = std::move(*request.mutable_query());
  for (v1::Candidate& candidate : *request.mutable_candidates()) {
    call.items.push_back(
        {.id = candidate.id(), .distance = candidate.score(), .payload = PayloadOf(candidate)});
  }
  return call;
}

void FillResponse(rpc::RerankReply reply, const v1::RerankRequest& request, int64_t took_nanos,
                  v1::RerankResponse& response) {
  for (rpc::RankedItem& item : reply.items) {
    const v1::Candidate& candidate = request.candidates(static_cast<int>(item.index));
    v1::ScoredCandidate& result = *response.add_results();
    result.set_id(candidate.id());
    result.set_rerank_score(item.score);
    result.set_original_score(candidate.score());
    result.set_explanation(std::move(item.explanation));
  }
  response.set_strategy_used(std::move(reply.strategy_used));
  response.set_from_cache(reply.from_cache);
  response.set_latency_ms(took_nanos / 1'000'000);
  response.set_reason(std::move(reply.reason));
  response.set_explored(reply.explored);
  response.set_impression(std::move(reply.impression));
}

}  // namespace

absl::Status Reranker::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.reranker.v1.RerankService"));
  registry.Unary<v1::RerankRequest, v1::RerankResponse>(
      Named("Rerank"), [this](CallContext& context, v1::RerankRequest& request,
                              v1::RerankResponse& response, RpcDone done) {
        const int64_t begin = deps_.clock->MonotonicNanos();
        absl::StatusOr<rpc::RerankCall> call = CallOf(request, begin, context.deadline_nanos);
        if (!call.ok()) return done(call.status());
        Rerank(*std::move(call), [this, begin, &request, &response,
                                  done = std::move(done)](absl::StatusOr<rpc::RerankReply> reply) {
          if (!reply.ok()) return done(reply.status());
          FillResponse(*std::move(reply), request, deps_.clock->MonotonicNanos() - begin, response);
          done(absl::OkStatus());
        });
      });
  registry.Unary<v1::GetStrategyRequest, v1::GetStrategyResponse>(
      Named("GetStrategy"), [this](CallContext&, v1::GetStrategyRequest&,
                                   v1::GetStrategyResponse& response, RpcDone done) {
        response = GetStrategy();
        done(absl::OkStatus());
      });
  registry.Unary<v1::InvalidateCacheRequest, v1::InvalidateCacheResponse>(
      Named("InvalidateCache"), [this](CallContext&, v1::InvalidateCacheRequest& request,
                                       v1::InvalidateCacheResponse& response, RpcDone done) {
        const absl::StatusOr<size_t> cleared = InvalidateCache(request);
        if (cleared.ok()) response.set_entries_cleared(static_cast<int32_t>(*cleared));
        done(cleared.status());
      });
  registry.Unary<v1::LearnFeedbackRequest, v1::LearnFeedbackResponse>(
      Named("LearnFeedback"), [this](CallContext&, v1::LearnFeedbackRequest& request,
                                     v1::LearnFeedbackResponse& response, RpcDone done) {
        Learn(std::move(request),
              [&response, done = std::move(done)](absl::StatusOr<v1::LearnFeedbackResponse> marks) {
                if (marks.ok()) response = *std::move(marks);
                done(marks.status());
              });
      });
  registry.Unary<v1::GetModelRequest, v1::ModelStatus>(
      Named("GetModel"),
      [this](CallContext&, v1::GetModelRequest& request, v1::ModelStatus& response, RpcDone done) {
        GetModel(std::move(request),
                 [&response, done = std::move(done)](absl::StatusOr<v1::ModelStatus> status) {
                   if (status.ok()) response = *std::move(status);
                   done(status.status());
                 });
      });
  registry.Unary<v1::ControlModelRequest, v1::ModelStatus>(
      Named("ControlModel"), [this](CallContext& context, v1::ControlModelRequest& request,
                                    v1::ModelStatus& response, RpcDone done) {
        context.audit_target = request.collection();
        context.audit_detail = fmt::format("action={}", v1::ModelAction_Name(request.action()));
        ControlModel(std::move(request),
                     [&response, done = std::move(done)](absl::StatusOr<v1::ModelStatus> status) {
                       if (status.ok()) response = *std::move(status);
                       done(status.status());
                     });
      });
  return absl::OkStatus();
}

}  // namespace vectron::reranker
