#pragma once

// What a client is made of, for the files that implement its methods.

#include <functional>
#include <memory>
#include <span>
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
                                                                          Response*),
                Timeout timeout = {}) {
    Response response;
    const auto attempt = [&](grpc::ClientContext* context) {
      response.Clear();
      return (connection->vectron().*method)(context, request, &response);
    };
    connection->Run(kind, attempt, timeout);
    return response;
  }
  // One unary call of the service of users and keys.
  template <typename Request, typename Response>
  Response CallAuth(internal::Kind kind, const Request& request,
                    grpc::Status (auth::v1::AuthService::StubInterface::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    Timeout timeout) {
    Response response;
    const auto attempt = [&](grpc::ClientContext* context) {
      response.Clear();
      return (connection->auth().*method)(context, request, &response);
    };
    connection->Run(kind, attempt, timeout);
    return response;
  }

  // Writes points in requests one after the other; an error says which failed.
  void SendInOrder(const std::string& collection, std::span<const Point> points,
                   const WriteOptions& options, bool return_versions,
                   const std::function<void(const v1::UpsertResponse&)>& take);

  std::shared_ptr<internal::Connection> connection;
};

}  // namespace vectron
