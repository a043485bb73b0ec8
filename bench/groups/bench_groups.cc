// vectron_bench_groups [--groups N] [--seconds S] [--quiet-after TICKS] [--write]: three nodes of
// replicated groups in one process, over gRPC on loopback with logs on disk; prints what they cost
// when nobody uses them and how soon such a group takes an entry, or with --write what entries
// cost.

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/temp_dir.h"
#include "rpc/grpc_server.h"
#include "rpc/peer_transport_grpc.h"
#include "shard/group_host.h"
#include "shard/snapshot_registry.h"

namespace vectron {
namespace {

struct Options {
  uint64_t groups = 200;
  int64_t seconds = 20;
  uint32_t quiet_after = 100;
  bool write = false;
};

class Nothing : public shard::Applier {
 public:
  void Apply(std::vector<shard::Entry>) override {}
};

struct Node {
  uint64_t id = 0;
  std::unique_ptr<shard::LogStore> logs;
  std::unique_ptr<rpc::GrpcPeerTransport> transport;
  std::unique_ptr<shard::GroupHost> host;
  std::unique_ptr<rpc::GrpcServer> server;
  std::vector<shard::Replicator*> replicators;
};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Cluster {
 public:
  explicit Cluster(const Options& options) : options_(options) {
    for (uint64_t id = 1; id <= 3; ++id) Start(id);
    for (uint64_t group = 1; group <= options.groups; ++group) {
      for (Node& node : nodes_) Join(node, group);
    }
  }
  ~Cluster() {
    for (Node& node : nodes_) node.transport->Stop();
    for (Node& node : nodes_) node.server.reset();
    for (Node& node : nodes_) node.host.reset();
  }

  bool AllQuiet() const {
    uint64_t quiet = 0;
    for (const Node& node : nodes_) quiet += node.host->stats().raft.quiet;
    return quiet == 3 * options_.groups;
  }
  uint64_t Leaders() const {
    uint64_t leaders = 0;
    for (const Node& node : nodes_) leaders += node.host->stats().raft.leaders;
    return leaders;
  }
  uint64_t Frames() const {
    uint64_t frames = 0;
    for (const Node& node : nodes_) frames += node.host->stats().raft.frames;
    return frames;
  }
  // Milliseconds until each of some 200 groups has committed an entry, one after the other,
  // sorted.
  std::vector<double> Wake() {
    std::vector<double> times;
    const uint64_t step = std::max<uint64_t>(options_.groups / 200, 1);
    for (uint64_t group = 1; group <= options_.groups; group += step) {
      for (Node& node : nodes_) {
        if (!node.host->View({group}).is_leader) continue;
        absl::Notification committed;
        bool accepted = false;
        const auto begin = std::chrono::steady_clock::now();
        node.replicators[group - 1]->Propose("x", [&](const absl::StatusOr<uint64_t>& index) {
          accepted = index.ok();
          committed.Notify();
        });
        committed.WaitForNotification();
        if (!accepted) continue;  // its leader changed just now
        const std::chrono::duration<double, std::milli> taken =
            std::chrono::steady_clock::now() - begin;
        times.push_back(taken.count());
      }
    }
    std::sort(times.begin(), times.end());
    return times;
  }
  // Keeps 16 entries of 1 KiB under way in each group on its leader; returns how many were
  // committed.
  uint64_t Write(int64_t seconds) {
    std::atomic<uint64_t> committed{0};
    std::atomic<int> open{0};
    std::atomic<bool> stop{false};
    std::function<void(shard::Replicator*)> next = [&](shard::Replicator* replicator) {
      if (stop) {
        --open;
        return;
      }
      replicator->Propose(std::string(1'024, 'x'),
                          [&, replicator](const absl::StatusOr<uint64_t>& index) {
                            if (index.ok()) ++committed;
                            if (!index.ok()) stop = true;
                            next(replicator);
                          });
    };
    for (uint64_t group = 1; group <= options_.groups; ++group) {
      for (Node& node : nodes_) {
        if (!node.host->View({group}).is_leader) continue;
        for (int i = 0; i < 16; ++i) {
          ++open;
          next(node.replicators[group - 1]);
        }
      }
    }
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    stop = true;
    while (open > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return committed;
  }

 private:
  void Start(uint64_t id) {
    Node& node = nodes_[id - 1];
    node.id = id;
    auto logs = shard::LogStore::Open(dir_ / std::to_string(id), resources_, size_t{16} << 20);
    CHECK_OK(logs.status());
    node.logs = *std::move(logs);
    rpc::PeerTransportOptions transport;
    transport.cluster_id = "bench";
    transport.node = id;
    transport.secret = "the secret of a benchmark";
    node.transport = rpc::GrpcPeerTransport::Create(
        transport, {.resolve = [this](uint64_t to) { return Resolve(to); },
                    .clock = &clock_,
                    .timer = &timer_,
                    .file_executor = &pool_});
    shard::GroupHostOptions host;
    host.raft.node = {id};
    host.raft.quiet_after_ticks = options_.quiet_after;
    node.host = shard::GroupHost::Start(host, {.logs = node.logs.get(),
                                               .transport = node.transport.get(),
                                               .apply_executor = &pool_,
                                               .clock = &clock_,
                                               .timer = &timer_,
                                               .on_fatal = {},
                                               .disk_room = {}});
    node.transport->SetReceiver(node.host.get());
    rpc::GrpcServerOptions server;
    server.extra_services = {node.transport->service()};
    auto started = rpc::GrpcServer::Start(server, registry_);
    CHECK_OK(started.status());
    node.server = *std::move(started);
  }
  std::optional<std::string> Resolve(uint64_t to) const {
    const Node& node = nodes_[to - 1];
    return node.server == nullptr ? std::nullopt : std::optional(node.server->bound_address());
  }
  void Join(Node& node, uint64_t group) {
    shard::RaftGroupStart start;
    start.group = {group};
    start.replica = shard::ReplicaId::Make({node.id}, 1);
    for (uint64_t id = 1; id <= 3; ++id)
      start.members.voters.push_back(shard::ReplicaId::Make({id}, 1).value);
    start.applier = &nothing_;
    const auto replicator = node.host->Attach(start);
    CHECK_OK(replicator.status());
    node.replicators.push_back(*replicator);
  }

  const Options options_;
  TempDir dir_;
  SystemClock clock_;
  ThreadTimer timer_{clock_};
  ThreadPool pool_{"apply", 2};
  storage::RocksResources resources_;
  Metrics metrics_;
  rpc::RpcRegistry registry_{metrics_, clock_, rpc::RpcRegistryOptions{}};
  Nothing nothing_;
  Node nodes_[3];
};

int Run(const Options& options) {
  using std::chrono::steady_clock;
  Cluster cluster(options);
  const auto begin = steady_clock::now();
  const auto waited = [&] {
    return std::chrono::duration<double>(steady_clock::now() - begin).count();
  };
  const auto ready = [&] {
    const bool led = cluster.Leaders() == options.groups;
    return led && (options.write || options.quiet_after == 0 || cluster.AllQuiet());
  };
  while (!ready() && waited() < 120) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  fmt::print("{} groups of 3: {} led, {} after {:.1f} s\n", options.groups, cluster.Leaders(),
             cluster.AllQuiet() ? "all quiet" : "awake", waited());
  const double cpu = CpuSeconds();
  const uint64_t frames = cluster.Frames();
  const auto start = steady_clock::now();
  uint64_t committed = 0;
  if (options.write) {
    committed = cluster.Write(options.seconds);
  } else {
    std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  }
  const double wall = std::chrono::duration<double>(steady_clock::now() - start).count();
  const double used = CpuSeconds() - cpu;
  fmt::print("{:.1f} s: {:.2f} % of a core for the three nodes, {:.0f} frames/s\n", wall,
             used / wall * 100, static_cast<double>(cluster.Frames() - frames) / wall);
  if (!options.write) {
    const std::vector<double> times = cluster.Wake();
    if (times.empty()) return 1;  // nobody leads
    fmt::print("{} of them woken by an entry each: committed after {:.1f} ms, at most {:.1f}\n",
               times.size(), times[times.size() / 2], times.back());
  } else {
    fmt::print("{:.0f} entries/s of 1 KiB, {:.1f} us of CPU each (three copies)\n",
               static_cast<double>(committed) / wall,
               used * 1e6 / static_cast<double>(std::max<uint64_t>(committed, 1)));
  }
  return 0;
}

}  // namespace
}  // namespace vectron

int main(int argc, char** argv) {
  vectron::SetLogLevel(vectron::LogLevel::kWarning);  // each election is told
  vectron::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    uint64_t number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    if (arg == "--write") {
      options.write = true;
      continue;
    }
    ++i;
    if (arg == "--groups") {
      options.groups = number;
    } else if (arg == "--seconds") {
      options.seconds = static_cast<int64_t>(number);
    } else if (arg == "--quiet-after") {
      options.quiet_after = static_cast<uint32_t>(number);
    } else {
      fmt::print(stderr, "vectron_bench_groups: unknown option '{}'\n", arg);
      return 2;
    }
  }
  return vectron::Run(options);
}
