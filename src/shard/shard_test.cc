#include "shard/shard.h"

#include <cmath>
#include <functional>
#include <set>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "index/half.h"
#include "model/validate.h"
#include "shard/shard_testing.h"
#include "storage/layout.h"

namespace vectron::shard {
namespace {

TEST(Shard, WritesAreFoundAtOnce) {
  TestShard test(TestSchema(2));
  ASSERT_TRUE(test.Open().ok());
  const auto written = test.Upsert({OnePoint("a", {1, 2}, R"({"k":1})"), "", false});
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(written->version, 1u);
  const auto got = test.Get("a");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(got->has_value());
  EXPECT_EQ((*got)->payload, R"({"k":1})");
  EXPECT_EQ((*got)->vector, (std::vector<float>{1, 2}));
  const auto found = test.Search(Nearest({1, 1}));
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 1u);
  EXPECT_EQ(found->hits[0].id, "a");
  EXPECT_EQ(found->hits[0].score, 1);
  EXPECT_EQ(found->hits[0].payload, R"({"k":1})");
  ASSERT_TRUE(test.Delete("a").ok());
  EXPECT_FALSE(test.Get("a")->has_value());
  EXPECT_TRUE(test.Search(Nearest({1, 1}))->hits.empty());
}

TEST(Shard, RetriedRequestAppliesOnce) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_EQ(test.Upsert({OnePoint("a", {1}), "r1", false})->version, 1u);
  ASSERT_EQ(test.Upsert({OnePoint("a", {2}), "", false})->version, 2u);
  for (int round = 0; round < 2; ++round) {
    const auto again = test.Upsert({OnePoint("a", {1}), "r1", false});
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->version, 1u);
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(test.Get("a").value()->vector, (std::vector<float>{2}));
    test.CrashAndOpen();
  }
}

TEST(Shard, RequestIdOfAnotherWriteIsRefused) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "X1", false}).ok());
  for (int round = 0; round < 2; ++round) {
    const auto refused = [](const absl::Status& status) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_NE(MessageOf(status).find("request id 'X1' was used for another write"),
                std::string::npos)
          << status;
    };
    refused(test.Delete("a", "X1").status());
    refused(test.Upsert({OnePoint("b", {1}), "X1", false}).status());
    refused(test.Upsert({OnePoint("a", {2}), "X1", false}).status());
    refused(test.Upsert({OnePoint("a", {1}), "X1", true}).status());
    EXPECT_EQ(test.Get("a").value()->vector, (std::vector<float>{1}));
    EXPECT_FALSE(test.Get("b")->has_value());
    EXPECT_TRUE(test.Upsert({OnePoint("a", {1}), "X1", false})->repeated);
    ASSERT_TRUE(round == 1 || test.shard().FlushAll().ok());
    test.CrashAndOpen();  // the second time from the flushed store
  }
}

TEST(Shard, InsertOnlyWritesAllOrNothing) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", true}).ok());
  PointBatch both = OnePoint("b", {5});
  both.ids.push_back("a");
  both.vectors.push_back(6);
  both.payloads.emplace_back();
  EXPECT_EQ(test.Upsert({both, "", true}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(test.Get("b")->has_value());
  EXPECT_EQ(test.Get("a").value()->vector, (std::vector<float>{1}));
}

TEST(Shard, AnswersInEitherOrderOfCommitAndApply) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  test.log().answer_first = true;
  EXPECT_EQ(test.Upsert({OnePoint("a", {1}), "", false})->version, 1u);
  test.log().answer_first = false;
  EXPECT_EQ(test.Upsert({OnePoint("a", {1}), "", false})->version, 2u);
}

// The thread that answers barriers serves every group of a node: a search there would keep them all
// from their elections.
TEST(Shard, SearchesLeaveTheThreadThatAnswersTheirBarrier) {
  ThreadPool reads("reads", 1);
  TestShard test(TestSchema(2));
  test.read_executor = &reads;
  test.schema().replication_factor = 3;
  CHECK_OK(test.Open());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1, 2}), "", false}).ok());
  std::thread::id barrier_thread;
  test.log().answer_reads = [&](const std::function<void()>& answer) {
    std::thread([&] {
      barrier_thread = std::this_thread::get_id();
      answer();
    }).join();
  };
  std::thread::id search_thread;
  absl::Notification answered;
  test.shard().Search(Nearest({1, 2}), {}, [&](const absl::StatusOr<SearchAnswer>& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    search_thread = std::this_thread::get_id();
    answered.Notify();
  });
  answered.WaitForNotification();
  EXPECT_NE(search_thread, barrier_thread);
  EXPECT_NE(search_thread, std::this_thread::get_id());
}

