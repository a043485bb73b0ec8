#include "apps/vectron/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "base/status.h"

namespace vectron {
namespace {

constexpr std::string_view kFormatPrefix = "vectron data folder, format ";
constexpr uint32_t kFormat = 1;

// Locks DIR/LOCK for this process and writes its id into it, for the message of those who come
// later.
absl::StatusOr<int> LockFolder(const std::string& dir) {
  const std::string path = dir + "/LOCK";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return Internal("open {}: {}", path, std::strerror(errno));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    char owner[32] = {};
    const ssize_t size = ::pread(descriptor, owner, sizeof owner - 1, 0);
    ::close(descriptor);
    if (error != EWOULDBLOCK) return Internal("lock {}: {}", path, std::strerror(error));
    return FailedPrecondition("data folder {} is in use by process {}", dir,
                              size > 0 ? owner : "(unknown)");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const int error = errno;
    // The number is for people only; a full disk must not keep the node from starting.
    if (error != ENOSPC && error != EDQUOT) {
      ::close(descriptor);
      return Internal("write {}: {}", path, std::strerror(error));
    }
  }
  return descriptor;
}

absl::Status CheckFormat(const std::string& dir, FileSystem& files) {
  const std::string path = dir + "/FORMAT";
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(dir));
    for (const std::string& name : names) {
      if (name == "LOCK" || name == "FORMAT.tmp" || name == "lost+found") continue;
      return FailedPrecondition(
          "{} is no data folder of Vectron (it holds '{}' but no FORMAT file); name an empty or "
          "new folder",
          dir, name);
    }
    return files.WriteAtomically(path, fmt::format("{}{}\n", kFormatPrefix, kFormat));
  }
  ASSIGN_OR_RETURN(const std::string text, files.ReadAll(path));
  uint32_t format = 0;
  const char* const end = text.data() + text.size();
  if (text.starts_with(kFormatPrefix)) {
    const auto [stop, error] = std::from_chars(text.data() + kFormatPrefix.size(), end, format);
    if (error != std::errc() || stop + 1 != end || *stop != '\n') format = 0;
  }
  if (format == 0) {
    return DataLoss("{} is damaged: wanted the line '{}{}'", path, kFormatPrefix, kFormat);
  }
  if (format > kFormat) {
    return FailedPrecondition(
        "data folder {} has format {}, this version of Vectron knows up to {}: start a newer one",
        dir, format, kFormat);
  }
  return absl::OkStatus();
}

// Of a folder that is there already the owner's group keeps what it may.
void CloseToOthers(const std::string& dir) {
  std::error_code error;
  std::filesystem::permissions(dir, std::filesystem::perms::others_all,
                               std::filesystem::perm_options::remove, error);
  if (error) LogWarning("others may look into data folder {}: {}", dir, error.message());
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataFolder>> DataFolder::Open(const std::string& path,
                                                             FileSystem& files) {
  RETURN_IF_ERROR(files.MakeDirs(path));
  std::error_code error;
  const std::string dir = std::filesystem::canonical(path, error).string();
  if (error) return Internal("data folder {}: {}", path, error.message());
  ASSIGN_OR_RETURN(const int lock, LockFolder(dir));
  std::unique_ptr<DataFolder> folder(new DataFolder(dir, lock));
  RETURN_IF_ERROR(CheckFormat(dir, files));
  CloseToOthers(dir);  // now that it is known to be ours
  return folder;
}

DataFolder::~DataFolder() { ::close(lock_descriptor_); }

}  // namespace vectron
