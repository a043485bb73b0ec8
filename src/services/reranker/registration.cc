#include "services/reranker/registration.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kIntervalNanos = 5'000'000'000;
constexpr int64_t kPatienceNanos = 3'000'000'000;

}  // namespace

struct Registration::State {
  State(std::string at, std::vector<std::string> can, rpc::PlacementCaller& caller,
        const Clock& steady, Timer& wakes)
      : address(std::move(at)),
        capabilities(std::move(can)),
        placement(caller),
        clock(steady),
        timer(wakes) {}

  const std::string address;
  const std::vector<std::string> capabilities;
  rpc::PlacementCaller& placement;
  const Clock& clock;
  Timer& timer;

  absl::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  bool calling ABSL_GUARDED_BY(mutex) = false;
  std::string id ABSL_GUARDED_BY(mutex);  // "": not registered
  Timer::Id next ABSL_GUARDED_BY(mutex) = 0;

  int64_t Deadline() const { return clock.MonotonicNanos() + kPatienceNanos; }
};

Registration::Registration(std::string address, std::vector<std::string> capabilities,
                           rpc::PlacementCaller& placement, const Clock& clock, Timer& timer)
    : state_(std::make_shared<State>(std::move(address), std::move(capabilities), placement, clock,
                                     timer)) {
  Turn(state_);
}

Registration::~Registration() {
  const absl::MutexLock lock(&state_->mutex);
  state_->stopped = true;
  if (state_->next != 0) state_->timer.Cancel(state_->next);
  const auto idle = [](State* state)
                        ABSL_SHARED_LOCKS_REQUIRED(state->mutex) { return !state->calling; };
  state_->mutex.Await(absl::Condition(+idle, state_.get()));
}

void Registration::Turn(const std::shared_ptr<State>& state) {
  std::string id;
  {
    const absl::MutexLock lock(&state->mutex);
    if (state->stopped) return;
    state->calling = true;
    id = state->id;
  }
  if (id.empty()) return Register(state);
  pb::RerankerHeartbeatRequest beat;
  beat.set_reranker_id(id);
  beat.set_timestamp(state->clock.UnixMillis() / 1000);
  state->placement.RerankerHeartbeat(
      std::move(beat), state->Deadline(), [state, id](const auto& answer) {
        const bool forgotten = absl::IsNotFound(answer.response.status());
        Plan(state, forgotten ? std::string() : id);
      });
}

void Registration::Register(const std::shared_ptr<State>& state) {
  pb::RegisterRerankerRequest request;
  request.set_grpc_address(state->address);
  for (const std::string& strategy : state->capabilities) request.add_capabilities(strategy);
  request.set_timestamp(state->clock.UnixMillis() / 1000);
  state->placement.RegisterReranker(
      std::move(request), state->Deadline(), [state](const auto& answer) {
        if (answer.response.ok()) {
          LogInfo("placement knows this reranker as {}", answer.response->reranker_id());
        }
        Plan(state, answer.response.ok() ? answer.response->reranker_id() : std::string());
      });
}

void Registration::Plan(const std::shared_ptr<State>& state, std::string id) {
  const absl::MutexLock lock(&state->mutex);
  state->calling = false;
  state->id = std::move(id);
  if (state->stopped) return;
  state->next =
      state->timer.At(state->clock.MonotonicNanos() + kIntervalNanos, [state] { Turn(state); });
}

}  // namespace vectron::reranker
