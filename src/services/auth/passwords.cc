#include "services/auth/passwords.h"

#include <argon2.h>

#include <algorithm>

#include "base/check.h"
#include "base/status.h"
#include "services/auth/secrets.h"

namespace vectron::auth {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kHashBytes = 32;
constexpr uint32_t kLanes = 1;
constexpr size_t kMaxLocalBytes = 64;
constexpr size_t kMaxLabelBytes = 63;

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAtom(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-/=?^_`{|}~";
  return IsUpper(c) || IsLower(c) || IsDigit(c) || kOthers.find(c) != std::string_view::npos;
}

// Parts between dots, none empty, each accepted by `good`; how many, 0 when one is not.
template <typename Good>
size_t CountParts(std::string_view text, Good good) {
  size_t count = 0;
  for (;;) {
    const size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || !good(part)) return 0;
    ++count;
    if (dot == std::string_view::npos) return count;
    text.remove_prefix(dot + 1);
  }
}

bool IsLabel(std::string_view label) {
  return label.size() <= kMaxLabelBytes && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsUpper(c) || IsLower(c) || IsDigit(c) || c == '-'; });
}

}  // namespace

absl::StatusOr<std::string> NormalizeEmail(std::string_view email) {
  if (email.empty()) return InvalidArgument("email: it is empty");
  if (email.size() > kMaxEmailBytes)
    return InvalidArgument("email: got {} bytes, at most {}", email.size(), kMaxEmailBytes);
  const size_t at = email.rfind('@');
  const bool good = at != std::string_view::npos && at <= kMaxLocalBytes &&
                    CountParts(email.substr(0, at),
                               [](std::string_view part) {
                                 return std::all_of(part.begin(), part.end(), IsAtom);
                               }) > 0 &&
                    CountParts(email.substr(at + 1), IsLabel) >= 2;
  if (!good) return InvalidArgument("email: it is no e-mail address");
  std::string lower(email);
  for (char& c : lower) {
    if (IsUpper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

absl::Status CheckPassword(std::string_view password) {
  if (password.size() < kMinPasswordBytes || password.size() > kMaxPasswordBytes) {
    return InvalidArgument("password: got {} bytes, wanted {} to {}", password.size(),
                           kMinPasswordBytes, kMaxPasswordBytes);
  }
  const auto has = [password](auto kind) {
    return std::any_of(password.begin(), password.end(), kind) ? 1 : 0;
  };
  const int kinds = has(IsUpper) + has(IsLower) + has(IsDigit) +
                    has([](char c) { return !IsUpper(c) && !IsLower(c) && !IsDigit(c); });
  if (kinds < 3) {
    return InvalidArgument(
        "password: wanted three of upper case, lower case, digits and others, got {}", kinds);
  }
  return absl::OkStatus();
}

std::string HashPassword(std::string_view password, const HashCost& cost) {
  const std::string salt = RandomBytes(kSaltBytes);
  std::string text(
      argon2_encodedlen(cost.passes, cost.memory_kib, kLanes, kSaltBytes, kHashBytes, Argon2_id),
      '\0');
  const int result =
      argon2id_hash_encoded(cost.passes, cost.memory_kib, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, text.data(), text.size());
  CHECK_EQ(result, static_cast<int>(ARGON2_OK));
  text.resize(text.find('\0'));
  return text;
}

absl::StatusOr<bool> PasswordMatches(std::string_view password, const std::string& hash) {
  const int result = argon2id_verify(hash.c_str(), password.data(), password.size());
  if (result == ARGON2_OK) return true;
  if (result == ARGON2_VERIFY_MISMATCH) return false;
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
    return ResourceExhausted("no memory to check a password");
  return DataLoss("the hash of a password is damaged: {}", argon2_error_message(result));
}

}  // namespace vectron::auth
