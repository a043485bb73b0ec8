#include <google/protobuf/struct.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <charconv>
#include <string>
#include <utility>
#include <variant>

#include "base/limits.h"
#include "base/status.h"
#include "model/filter.h"
#include "model/payload_proto.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ProtoValue = google::protobuf::Value;

template <typename Message>
bool HasUnknownFields(const Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

// Whole numbers up to this size are the same as doubles.
constexpr int64_t kExactWhole = int64_t{1} << 53;
// {"int64": "9007199254740993"}: how a whole number is written whose digits a double does not keep.
constexpr char kWholeKey[] = "int64";

// The number of such an object; any other object is refused by the parser.
Value StructOperand(const google::protobuf::Struct& proto) {
  const auto member = proto.fields().find(kWholeKey);
  if (proto.fields().size() != 1 || member == proto.fields().end()) return Value(Object());
  const std::string& text = member->second.string_value();
  int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc() || stop != end) return Value(Object());
  return Value(whole);
}

// The tree of a match or a bound: scalars, and lists of scalars; numbers stay doubles, for the
// parser to judge.
Value OperandTree(const ProtoValue& proto, bool is_element) {
  switch (proto.kind_case()) {
    case ProtoValue::kBoolValue:
      return Value(proto.bool_value());
    case ProtoValue::kNumberValue:
      return Value(proto.number_value());
    case ProtoValue::kStringValue:
      return Value(proto.string_value());
    case ProtoValue::kStructValue:
      return StructOperand(proto.struct_value());
    case ProtoValue::kListValue:
      break;
    case ProtoValue::kNullValue:
    case ProtoValue::KIND_NOT_SET:
      return Value();
  }
  Array list;
  if (!is_element) {
    for (const ProtoValue& element : proto.list_value().values()) {
      list.push_back(OperandTree(element, true));
    }
  }
  return Value(std::move(list));
}

void AddOperand(Object& object, std::string_view key, const ProtoValue& proto) {
  object.emplace_back(key, OperandTree(proto, false));
}

absl::StatusOr<Value> FilterTree(const v1::Filter& proto, uint32_t depth);

absl::StatusOr<Value> RangeTree(const v1::Range& range) {
  if (HasUnknownFields(range)) return InvalidArgument("filter: a range has an unknown field");
  Object bounds;
  if (range.has_gt()) AddOperand(bounds, "gt", range.gt());
  if (range.has_gte()) AddOperand(bounds, "gte", range.gte());
  if (range.has_lt()) AddOperand(bounds, "lt", range.lt());
  if (range.has_lte()) AddOperand(bounds, "lte", range.lte());
  return Value(std::move(bounds));
}

absl::StatusOr<Value> ConditionTree(const v1::Condition& proto, uint32_t depth) {
  if (HasUnknownFields(proto)) return InvalidArgument("filter: a condition has an unknown field");
  Object members;
  if (!proto.field().empty()) members.emplace_back("field", Value(proto.field()));
  if (proto.has_match()) AddOperand(members, "match", proto.match());
  if (proto.has_range()) {
    ASSIGN_OR_RETURN(Value range, RangeTree(proto.range()));
    members.emplace_back("range", std::move(range));
  }
  if (proto.has_exists()) members.emplace_back("exists", Value(proto.exists()));
  if (proto.has_is_empty()) members.emplace_back("is_empty", Value(proto.is_empty()));
  if (proto.has_id_size() > 0) {
    Array ids;
    for (const std::string& id : proto.has_id()) ids.emplace_back(id);
    members.emplace_back("has_id", Value(std::move(ids)));
  }
  if (proto.has_filter()) {
    ASSIGN_OR_RETURN(Value filter, FilterTree(proto.filter(), depth + 1));
    members.emplace_back("filter", std::move(filter));
  }
  return Value(std::move(members));
}

