#include "services/worker/worker.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::worker {

absl::StatusOr<std::unique_ptr<Worker>> Worker::Make(const std::string& dir,
                                                     const WorkerDeps& deps) {
  CHECK(deps.files != nullptr && deps.clock != nullptr && deps.shards != nullptr);
  CHECK(deps.search_executor != nullptr);
  RETURN_IF_ERROR(deps.files->MakeDirs(dir + "/shards"));
  return std::unique_ptr<Worker>(new Worker(dir, deps));
}

Worker::Worker(std::string dir, const WorkerDeps& deps)
    : dir_(std::move(dir)), deps_(deps), long_searches_(*deps.search_executor) {}

Worker::~Worker() {
  std::vector<GroupId> groups;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [group, slot] : slots_) groups.push_back(GroupId{group});
  }
  // Not on the background executor: closing waits for what runs there.
  ParallelFor(*deps_.search_executor, groups.size(), [&](size_t i) {
    std::unique_ptr<shard::Shard> shard = Take(groups[i]);
    if (shard != nullptr) deps_.shards->Close(groups[i], std::move(shard));
  });
}

std::string Worker::ShardDir(GroupId group) const {
  return fmt::format("{}/shards/{}", dir_, group.value);
}

void Worker::Publish(GroupId group, absl::StatusOr<std::unique_ptr<shard::Shard>> opened) {
  const absl::MutexLock lock(&mutex_);
  Slot& slot = slots_.at(group.value);
  slot.state = opened.status();
  if (!opened.ok()) return;
  slot.shard = *std::move(opened);
  slot.unused = std::make_unique<absl::Notification>();
  slot.handle =
      Handle(slot.shard.get(), [unused = slot.unused.get()](shard::Shard*) { unused->Notify(); });
}

void Worker::OpenShards(const std::vector<rpc::ShardAssignment>& assignments, Executor& executor) {
  {
    const absl::MutexLock lock(&mutex_);
    for (const rpc::ShardAssignment& assignment : assignments) {
      Slot slot;
      slot.assignment = std::make_shared<const rpc::ShardAssignment>(assignment);
      slot.epoch = assignment.epoch;
      slot.state = Unavailable("shard is opening");
      CHECK(slots_.emplace(assignment.group.value, std::move(slot)).second);
    }
  }
  ParallelFor(executor, assignments.size(), [&](size_t i) {
    const rpc::ShardAssignment& assignment = assignments[i];
    absl::StatusOr<std::unique_ptr<shard::Shard>> opened = Internal("not opened");
    const absl::StatusOr<bool> exists = deps_.files->Exists(ShardDir(assignment.group));
    if (!exists.ok()) {
      opened = exists.status();
    } else if (!*exists && !deps_.shards->CanRefill()) {
      opened = DataLoss("{} is missing", ShardDir(assignment.group));
    } else {
      opened = deps_.shards->Open(assignment, ShardDir(assignment.group));
    }
    if (!opened.ok()) {
      LogError("collection '{}', shard {} cannot be served: {}", assignment.schema.name,
               assignment.ordinal.value, MessageOf(opened.status()));
    }
    Publish(assignment.group, std::move(opened));
  });
}

absl::StatusOr<const Worker::Slot*> Worker::Find(const rpc::ShardTarget& target) const {
  const auto found = slots_.find(target.group.value);
  if (found == slots_.end()) {
    return FailedPrecondition("shard group {} is not on this worker", target.group.value);
  }
  const Slot& slot = found->second;
  if (target.epoch < slot.epoch) {
    return FailedPrecondition("shard group {}: epoch {} is old, {} is current", target.group.value,
                              target.epoch, slot.epoch);
  }
  if (!slot.state.ok()) return slot.state;
  return &slot;
}

absl::StatusOr<Worker::Handle> Worker::Use(const rpc::ShardTarget& target) const {
  const absl::ReaderMutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(const Slot* slot, Find(target));
  return slot->handle;
}

absl::Status Worker::SetEpoch(GroupId group, uint64_t epoch) {
  const absl::MutexLock lock(&mutex_);
  const auto found = slots_.find(group.value);
  if (found == slots_.end()) return NotFound("shard group {} is not here", group.value);
  found->second.epoch = std::max(found->second.epoch, epoch);
  return absl::OkStatus();
}

std::unique_ptr<shard::Shard> Worker::Take(GroupId group) {
  Slot slot;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = slots_.find(group.value);
    if (found == slots_.end()) return nullptr;
    slot = std::move(found->second);
    slots_.erase(found);
  }
  if (slot.shard == nullptr) return nullptr;
  slot.handle.reset();
  slot.unused->WaitForNotification();
  return std::move(slot.shard);
}

