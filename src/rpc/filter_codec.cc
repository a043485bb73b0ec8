// Filters between the gateway and the worker: worker_codec.h.

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/status.h"
#include "rpc/worker_codec.h"

namespace vectron::rpc {
namespace {

namespace wire_v1 = worker::v1;

void NumbersToWire(const NumberRange& range, wire_v1::NumberRange& wire) {
  if (range.gt.has_value()) wire.set_gt(*range.gt);
  if (range.gte.has_value()) wire.set_gte(*range.gte);
  if (range.lt.has_value()) wire.set_lt(*range.lt);
  if (range.lte.has_value()) wire.set_lte(*range.lte);
}

NumberRange NumbersOf(const wire_v1::NumberRange& wire) {
  NumberRange range;
  if (wire.has_gt()) range.gt = wire.gt();
  if (wire.has_gte()) range.gte = wire.gte();
  if (wire.has_lt()) range.lt = wire.lt();
  if (wire.has_lte()) range.lte = wire.lte();
  return range;
}

void InstantToWire(const Timestamp& time, wire_v1::Instant& wire) {
  wire.set_seconds(time.seconds);
  wire.set_nanos(time.nanos);
}

void TimesToWire(const TimeRange& range, wire_v1::TimeRange& wire) {
  if (range.gt.has_value()) InstantToWire(*range.gt, *wire.mutable_gt());
  if (range.gte.has_value()) InstantToWire(*range.gte, *wire.mutable_gte());
  if (range.lt.has_value()) InstantToWire(*range.lt, *wire.mutable_lt());
  if (range.lte.has_value()) InstantToWire(*range.lte, *wire.mutable_lte());
}

Timestamp InstantOf(const wire_v1::Instant& wire) { return {wire.seconds(), wire.nanos()}; }

TimeRange TimesOf(const wire_v1::TimeRange& wire) {
  TimeRange range;
  if (wire.has_gt()) range.gt = InstantOf(wire.gt());
  if (wire.has_gte()) range.gte = InstantOf(wire.gte());
  if (wire.has_lt()) range.lt = InstantOf(wire.lt());
  if (wire.has_lte()) range.lte = InstantOf(wire.lte());
  return range;
}

void ValueToWire(const MatchValue& value, wire_v1::MatchValue& wire) {
  if (const bool* flag = std::get_if<bool>(&value)) {
    wire.set_flag(*flag);
  } else if (const int64_t* whole = std::get_if<int64_t>(&value)) {
    wire.set_whole(*whole);
  } else if (const double* number = std::get_if<double>(&value)) {
    wire.set_number(*number);
  } else {
    wire.set_text(std::get<std::string>(value));
  }
}

struct TestToWire {
  wire_v1::ShardCondition& wire;

  void operator()(const MatchTest& test) const {
    wire_v1::MatchValues& values = *wire.mutable_match();
    for (const MatchValue& value : test.any_of) ValueToWire(value, *values.add_any_of());
  }
  void operator()(const NumberRange& range) const { NumbersToWire(range, *wire.mutable_numbers()); }
  void operator()(const TimeRange& range) const { TimesToWire(range, *wire.mutable_times()); }
  void operator()(const ExistsTest& test) const { wire.set_exists(test.wanted); }
  void operator()(const IsEmptyTest& test) const { wire.set_is_empty(test.wanted); }
  void operator()(const HasIdTest& test) const {
    wire_v1::PointIds& ids = *wire.mutable_has_id();
    for (const std::string& id : test.ids) ids.add_ids(id);
  }
  void operator()(const std::unique_ptr<Filter>& filter) const {
    ToWire(*filter, *wire.mutable_filter());
  }
};

// A client's filter, and the condition by which a gateway asks for some of its hits again.
constexpr size_t kMaxWireConditions = kMaxFilterConditions + 1;
constexpr size_t kMaxWireValues = kMaxFilterValues + kMaxRerankCandidates;

// Reads one filter with what is in it, within the bounds of a request's.
class FilterReader {
 public:
  absl::StatusOr<Filter> Read(const wire_v1::ShardFilter& wire, uint32_t depth) {
    if (depth > kMaxFilterDepth) {
      return InvalidArgument("filters are nested deeper than {} levels", kMaxFilterDepth);
    }
    Filter filter;
    RETURN_IF_ERROR(ReadAll(wire.must(), depth, filter.must));
    RETURN_IF_ERROR(ReadAll(wire.should(), depth, filter.should));
    RETURN_IF_ERROR(ReadAll(wire.must_not(), depth, filter.must_not));
    filter.min_should = wire.min_should();
    const bool any = !filter.should.empty();
    if (filter.min_should > filter.should.size() || any != (filter.min_should >= 1)) {
      return InvalidArgument("min_should: got {} for {} conditions", filter.min_should,
                             filter.should.size());
    }
    return filter;
  }

