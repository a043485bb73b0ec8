#pragma once

// What the gateway asks of the reranker. Two implementations: the reranker itself, called in
// process, and a client of vectron.reranker.v1.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/vector_types.h"
#include "vectron/reranker.pb.h"

namespace vectron::rpc {

struct RerankItem {
  std::string id;
  float distance = 0;   // lower is closer; finite
  std::string payload;  // JSON object, "" when empty
};

struct RerankCall {
  std::string tenant;
  std::string collection;
  Metric metric = Metric::kCosine;
  std::string query;
  std::string strategy;  // "": the server's choice
  std::string query_id;
  std::string end_user;
  uint64_t vector_hash = 0;     // of the query vector
  bool first_page = false;      // shown from the top: may be explored and learned from
  std::optional<bool> explore;  // false: no neighbours are swapped
  bool explain = false;
  int64_t deadline_nanos = 0;  // monotonic; 0: none
  int64_t now_s = 0;           // unix seconds; 0: the reranker's clock
  uint32_t top_n = 0;          // 1 or more
  std::vector<RerankItem> items;
};

struct RankedItem {
  uint32_t index = 0;       // into the call's items
  float score = 0;          // [0,1], not rising
  std::string explanation;  // when asked for
};

struct RerankReply {
  std::vector<RankedItem> items;  // best first, at most top_n
  std::string strategy_used;      // what ordered the list
  std::string reason;             // why it is another than the wanted one; "": it is not
  bool from_cache = false;
  bool explored = false;
  std::string impression;  // to be given back with feedback; "": not learned from
};

// Thread-safe. Callbacks are called once, on any thread, maybe before the call returns.
class RerankerApi {
 public:
  virtual ~RerankerApi() = default;
  // The time of a reranking for which nobody says one, by the reranker's configuration; 0: it is
  // not known yet.
  virtual uint32_t budget_ms() const = 0;
  // InvalidArgument (no items, top_n 0, blank id, non-finite distance, unknown strategy).
  virtual void Rerank(RerankCall call, std::function<void(absl::StatusOr<RerankReply>)> done) = 0;
  // Records in the order of their numbers; repeats are dropped. Unavailable: send again later.
  virtual void Learn(
      reranker::v1::LearnFeedbackRequest request,
      std::function<void(absl::StatusOr<reranker::v1::LearnFeedbackResponse>)> done) = 0;
  virtual void GetModel(reranker::v1::GetModelRequest request,
                        std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) = 0;
  // NotFound (version), FailedPrecondition (nothing learned yet), InvalidArgument (action).
  virtual void ControlModel(
      reranker::v1::ControlModelRequest request,
      std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) = 0;
};

}  // namespace vectron::rpc
