#include "shard/request_window.h"

#include "base/bytes.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "storage/layout.h"
#include "storage/memory_kv.h"

namespace vectron::shard {
namespace {

TEST(RequestWindow, ForgetsTheOldestAndComesBackFromStoreAndText) {
  storage::MemoryKv kv(storage::ShardStoreColumns().size(), storage::WriteAheadLog::kOff);
  RequestWindow window(3);
  for (uint64_t index = 1; index <= 10; ++index) {
    storage::WriteBatch batch;
    window.Add("r" + std::to_string(index), {.index = index * 10, .fingerprint = index}, batch);
    ASSERT_TRUE(kv.Write(batch, storage::Kv::Durability::kBuffered).ok());
  }
  const auto check = [](const RequestWindow& got) {
    EXPECT_EQ(got.size(), 3u);
    EXPECT_FALSE(got.Find("r7").has_value());
    EXPECT_EQ(got.Find("r8"), (RequestWindow::Known{.index = 80, .fingerprint = 8}));
    EXPECT_EQ(got.Find("r10"), (RequestWindow::Known{.index = 100, .fingerprint = 10}));
  };
  check(window);
  RequestWindow loaded(3);
  ASSERT_TRUE(loaded.Load(kv).ok());
  check(loaded);
  RequestWindow parsed(3);
  ASSERT_TRUE(parsed.Parse(window.Serialize()).ok());
  check(parsed);
  EXPECT_EQ(parsed.Serialize(), loaded.Serialize());
}

TEST(RequestWindow, ReadsWhatEarlierVersionsWroteAndRefusesLaterOnes) {
  std::string old;  // version 0: no fingerprints
  PutFixed<uint64_t>(old, 1);
  PutFixed<uint64_t>(old, 7);
  PutLengthPrefixed(old, "first");
  RequestWindow window(3);
  ASSERT_TRUE(window.Parse(old).ok());
  EXPECT_EQ(window.Find("first"), (RequestWindow::Known{.index = 7, .fingerprint = 0}));

  storage::MemoryKv kv(storage::ShardStoreColumns().size(), storage::WriteAheadLog::kOff);
  storage::WriteBatch batch;
  batch.Put(storage::kRequests, storage::RequestKey("first"), storage::EncodeNumber(7));
  batch.Put(storage::kRequests, storage::RequestOrderKey(7), "first");
  ASSERT_TRUE(kv.Write(batch, storage::Kv::Durability::kBuffered).ok());
  RequestWindow loaded(3);
  ASSERT_TRUE(loaded.Load(kv).ok());
  EXPECT_EQ(loaded.Find("first"), window.Find("first"));

  std::string newer;
  PutFixed(newer, uint64_t{2} << 56);
  EXPECT_TRUE(absl::IsFailedPrecondition(window.Parse(newer)));
}

TEST(RequestWindow, AStoreWhoseHalvesContradictIsRefused) {
  const auto load = [](const auto& spoil) {
    storage::MemoryKv kv(storage::ShardStoreColumns().size(), storage::WriteAheadLog::kOff);
    storage::WriteBatch batch;
    RequestWindow(3).Add("r", {.index = 7, .fingerprint = 1}, batch);
    spoil(batch);
    CHECK_OK(kv.Write(batch, storage::Kv::Durability::kBuffered));
    return RequestWindow(3).Load(kv);
  };
  using storage::kRequests;
  EXPECT_TRUE(load([](storage::WriteBatch&) {}).ok());
  EXPECT_TRUE(absl::IsDataLoss(
      load([](storage::WriteBatch& batch) { batch.Delete(kRequests, storage::RequestKey("r")); })));
  EXPECT_TRUE(absl::IsDataLoss(load(
      [](storage::WriteBatch& batch) { batch.Delete(kRequests, storage::RequestOrderKey(7)); })));
  EXPECT_TRUE(absl::IsDataLoss(load([](storage::WriteBatch& batch) {
    batch.Put(kRequests, storage::RequestKey("r"), "short");
  })));
}

TEST(RequestWindow, EveryTruncationIsRefused) {
  RequestWindow window(3);
  storage::WriteBatch batch;
  window.Add("first", {.index = 1, .fingerprint = 11}, batch);
  window.Add("second", {.index = 2, .fingerprint = 12}, batch);
  const std::string bytes = window.Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(RequestWindow(3).Parse(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(RequestWindow(3).Parse(bytes + "x").ok());
}

}  // namespace
}  // namespace vectron::shard
