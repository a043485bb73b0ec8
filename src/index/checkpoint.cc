#include "index/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crash_point.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::index {
namespace {

constexpr std::string_view kMagic = "VECTRIDX";
constexpr std::string_view kManifestFile = "MANIFEST";
constexpr std::string_view kSharedFile = "small";
// magic, version, CRC, length: the same in every version, so that damage is told from a newer
// format.
constexpr size_t kCrcOffset = 12;
constexpr size_t kHeaderBytes = 24;
constexpr uint8_t kLinkedFlag = 1;
// Far above any file, far below an overflow.
constexpr uint64_t kMaxSectionBytes = uint64_t{1} << 52;

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t PieceCount(const SectionInfo& section) {
  if (section.linked) return 0;
  return (section.padded_bytes() + kSectionPieceBytes - 1) / kSectionPieceBytes;
}

uint32_t ManifestCrc(std::string_view bytes) {
  return Crc32c(bytes.substr(kCrcOffset + 4), Crc32c(bytes.substr(0, kCrcOffset)));
}

// A plain name: it must not lead out of the folder.
bool IsFileName(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos && name != "." && name != "..";
}

// "records/0" -> "records-0".
std::string OwnFileName(std::string_view section) {
  std::string file(section);
  std::replace(file.begin(), file.end(), '/', '-');
  return file;
}

bool ReadNumbers(ByteReader& reader, Manifest& manifest) {
  uint32_t count = 0;
  if (!reader.ReadFixed(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    std::string_view name;
    uint64_t value = 0;
    if (!reader.ReadLengthPrefixed(name) || !reader.ReadFixed(value)) return false;
    if (!manifest.numbers.emplace(name, value).second) return false;
  }
  return true;
}

bool ReadSection(ByteReader& reader, SectionInfo& section) {
  std::string_view name;
  std::string_view file;
  uint8_t flags = 0;
  uint32_t crcs = 0;
  if (!reader.ReadLengthPrefixed(name) || !reader.ReadLengthPrefixed(file) ||
      !reader.ReadFixed(section.offset) || !reader.ReadFixed(section.size_bytes) ||
      !reader.ReadFixed(flags) || !reader.ReadFixed(crcs)) {
    return false;
  }
  section.name = name;
  section.file = file;
  section.linked = (flags & kLinkedFlag) != 0;
  if (!IsFileName(file) || section.offset % kSectionAlignment != 0 ||
      section.offset > kMaxSectionBytes || section.size_bytes > kMaxSectionBytes ||
      crcs != PieceCount(section) || reader.remaining() < uint64_t{crcs} * sizeof(uint32_t)) {
    return false;
  }
  section.crcs.resize(crcs);
  for (uint32_t& crc : section.crcs) reader.ReadFixed(crc);
  return reader.ok();
}

}  // namespace

std::string EncodeManifest(const Manifest& manifest) {
  std::string out(kMagic);
  PutFixed<uint32_t>(out, manifest.format_version);
  PutFixed<uint32_t>(out, 0);
  PutFixed<uint64_t>(out, 0);
  PutFixed<uint32_t>(out, static_cast<uint32_t>(manifest.numbers.size()));
  for (const auto& [name, value] : manifest.numbers) {
    PutLengthPrefixed(out, name);
    PutFixed<uint64_t>(out, value);
  }
  PutFixed<uint32_t>(out, static_cast<uint32_t>(manifest.sections.size()));
  for (const auto& [name, section] : manifest.sections) {
    PutLengthPrefixed(out, name);
    PutLengthPrefixed(out, section.file);
    PutFixed<uint64_t>(out, section.offset);
    PutFixed<uint64_t>(out, section.size_bytes);
    PutFixed<uint8_t>(out, section.linked ? kLinkedFlag : 0);
    PutFixed<uint32_t>(out, static_cast<uint32_t>(section.crcs.size()));
    for (const uint32_t crc : section.crcs) PutFixed<uint32_t>(out, crc);
  }
  const uint64_t length = out.size();
  std::memcpy(out.data() + kCrcOffset + 4, &length, sizeof length);
  const uint32_t crc = ManifestCrc(out);
  std::memcpy(out.data() + kCrcOffset, &crc, sizeof crc);
  return out;
}

absl::StatusOr<Manifest> DecodeManifest(std::string_view bytes, std::string_view path) {
  if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) {
    return DataLoss("{}: no index manifest ({} bytes)", path, bytes.size());
  }
  const auto length = LoadFixed<uint64_t>(bytes.data() + kCrcOffset + 4);
  if (length != bytes.size()) {
    return DataLoss("{}: {} bytes wanted, {} there", path, length, bytes.size());
  }
  const auto wanted = LoadFixed<uint32_t>(bytes.data() + kCrcOffset);
  const uint32_t got = ManifestCrc(bytes);
  if (got != wanted) return DataLoss("{}: CRC {:08x}, wanted {:08x}", path, got, wanted);

