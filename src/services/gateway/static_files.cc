#include "services/gateway/static_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/route_table.h"

namespace vectron::gateway {
namespace {

using rpc::HttpRequest;
using rpc::HttpResponse;
using rpc::HttpVerb;

constexpr std::string_view kIndex = "index.html";
constexpr std::string_view kBaseTag = "<base href=\"./\">";
constexpr std::string_view kNonceMark = "__CSP_NONCE__";
constexpr size_t kHashLength = 8;  // of a build tool's names

struct TypeOf {
  std::string_view ending;
  std::string_view type;
};
constexpr std::array<TypeOf, 17> kTypes = {{{".html", "text/html; charset=utf-8"},
                                            {".js", "text/javascript; charset=utf-8"},
                                            {".mjs", "text/javascript; charset=utf-8"},
                                            {".css", "text/css; charset=utf-8"},
                                            {".json", "application/json"},
                                            {".map", "application/json"},
                                            {".webmanifest", "application/manifest+json"},
                                            {".txt", "text/plain; charset=utf-8"},
                                            {".svg", "image/svg+xml"},
                                            {".png", "image/png"},
                                            {".jpg", "image/jpeg"},
                                            {".webp", "image/webp"},
                                            {".ico", "image/x-icon"},
                                            {".woff2", "font/woff2"},
                                            {".woff", "font/woff"},
                                            {".ttf", "font/ttf"},
                                            {".wasm", "application/wasm"}}};

std::string_view ContentTypeOf(std::string_view name) {
  for (const TypeOf& known : kTypes) {
    if (name.ends_with(known.ending)) return known.type;
  }
  return "application/octet-stream";
}

// Whether a dash and eight letters are at the end: "index-3fJk2mQ9".
bool EndsWithHash(std::string_view stem) {
  if (stem.size() < kHashLength + 1 || stem[stem.size() - kHashLength - 1] != '-') return false;
  const std::string_view hash = stem.substr(stem.size() - kHashLength);
  return std::all_of(hash.begin(), hash.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
  });
}

// "assets/index-3fJk2mQ9.js", "assets/uPlot.esm-BScb58at.js.map": a hash before one of the dots.
bool HasHash(std::string_view name) {
  if (!name.starts_with("assets/")) return false;
  const std::string_view file = name.substr(name.rfind('/') + 1);
  for (size_t dot = file.find('.'); dot != std::string_view::npos; dot = file.find('.', dot + 1)) {
    if (EndsWithHash(file.substr(0, dot))) return true;
  }
  return false;
}

// Where our folder is, seen from a page at this path below it: "../" from "/collections/docs".
std::string FolderFrom(std::string_view path) {
  std::string folder;
  for (auto ups = std::count(path.begin(), path.end(), '/') - 1; ups > 0; --ups) folder += "../";
  return folder.empty() ? "./" : folder;
}

std::string Etag(std::string_view body, std::string_view coding) {
  return fmt::format("\"{:016x}{}{}\"", Hash64(body), coding.empty() ? "" : "-", coding);
}

// Whether If-None-Match names this tag (or all). Weak comparison, RFC 9110 section 13.1.2.
bool IsFresh(const HttpRequest& request, std::string_view etag) {
  const auto header = request.Header("if-none-match");
  if (!header) return false;
  return *header == "*" || header->find(etag) != std::string_view::npos;
}

std::string SecurityPolicy(std::string_view nonce) {
  return fmt::format(
      "default-src 'none'; script-src 'self'; style-src 'self'{}; img-src 'self' data: blob:; "
      "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action "
      "'self'; base-uri 'self'; frame-ancestors 'none'",
      nonce.empty() ? "" : fmt::format(" 'nonce-{}'", nonce));
}

void AddSecurityHeaders(HttpResponse& response, std::string_view nonce) {
  response.headers.emplace_back("Content-Security-Policy", SecurityPolicy(nonce));
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("X-Frame-Options", "DENY");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  response.headers.emplace_back("Permissions-Policy",
                                "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
}

HttpResponse NoSuchPath() { return rpc::ErrorResponse(NotFound("there is no such path")); }

void ReplaceAll(std::string& text, std::string_view mark, std::string_view by) {
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + by.size())) {
    text.replace(at, mark.size(), by);
  }
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls visit(item) for each part between commas.
void ForEachItem(std::string_view list, const std::function<void(std::string_view)>& visit) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    visit(Trim(list.substr(0, comma)));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

// The weight in "gzip;q=0.5": 1 without one, 0 when it is none.
double WeightOf(std::string_view parameters) {
  const size_t q = parameters.find("q=");
  if (q == std::string_view::npos) return 1;
  const std::string_view digits = Trim(parameters.substr(q + 2));
  double weight = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
  return error == std::errc() && weight >= 0 && weight <= 1 ? weight : 0;
}

}  // namespace

