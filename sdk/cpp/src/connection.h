#pragma once

// What every call shares: channels, credential, deadlines, retries; blocking and asynchronous.

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "errors.h"
#include "retry.h"
#include "vectron/auth.grpc.pb.h"
#include "vectron/management.grpc.pb.h"
#include "vectron/types.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron::internal {

double Jitter();  // in [0, 1), of this thread

// Thread-safe.
class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  // Throws InvalidArgumentError for a host that is none.
  Connection(std::string host, ClientOptions options);

  const std::string& host() const { return host_; }
  const ClientOptions& options() const { return options_; }
  v1::VectronService::StubInterface& vectron() { return *vectron_; }
  v1::VectronService::Stub& vectron_async() { return *vectron_; }
  auth::v1::AuthService::StubInterface& auth() { return *auth_; }
  management::v1::ManagementService::StubInterface& management() { return *management_; }
  // Wins over the options' credential from now on; empty: no longer.
  void SetLogin(std::string token);

  // Sets deadline and credential of an attempt.
  void Prepare(grpc::ClientContext* context, std::chrono::milliseconds left) const;
  // Cancels what is under way and refuses what comes.
  void Close();
  bool closed() const { return closed_; }

  // A call of this many under way keeps Close waiting; false: closed already.
  bool Enter(grpc::ClientContext* context);
  // Left in two steps: a context that nobody else keeps, and which holds the channel, goes in
  // between.
  void Leaving(grpc::ClientContext* context);
  void HasLeft();
  // Sleeps, but no longer than until Close; false: closed.
  bool Sleep(std::chrono::milliseconds pause);

  // Makes attempts until one succeeds, none is worth more, or the time is over; throws the last
  // one's error. attempt(context) -> grpc::Status; what it throws ends the call and passes through.
  template <typename Attempt>
  void Run(Kind kind, Attempt attempt, Timeout timeout = {}) {
    const Clock::time_point ends = EndOf(timeout);
    for (int made = 1;; ++made) {
      grpc::ClientContext context;
      Prepare(&context, Left(ends));
      const grpc::Status status = [&] {
        const UnderWay call(this, &context);
        return attempt(&context);
      }();
      if (status.ok()) return;
      const Failure failure = FailureOf(status);
      const auto pause = PauseBefore(options_.retry, failure, kind, made, Left(ends), Jitter());
      if (!pause || !Sleep(*pause)) Throw(failure, host_);
    }
  }

  // When a call that begins now is over.
  Clock::time_point EndOf(Timeout timeout) const {
    return Clock::now() + timeout.value_or(options_.timeout);
  }
  static std::chrono::milliseconds Left(Clock::time_point ends) {
    return std::max(std::chrono::milliseconds(1),
                    std::chrono::duration_cast<std::chrono::milliseconds>(ends - Clock::now()));
  }

 private:
  // A blocking call under way; one that is left by an exception is cancelled.
  class UnderWay {
   public:
    // Throws CancelledError when the connection is closed.
    UnderWay(Connection* connection, grpc::ClientContext* context);
    ~UnderWay();
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

   private:
    Connection* connection_;
    grpc::ClientContext* context_;
    int exceptions_;
  };

  std::shared_ptr<grpc::Channel> Open(const std::string& host) const;

  std::string host_;
  ClientOptions options_;
  std::unique_ptr<v1::VectronService::Stub> vectron_;
  std::unique_ptr<auth::v1::AuthService::Stub> auth_;
  std::unique_ptr<management::v1::ManagementService::Stub> management_;
  std::atomic<bool> closed_ = false;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string login_;
  std::vector<grpc::ClientContext*> under_way_;
  int leaving_ = 0;
};

// One call without a waiting thread: lives until its promise is set, kept by its own callbacks.
template <typename Request, typename Response, typename Result>
class AsyncCall : public std::enable_shared_from_this<AsyncCall<Request, Response, Result>> {
 public:
  using Start = void (*)(Connection&, grpc::ClientContext*, const Request*, Response*,
                         std::function<void(grpc::Status)>);
  using Parse = Result (*)(Response&&);

  static std::future<Result> Begin(std::shared_ptr<Connection> connection, Kind kind,
                                   Timeout timeout, Request request, Start start, Parse parse) {
    auto call = std::make_shared<AsyncCall>(std::move(connection), kind, timeout,
                                            std::move(request), start, parse);
    std::future<Result> result = call->promise_.get_future();
    call->Attempt();
    return result;
  }

  AsyncCall(std::shared_ptr<Connection> connection, Kind kind, Timeout timeout, Request request,
            Start start, Parse parse)
      : connection_(std::move(connection)),
        kind_(kind),
        request_(std::move(request)),
        start_(start),
        parse_(parse),
        ends_(connection_->EndOf(timeout)) {}

 private:
  void Attempt() {
    ++made_;
    context_ = std::make_unique<grpc::ClientContext>();
    response_ = Response();
    try {
      connection_->Prepare(context_.get(), Connection::Left(ends_));
    } catch (...) {  // of the caller's credential source
      return promise_.set_exception(std::current_exception());
    }
    if (!connection_->Enter(context_.get())) {
      return Fail({Code::kCancelled, "the client is closed", {}});
    }
    start_(*connection_, context_.get(), &request_, &response_,
           [self = this->shared_from_this()](const grpc::Status& status) { self->Done(status); });
  }

  void Done(const grpc::Status& status) {
    if (status.ok()) {
      try {
        if constexpr (std::is_void_v<Result>) {
          parse_(std::move(response_));
          promise_.set_value();
        } else {
          promise_.set_value(parse_(std::move(response_)));
        }
      } catch (...) {
        promise_.set_exception(std::current_exception());
      }
      return Leave();
    }
    const Failure failure = FailureOf(status);
    const auto pause = PauseBefore(connection_->options().retry, failure, kind_, made_,
                                   Connection::Left(ends_), Jitter());
    if (!pause || connection_->closed()) {
      Fail(failure);
      return Leave();
    }
    Leave();
    // The alarm belongs to this object, which its callback keeps; the next attempt sets another.
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + *pause,
                [self = this->shared_from_this()](bool) { self->Attempt(); });
  }

  void Leave() {
    connection_->Leaving(context_.get());
    context_.reset();
    connection_->HasLeft();
  }

  void Fail(const Failure& failure) {
    promise_.set_exception(ToException(failure, connection_->host()));
  }

  std::shared_ptr<Connection> connection_;
  Kind kind_;
  Request request_;
  Start start_;
  Parse parse_;
  Connection::Clock::time_point ends_;
  int made_ = 0;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::Alarm> alarm_;
  Response response_;
  std::promise<Result> promise_;
};

}  // namespace vectron::internal
