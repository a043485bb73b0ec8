#include "storage/payload_index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"

namespace vectron::storage {
namespace {

using Slots = std::set<uint32_t>;

Slots ToSet(const Roaring& bitmap) { return {bitmap.begin(), bitmap.end()}; }

// A value as a payload holds it, owned. A text may be a time to a datetime field.
struct Stored {
  std::variant<bool, int64_t, double, std::string> value;
  std::optional<int64_t> time;  // of a text that is one
};

bool IsNumber(const Stored& stored) {
  return std::holds_alternative<int64_t>(stored.value) ||
         std::holds_alternative<double>(stored.value);
}

// long double holds every int64 and every double.
long double NumberOf(const Stored& stored) {
  if (const auto* whole = std::get_if<int64_t>(&stored.value)) return *whole;
  return std::get<double>(stored.value);
}

bool Equal(const Stored& a, const Stored& b) {
  if (IsNumber(a) && IsNumber(b)) return NumberOf(a) == NumberOf(b);
  return a.value == b.value;
}

bool Within(long double value, const NumberBounds& bounds) {
  return !(bounds.gt && !(value > *bounds.gt)) && !(bounds.gte && !(value >= *bounds.gte)) &&
         !(bounds.lt && !(value < *bounds.lt)) && !(bounds.lte && !(value <= *bounds.lte));
}

bool Within(int64_t value, const TimeBounds& bounds) {
  return !(bounds.gt && value <= *bounds.gt) && !(bounds.gte && value < *bounds.gte) &&
         !(bounds.lt && value >= *bounds.lt) && !(bounds.lte && value > *bounds.lte);
}

Scalar ToScalar(const Stored& stored, FieldType type) {
  if (type == FieldType::kDatetime && stored.time) return TimeNanos{*stored.time};
  return std::visit(
      [](const auto& value) -> Scalar {
        if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
          return std::string_view(value);
        } else {
          return value;
        }
      },
      stored.value);
}

struct Point {
  std::vector<std::vector<Stored>> fields;
  std::vector<bool> exists;
  std::vector<bool> empty;
};

// An index beside the plain map of what was put in.
class Twin {
 public:
  explicit Twin(std::vector<FieldSpec> fields) : index_(std::make_unique<PayloadIndex>(fields)) {}

  PayloadIndex& index() { return *index_; }
  const std::vector<FieldSpec>& fields() const { return index_->fields(); }

  void Add(uint32_t slot, Point point) {
    std::vector<FieldFacts> facts(fields().size());
    for (size_t f = 0; f < facts.size(); ++f) {
      for (const Stored& stored : point.fields[f]) {
        facts[f].values.push_back(ToScalar(stored, fields()[f].type));
      }
      facts[f].exists = point.exists[f];
      facts[f].empty = point.empty[f];
    }
    index_->Add(slot, facts);
    points_[slot] = std::move(point);
  }
  void AddSingle(uint32_t slot, Stored value) {
    Point point;
    point.fields.assign(fields().size(), {value});
    point.exists.assign(fields().size(), true);
    point.empty.assign(fields().size(), false);
    Add(slot, point);
  }
  void Clear(const std::vector<uint32_t>& slots) {
    index_->ClearSlots(slots);
    for (const uint32_t slot : slots) points_.erase(slot);
  }
  void Reload() {
    const std::string bytes = index_->Serialize();
    auto parsed = PayloadIndex::Parse(bytes, fields());
    CHECK_OK(parsed.status());
    EXPECT_EQ((*parsed)->Serialize().size(), bytes.size());
    index_ = std::move(*parsed);
  }

