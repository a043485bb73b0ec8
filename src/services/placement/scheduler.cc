#include "services/placement/scheduler.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/status.h"
#include "services/placement/shard_steps.h"
#include "services/placement/weights.h"

namespace vectron::placement {
namespace {

// A gap below this is no gap, whatever the mean; also the gap that an operator's wish goes down to.
constexpr double kSmallGap = 0.02;
// Balance keeps this far away from the mark of a hot worker, in percent.
constexpr double kHotMargin = 10;
// Sums of equal costs in another order may differ by this fraction.
constexpr double kRounding = 1e-9;
constexpr size_t kMaxWishes = 8;     // of leaders, per run
constexpr size_t kMaxPlanned = 256;  // moves of a dry run
// Shards that a dry run looks at, over all its rounds: some seconds of work.
constexpr size_t kMaxLookedAt = 2'000'000;

using WorkerPair = std::pair<WorkerId, WorkerId>;

// One run.
class Run {
 public:
  explicit Run(const ScheduleInput& input)
      : input_(input), weights_(input.state, input.load, input.options, input.seed) {
    for (const auto& [group, shard] : input.state.shards()) {
      if (input.state.FindCollection(shard.collection)->visible) {
        shards_.emplace_back(&shard, ShardSteps(input, shard));
      }
    }
  }

  std::vector<CommandBody> Take() {
    Steps();
    Mend();
    if (HasRoom()) Spread();
    if (HasRoom()) CoolHot();
    if (HasRoom()) Balance();
    CopyForSearch();
    return std::move(commands_);
  }

 private:
  using Item = std::pair<const ShardRecord*, ShardSteps>;

  bool HasRoom() const { return weights_.moves() < input_.options.max_moves; }

  void Add(const ShardRecord& shard, WorkerId to, ReplicaId replaces, MoveReason reason) {
    const ReplicaRecord* from = shard.Find(replaces);
    if (reason != MoveReason::kSearch) {
      weights_.CountMove(shard, to, from == nullptr ? std::nullopt : std::optional(from->worker));
    }
    commands_.emplace_back(AddReplica{.group = shard.group,
                                      .shard_version = shard.version,
                                      .worker = to,
                                      .replaces = replaces,
                                      .reason = reason,
                                      .now_unix_ms = input_.now_unix_ms});
    touched_.insert(shard.group);
  }

  void Steps() {
    for (const auto& [shard, steps] : shards_) {
      std::optional<StepReplica> step = steps.Next(weights_);
      if (!step.has_value()) continue;
      commands_.emplace_back(*step);
      touched_.insert(shard->group);
    }
  }

