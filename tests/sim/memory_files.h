#pragma once

// Files that live in memory and are only ever replaced as a whole: what state files and checkpoints
// need. They outlive the simulated process.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace vectron::sim {

// Thread-compatible. Everything but whole files is Unimplemented.
class MemoryFiles : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode /*mode*/) override {
    return No(path);
  }
  absl::StatusOr<std::string> ReadAll(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) return NotFound("{}: no such file", path);
    return found->second;
  }
  absl::Status WriteAtomically(const std::string& path, std::string_view bytes) override {
    files_.insert_or_assign(path, std::string(bytes));
    return absl::OkStatus();
  }
  absl::Status MakeDirs(const std::string& /*path*/) override { return absl::OkStatus(); }
  absl::Status Rename(const std::string& from, const std::string& /*to*/) override {
    return No(from);
  }
  absl::Status HardLink(const std::string& from, const std::string& /*to*/) override {
    return No(from);
  }
  absl::Status Remove(const std::string& path) override {
    files_.erase(path);
    return absl::OkStatus();
  }
  absl::Status RemoveTree(const std::string& path) override {
    std::erase_if(files_, [&path](const auto& file) {
      return file.first == path || file.first.starts_with(path + "/");
    });
    return absl::OkStatus();
  }
  absl::Status SyncDir(const std::string& /*path*/) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return No(path);
  }
  absl::StatusOr<bool> Exists(const std::string& path) override { return files_.contains(path); }
  absl::StatusOr<Space> FreeSpace(const std::string& /*path*/) override {
    return Space{.free_bytes = uint64_t{1} << 40, .total_bytes = uint64_t{1} << 41};
  }

 private:
  static absl::Status No(const std::string& path) {
    return Unimplemented("{}: not on this disk", path);
  }
  std::map<std::string, std::string> files_;
};

}  // namespace vectron::sim
