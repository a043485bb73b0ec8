#pragma once

// A reranker on the other side of a network: RerankerApi over vectron.reranker.v1.
//
// Errors beside the reranker's own: Unavailable (not reached, none is known), DeadlineExceeded.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/timer.h"
#include "rpc/channel_pool.h"
#include "rpc/placement_caller.h"
#include "rpc/reranker_api.h"

namespace vectron::rpc {

// Thread-safe. The destructor ends calls under way as Cancelled; their callbacks run before it
// returns.
class RerankerClient : public RerankerApi {
 public:
  RerankerClient(std::string address, ChannelOptions options, const Clock& clock);
  ~RerankerClient() override;

  uint32_t budget_ms() const override { return budget_ms_; }  // as the last Check found it
  void Rerank(RerankCall call, std::function<void(absl::StatusOr<RerankReply>)> done) override;
  void Learn(
      reranker::v1::LearnFeedbackRequest request,
      std::function<void(absl::StatusOr<reranker::v1::LearnFeedbackResponse>)> done) override;
  void GetModel(reranker::v1::GetModelRequest request,
                std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override;
  void ControlModel(reranker::v1::ControlModelRequest request,
                    std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override;

  // Asks the least there is to ask: whether it answers, and its settings.
  void Check(std::function<void(absl::Status)> done);
  const std::string& address() const { return channels_.address(); }

 private:
  std::atomic<uint32_t> budget_ms_{0};  // outlives the calls of the channels
  ChannelPool channels_;
  const Clock& clock_;
};

// The reranker that placement knows of, asked for every few seconds, and its settings with it.
// Thread-safe; what is borrowed outlives it.
class FoundReranker : public RerankerApi {
 public:
  FoundReranker(PlacementCaller& placement, ChannelOptions options, const Clock& clock,
                Timer& timer);
  ~FoundReranker() override;

  uint32_t budget_ms() const override;
  void Rerank(RerankCall call, std::function<void(absl::StatusOr<RerankReply>)> done) override;
  void Learn(
      reranker::v1::LearnFeedbackRequest request,
      std::function<void(absl::StatusOr<reranker::v1::LearnFeedbackResponse>)> done) override;
  void GetModel(reranker::v1::GetModelRequest request,
                std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override;
  void ControlModel(reranker::v1::ControlModelRequest request,
                    std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override;

  // Whether the one that was found answers, and its address; an empty one: none is known.
  void Check(std::function<void(absl::Status, const std::string& address)> done);

 private:
  struct State;
  static void Ask(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;  // shared with the timer and the question under way
};

}  // namespace vectron::rpc
