#include "shard/filter_index.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "model/payload.h"

namespace vectron::shard {
namespace {

// A condition that no search asked for while this many rows were added is dropped, so that writes
// do not pay for it.
constexpr uint64_t kForgetAfterRows = 100'000;

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

std::vector<storage::FieldSpec> FieldSpecs(const std::vector<PayloadIndexSpec>& fields) {
  std::vector<storage::FieldSpec> specs;
  for (const PayloadIndexSpec& field : fields) {
    specs.push_back({field.field, static_cast<storage::FieldType>(field.type)});
  }
  return specs;
}

// A leaf holds no nested filter, so it can be copied.
Condition CopyLeaf(const Condition& leaf) {
  Condition copy;
  copy.path = leaf.path;
  std::visit(Overloaded{[](const std::unique_ptr<Filter>&) { CHECK(false); },
                        [&](const auto& test) { copy.test = test; }},
             leaf.test);
  return copy;
}

void PutMatchValue(std::string& key, const MatchValue& value) {
  PutFixed(key, static_cast<uint8_t>(value.index()));
  std::visit(Overloaded{[&](bool v) { PutFixed(key, static_cast<uint8_t>(v)); },
                        [&](int64_t v) { PutFixed(key, v); }, [&](double v) { PutFixed(key, v); },
                        [&](const std::string& v) { PutLengthPrefixed(key, v); }},
             value);
}

void PutBound(std::string& key, double bound) { PutFixed(key, bound); }
void PutBound(std::string& key, const Timestamp& bound) {
  PutFixed(key, bound.seconds);
  PutFixed(key, bound.nanos);
}

template <typename Range>
void PutRange(std::string& key, const Range& range) {
  for (const auto& bound : {range.gt, range.gte, range.lt, range.lte}) {
    PutFixed(key, static_cast<uint8_t>(bound.has_value()));
    if (bound.has_value()) PutBound(key, *bound);
  }
}

std::optional<int64_t> NanosOf(const std::optional<Timestamp>& time) {
  return time.has_value() ? std::optional(SaturatedNanos(*time)) : std::nullopt;
}

// The scalar of a payload value as the field's index takes it; nullopt for what is none (null,
// arrays, objects).
std::optional<storage::Scalar> ToScalar(const Value& value, storage::FieldType type) {
  if (const bool* v = value.get<bool>()) return *v;
  if (const int64_t* v = value.get<int64_t>()) return *v;
  if (const double* v = value.get<double>()) return *v;
  const std::string* text = value.get<std::string>();
  if (text == nullptr) return std::nullopt;
  if (type == storage::FieldType::kDatetime) {
    if (const auto time = ParseRfc3339(*text)) return storage::TimeNanos{SaturatedNanos(*time)};
  }
  return std::string_view(*text);
}

std::vector<storage::Scalar> ToScalars(const MatchTest& test, storage::FieldType type) {
  std::vector<storage::Scalar> scalars;
  for (const MatchValue& value : test.any_of) {
    std::visit(Overloaded{[&](const std::string& text) {
                            const auto time = type == storage::FieldType::kDatetime
                                                  ? ParseRfc3339(text)
                                                  : std::nullopt;
                            const int64_t nanos = time.has_value() ? SaturatedNanos(*time) : 0;
                            if (time.has_value()) {
                              scalars.emplace_back(storage::TimeNanos{nanos});
                            }
                            // Earlier versions put times beyond int64 among the other texts.
                            if (!time.has_value() || nanos == INT64_MIN || nanos == INT64_MAX) {
                              scalars.emplace_back(std::string_view(text));
                            }
                          },
                          [&](auto number) { scalars.emplace_back(number); }},
               value);
  }
  return scalars;
}

bool IsEmptyValue(const Value& value) {
  if (value.is_null()) return true;
  if (const auto* text = value.get<std::string>()) return text->empty();
  if (const auto* array = value.get<Array>()) return array->empty();
  if (const auto* object = value.get<Object>()) return object->empty();
  return false;
}

storage::FieldFacts FactsOf(const Value& tree, const Path& path, storage::FieldType type) {
  storage::FieldFacts facts;
  VisitValues(tree, path, [&](const Value& value) {
    facts.exists = true;
    if (!IsEmptyValue(value)) facts.empty = false;
    if (const auto scalar = ToScalar(value, type)) facts.values.push_back(*scalar);
    if (const Array* array = value.get<Array>()) {
      for (const Value& element : *array) {
        if (const auto scalar = ToScalar(element, type)) facts.values.push_back(*scalar);
      }
    }
  });
  return facts;
}

}  // namespace

struct FilterIndex::Kept {
  std::string key;
  Condition condition;
  Roaring slots;                                 // guarded by the index's mutex
  bool ready = false;                            // likewise
  uint64_t usable_from = 0;                      // likewise
  mutable std::atomic<uint64_t> rows_at_use{0};  // rows_added_ when a search last asked
  mutable std::atomic<uint64_t> last_use{0};     // uses_ then
};

Value PayloadTree(std::string_view payload) {
  if (payload.empty()) return Value(Object{});
  absl::StatusOr<Value> tree = ParsePayload(payload);
  return tree.ok() ? *std::move(tree) : Value(Object{});
}

std::string ConditionKey(const Condition& condition) {
  std::string key;
  PutLengthPrefixed(key, condition.path.text);
  PutFixed(key, static_cast<uint8_t>(condition.test.index()));
  std::visit(
      Overloaded{[&](const MatchTest& test) {
                   for (const MatchValue& value : test.any_of) PutMatchValue(key, value);
                 },
                 [&](const NumberRange& range) { PutRange(key, range); },
                 [&](const TimeRange& range) { PutRange(key, range); },
                 [&](const ExistsTest& test) { PutFixed(key, static_cast<uint8_t>(test.wanted)); },
                 [&](const IsEmptyTest& test) { PutFixed(key, static_cast<uint8_t>(test.wanted)); },
                 [&](const HasIdTest& test) {
                   for (const std::string& id : test.ids) PutLengthPrefixed(key, id);
                 },
                 [](const std::unique_ptr<Filter>&) { CHECK(false); }},
      condition.test);
  return key;
}

FilterIndex::FilterIndex(const std::vector<PayloadIndexSpec>& fields)
    : fields_(std::make_unique<storage::PayloadIndex>(FieldSpecs(fields))) {
  for (const PayloadIndexSpec& field : fields) {
    absl::StatusOr<Path> path = ParsePath(field.field);
    CHECK_OK(path.status());
    paths_.push_back(*std::move(path));
  }
}

FilterIndex::~FilterIndex() = default;

void FilterIndex::AddFacts(uint32_t slot, const Value& tree) {
  std::vector<storage::FieldFacts> facts;
  facts.reserve(paths_.size());
  for (size_t i = 0; i < paths_.size(); ++i) {
    facts.push_back(FactsOf(tree, paths_[i], fields_->fields()[i].type));
  }
  fields_->Add(slot, facts);
}

void FilterIndex::Add(uint32_t slot, std::string_view id, std::string_view payload) {
  std::vector<std::shared_ptr<Kept>> kept;
  {
    const absl::MutexLock lock(&mutex_);
    rows_added_ += 1;
    if (!kept_.empty() && rows_added_ % 1024 == 0) DropUnused(0);
    kept.reserve(kept_.size());
    for (const auto& [key, condition] : kept_) kept.push_back(condition);
  }
  if (paths_.empty() && kept.empty()) return;
  const Value tree = PayloadTree(payload);
  if (!paths_.empty()) AddFacts(slot, tree);
  std::erase_if(kept, [&](const std::shared_ptr<Kept>& condition) {
    return !MatchesCondition(condition->condition, id, tree);
  });
  if (kept.empty()) return;
  const absl::MutexLock lock(&mutex_);
  for (const std::shared_ptr<Kept>& condition : kept) condition->slots.add(slot);
}

void FilterIndex::ClearSlots(std::span<const uint32_t> slots) {
  if (slots.empty()) return;
  if (!paths_.empty()) fields_->ClearSlots(slots);
  const absl::MutexLock lock(&mutex_);
  for (const auto& [key, condition] : kept_) {
    for (const uint32_t slot : slots) condition->slots.remove(slot);
  }
}

std::string FilterIndex::Serialize() const { return fields_->Serialize(); }

absl::Status FilterIndex::Load(std::string_view bytes) {
  absl::StatusOr<std::unique_ptr<storage::PayloadIndex>> parsed =
      storage::PayloadIndex::Parse(bytes, fields_->fields());
  if (!parsed.ok()) return parsed.status();
  fields_ = *std::move(parsed);
  return absl::OkStatus();
}

Bounds FilterIndex::Evaluate(const Filter& filter, const Query& query,
                             std::vector<const Condition*>* unsure) const {
  std::optional<Bounds> result;
  const auto narrow = [&result](Bounds bounds) {
    if (result.has_value()) {
      IntersectWith(*result, bounds);
    } else {
      result = std::move(bounds);
    }
  };
  for (const Condition& condition : filter.must) {
    narrow(EvaluateCondition(condition, query, unsure));
  }
  if (!filter.should.empty()) {
    std::vector<Bounds> sets;
    for (const Condition& condition : filter.should) {
      sets.push_back(EvaluateCondition(condition, query, unsure));
    }
    narrow(AtLeast(std::max(filter.min_should, 1u), sets));
  }
  for (const Condition& condition : filter.must_not) {
    narrow(Not(EvaluateCondition(condition, query, unsure), query.universe));
  }
  return result.has_value() ? *std::move(result) : Not(Bounds{}, query.universe);
}

Bounds FilterIndex::EvaluateCondition(const Condition& condition, const Query& query,
                                      std::vector<const Condition*>* unsure) const {
  if (const auto* nested = std::get_if<std::unique_ptr<Filter>>(&condition.test)) {
    return Evaluate(**nested, query, unsure);
  }
  if (const auto* ids = std::get_if<HasIdTest>(&condition.test)) {
    return Bounds::Exactly(query.resolve_ids(*ids));
  }
  std::optional<Bounds> field = FromField(condition);
  if (field.has_value() && field->exact) return *std::move(field);
  std::optional<Bounds> kept = FromKept(condition, query);
  if (kept.has_value()) return *std::move(kept);
  if (unsure != nullptr) unsure->push_back(&condition);
  if (field.has_value()) return *std::move(field);
  Bounds unknown = Not(Bounds{}, query.universe);
  return {Roaring(), std::move(unknown.lower), false};
}

std::optional<Bounds> FilterIndex::FromField(const Condition& condition) const {
  const std::optional<size_t> field = fields_->Find(condition.path.text);
  if (!field.has_value()) return std::nullopt;
  const storage::FieldType type = fields_->fields()[*field].type;
  using Answer = std::optional<storage::PayloadIndex::Answer>;
  const auto from_answer = [](Answer answer) -> std::optional<Bounds> {
    if (!answer.has_value()) return std::nullopt;
    return Bounds::Between(std::move(answer->matches), answer->unsure);
  };
  return std::visit(
      Overloaded{[&](const MatchTest& test) {
                   return from_answer(fields_->Match(*field, ToScalars(test, type)));
                 },
                 [&](const NumberRange& range) {
                   return from_answer(
                       fields_->NumberRange(*field, {range.gt, range.gte, range.lt, range.lte}));
                 },
                 [&](const TimeRange& range) {
                   return from_answer(
                       fields_->TimeRange(*field, {NanosOf(range.gt), NanosOf(range.gte),
                                                   NanosOf(range.lt), NanosOf(range.lte)}));
                 },
                 [&](const ExistsTest& test) -> std::optional<Bounds> {
                   if (test.wanted) return Bounds::Exactly(fields_->Exists(*field));
                   return Bounds::Exactly(fields_->Slots() - fields_->Exists(*field));
                 },
                 [&](const IsEmptyTest& test) -> std::optional<Bounds> {
                   if (test.wanted) return Bounds::Exactly(fields_->IsEmpty(*field));
                   return Bounds::Exactly(fields_->Slots() - fields_->IsEmpty(*field));
                 },
                 [](const auto&) -> std::optional<Bounds> { return std::nullopt; }},
      condition.test);
}

std::optional<Bounds> FilterIndex::FromKept(const Condition& condition, const Query& query) const {
  const absl::ReaderMutexLock lock(&mutex_);
  if (kept_.empty()) return std::nullopt;
  const auto found = kept_.find(ConditionKey(condition));
  if (found == kept_.end()) return std::nullopt;
  const Kept& kept = *found->second;
  kept.rows_at_use.store(rows_added_, std::memory_order_relaxed);
  kept.last_use.store(uses_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  if (!kept.ready || kept.usable_from > query.applied_index) return std::nullopt;
  return Bounds::Exactly(kept.slots);
}

uint64_t FilterIndex::CountEvaluations(const Condition& leaf, uint64_t rows) {
  const std::string key = ConditionKey(leaf);
  if (key.size() > kMaxKeptKeyBytes) return 0;
  const absl::MutexLock lock(&mutex_);
  if (evaluations_.size() >= kMaxCountedConditions) evaluations_.clear();
  uint64_t& sum = evaluations_[Hash64(key)];
  sum += rows;
  return sum;
}

std::shared_ptr<FilterIndex::Kept> FilterIndex::Register(const Condition& leaf) {
  std::string key = ConditionKey(leaf);
  if (key.size() > kMaxKeptKeyBytes) return nullptr;
  const absl::MutexLock lock(&mutex_);
  if (kept_.contains(key)) return nullptr;
  DropUnused(1);
  auto kept = std::make_shared<Kept>();
  kept->key = key;
  kept->condition = CopyLeaf(leaf);
  kept->rows_at_use = rows_added_;
  kept->last_use = uses_.fetch_add(1);
  kept_.emplace(std::move(key), kept);
  return kept;
}

void FilterIndex::Publish(const std::shared_ptr<Kept>& kept, const Roaring& slots,
                          uint64_t usable_from) {
  const absl::MutexLock lock(&mutex_);
  kept->slots |= slots;
  kept->usable_from = usable_from;
  kept->ready = true;
  evaluations_.erase(Hash64(kept->key));
  DropUnused(0);
}

void FilterIndex::Abandon(const std::shared_ptr<Kept>& kept) {
  const absl::MutexLock lock(&mutex_);
  const auto found = kept_.find(kept->key);
  if (found != kept_.end() && found->second == kept) kept_.erase(found);
}

std::optional<uint64_t> FilterIndex::UsableFrom(const Condition& leaf) const {
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = kept_.find(ConditionKey(leaf));
  if (found == kept_.end() || !found->second->ready) return std::nullopt;
  return found->second->usable_from;
}

void FilterIndex::DropUnused(size_t room) {
  std::erase_if(kept_, [this](const auto& item) {
    const Kept& kept = *item.second;
    return kept.ready &&
           rows_added_ - kept.rows_at_use.load(std::memory_order_relaxed) > kForgetAfterRows;
  });
  uint64_t bytes = 0;
  for (const auto& [key, kept] : kept_) bytes += kept->slots.getSizeInBytes(false);
  while (kept_.size() + room > kMaxKeptConditions || bytes > kMaxKeptConditionBytes) {
    auto oldest = kept_.end();
    for (auto it = kept_.begin(); it != kept_.end(); ++it) {
      if (!it->second->ready) continue;
      if (oldest == kept_.end() || it->second->last_use < oldest->second->last_use) {
        oldest = it;
      }
    }
    if (oldest == kept_.end()) return;
    bytes -= std::min<uint64_t>(bytes, oldest->second->slots.getSizeInBytes(false));
    kept_.erase(oldest);
  }
}

size_t FilterIndex::kept_conditions() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return kept_.size();
}

uint64_t FilterIndex::memory_bytes() const {
  uint64_t bytes = fields_->memory_bytes();
  const absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [key, kept] : kept_) bytes += kept->slots.getSizeInBytes(false);
  return bytes;
}

}  // namespace vectron::shard
