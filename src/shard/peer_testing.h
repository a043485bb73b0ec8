#pragma once

// Nodes with group hosts and logs in one process and a network between them that tests cut; for
// tests of this folder.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/fault_file_system.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "base/timer.h"
#include "shard/group_host.h"
#include "shard/snapshot_registry.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {

// Waits for something that other threads bring about; false after a minute.
inline bool Eventually(const std::function<bool()>& holds) {
  absl::Mutex mutex;
  absl::CondVar never;
  for (int i = 0; i < 12'000; ++i) {
    if (holds()) return true;
    const absl::MutexLock lock(&mutex);
    never.WaitWithTimeout(&mutex, absl::Milliseconds(5));
  }
  return false;
}

// Delivers at once, in the sender's thread. Thread-safe.
class LocalNetwork {
 public:
  // Called with every chunk on its way, when set; may change it. An error breaks the transfer.
  std::function<absl::Status(consensus::SnapshotChunk&)> on_chunk;

  void Connect(uint64_t node, consensus::PeerReceiver* receiver,
               consensus::SnapshotSource* source) {
    const absl::MutexLock lock(&mutex_);
    nodes_[node] = {receiver, source};
  }
  void Disconnect(uint64_t node) {
    const absl::MutexLock lock(&mutex_);
    nodes_.erase(node);
  }
  void CutOff(uint64_t node) {
    const absl::MutexLock lock(&mutex_);
    cut_.insert(node);
  }
  void Heal() {
    const absl::MutexLock lock(&mutex_);
    cut_.clear();
  }

  // One node's side.
  class Endpoint : public consensus::PeerTransport, public consensus::SnapshotTransport {
   public:
    Endpoint(LocalNetwork& network, uint64_t node) : network_(network), node_(node) {}
    void Send(uint64_t node, std::vector<PeerMessage> messages) override {
      network_.Deliver(node_, node, std::move(messages));
    }
    void Fetch(uint64_t node, const consensus::SnapshotId& snapshot, consensus::SnapshotSink& sink,
               std::function<void(absl::Status)> done) override {
      pool_.Schedule([this, node, snapshot, &sink, done = std::move(done)] {
        done(network_.Transfer(node_, node, snapshot, sink));
      });
    }
    void CancelFetches(const consensus::SnapshotId&) override {}

   private:
    LocalNetwork& network_;
    const uint64_t node_;
    ThreadPool pool_{"fetch", 1};
  };

 private:
  struct Node {
    consensus::PeerReceiver* receiver = nullptr;
    consensus::SnapshotSource* source = nullptr;
  };

  bool Reaches(uint64_t from, uint64_t to) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return nodes_.contains(to) && !cut_.contains(from) && !cut_.contains(to);
  }
  void Deliver(uint64_t from, uint64_t to, std::vector<PeerMessage> messages) {
    const absl::ReaderMutexLock lock(&mutex_);
    if (Reaches(from, to)) nodes_.at(to).receiver->Receive(from, std::move(messages));
  }
  absl::Status Transfer(uint64_t to, uint64_t from, const consensus::SnapshotId& snapshot,
                        consensus::SnapshotSink& sink) {
    const absl::ReaderMutexLock lock(&mutex_);
    if (!Reaches(to, from)) return absl::UnavailableError("cut off");
    consensus::SnapshotSource& source = *nodes_.at(from).source;
    const auto files = source.List(snapshot);
    if (!files.ok()) return files.status();
    auto at = sink.Begin(*files);
    if (!at.ok()) return at.status();
    while (at->file < files->size()) {
      auto chunk = source.Read(snapshot, *at, 1'000);
      if (!chunk.ok()) return chunk.status();
      at->offset += chunk->bytes.size();
      if (at->offset == (*files)[at->file].bytes) at = consensus::SnapshotPosition{at->file + 1, 0};
      if (on_chunk) {
        const absl::Status status = on_chunk(*chunk);
        if (!status.ok()) return status;
      }
      const absl::Status written = sink.Write(*chunk);
      if (!written.ok()) return written;
    }
    return absl::OkStatus();
  }

  mutable absl::Mutex mutex_;
  std::map<uint64_t, Node> nodes_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> cut_ ABSL_GUARDED_BY(mutex_);
};