  // The answer is right: what it is sure of passes, what passes is in it.
  void ExpectAnswer(const std::optional<PayloadIndex::Answer>& answer, size_t field,
                    const std::function<bool(const Stored&)>& passes) {
    ASSERT_TRUE(answer.has_value());
    const Slots matches = ToSet(answer->matches);
    const Slots unsure = ToSet(answer->unsure);
    Slots passing;
    for (const auto& [slot, point] : points_) {
      const auto& values = point.fields[field];
      if (std::any_of(values.begin(), values.end(), passes)) passing.insert(slot);
    }
    for (const uint32_t slot : matches) ASSERT_TRUE(passing.contains(slot)) << slot;
    for (const uint32_t slot : passing) {
      ASSERT_NE(matches.contains(slot), unsure.contains(slot)) << slot;
    }
    for (const uint32_t slot : unsure) ASSERT_TRUE(points_.contains(slot)) << slot;
  }
  void ExpectFacts(size_t field) {
    Slots exists, empty, slots;
    for (const auto& [slot, point] : points_) {
      if (point.exists[field]) exists.insert(slot);
      if (point.empty[field]) empty.insert(slot);
      slots.insert(slot);
    }
    ASSERT_EQ(ToSet(index_->Exists(field)), exists);
    ASSERT_EQ(ToSet(index_->IsEmpty(field)), empty);
    ASSERT_EQ(ToSet(index_->Slots()), slots);
  }

