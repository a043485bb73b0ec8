#include "storage/payload_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/status.h"
#include "storage/keyword_postings.h"
#include "storage/radix_bitmap.h"

namespace vectron::storage {
namespace {

constexpr uint32_t kMagic = 0x58495056;  // "VPIX"
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 20;
constexpr double kTwoTo63 = 9'223'372'036'854'775'808.0;
// Slots cleared under one lock, so that searches wait a millisecond or so at most.
constexpr size_t kClearedAtOnce = 256;

// The whole number that equals `value`; nullopt when there is none in int64.
std::optional<int64_t> ExactInteger(double value) {
  if (!(value >= -kTwoTo63 && value < kTwoTo63) || std::trunc(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

// The double that equals `value`; nullopt when it has too many digits.
std::optional<double> ExactDouble(int64_t value) {
  const auto rounded = static_cast<double>(value);
  if (rounded == kTwoTo63 || static_cast<int64_t>(rounded) != value) return std::nullopt;
  return rounded;
}

using KeyRange = RadixBitmap::Range;
constexpr KeyRange kEmptyRange{.first = 1, .last = 0};

void RaiseFirst(KeyRange& range, uint64_t key) { range.first = std::max(range.first, key); }
void LowerLast(KeyRange& range, uint64_t key) { range.last = std::min(range.last, key); }

// Keys of the whole numbers within the bounds.
KeyRange IntegerKeys(const NumberBounds& bounds) {
  KeyRange range;
  const auto at_least = [&](double low) {  // low: whole
    if (low >= kTwoTo63) range = kEmptyRange;
    if (low > -kTwoTo63 && low < kTwoTo63) RaiseFirst(range, OrderedKey(static_cast<int64_t>(low)));
  };
  const auto at_most = [&](double high) {
    if (high < -kTwoTo63) range = kEmptyRange;
    if (high >= -kTwoTo63 && high < kTwoTo63) {
      LowerLast(range, OrderedKey(static_cast<int64_t>(high)));
    }
  };
  if (bounds.gte) at_least(std::ceil(*bounds.gte));
  if (bounds.lte) at_most(std::floor(*bounds.lte));
  if (bounds.gt) {
    const double floor = std::floor(*bounds.gt);
    if (floor >= kTwoTo63) range = kEmptyRange;
    // One more in whole numbers: a large double has no neighbour at distance 1.
    if (floor >= -kTwoTo63 && floor < kTwoTo63) {
      RaiseFirst(range, OrderedKey(static_cast<int64_t>(floor)) + 1);
    }
  }
  if (bounds.lt) {
    const double ceil = std::ceil(*bounds.lt);
    if (ceil <= -kTwoTo63) range = kEmptyRange;
    if (ceil > -kTwoTo63 && ceil < kTwoTo63) {
      LowerLast(range, OrderedKey(static_cast<int64_t>(ceil)) - 1);
    }
  }
  return range;
}

// Keys of the doubles within the bounds. Neighbouring doubles have neighbouring keys; the key of
// -0.0 is never used.
KeyRange FloatKeys(const NumberBounds& bounds) {
  KeyRange range;
  if (bounds.gte) RaiseFirst(range, OrderedKey(*bounds.gte));
  if (bounds.gt) RaiseFirst(range, OrderedKey(*bounds.gt) + 1);
  if (bounds.lte) LowerLast(range, OrderedKey(*bounds.lte));
  if (bounds.lt) LowerLast(range, OrderedKey(*bounds.lt) - 1);
  return range;
}

// Keys of the times within the bounds. An end of int64 stands for many times, so a bound there says
// nothing of the slots there: they are possible, and not sure.
struct TimeKeys {
  static constexpr uint64_t kFirst = 0;
  static constexpr uint64_t kLast = ~uint64_t{0};

  KeyRange possible;
  KeyRange sure;

  explicit TimeKeys(const TimeBounds& bounds) {
    const auto is_end = [](uint64_t key) { return key == kFirst || key == kLast; };
    const auto at_least = [&](const std::optional<int64_t>& bound, uint64_t step) {
      if (!bound) return;
      const uint64_t key = OrderedKey(*bound);
      RaiseFirst(possible, is_end(key) ? key : key + step);
    };
    const auto at_most = [&](const std::optional<int64_t>& bound, uint64_t step) {
      if (!bound) return;
      const uint64_t key = OrderedKey(*bound);
      LowerLast(possible, is_end(key) ? key : key - step);
    };
    at_least(bounds.gte, 0);
    at_least(bounds.gt, 1);
    at_most(bounds.lte, 0);
    at_most(bounds.lt, 1);
    sure = possible;
    for (const auto& bound : {bounds.gt, bounds.gte, bounds.lt, bounds.lte}) {
      if (bound == INT64_MIN) RaiseFirst(sure, kFirst + 1);
      if (bound == INT64_MAX) LowerLast(sure, kLast - 1);
    }
  }
};

// What one field's slots have. The values that do not fit its type are kept apart by their kind
// only.
struct Field {
  FieldType type = FieldType::kKeyword;
  Roaring exists;
  Roaring empty;
  Roaring other_bools;
  Roaring other_numbers;
  Roaring other_texts;
  std::array<Roaring, 2> bools;  // kBool: false, true
  RadixBitmap keys;              // kInteger, kFloat, kDatetime
  KeywordPostings keywords;      // kKeyword

  std::array<Roaring*, 7> bitmaps() {
    return {&exists, &empty, &other_bools, &other_numbers, &other_texts, &bools[0], &bools[1]};
  }
  std::array<const Roaring*, 7> bitmaps() const {
    return {&exists, &empty, &other_bools, &other_numbers, &other_texts, &bools[0], &bools[1]};
  }

  // The key that a number has in this field; nullopt when it is one of the others.
  std::optional<uint64_t> KeyOf(int64_t value) const {
    if (type == FieldType::kInteger) return OrderedKey(value);
    if (type != FieldType::kFloat) return std::nullopt;
    const std::optional<double> exact = ExactDouble(value);
    return exact ? std::optional(OrderedKey(*exact)) : std::nullopt;
  }
  std::optional<uint64_t> KeyOf(double value) const {
    if (type == FieldType::kFloat && !std::isnan(value)) return OrderedKey(value);
    if (type != FieldType::kInteger) return std::nullopt;
    const std::optional<int64_t> exact = ExactInteger(value);
    return exact ? std::optional(OrderedKey(*exact)) : std::nullopt;
  }
  // Whether a text has a posting list here.
  bool Holds(std::string_view text) const {
    return type == FieldType::kKeyword && text.size() <= kMaxKeywordBytes;
  }
};

// Puts one value of a slot where it belongs.
struct Adder {
  Field& field;
  uint32_t slot;

  void operator()(bool value) const {
    (field.type == FieldType::kBool ? field.bools[value ? 1 : 0] : field.other_bools).add(slot);
  }
  void operator()(int64_t value) const { AddNumber(field.KeyOf(value)); }
  void operator()(double value) const { AddNumber(field.KeyOf(value)); }
  void operator()(std::string_view text) const {
    if (field.Holds(text)) {
      field.keywords.Add(text, slot);
    } else {
      field.other_texts.add(slot);
    }
  }
  void operator()(TimeNanos time) const {
    CHECK(field.type == FieldType::kDatetime);
    field.keys.Add(OrderedKey(time.value), slot);
  }
  void AddNumber(std::optional<uint64_t> key) const {
    if (key) {
      field.keys.Add(*key, slot);
    } else {
      field.other_numbers.add(slot);
    }
  }
};

// Gathers the slots of the values of a match.
class Matcher {
 public:
  explicit Matcher(const Field& field) : field_(field) {}

  void operator()(bool value) {
    if (field_.type == FieldType::kBool) {
      sure_.bitmaps.push_back(&field_.bools[value ? 1 : 0]);
    } else {
      unsure_.bitmaps.push_back(&field_.other_bools);
    }
  }
  void operator()(int64_t value) { MatchNumber(field_.KeyOf(value)); }
  void operator()(double value) { MatchNumber(field_.KeyOf(value)); }
  void operator()(std::string_view text) {
    if (field_.Holds(text)) {
      field_.keywords.Collect(text, words_);
    } else {
      unsure_.bitmaps.push_back(&field_.other_texts);
    }
  }
  void operator()(TimeNanos time) {
    CHECK(field_.type == FieldType::kDatetime);
    const uint64_t key = OrderedKey(time.value);
    field_.keys.Collect({.first = key, .last = key}, unsure_);
  }

  PayloadIndex::Answer Finish() {
    sure_.bitmaps.insert(sure_.bitmaps.end(), words_.bitmaps.begin(), words_.bitmaps.end());
    sure_.slots.insert(sure_.slots.end(), words_.slots.begin(), words_.slots.end());
    PayloadIndex::Answer answer{.matches = sure_.Unite(), .unsure = unsure_.Unite()};
    answer.unsure -= answer.matches;
    return answer;
  }

 private:
  void MatchNumber(std::optional<uint64_t> key) {
    if (key) {
      field_.keys.Collect({.first = *key, .last = *key}, sure_);
    } else {
      unsure_.bitmaps.push_back(&field_.other_numbers);
    }
  }

  const Field& field_;
  RadixBitmap::Parts sure_;
  RadixBitmap::Parts unsure_;
  KeywordPostings::Parts words_;
};

PayloadIndex::Answer InRange(const Field& field, const KeyRange& range, const Roaring& others) {
  RadixBitmap::Parts parts;
  field.keys.Collect(range, parts);
  PayloadIndex::Answer answer{.matches = parts.Unite(), .unsure = others};
  answer.unsure -= answer.matches;
  return answer;
}

// The other texts of a field are no times, but for those that an earlier version put there because
// int64 does not hold them.
PayloadIndex::Answer InRange(const Field& field, const TimeKeys& keys) {
  PayloadIndex::Answer answer = InRange(field, keys.sure, field.other_texts);
  RadixBitmap::Parts ends;
  for (const uint64_t key : {TimeKeys::kFirst, TimeKeys::kLast}) {
    const bool possible = keys.possible.first <= key && key <= keys.possible.last;
    const bool sure = keys.sure.first <= key && key <= keys.sure.last;
    if (possible && !sure) field.keys.Collect({.first = key, .last = key}, ends);
  }
  answer.unsure |= ends.Unite();
  answer.unsure -= answer.matches;
  return answer;
}

bool ParseField(ByteReader& reader, Field& field) {
  for (Roaring* bitmap : field.bitmaps()) {
    if (!ReadBitmap(reader, *bitmap)) return false;
  }
  return field.keys.Parse(reader) && field.keywords.Parse(reader);
}

}  // namespace

struct PayloadIndex::State {
  mutable absl::Mutex mutex;
  Roaring slots ABSL_GUARDED_BY(mutex);
  std::vector<std::unique_ptr<Field>> fields ABSL_GUARDED_BY(mutex);  // as fields_

  // cleared: sorted.
  void Clear(std::span<const uint32_t> cleared) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    for (const std::unique_ptr<Field>& field : fields) {
      for (Roaring* bitmap : field->bitmaps()) {
        for (const uint32_t slot : cleared) bitmap->remove(slot);
      }
      field->keys.Remove(cleared);
      for (const uint32_t slot : cleared) field->keywords.Remove(slot);
    }
    for (const uint32_t slot : cleared) slots.remove(slot);
  }
  const Field& At(size_t field) const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    CHECK_LT(field, fields.size());
    return *fields[field];
  }
};

PayloadIndex::PayloadIndex(std::vector<FieldSpec> fields)
    : fields_(std::move(fields)), state_(std::make_unique<State>()) {
  const absl::MutexLock lock(&state_->mutex);
  for (const FieldSpec& spec : fields_) {
    state_->fields.push_back(std::make_unique<Field>());
    state_->fields.back()->type = spec.type;
  }
}

PayloadIndex::~PayloadIndex() = default;

void PayloadIndex::Add(uint32_t slot, std::span<const FieldFacts> facts) {
  CHECK_EQ(facts.size(), fields_.size());
  const absl::MutexLock lock(&state_->mutex);
  if (!state_->slots.addChecked(slot)) {
    state_->Clear(std::span(&slot, 1));
    state_->slots.add(slot);
  }
  for (size_t i = 0; i < facts.size(); ++i) {
    Field& field = *state_->fields[i];
    if (facts[i].exists) field.exists.add(slot);
    if (facts[i].empty) field.empty.add(slot);
    for (const Scalar& value : facts[i].values) std::visit(Adder{field, slot}, value);
  }
}

void PayloadIndex::ClearSlots(std::span<const uint32_t> slots) {
  std::vector<uint32_t> sorted(slots.begin(), slots.end());
  std::sort(sorted.begin(), sorted.end());
  for (size_t start = 0; start < sorted.size(); start += kClearedAtOnce) {
    const size_t count = std::min(kClearedAtOnce, sorted.size() - start);
    const absl::MutexLock lock(&state_->mutex);
    state_->Clear(std::span(sorted).subspan(start, count));
  }
}

std::optional<size_t> PayloadIndex::Find(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<PayloadIndex::Answer> PayloadIndex::Match(size_t field,
                                                        std::span<const Scalar> any_of) const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  Matcher matcher(state_->At(field));
  for (const Scalar& value : any_of) std::visit(matcher, value);
  return matcher.Finish();
}

std::optional<PayloadIndex::Answer> PayloadIndex::NumberRange(size_t field,
                                                              const NumberBounds& bounds) const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  const Field& at = state_->At(field);
  switch (at.type) {
    case FieldType::kInteger:
      return InRange(at, IntegerKeys(bounds), at.other_numbers);
    case FieldType::kFloat:
      return InRange(at, FloatKeys(bounds), at.other_numbers);
    case FieldType::kKeyword:
    case FieldType::kBool:
    case FieldType::kDatetime:
      return Answer{.matches = {}, .unsure = at.other_numbers};
  }
  return std::nullopt;
}

std::optional<PayloadIndex::Answer> PayloadIndex::TimeRange(size_t field,
                                                            const TimeBounds& bounds) const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  const Field& at = state_->At(field);
  switch (at.type) {
    case FieldType::kDatetime:
      return InRange(at, TimeKeys(bounds));
    case FieldType::kKeyword:
      return std::nullopt;
    case FieldType::kInteger:
    case FieldType::kFloat:
    case FieldType::kBool:
      return Answer{.matches = {}, .unsure = at.other_texts};
  }
  return std::nullopt;
}

