#include "rpc/peer_transport_grpc.h"

#include <grpcpp/impl/codegen/service_type.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/crc32c.h"
#include "base/temp_dir.h"
#include "rpc/grpc_server.h"
#include "rpc/tls_grpc.h"
#include "rpc/tls_testing.h"

namespace vectron::rpc {
namespace {

using consensus::PeerMessage;
using consensus::SnapshotChunk;
using consensus::SnapshotFile;
using consensus::SnapshotId;
using consensus::SnapshotPosition;

// Waits for what other threads bring about; false after half a minute.
bool Eventually(const std::function<bool()>& holds) {
  absl::Mutex mutex;
  absl::CondVar never;
  for (int i = 0; i < 6'000; ++i) {
    if (holds()) return true;
    const absl::MutexLock lock(&mutex);
    never.WaitWithTimeout(&mutex, absl::Milliseconds(5));
  }
  return false;
}

class Inbox : public consensus::PeerReceiver {
 public:
  void Receive(uint64_t node, std::vector<PeerMessage> messages) override {
    const absl::MutexLock lock(&mutex_);
    for (PeerMessage& message : messages) received_.emplace_back(node, std::move(message));
  }
  void ReportUnreachable(uint64_t node) override {
    const absl::MutexLock lock(&mutex_);
    ++unreachable_[node];
  }
  std::vector<std::pair<uint64_t, PeerMessage>> received() {
    const absl::MutexLock lock(&mutex_);
    return received_;
  }
  int unreachable(uint64_t node) {
    const absl::MutexLock lock(&mutex_);
    return unreachable_[node];
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::pair<uint64_t, PeerMessage>> received_;
  std::map<uint64_t, int> unreachable_;
};

// Files in memory, on both sides.
class Files : public consensus::SnapshotSource, public consensus::SnapshotSink {
 public:
  std::vector<std::pair<std::string, std::string>> files;
  bool corrupt = false;
  int interrupt_after = -1;  // reads

  absl::StatusOr<std::vector<SnapshotFile>> List(const SnapshotId& snapshot) override {
    if (snapshot.token != "t") return absl::NotFoundError("no such snapshot");
    std::vector<SnapshotFile> list;
    for (const auto& [name, bytes] : files) list.push_back({name, bytes.size()});
    return list;
  }
  absl::StatusOr<SnapshotChunk> Read(const SnapshotId&, SnapshotPosition at,
                                     size_t max_bytes) override {
    const absl::MutexLock lock(&mutex_);
    if (interrupt_after >= 0 && interrupt_after-- == 0)
      return absl::UnavailableError("interrupted");
    ++reads_;
    SnapshotChunk chunk{
        .at = at, .bytes = files[at.file].second.substr(at.offset, max_bytes), .crc32c = 0};
    chunk.crc32c = Crc32c(chunk.bytes) ^ (corrupt ? 1 : 0);
    return chunk;
  }
  int reads() {
    const absl::MutexLock lock(&mutex_);
    return reads_;
  }

  absl::StatusOr<SnapshotPosition> Begin(const std::vector<SnapshotFile>& list) override {
    if (files.empty()) {
      for (const SnapshotFile& file : list) files.emplace_back(file.name, "");
    }
    return position_;
  }
  absl::Status Write(const SnapshotChunk& chunk) override {
    if (Crc32c(chunk.bytes) != chunk.crc32c) return absl::DataLossError("bad checksum");
    EXPECT_EQ(chunk.at.file, position_.file);
    EXPECT_EQ(chunk.at.offset, position_.offset);
    files[chunk.at.file].second += chunk.bytes;
    position_.offset += chunk.bytes.size();
    if (position_.offset == sizes.at(chunk.at.file)) position_ = {chunk.at.file + 1, 0};
    return absl::OkStatus();
  }
  std::vector<size_t> sizes;

 private:
  absl::Mutex mutex_;
  int reads_ = 0;
  SnapshotPosition position_;
};

class PeerTransportTest : public testing::Test {
 protected:
  struct Node {
    std::unique_ptr<GrpcPeerTransport> transport;
    std::unique_ptr<RpcRegistry> registry;
    std::unique_ptr<GrpcServer> server;
    Inbox inbox;
    Files files;
  };
  ~PeerTransportTest() override {
    for (auto& [id, node] : nodes_) node.transport->Stop();
    for (auto& [id, node] : nodes_) node.server.reset();
  }