 private:
  std::unique_ptr<PayloadIndex> index_;
  std::map<uint32_t, Point> points_;
};

const std::vector<FieldSpec> kAllTypes{{"keyword", FieldType::kKeyword},
                                       {"integer", FieldType::kInteger},
                                       {"float", FieldType::kFloat},
                                       {"bool", FieldType::kBool},
                                       {"datetime", FieldType::kDatetime}};

double RandomDouble(Random& random) {
  switch (random.Below(6)) {
    case 0:
      return static_cast<double>(random.Below(20)) - 10;
    case 1:
      return -0.0;
    case 2:
      return std::ldexp(1.0, static_cast<int>(random.Below(140)) - 70) * (random.OneIn(2) ? 1 : -1);
    case 3:
      return random.OneIn(2) ? 1e300 : -1e300;
    case 4:
      return random.OneIn(2) ? std::numeric_limits<double>::infinity()
                             : -std::numeric_limits<double>::infinity();
    default:
      return (random.Uniform() - 0.5) * 30;
  }
}

int64_t RandomInteger(Random& random) {
  switch (random.Below(5)) {
    case 0:
      return static_cast<int64_t>(random.Next() >> random.Below(64)) * (random.OneIn(2) ? 1 : -1);
    case 1:
      return random.OneIn(2) ? INT64_MAX - static_cast<int64_t>(random.Below(3))
                             : INT64_MIN + static_cast<int64_t>(random.Below(3));
    case 2:
      return (int64_t{1} << 53) + static_cast<int64_t>(random.Below(5)) - 2;
    default:
      return static_cast<int64_t>(random.Below(40)) - 20;
  }
}

Stored RandomStored(Random& random, FieldType likely) {
  if (random.OneIn(3)) likely = static_cast<FieldType>(random.Below(5) + 1);
  switch (likely) {
    case FieldType::kKeyword:
      if (random.OneIn(30)) return {std::string(kMaxKeywordBytes + random.Below(3), 'k'), {}};
      return {"word " + std::to_string(random.Below(60)), {}};
    case FieldType::kInteger:
      return {RandomInteger(random), {}};
    case FieldType::kFloat:
      return {RandomDouble(random), {}};
    case FieldType::kBool:
      return {random.OneIn(2), {}};
    case FieldType::kDatetime:
      break;
  }
  // Two texts for every time.
  const int64_t time =
      random.OneIn(10) ? RandomInteger(random) : static_cast<int64_t>(random.Below(50));
  return {(random.OneIn(2) ? "time " : "TIME ") + std::to_string(time), time};
}

Point RandomPoint(Random& random, const std::vector<FieldSpec>& fields) {
  Point point;
  for (const FieldSpec& spec : fields) {
    auto& values = point.fields.emplace_back();
    for (uint64_t n = random.OneIn(4) ? random.Below(6) : 1; n > 0; --n) {
      values.push_back(RandomStored(random, spec.type));
    }
    point.exists.push_back(!values.empty() || random.OneIn(2));
    point.empty.push_back(values.empty());
  }
  return point;
}

void CheckOneField(Twin& twin, size_t field, Random& random) {
  const FieldType type = twin.fields()[field].type;
  for (int query = 0; query < 4; ++query) {
    std::vector<Stored> any_of;
    for (uint64_t n = random.Below(4) + 1; n > 0; --n) any_of.push_back(RandomStored(random, type));
    std::vector<Scalar> scalars;
    for (const Stored& stored : any_of) scalars.push_back(ToScalar(stored, type));
    twin.ExpectAnswer(twin.index().Match(field, scalars), field, [&](const Stored& stored) {
      return std::any_of(any_of.begin(), any_of.end(),
                         [&](const Stored& v) { return Equal(v, stored); });
    });

    NumberBounds numbers;
    const auto bound = [&] {
      return random.OneIn(2) ? RandomDouble(random) : static_cast<double>(RandomInteger(random));
    };
    if (random.OneIn(2)) (random.OneIn(2) ? numbers.gt : numbers.gte) = bound();
    if (random.OneIn(2)) (random.OneIn(2) ? numbers.lt : numbers.lte) = bound();
    twin.ExpectAnswer(twin.index().NumberRange(field, numbers), field, [&](const Stored& stored) {
      return IsNumber(stored) && Within(NumberOf(stored), numbers);
    });

    TimeBounds times;
    const auto time = [&] {
      return random.OneIn(4) ? RandomInteger(random) : static_cast<int64_t>(random.Below(50));
    };
    if (random.OneIn(2)) (random.OneIn(2) ? times.gt : times.gte) = time();
    if (random.OneIn(2)) (random.OneIn(2) ? times.lt : times.lte) = time();
    const auto answer = twin.index().TimeRange(field, times);
    if (type == FieldType::kKeyword) {
      ASSERT_FALSE(answer.has_value());
      continue;
    }
    twin.ExpectAnswer(answer, field, [&](const Stored& stored) {
      return stored.time && Within(*stored.time, times);
    });
  }
  twin.ExpectFacts(field);
}

TEST(PayloadIndex, AgreesWithAPlainScanUnderRandomOperations) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  Twin twin(kAllTypes);
  for (int step = 0; step < 4'000 && !testing::Test::HasFatalFailure(); ++step) {
    if (random.OneIn(300)) {
      twin.Reload();
    } else if (random.OneIn(40)) {
      std::vector<uint32_t> cleared;
      for (uint64_t n = random.Below(300); n > 0; --n) {
        cleared.push_back(static_cast<uint32_t>(random.Below(3'000)));
      }
      twin.Clear(cleared);
    } else {
      twin.Add(static_cast<uint32_t>(random.Below(3'000)), RandomPoint(random, kAllTypes));
    }
    if (random.OneIn(40)) CheckOneField(twin, random.Below(kAllTypes.size()), random);
  }
}

// What fits its field's type is never in doubt, which is what makes a filter quick.
TEST(PayloadIndex, IsSureAboutValuesOfTheDeclaredType) {
  Random random(5);
  for (const FieldType type : {FieldType::kKeyword, FieldType::kInteger, FieldType::kFloat}) {
    PayloadIndex index({{"f", type}});
    for (uint32_t slot = 0; slot < 1'000; ++slot) {
      const auto number = static_cast<int64_t>(random.Below(100));
      const std::string word = std::to_string(number);
      FieldFacts facts{.values = {}, .exists = true, .empty = false};
      if (type == FieldType::kKeyword) facts.values = {std::string_view(word)};
      if (type == FieldType::kInteger) facts.values = {number};
      if (type == FieldType::kFloat) facts.values = {static_cast<double>(number) + 0.5};
      index.Add(slot, std::span(&facts, 1));
    }
    EXPECT_TRUE(index.Match(0, std::vector<Scalar>{std::string_view("7"), int64_t{7}, 7.5, true})
                    ->unsure.isEmpty());
    EXPECT_TRUE(index.NumberRange(0, {.gt = 3, .gte = {}, .lt = 50, .lte = {}})->unsure.isEmpty());
  }
}

TEST(PayloadIndex, OneEqualsOnePointZeroButLargeNumbersAreNotRounded) {
  Twin twin({{"integer", FieldType::kInteger}, {"float", FieldType::kFloat}});
  constexpr int64_t kLarge = (int64_t{1} << 53) + 1;  // no double
  twin.AddSingle(0, {int64_t{1}, {}});
  twin.AddSingle(1, {1.0, {}});
  twin.AddSingle(2, {kLarge, {}});
  for (size_t field = 0; field < 2; ++field) {
    for (const Scalar& one : {Scalar(int64_t{1}), Scalar(1.0)}) {
      EXPECT_EQ(ToSet(twin.index().Match(field, std::span(&one, 1))->matches), (Slots{0, 1}));
    }
    const Scalar rounded = static_cast<double>(kLarge);
    EXPECT_TRUE(twin.index().Match(field, std::span(&rounded, 1))->matches.isEmpty());
  }
  const auto above = twin.index().NumberRange(
      0, {.gt = static_cast<double>(kLarge), .gte = {}, .lt = {}, .lte = {}});
  EXPECT_EQ(ToSet(above->matches), (Slots{2}));
}

TEST(PayloadIndex, ManySlotsOfOneValueAndManyValuesOfOneSlot) {
  Twin twin({{"integer", FieldType::kInteger}});
  for (uint32_t slot = 0; slot < 2'000; ++slot) twin.AddSingle(slot, {int64_t{slot % 3}, {}});
  Point many;
  many.fields.emplace_back();
  for (int64_t i = 0; i < 2'000; ++i) many.fields[0].push_back({i * i, {}});
  many.exists = {true};
  many.empty = {false};
  twin.Add(5'000, many);
  const Scalar one = int64_t{1};
  EXPECT_EQ(twin.index().Match(0, std::span(&one, 1))->matches.cardinality(), 668U);
  const auto large = twin.index().NumberRange(0, {.gt = {}, .gte = 1'000'000, .lt = {}, .lte = {}});
  EXPECT_EQ(ToSet(large->matches), (Slots{5'000}));
  twin.Clear({5'000, 1});
  EXPECT_EQ(twin.index().Match(0, std::span(&one, 1))->matches.cardinality(), 666U);
  twin.ExpectFacts(0);
}

TEST(PayloadIndex, MemoryComesBackWhenSlotsAreCleared) {
  PayloadIndex index(kAllTypes);
  const uint64_t idle = index.memory_bytes();
  Random random(9);
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < 5'000; ++slot) {
    const std::string word = "unique " + std::to_string(slot);
    const FieldFacts facts{.values = {std::string_view(word), static_cast<int64_t>(random.Next())},
                           .exists = true,
                           .empty = false};
    index.Add(slot, std::vector<FieldFacts>(kAllTypes.size(), facts));
    slots.push_back(slot);
  }
  EXPECT_GT(index.memory_bytes(), idle + 200'000);
  index.ClearSlots(slots);
  EXPECT_LT(index.memory_bytes(), idle + 600'000);
  EXPECT_TRUE(index.Slots().isEmpty());
}

TEST(PayloadIndex, DamageOfAnyByteIsNoticed) {
  PayloadIndex index(kAllTypes);
  for (uint32_t slot = 0; slot < 40; ++slot) {
    const FieldFacts facts{
        .values = {int64_t{slot}, std::string_view("word"), true}, .exists = true, .empty = false};
    index.Add(slot, std::vector<FieldFacts>(kAllTypes.size(), facts));
  }
  std::string bytes = index.Serialize();
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ 4);
    EXPECT_TRUE(absl::IsDataLoss(PayloadIndex::Parse(bytes, kAllTypes).status())) << i;
    bytes[i] = static_cast<char>(bytes[i] ^ 4);
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(PayloadIndex::Parse(bytes.substr(0, size), kAllTypes).status()));
  }
  EXPECT_TRUE(PayloadIndex::Parse(bytes, kAllTypes).ok());
}

TEST(PayloadIndex, IsNotReadForOtherFields) {
  const std::string bytes = PayloadIndex(kAllTypes).Serialize();
  std::vector<FieldSpec> other = kAllTypes;
  other[1].type = FieldType::kFloat;
  EXPECT_TRUE(absl::IsFailedPrecondition(PayloadIndex::Parse(bytes, other).status()));
  other = kAllTypes;
  other.pop_back();
  EXPECT_TRUE(absl::IsFailedPrecondition(PayloadIndex::Parse(bytes, other).status()));
}

}  // namespace
}  // namespace vectron::storage
