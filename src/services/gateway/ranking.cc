#include "services/gateway/ranking.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/text.h"

namespace vectron::gateway {
namespace {

using rpc::CallContext;
using rpc::RpcDone;

constexpr uint32_t kMaxGrade = 5;
constexpr uint64_t kLookRounds = 60;  // seconds between two looks for collections that are gone

std::string Named(std::string_view method) {
  return fmt::format("vectron.v1.VectronService.{}", method);
}

absl::Status CheckFeedback(const v1::SubmitFeedbackRequest& request) {
  if (request.feedback_items().empty()) return InvalidArgument("feedback_items: there are none");
  if (static_cast<size_t>(request.feedback_items_size()) > kMaxFeedbackItems) {
    return InvalidArgument("feedback_items: got {}, at most {} are allowed",
                           request.feedback_items_size(), kMaxFeedbackItems);
  }
  if (request.ByteSizeLong() > kMaxFeedbackBytes) {
    return InvalidArgument("feedback: got {} bytes, at most {} are allowed", request.ByteSizeLong(),
                           kMaxFeedbackBytes);
  }
  for (int i = 0; i < request.feedback_items_size(); ++i) {
    const v1::FeedbackItem& item = request.feedback_items(i);
    if (const absl::Status id = CheckPointId(item.result_id()); !id.ok()) {
      return Annotate(id, fmt::format("feedback_items[{}].result_id", i));
    }
    if (item.relevance_score() < 0 || item.relevance_score() > static_cast<int>(kMaxGrade)) {
      return InvalidArgument(
          "feedback_items[{}].relevance_score is {}, wanted 1 to {}, or 0 for none", i,
          item.relevance_score(), kMaxGrade);
    }
  }
  return absl::OkStatus();
}

// Whose feedback it is, under the principal: what one end user can change is capped.
std::string EndUserOf(const std::string& principal, const v1::SubmitFeedbackRequest& request) {
  for (const char* key : {"user_id", "session_id"}) {
    const auto found = request.context().find(key);
    if (found != request.context().end() && !found->second.empty()) {
      return fmt::format("{}/{}={}", principal, key, found->second);
    }
  }
  return {};
}

}  // namespace

std::string ModelKeyOf(const rpc::CollectionRecord& record) {
  return ModelKeyOf(record.schema.name, record.created_unix_ms);
}

Ranking::Ranking(const RankingDeps& deps)
    : deps_(deps),
      seconds_(deps.metrics->AddHistogram("vectron_search_rerank_seconds",
                                          "Time from the vector order to the order returned.", {},
                                          LatencyBounds())),
      late_(deps.metrics->AddCounter("vectron_search_rerank_late_total",
                                     "Searches whose reranking was not done within its budget.")),
      feedback_(deps.metrics->AddCounter("vectron_feedback_total", "Feedback stored.")),
      joined_(deps.metrics->AddCounter("vectron_feedback_joined_total",
                                       "Feedback that joined an answer as it was shown.")),
      impressions_(*deps.clock) {}

absl::StatusOr<std::unique_ptr<Ranking>> Ranking::Open(const FeedbackStoreOptions& feedback,
                                                       const RankingDeps& deps) {
  CHECK(deps.placement != nullptr && deps.clock != nullptr && deps.timer != nullptr);
  CHECK(deps.metrics != nullptr && deps.executor != nullptr);
  std::unique_ptr<Ranking> ranking(new Ranking(deps));
  ASSIGN_OR_RETURN(ranking->store_, FeedbackStore::Open(feedback, *deps.clock, *deps.executor));
  if (deps.reranker != nullptr) {
    ranking->stream_ =
        std::make_unique<FeedbackStream>(*ranking->store_, *deps.reranker, *deps.timer, *deps.clock,
                                         [raw = ranking.get()] { raw->ForgetTheGone(); });
  }
  return ranking;
}

Ranking::~Ranking() { Stop(); }

void Ranking::Start() {
  if (stream_ != nullptr) stream_->Start();
}

void Ranking::Stop() {
  stopped_ = true;
  if (stream_ != nullptr) stream_->Stop();
}

absl::StatusOr<std::shared_ptr<const rpc::CollectionRecord>> Ranking::Find(
    const std::string& tenant, const std::string& name) const {
  auto record = deps_.placement->FindCollection(tenant, name);
  if (record == nullptr) return NotFound("collection {} does not exist", Quote(name));
  return record;
}

bool Ranking::IsGone(const FeedbackSubject& subject) const {
  const auto record = deps_.placement->FindCollection(subject.tenant, subject.collection);
  if (record == nullptr) return true;
  // One that was made later than the present one is not known here yet.
  return subject.made_unix_ms != 0 && subject.made_unix_ms < record->created_unix_ms;
}

absl::Status Ranking::LookForTheGone() {
  ASSIGN_OR_RETURN(const std::vector<FeedbackSubject> subjects, store_->Subjects());
  std::set<FeedbackSubject> missing;
  for (const FeedbackSubject& subject : subjects) {
    if (!IsGone(subject)) continue;
    if (missing_.contains(subject)) gone_.insert(subject);
    missing.insert(subject);
  }
  missing_ = std::move(missing);
  return absl::OkStatus();
}

void Ranking::ForgetTheGone() {
  absl::Status status = rounds_++ % kLookRounds == 0 ? LookForTheGone() : absl::OkStatus();
  if (!gone_.empty()) {
    const absl::StatusOr<bool> more = store_->Forget(*gone_.begin());
    if (!more.ok()) status = more.status();
    if (!more.ok() || !*more) gone_.erase(gone_.begin());  // the next look finds it again
  }
  if (!status.ok())
    LogWarning("feedback on deleted collections stays for now: {}", MessageOf(status));
}

std::string Ranking::NextFeedbackId() {
  const uint64_t number = next_feedback_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t high = Mix64(deps_.seed ^ Mix64(~number));
  const uint64_t low = Mix64(high + number);
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xfff, 0x8000 | (low >> 50), low & 0xffff'ffff'ffff);
}

