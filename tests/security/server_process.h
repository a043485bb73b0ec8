#pragma once

// The real program as a child process, and plain ways to talk to it.

#include <fcntl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "rpc/http_client_testing.h"

namespace vectron {

// `vectron ARGUMENTS...`, ended with the object.
class ServerProcess {
 public:
  // log: gets its standard error, behind what is there.
  ServerProcess(const std::vector<std::string>& arguments, const std::string& log) {
    int out[2];
    CHECK_EQ(::pipe2(out, O_CLOEXEC), 0);
    const char* const binary = std::getenv("VECTRON_BINARY");
    std::vector<std::string> words = {binary != nullptr ? binary : "build/release/bin/vectron"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    CHECK_NE(pid_, -1);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // not to outlive a test that crashes
      ::dup2(out[1], STDOUT_FILENO);
      ::dup2(::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644), STDERR_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    std::FILE* const lines = ::fdopen(out[0], "r");
    char line[1024] = {};
    const bool ready = std::fgets(line, sizeof line, lines) != nullptr;
    std::fclose(lines);
    if (!ready) ADD_FAILURE() << "it did not start: " << *NewPosixFileSystem()->ReadAll(log);
    CHECK(ready);
    ready_line_ = line;
  }
  ~ServerProcess() { Stop(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  void Stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    pid_ = -1;
  }
  // "127.0.0.1:40000" of "http" or "grpc".
  std::string address(const std::string& name) const { return Value("\"" + name + "\":\""); }
  uint16_t port(const std::string& name) const {
    const std::string text = address(name);
    return static_cast<uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
  }

 private:
  std::string Value(const std::string& key) const {
    const size_t begin = ready_line_.find(key);
    CHECK(begin != std::string::npos);
    return ready_line_.substr(begin + key.size(),
                              ready_line_.find('"', begin + key.size()) - begin - key.size());
  }

  pid_t pid_ = -1;
  std::string ready_line_;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

inline Headers Bearer(const std::string& credential) {
  return {{"authorization", "Bearer " + credential}};
}

// One request on a connection of its own.
inline rpc::RawResponse Http(uint16_t port, const std::string& verb, const std::string& path,
                             const Headers& headers, const std::string& body = "") {
  std::string text = verb + " " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (verb != "GET") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  rpc::RawClient client(port);
  client.Send(text + "\r\n" + body);
  return client.Receive();
}

// The text of a field of a flat JSON object; "" when there is none.
inline std::string Field(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const size_t begin = json.find(key);
  if (begin == std::string::npos) return {};
  return json.substr(begin + key.size(), json.find('"', begin + key.size()) - begin - key.size());
}

struct GrpcAnswer {
  grpc::Status status;
  std::string bytes;
};
// A unary call of any method ("/package.Service/Method") with a serialised request.
inline GrpcAnswer Grpc(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                       const Headers& headers, const std::string& request = "",
                       std::chrono::milliseconds patience = std::chrono::seconds(30)) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  for (const auto& [name, value] : headers) context.AddMetadata(name, value);
  const grpc::Slice slice(request);
  const grpc::ByteBuffer in(&slice, 1);
  grpc::ByteBuffer out;
  GrpcAnswer answer;
  absl::Notification done;
  stub.UnaryCall(&context, path, grpc::StubOptions(), &in, &out, [&](grpc::Status status) {
    answer.status = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  if (answer.status.ok()) {
    std::vector<grpc::Slice> slices;
    if (out.Dump(&slices).ok()) {
      for (const grpc::Slice& part : slices)
        answer.bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
  }
  return answer;
}

}  // namespace vectron
