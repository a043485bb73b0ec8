#pragma once

// The console: a folder of static files, served from memory.
//
// The folder is read once, at start, so a path of a request is only ever looked up in a table:
// nothing outside of the folder can be reached by it. `x.gz` and `x.br` beside `x` are its
// compressed forms. Names with a hash (`assets/index-3fJk2mQ9.js`) are cached for good, everything
// else is asked for again each time (ETag). A browser's navigation to a path that is no file gets
// index.html, since the console routes by itself; nothing below /v1/ ever does.
//
// Every answer forbids what the console does not need: scripts, styles and connections of other
// origins, framing, sniffing of types. Of `index.html` two things are adapted: `<base href="./">`
// gets the path prefix under which a proxy serves us (from its header X-Forwarded-Prefix, or the
// option), and without one the way up from a path such as /collections/docs; and each
// `__CSP_NONCE__` a fresh number that lets style elements made by the page in.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "rpc/http_message.h"

namespace vectron::gateway {

inline constexpr size_t kMaxStaticFiles = 4'096;
inline constexpr size_t kMaxStaticBytes = size_t{64} << 20;
inline constexpr size_t kMaxStaticDepth = 8;
inline constexpr size_t kMaxPathPrefixBytes = 256;

struct StaticFilesOptions {
  std::string dir;
  // Path under which a proxy shows us when it does not say so, "/vectron"; empty: none.
  std::string path_prefix;
  // Fresh random bits; for nonces.
  std::function<uint64_t()> random;
};

// Immutable, and so thread-safe.
class StaticFiles {
 public:
  // Errors: NotFound (no index.html in the folder), ResourceExhausted (too many or too large),
  // InvalidArgument (path_prefix), what the disk says.
  static absl::StatusOr<std::unique_ptr<StaticFiles>> Load(StaticFilesOptions options,
                                                           FileSystem& files);

  // Answers a GET or HEAD; other verbs, and paths that are nothing here, 404 with the JSON error
  // body.
  rpc::HttpResponse Answer(const rpc::HttpRequest& request) const;
  // Whether a request comes from a browser that navigates: it accepts text/html by name.
  static bool WantsPage(const rpc::HttpRequest& request);

  size_t file_count() const { return table_.size(); }

 private:
  struct Form {
    std::string body;
    std::string etag;
  };
  struct Entry {
    std::string_view content_type;
    bool hashed = false;  // its name changes with its content
    Form plain;
    std::map<std::string, Form, std::less<>> compressed;  // by content coding: "br", "gzip"
  };
  explicit StaticFiles(StaticFilesOptions options) : options_(std::move(options)) {}
  absl::Status LoadFolder(const std::string& below, size_t depth, FileSystem& files);
  absl::Status Add(const std::string& name, std::string body);
  void AttachCompressed();

  rpc::HttpResponse AnswerPage(const rpc::HttpRequest& request) const;
  rpc::HttpResponse AnswerFile(const Entry& entry, const rpc::HttpRequest& request) const;
  // The prefix to show to this request's browser.
  std::string PrefixFor(const rpc::HttpRequest& request) const;

  const StaticFilesOptions options_;
  std::map<std::string, Entry, std::less<>> table_;  // by path without the first slash
  size_t total_bytes_ = 0;
};

// The best content coding of `available` ("br" before "gzip" at equal weight) that the header
// Accept-Encoding takes; empty: none, send the file as it is. RFC 9110, section 12.5.3.
std::string_view ChooseEncoding(std::string_view accept_encoding,
                                const std::function<bool(std::string_view)>& available);
// Whether a text is a harmless path prefix: "" or segments of unreserved characters, each after a
// slash.
bool IsPathPrefix(std::string_view text);

}  // namespace vectron::gateway
