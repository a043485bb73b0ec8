#pragma once

// What a client is made of, for the files that implement its methods.

#include <memory>
#include <string>
#include <utility>

#include "connection.h"
#include "convert.h"
#include "vectron/client.h"

namespace vectron {

struct Client::Impl {
  Impl(const std::string& host, ClientOptions options)
      : connection(std::make_shared<internal::Connection>(host, std::move(options))) {}
  ~Impl() { connection->Close(); }

  // One unary call of the public service.
  template <typename Request, typename Response>
  Response Call(internal::Kind kind, const Request& request,
                grpc::Status (v1::VectronService::StubInterface::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*)) {
    Response response;
    connection->Run(kind, [&](grpc::ClientContext* context) {
      response.Clear();
      return (connection->vectron().*method)(context, request, &response);
    });
    return response;
  }
  // One unary call of the service of users and keys.
  template <typename Request, typename Response>
  Response CallAuth(internal::Kind kind, const Request& request,
                    grpc::Status (auth::v1::AuthService::StubInterface::*method)(
                        grpc::ClientContext*, const Request&, Response*)) {
    Response response;
    connection->Run(kind, [&](grpc::ClientContext* context) {
      response.Clear();
      return (connection->auth().*method)(context, request, &response);
    });
    return response;
  }

  size_t Send(const v1::UpsertRequest& request) {
    return static_cast<size_t>(
        Call(internal::Kind::kNamedWrite, request, &v1::VectronService::StubInterface::Upsert)
            .upserted());
  }

  std::shared_ptr<internal::Connection> connection;
};

}  // namespace vectron
