#include "shard/command.h"

#include <functional>
#include <set>
#include <string>

#include "base/check.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "shard/shard.h"

namespace vectron::shard {
namespace {

std::string RandomText(Random& random, size_t max_bytes) {
  std::string text(random.Below(max_bytes + 1), ' ');
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

UpsertWrite RandomUpsert(Random& random) {
  UpsertWrite write;
  write.points.dimension = static_cast<uint32_t>(1 + random.Below(9));
  const size_t count = random.Below(6);
  for (size_t i = 0; i < count; ++i) {
    write.points.ids.push_back(RandomText(random, 12));
    write.points.payloads.push_back(random.OneIn(2) ? "" : RandomText(random, 200));
    for (uint32_t d = 0; d < write.points.dimension; ++d) {
      write.points.vectors.push_back(static_cast<float>(random.Uniform()));
    }
  }
  if (random.OneIn(2)) write.request_id = RandomText(random, 40);
  write.insert_only = random.OneIn(2);
  return write;
}

TEST(Command, UpsertComesBackAsItWas) {
  Random random(20240611);
  for (int round = 0; round < 2000; ++round) {
    SCOPED_TRACE(round);
    const UpsertWrite write = RandomUpsert(random);
    // Also from an odd address, as a record within a larger buffer has it.
    const std::string bytes = std::string(random.Below(4), 'x') + EncodeUpsert(write);
    const auto command =
        DecodeCommand(std::string_view(bytes).substr(bytes.size() - EncodeUpsert(write).size()));
    ASSERT_TRUE(command.ok()) << command.status();
    EXPECT_EQ(command->kind, CommandKind::kUpsert);
    EXPECT_EQ(command->insert_only, write.insert_only);
    EXPECT_EQ(command->request_id, write.request_id);
    ASSERT_EQ(command->ids.size(), write.points.size());
    ASSERT_EQ(command->payloads.size(), write.points.size());
    for (size_t i = 0; i < write.points.size(); ++i) {
      EXPECT_EQ(command->ids[i], write.points.ids[i]);
      EXPECT_EQ(command->payloads[i], write.points.payloads[i]);
    }
    EXPECT_EQ(command->dimension, write.points.dimension);
    EXPECT_TRUE(std::equal(command->vectors.begin(), command->vectors.end(),
                           write.points.vectors.begin(), write.points.vectors.end()));
  }
}

TEST(Command, FingerprintsTellWritesApartButNotTheirRequestIds) {
  UpsertWrite write;
  write.points = {.dimension = 2, .ids = {"a", "b"}, .vectors = {1, 2, 3, 4}, .payloads = {"", ""}};
  write.request_id = "r";
  const auto of = [](const std::string& bytes) {
    const auto command = DecodeCommand(bytes);
    CHECK_OK(command.status());
    return Fingerprint(*command);
  };
  const uint64_t first = of(EncodeUpsert(write));
  EXPECT_EQ(first, 15320642248504927521U) << "kept in replicated state: it must not change";
  UpsertWrite other = write;
  other.request_id = "another";
  EXPECT_EQ(of(EncodeUpsert(other)), first);
  std::set<uint64_t> seen{first, of(EncodeDelete({.id = "a", .request_id = "r"})),
                          of(EncodeDelete({.id = "b", .request_id = "r"}))};
  EXPECT_EQ(seen.size(), 3U);
  const std::function<void(UpsertWrite&)> changes[] = {
      [](UpsertWrite& w) { w.insert_only = true; },
      [](UpsertWrite& w) { w.points.ids[1] = "c"; },
      [](UpsertWrite& w) {
        w.points.ids = {"ab", ""};
      },
      [](UpsertWrite& w) { std::swap(w.points.ids[0], w.points.ids[1]); },
      [](UpsertWrite& w) { w.points.payloads[0] = "{\"x\":1}"; },
      [](UpsertWrite& w) { w.points.payloads[1] = "{\"x\":1}"; },
      [](UpsertWrite& w) { w.points.vectors[3] = 5; }};
  for (const auto& change : changes) {
    UpsertWrite changed = write;
    change(changed);
    EXPECT_TRUE(seen.insert(of(EncodeUpsert(changed))).second);
  }
}

TEST(Command, DeleteComesBackAsItWas) {
  const std::string bytes = EncodeDelete({.id = "p7", .request_id = "r"});
  const auto command = DecodeCommand(bytes);
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->kind, CommandKind::kDelete);
  EXPECT_EQ(command->request_id, "r");
  ASSERT_EQ(command->ids.size(), 1u);
  EXPECT_EQ(command->ids[0], "p7");
}

TEST(Command, KeysComeBackAsTheyWere) {
  Random random(20250102);
  for (int round = 0; round < 500; ++round) {
    KeyWrite write{.key = RandomText(random, 30) + "k", .value = std::nullopt};
    if (random.OneIn(2)) write.value = RandomText(random, 300);
    const std::string bytes = EncodeKey(write);
    const auto command = DecodeCommand(bytes);
    ASSERT_TRUE(command.ok()) << command.status();
    EXPECT_EQ(command->kind,
              write.value.has_value() ? CommandKind::kPutKey : CommandKind::kDeleteKey);
    EXPECT_EQ(command->key, write.key);
    EXPECT_EQ(command->value, write.value.value_or(""));
  }
}

// So that a process which does not know keys says that it is too old, not that the log is damaged.
TEST(Command, KindsSayWhichVersionKnewThemFirst) {
  EXPECT_EQ(EncodeDelete({.id = "p", .request_id = ""})[1], 1);
  std::string bytes = EncodeKey({.key = "k", .value = "v"});
  EXPECT_EQ(bytes[1], 2);
  bytes[1] = 1;
  EXPECT_EQ(DecodeCommand(bytes).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Command, EveryTruncationAndExtensionIsRefused) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::string bytes = EncodeUpsert(RandomUpsert(random));
    if (round == 0) bytes = EncodeDelete({.id = "p7", .request_id = "r"});
    if (round == 1) bytes = EncodeKey({.key = "k", .value = "value"});
    if (round == 2) bytes = EncodeKey({.key = "k", .value = std::nullopt});
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(DecodeCommand(std::string_view(bytes).substr(0, size)).status().code(),
                absl::StatusCode::kDataLoss)
          << round << " cut to " << size;
    }
    EXPECT_EQ(DecodeCommand(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(Command, FlippedBitsNeverCrash) {
  Random random(8);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = EncodeUpsert(RandomUpsert(random));
    bytes[random.Below(bytes.size())] ^= static_cast<char>(1 << random.Below(8));
    const auto command = DecodeCommand(bytes);
    if (command.ok()) {
      EXPECT_EQ(command->vectors.size(), command->ids.size() * command->dimension);
    }
  }
}

TEST(Command, NewerVersionIsToldApart) {
  std::string bytes = EncodeDelete({.id = "p7", .request_id = ""});
  bytes[1] = 3;
  EXPECT_EQ(DecodeCommand(bytes).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace vectron::shard
