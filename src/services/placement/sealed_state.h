#pragma once

// What stands around a state on disk: 8 bytes that name it, u32 version, u64 length of the body,
// the body, u32 CRC32C of everything before it (docs/formats/catalog.md,
// docs/formats/placement-state.md).

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vectron::placement {

// magic: 8 bytes.
std::string Seal(std::string_view magic, std::string_view body);

// The body, a part of `bytes`; `what` names the state in errors: DataLoss (damaged, or something
// else), FailedPrecondition (intact, and of a newer version).
absl::StatusOr<std::string_view> Unseal(std::string_view magic, std::string_view what,
                                        std::string_view bytes);

}  // namespace vectron::placement
