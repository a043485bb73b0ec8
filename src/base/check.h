#pragma once

// CHECK: a statement about the program itself that holds in every build. A failed one prints what,
// where and the values, then aborts. For programmer errors only; bad input gets a Status.

#include <sstream>
#include <string>

namespace vectron {

// Prints the message to standard error and aborts. Thread-safe.
[[noreturn]] void CheckFailed(const char* file, int line, const std::string& message);

namespace check_internal {
template <typename A, typename B>
std::string Describe(const char* text, const A& a, const B& b) {
  std::ostringstream out;
  out << text << " (" << a << " vs. " << b << ")";
  return out.str();
}
}  // namespace check_internal

#define CHECK(condition)                             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::vectron::CheckFailed(__FILE__, __LINE__, "CHECK(" #condition ") failed"))

#define VECTRON_CHECK_OP(a, op, b)                                                               \
  do {                                                                                           \
    const auto& check_a_ = (a);                                                                  \
    const auto& check_b_ = (b);                                                                  \
    if (__builtin_expect(!(check_a_ op check_b_), 0)) {                                          \
      ::vectron::CheckFailed(__FILE__, __LINE__,                                                 \
                             ::vectron::check_internal::Describe("CHECK(" #a " " #op " " #b ")", \
                                                                 check_a_, check_b_));           \
    }                                                                                            \
  } while (false)

#define CHECK_EQ(a, b) VECTRON_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) VECTRON_CHECK_OP(a, !=, b)
#define CHECK_LE(a, b) VECTRON_CHECK_OP(a, <=, b)
#define CHECK_LT(a, b) VECTRON_CHECK_OP(a, <, b)
#define CHECK_GE(a, b) VECTRON_CHECK_OP(a, >=, b)
#define CHECK_GT(a, b) VECTRON_CHECK_OP(a, >, b)

// For an absl::Status that cannot be an error here.
#define CHECK_OK(expression)                                                            \
  do {                                                                                  \
    const auto& check_status_ = (expression);                                           \
    if (__builtin_expect(!check_status_.ok(), 0)) {                                     \
      ::vectron::CheckFailed(__FILE__, __LINE__,                                        \
                             "CHECK_OK(" #expression "): " + check_status_.ToString()); \
    }                                                                                   \
  } while (false)

}  // namespace vectron
