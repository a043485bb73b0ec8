#pragma once

// Connections as the kernel knows them, for servers that do not count theirs.

#include <cstdint>
#include <string_view>

namespace vectron {

// TCP connections of this machine (of its network namespace) that are established and end at
// `local_port` here. Reads /proc/self/net; 0 where there is none.
uint64_t EstablishedConnections(uint16_t local_port);

// The same in a text of the form of /proc/net/tcp.
uint64_t CountEstablished(std::string_view table, uint16_t local_port);

}  // namespace vectron
