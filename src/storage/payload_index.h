#pragma once

// Which slots of a vector index hold which payload values: in-memory bitmaps over slots for the
// indexed fields of a shard.
//
// The owner feeds each new slot the values that the field's path yields (arrays entered) and asks
// for the slots that pass a condition. An answer has two disjoint parts: `matches` pass for sure;
// `unsure` must be checked against the stored payload. No other slot passes. Slots are unsure only
// where a value does not fit its field's type (text in an integer field, a keyword past
// kMaxKeywordBytes), so on data as declared every answer is exact. Slots of dead points stay until
// ClearSlots: the vector index hides them.
//
// Keywords are a dictionary with a posting list each. Numbers and times are a radix tree over
// order-preserving 64-bit keys whose inner nodes hold the union of what is below
// (docs/formats/payload-index.md), so a range is a few unions.
//
// Thread-safe: writers take a lock exclusively and briefly, queries share it. Conditions of one
// query may be asked one by one: a slot that a search can see does not change.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::storage {

// Values are written to disk.
enum class FieldType : uint8_t { kKeyword = 1, kInteger = 2, kFloat = 3, kBool = 4, kDatetime = 5 };

struct FieldSpec {
  std::string name;  // the path as written; unique
  FieldType type = FieldType::kKeyword;
};

// Nanoseconds since the Unix epoch; the ends of int64 stand for all times at or beyond them too.
struct TimeNanos {
  int64_t value = 0;
};

// A value of a payload or of a match. Text that is an RFC 3339 time is given as TimeNanos to a
// kDatetime field, and as text to the others.
using Scalar = std::variant<bool, int64_t, double, std::string_view, TimeNanos>;

// What one point has at one field.
struct FieldFacts {
  std::vector<Scalar>
      values;  // bools, numbers and texts; elements of arrays one by one; views live for the call
  bool exists = false;  // the path yields a value, null included
  bool empty = true;    // it yields none, or only null, "", [] or {}
};

struct NumberBounds {
  std::optional<double> gt, gte, lt, lte;  // never NaN
};
struct TimeBounds {
  std::optional<int64_t> gt, gte, lt, lte;  // as TimeNanos
};

class PayloadIndex {
 public:
  struct Answer {
    Roaring matches;
    Roaring unsure;  // disjoint from matches
  };

  explicit PayloadIndex(std::vector<FieldSpec> fields);
  ~PayloadIndex();
  PayloadIndex(const PayloadIndex&) = delete;
  PayloadIndex& operator=(const PayloadIndex&) = delete;

  // The index as Serialize wrote it. `fields`: as declared now. Errors: DataLoss (magic, length,
  // CRC), FailedPrecondition (newer format, or made for other fields).
  static absl::StatusOr<std::unique_ptr<PayloadIndex>> Parse(std::string_view bytes,
                                                             std::vector<FieldSpec> fields);
  // Magic, version, length, CRC32C and the contents.
  std::string Serialize() const;

  // Adds a slot. facts[i] belongs to fields()[i]. What was known of the slot before is forgotten.
  void Add(uint32_t slot, std::span<const FieldFacts> facts);
  // Forgets slots that became free; unknown ones are ignored.
  void ClearSlots(std::span<const uint32_t> slots);

  const std::vector<FieldSpec>& fields() const { return fields_; }
  // Position of a field by its path; nullopt when it is not indexed.
  std::optional<size_t> Find(std::string_view name) const;

  // The next three: nullopt when this field's index cannot tell.
  //
  // Slots with a value that equals any of `any_of`: same type, but 1 equals 1.0, exactly, not by
  // rounding to double. On a kDatetime field equal times may be different texts, so slots of an
  // equal time are unsure.
  std::optional<Answer> Match(size_t field, std::span<const Scalar> any_of) const;
  // Slots with a number within all bounds given. Whole numbers compare with bounds exactly, not by
  // rounding to double.
  std::optional<Answer> NumberRange(size_t field, const NumberBounds& bounds) const;
  // Slots with a text that is a time within all bounds given; unsure: those at an end of int64 when
  // a bound is there too. A kKeyword field does not know its times.
  std::optional<Answer> TimeRange(size_t field, const TimeBounds& bounds) const;
  Roaring Exists(size_t field) const;
  Roaring IsEmpty(size_t field) const;
  // All slots added and not cleared: what a negated condition is taken from.
  Roaring Slots() const;

  uint64_t memory_bytes() const;

 private:
  struct State;

  const std::vector<FieldSpec> fields_;
  std::unique_ptr<State> state_;
};

}  // namespace vectron::storage