 private:
  template <typename Wires>
  absl::Status ReadAll(const Wires& wires, uint32_t depth, std::vector<Condition>& conditions) {
    for (const wire_v1::ShardCondition& wire : wires) {
      if (++conditions_ > kMaxWireConditions) {
        return InvalidArgument("the filter has more than {} conditions", kMaxWireConditions);
      }
      Condition& condition = conditions.emplace_back();
      RETURN_IF_ERROR(ReadTest(wire, depth, condition));
      const bool has_path = wire.test_case() != wire_v1::ShardCondition::kHasId &&
                            wire.test_case() != wire_v1::ShardCondition::kFilter;
      if (!has_path) continue;
      ASSIGN_OR_RETURN(condition.path, ParsePath(wire.path()));
    }
    return absl::OkStatus();
  }

  absl::Status ReadTest(const wire_v1::ShardCondition& wire, uint32_t depth, Condition& condition) {
    switch (wire.test_case()) {
      case wire_v1::ShardCondition::kMatch:
        return ReadMatch(wire.match(), condition);
      case wire_v1::ShardCondition::kNumbers:
        condition.test = NumbersOf(wire.numbers());
        return absl::OkStatus();
      case wire_v1::ShardCondition::kTimes:
        condition.test = TimesOf(wire.times());
        return absl::OkStatus();
      case wire_v1::ShardCondition::kExists:
        condition.test = ExistsTest{.wanted = wire.exists()};
        return absl::OkStatus();
      case wire_v1::ShardCondition::kIsEmpty:
        condition.test = IsEmptyTest{.wanted = wire.is_empty()};
        return absl::OkStatus();
      case wire_v1::ShardCondition::kHasId:
        return ReadIds(wire.has_id(), condition);
      case wire_v1::ShardCondition::kFilter: {
        ASSIGN_OR_RETURN(Filter inner, Read(wire.filter(), depth + 1));
        condition.test = std::make_unique<Filter>(std::move(inner));
        return absl::OkStatus();
      }
      case wire_v1::ShardCondition::TEST_NOT_SET:
        break;
    }
    return InvalidArgument("a condition of the filter has no test");
  }

  absl::Status CountValues(int count) {
    values_ += static_cast<size_t>(count);
    if (values_ <= kMaxWireValues) return absl::OkStatus();
    return InvalidArgument("the filter lists more than {} values", kMaxWireValues);
  }

  absl::Status ReadMatch(const wire_v1::MatchValues& wire, Condition& condition) {
    RETURN_IF_ERROR(CountValues(wire.any_of_size()));
    MatchTest test;
    for (const wire_v1::MatchValue& value : wire.any_of()) {
      switch (value.kind_case()) {
        case wire_v1::MatchValue::kFlag:
          test.any_of.emplace_back(value.flag());
          break;
        case wire_v1::MatchValue::kWhole:
          test.any_of.emplace_back(value.whole());
          break;
        case wire_v1::MatchValue::kNumber:
          if (!std::isfinite(value.number())) {
            return InvalidArgument("a value of the filter is not finite");
          }
          test.any_of.emplace_back(value.number());
          break;
        case wire_v1::MatchValue::kText:
          test.any_of.emplace_back(value.text());
          break;
        case wire_v1::MatchValue::KIND_NOT_SET:
          return InvalidArgument("a value of the filter is unset");
      }
    }
    test.sorted = std::is_sorted(test.any_of.begin(), test.any_of.end());
    condition.test = std::move(test);
    return absl::OkStatus();
  }

  absl::Status ReadIds(const wire_v1::PointIds& wire, Condition& condition) {
    RETURN_IF_ERROR(CountValues(wire.ids_size()));
    HasIdTest test;
    test.ids.assign(wire.ids().begin(), wire.ids().end());
    test.sorted = std::is_sorted(test.ids.begin(), test.ids.end());
    condition.test = std::move(test);
    return absl::OkStatus();
  }

  size_t conditions_ = 0;
  size_t values_ = 0;
};

}  // namespace

void ToWire(const Filter& filter, wire_v1::ShardFilter& wire) {
  const auto add_all = [](const std::vector<Condition>& conditions, auto& wires) {
    for (const Condition& condition : conditions) {
      wire_v1::ShardCondition& one = *wires.Add();
      one.set_path(condition.path.text);
      std::visit(TestToWire{one}, condition.test);
    }
  };
  add_all(filter.must, *wire.mutable_must());
  add_all(filter.should, *wire.mutable_should());
  add_all(filter.must_not, *wire.mutable_must_not());
  wire.set_min_should(filter.min_should);
}

absl::StatusOr<Filter> FromWire(const wire_v1::ShardFilter& wire) {
  return FilterReader().Read(wire, 0);
}

}  // namespace vectron::rpc
