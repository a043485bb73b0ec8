#pragma once

// What the generators of this folder share: GENERATOR DESCRIPTOR_SET OUT.

#include <google/protobuf/descriptor.pb.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

namespace vectron {

// Writes what `make` makes of the set; nullopt: `make` has said why not. The process's exit code: 1
// for a set or an output that is none, 2 for a wrong command line.
inline int Generate(
    int argc, char** argv,
    const std::function<std::optional<std::string>(const google::protobuf::FileDescriptorSet&)>&
        make) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s DESCRIPTOR_SET OUT\n", argv[0]);
    return 2;
  }
  std::ifstream in(argv[1], std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  google::protobuf::FileDescriptorSet set;
  if (!in || !set.ParseFromString(bytes)) {
    std::fprintf(stderr, "%s is no descriptor set\n", argv[1]);
    return 1;
  }
  const std::optional<std::string> made = make(set);
  if (!made) return 1;
  std::ofstream out(argv[2], std::ios::binary | std::ios::trunc);
  out << *made;
  out.close();
  return out ? 0 : 1;
}

}  // namespace vectron
