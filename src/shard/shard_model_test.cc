// A shard against a map in memory: random writes, retries, reads, filtered exact searches,
// checkpoints, restarts and crashes.

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "model/filter.h"
#include "shard/filter_testing.h"
#include "shard/search.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

constexpr uint64_t kIds = 60;
// Like points' ids, like the store's own keys, and no text.
constexpr std::array<const char*, 4> kKeys = {"p1", "applied", "key/p1", "\xff\x01"};

CollectionSchema RandomSchema(Random& random) {
  CollectionSchema schema = TestSchema(3);
  schema.metric = static_cast<Metric>(random.Below(3));
  schema.storage = random.OneIn(3) ? VectorStorage::kF16 : VectorStorage::kF32;
  for (const PayloadIndexSpec& field : FilterFields()) {
    if (random.OneIn(2)) schema.payload_indexes.push_back(field);
  }
  return schema;
}

class ModelRun {
 public:
  explicit ModelRun(uint64_t seed)
      : random_(seed), filters_(random_), test_(RandomSchema(random_)) {}

  void Run(int operations) {
    ASSERT_TRUE(test_.Open().ok());
    for (int i = 0; i < operations && !testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE(testing::Message() << "operation " << i);
      Step();
    }
    CompareAll();
  }

 private:
  struct Point {
    std::vector<float> vector;
    std::string payload;
    uint64_t version = 0;
  };
  struct Request {
    uint64_t index = 0;
    std::optional<UpsertWrite> upsert;
    std::string deleted;  // the id, when it was no upsert
  };

  void Step() {
    test_.log().answer_first = random_.OneIn(2);
    switch (random_.Below(44)) {
      case 0:
        test_.CrashAndOpen();
        break;
      case 1:
        test_.Close();
        ASSERT_TRUE(test_.Open().ok());
        break;
      case 2:
        ASSERT_TRUE(test_.shard().FlushAll().ok());
        break;
      case 3:
        CorruptCheckpoint();
        break;
      case 4:
        CutLog();
        break;
      case 5:
        test_.clock().AdvanceMillis(3'000);
        test_.shard().Tick();
        break;
      case 6:
        CompareAll();
        break;
      case 7:
      case 8:
      case 9:
      case 10:
        Delete();
        break;
      case 11:
      case 12:
      case 13:
      case 14:
      case 15:
      case 16:
      case 17:
      case 18:
        Filtered();
        break;
      case 19:
      case 20:
        Get();
        break;
      case 40:
      case 41:
      case 42:
      case 43:
        WriteKey();
        break;
      default:
        Upsert();
    }
  }

  std::string Id() { return "p" + std::to_string(random_.Below(kIds)); }
  std::string RequestId() {
    return random_.OneIn(2) ? "" : "r" + std::to_string(random_.Below(400));
  }
  std::vector<float> Vector() {
    std::vector<float> vector;
    for (uint32_t d = 0; d < test_.schema().dimension; ++d) {
      vector.push_back(static_cast<float>(random_.Uniform() * 4 - 2) + 0.01F);
    }
    return vector;
  }
  // As it is read back.
  std::vector<float> Stored(std::vector<float> vector) {
    std::vector<float> buffer;
    const PointStore store(test_.kv(), test_.schema());
    const std::span<const float> rounded = store.Rounded(vector, buffer);
    return {rounded.begin(), rounded.end()};
  }

  void Upsert() {
    UpsertWrite write;
    write.points.dimension = test_.schema().dimension;
    write.request_id = RequestId();
    write.insert_only = random_.OneIn(5);
    const auto known = requests_.find(write.request_id);
    const bool named = !write.request_id.empty() && known != requests_.end();
    const bool repeated = named && known->second.upsert.has_value() && random_.OneIn(2);
    std::set<std::string> ids;
    const uint64_t count = 1 + random_.Below(5);
    while (ids.size() < count) ids.insert(Id());
    for (const std::string& id : ids) {
      write.points.ids.push_back(id);
      write.points.payloads.push_back(random_.OneIn(3) ? "" : filters_.Payload());
      for (const float value : Vector()) write.points.vectors.push_back(value);
    }
    if (repeated) write = *known->second.upsert;
    const bool exists = std::any_of(ids.begin(), ids.end(),
                                    [&](const std::string& id) { return points_.contains(id); });
    const absl::StatusOr<WriteResult> result = test_.Upsert(write);
    ++log_index_;
    if (repeated) {
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_TRUE(result->repeated);
      EXPECT_EQ(result->version, known->second.index);
      return;
    }
    if (named) {  // for another write
      ASSERT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
      return;
    }
    if (write.insert_only && exists) {
      ASSERT_EQ(result.status().code(), absl::StatusCode::kAlreadyExists) << result.status();
      return;
    }
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->repeated);
    ASSERT_EQ(result->version, log_index_);
    if (!write.request_id.empty()) requests_[write.request_id] = {log_index_, write, ""};
    for (size_t i = 0; i < write.points.size(); ++i) {
      const std::span<const float> vector = write.points.vector(i);
      points_[write.points.ids[i]] = {Stored({vector.begin(), vector.end()}),
                                      write.points.payloads[i], log_index_};
    }
  }

