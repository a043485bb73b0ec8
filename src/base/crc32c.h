#pragma once

// CRC32C (Castagnoli, RFC 3720 appendix B.4), by the SSE4.2 instruction where the machine has it,
// else by a table.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vectron {

// Extends `crc` (0 to begin) by `bytes`. Thread-safe.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

namespace crc32c_internal {
// The table twin, for tests and other machines.
uint32_t Crc32cPortable(std::string_view bytes, uint32_t crc = 0);
}  // namespace crc32c_internal

}  // namespace vectron
