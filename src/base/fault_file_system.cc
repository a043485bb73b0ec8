#include "base/fault_file_system.h"

#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron {

class FaultFileSystem::FaultFile : public File {
 public:
  FaultFile(FaultFileSystem& faults, std::unique_ptr<File> base)
      : faults_(faults), base_(std::move(base)) {}

  absl::Status Read(uint64_t offset, size_t size, char* into) const override {
    RETURN_IF_ERROR(faults_.Step(kFaultRead, path()));
    return base_->Read(offset, size, into);
  }
  absl::Status Write(uint64_t offset, std::string_view bytes) override {
    const absl::Status fault = faults_.Step(kFaultWrite, path());
    if (fault.ok()) return base_->Write(offset, bytes);
    if (faults_.short_write()) {
      RETURN_IF_ERROR(base_->Write(offset, bytes.substr(0, bytes.size() / 2)));
    }
    return fault;
  }
  absl::Status Allocate(uint64_t size) override {
    RETURN_IF_ERROR(faults_.Step(kFaultAllocate, path()));
    return base_->Allocate(size);
  }
  absl::Status Truncate(uint64_t size) override {
    RETURN_IF_ERROR(faults_.Step(kFaultAllocate, path()));
    return base_->Truncate(size);
  }
  absl::StatusOr<uint64_t> Size() const override {
    RETURN_IF_ERROR(faults_.Step(kFaultRead, path()));
    return base_->Size();
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(faults_.Step(kFaultSync, path()));
    return base_->Sync();
  }
  int descriptor() const override { return base_->descriptor(); }
  const std::string& path() const override { return base_->path(); }

 private:
  FaultFileSystem& faults_;
  const std::unique_ptr<File> base_;
};

void FaultFileSystem::FailAt(uint64_t n, Fault fault) {
  CHECK_GE(n, 1U);
  CHECK(!fault.status.ok());
  const absl::MutexLock lock(&mutex_);
  fail_at_ = n;
  fault_ = std::move(fault);
  operations_ = 0;
  failed_ = 0;
}

void FaultFileSystem::Heal(uint32_t kinds) {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = 0;
  fault_ = Fault{.status = absl::OkStatus(), .kinds = kinds};
  operations_ = 0;
  failed_ = 0;
}

uint64_t FaultFileSystem::operation_count() const {
  const absl::MutexLock lock(&mutex_);
  return operations_;
}

uint64_t FaultFileSystem::failed_count() const {
  const absl::MutexLock lock(&mutex_);
  return failed_;
}

bool FaultFileSystem::short_write() const {
  const absl::MutexLock lock(&mutex_);
  return fault_.short_write;
}

absl::Status FaultFileSystem::Step(FaultKinds kind, std::string_view path) {
  const absl::MutexLock lock(&mutex_);
  if ((fault_.kinds & kind) == 0) return absl::OkStatus();
  ++operations_;
  const bool fails =
      fail_at_ != 0 && (fault_.once ? operations_ == fail_at_ : operations_ >= fail_at_);
  if (!fails) return absl::OkStatus();
  ++failed_;
  return Annotate(fault_.status, path);
}

absl::StatusOr<std::unique_ptr<File>> FaultFileSystem::Open(const std::string& path,
                                                            OpenMode mode) {
  RETURN_IF_ERROR(Step(kFaultOpen, path));
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, base_.Open(path, mode));
  return std::make_unique<FaultFile>(*this, std::move(file));
}

absl::StatusOr<std::string> FaultFileSystem::ReadAll(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRead, path));
  return base_.ReadAll(path);
}

absl::Status FaultFileSystem::WriteAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, Open(temporary, OpenMode::kCreate));
    RETURN_IF_ERROR(file->Write(0, bytes));
    RETURN_IF_ERROR(file->Sync());
  }
  RETURN_IF_ERROR(Rename(temporary, path));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return SyncDir(folder.empty() ? "." : folder.string());
}

absl::Status FaultFileSystem::MakeDirs(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultMakeDirs, path));
  return base_.MakeDirs(path);
}

absl::Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Step(kFaultRename, to));
  return base_.Rename(from, to);
}

absl::Status FaultFileSystem::HardLink(const std::string& from, const std::string& to) {
  RETURN_IF_ERROR(Step(kFaultRename, to));
  return base_.HardLink(from, to);
}

absl::Status FaultFileSystem::Remove(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRemove, path));
  return base_.Remove(path);
}

absl::Status FaultFileSystem::RemoveTree(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRemove, path));
  return base_.RemoveTree(path);
}

absl::Status FaultFileSystem::SyncDir(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultSync, path));
  return base_.SyncDir(path);
}

absl::StatusOr<std::vector<std::string>> FaultFileSystem::List(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRead, path));
  return base_.List(path);
}

absl::StatusOr<bool> FaultFileSystem::Exists(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRead, path));
  return base_.Exists(path);
}

absl::StatusOr<FileSystem::Space> FaultFileSystem::FreeSpace(const std::string& path) {
  RETURN_IF_ERROR(Step(kFaultRead, path));
  return base_.FreeSpace(path);
}

}  // namespace vectron