bool IsPathPrefix(std::string_view text) {
  if (text.empty()) return true;
  if (text.size() > kMaxPathPrefixBytes || text.front() != '/' || text.back() == '/') return false;
  bool segment_begins = false;
  std::string_view segment;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '/') {
      if (segment_begins) return false;  // "//host" would be another server
      segment_begins = true;
      continue;
    }
    if (segment_begins && c == '.') return false;  // no "." and ".."
    segment_begins = false;
    const bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-' || c == '~';
    if (!allowed) return false;
  }
  return true;
}

std::string_view ChooseEncoding(std::string_view accept_encoding,
                                const std::function<bool(std::string_view)>& available) {
  std::string_view best;
  double best_weight = 0;
  ForEachItem(accept_encoding, [&](std::string_view item) {
    const size_t semicolon = std::min(item.find(';'), item.size());
    const std::string_view coding = Trim(item.substr(0, semicolon));
    const double weight = WeightOf(item.substr(semicolon));
    if (weight <= 0) return;
    for (const std::string_view known : {"br", "gzip"}) {
      if (coding != known || !available(known)) continue;
      const bool better = weight > best_weight || (weight == best_weight && known == "br");
      if (!better) continue;
      best = known;
      best_weight = weight;
    }
  });
  return best;
}

absl::StatusOr<std::unique_ptr<StaticFiles>> StaticFiles::Load(StaticFilesOptions options,
                                                               FileSystem& files) {
  CHECK(options.random != nullptr);
  if (!IsPathPrefix(options.path_prefix)) {
    return InvalidArgument("\"{}\" is no path prefix such as /vectron", options.path_prefix);
  }
  std::unique_ptr<StaticFiles> loaded(new StaticFiles(std::move(options)));
  RETURN_IF_ERROR(loaded->LoadFolder("", 0, files));
  loaded->AttachCompressed();
  if (!loaded->table_.contains(kIndex)) {
    return NotFound("{}: there is no {}", loaded->options_.dir, kIndex);
  }
  return loaded;
}

absl::Status StaticFiles::LoadFolder(const std::string& below, size_t depth, FileSystem& files) {
  if (depth > kMaxStaticDepth) {
    return ResourceExhausted("{}: folders deeper than {}", options_.dir, kMaxStaticDepth);
  }
  const std::string path = below.empty() ? options_.dir : options_.dir + "/" + below;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(path));
  for (const std::string& name : names) {
    const std::string relative = below.empty() ? name : below + "/" + name;
    const std::string full = options_.dir + "/" + relative;
    if (files.List(full).ok()) {  // a folder
      RETURN_IF_ERROR(LoadFolder(relative, depth + 1, files));
      continue;
    }
    ASSIGN_OR_RETURN(std::string body, files.ReadAll(full));
    RETURN_IF_ERROR(Add(relative, std::move(body)));
  }
  return absl::OkStatus();
}

absl::Status StaticFiles::Add(const std::string& name, std::string body) {
  total_bytes_ += body.size();
  if (table_.size() >= kMaxStaticFiles || total_bytes_ > kMaxStaticBytes) {
    return ResourceExhausted("{}: more than {} files or {} bytes", options_.dir, kMaxStaticFiles,
                             kMaxStaticBytes);
  }
  Entry& entry = table_[name];
  entry.content_type = ContentTypeOf(name);
  entry.hashed = HasHash(name);
  entry.plain.etag = Etag(body, "");
  entry.plain.body = std::move(body);
  return absl::OkStatus();
}

