// Shows absl::Mutex and absl::CondVar to the thread sanitizer; empty in every other build.
//
// Debian's absl is not instrumented, so the sanitizer would not see its locks and would report
// every access under one. The functions below take the place of the library's: they tell the
// sanitizer and call the original. What the library does inside is ignored, above all that it
// evaluates other threads' conditions while it unlocks.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VECTRON_THREAD_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define VECTRON_THREAD_SANITIZER 1
#endif

#ifdef VECTRON_THREAD_SANITIZER

#include <dlfcn.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/check.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}

namespace {

// The library's own function of a mangled name.
void* Find(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  CHECK(found != nullptr);
  return found;
}

// Calls it; a method is a function of its object.
template <typename Result, typename... Arguments>
Result Call(void* function, Arguments... arguments) {
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  struct End {
    ~End() {
      AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
      AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
  } end;
  return reinterpret_cast<Result (*)(Arguments...)>(function)(arguments...);
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static void* const original = Find("_ZN4absl7debian35Mutex4LockEv");
  Call<void>(original, this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static void* const original = Find("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  Call<void>(original, this);
}

bool Mutex::TryLock() {
  static void* const original = Find("_ZN4absl7debian35Mutex7TryLockEv");
  const bool locked = Call<bool>(original, this);
  if (locked) __tsan_acquire(this);
  return locked;
}

void Mutex::ReaderLock() {
  static void* const original = Find("_ZN4absl7debian35Mutex10ReaderLockEv");
  Call<void>(original, this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static void* const original = Find("_ZN4absl7debian35Mutex12ReaderUnlockEv");
  __tsan_release(this);
  Call<void>(original, this);
}

void Mutex::Await(const Condition& condition) {
  static void* const original = Find("_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  Call<void>(original, this, &condition);
  __tsan_acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static void* const original =
      Find("_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  __tsan_release(this);
  const bool met = Call<bool>(original, this, &condition, timeout);
  __tsan_acquire(this);
  return met;
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static void* const original =
      Find("_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  __tsan_release(this);
  const bool met = Call<bool>(original, this, &condition, deadline);
  __tsan_acquire(this);
  return met;
}

void Mutex::LockWhen(const Condition& condition) {
  static void* const original = Find("_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE");
  Call<void>(original, this, &condition);
  __tsan_acquire(this);
}

void Mutex::ReaderLockWhen(const Condition& condition) {
  static void* const original = Find("_ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE");
  Call<void>(original, this, &condition);
  __tsan_acquire(this);
}

void CondVar::Wait(Mutex* mutex) {
  static void* const original = Find("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  Call<void>(original, this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static void* const original =
      Find("_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool expired = Call<bool>(original, this, mutex, timeout);
  __tsan_acquire(mutex);
  return expired;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static void* const original =
      Find("_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  const bool expired = Call<bool>(original, this, mutex, deadline);
  __tsan_acquire(mutex);
  return expired;
}

ABSL_NAMESPACE_END
}  // namespace absl

#endif  // VECTRON_THREAD_SANITIZER
