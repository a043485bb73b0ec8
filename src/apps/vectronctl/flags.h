#pragma once

// The command line.

namespace vectron::ctl {

// Parses the arguments, runs the command, returns the exit code: 0 done, 1 an error, 2 a wrong
// command line.
int RunCommandLine(int argc, char** argv);

}  // namespace vectron::ctl
