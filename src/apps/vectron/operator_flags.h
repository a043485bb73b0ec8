#pragma once

#include "apps/vectron/operators.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

// Adds the flags about console, slow queries, samples and alerts: those of every command that runs
// a gateway.
void AddOperatorFlags(CLI::App& command, OperatorOptions& options);

}  // namespace vectron
