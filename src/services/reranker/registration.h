#pragma once

// Makes a reranker known to placement, and keeps it known.
//
// Registers, then sends heartbeats; a placement that has forgotten it is told again. Thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/timer.h"
#include "rpc/placement_caller.h"

namespace vectron::reranker {

class Registration {
 public:
  // `address`: as gateways reach it. `capabilities`: Reranker::Strategies. What is borrowed
  // outlives it.
  Registration(std::string address, std::vector<std::string> capabilities,
               rpc::PlacementCaller& placement, const Clock& clock, Timer& timer);
  // Waits for the call under way.
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  struct State;
  static void Turn(const std::shared_ptr<State>& state);
  static void Register(const std::shared_ptr<State>& state);
  static void Plan(const std::shared_ptr<State>& state, std::string id);

  std::shared_ptr<State> state_;  // shared with the timer and the call under way
};

}  // namespace vectron::reranker