void StaticFiles::AttachCompressed() {
  for (auto it = table_.begin(); it != table_.end();) {
    const std::string_view name = it->first;
    const bool br = name.ends_with(".br");
    const std::string_view coding = br ? "br" : name.ends_with(".gz") ? "gzip" : "";
    const auto whole = coding.empty() ? table_.end() : table_.find(name.substr(0, name.size() - 3));
    if (whole == table_.end()) {
      ++it;
      continue;
    }
    whole->second.compressed[std::string(coding)] = {
        .body = std::move(it->second.plain.body), .etag = Etag(whole->second.plain.body, coding)};
    it = table_.erase(it);
  }
}

bool StaticFiles::WantsPage(const HttpRequest& request) {
  const auto accept = request.Header("accept");
  return accept.has_value() && accept->find("text/html") != std::string_view::npos;
}

HttpResponse StaticFiles::Answer(const HttpRequest& request) const {
  if (request.verb != HttpVerb::kGet && request.verb != HttpVerb::kHead) return NoSuchPath();
  std::string path;
  if (!rpc::PercentDecode(request.path(), false, path) || path.empty() || path.front() != '/') {
    return NoSuchPath();
  }
  const std::string_view name = std::string_view(path).substr(1);
  if (name.empty() || name == kIndex) return AnswerPage(request);
  if (const auto found = table_.find(name); found != table_.end()) {
    return AnswerFile(found->second, request);
  }
  const bool api = name == "v1" || name.starts_with("v1/");
  if (api || name.starts_with("assets/") || !WantsPage(request)) return NoSuchPath();
  return AnswerPage(request);
}

std::string StaticFiles::PrefixFor(const HttpRequest& request) const {
  const auto header = request.Header("x-forwarded-prefix");
  std::string_view prefix = header.value_or(options_.path_prefix);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return std::string(IsPathPrefix(prefix) ? prefix : std::string_view(options_.path_prefix));
}

HttpResponse StaticFiles::AnswerPage(const HttpRequest& request) const {
  const Entry& index = table_.find(kIndex)->second;
  const bool has_nonce = index.plain.body.find(kNonceMark) != std::string::npos;
  const bool has_base = index.plain.body.find(kBaseTag) != std::string::npos;
  const std::string prefix = PrefixFor(request);
  const std::string base = prefix.empty() ? FolderFrom(request.path()) : prefix + "/";
  HttpResponse response;
  std::string nonce;
  if (!has_nonce && (!has_base || base == "./")) {
    response = AnswerFile(index, request);
  } else {
    if (has_nonce) {
      nonce = fmt::format("{:016x}", options_.random());
      nonce += fmt::format("{:016x}", options_.random());
    }
    response.content_type = index.content_type;
    response.body = index.plain.body;
    ReplaceAll(response.body, kBaseTag, fmt::format("<base href=\"{}\">", base));
    ReplaceAll(response.body, kNonceMark, nonce);
    // A nonce is for one answer; without one the page still depends on the proxy and the path.
    response.headers.emplace_back("Cache-Control", "no-store");
    AddSecurityHeaders(response, nonce);
  }
  response.headers.emplace_back("Vary", "Accept, X-Forwarded-Prefix");
  return response;
}

HttpResponse StaticFiles::AnswerFile(const Entry& entry, const HttpRequest& request) const {
  HttpResponse response;
  response.content_type = entry.content_type;
  const Form* form = &entry.plain;
  if (!entry.compressed.empty()) {
    const std::string_view coding =
        ChooseEncoding(request.Header("accept-encoding").value_or(""),
                       [&entry](std::string_view name) { return entry.compressed.contains(name); });
    if (!coding.empty()) {
      form = &entry.compressed.find(coding)->second;
      response.headers.emplace_back("Content-Encoding", std::string(coding));
    }
    response.headers.emplace_back("Vary", "Accept-Encoding");
  }
  response.headers.emplace_back("ETag", form->etag);
  response.headers.emplace_back("Cache-Control",
                                entry.hashed ? "public, max-age=31536000, immutable" : "no-cache");
  AddSecurityHeaders(response, "");
  if (IsFresh(request, form->etag)) {
    response.status = 304;
  } else {
    response.body = form->body;
  }
  return response;
}

}  // namespace vectron::gateway