// A replica that no longer hears of its group answers bounded reads for as long as it knows that it
// is within their bound.
TEST(Shard, BoundedReadsNeedNoBarrierWithinTheirBound) {
  CollectionSchema schema = TestSchema(2);
  schema.replication_factor = 3;
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1, 0}), ""}).ok());
  const auto bounded = [&](uint32_t bound_ms) {
    SearchQuery query = Nearest({1, 0});
    query.consistency = Consistency::kBounded;
    query.max_staleness_ms = bound_ms;
    const absl::Status searched = test.Search(query).status();
    const absl::Status got =
        test.Get("a", {.consistency = Consistency::kBounded, .max_staleness_ms = bound_ms})
            .status();
    EXPECT_EQ(searched.code(), got.code());
    return got;
  };
  test.log().refuse_reads = absl::UnavailableError("cut off");
  EXPECT_TRUE(absl::IsUnavailable(bounded(1'000'000)));  // it never knew how fresh it was
  test.log().refuse_reads = absl::OkStatus();
  ASSERT_TRUE(test.Get("a", {.consistency = Consistency::kStrong}).ok());
  test.log().refuse_reads = absl::UnavailableError("cut off");
  test.clock().AdvanceMillis(400);
  EXPECT_TRUE(bounded(400).ok());
  EXPECT_TRUE(absl::IsUnavailable(bounded(399)));
  EXPECT_TRUE(absl::IsUnavailable(bounded(0)));
  EXPECT_TRUE(absl::IsUnavailable(test.Get("a").status()));
  test.clock().AdvanceMillis(1);
  EXPECT_TRUE(absl::IsUnavailable(bounded(400)));
  test.log().refuse_reads = absl::OkStatus();
  EXPECT_TRUE(bounded(400).ok());
  test.log().refuse_reads = absl::UnavailableError("cut off");
  EXPECT_TRUE(bounded(1).ok());  // its own barrier counts too
}

// What was committed when the barrier was asked for must be applied before it counts, and then it
// counts from when it was asked for.
TEST(Shard, BoundedReadsWaitForWhatIsCommitted) {
  CollectionSchema schema = TestSchema(2);
  schema.replication_factor = 3;
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  test.log().hold = true;
  absl::StatusOr<WriteResult> written = absl::InternalError("no answer");
  test.shard().Upsert({OnePoint("a", {1, 0}), ""}, 0,
                      [&](absl::StatusOr<WriteResult> result) { written = std::move(result); });
  const Shard::GetOptions bounded{.consistency = Consistency::kBounded, .max_staleness_ms = 100};
  absl::StatusOr<std::optional<PointRecord>> got = absl::InternalError("no answer");
  test.shard().Get("a", bounded,
                   [&](absl::StatusOr<std::optional<PointRecord>> point) { got = point; });
  EXPECT_TRUE(absl::IsInternal(got.status()));
  test.clock().AdvanceMillis(90);
  test.log().HandOver();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(got->has_value());
  EXPECT_TRUE(written.ok());
  test.log().refuse_reads = absl::UnavailableError("cut off");
  test.clock().AdvanceMillis(10);
  EXPECT_TRUE(test.Get("a", bounded).ok());
  test.clock().AdvanceMillis(1);
  EXPECT_TRUE(absl::IsUnavailable(test.Get("a", bounded).status()));
}

