// The client against three workers, one of which is killed under load. VECTRON_CLUSTER_TOOL names
// tools/cluster.py.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "process_testing.h"
#include "vectron/client.h"

namespace vectron {
namespace {

constexpr int kPoints = 150;

// A cluster of a folder of its own, stopped with the object.
class Cluster {
 public:
  Cluster() { ready_ = Run("up --no-demo --threads 1"); }
  ~Cluster() { Run("down"); }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  std::string gateway() const { return After("\"grpc\":[\"", '"'); }
  pid_t PidOf(uint64_t worker) const {
    const std::string name = "\"name\":\"worker-";
    for (size_t at = ready_.find(name); at != std::string::npos; at = ready_.find(name, at + 1)) {
      const std::string node = ready_.substr(at, ready_.find('}', at) - at);
      if (node.find("\"id\":" + std::to_string(worker) + ",") == std::string::npos) continue;
      return std::stoi(node.substr(node.find("\"pid\":") + 6));
    }
    return 0;
  }

 private:
  std::string After(const std::string& text, char end) const {
    const size_t at = ready_.find(text);
    if (at == std::string::npos) return "";
    const size_t start = at + text.size();
    return ready_.substr(start, ready_.find(end, start) - start);
  }
  std::string Run(const std::string& verb) const {
    return OutputOf(std::string("python3 -B ") + std::getenv("VECTRON_CLUSTER_TOOL") + " " + verb +
                    " --json --data " + folder_.At("cluster") + " --binary " +
                    std::getenv("VECTRON_BINARY"));
  }

  TempFolder folder_;
  std::string ready_;
};

void Write(Client& client, int n) {
  const std::string number = std::to_string(n);
  const Point point{"p" + number, {static_cast<float>(n), 1}, {{"n", n}}};
  ASSERT_EQ(client.Upsert("c", {point}, {"r" + number, true}), 1U);
}

std::map<std::string, std::pair<Payload, uint64_t>> All(Client& client) {
  std::map<std::string, std::pair<Payload, uint64_t>> found;
  ScrollOptions options;
  do {
    const Page page = client.Scroll("c", options);
    for (const Point& point : page.points) found[point.id] = {point.payload, point.version};
    options.after_id = page.next_after_id;
  } while (!options.after_id.empty());
  return found;
}

// New points are written one by one, insert-only: a write that applied twice would be refused.
// Searches go on.
TEST(ClusterTest, LosesNothingAndAppliesOnceWhenAWorkerIsKilled) {
  if (std::getenv("VECTRON_CLUSTER_TOOL") == nullptr) {
    GTEST_SKIP() << "NOT TESTED: VECTRON_CLUSTER_TOOL is not set; tests/sdk/run.sh cpp sets it";
  }
  const Cluster cluster;
  ClientOptions patient;
  patient.timeout = std::chrono::seconds(90);
  patient.retry.max_attempts = 1'000;
  Client client(cluster.gateway(), patient);
  CollectionOptions options;
  options.shard_count = 3;
  options.replication_factor = 3;
  client.CreateCollection("c", 2, Distance::kEuclidean, options);

  std::atomic<bool> writing = true;
  std::atomic<int> searches = 0;
  std::thread searcher([&] {
    SearchOptions exact;
    exact.exact = true;
    while (writing) {
      EXPECT_NO_THROW(client.Search("c", std::vector{0.0F, 1.0F}, exact));
      ++searches;
    }
  });
  int before = 0;
  for (int n = 0; n < kPoints; ++n) {
    if (n == 50) {
      before = searches;
      uint64_t leader = 0;
      for (int tries = 0; leader == 0 && tries < 600; ++tries) {  // while an election is under way
        if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
        leader = client.GetCollectionStatus("c").shards.at(0).leader_id;
      }
      const pid_t pid = cluster.PidOf(leader);
      EXPECT_GT(pid, 0);
      if (pid > 0) ::kill(pid, SIGKILL);
    }
    EXPECT_NO_THROW(Write(client, n)) << n;
  }
  writing = false;
  searcher.join();
  EXPECT_GT(searches, before);

  const auto found = All(client);
  EXPECT_EQ(found.size(), size_t{kPoints});
  for (int n = 0; n < kPoints; ++n) {
    EXPECT_EQ(found.at("p" + std::to_string(n)).first, (Payload{{"n", n}}));
  }
  EXPECT_EQ(client.GetCollectionStatus("c").point_count, uint64_t{kPoints});
  for (int n = 0; n < kPoints; ++n) Write(client, n);  // again, late, by its name
  EXPECT_EQ(All(client), found);
}

}  // namespace
}  // namespace vectron