  // Repair before drain, the fewest good replicas first.
  void Mend() {
    std::vector<std::tuple<bool, size_t, GroupId, const Item*, ShardSteps::Need>> needs;
    for (const Item& item : shards_) {
      if (touched_.contains(item.first->group)) continue;
      const std::optional<ShardSteps::Need> need = item.second.Lacks();
      if (!need.has_value()) continue;
      needs.emplace_back(need->reason == MoveReason::kDrain, need->good, item.first->group, &item,
                         *need);
    }
    std::sort(needs.begin(), needs.end(), [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a)) <
             std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b));
    });
    for (const auto& [drain, good, group, item, need] : needs) {
      if (!HasRoom()) return;
      const ShardRecord& shard = *item->first;
      const std::optional<WorkerId> to = weights_.Best(shard, WorkersWithout(*item, need.replaces));
      if (to.has_value()) {
        Add(shard, *to, need.replaces, need.reason);
        continue;
      }
      const auto leaves = item->second.MakeRoom(need.replaces, weights_);
      if (!leaves.has_value() || made_room_ || !AllWhole()) continue;
      made_room_ = true;
      commands_.emplace_back(*leaves);
      touched_.insert(group);
    }
  }

  // One shard of the cluster at a time has a voter less to make room.
  bool AllWhole() const {
    return std::all_of(shards_.begin(), shards_.end(),
                       [](const Item& item) { return item.second.Whole(); });
  }

  static std::vector<WorkerId> WorkersWithout(const Item& item, ReplicaId replica) {
    std::vector<WorkerId> workers;
    for (const ReplicaRecord* voter : item.second.voters()) {
      if (voter->id != replica) workers.push_back(voter->worker);
    }
    return workers;
  }

  // May be moved for the sake of its surroundings.
  bool Movable(const Item& item) const {
    return !touched_.contains(item.first->group) && item.second.Movable();
  }
  bool Cooled(const ShardRecord& shard) const {
    return input_.eager ||
           HasPassed(shard.last_move_unix_ms, input_.options.move_cooldown_ms, input_);
  }
  bool WouldBeHot(const ShardRecord& shard, WorkerId to, double margin) const {
    return weights_.CpuPercentOf(to) + weights_.CpuPercent(shard, to) >=
           input_.options.hot_cpu_percent - margin;
  }
  // The penalty of a shard's spread with `from` replaced by `to`.
  uint64_t PenaltyMoved(const Item& item, const ReplicaRecord& from, WorkerId to) const {
    std::vector<WorkerId> workers = WorkersWithout(item, from.id);
    workers.push_back(to);
    return weights_.Penalty(workers);
  }
  uint64_t PenaltyNow(const Item& item) const {
    return weights_.Penalty(WorkersWithout(item, ReplicaId{}));
  }

  // Only workers of a place that mends something are looked at: there are few places.
  void Spread() {
    const std::vector<std::vector<WorkerId>> places = weights_.VotingByPlace();
    for (const Item& item : shards_) {
      if (!Movable(item)) continue;
      const uint64_t now = PenaltyNow(item);
      std::optional<SpreadMove> best;
      for (const ReplicaRecord* from : item.second.voters()) {
        for (const std::vector<WorkerId>& place : places) {
          const uint64_t penalty = PenaltyMoved(item, *from, place.front());
          if (penalty >= now) continue;
          for (const WorkerId to : place) Offer(*item.first, {penalty, 0, from, to}, best);
        }
      }
      if (!best.has_value()) continue;
      Add(*item.first, best->to, best->from->id, MoveReason::kSpread);
      return;
    }
  }

  struct SpreadMove {
    uint64_t penalty = 0;  // of the spread afterwards
    double load = 0;       // of the target above the source's
    const ReplicaRecord* from = nullptr;
    WorkerId to;
  };
  // Keeps the better one.
  void Offer(const ShardRecord& shard, SpreadMove move, std::optional<SpreadMove>& best) const {
    if (!weights_.CanTake(shard, move.to) || WouldBeHot(shard, move.to, 0)) return;
    move.load = weights_.LoadOf(move.to) - weights_.LoadOf(move.from->worker);
    const auto key = [](const SpreadMove& m) { return std::tie(m.penalty, m.load); };
    if (!best.has_value() || key(move) < key(*best)) best = move;
  }

  // The hottest shard of the hottest worker goes to the coolest worker that can take it.
  void CoolHot() {
    std::vector<WorkerId> workers = weights_.Voting();
    std::sort(workers.begin(), workers.end(), [this](WorkerId a, WorkerId b) {
      return weights_.CpuPercentOf(a) > weights_.CpuPercentOf(b);
    });
    for (const WorkerId hot : workers) {
      if (weights_.CpuPercentOf(hot) < input_.options.hot_cpu_percent) return;
      if (MoveHottest(hot, workers)) return;
    }
  }

  bool MoveHottest(WorkerId hot, const std::vector<WorkerId>& hottest_first) {
    std::vector<const Item*> items = ItemsOn(hot);
    std::stable_sort(items.begin(), items.end(), [this, hot](const Item* a, const Item* b) {
      return weights_.CpuPercent(*a->first, hot) > weights_.CpuPercent(*b->first, hot);
    });
    for (const Item* item : items) {
      const ShardRecord& shard = *item->first;
      const double relief = weights_.CpuPercent(shard, hot);
      const ReplicaRecord& from = *shard.On(hot);
      if (relief <= 0) return false;
      for (auto to = hottest_first.rbegin(); to != hottest_first.rend(); ++to) {
        if (!weights_.CanTake(shard, *to) || WouldBeHot(shard, *to, 0)) continue;
        const double target = weights_.CpuPercentOf(*to) + weights_.CpuPercent(shard, *to);
        if (target > weights_.CpuPercentOf(hot) - relief) continue;
        if (PenaltyMoved(*item, from, *to) > PenaltyNow(*item)) continue;
        Add(shard, *to, from.id, MoveReason::kHotShard);
        return true;
      }
    }
    return false;
  }

  // Movable, cooled shards with a voter on the worker.
  std::vector<const Item*> ItemsOn(WorkerId worker) const {
    std::vector<const Item*> items;
    for (const Item& item : shards_) {
      const ReplicaRecord* replica = item.first->On(worker);
      if (replica == nullptr || replica->role != ReplicaRole::kVoter) continue;
      if (Movable(item) && Cooled(*item.first)) items.push_back(&item);
    }
    return items;
  }

  // From the fullest worker that has something to give to the emptiest that can take it.
  void Balance() {
    std::vector<WorkerId> workers = weights_.Voting();
    if (workers.size() < 2) return;
    std::sort(workers.begin(), workers.end(),
              [this](WorkerId a, WorkerId b) { return weights_.LoadOf(a) > weights_.LoadOf(b); });
    double mean = 0;
    for (const WorkerId worker : workers) mean += weights_.LoadOf(worker);
    mean /= static_cast<double>(workers.size());
    const double gap = mean * (input_.eager ? kSmallGap : input_.options.balance_gap);
    for (const WorkerId full : workers) {
      if (weights_.LoadOf(full) - weights_.LoadOf(workers.back()) <= gap) return;
      const std::vector<const Item*> items = ItemsOn(full);
      for (auto to = workers.rbegin(); to != workers.rend(); ++to) {
        if (weights_.LoadOf(full) - weights_.LoadOf(*to) <= gap) break;
        if (MoveForBalance(items, {full, *to})) return;
      }
    }
  }

  // Moves the shard that brings the two nearest to each other.
  bool MoveForBalance(const std::vector<const Item*>& items, WorkerPair pair) {
    const auto& [full, to] = pair;
    const Item* best = nullptr;
    double best_fullest = weights_.LoadOf(full);
    for (const Item* item : items) {
      const ShardRecord& shard = *item->first;
      if (!weights_.CanTake(shard, to) || WouldBeHot(shard, to, kHotMargin)) continue;
      const double left = weights_.LoadOf(full) - weights_.Cost(shard, full);
      const double right = weights_.LoadOf(to) + weights_.Cost(shard, to);
      if (right > left * (1 + kRounding) || left >= best_fullest) continue;
      if (PenaltyMoved(*item, *shard.On(full), to) > PenaltyNow(*item)) continue;
      best = item;
      best_fullest = left;
    }
    if (best == nullptr) return false;
    Add(*best->first, to, best->first->On(full)->id, MoveReason::kBalance);
    return true;
  }

  // Every search-only worker holds a learner of every shard.
  void CopyForSearch() {
    for (const WorkerId worker : weights_.SearchOnly()) {
      size_t copying = 0;
      for (const auto& [shard, steps] : shards_) {
        const ReplicaRecord* copy = shard->On(worker);
        const ShardLoad* load = input_.load.Find(shard->group);
        // What cannot get on, for want of a leader, must not keep others from being copied.
        if (copy == nullptr || load == nullptr || load->leader.value == 0) continue;
        if (!load->in_sync.contains(copy->id)) ++copying;
      }
      for (const Item& item : shards_) {
        if (copying >= input_.options.max_moves_per_worker) break;
        const ShardRecord& shard = *item.first;
        if (shard.On(worker) != nullptr || !Movable(item)) continue;
        Add(shard, worker, ReplicaId{}, MoveReason::kSearch);
        ++copying;
      }
    }
  }

  const ScheduleInput& input_;
  Weights weights_;
  std::vector<Item> shards_;
  std::set<GroupId> touched_;
  bool made_room_ = false;
  std::vector<CommandBody> commands_;
};

}  // namespace