// Without being asked anything, a copy for reads alone knows how far behind it is, so that it can
// go on alone; and where it cannot, it says what it can.
TEST(Shard, CopiesWithoutAVoteKeepKnowingHowFreshTheyAre) {
  CollectionSchema schema = TestSchema(2);
  schema.replication_factor = 3;
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1, 0}), ""}).ok());
  test.shard().Tick();
  EXPECT_EQ(test.log().barriers, 0) << "a voter need not";
  test.log().has_vote = false;
  const auto bounded = [&](uint32_t bound_ms) {
    SearchQuery query = Nearest({1, 0});
    query.consistency = Consistency::kBounded;
    query.max_staleness_ms = bound_ms;
    return test.Search(query).status();
  };
  const auto barriers_after = [&](int64_t ms) {
    const int before = test.log().barriers;
    test.clock().AdvanceMillis(ms);
    test.shard().Tick();
    return test.log().barriers - before;
  };
  test.log().refuse_reads = absl::UnavailableError("cut off");
  EXPECT_EQ(barriers_after(0), 1);
  EXPECT_EQ(bounded(1'000'000).message(),
            "cut off; this replica does not know how far behind it is: it answers EVENTUAL");
  test.log().refuse_reads = absl::OkStatus();
  EXPECT_EQ(barriers_after(0), 1);
  EXPECT_EQ(barriers_after(20'000), 0) << "nothing was written since";
  EXPECT_EQ(barriers_after(10'000), 1);
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1, 0}), ""}).ok());
  EXPECT_EQ(barriers_after(999), 0);
  EXPECT_EQ(barriers_after(1), 1);

  test.log().refuse_reads = absl::UnavailableError("cut off");
  test.clock().AdvanceMillis(400);
  EXPECT_TRUE(bounded(400).ok());
  EXPECT_EQ(bounded(300).message(),
            "cut off; this replica may be 400 ms behind and the bound is 300 ms: it answers "
            "EVENTUAL, or BOUNDED with a larger max_staleness_ms");
}

TEST(Shard, MeasuresSearchesWithTheirWaiting) {
  CollectionSchema schema = TestSchema(2);
  schema.replication_factor = 3;
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1, 0}), ""}).ok());
  EXPECT_EQ(test.shard().stats().searches_ended, 0u);
  test.log().answer_reads = [&test](const std::function<void()>& answer) {
    test.clock().AdvanceMillis(40);
    answer();
  };
  EXPECT_TRUE(test.Search(Nearest({1, 0})).ok());
  EXPECT_EQ(test.shard().stats().searches_ended, 1u);
  EXPECT_EQ(test.shard().stats().search_nanos, 40'000'000u);
  test.log().refuse_reads = absl::UnavailableError("cut off");
  EXPECT_FALSE(test.Search(Nearest({1, 0})).ok());
  EXPECT_EQ(test.shard().stats().searches_ended, 2u);
}

// What replicas are held against each other by: the points and their versions, however they came to
// be, kept over crashes and made anew where the store has none.
TEST(Shard, DigestSaysWhichPointsThereAre) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  EXPECT_EQ(test.shard().stats().digest, 0u);
  std::set<uint64_t> seen;
  const auto write = [&](const std::string& id, float x) {
    ASSERT_TRUE(test.Upsert({OnePoint(id, {x}), "", false}).ok());
    EXPECT_TRUE(seen.insert(test.shard().stats().digest).second) << id;
  };
  write("a", 1);
  const uint64_t first = test.shard().stats().digest;
  write("b", 1);
  ASSERT_TRUE(test.Delete("b").ok());
  EXPECT_EQ(test.shard().stats().digest, first);
  ASSERT_TRUE(test.Delete("b").ok());
  EXPECT_EQ(test.shard().stats().digest, first);
  write("a", 1);  // another version
  write("b", 2);
  const uint64_t last = test.shard().stats().digest;
  test.CrashAndOpen();  // nothing was flushed: all is replayed
  EXPECT_EQ(test.shard().stats().digest, last);
  ASSERT_TRUE(test.shard().FlushAll().ok());
  storage::WriteBatch batch;
  batch.Delete(storage::kMeta, std::string(storage::kDigestKey));
  test.Close();
  ASSERT_TRUE(test.kv().Write(batch, storage::Kv::Durability::kBuffered).ok());
  ASSERT_TRUE(test.Open().ok());
  EXPECT_EQ(test.shard().stats().digest, last);
  ASSERT_TRUE(test.Delete("b").ok());
  ASSERT_TRUE(test.Delete("a").ok());
  EXPECT_EQ(test.shard().stats().digest, 0u);
}

