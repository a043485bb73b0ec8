#include "apps/vectron/recover_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/synchronization/notification.h"
#include "apps/vectron/access_flags.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/host_port.h"
#include "apps/wrong_command_line.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/cluster_secret.h"
#include "rpc/placement_caller.h"
#include "services/placement/placement_node.h"
#include "services/placement/recovery.h"
#include "services/worker/agent.h"
#include "services/worker/node_state.h"
#include "shard/recovery.h"
#include "storage/rocks_kv.h"

namespace vectron {
namespace {

constexpr int64_t kAskPlacementMs = 10'000;

// The log and the assignments of a worker that does not run.
struct StoppedWorker {
  std::unique_ptr<DataFolder> folder;
  storage::RocksResources resources;
  std::unique_ptr<shard::LogStore> logs;
  uint64_t id = 0;
  std::map<uint64_t, std::string> names = {};  // of shards, by group
};

absl::StatusOr<std::unique_ptr<StoppedWorker>> OpenStopped(const std::string& dir,
                                                           FileSystem& files) {
  auto worker = std::make_unique<StoppedWorker>();
  ASSIGN_OR_RETURN(worker->folder, DataFolder::Open(dir, files));
  ASSIGN_OR_RETURN(const worker::NodeState state,
                   worker::NodeState::Open(files, worker->folder->path(), /*seed=*/0));
  worker->id = state.identity().worker_id();
  if (worker->id == 0) {
    return FailedPrecondition("{}: this worker was never registered and holds no shards", dir);
  }
  for (const auto& wire : state.assignments().list().replicas()) {
    ASSIGN_OR_RETURN(const rpc::ShardAssignment assignment, worker::AssignmentOf(wire));
    worker->names[assignment.group.value] =
        fmt::format("collection '{}', shard {}", assignment.schema.name, assignment.ordinal.value);
  }
  ASSIGN_OR_RETURN(worker->logs, shard::LogStore::Open(worker->folder->path() + "/log",
                                                       worker->resources, /*tail_cache_bytes=*/0));
  return worker;
}

// What is known of a group, for people.
std::string Describe(const StoppedWorker& worker, GroupId group, const shard::StoredGroup& stored,
                     const std::set<uint64_t>& living) {
  std::string voters;
  for (const uint64_t voter : stored.membership.voters) {
    const uint64_t node = shard::ReplicaId{voter}.node().value;
    const char* const state = node == worker.id       ? "this one"
                              : living.contains(node) ? "lives"
                                                      : "lost";
    voters += fmt::format("{}{} ({})", voters.empty() ? "" : ", ", node, state);
  }
  const auto name = worker.names.find(group.value);
  return fmt::format(
      "group {}: {}; voters on workers {}; the log ends at {}, {} is known to be committed, "
      "term {}",
      group.value, name == worker.names.end() ? "not assigned to this worker" : name->second,
      voters, stored.last_index, stored.committed_index, stored.term);
}

absl::Status CheckMajorityLost(const StoppedWorker& worker, GroupId group,
                               const shard::StoredGroup& stored, const std::set<uint64_t>& living) {
  const std::vector<uint64_t>& voters = stored.membership.voters;
  const auto alive = std::count_if(voters.begin(), voters.end(), [&](uint64_t voter) {
    const uint64_t node = shard::ReplicaId{voter}.node().value;
    return node == worker.id || living.contains(node);
  });
  if (static_cast<size_t>(alive) <= voters.size() / 2) return absl::OkStatus();
  return FailedPrecondition(
      "group {}: {} of {} voters are not lost, which is a majority: start their workers, and the "
      "group goes on without loss. A worker is lost when placement says it is dead",
      group.value, alive, voters.size());
}

absl::StatusOr<std::set<uint64_t>> LivingOf(
    const placementdriver::v1::ListWorkersResponse& response) {
  std::set<uint64_t> living;
  for (const auto& worker : response.workers()) {
    if (worker.dead()) continue;
    uint64_t id = 0;
    if (!absl::SimpleAtoi(worker.worker_id(), &id)) {
      return Internal("placement names a worker '{}', wanted a number", worker.worker_id());
    }
    living.insert(id);
  }
  return living;
}

absl::StatusOr<std::set<uint64_t>> AskPlacement(rpc::PlacementCaller& placement,
                                                const Clock& clock) {
  absl::StatusOr<std::set<uint64_t>> living = absl::UnknownError("");
  absl::Notification answered;
  placement.ListWorkers(
      clock.MonotonicNanos() + kAskPlacementMs * 1'000'000,
      [&](const rpc::PlacementCaller::Answer<placementdriver::v1::ListWorkersResponse>& answer) {
        if (answer.response.ok()) {
          living = LivingOf(*answer.response);
        } else {
          living = Annotate(answer.response.status(), "asking placement");
        }
        answered.Notify();
      });
  answered.WaitForNotification();
  return living;
}

absl::StatusOr<std::string> RecoverWorker(const RecoverOptions& options, FileSystem& files,
                                          const LivingWorkers& living) {
  if (living == nullptr) {
    return InvalidArgument("a worker's folder needs --placement, to know who is lost");
  }
  if (options.apply && options.group == 0) return InvalidArgument("--yes needs --group");
  ASSIGN_OR_RETURN(const std::unique_ptr<StoppedWorker> worker,
                   OpenStopped(options.data_dir, files));
  ASSIGN_OR_RETURN(const std::set<uint64_t> alive, living());
  if (options.group == 0) {
    std::string report;
    for (const GroupId group : worker->logs->Groups()) {
      ASSIGN_OR_RETURN(const auto stored, shard::ReadStoredGroup(*worker->logs, group));
      report += Describe(*worker, group, stored, alive) + "\n";
    }
    return report;
  }
  const GroupId group{options.group};
  ASSIGN_OR_RETURN(const auto stored, shard::ReadStoredGroup(*worker->logs, group));
  std::string report = Describe(*worker, group, stored, alive) + "\n";
  RETURN_IF_ERROR(CheckMajorityLost(*worker, group, stored, alive));
  const std::string dir = fmt::format("{}/shards/{}", worker->folder->path(), group.value);
  if (!options.apply) {
    RETURN_IF_ERROR(shard::CheckRecoverable(*worker->logs, files, group, dir));
    return report + "it can go on alone from here: say so with --yes\n";
  }
  RETURN_IF_ERROR(shard::RecoverAlone(*worker->logs, files, group, dir));
  return report + "it goes on alone when this worker starts\n";
}

constexpr char kPlacementLoss[] =
    "What only the other placement nodes had acknowledged is lost: the newest collections, "
    "workers, drains and moves of replicas, in the worst case. Points are not touched. None of the "
    "others may run again on its old data folder.\n";

absl::StatusOr<std::string> RecoverPlacement(const RecoverOptions& options, FileSystem& files) {
  if (options.group != 0) {
    return InvalidArgument("{} is a placement node's data folder, which has no --group",
                           options.data_dir);
  }
  ASSIGN_OR_RETURN(const auto folder, DataFolder::Open(options.data_dir, files));
  storage::RocksResources resources;
  ASSIGN_OR_RETURN(const auto logs, shard::LogStore::Open(folder->path() + "/log", resources,
                                                          /*tail_cache_bytes=*/0));
  ASSIGN_OR_RETURN(const placement::StoredPlacement stored,
                   placement::ReadStoredPlacement(files, *logs, folder->path()));
  std::string voters;
  for (const uint64_t voter : stored.group.membership.voters) {
    voters += fmt::format("{}{}", voters.empty() ? "" : ", ", shard::ReplicaId{voter}.node().value);
  }
  const std::string report = fmt::format(
      "placement node {} of cluster '{}': {} workers, {} collections; voters on placement nodes "
      "{}; the log ends at {}, {} is known to be committed, term {}\n{}",
      stored.group.replica.node().value, stored.state.cluster_id(), stored.state.workers().size(),
      stored.state.collections().size(), voters, stored.group.last_index,
      stored.group.committed_index, stored.group.term, kPlacementLoss);
  if (!options.apply) return report + "it can go on alone from here: say so with --yes\n";
  RETURN_IF_ERROR(placement::RecoverAlone(files, *logs, folder->path()));
  return report + "it goes on alone when this node starts; then start the others with --join\n";
}

}  // namespace

absl::StatusOr<std::string> Recover(const RecoverOptions& options, FileSystem& files,
                                    const LivingWorkers& living) {
  ASSIGN_OR_RETURN(const bool is_worker, files.Exists(options.data_dir + "/shards"));
  if (is_worker) return RecoverWorker(options, files, living);
  ASSIGN_OR_RETURN(const bool is_placement,
                   files.Exists(options.data_dir + placement::kPlacementSnapshotFolder));
  if (is_placement) return RecoverPlacement(options, files);
  return FailedPrecondition("{} is the data folder of neither a worker nor a placement node",
                            options.data_dir);
}

int RunRecover(const std::vector<std::string>& args) {
  CLI::App app{
      "The last resort for shards, or for placement, whose majority is lost for good: tells what a "
      "stopped worker or placement node has, and lets one replica go on alone. What others "
      "acknowledged and it lacks is lost."};
  app.name("vectron recover");
  RecoverOptions options;
  std::string placement_nodes;
  ClusterFlags cluster;
  app.add_option("--data", options.data_dir, "Data folder of the stopped worker or placement node")
      ->required();
  app.add_option("--placement", placement_nodes,
                 "HOST:PORT of every placement node, separated by commas; for a worker's folder");
  AddClusterSecretFlag(app, cluster);
  AddClusterTlsFlags(app, cluster);
  app.add_option("--group", options.group, "The group, of a worker's; without it all are told of");
  app.add_flag("--yes", options.apply, "Do it");
  app.failure_message(WrongCommandLine);
  const auto fail = [](int exit_code, const absl::Status& status) {
    std::fprintf(stderr, "vectron recover: %s\n", std::string(MessageOf(status)).c_str());
    return exit_code;
  };
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());  // as CLI11 takes them
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  SystemClock clock;
  ThreadTimer timer(clock);
  std::unique_ptr<rpc::PlacementCaller> placement;
  LivingWorkers living;
  if (!placement_nodes.empty()) {
    const auto addresses = SplitAddresses(placement_nodes);
    if (!addresses.ok()) return fail(2, addresses.status());
    const auto credentials = ToClusterCredentials(cluster);
    if (!credentials.ok()) return fail(2, credentials.status());
    placement = std::make_unique<rpc::PlacementCaller>(
        *addresses, rpc::ClusterChannel(*credentials), clock, timer);
    living = [&] { return AskPlacement(*placement, clock); };
  }
  const auto files = NewPosixFileSystem();
  const auto report = Recover(options, *files, living);
  if (!report.ok()) return fail(1, report.status());
  std::fputs(report->c_str(), stdout);
  return 0;
}

}  // namespace vectron
