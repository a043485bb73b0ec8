#pragma once

// Prepared requests and what their answers say, for both wires.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/load/wire.h"

namespace vectron::load {

struct SearchSpec {
  std::string collection = {};
  uint32_t k = 10;
  uint32_t ef = 0;  // 0: the server's choice
  bool exact = false;
  std::string filter_json = {};   // "" for none
  std::string consistency = {};   // STRONG, BOUNDED or EVENTUAL; "" for the collection's
  bool include_metadata = false;  // ids and scores are what is measured
};

inline constexpr const char* kSearchMethod = "/vectron.v1.VectronService/Search";
inline constexpr const char* kUpsertMethod = "/vectron.v1.VectronService/Upsert";

// The bytes of one search as Wire::Ask wants them. InvalidArgument: the filter or the consistency
// is none.
absl::StatusOr<std::string> SearchRequestBytes(WireKind kind, const std::string& address,
                                               const SearchSpec& spec,
                                               std::span<const float> vector);
// The bytes of an upsert of one point without payload.
std::string UpsertRequestBytes(WireKind kind, const std::string& address,
                               const std::string& collection, const std::string& id,
                               std::span<const float> vector);

// The ids of a search's answer, in order. DataLoss when it cannot be read.
absl::StatusOr<std::vector<std::string>> AnswerIds(WireKind kind, const std::string& body);

// How many of `truth` (ids as row numbers, kNoRow ends it) are among the first k ids.
size_t CountFound(const std::vector<std::string>& ids, std::span<const uint32_t> truth, size_t k);

}  // namespace vectron::load
