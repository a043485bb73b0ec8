#include "shard/request_window.h"

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
    window.Add("r" + std::to_string(index), index * 10, batch);
    ASSERT_TRUE(kv.Write(batch, storage::Kv::Durability::kBuffered).ok());
  }
  const auto check = [](const RequestWindow& got) {
    EXPECT_EQ(got.size(), 3u);
    EXPECT_FALSE(got.Find("r7").has_value());
    EXPECT_EQ(got.Find("r8"), 80u);
    EXPECT_EQ(got.Find("r10"), 100u);
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

TEST(RequestWindow, EveryTruncationIsRefused) {
  RequestWindow window(3);
  storage::WriteBatch batch;
  window.Add("first", 1, batch);
  window.Add("second", 2, batch);
  const std::string bytes = window.Serialize();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(RequestWindow(3).Parse(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(RequestWindow(3).Parse(bytes + "x").ok());
}

}  // namespace
}  // namespace vectron::shard
