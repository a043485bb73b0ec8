#include "apps/vectronctl/flags.h"

int main(int argc, char** argv) { return vectron::ctl::RunCommandLine(argc, argv); }