void Ranking::Submit(const CallContext& context, v1::SubmitFeedbackRequest request,
                     std::function<void(absl::StatusOr<v1::SubmitFeedbackResponse>)> done) {
  const auto record = Find(context.tenant, request.collection());
  if (!record.ok()) return done(record.status());
  if (const absl::Status checked = CheckFeedback(request); !checked.ok()) return done(checked);
  FeedbackWrite write;
  write.tenant = context.tenant;
  write.made_unix_ms = (*record)->created_unix_ms;
  write.feedback_id = NextFeedbackId();
  v1::SubmitFeedbackResponse response;
  response.set_success(true);
  response.set_feedback_id(write.feedback_id);
  auto joined = impressions_.Join(context.tenant, request);
  if (joined.has_value()) {
    response.set_learned_items(static_cast<uint32_t>(joined->items.size()));
    reranker::v1::LearnRecord& learn = write.learn_record;
    write.learn = true;
    learn.set_tenant((*record)->owner);
    learn.set_collection(joined->model_key);
    learn.set_query_id(joined->query_id);
    learn.set_end_user(EndUserOf(context.tenant, request));
    learn.set_unix_ms(deps_.clock->UnixMillis());
    learn.set_impression(joined->impression);
    for (const v1::FeedbackItem& item : joined->items) {
      reranker::v1::LearnItem& to = *learn.add_items();
      to.set_id(item.result_id());
      to.set_clicked(item.clicked());
      to.set_grade(static_cast<uint32_t>(item.relevance_score()));
    }
  }
  write.request = std::move(request);
  store_->Write(std::move(write), [this, joined = std::move(joined), response = std::move(response),
                                   done = std::move(done)](const absl::Status& written) {
    if (!written.ok()) {
      if (joined.has_value()) impressions_.GiveBack(joined->query_id, joined->items);
      return done(written);
    }
    feedback_.Increment();
    if (joined.has_value()) joined_.Increment();
    done(response);
  });
}

