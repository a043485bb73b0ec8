#include "rpc/reranker_client.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/synchronization/mutex.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/collection.h"
#include "rpc/unary_client_call.h"
#include "vectron/reranker.grpc.pb.h"

namespace vectron::rpc {
namespace {

namespace wire = reranker::v1;
using Async = wire::RerankService::StubInterface::async_interface;

constexpr int64_t kAskIntervalNanos = 5'000'000'000;
constexpr int64_t kAskPatienceNanos = 2'000'000'000;
constexpr int64_t kControlPatienceNanos = 10'000'000'000;

void FillRequest(RerankCall& call, wire::RerankRequest& request) {
  request.set_query(std::move(call.query));
  request.set_top_n(static_cast<int32_t>(call.top_n));
  for (RerankItem& item : call.items) {
    wire::Candidate& candidate = *request.add_candidates();
    candidate.set_id(item.id);
    candidate.set_score(item.distance);
    candidate.set_payload(std::move(item.payload));
  }
  auto& options = *request.mutable_options();
  options["tenant"] = call.tenant;
  options["collection"] = call.collection;
  options["metric"] = MetricName(call.metric);
  options["strategy"] = call.strategy;
  options["query_id"] = call.query_id;
  options["end_user"] = call.end_user;
  options["vector_hash"] = fmt::format("{:x}", call.vector_hash);
  options["first_page"] = call.first_page ? "true" : "false";
  options["explain"] = call.explain ? "true" : "false";
  if (call.explore.has_value()) options["explore"] = *call.explore ? "true" : "false";
  if (call.now_s != 0) options["now_s"] = fmt::format("{}", call.now_s);
}

// The answer in terms of the call's items; Internal when it names others.
absl::StatusOr<RerankReply> ReplyOf(const std::vector<std::string>& ids,
                                    wire::RerankResponse& response) {
  std::map<std::string_view, uint32_t> index_of;
  for (uint32_t i = 0; i < ids.size(); ++i) index_of[ids[i]] = i;
  RerankReply reply;
  for (wire::ScoredCandidate& result : *response.mutable_results()) {
    const auto found = index_of.find(result.id());
    if (found == index_of.end())
      return Internal("the reranker names a result that was not asked for");
    reply.items.push_back({.index = found->second,
                           .score = result.rerank_score(),
                           .explanation = std::move(*result.mutable_explanation())});
    index_of.erase(found);
  }
  reply.strategy_used = std::move(*response.mutable_strategy_used());
  reply.reason = std::move(*response.mutable_reason());
  reply.from_cache = response.from_cache();
  reply.explored = response.explored();
  reply.impression = std::move(*response.mutable_impression());
  return reply;
}

// 0: it says none that can be one.
uint32_t BudgetOf(const wire::GetStrategyResponse& strategy) {
  const auto found = strategy.config().find("budget_ms");
  uint32_t budget_ms = 0;
  if (found == strategy.config().end() || !absl::SimpleAtoi(found->second, &budget_ms)) return 0;
  return std::min(budget_ms, kMaxRerankBudgetMs);
}

// Sends a request whose answer is handed on as it is.
template <typename Response, typename Request, typename Method>
void Forward(ChannelPool& channels, Request request, Method method, int64_t deadline_nanos,
             std::function<void(absl::StatusOr<Response>)> done) {
  using Call = UnaryClientCall<wire::RerankService, Request, Response>;
  auto call = std::make_unique<Call>(channels);
  call->request = std::move(request);
  Call::Send(std::move(call), method, deadline_nanos,
             [done = std::move(done)](const absl::Status& status, Response& response) {
               if (!status.ok()) return done(status);
               done(std::move(response));
             });
}

}  // namespace

RerankerClient::RerankerClient(std::string address, ChannelOptions options, const Clock& clock)
    : channels_(std::move(address), std::move(options), clock), clock_(clock) {}
RerankerClient::~RerankerClient() = default;

void RerankerClient::Rerank(RerankCall call,
                            std::function<void(absl::StatusOr<RerankReply>)> done) {
  std::vector<std::string> ids;
  for (const RerankItem& item : call.items) ids.push_back(item.id);
  const int64_t deadline = call.deadline_nanos;
  wire::RerankRequest request;
  FillRequest(call, request);
  Forward<wire::RerankResponse>(
      channels_, std::move(request),
      static_cast<
          UnaryClientCall<wire::RerankService, wire::RerankRequest, wire::RerankResponse>::Method>(
          &Async::Rerank),
      deadline,
      [ids = std::move(ids),
       done = std::move(done)](absl::StatusOr<wire::RerankResponse> response) {
        if (!response.ok()) return done(response.status());
        done(ReplyOf(ids, *response));
      });
}

void RerankerClient::Learn(wire::LearnFeedbackRequest request,
                           std::function<void(absl::StatusOr<wire::LearnFeedbackResponse>)> done) {
  Forward<wire::LearnFeedbackResponse>(
      channels_, std::move(request),
      static_cast<UnaryClientCall<wire::RerankService, wire::LearnFeedbackRequest,
                                  wire::LearnFeedbackResponse>::Method>(&Async::LearnFeedback),
      clock_.MonotonicNanos() + kControlPatienceNanos, std::move(done));
}

void RerankerClient::GetModel(wire::GetModelRequest request,
                              std::function<void(absl::StatusOr<wire::ModelStatus>)> done) {
  Forward<wire::ModelStatus>(
      channels_, std::move(request),
      static_cast<
          UnaryClientCall<wire::RerankService, wire::GetModelRequest, wire::ModelStatus>::Method>(
          &Async::GetModel),
      clock_.MonotonicNanos() + kControlPatienceNanos, std::move(done));
}

void RerankerClient::ControlModel(wire::ControlModelRequest request,
                                  std::function<void(absl::StatusOr<wire::ModelStatus>)> done) {
  Forward<wire::ModelStatus>(
      channels_, std::move(request),
      static_cast<UnaryClientCall<wire::RerankService, wire::ControlModelRequest,
                                  wire::ModelStatus>::Method>(&Async::ControlModel),
      clock_.MonotonicNanos() + kControlPatienceNanos, std::move(done));
}

void RerankerClient::Check(std::function<void(absl::Status)> done) {
  Forward<wire::GetStrategyResponse>(
      channels_, wire::GetStrategyRequest(),
      static_cast<UnaryClientCall<wire::RerankService, wire::GetStrategyRequest,
                                  wire::GetStrategyResponse>::Method>(&Async::GetStrategy),
      clock_.MonotonicNanos() + kAskPatienceNanos,
      [this, done = std::move(done)](const absl::StatusOr<wire::GetStrategyResponse>& answer) {
        if (answer.ok()) budget_ms_ = BudgetOf(*answer);
        done(answer.status());
      });
}

struct FoundReranker::State {
  State(PlacementCaller& caller, ChannelOptions channels, const Clock& steady, Timer& wakes)
      : placement(caller), options(std::move(channels)), clock(steady), timer(wakes) {}

