#include "services/auth/secrets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/file.h"
#include "base/status.h"

namespace vectron::auth {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kSecretBytes = 32;

int ValueOf(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  return c == '_' ? 63 : -1;
}

}  // namespace

std::string RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1);
  return bytes;
}

std::string RandomUuid() {
  std::string bytes = RandomBytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<uint8_t>(bytes[i]));
  }
  return text;
}

Sha256 HmacSha256(std::string_view key, std::string_view message) {
  Sha256 hash{};
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(), hash.data(),
             &size) != nullptr);
  CHECK_EQ(size, hash.size());
  return hash;
}

std::string Base64UrlEncode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kAlphabet[bits << (6 - count) & 63];
  return text;
}

std::optional<std::string> Base64UrlDecode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = ValueOf(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

absl::Status WriteSecretFile(const std::string& path, std::string_view text) {
  const std::string unfinished = path + ".tmp";
  ::unlink(unfinished.c_str());
  const int file = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return Internal("create {}: {}", unfinished, std::strerror(errno));
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  if (!written) return Internal("write {}: {}", unfinished, std::strerror(error));
  const auto files = NewPosixFileSystem();
  RETURN_IF_ERROR(files->Rename(unfinished, path));
  const size_t slash = path.rfind('/');
  return files->SyncDir(slash == std::string::npos ? "." : path.substr(0, slash));
}

bool IsKept(mode_t mode, uid_t owner, uid_t user) {
  const bool mounted = owner == 0 && user != 0;
  return (mode & (mounted ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO)) == 0;
}

absl::StatusOr<std::string> LoadOrMakeSecretFile(const std::string& path) {
  const auto files = NewPosixFileSystem();
  ASSIGN_OR_RETURN(const bool exists, files->Exists(path));
  if (!exists) {
    const std::string text = Base64UrlEncode(RandomBytes(kSecretBytes));
    RETURN_IF_ERROR(WriteSecretFile(path, text + "\n"));
    return text;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return Internal("stat {}: {}", path, std::strerror(errno));
  if (!IsKept(info.st_mode, info.st_uid, ::geteuid()))
    return FailedPrecondition("{} holds a secret and others may read it; set its mode to 0600",
                              path);
  ASSIGN_OR_RETURN(std::string text, files->ReadAll(path));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const auto bytes = Base64UrlDecode(text);
  if (!bytes || bytes->size() < kSecretBytes)
    return DataLoss("{} does not hold at least {} bytes in base64url", path, kSecretBytes);
  return text;
}

}  // namespace vectron::auth