// A node's threads, log and host. Time-outs a quarter of the real ones.
class HostNode {
 public:
  HostNode(LocalNetwork& network, uint64_t id, std::string dir)
      : files(NewPosixFileSystem()),
        registry(*files),
        network_(network),
        id_(id),
        dir_(std::move(dir)),
        endpoint(network, id) {}
  ~HostNode() { Stop(); }

  void Start() {
    auto opened = LogStore::Open(dir_ + "/log", resources, size_t{1} << 20);
    CHECK_OK(opened.status());
    StartOver(*std::move(opened));
  }
  void StartOver(std::unique_ptr<LogStore> log_store) {
    logs = std::move(log_store);
    GroupHostOptions options;
    options.raft.node = {id_};
    options.raft.quiet_after_ticks = quiet_after_ticks;
    options.raft.group_log_bytes = group_log_bytes;
    options.raft.probe_ticks = probe_ticks;
    options.tick_ms = 5;
    options.hung_write_ms = hung_write_ms;
    GroupHostDeps deps;
    deps.logs = logs.get();
    deps.transport = &endpoint;
    deps.apply_executor = &apply_pool;
    deps.clock = &clock;
    deps.timer = &timer;
    deps.disk_room = disk_room;
    deps.on_fatal = on_fatal ? on_fatal : [](const absl::Status& status) { CHECK_OK(status); };
    host = GroupHost::Start(options, deps);
    network_.Connect(id_, host.get(), &registry);
  }
  // What uses the host is gone.
  void Stop() {
    network_.Disconnect(id_);
    host.reset();
    logs.reset();
  }
  uint64_t id() const { return id_; }
  ReplicaId replica(uint64_t serial = 1) const { return ReplicaId::Make({id_}, serial); }
  const std::string& dir() const { return dir_; }

  uint32_t quiet_after_ticks = 100;
  uint64_t group_log_bytes = uint64_t{256} << 20;
  uint32_t probe_ticks = 500;
  int64_t hung_write_ms = 30'000;
  std::function<void(const absl::Status&)> on_fatal;
  std::function<DiskRoom()> disk_room;

  const std::unique_ptr<FileSystem> files;
  FaultFileSystem faulty_files{*files};
  SystemClock clock;
  SnapshotRegistry registry;
  storage::RocksResources resources;

 private:
  LocalNetwork& network_;
  const uint64_t id_;
  const std::string dir_;

 public:
  LocalNetwork::Endpoint endpoint;
  ThreadPool apply_pool{"apply", 2};
  ThreadPool background_pool{"background", 2};
  ThreadTimer timer{clock};
  std::unique_ptr<LogStore> logs;
  std::unique_ptr<GroupHost> host;
};

// Messages on their way, for tests that deliver by hand.
struct Wire {
  uint64_t from = 0;
  uint64_t to = 0;
  PeerMessage message;
};
using Wires = std::deque<Wire>;

// What a node sends goes to `wires`, which outlives it.
class WirePost : public PeerTransport {
 public:
  WirePost(Wires& wires, uint64_t node) : wires_(wires), node_(node) {}
  void Send(uint64_t node, std::vector<PeerMessage> messages) override {
    for (PeerMessage& message : messages) wires_.push_back({node_, node, std::move(message)});
  }

 private:
  Wires& wires_;
  const uint64_t node_;
};

inline consensus::Membership Voters(const std::vector<uint64_t>& nodes) {
  consensus::Membership members;
  for (const uint64_t node : nodes) members.voters.push_back(ReplicaId::Make({node}, 1).value);
  return members;
}

// Calls a function that answers by callback and waits for the answer.
template <typename T>
T Answer(const std::function<void(std::function<void(T)>)>& call) {
  absl::Mutex mutex;
  absl::CondVar answered;
  std::unique_ptr<T> answer;
  call([&](T value) {
    const absl::MutexLock lock(&mutex);
    answer = std::make_unique<T>(std::move(value));
    answered.Signal();
  });
  const absl::MutexLock lock(&mutex);
  while (answer == nullptr) answered.Wait(&mutex);
  return std::move(*answer);
}

}  // namespace vectron::shard
