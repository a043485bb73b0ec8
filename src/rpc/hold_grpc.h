#pragma once

#include <grpc/grpc.h>

namespace vectron::rpc {

// Keeps gRPC until the process ends. When its last user goes, gRPC 1.51 takes itself down while a
// thread of its callback API may still poll, which crashes.
inline void HoldGrpc() {
  [[maybe_unused]] static const bool held = [] {
    grpc_init();
    return true;
  }();
}

}  // namespace vectron::rpc
