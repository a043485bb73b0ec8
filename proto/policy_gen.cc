// Makes the policy table from the options of the RPCs: one row per RPC, saying what a caller needs.
// Fails, and with it the build, when an RPC of ours says nothing.
//
//   vectron_policy_gen DESCRIPTOR_SET OUT

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <cstdio>
#include <optional>
#include <string>

#include "generator.h"
#include "vectron/options.pb.h"

namespace vectron {
namespace {

constexpr char kOurPackages[] = "vectron.";

// Appends the rows of one service; false, with a message, when an RPC has no scope.
bool AppendService(const google::protobuf::FileDescriptorProto& file,
                   const google::protobuf::ServiceDescriptorProto& service, std::string& rows) {
  bool good = true;
  for (const auto& method : service.method()) {
    const std::string name = file.package() + "." + service.name() + "." + method.name();
    const options::Route& route = method.options().GetExtension(options::route);
    if (route.scope() == options::SCOPE_UNSPECIFIED || !options::Scope_IsValid(route.scope())) {
      std::fprintf(stderr,
                   "%s: error: %s does not say who may call it: give it option "
                   "(vectron.options.route) = {scope: ...}\n",
                   file.name().c_str(), name.c_str());
      good = false;
      continue;
    }
    rows += "{\"" + name + "\", \"" + route.verb() + "\", \"" + route.path() + "\", " +
            "options::" + options::Scope_Name(route.scope()) + ", \"" +
            (route.rate_class().empty() ? "read" : route.rate_class()) + "\"},\n";
  }
  return good;
}

std::optional<std::string> Table(const google::protobuf::FileDescriptorSet& set) {
  std::string rows;
  bool good = true;
  for (const auto& file : set.file()) {
    if (file.package().rfind(kOurPackages, 0) != 0) continue;
    for (const auto& service : file.service()) good = AppendService(file, service, rows) && good;
  }
  if (!good) return std::nullopt;
  return rows;
}

}  // namespace
}  // namespace vectron

int main(int argc, char** argv) { return vectron::Generate(argc, argv, vectron::Table); }
