#include "sim/append_check.h"

#include <fmt/format.h>

#include <cstdint>

namespace vectron::sim {
namespace {

// Fields of eraftpb.Message, and of eraftpb.Entry.
constexpr uint64_t kLogTerm = 5;
constexpr uint64_t kIndex = 6;
constexpr uint64_t kEntries = 7;
constexpr uint64_t kEntryTerm = 2;
constexpr uint64_t kEntryIndex = 3;

// Reads protobuf fields that are numbers or bytes; the messages here have no others.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  // False at the end, or where the bytes make no sense.
  bool Next() {
    if (rest_.empty()) return false;
    uint64_t tag = 0;
    if (!ReadNumber(tag) || !ReadNumber(number) || ((tag & 7) != 0 && (tag & 7) != 2)) {
      return Fail();
    }
    field = tag >> 3;
    bytes = {};
    if ((tag & 7) == 0) return true;
    if (number > rest_.size()) return Fail();
    bytes = rest_.substr(0, number);
    rest_.remove_prefix(number);
    return true;
  }
  bool ok() const { return ok_; }

  uint64_t field = 0;
  uint64_t number = 0;
  std::string_view bytes;

 private:
  bool ReadNumber(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool Fail() {
    ok_ = false;
    return false;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string AppendFault(std::string_view message) {
  uint64_t term = 0;   // of the entry before, then of each in turn
  uint64_t index = 0;  // likewise
  bool readable = true;
  std::string fault;
  const auto take = [&](std::string_view entry) {
    uint64_t entry_term = 0;
    uint64_t entry_index = 0;
    FieldReader fields(entry);
    while (fields.Next()) {
      if (fields.field == kEntryTerm) entry_term = fields.number;
      if (fields.field == kEntryIndex) entry_index = fields.number;
    }
    readable = readable && fields.ok();
    if (fault.empty() && (entry_index != index + 1 || entry_term < term)) {
      fault = fmt::format("entry {} of term {} follows entry {} of term {}", entry_index,
                          entry_term, index, term);
    }
    term = entry_term;
    index = entry_index;
  };
  FieldReader fields(message);
  while (fields.Next()) {
    if (fields.field == kLogTerm) term = fields.number;
    if (fields.field == kIndex) index = fields.number;
    if (fields.field == kEntries) take(fields.bytes);  // in the order of their numbers
  }
  if (!readable || !fields.ok()) return "it cannot be read";
  return fault;
}

}  // namespace vectron::sim