absl::Status Worker::CheckRoomFor(GroupId group) const {
  const absl::ReaderMutexLock lock(&mutex_);
  if (slots_.contains(group.value)) return AlreadyExists("shard group {} is served", group.value);
  if ((slots_.size() + 1) * kOpenFilesPerShard + kOpenFilesReserved <= deps_.max_open_files) {
    return absl::OkStatus();
  }
  return ResourceExhausted(
      "{} shards are all that fit into the {} files this process may open; raise the limit "
      "(ulimit -n)",
      slots_.size(), deps_.max_open_files);
}

absl::Status Worker::CreateShard(const rpc::ShardAssignment& assignment) {
  const GroupId group = assignment.group;
  RETURN_IF_ERROR(CheckRoomFor(group));
  RETURN_IF_ERROR(DestroyShard(group));  // nothing, or what a crash left of an earlier attempt
  return AddShard(assignment);
}

absl::Status Worker::AddShard(const rpc::ShardAssignment& assignment) {
  const GroupId group = assignment.group;
  RETURN_IF_ERROR(CheckRoomFor(group));
  RETURN_IF_ERROR(deps_.files->MakeDirs(ShardDir(group)));
  RETURN_IF_ERROR(deps_.files->SyncDir(dir_ + "/shards"));
  absl::StatusOr<std::unique_ptr<shard::Shard>> opened =
      deps_.shards->Open(assignment, ShardDir(group));
  if (!opened.ok()) {
    if (deps_.shards->CanRefill()) return opened.status();  // what is there may be of worth
    const absl::Status cleared = DestroyShard(group);
    if (!cleared.ok()) LogWarning("{}: not removed: {}", ShardDir(group), MessageOf(cleared));
    return opened.status();
  }
  {
    const absl::MutexLock lock(&mutex_);
    Slot slot;
    slot.assignment = std::make_shared<const rpc::ShardAssignment>(assignment);
    slot.epoch = assignment.epoch;
    slot.state = Unavailable("shard is opening");
    slots_.emplace(group.value, std::move(slot));
  }
  Publish(group, std::move(opened));
  return absl::OkStatus();
}

absl::Status Worker::DestroyShard(GroupId group) {
  return deps_.shards->Destroy(group, ShardDir(group), Take(group));
}

bool Worker::Holds(GroupId group) const {
  const absl::ReaderMutexLock lock(&mutex_);
  return slots_.contains(group.value);
}

bool Worker::HoldsReplica(GroupId group, uint64_t replica) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = slots_.find(group.value);
  return found != slots_.end() && found->second.assignment->replica == replica;
}

absl::Status Worker::ForgetShard(GroupId group) {
  {
    const absl::ReaderMutexLock lock(&mutex_);
    if (slots_.contains(group.value)) return absl::OkStatus();
  }
  return deps_.shards->Forget(ShardDir(group));
}

absl::StatusOr<std::vector<GroupId>> Worker::StoredShards() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, deps_.files->List(dir_ + "/shards"));
  std::vector<GroupId> groups = deps_.shards->LoggedGroups();
  for (const std::string& name : names) {
    uint64_t group = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data(), end, group);
    if (error == std::errc() && stop == end) groups.push_back(GroupId{group});
  }
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

void Worker::Tick() {
  std::vector<Handle> handles;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [group, slot] : slots_) {
      if (slot.handle != nullptr) handles.push_back(slot.handle);
    }
  }
  for (const Handle& handle : handles) handle->Tick();
}

std::vector<ShardReport> Worker::Report() const {
  std::vector<ShardReport> reports;
  std::vector<Handle> handles;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [group, slot] : slots_) {
      reports.push_back(
          {.assignment = *slot.assignment, .state = slot.state, .stats = {}, .group = {}});
      reports.back().assignment.epoch = slot.epoch;
      handles.push_back(slot.handle);
    }
  }
  for (size_t i = 0; i < reports.size(); ++i) {
    if (handles[i] == nullptr) continue;
    reports[i].stats = handles[i]->stats();
    reports[i].group = deps_.shards->View(reports[i].assignment.group);
    if (reports[i].stats.quarantined) reports[i].state = DataLoss("{}", reports[i].stats.problem);
  }
  std::sort(reports.begin(), reports.end(), [](const ShardReport& a, const ShardReport& b) {
    return a.assignment.group < b.assignment.group;
  });
  return reports;
}

}  // namespace vectron::worker
