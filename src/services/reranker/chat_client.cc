#include "services/reranker/chat_client.h"

#include <curl/curl.h>

#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr size_t kMaxAnswerBytes = size_t{1} << 20;
constexpr size_t kMaxIdle = 16;

size_t Append(char* bytes, size_t size, size_t count, void* into) {
  std::string& body = *static_cast<std::string*>(into);
  if (body.size() + size * count > kMaxAnswerBytes) return 0;  // curl ends the transfer
  body.append(bytes, size * count);
  return size * count;
}

absl::Status ErrorOf(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return absl::OkStatus();
    case CURLE_OPERATION_TIMEDOUT:
      return DeadlineExceeded("the chat endpoint did not answer in time");
    case CURLE_WRITE_ERROR:
    case CURLE_FILESIZE_EXCEEDED:
      return ResourceExhausted("the chat endpoint's answer is larger than {} bytes",
                               kMaxAnswerBytes);
    default:
      return Unavailable("the chat endpoint: {}", curl_easy_strerror(code));
  }
}

}  // namespace

ChatClient::ChatClient(std::string url, const std::string& key, std::string ca_file)
    : url_(std::move(url)), ca_file_(std::move(ca_file)) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialised);
  if (!key.empty()) authorization_ = "Authorization: Bearer " + key;
}

ChatClient::~ChatClient() = default;

ChatClient::Handle ChatClient::Take() {
  {
    const absl::MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      Handle handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  return {curl_easy_init(), curl_easy_cleanup};
}

absl::StatusOr<ChatReply> ChatClient::Post(const std::string& body, int64_t timeout_ms) {
  Handle handle = Take();
  if (handle == nullptr) return Internal("curl cannot make a handle");
  CURL* curl = handle.get();
  ChatReply reply;
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  if (!authorization_.empty()) headers = curl_slist_append(headers, authorization_.c_str());
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!ca_file_.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file_.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE, static_cast<long>(kMaxAnswerBytes));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_slist_free_all(headers);
  if (code == CURLE_OK) {
    const absl::MutexLock lock(&mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
  }
  if (code != CURLE_OK) return ErrorOf(code);
  return reply;
}

}  // namespace vectron::reranker