std::vector<CommandBody> Schedule(const ScheduleInput& input) { return Run(input).Take(); }

bool HasPassed(int64_t then_unix_ms, int64_t millis, const ScheduleInput& input) {
  return input.now_unix_ms < then_unix_ms || input.now_unix_ms - then_unix_ms >= millis;
}

absl::StatusOr<std::vector<std::vector<WorkerId>>> PlaceNewShards(const ScheduleInput& input,
                                                                  size_t shard_count,
                                                                  size_t replication_factor) {
  Weights weights(input.state, input.load, input.options, input.seed);
  const size_t workers = weights.Voting().size();
  if (workers < std::max<size_t>(1, replication_factor)) {
    return FailedPrecondition("{} replicas need as many workers, {} can take one now",
                              replication_factor, workers);
  }
  std::vector<std::vector<WorkerId>> shards;
  for (size_t i = 0; i < shard_count; ++i) {
    std::vector<WorkerId> chosen;
    while (chosen.size() < replication_factor) {
      const std::optional<WorkerId> best = weights.BestForNew(chosen);
      if (!best.has_value()) return ResourceExhausted("every worker holds all the shards it may");
      chosen.push_back(*best);
    }
    const auto leader = std::min_element(
        chosen.begin(), chosen.end(),
        [&weights](WorkerId a, WorkerId b) { return weights.LeadersOf(a) < weights.LeadersOf(b); });
    std::iter_swap(chosen.begin(), leader);
    for (size_t k = 0; k < chosen.size(); ++k) weights.CountNew(chosen[k], k == 0);
    shards.push_back(std::move(chosen));
  }
  return shards;
}

