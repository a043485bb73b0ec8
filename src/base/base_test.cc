#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "base/work_limit.h"

namespace vectron {
namespace {

TEST(Crc32c, MatchesTheCheckValueOfTheRfc) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);
}

TEST(Crc32c, HardwareAndTableAgreeOnEveryLengthAndSplit) {
  Random random(1);
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Crc32c(bytes), crc32c_internal::Crc32cPortable(bytes));
    const size_t cut = random.Below(bytes.size() + 1);
    const std::string_view all = bytes;
    EXPECT_EQ(Crc32c(all.substr(cut), Crc32c(all.substr(0, cut))), Crc32c(all));
    bytes.push_back(static_cast<char>(random.Next()));
  }
}

TEST(Bytes, RoundTripsAndStopsAtTheEnd) {
  std::string out;
  PutFixed<uint32_t>(out, 7);
  PutVarint(out, 1ULL << 40);
  PutLengthPrefixed(out, "abc");
  ByteReader reader(out);
  uint32_t fixed = 0;
  uint64_t varint = 0;
  std::string_view text;
  EXPECT_TRUE(reader.ReadFixed(fixed) && reader.ReadVarint(varint) &&
              reader.ReadLengthPrefixed(text));
  EXPECT_EQ(fixed, 7U);
  EXPECT_EQ(varint, 1ULL << 40);
  EXPECT_EQ(text, "abc");
  EXPECT_FALSE(reader.ReadFixed(fixed));
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, ALengthPastTheEndIsRefused) {
  std::string out;
  PutVarint(out, 1000);
  ByteReader reader(out);
  std::string_view text;
  EXPECT_FALSE(reader.ReadLengthPrefixed(text));
}

TEST(WorkLimit, EndsAtItsDeadlineOrWhenItIsCalledOff) {
  ManualClock clock;
  EXPECT_TRUE(WorkLimit().Check().ok());
  bool called_off = false;
  const int64_t deadline_nanos = clock.MonotonicNanos() + 1'000'000;
  const WorkLimit limit(clock, deadline_nanos, [&called_off] { return called_off; });
  EXPECT_TRUE(limit.Check().ok());
  called_off = true;
  EXPECT_TRUE(absl::IsCancelled(limit.Check()));
  clock.AdvanceMillis(1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(limit.Check()));
}

TEST(ThreadPool, RunsEverythingBeforeItEnds) {
  std::atomic<int> count{0};
  {
    ThreadPool pool("test", 3);
    for (int i = 0; i < 1000; ++i) pool.Schedule([&] { ++count; });
  }
  EXPECT_EQ(count, 1000);
}

TEST(ThreadPool, DrainsWithWhatItsTasksSchedule) {
  ThreadPool pool("test", 3);
  std::atomic<int> count{0};
  for (int round = 1; round <= 20; ++round) {
    for (int i = 0; i < 50; ++i) {
      pool.Schedule([&] { pool.Schedule([&] { ++count; }); });
    }
    pool.Drain();
    EXPECT_EQ(count, 50 * round);
  }
}

TEST(SerialExecutor, KeepsOrderAndNeverOverlaps) {
  ThreadPool pool("test", 4);
  std::vector<int> seen;
  SerialExecutor serial(pool);
  for (int i = 0; i < 2000; ++i) serial.Schedule([&seen, i] { seen.push_back(i); });
  serial.Drain();
  ASSERT_EQ(seen.size(), 2000U);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(ParallelFor, VisitsEachIndexOnceEvenFromWithinThePool) {
  ThreadPool pool("test", 3);
  std::vector<std::atomic<int>> hits(500);
  std::atomic<int> outer{0};
  ParallelFor(pool, 5, [&](size_t) {
    ++outer;
    ParallelFor(pool, 100, [&](size_t i) { ++hits[i]; });
  });
  EXPECT_EQ(outer, 5);
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(hits[i], 5);
}

TEST(PosixFileSystem, WritesAtomicallyAndReadsBack) {
  const TempDir dir;
  const auto fs = NewPosixFileSystem();
  ASSERT_TRUE(fs->WriteAtomically(dir / "a", "hello").ok());
  ASSERT_TRUE(fs->WriteAtomically(dir / "a", "world!").ok());
  EXPECT_EQ(*fs->ReadAll(dir / "a"), "world!");
  EXPECT_EQ(*fs->List(dir.path()), std::vector<std::string>{"a"});
  EXPECT_EQ(fs->ReadAll(dir / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST(PosixFile, AReadPastTheEndIsOutOfRange) {
  const TempDir dir;
  const auto fs = NewPosixFileSystem();
  auto file = fs->Open(dir / "a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Write(0, "abc").ok());
  char buffer[8];
  EXPECT_EQ((*file)->Read(0, 8, buffer).code(), absl::StatusCode::kOutOfRange);
}

TEST(Random, StaysBelowItsBoundAndIsAFunctionOfItsSeed) {
  Random a(5);
  Random b(5);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t value = a.Below(17);
    EXPECT_LT(value, 17U);
    EXPECT_EQ(value, b.Below(17));
  }
}

}  // namespace
}  // namespace vectron