  PeerTransportOptions Options(uint64_t id) {
    PeerTransportOptions options;
    options.cluster_id = "c";
    options.node = id;
    options.secret = "a secret of the cluster";
    options.max_backoff_ms = 100;
    options.snapshot_chunk_bytes = 1'000;
    return options;
  }
  Node& Start(uint64_t id, const PeerTransportOptions& options) {
    Node& node = nodes_[id];
    node.transport =
        GrpcPeerTransport::Create(options, {.resolve = [this](uint64_t to) { return Resolve(to); },
                                            .clock = &clock_,
                                            .timer = &timer_,
                                            .file_executor = &pool_,
                                            .metrics = id == 2 ? &metrics_ : nullptr});
    node.transport->SetReceiver(&node.inbox);
    node.transport->SetSnapshotSource(&node.files);
    Serve(id);
    return node;
  }
  void Serve(uint64_t id) {
    Node& node = nodes_[id];
    node.registry = std::make_unique<RpcRegistry>(metrics_, clock_, RpcRegistryOptions{});
    auto server = GrpcServer::Start({.tls = tls_, .extra_services = {node.transport->service()}},
                                    *node.registry);
    ASSERT_TRUE(server.ok()) << server.status();
    node.server = *std::move(server);
    const absl::MutexLock lock(&mutex_);
    addresses_[id] = node.server->bound_address();
  }
  std::optional<std::string> Resolve(uint64_t node) {
    const absl::MutexLock lock(&mutex_);
    const auto found = addresses_.find(node);
    return found == addresses_.end() ? std::nullopt : std::optional<std::string>(found->second);
  }
  // Of node 2, as those who watch see it.
  double Shown(const std::string& metric) {
    const std::string text = metrics_.Expose();
    const size_t at = text.find("\n" + metric + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + metric.size() + 2));
  }
  static PeerMessage Message(uint64_t group, const std::string& bytes) {
    return {.group = group,
            .from = 1,
            .to = 2,
            .type = 3,
            .bytes = bytes,
            .snapshot_token = "tok",
            .snapshot_index = 4};
  }
  absl::Status Fetch(Node& from, uint64_t node, const std::string& token, Files& into) {
    absl::Status result;
    bool done = false;
    absl::Mutex mutex;
    from.transport->Fetch(node, {.group = 9, .token = token}, into, [&](absl::Status status) {
      const absl::MutexLock lock(&mutex);
      result = std::move(status);
      done = true;
    });
    EXPECT_TRUE(Eventually([&] {
      const absl::MutexLock lock(&mutex);
      return done;
    }));
    return result;
  }