namespace {

// Whether a worker should not lead what it leads.
bool ShouldNotLead(const ScheduleInput& input, WorkerId worker) {
  const WorkerRecord* record = input.state.FindWorker(worker);
  const auto load = input.load.workers.find(worker);
  return record == nullptr || record->draining || record->profile.search_only ||
         (load != input.load.workers.end() && load->second.stopping);
}

}  // namespace

std::vector<LeaderWish> WishLeaders(const ScheduleInput& input) {
  std::map<WorkerId, size_t> leaders;
  for (const auto& [group, load] : input.load.shards) {
    if (load.leader.value != 0) ++leaders[load.leader.node()];
  }
  std::vector<LeaderWish> wishes;
  size_t for_balance = 0;
  for (const auto& [group, shard] : input.state.shards()) {
    const ShardLoad* load = input.load.Find(group);
    const ReplicaRecord* leader = load == nullptr ? nullptr : shard.Find(load->leader);
    if (leader == nullptr) continue;
    const ShardSteps steps(input, shard);
    const ReplicaRecord* best = nullptr;
    for (const ReplicaRecord* voter : steps.voters()) {
      if (voter == leader || !steps.Good(*voter) || ShouldNotLead(input, voter->worker)) continue;
      if (!load->voters.contains(voter->id)) continue;
      if (best == nullptr || leaders[voter->worker] < leaders[best->worker]) best = voter;
    }
    if (best == nullptr) continue;
    const bool must = leader->leaving || ShouldNotLead(input, leader->worker) ||
                      input.load.differing.contains(leader->id);
    const bool uneven = leaders[leader->worker] >= leaders[best->worker] + 2 && steps.Movable();
    if (!must && (!uneven || for_balance++ >= kMaxWishes)) continue;
    --leaders[leader->worker];
    ++leaders[best->worker];
    wishes.push_back({.group = group, .from = leader->id, .to = best->id});
  }
  return wishes;
}

namespace {

// The load once everything that is under way is done at once and the leaders say so.
void SettleLoad(const ClusterState& before, const ClusterState& state, ClusterLoad& load) {
  for (auto& [group, shard] : load.shards) {
    const ShardRecord* record = state.FindShard(group);
    if (record == nullptr || shard.leader.value == 0) continue;
    shard.acted_on_version = state.version();
    std::set<ReplicaId> in_sync;
    shard.voters.clear();
    shard.learners.clear();
    for (const ReplicaRecord& replica : record->replicas) {
      if (replica.leaving) continue;
      const bool voter = replica.role == ReplicaRole::kVoter;
      (voter ? shard.voters : shard.learners).insert(replica.id);
      const bool is_new = before.FindShard(group)->Find(replica.id) == nullptr;
      if (is_new || shard.in_sync.contains(replica.id)) in_sync.insert(replica.id);
    }
    shard.in_sync = std::move(in_sync);
    if (record->Find(shard.leader) == nullptr) shard.leader = record->replicas.front().id;
  }
}

}  // namespace

std::vector<AddReplica> PlanMoves(const ScheduleInput& input) {
  ClusterState state = input.state;
  ClusterLoad load = input.load;
  std::vector<AddReplica> moves;
  uint64_t index = state.version();
  size_t looked_at = 0;
  while (moves.size() < kMaxPlanned && looked_at < kMaxLookedAt) {
    looked_at += state.shards().size() + 1;
    const ScheduleInput now{.state = state,
                            .load = load,
                            .options = input.options,
                            .now_unix_ms = input.now_unix_ms,
                            .seed = input.seed,
                            .eager = input.eager};
    const std::vector<CommandBody> commands = Schedule(now);
    if (commands.empty()) break;
    const Weights weights(state, load, input.options, input.seed);
    for (const CommandBody& command : commands) {
      if (const auto* add = std::get_if<AddReplica>(&command)) {
        moves.push_back(*add);
        const ShardRecord& shard = *state.FindShard(add->group);
        const ReplicaRecord* from = shard.Find(add->replaces);
        load.workers[add->worker].cpu_percent += weights.CpuPercent(shard, add->worker);
        if (from != nullptr) {
          load.workers[from->worker].cpu_percent -= weights.CpuPercent(shard, from->worker);
        }
      }
      (void)state.Apply(++index, {.body = command});
    }
    SettleLoad(input.state, state, load);
  }
  return moves;
}

}  // namespace vectron::placement