void Ranking::List(const CallContext& context, const v1::ListFeedbackRequest& request,
                   std::function<void(absl::StatusOr<v1::ListFeedbackResponse>)> done) {
  const auto record = Find(context.tenant, request.collection());
  if (!record.ok()) return done(record.status());
  if (request.limit() > kMaxFeedbackPage) {
    return done(
        InvalidArgument("limit: got {}, at most {} is allowed", request.limit(), kMaxFeedbackPage));
  }
  store_->List({.tenant = context.tenant,
                .collection = request.collection(),
                .made_unix_ms = (*record)->created_unix_ms},
               request.after_number(),
               request.limit() == 0 ? kDefaultFeedbackPage : request.limit(), std::move(done));
}

namespace {

// The reranker knows the model by a name of its own: callers see the collection's.
std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> Named(
    std::string collection, std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) {
  return [collection = std::move(collection),
          done = std::move(done)](absl::StatusOr<reranker::v1::ModelStatus> status) {
    if (!status.ok()) {
      return done(Annotate(status.status(), fmt::format("collection '{}'", collection)));
    }
    status->set_collection(collection);
    done(std::move(status));
  };
}

}  // namespace

void Ranking::GetRanking(const CallContext& context, const v1::GetRankingRequest& request,
                         ModelDone done) {
  const auto record = Find(context.tenant, request.collection());
  if (!record.ok()) return done(record.status());
  if (deps_.reranker == nullptr) return done(FailedPrecondition("there is no reranker"));
  reranker::v1::GetModelRequest model;
  model.set_tenant((*record)->owner);
  model.set_collection(ModelKeyOf(**record));
  deps_.reranker->GetModel(std::move(model), Named(request.collection(), std::move(done)));
}

void Ranking::ControlRanking(const CallContext& context, const v1::ControlRankingRequest& request,
                             ModelDone done) {
  const auto record = Find(context.tenant, request.collection());
  if (!record.ok()) return done(record.status());
  if (deps_.reranker == nullptr) return done(FailedPrecondition("there is no reranker"));
  reranker::v1::ControlModelRequest control;
  control.set_tenant((*record)->owner);
  control.set_collection(ModelKeyOf(**record));
  control.set_action(request.action());
  control.set_version(request.version());
  deps_.reranker->ControlModel(std::move(control), Named(request.collection(), std::move(done)));
}

void Ranking::Register(rpc::RpcRegistry& registry) {
  registry.Unary<v1::SubmitFeedbackRequest, v1::SubmitFeedbackResponse>(
      Named("SubmitFeedback"), [this](CallContext& context, v1::SubmitFeedbackRequest& request,
                                      v1::SubmitFeedbackResponse& response, RpcDone done) {
        Submit(context, std::move(request), [&response, done = std::move(done)](auto reply) {
          if (reply.ok()) response = *std::move(reply);
          done(reply.status());
        });
      });
  registry.Unary<v1::ListFeedbackRequest, v1::ListFeedbackResponse>(
      Named("ListFeedback"), [this](CallContext& context, v1::ListFeedbackRequest& request,
                                    v1::ListFeedbackResponse& response, RpcDone done) {
        List(context, request, [&response, done = std::move(done)](auto reply) {
          if (reply.ok()) response = *std::move(reply);
          done(reply.status());
        });
      });
  const auto model = [](const std::string& name, reranker::v1::ModelStatus& response,
                        RpcDone done) -> ModelDone {
    return [name, &response, done = std::move(done)](auto status) {
      if (status.ok()) {
        response = *std::move(status);
        response.set_collection(name);
      }
      done(status.status());
    };
  };
  registry.Unary<v1::GetRankingRequest, reranker::v1::ModelStatus>(
      Named("GetRanking"), [this, model](CallContext& context, v1::GetRankingRequest& request,
                                         reranker::v1::ModelStatus& response, RpcDone done) {
        GetRanking(context, request, model(request.collection(), response, std::move(done)));
      });
  registry.Unary<v1::ControlRankingRequest, reranker::v1::ModelStatus>(
      Named("ControlRanking"),
      [this, model](CallContext& context, v1::ControlRankingRequest& request,
                    reranker::v1::ModelStatus& response, RpcDone done) {
        context.audit_detail =
            fmt::format("action={}", reranker::v1::ModelAction_Name(request.action()));
        if (request.version() != 0)
          context.audit_detail += fmt::format(" version={}", request.version());
        ControlRanking(context, request, model(request.collection(), response, std::move(done)));
      });
}

}  // namespace vectron::gateway
