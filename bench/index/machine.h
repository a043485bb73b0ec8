#pragma once

// What a figure depends on: the machine, its load, clocks and memory.

#include <cstdint>
#include <functional>
#include <string>

#include "bench/index/json.h"

namespace vectron::bench {

// CPU seconds of the calling thread, and seconds of the clock.
double ThreadCpuSeconds();
double WallSeconds();
// Ties the calling thread to one processor (-1: leaves it free).
void PinToProcessor(int processor);

// Anonymous memory of this process, what it shares with the one it was forked from included; the
// allocator's free memory is given back first.
uint64_t AnonymousBytes();

// Runs `body` in a child process and returns the text it returned; "" when it died. So that one
// measurement's memory does not show in another's.
std::string RunInChild(const std::function<std::string()>& body);

// Processor, processors, kernel, load averages and the project's commit, as fields of the open
// object.
void DescribeMachine(JsonWriter& json);

}  // namespace vectron::bench
