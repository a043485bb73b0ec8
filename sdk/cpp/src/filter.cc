#include "vectron/filter.h"

#include <utility>

#include "convert.h"

namespace vectron {

// Either one condition, or a group.
struct Filter::Node {
  bool is_group = false;
  v1::Condition condition;
  v1::Filter group;
};

namespace {

Filter Make(v1::Condition condition) {
  auto node = std::make_shared<Filter::Node>();
  node->condition = std::move(condition);
  return Filter(std::move(node));
}
Filter Make(v1::Filter group) {
  auto node = std::make_shared<Filter::Node>();
  node->is_group = true;
  node->group = std::move(group);
  return Filter(std::move(node));
}

v1::Condition ConditionOf(const Filter& filter) {
  if (!filter.node().is_group) return filter.node().condition;
  v1::Condition condition;
  *condition.mutable_filter() = filter.node().group;
  return condition;
}

// Chains of && stay flat: a group without alternatives gives its parts.
void AddAll(const Filter& filter, v1::Filter* out) {
  const v1::Filter& group = filter.node().group;
  if (!filter.node().is_group || group.should_size() > 0) {
    *out->add_must() = ConditionOf(filter);
    return;
  }
  out->mutable_must()->MergeFrom(group.must());
  out->mutable_must_not()->MergeFrom(group.must_not());
}

// So do chains of ||: a group of nothing but alternatives gives them.
void AddAny(const Filter& filter, v1::Filter* out) {
  const v1::Filter& group = filter.node().group;
  if (filter.node().is_group && group.should_size() > 0 && group.must_size() == 0 &&
      group.must_not_size() == 0 && group.min_should() == 0) {
    out->mutable_should()->MergeFrom(group.should());
  } else {
    *out->add_should() = ConditionOf(filter);
  }
}

v1::Condition At(const std::string& path) {
  v1::Condition condition;
  condition.set_field(path);
  return condition;
}

Filter Bound(const std::string& path, const Value& value,
             google::protobuf::Value* (v1::Range::*which)()) {
  v1::Condition condition = At(path);
  internal::ToProto(value, "filter on " + path, (condition.mutable_range()->*which)());
  return Make(std::move(condition));
}

}  // namespace

Filter operator&&(const Filter& left, const Filter& right) {
  v1::Filter group;
  AddAll(left, &group);
  AddAll(right, &group);
  return Make(std::move(group));
}
Filter operator||(const Filter& left, const Filter& right) {
  v1::Filter group;
  AddAny(left, &group);
  AddAny(right, &group);
  return Make(std::move(group));
}
Filter operator!(const Filter& filter) {
  v1::Filter group;
  *group.add_must_not() = ConditionOf(filter);
  return Make(std::move(group));
}
Filter AtLeast(size_t count, const std::vector<Filter>& parts) {
  if (count < 1 || count > parts.size()) {
    throw InvalidArgumentError("AtLeast(" + std::to_string(count) + ") of " +
                               std::to_string(parts.size()) +
                               " parts: the count must be from 1 to that");
  }
  v1::Filter group;
  for (const Filter& part : parts) *group.add_should() = ConditionOf(part);
  group.set_min_should(static_cast<uint32_t>(count));
  return Make(std::move(group));
}
Filter HasId(const std::vector<std::string>& ids) {
  v1::Condition condition;
  condition.mutable_has_id()->Assign(ids.begin(), ids.end());
  return Make(std::move(condition));
}

Field::Field(std::string path) : path_(std::move(path)) {
  if (path_.empty()) {
    throw InvalidArgumentError("a filter needs a path: Field(\"section\"), not Field(\"\")");
  }
}

Filter Field::OneOf(const std::vector<Value>& values) const {
  return *this == Value(Value::Array(values));
}
Filter Field::Between(const Value& low, const Value& high) const {
  v1::Condition condition = At(path_);
  internal::ToProto(low, "filter on " + path_, condition.mutable_range()->mutable_gte());
  internal::ToProto(high, "filter on " + path_, condition.mutable_range()->mutable_lte());
  return Make(std::move(condition));
}
Filter Field::Exists() const {
  v1::Condition condition = At(path_);
  condition.set_exists(true);
  return Make(std::move(condition));
}
Filter Field::IsEmpty() const {
  v1::Condition condition = At(path_);
  condition.set_is_empty(true);
  return Make(std::move(condition));
}

Filter operator==(const Field& field, const Value& value) {
  v1::Condition condition = At(field.path_);
  internal::ToProto(value, "filter on " + field.path_, condition.mutable_match());
  return Make(std::move(condition));
}
Filter operator!=(const Field& field, const Value& value) { return !(field == value); }
Filter operator<(const Field& field, const Value& value) {
  return Bound(field.path_, value, &v1::Range::mutable_lt);
}
Filter operator<=(const Field& field, const Value& value) {
  return Bound(field.path_, value, &v1::Range::mutable_lte);
}
Filter operator>(const Field& field, const Value& value) {
  return Bound(field.path_, value, &v1::Range::mutable_gt);
}
Filter operator>=(const Field& field, const Value& value) {
  return Bound(field.path_, value, &v1::Range::mutable_gte);
}

namespace internal {

v1::Filter ToProto(const Filter& filter) {
  if (filter.node().is_group) return filter.node().group;
  v1::Filter whole;
  *whole.add_must() = filter.node().condition;
  return whole;
}

}  // namespace internal
}  // namespace vectron
