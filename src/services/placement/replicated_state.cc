#include "services/placement/replicated_state.h"

#include "base/crash_point.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::placement {
namespace {

// A restart applies at most this many entries again; a save writes the whole state.
constexpr uint64_t kEntriesPerSave = 1'000;
constexpr char kSnapshotFile[] = "state";

absl::Status Unbound() { return Unavailable("this placement node is not running"); }

}  // namespace

absl::StatusOr<ClusterState> ReadStateFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return ClusterState();
  ASSIGN_OR_RETURN(const std::string bytes, files.ReadAll(path));
  absl::StatusOr<ClusterState> state = ClusterState::Decode(bytes);
  if (!state.ok()) return Annotate(state.status(), path);
  return state;
}

absl::StatusOr<std::unique_ptr<ReplicatedState>> ReplicatedState::Open(FileSystem& files,
                                                                       const std::string& path,
                                                                       uint64_t seed) {
  ASSIGN_OR_RETURN(ClusterState state, ReadStateFile(files, path));
  return std::unique_ptr<ReplicatedState>(new ReplicatedState(files, path, seed, std::move(state)));
}

ReplicatedState::ReplicatedState(FileSystem& files, std::string path, uint64_t seed,
                                 ClusterState state)
    : files_(files),
      path_(std::move(path)),
      state_(std::move(state)),
      next_proposal_(Mix64(seed) | 1),
      saved_index_(state_.applied_index()) {}

void ReplicatedState::Bind(shard::Replicator& replicator, std::function<void()> changed) {
  const absl::MutexLock lock(&mutex_);
  replicator_ = &replicator;
  changed_ = std::move(changed);
}

void ReplicatedState::Unbind() {
  std::map<uint64_t, ProposeDone> proposals;
  std::multimap<uint64_t, std::function<void(absl::Status)>> barriers;
  {
    const absl::MutexLock lock(&mutex_);
    replicator_ = nullptr;
    changed_ = nullptr;
    proposals.swap(proposals_);
    barriers.swap(barriers_);
  }
  for (auto& [proposal, done] : proposals) done(Unbound());
  for (auto& [index, done] : barriers) done(Unbound());
}

void ReplicatedState::Propose(CommandBody body, ProposeDone done) {
  shard::Replicator* replicator = nullptr;
  Command command{.proposal = 0, .body = std::move(body)};
  absl::Status refused;
  {
    const absl::MutexLock lock(&mutex_);
    replicator = replicator_;
    refused = replicator == nullptr ? Unbound() : problem_;
    if (refused.ok()) {
      command.proposal = next_proposal_++;
      proposals_.emplace(command.proposal, std::move(done));
    }
  }
  if (!refused.ok()) return done(refused);
  replicator->Propose(EncodeCommand(command),
                      [this, proposal = command.proposal](absl::StatusOr<uint64_t> index) {
                        OnCommitted(proposal, index);
                      });
}

// A committed command is answered when it is applied; one that failed, now.
void ReplicatedState::OnCommitted(uint64_t proposal, const absl::StatusOr<uint64_t>& index) {
  if (index.ok()) return;
  ProposeDone done;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = proposals_.find(proposal);
    if (found == proposals_.end()) return;
    done = std::move(found->second);
    proposals_.erase(found);
  }
  done(index.status());
}

void ReplicatedState::Barrier(std::function<void(absl::Status)> done) {
  shard::Replicator* replicator = nullptr;
  absl::Status refused;
  {
    const absl::MutexLock lock(&mutex_);
    replicator = replicator_;
    refused = replicator == nullptr ? Unbound() : problem_;
  }
  if (!refused.ok()) return done(refused);
  replicator->ReadBarrier([this, done = std::move(done)](absl::StatusOr<uint64_t> index) {
    absl::Status status = index.status();
    if (status.ok()) {
      const absl::MutexLock lock(&mutex_);
      if (replicator_ == nullptr) {
        status = Unbound();
      } else if (state_.applied_index() < *index && problem_.ok()) {
        barriers_.emplace(*index, done);
        return;
      } else {
        status = problem_;
      }
    }
    done(status);
  });
}

