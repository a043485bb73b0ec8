#include "sim/simulation.h"

#include <algorithm>

#include "base/random.h"
#include "sim/fleet_world.h"
#include "sim/group_world.h"

namespace vectron::sim {

SimulationOptions Drawn(SimulationOptions options) {
  Random random(Mix64(~options.seed));  // apart from the run's own chance
  const int64_t fault_ms =
      15'000 + static_cast<int64_t>(std::min(random.Below(45'001), random.Below(45'001)));
  const uint32_t nodes = random.OneIn(3) ? 4 + static_cast<uint32_t>(random.Below(4)) : 3;
  if (options.fault_ms == 0) options.fault_ms = fault_ms;
  if (options.nodes == 0) options.nodes = nodes;
  return options;
}

SimulationReport RunSimulation(const SimulationOptions& options) {
  const SimulationOptions drawn = Drawn(options);
  return drawn.fleet ? FleetWorld(drawn).Run() : GroupWorld(drawn).Run();
}

}  // namespace vectron::sim