Roaring PayloadIndex::Exists(size_t field) const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  return state_->At(field).exists;
}

Roaring PayloadIndex::IsEmpty(size_t field) const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  return state_->At(field).empty;
}

Roaring PayloadIndex::Slots() const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  return state_->slots;
}

uint64_t PayloadIndex::memory_bytes() const {
  const absl::ReaderMutexLock lock(&state_->mutex);
  uint64_t bytes = BitmapMemoryBytes(state_->slots);
  for (const std::unique_ptr<Field>& field : state_->fields) {
    for (const Roaring* bitmap : std::as_const(*field).bitmaps())
      bytes += BitmapMemoryBytes(*bitmap);
    bytes += sizeof(Field) + field->keys.memory_bytes() + field->keywords.memory_bytes();
  }
  return bytes;
}

std::string PayloadIndex::Serialize() const {
  std::string out(kHeaderBytes, '\0');
  {
    const absl::ReaderMutexLock lock(&state_->mutex);
    PutBitmap(out, state_->slots);
    PutVarint(out, fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      PutLengthPrefixed(out, fields_[i].name);
      PutFixed(out, static_cast<uint8_t>(fields_[i].type));
      const Field& field = *state_->fields[i];
      for (const Roaring* bitmap : field.bitmaps()) PutBitmap(out, *bitmap);
      field.keys.Serialize(out);
      field.keywords.Serialize(out);
    }
  }
  const std::string_view body = std::string_view(out).substr(kHeaderBytes);
  std::string header;
  PutFixed(header, kMagic);
  PutFixed(header, kVersion);
  PutFixed<uint64_t>(header, body.size());
  PutFixed(header, Crc32c(body, Crc32c(header)));
  std::copy(header.begin(), header.end(), out.begin());
  return out;
}