void ReplicatedState::ApplyOne(const shard::Entry& entry, std::vector<Settled>& settled) {
  if (entry.command.empty()) return state_.Skip(entry.index);
  const absl::StatusOr<Command> command = DecodeCommand(entry.command);
  if (!command.ok()) {
    problem_ =
        Internal("placement cannot apply entry {}: {}", entry.index, MessageOf(command.status()));
    LogError("{}", MessageOf(problem_));
    return;
  }
  const Outcome outcome = state_.Apply(entry.index, *command);
  const auto waiting = proposals_.find(command->proposal);
  if (waiting == proposals_.end()) return;
  absl::StatusOr<uint64_t> result = outcome.id;
  if (!outcome.status.ok()) result = outcome.status;
  settled.push_back({std::move(waiting->second), std::move(result)});
  proposals_.erase(waiting);
}

std::vector<std::function<void(absl::Status)>> ReplicatedState::TakeReached() {
  std::vector<std::function<void(absl::Status)>> reached;
  const auto end = barriers_.upper_bound(state_.applied_index());
  for (auto it = barriers_.begin(); it != end; ++it) reached.push_back(std::move(it->second));
  barriers_.erase(barriers_.begin(), end);
  return reached;
}

void ReplicatedState::Apply(std::vector<shard::Entry> entries) {
  std::vector<Settled> settled;
  std::vector<std::function<void(absl::Status)>> reached;
  std::function<void()> changed;
  bool save = false;
  {
    const absl::MutexLock lock(&mutex_);
    for (const shard::Entry& entry : entries) {
      if (!problem_.ok()) break;
      if (entry.index > state_.applied_index()) ApplyOne(entry, settled);
    }
    reached = TakeReached();
    changed = changed_;
    save = state_.applied_index() - saved_index_ >= kEntriesPerSave;
  }
  if (save) {
    const absl::Status saved = Save();
    if (!saved.ok()) LogWarning("placement state is not saved now: {}", MessageOf(saved));
  }
  for (Settled& one : settled) one.done(std::move(one.result));
  for (const auto& done : reached) done(absl::OkStatus());
  if (changed) changed();
}

absl::Status ReplicatedState::Save() {
  std::string bytes;
  uint64_t index = 0;
  shard::Replicator* replicator = nullptr;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    bytes = state_.Encode();
    index = state_.applied_index();
    replicator = replicator_;
  }
  RETURN_IF_ERROR(files_.WriteAtomically(path_, bytes));
  CrashPoint("placement.saved");
  {
    const absl::MutexLock lock(&mutex_);
    saved_index_ = index;
  }
  if (replicator != nullptr) replicator->SetLogMarks(index, index);
  return absl::OkStatus();
}

uint64_t ReplicatedState::saved_index() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return saved_index_;
}

absl::StatusOr<uint64_t> ReplicatedState::WriteFiles(const std::string& dir) const {
  std::string bytes;
  uint64_t index = 0;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    if (!problem_.ok()) return problem_;
    bytes = state_.Encode();
    index = state_.applied_index();
  }
  RETURN_IF_ERROR(files_.WriteAtomically(dir + "/" + kSnapshotFile, bytes));
  return index;
}

absl::Status ReplicatedState::InstallFiles(const std::string& dir, uint64_t index) {
  ASSIGN_OR_RETURN(const std::string bytes, files_.ReadAll(dir + "/" + kSnapshotFile));
  ASSIGN_OR_RETURN(ClusterState state, ClusterState::Decode(bytes));
  if (state.applied_index() != index) {
    return DataLoss("placement snapshot is of entry {}, wanted {}", state.applied_index(), index);
  }
  RETURN_IF_ERROR(files_.WriteAtomically(path_, bytes));
  CrashPoint("placement.installed");
  std::vector<std::function<void(absl::Status)>> reached;
  std::function<void()> changed;
  {
    const absl::MutexLock lock(&mutex_);
    state_ = std::move(state);
    saved_index_ = index;
    problem_ = absl::OkStatus();  // what could not be applied is part of the copy
    reached = TakeReached();
    changed = changed_;
  }
  for (const auto& done : reached) done(absl::OkStatus());
  if (changed) changed();
  return absl::OkStatus();
}

}  // namespace vectron::placement
