#pragma once

// Both directions of a record's bytes from one list of its fields: a record has a function
//
//   template <typename Archive>
//   void Fields(Archive& archive, FieldsOf<Archive, Record>& record) {
//     archive(record.a, record.b);
//   }
//
// and Encoder and Decoder walk it. Whole numbers are varints, signed ones zigzag, texts and lists
// have their length first. Equal records give equal bytes: lists keep their order, maps and sets
// are ordered.

#include <concepts>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace vectron::placement {

template <typename Archive, typename Record>
using FieldsOf = std::conditional_t<Archive::kWriting, const Record, Record>;

// A strong type around one whole number (ids).
template <typename T>
concept IdLike = requires(T t) {
  { t.value } -> std::convertible_to<uint64_t>;
}
&&std::is_aggregate_v<T> && (sizeof(T) <= sizeof(uint64_t));

class Encoder {
 public:
  static constexpr bool kWriting = true;

  template <typename... T>
  void operator()(const T&... fields) {
    (One(fields), ...);
  }
  std::string Take() { return std::move(out_); }

 private:
  template <typename T>
  void One(const T& field) {
    if constexpr (std::is_same_v<T, bool> || std::is_enum_v<T> || std::unsigned_integral<T>) {
      PutVarint(out_, static_cast<uint64_t>(field));
    } else if constexpr (std::signed_integral<T>) {
      const auto wide = static_cast<int64_t>(field);
      PutVarint(out_, static_cast<uint64_t>(wide) << 1 ^ static_cast<uint64_t>(wide >> 63));
    } else if constexpr (IdLike<T>) {
      PutVarint(out_, field.value);
    } else {
      Fields(*this, field);
    }
  }
  void One(const std::string& field) { PutLengthPrefixed(out_, field); }
  template <typename A, typename B>
  void One(const std::pair<A, B>& field) {
    One(field.first);
    One(field.second);
  }
  template <typename T>
  void One(const std::vector<T>& field) {
    List(field);
  }
  template <typename T>
  void One(const std::set<T>& field) {
    List(field);
  }
  template <typename K, typename V>
  void One(const std::map<K, V>& field) {
    List(field);
  }
  template <typename List_>
  void List(const List_& list) {
    PutVarint(out_, list.size());
    for (const auto& element : list) One(element);
  }

  std::string out_;
};

// Reads what an Encoder wrote. Check done() at the end: bytes that do not read like the record, or
// stand behind its end, make it false; fields are then unspecified.
class Decoder {
 public:
  static constexpr bool kWriting = false;

  explicit Decoder(std::string_view bytes) : reader_(bytes) {}

  template <typename... T>
  void operator()(T&... fields) {
    (One(fields), ...);
  }
  bool ok() const { return ok_ && reader_.ok(); }
  bool done() const { return ok() && reader_.remaining() == 0; }

 private:
  uint64_t Number(uint64_t max) {
    uint64_t value = 0;
    if (!reader_.ReadVarint(value) || value > max) ok_ = false;
    return ok() ? value : 0;
  }
  template <typename T>
  void One(T& field) {
    if constexpr (std::is_same_v<T, bool>) {
      field = Number(1) != 0;
    } else if constexpr (std::is_enum_v<T>) {
      field = static_cast<T>(Number(0xff));
    } else if constexpr (std::unsigned_integral<T>) {
      field = static_cast<T>(Number(std::numeric_limits<T>::max()));
    } else if constexpr (std::signed_integral<T>) {
      const uint64_t zigzag = Number(~uint64_t{0});
      field = static_cast<T>(static_cast<int64_t>(zigzag >> 1 ^ (~(zigzag & 1) + 1)));
    } else if constexpr (IdLike<T>) {
      One(field.value);
    } else {
      Fields(*this, field);
    }
  }
  void One(std::string& field) {
    std::string_view bytes;
    if (reader_.ReadLengthPrefixed(bytes)) field = bytes;
  }
  template <typename A, typename B>
  void One(std::pair<A, B>& field) {
    One(field.first);
    One(field.second);
  }
  template <typename T>
  void One(std::vector<T>& field) {
    field.clear();
    for (uint64_t left = Count(); left > 0 && ok(); --left) One(field.emplace_back());
  }
  template <typename T>
  void One(std::set<T>& field) {
    field.clear();
    for (uint64_t left = Count(); left > 0 && ok(); --left) {
      T element{};
      One(element);
      if (!field.insert(std::move(element)).second) ok_ = false;
    }
  }
  template <typename K, typename V>
  void One(std::map<K, V>& field) {
    field.clear();
    for (uint64_t left = Count(); left > 0 && ok(); --left) {
      std::pair<K, V> element{};
      One(element);
      if (!field.insert(std::move(element)).second) ok_ = false;
    }
  }
  // Every element takes at least a byte, so a damaged count cannot ask for more memory than there
  // are bytes.
  uint64_t Count() { return Number(reader_.remaining()); }

  ByteReader reader_;
  bool ok_ = true;
};

}  // namespace vectron::placement