absl::StatusOr<std::unique_ptr<PayloadIndex>> PayloadIndex::Parse(std::string_view bytes,
                                                                  std::vector<FieldSpec> fields) {
  ByteReader header(bytes);
  uint32_t magic = 0;
  uint32_t version = 0;
  uint32_t crc = 0;
  uint64_t length = 0;
  header.ReadFixed(magic);
  header.ReadFixed(version);
  header.ReadFixed(length);
  header.ReadFixed(crc);
  if (!header.ok() || magic != kMagic) return DataLoss("payload index: not one, by its magic");
  if (header.remaining() != length) {
    return DataLoss("payload index: {} bytes, wanted {}", header.remaining(), length);
  }
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (Crc32c(body, Crc32c(bytes.substr(0, kHeaderBytes - sizeof crc))) != crc) {
    return DataLoss("payload index: wrong checksum");
  }
  if (version != kVersion) {
    return FailedPrecondition("payload index: format {}, this version reads {}", version, kVersion);
  }

  auto index = std::make_unique<PayloadIndex>(std::move(fields));
  const absl::MutexLock lock(&index->state_->mutex);
  ByteReader reader(body);
  uint64_t count = 0;
  if (!ReadBitmap(reader, index->state_->slots) || !reader.ReadVarint(count)) {
    return DataLoss("payload index: its beginning does not parse");
  }
  if (count != index->fields_.size()) {
    return FailedPrecondition("payload index: of {} fields, wanted {}", count,
                              index->fields_.size());
  }
  for (size_t i = 0; i < count; ++i) {
    const FieldSpec& spec = index->fields_[i];
    std::string_view name;
    uint8_t type = 0;
    if (!reader.ReadLengthPrefixed(name) || !reader.ReadFixed(type)) {
      return DataLoss("payload index: field {} does not parse", i);
    }
    if (name != spec.name || type != static_cast<uint8_t>(spec.type)) {
      return FailedPrecondition("payload index: field {} is {}, wanted {}", i, name, spec.name);
    }
    if (!ParseField(reader, *index->state_->fields[i])) {
      return DataLoss("payload index: field {} does not parse", name);
    }
  }
  if (reader.remaining() != 0)
    return DataLoss("payload index: {} bytes too many", reader.remaining());
  return index;
}

}  // namespace vectron::storage
