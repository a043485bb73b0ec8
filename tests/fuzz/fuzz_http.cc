// Any bytes as the head of an HTTP request and a chunked body behind it: refused with a status that
// says so, or read within its bounds; and the same whether the head comes whole or in two pieces.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "rpc/http_parser.h"

using vectron::rpc::HttpHead;
using vectron::rpc::HttpHeadScanner;
using vectron::rpc::HttpParser;
using vectron::rpc::HttpRefusal;
using vectron::rpc::HttpRequest;

namespace {

constexpr size_t kMaxHeaders = 16;
constexpr size_t kMaxBodyBytes = 256;

void CheckRefusal(const HttpRefusal& refusal) {
  CHECK(!refusal.status.ok());
  CHECK_GE(refusal.http_status, 400);
  CHECK_LT(refusal.http_status, 600);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::optional<HttpRefusal> refusal;
  HttpHeadScanner scanner;
  const size_t head_size = scanner.Scan(bytes, refusal);
  CHECK_LE(head_size, bytes.size());
  std::optional<HttpRefusal> refusal_of_half;
  HttpHeadScanner in_pieces;
  size_t piece_size = in_pieces.Scan(bytes.substr(0, bytes.size() / 2), refusal_of_half);
  if (piece_size == 0 && !refusal_of_half) piece_size = in_pieces.Scan(bytes, refusal_of_half);
  CHECK_EQ(piece_size, head_size);
  CHECK_EQ(refusal_of_half.has_value(), refusal.has_value());
  if (refusal) {
    CheckRefusal(*refusal);
    return 0;
  }
  if (head_size == 0) return 0;
  HttpRequest request;
  HttpHead head;
  HttpParser parser(kMaxHeaders);
  if (const auto refused = parser.ParseHead(bytes.substr(0, head_size), request, head)) {
    CheckRefusal(*refused);
    return 0;
  }
  CHECK_LE(request.header_count(), kMaxHeaders);
  if (!head.chunked) return 0;
  const std::string_view rest = bytes.substr(head_size);
  const HttpParser::Chunks chunks = parser.PutChunks(rest, kMaxBodyBytes, request.body);
  CHECK_LE(chunks.used, rest.size());
  CHECK_LE(request.body.size(), kMaxBodyBytes);
  if (chunks.refusal) CheckRefusal(*chunks.refusal);
  return 0;
}