  Manifest manifest;
  manifest.format_version = LoadFixed<uint32_t>(bytes.data() + kMagic.size());
  if (manifest.format_version != kCheckpointVersion) {
    return FailedPrecondition("{}: index format {}, this program reads {}", path,
                              manifest.format_version, kCheckpointVersion);
  }
  ByteReader reader(bytes.substr(kHeaderBytes));
  uint32_t sections = 0;
  if (!ReadNumbers(reader, manifest) || !reader.ReadFixed(sections)) {
    return DataLoss("{}: malformed numbers", path);
  }
  for (uint32_t i = 0; i < sections; ++i) {
    SectionInfo section;
    if (!ReadSection(reader, section)) return DataLoss("{}: malformed section {}", path, i);
    const std::string name = section.name;
    if (!manifest.sections.emplace(name, std::move(section)).second) {
      return DataLoss("{}: section {} twice", path, name);
    }
  }
  if (reader.remaining() != 0) {
    return DataLoss("{}: {} bytes too many", path, reader.remaining());
  }
  return manifest;
}

// --- CheckpointWriter ---

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(FileSystem& files,
                                                                           const std::string& dir) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(dir));
  if (exists) return AlreadyExists("{}: a checkpoint needs a new folder", dir);
  RETURN_IF_ERROR(files.MakeDirs(dir));
  return std::unique_ptr<CheckpointWriter>(new CheckpointWriter(files, dir));
}

void CheckpointWriter::SetNumber(std::string_view name, uint64_t value) {
  manifest_.numbers.insert_or_assign(std::string(name), value);
}

