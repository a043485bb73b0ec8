#include "sim/simulation.h"

#include "sim/fleet_world.h"
#include "sim/group_world.h"

namespace vectron::sim {

SimulationReport RunSimulation(const SimulationOptions& options) {
  return options.fleet ? FleetWorld(options).Run() : GroupWorld(options).Run();
}

}  // namespace vectron::sim
