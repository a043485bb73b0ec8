#pragma once

// Whether an append message of the engine (consensus::kAppendMessage) is one: its entries follow
// the entry it names as the one before them, without a hole, and their terms never go down. With
// its batching on, the engine is known to break that (docs/adr/0008-consensus-engine.md), and a
// follower may then acknowledge what it does not have.

#include <string>
#include <string_view>

namespace vectron::sim {

// What is wrong with it; "": nothing.
std::string AppendFault(std::string_view message);

}  // namespace vectron::sim
