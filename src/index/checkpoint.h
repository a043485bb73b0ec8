#pragma once

// The folder of an index checkpoint: a manifest and the files it names. Bytes:
// docs/formats/index-checkpoint.md.
//
// A checkpoint is a set of named numbers and named sections. A section is a run of bytes with a
// CRC32C for each MiB, kept in the manifest; it starts at a multiple of 4096 and is padded with
// zeros to one, so that it can be mapped. Sections of at least kOwnFileBytes get a file of their
// own, smaller ones share one. A *linked file* is one that goes on being written by its owner; the
// manifest knows its least size only and its owner checks its contents.
//
// The manifest is written last, by rename: a folder without one is no checkpoint. Everything is
// synced before that.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace vectron::index {

inline constexpr uint32_t kCheckpointVersion = 1;
inline constexpr uint64_t kSectionAlignment = 4096;
inline constexpr uint64_t kSectionPieceBytes = uint64_t{1} << 20;
inline constexpr uint64_t kOwnFileBytes = uint64_t{4} << 20;
inline constexpr size_t kMaxManifestBytes = size_t{256} << 20;

struct SectionInfo {
  std::string name;
  std::string file;            // in the folder
  uint64_t offset = 0;         // multiple of kSectionAlignment
  uint64_t size_bytes = 0;     // without padding
  bool linked = false;         // a linked file: no CRCs, `size_bytes` is its least size
  std::vector<uint32_t> crcs;  // of each kSectionPieceBytes of the padded section

  uint64_t padded_bytes() const {
    return (size_bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
  }
};

struct Manifest {
  uint32_t format_version = kCheckpointVersion;
  std::map<std::string, uint64_t> numbers;  // floats by their bits
  std::map<std::string, SectionInfo> sections;
};

std::string EncodeManifest(const Manifest& manifest);
// Errors: DataLoss (damaged), FailedPrecondition (intact, but of a newer format). `path` is for the
// message.
absl::StatusOr<Manifest> DecodeManifest(std::string_view bytes, std::string_view path);

// Confined to one thread. After an error the folder is worthless: RemoveTree it.
class CheckpointWriter {
 public:
  // Makes the folder `dir`. AlreadyExists when something is there. `files` outlives the writer.
  static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(FileSystem& files,
                                                                  const std::string& dir);

  // A number; floats by std::bit_cast to uint32_t. The last one of a name counts.
  void SetNumber(std::string_view name, uint64_t value);
  // A section in pieces: Begin with its exact size, Append until that is reached, End. One at a
  // time.
  absl::Status Begin(std::string_view name, uint64_t size_bytes);
  absl::Status Append(std::string_view bytes);
  absl::Status End();
  // All three at once.
  absl::Status AddSection(std::string_view name, std::string_view bytes);
  // Hard-links `from_path`, which is synced already, as `file_name`.
  absl::Status LinkFile(std::string_view name, const std::string& file_name,
                        const std::string& from_path, uint64_t least_bytes);

  // Syncs the files, writes the manifest and syncs the folder. The last call.
  absl::Status Finish();
  const std::string& dir() const { return dir_; }

 private:
  CheckpointWriter(FileSystem& files, std::string dir) : files_(files), dir_(std::move(dir)) {}
  absl::Status WritePiece();
  absl::Status AddInfo(SectionInfo info);

  FileSystem& files_;
  const std::string dir_;
  Manifest manifest_;
  std::unique_ptr<File> shared_;  // of the small sections
  uint64_t shared_bytes_ = 0;
  std::unique_ptr<File> own_;  // of the section being written, when large
  SectionInfo current_;
  bool open_ = false;
  uint64_t appended_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  std::string piece_;  // not yet written, < kSectionPieceBytes
};

// A checkpoint opened for reading. Immutable, so thread-safe.
class CheckpointReader {
 public:
  // Reads the manifest, opens every file and compares sizes; section bytes are not read. Errors:
  // NotFound (no manifest), DataLoss naming the file, FailedPrecondition (newer format). `files`
  // outlives the reader.
  static absl::StatusOr<std::unique_ptr<CheckpointReader>> Open(FileSystem& files,
                                                                const std::string& dir);

  const Manifest& manifest() const { return manifest_; }
  const std::string& dir() const { return dir_; }
  // DataLoss when the manifest has no such number.
  absl::StatusOr<uint64_t> Number(std::string_view name) const;

  // Null when there is none.
  const SectionInfo* FindSection(std::string_view name) const;
  // The open file of a section, for mapping; valid as long as the reader.
  const File& FileOf(const SectionInfo& section) const;
  // A whole section, CRCs checked. DataLoss when it is missing or damaged.
  absl::StatusOr<std::string> ReadSection(std::string_view name) const;

  // Checks of section bytes, one piece (at most 1 MiB) at a time: i < piece_count(). DataLoss names
  // file and offset.
  size_t piece_count() const { return pieces_.size(); }
  absl::Status VerifyPiece(size_t i) const;
  absl::Status VerifyAll() const;

 private:
  struct Piece {
    const SectionInfo* section = nullptr;
    uint64_t index = 0;
  };
  explicit CheckpointReader(std::string dir) : dir_(std::move(dir)) {}
  absl::Status OpenFiles(FileSystem& files);
  absl::Status ReadPiece(const SectionInfo& section, uint64_t index, std::string& bytes) const;

  const std::string dir_;
  Manifest manifest_;
  std::map<std::string, std::unique_ptr<File>> files_;
  std::vector<Piece> pieces_;
};

}  // namespace vectron::index