absl::Status CheckpointWriter::AddInfo(SectionInfo info) {
  const std::string name = info.name;
  CHECK(IsFileName(info.file));
  CHECK(manifest_.sections.emplace(name, std::move(info)).second);
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Begin(std::string_view name, uint64_t size_bytes) {
  CHECK(!open_);
  CHECK_LE(size_bytes, kMaxSectionBytes);
  current_ = SectionInfo{};
  current_.name = name;
  current_.size_bytes = size_bytes;
  appended_bytes_ = 0;
  written_bytes_ = 0;
  piece_.clear();
  if (size_bytes >= kOwnFileBytes) {
    current_.file = OwnFileName(name);
    ASSIGN_OR_RETURN(own_, files_.Open(dir_ + "/" + current_.file, OpenMode::kCreate));
  } else {
    current_.file = kSharedFile;
    if (shared_ == nullptr) {
      ASSIGN_OR_RETURN(shared_, files_.Open(dir_ + "/" + current_.file, OpenMode::kCreate));
    }
    current_.offset = shared_bytes_;
  }
  open_ = true;
  return absl::OkStatus();
}

absl::Status CheckpointWriter::WritePiece() {
  current_.crcs.push_back(Crc32c(piece_));
  File& file = own_ != nullptr ? *own_ : *shared_;
  RETURN_IF_ERROR(file.Write(current_.offset + written_bytes_, piece_));
  written_bytes_ += piece_.size();
  piece_.clear();
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Append(std::string_view bytes) {
  CHECK(open_);
  appended_bytes_ += bytes.size();
  CHECK_LE(appended_bytes_, current_.size_bytes);
  while (!bytes.empty()) {
    const size_t take = std::min<size_t>(bytes.size(), kSectionPieceBytes - piece_.size());
    piece_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (piece_.size() == kSectionPieceBytes) RETURN_IF_ERROR(WritePiece());
  }
  return absl::OkStatus();
}

absl::Status CheckpointWriter::End() {
  CHECK(open_);
  CHECK_EQ(appended_bytes_, current_.size_bytes);
  if (!piece_.empty()) {
    piece_.resize(RoundUp(piece_.size(), kSectionAlignment), '\0');
    RETURN_IF_ERROR(WritePiece());
  }
  open_ = false;
  if (own_ != nullptr) {
    RETURN_IF_ERROR(own_->Sync());
    own_ = nullptr;
    CrashPoint("index_checkpoint.section_synced");
  } else {
    shared_bytes_ += written_bytes_;
  }
  return AddInfo(std::move(current_));
}

absl::Status CheckpointWriter::AddSection(std::string_view name, std::string_view bytes) {
  RETURN_IF_ERROR(Begin(name, bytes.size()));
  RETURN_IF_ERROR(Append(bytes));
  return End();
}

absl::Status CheckpointWriter::LinkFile(std::string_view name, const std::string& file_name,
                                        const std::string& from_path, uint64_t least_bytes) {
  CHECK(!open_);
  CHECK(file_name != kSharedFile && file_name != kManifestFile);
  RETURN_IF_ERROR(files_.HardLink(from_path, dir_ + "/" + file_name));
  CrashPoint("index_checkpoint.file_linked");
  SectionInfo info;
  info.name = name;
  info.file = file_name;
  info.size_bytes = least_bytes;
  info.linked = true;
  return AddInfo(std::move(info));
}

absl::Status CheckpointWriter::Finish() {
  CHECK(!open_);
  if (shared_ != nullptr) RETURN_IF_ERROR(shared_->Sync());
  shared_ = nullptr;
  RETURN_IF_ERROR(files_.SyncDir(dir_));
  CrashPoint("index_checkpoint.files_synced");
  const std::string bytes = EncodeManifest(manifest_);
  if (bytes.size() > kMaxManifestBytes) {
    return ResourceExhausted("{}: manifest of {} bytes", dir_, bytes.size());
  }
  RETURN_IF_ERROR(files_.WriteAtomically(dir_ + "/" + std::string(kManifestFile), bytes));
  CrashPoint("index_checkpoint.manifest_written");
  return absl::OkStatus();
}

// --- CheckpointReader ---

absl::StatusOr<std::unique_ptr<CheckpointReader>> CheckpointReader::Open(FileSystem& files,
                                                                         const std::string& dir) {
  const std::string path = dir + "/" + std::string(kManifestFile);
  std::string bytes;
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    if (size > kMaxManifestBytes) return DataLoss("{}: {} bytes long", path, size);
    bytes.resize(size);
    RETURN_IF_ERROR(file->Read(0, size, bytes.data()));
  }
  std::unique_ptr<CheckpointReader> reader(new CheckpointReader(dir));
  ASSIGN_OR_RETURN(reader->manifest_, DecodeManifest(bytes, path));
  RETURN_IF_ERROR(reader->OpenFiles(files));
  return reader;
}

absl::Status CheckpointReader::OpenFiles(FileSystem& files) {
  for (const auto& [name, section] : manifest_.sections) {
    const std::string path = dir_ + "/" + section.file;
    std::unique_ptr<File>& file = files_[section.file];
    if (file == nullptr) {
      absl::StatusOr<std::unique_ptr<File>> opened = files.Open(path, OpenMode::kRead);
      if (absl::IsNotFound(opened.status())) {
        return DataLoss("{}: missing, holds section {}", path, name);
      }
      ASSIGN_OR_RETURN(file, std::move(opened));
    }
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    const uint64_t wanted =
        section.offset + (section.linked ? section.size_bytes : section.padded_bytes());
    if (size < wanted) {
      return DataLoss("{}: {} bytes long, section {} ends at {}", path, size, name, wanted);
    }
    for (uint64_t i = 0; i < section.crcs.size(); ++i) {
      pieces_.push_back(Piece{.section = &section, .index = i});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> CheckpointReader::Number(std::string_view name) const {
  const auto found = manifest_.numbers.find(std::string(name));
  if (found == manifest_.numbers.end()) return DataLoss("{}: manifest lacks {}", dir_, name);
  return found->second;
}

const SectionInfo* CheckpointReader::FindSection(std::string_view name) const {
  const auto found = manifest_.sections.find(std::string(name));
  return found == manifest_.sections.end() ? nullptr : &found->second;
}

const File& CheckpointReader::FileOf(const SectionInfo& section) const {
  const auto found = files_.find(section.file);
  CHECK(found != files_.end());
  return *found->second;
}

absl::Status CheckpointReader::ReadPiece(const SectionInfo& section, uint64_t index,
                                         std::string& bytes) const {
  const File& file = FileOf(section);
  const uint64_t start = index * kSectionPieceBytes;
  bytes.resize(std::min(section.padded_bytes() - start, kSectionPieceBytes));
  const uint64_t offset = section.offset + start;
  const absl::Status read = file.Read(offset, bytes.size(), bytes.data());
  if (absl::IsOutOfRange(read)) {
    return DataLoss("{}: section {} cut short: {}", file.path(), section.name, MessageOf(read));
  }
  RETURN_IF_ERROR(read);
  const uint32_t got = Crc32c(bytes);
  if (got != section.crcs[index]) {
    return DataLoss("{}: {} bytes at offset {} of section {}: CRC {:08x}, wanted {:08x}",
                    file.path(), bytes.size(), offset, section.name, got, section.crcs[index]);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckpointReader::ReadSection(std::string_view name) const {
  const SectionInfo* const section = FindSection(name);
  if (section == nullptr || section->linked) return DataLoss("{}: no section {}", dir_, name);
  std::string bytes;
  std::string piece;
  for (uint64_t i = 0; i < section->crcs.size(); ++i) {
    RETURN_IF_ERROR(ReadPiece(*section, i, piece));
    bytes += piece;
  }
  bytes.resize(section->size_bytes);
  return bytes;
}

absl::Status CheckpointReader::VerifyPiece(size_t i) const {
  CHECK_LT(i, pieces_.size());
  std::string bytes;
  return ReadPiece(*pieces_[i].section, pieces_[i].index, bytes);
}

absl::Status CheckpointReader::VerifyAll() const {
  for (size_t i = 0; i < pieces_.size(); ++i) RETURN_IF_ERROR(VerifyPiece(i));
  return absl::OkStatus();
}

}  // namespace vectron::index