  void Delete() {
    const std::string id = Id();
    const std::string request_id = RequestId();
    const auto known = requests_.find(request_id);
    const bool named = !request_id.empty() && known != requests_.end();
    const bool repeated = named && known->second.deleted == id;
    const absl::StatusOr<WriteResult> result = test_.Delete(id, request_id);
    ++log_index_;
    if (named && !repeated) {
      ASSERT_TRUE(absl::IsInvalidArgument(result.status())) << result.status();
      return;
    }
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->repeated, repeated);
    EXPECT_EQ(result->version, repeated ? known->second.index : log_index_);
    if (repeated) return;
    if (!request_id.empty()) requests_[request_id] = {log_index_, {}, id};
    points_.erase(id);
  }

  void WriteKey() {
    KeyWrite write{.key = kKeys[random_.Below(kKeys.size())], .value = std::nullopt};
    if (random_.OneIn(2)) write.value = std::to_string(log_index_);
    const absl::StatusOr<WriteResult> result = test_.WriteKey(write);
    ++log_index_;
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->version, log_index_);
    if (write.value.has_value()) {
      keys_[write.key] = *write.value;
    } else {
      keys_.erase(write.key);
    }
    CompareKeys();
  }

  void CompareKeys() {
    for (const std::string& key : std::vector<std::string>(kKeys.begin(), kKeys.end())) {
      const auto got = test_.GetKey(key);
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_EQ(got->has_value(), keys_.contains(key)) << key;
      if (!got->has_value()) continue;
      EXPECT_EQ(**got, keys_.at(key));
    }
  }

  void Get() {
    const std::string id = Id();
    const auto got = test_.Get(id);
    ASSERT_TRUE(got.ok()) << got.status();
    const auto wanted = points_.find(id);
    ASSERT_EQ(got->has_value(), wanted != points_.end());
    if (!got->has_value()) return;
    EXPECT_EQ((*got)->payload, wanted->second.payload);
    EXPECT_EQ((*got)->vector, wanted->second.vector);
    EXPECT_EQ((*got)->version, wanted->second.version);
  }

  // An exact search finds what a plain scan of the model does.
  void ExpectSearch(const SearchQuery& query) {
    const auto found = test_.Search(query);
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<std::pair<double, std::string>> wanted;
    for (const auto& [id, point] : points_) {
      if (query.filter != nullptr && !Matches(*query.filter, id, PayloadTree(point.payload)))
        continue;
      wanted.emplace_back(DistanceOf(test_.schema().metric, query.vector, point.vector), id);
    }
    std::sort(wanted.begin(), wanted.end());
    std::set<std::string> ids;
    ASSERT_EQ(found->hits.size(), std::min<size_t>(wanted.size(), query.k));
    for (size_t i = 0; i < found->hits.size(); ++i) {
      const SearchHit& hit = found->hits[i];
      SCOPED_TRACE(hit.id);
      ASSERT_TRUE(ids.insert(hit.id).second);
      EXPECT_NEAR(hit.score, wanted[i].first, 1e-4);
      const auto point = points_.find(hit.id);
      ASSERT_NE(point, points_.end());
      EXPECT_NEAR(hit.score, DistanceOf(test_.schema().metric, query.vector, point->second.vector),
                  1e-4);
      EXPECT_EQ(hit.version, point->second.version);
      EXPECT_EQ(hit.payload, query.include_payload ? point->second.payload : "");
      EXPECT_EQ(hit.vector, query.include_vectors ? point->second.vector : std::vector<float>());
      if (query.filter != nullptr) {
        EXPECT_TRUE(Matches(*query.filter, hit.id, PayloadTree(point->second.payload)));
      }
    }
  }

  // Lets the log forget what the store has flushed, though an index checkpoint may still want it.
  void CutLog() {
    if (random_.OneIn(2)) {
      ASSERT_TRUE(test_.kv().Flush().ok());
      test_.log().SetLogMarks(log_index_, 0);
    }
    test_.log().CutAtNeeded();
  }

  // Some filters come again and again, so that bitmaps are made for them.
  std::string FilterText() {
    if (texts_.size() < 8) texts_.push_back(filters_.Filter(2, kIds));
    return random_.OneIn(3) ? filters_.Filter(2, kIds) : texts_[random_.Below(texts_.size())];
  }

  void Filtered() {
    const std::string text = FilterText();
    SCOPED_TRACE(text);
    auto filter = FilterFromJson(text);
    ASSERT_TRUE(filter.ok()) << filter.status();
    SearchQuery query = Nearest(Vector(), random_.OneIn(2) ? 100 : 5);
    query.exact = true;
    query.filter = std::make_shared<const Filter>(*std::move(filter));
    query.include_payload = random_.OneIn(2);
    query.include_vectors = random_.OneIn(3);
    ExpectSearch(query);
  }

  void CompareAll() {
    CompareKeys();
    SearchQuery query = Nearest(Vector(), 1'000);
    query.exact = true;
    query.include_vectors = true;
    ExpectSearch(query);
    EXPECT_EQ(test_.shard().stats().points, points_.size());
    const auto scanned = test_.shard().ScanPoints("", 1'000, true);
    ASSERT_TRUE(scanned.ok()) << scanned.status();
    ASSERT_EQ(scanned->size(), points_.size());
    auto wanted = points_.begin();
    for (const PointRecord& record : *scanned) {
      EXPECT_EQ(record.id, wanted->first);
      EXPECT_EQ(record.version, wanted->second.version);
      EXPECT_EQ(record.payload, wanted->second.payload);
      EXPECT_EQ(record.vector, wanted->second.vector);
      ++wanted;
    }
  }

  // Flips a byte of a file of the newest checkpoint, then restarts.
  void CorruptCheckpoint() {
    if (random_.OneIn(2)) {
      test_.Close();
    }
    std::vector<std::string> files;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(test_.dir() / "shard/index")) {
      if (entry.is_regular_file() && entry.file_size() > 0) files.push_back(entry.path());
    }
    if (!files.empty()) {
      std::fstream file(files[random_.Below(files.size())],
                        std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(0, std::ios::end);
      const auto at =
          static_cast<std::streamoff>(random_.Below(static_cast<uint64_t>(file.tellg())));
      file.seekg(at);
      const char byte = static_cast<char>(file.get() ^ (1 << random_.Below(8)));
      file.seekp(at);
      file.put(byte);
    }
    test_.CrashAndOpen();
  }

  Random random_;
  RandomFilters filters_;
  TestShard test_;
  std::map<std::string, Point> points_;
  std::map<std::string, std::string> keys_;
  std::map<std::string, Request> requests_;
  std::vector<std::string> texts_;
  uint64_t log_index_ = 0;
};

TEST(ShardModel, BehavesLikeAMapOverRestartsAndCrashes) {
  uint64_t seed = 1;
  int rounds = 8;
  if (const char* wanted = std::getenv("VECTRON_TEST_SEED"); wanted != nullptr) {
    seed = std::stoull(wanted);
    rounds = 1;
  }
  for (int round = 0; round < rounds && !HasFatalFailure(); ++round, ++seed) {
    SCOPED_TRACE(testing::Message() << "replay with VECTRON_TEST_SEED=" << seed);
    ModelRun(seed).Run(600);
  }
}

}  // namespace
}  // namespace vectron::shard