  PlacementCaller& placement;
  const ChannelOptions options;
  const Clock& clock;
  Timer& timer;

  absl::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  bool asking ABSL_GUARDED_BY(mutex) = false;
  Timer::Id next ABSL_GUARDED_BY(mutex) = 0;
  // Shared with the calls under way when another one takes its place.
  std::shared_ptr<RerankerClient> client ABSL_GUARDED_BY(mutex);

  std::shared_ptr<RerankerClient> Client() {
    const absl::MutexLock lock(&mutex);
    return client;
  }
  // Takes what placement says, asks the reranker for its settings and plans the next question.
  void Take(const std::shared_ptr<State>& self,
            const absl::StatusOr<placementdriver::v1::GetRerankerResponse>& found) {
    if (std::shared_ptr<RerankerClient> current = Replace(found); current != nullptr) {
      current->Check([](const absl::Status&) {});  // what it says stays with the client
    }
    const absl::MutexLock lock(&mutex);
    asking = false;
    if (stopped) return;
    next = timer.At(clock.MonotonicNanos() + kAskIntervalNanos, [self] { Ask(self); });
  }
  // The client of what placement names; null: of nothing.
  std::shared_ptr<RerankerClient> Replace(
      const absl::StatusOr<placementdriver::v1::GetRerankerResponse>& found) {
    std::shared_ptr<RerankerClient> old;  // closes outside of the lock
    const absl::MutexLock lock(&mutex);
    if (stopped) return nullptr;
    if (found.ok() && (client == nullptr || client->address() != found->grpc_address())) {
      old = std::exchange(client,
                          std::make_shared<RerankerClient>(found->grpc_address(), options, clock));
    } else if (absl::IsNotFound(found.status()) || absl::IsFailedPrecondition(found.status())) {
      old = std::exchange(client, nullptr);
    }
    return client;
  }
};

FoundReranker::FoundReranker(PlacementCaller& placement, ChannelOptions options, const Clock& clock,
                             Timer& timer)
    : state_(std::make_shared<State>(placement, std::move(options), clock, timer)) {
  Ask(state_);
}

FoundReranker::~FoundReranker() {
  std::shared_ptr<RerankerClient> client;  // closes outside of the lock
  const absl::MutexLock lock(&state_->mutex);
  state_->stopped = true;
  if (state_->next != 0) state_->timer.Cancel(state_->next);
  client = std::move(state_->client);
  const auto idle = [](State* state)
                        ABSL_SHARED_LOCKS_REQUIRED(state->mutex) { return !state->asking; };
  state_->mutex.Await(absl::Condition(+idle, state_.get()));
}

void FoundReranker::Ask(const std::shared_ptr<State>& state) {
  {
    const absl::MutexLock lock(&state->mutex);
    if (state->stopped) return;
    state->asking = true;
  }
  state->placement.GetReranker(
      state->clock.MonotonicNanos() + kAskPatienceNanos,
      [state](const auto& answer) { state->Take(state, answer.response); });
}

namespace {

template <typename Done>
bool Known(const std::shared_ptr<RerankerClient>& client, const Done& done) {
  if (client != nullptr) return true;
  done(Unavailable("no reranker is known"));
  return false;
}

}  // namespace

uint32_t FoundReranker::budget_ms() const {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  return client == nullptr ? 0 : client->budget_ms();
}

void FoundReranker::Check(std::function<void(absl::Status, const std::string& address)> done) {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  if (client == nullptr) return done(absl::OkStatus(), "");
  client->Check([address = client->address(), done = std::move(done)](const absl::Status& status) {
    done(status, address);
  });
}

void FoundReranker::Rerank(RerankCall call, std::function<void(absl::StatusOr<RerankReply>)> done) {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  if (Known(client, done)) client->Rerank(std::move(call), std::move(done));
}

void FoundReranker::Learn(wire::LearnFeedbackRequest request,
                          std::function<void(absl::StatusOr<wire::LearnFeedbackResponse>)> done) {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  if (Known(client, done)) client->Learn(std::move(request), std::move(done));
}

void FoundReranker::GetModel(wire::GetModelRequest request,
                             std::function<void(absl::StatusOr<wire::ModelStatus>)> done) {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  if (Known(client, done)) client->GetModel(std::move(request), std::move(done));
}

void FoundReranker::ControlModel(wire::ControlModelRequest request,
                                 std::function<void(absl::StatusOr<wire::ModelStatus>)> done) {
  const std::shared_ptr<RerankerClient> client = state_->Client();
  if (Known(client, done)) client->ControlModel(std::move(request), std::move(done));
}

}  // namespace vectron::rpc
