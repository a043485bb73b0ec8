#pragma once

// A call without a connection, for tests of what runs before a handler.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "rpc/call_context.h"
#include "rpc/route_rule.h"

namespace vectron::rpc {

class FakeCallContext : public CallContext {
 public:
  explicit FakeCallContext(RouteRule route = {.name = "test.Route",
                                              .scope = options::SCOPE_READ,
                                              .rate_class = "read"})
      : route_(std::move(route)) {
    rule = &route_;
    client = "10.1.2.3";
  }
  std::optional<std::string_view> Header(std::string_view name) const override {
    const auto found = headers.find(name);
    if (found == headers.end()) return std::nullopt;
    return found->second;
  }
  std::string Peer() const override { return peer; }

  std::map<std::string, std::string, std::less<>> headers;
  std::string peer = "10.1.2.3:4000";

 private:
  const RouteRule route_;
};

inline IdentityPtr UserNamed(const std::string& id, Role role = Role::kUser,
                             CredentialKind kind = CredentialKind::kLogin,
                             Access access = Access::kAdmin) {
  auto identity = std::make_shared<Identity>();
  identity->user_id = id;
  identity->role = role;
  identity->kind = kind;
  identity->access = access;
  return identity;
}

}  // namespace vectron::rpc