  Metrics metrics_;
  SystemClock clock_;
  ThreadTimer timer_{clock_};
  ThreadPool pool_{"files", 2};
  absl::Mutex mutex_;
  std::map<uint64_t, std::string> addresses_;
  std::map<uint64_t, Node> nodes_;
  TlsFiles tls_;  // of nodes that start from now on
};

TEST_F(PeerTransportTest, BringsMessagesOfAllGroupsInOrder) {
  Node& one = Start(1, Options(1));
  Node& two = Start(2, Options(2));
  for (uint64_t i = 0; i < 100; ++i)
    one.transport->Send(2, {Message(i, "x"), Message(i, std::string(i * 100, 'y'))});
  ASSERT_TRUE(Eventually([&] { return two.inbox.received().size() == 200; }));
  const auto received = two.inbox.received();
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(received[2 * i].first, 1U);
    EXPECT_EQ(received[2 * i].second.group, i);
    EXPECT_EQ(received[2 * i].second.snapshot_token, "tok");
    EXPECT_EQ(received[2 * i].second.snapshot_index, 4U);
    EXPECT_EQ(received[2 * i + 1].second.bytes.size(), i * 100);
  }
  EXPECT_LT(two.transport->stats().frames_received, 150U);  // what waited went together
}

TEST_F(PeerTransportTest, ComesBackWhenANodeDoesAtAnotherAddress) {
  Node& one = Start(1, Options(1));
  Node& two = Start(2, Options(2));
  one.transport->Send(2, {Message(1, "a")});
  ASSERT_TRUE(Eventually([&] { return two.inbox.received().size() == 1; }));
  two.server.reset();
  EXPECT_TRUE(Eventually([&] {
    one.transport->Send(2, {Message(1, "lost")});
    return one.inbox.unreachable(2) > 0;
  }));
  Serve(2);
  EXPECT_TRUE(Eventually([&] {
    one.transport->Send(2, {Message(2, "b")});
    return two.inbox.received().back().second.bytes == "b";
  }));
}

TEST_F(PeerTransportTest, DropsFramesOfAnotherClusterAndForAnotherNode) {
  PeerTransportOptions strange = Options(1);
  strange.cluster_id = "other";
  Node& one = Start(1, strange);
  Node& two = Start(2, Options(2));
  Start(3, Options(3));
  one.transport->Send(2, {Message(1, "a")});
  EXPECT_EQ(Shown("vectron_peer_wrong_node_total"), 0);
  EXPECT_TRUE(Eventually([&] { return two.transport->stats().wrong_cluster > 0; }));
  EXPECT_GT(Shown("vectron_peer_wrong_cluster_total"), 0);
  {
    const absl::MutexLock lock(&mutex_);
    addresses_[4] = addresses_[2];  // node 4 is no longer there
  }
  nodes_[3].transport->Send(4, {Message(1, "a")});
  EXPECT_TRUE(Eventually([&] { return two.transport->stats().wrong_node > 0; }));
  EXPECT_GT(Shown("vectron_peer_wrong_node_total"), 0);
  EXPECT_TRUE(two.inbox.received().empty());
}

TEST_F(PeerTransportTest, TakesACertificateInPlaceOfTheSecret) {
  const TempDir dir;
  const TestCertificate authority("authority");
  authority.Write(dir / "ca", "");
  for (const char* const name : {"1", "2"}) {
    TestCertificate(name, &authority).Write(dir / name, dir / (name + std::string("-key")));
  }
  const auto options = [&](uint64_t id) {
    const std::string name = std::to_string(id);
    tls_ = {dir / name, dir / (name + "-key"), dir / "ca"};
    PeerTransportOptions with = Options(id);
    with.secret = "";
    with.credentials = GrpcChannelCredentials(tls_);
    with.trust_certificates = true;
    return with;
  };
  Node& one = Start(1, options(1));
  Node& two = Start(2, options(2));
  EXPECT_TRUE(Eventually([&] {
    one.transport->Send(2, {Message(1, "a")});
    return !two.inbox.received().empty();
  }));
  two.files.files = {{"a", "b"}};
  Files into;
  into.sizes = {1};
  EXPECT_EQ(Fetch(one, 2, "t", into), absl::OkStatus());
  Node& plain = Start(3, Options(3));
  plain.transport->Send(2, {Message(1, "b")});
  EXPECT_TRUE(Eventually([&] { return plain.inbox.unreachable(2) > 0; }));
  for (const auto& [from, message] : two.inbox.received()) EXPECT_EQ(message.bytes, "a");
}

TEST_F(PeerTransportTest, RefusesCallsWithoutTheSecret) {
  PeerTransportOptions guessing = Options(1);
  guessing.secret = "a secret of the clusteR";
  Node& one = Start(1, guessing);
  Node& two = Start(2, Options(2));
  EXPECT_TRUE(Eventually([&] {
    one.transport->Send(2, {Message(1, "a")});
    return two.transport->stats().unauthenticated > 0;
  }));
  EXPECT_GT(Shown("vectron_peer_unauthenticated_total"), 0);
  two.files.files = {{"a", "b"}};
  Files into;
  EXPECT_TRUE(absl::IsUnauthenticated(Fetch(one, 2, "t", into)));
  EXPECT_TRUE(two.inbox.received().empty());
}

TEST_F(PeerTransportTest, BoundsWhatWaitsForANodeThatNeverAnswers) {
  PeerTransportOptions options = Options(1);
  options.max_queue_bytes = 10'000;
  options.stuck_write_ms = 100;
  Node& one = Start(1, options);
  {
    const absl::MutexLock lock(&mutex_);
    addresses_[2] = "192.0.2.1:9";  // a documentation address: nothing answers there
  }
  for (int i = 0; i < 100; ++i) one.transport->Send(2, {Message(1, std::string(1'000, 'x'))});
  EXPECT_GE(one.transport->stats().messages_dropped, 80U);
  EXPECT_TRUE(Eventually([&] { return one.inbox.unreachable(2) > 0; }));  // and is told in the end
}

TEST_F(PeerTransportTest, FetchesFilesAndGoesOnAfterAnInterruption) {
  Node& one = Start(1, Options(1));
  Node& two = Start(2, Options(2));
  two.files.files = {{"a", std::string(3'500, 'x')}, {"empty", ""}, {"sub/b", "yy"}};
  two.files.interrupt_after = 2;
  Files into;
  into.sizes = {3'500, 0, 2};
  const absl::Status status = Fetch(one, 2, "t", into);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(into.files, two.files.files);
  EXPECT_EQ(two.files.reads(), 4 + 1 + 1);  // nothing was sent twice
}

TEST_F(PeerTransportTest, EndsAFetchOfWhatIsGoneOrDamaged) {
  Node& one = Start(1, Options(1));
  Node& two = Start(2, Options(2));
  two.files.files = {{"a", "b"}};
  Files into;
  into.sizes = {1};
  EXPECT_TRUE(absl::IsNotFound(Fetch(one, 2, "another", into)));
  two.files.corrupt = true;
  EXPECT_TRUE(absl::IsDataLoss(Fetch(one, 2, "t", into)));
}

TEST_F(PeerTransportTest, EndsFetchesWhenItStops) {
  Node& one = Start(1, Options(1));
  absl::Mutex mutex;
  bool done = false;
  Files into;
  one.transport->Fetch(77, {.group = 9, .token = "t"}, into, [&](const absl::Status& status) {
    EXPECT_FALSE(status.ok());
    const absl::MutexLock lock(&mutex);
    done = true;
  });
  one.transport->Stop();
  const absl::MutexLock lock(&mutex);
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace vectron::rpc