// Filters deeper than the limit are cut one level behind it, where the parser refuses them.
absl::StatusOr<Value> FilterTree(const v1::Filter& proto, uint32_t depth) {
  if (HasUnknownFields(proto)) return InvalidArgument("filter: it has an unknown field");
  Object members;
  if (depth > kMaxFilterDepth) return Value(std::move(members));
  const auto add = [&](std::string_view key, const auto& conditions) -> absl::Status {
    if (conditions.empty()) return absl::OkStatus();
    Array list;
    for (const v1::Condition& condition : conditions) {
      ASSIGN_OR_RETURN(Value tree, ConditionTree(condition, depth));
      list.push_back(std::move(tree));
    }
    members.emplace_back(key, Value(std::move(list)));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add("must", proto.must()));
  RETURN_IF_ERROR(add("should", proto.should()));
  RETURN_IF_ERROR(add("must_not", proto.must_not()));
  members.emplace_back("min_should", Value(int64_t{proto.min_should()}));
  return Value(std::move(members));
}

void SetOperand(const MatchValue& value, ProtoValue& proto) {
  const int64_t* whole = std::get_if<int64_t>(&value);
  if (whole != nullptr && (*whole > kExactWhole || *whole < -kExactWhole)) {
    (*proto.mutable_struct_value()->mutable_fields())[kWholeKey].set_string_value(
        std::to_string(*whole));
    return;
  }
  std::visit([&](const auto& held) { ValueToProto(Value(held), proto); }, value);
}

// Writes the test of a condition; one overload per kind.
struct TestWriter {
  v1::Condition& proto;

  void operator()(const MatchTest& test) const {
    if (test.any_of.size() == 1) {
      SetOperand(test.any_of.front(), *proto.mutable_match());
      return;
    }
    auto* list = proto.mutable_match()->mutable_list_value();
    for (const MatchValue& value : test.any_of) SetOperand(value, *list->add_values());
  }
  void operator()(const NumberRange& range) const {
    v1::Range& bounds = *proto.mutable_range();
    if (range.gt) bounds.mutable_gt()->set_number_value(*range.gt);
    if (range.gte) bounds.mutable_gte()->set_number_value(*range.gte);
    if (range.lt) bounds.mutable_lt()->set_number_value(*range.lt);
    if (range.lte) bounds.mutable_lte()->set_number_value(*range.lte);
  }
  void operator()(const TimeRange& range) const {
    v1::Range& bounds = *proto.mutable_range();
    if (range.gt) bounds.mutable_gt()->set_string_value(FormatRfc3339(*range.gt));
    if (range.gte) bounds.mutable_gte()->set_string_value(FormatRfc3339(*range.gte));
    if (range.lt) bounds.mutable_lt()->set_string_value(FormatRfc3339(*range.lt));
    if (range.lte) bounds.mutable_lte()->set_string_value(FormatRfc3339(*range.lte));
  }
  void operator()(const ExistsTest& test) const { proto.set_exists(test.wanted); }
  void operator()(const IsEmptyTest& test) const { proto.set_is_empty(test.wanted); }
  void operator()(const HasIdTest& test) const {
    for (const std::string& id : test.ids) proto.add_has_id(id);
  }
  void operator()(const std::unique_ptr<Filter>& filter) const {
    FilterToProto(*filter, *proto.mutable_filter());
  }
};

}  // namespace

absl::StatusOr<Filter> FilterFromProto(const v1::Filter& proto) {
  ASSIGN_OR_RETURN(const Value tree, FilterTree(proto, 1));
  return FilterFromTree(tree);
}

void FilterToProto(const Filter& filter, v1::Filter& proto) {
  proto.Clear();
  const auto write = [](const std::vector<Condition>& conditions, auto& target) {
    for (const Condition& condition : conditions) {
      v1::Condition& added = *target.Add();
      added.set_field(condition.path.text);
      std::visit(TestWriter{added}, condition.test);
    }
  };
  write(filter.must, *proto.mutable_must());
  write(filter.should, *proto.mutable_should());
  write(filter.must_not, *proto.mutable_must_not());
  proto.set_min_should(filter.min_should);
}

}  // namespace vectron
