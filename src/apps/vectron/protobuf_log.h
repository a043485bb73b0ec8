#pragma once

// What protobuf has to say goes into the log of this process, not raw to standard error.

namespace vectron {

// From now on: at most one line in ten seconds, since clients can cause them (text that is no
// UTF-8) as often as they like. Before other threads are there.
void TakeProtobufLog();

}  // namespace vectron
