#include "apps/vectron/socket_count.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>

namespace vectron {
namespace {

constexpr std::array<const char*, 2> kTables = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
constexpr std::string_view kEstablished = "01";

// The next word of a line, taken off it.
std::string_view Word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

uint64_t CountEstablished(std::string_view table, uint16_t local_port) {
  const std::string port = fmt::format(":{:04X}", local_port);
  uint64_t count = 0;
  while (!table.empty()) {
    std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(line.size() + 1, table.size()));
    Word(line);  // its number
    const std::string_view local = Word(line);
    Word(line);  // the other end
    if (local.ends_with(port) && Word(line) == kEstablished) ++count;
  }
  return count;
}

uint64_t EstablishedConnections(uint16_t local_port) {
  uint64_t count = 0;
  for (const char* const path : kTables) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    count += CountEstablished(text.str(), local_port);
  }
  return count;
}

}  // namespace vectron
