#include "storage/log_file_check.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::storage {
namespace {

constexpr uint64_t kBlockBytes = 32'768;
constexpr size_t kHeaderBytes = 7;
// Full, first, middle, last; others are of options that we do not use.
constexpr uint8_t kLastType = 4;

uint32_t Mask(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

struct Header {
  uint32_t masked_crc;
  uint16_t length;
  uint8_t type;
};

Header ParseHeader(std::string_view bytes) {
  return {LoadFixed<uint32_t>(bytes.data()), LoadFixed<uint16_t>(bytes.data() + 4),
          static_cast<uint8_t>(bytes[6])};
}

// Whether some prefix of `data` is what the header's CRC was made of: then the length is damaged.
bool SomePrefixFits(const Header& header, std::string_view data) {
  uint32_t crc = Crc32c(std::string_view(reinterpret_cast<const char*>(&header.type), 1));
  if (Mask(crc) == header.masked_crc) return true;
  for (size_t i = 0; i < data.size(); ++i) {
    crc = Crc32c(data.substr(i, 1), crc);
    if (Mask(crc) == header.masked_crc) return true;
  }
  return false;
}

// Checks the records of one block. `last`: the file ends with it. Returns what is wrong, "" for
// nothing, and where.
struct Fault {
  std::string what;
  size_t offset = 0;
};
Fault CheckBlock(std::string_view block, bool last) {
  size_t at = 0;
  while (block.size() - at >= kHeaderBytes) {
    const Header header = ParseHeader(block.substr(at));
    const std::string_view data = block.substr(at + kHeaderBytes);
    if (header.type == 0 && header.length == 0) {
      // Allocated but never written, when nothing follows.
      if (last && AllZero(block.substr(at))) return {};
      return {"a record of type 0", at};
    }
    if (header.type == 0 || header.type > kLastType) return {"a record of unknown type", at};
    if (header.length > data.size()) {
      const bool crosses_block = at + kHeaderBytes + header.length > kBlockBytes;
      if (!last || crosses_block || SomePrefixFits(header, data)) return {"a record's length", at};
      return {};  // torn
    }
    const uint32_t crc = Crc32c(block.substr(at + 6, 1 + header.length));
    if (Mask(crc) != header.masked_crc) return {"a record's checksum", at};
    at += kHeaderBytes + header.length;
  }
  return {};
}

}  // namespace

absl::Status CheckLogFile(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string block;
  for (uint64_t start = 0; start < size; start += kBlockBytes) {
    block.resize(std::min(kBlockBytes, size - start));
    RETURN_IF_ERROR(file->Read(start, block.size(), block.data()));
    const bool last = size - start <= kBlockBytes;
    const Fault fault = CheckBlock(block, last);
    if (fault.what.empty()) continue;
    // Space allocated ahead of a crash: zeros to the end of the file.
    bool zeros = AllZero(std::string_view(block).substr(fault.offset));
    for (uint64_t next = start + kBlockBytes; zeros && next < size; next += kBlockBytes) {
      std::string rest(std::min(kBlockBytes, size - next), '\0');
      RETURN_IF_ERROR(file->Read(next, rest.size(), rest.data()));
      zeros = AllZero(rest);
    }
    if (zeros) return absl::OkStatus();
    return DataLoss("{}: {} at byte {} is damaged", path, fault.what, start + fault.offset);
  }
  return absl::OkStatus();
}

absl::Status CheckStoreFiles(FileSystem& files, const std::string& dir) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(dir));
  if (!exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(dir));
  const bool current = std::find(names.begin(), names.end(), "CURRENT") != names.end();
  for (const std::string& name : names) {
    const bool data = name.ends_with(".log") || name.ends_with(".sst");
    if (data && !current) return DataLoss("{}/CURRENT: missing, though there is {}", dir, name);
    if (name.ends_with(".log")) RETURN_IF_ERROR(CheckLogFile(files, dir + "/" + name));
  }
  if (!current) return absl::OkStatus();

  ASSIGN_OR_RETURN(std::string manifest, files.ReadAll(dir + "/CURRENT"));
  const bool whole = manifest.starts_with("MANIFEST-") && manifest.ends_with('\n');
  if (whole) manifest.pop_back();
  if (!whole || std::find(names.begin(), names.end(), manifest) == names.end()) {
    return DataLoss("{}/CURRENT: names no file of the store", dir);
  }
  return CheckLogFile(files, dir + "/" + manifest);
}

}  // namespace vectron::storage