TEST(Shard, EntryThatCannotBeAppliedQuarantines) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  test.log().Append("nonsense");
  const auto written = test.Upsert({OnePoint("b", {1}), "", false});
  EXPECT_EQ(written.status().code(), absl::StatusCode::kDataLoss) << written.status();
  EXPECT_TRUE(test.shard().stats().quarantined);
  EXPECT_NE(test.shard().stats().problem.find("log entry 2"), std::string::npos);
  EXPECT_EQ(test.Get("a").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(test.Search(Nearest({1})).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(test.Upsert({OnePoint("b", {1}), "", false}).status().code(),
            absl::StatusCode::kDataLoss);
  // It stays so over a restart: the entry is met again.
  test.Close();
  ASSERT_TRUE(test.Open().ok());
  EXPECT_TRUE(test.shard().stats().quarantined);
}

// The store's checksums find the like of this; here it is the value itself.
TEST(Shard, AReadThatMeetsDamageMakesItKnownAndOthersGoOn) {
  const auto search = [](TestShard& test) { return test.Search(Nearest({1})).status(); };
  const auto get = [](TestShard& test) { return test.Get("a").status(); };
  const auto scan = [](TestShard& test) { return test.shard().ScanPoints("", 10, false).status(); };
  for (const auto& read : {std::function<absl::Status(TestShard&)>(search),
                           std::function<absl::Status(TestShard&)>(get),
                           std::function<absl::Status(TestShard&)>(scan)}) {
    TestShard test(TestSchema(1));
    ASSERT_TRUE(test.Open().ok());
    ASSERT_TRUE(test.Upsert({OnePoint("a", {1}, R"({"n":1})"), "", false}).ok());
    ASSERT_TRUE(test.Upsert({OnePoint("b", {2}, R"({"n":2})"), "", false}).ok());
    storage::WriteBatch damage;
    damage.Put(storage::kPoints, "a", "short");
    ASSERT_TRUE(test.kv().Write(damage, storage::Kv::Durability::kBuffered).ok());
    EXPECT_EQ(test.shard().stats().damage, "");
    EXPECT_TRUE(absl::IsDataLoss(read(test)));
    EXPECT_NE(test.shard().stats().damage.find("5 bytes"), std::string::npos)
        << test.shard().stats().damage;
    EXPECT_FALSE(test.shard().stats().quarantined);
    EXPECT_TRUE(test.Get("b")->has_value());
  }
}

TEST(Shard, FullDiskHoldsApplyingAndGoesOnLater) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  test.kv().FailWrites(absl::ResourceExhaustedError("no space"));
  absl::StatusOr<WriteResult> late = absl::InternalError("no answer");
  test.shard().Upsert({OnePoint("b", {2}), "", false}, 0,
                      [&](absl::StatusOr<WriteResult> result) { late = std::move(result); });
  EXPECT_EQ(late.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(test.Upsert({OnePoint("c", {1}), "", false}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(test.Get("a")->has_value());
  EXPECT_FALSE(test.Get("b")->has_value());
  EXPECT_EQ(test.Search(Nearest({1}))->hits.size(), 1u);
  test.timer().AdvanceMillis(1'000);
  test.kv().FailWrites(absl::OkStatus());
  test.timer().AdvanceMillis(1'000);
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_TRUE(test.Get("b")->has_value());
  EXPECT_EQ(test.Search(Nearest({1}))->hits.size(), 2u);
  EXPECT_TRUE(test.Upsert({OnePoint("c", {1}), "", false}).ok());
}

// What the check of requests takes for the range of f16 is what the store makes of it.
TEST(Shard, F16StorageRefusesWhatItsFormatCannotHold) {
  CollectionSchema schema = TestSchema(1);
  schema.storage = VectorStorage::kF16;
  schema.metric = Metric::kCosine;
  EXPECT_EQ(kMaxF16, index::kMaxHalf);
  EXPECT_EQ(index::FromHalf(index::ToHalf(kZeroInF16)), 0);
  EXPECT_NE(index::FromHalf(index::ToHalf(std::nextafter(kZeroInF16, 1.0F))), 0);
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  for (const float bad : {65'505.0F, -70'000.0F, kZeroInF16}) {
    const auto written = test.Upsert({OnePoint("a", {bad}), "", false});
    EXPECT_TRUE(absl::IsInvalidArgument(written.status())) << bad << written.status();
  }
  EXPECT_TRUE(test.Upsert({OnePoint("a", {kMaxF16}), "", false}).ok());
}

TEST(Shard, OtherSchemaIsRefused) {
  TestShard test(TestSchema(2));
  ASSERT_TRUE(test.Open().ok());
  test.Close();
  test.schema().dimension = 3;
  const absl::Status status = test.Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

}  // namespace
}  // namespace vectron::shard
