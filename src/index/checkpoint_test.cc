#include "index/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fault_file_system.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::index {
namespace {

std::string Noise(uint64_t seed, size_t size) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// A checkpoint with small sections, one with a file of its own and a linked file.
absl::Status WriteSample(FileSystem& files, const std::string& dir, const std::string& outside,
                         size_t large_bytes) {
  {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(outside, OpenMode::kCreate));
    RETURN_IF_ERROR(file->Write(0, Noise(9, 500)));
    RETURN_IF_ERROR(file->Sync());
  }
  ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(files, dir));
  writer->SetNumber("dimension", 128);
  writer->SetNumber("applied_index", ~uint64_t{0});
  RETURN_IF_ERROR(writer->AddSection("a", Noise(1, 5000)));
  RETURN_IF_ERROR(writer->AddSection("empty", ""));
  RETURN_IF_ERROR(writer->AddSection("b/0", Noise(2, 1)));
  RETURN_IF_ERROR(writer->Begin("large/0", large_bytes));
  const std::string large = Noise(3, large_bytes);
  RETURN_IF_ERROR(writer->Append(std::string_view(large).substr(0, large_bytes / 3)));
  RETURN_IF_ERROR(writer->Append(std::string_view(large).substr(large_bytes / 3)));
  RETURN_IF_ERROR(writer->End());
  RETURN_IF_ERROR(writer->LinkFile("outside", "outside.bin", outside, 400));
  return writer->Finish();
}

// Opens, verifies and compares everything with what WriteSample wrote. DataLoss, or OK with equal
// contents.
absl::Status Check(FileSystem& files, const std::string& dir, size_t large_bytes) {
  ASSIGN_OR_RETURN(const auto reader, CheckpointReader::Open(files, dir));
  RETURN_IF_ERROR(reader->VerifyAll());
  ASSIGN_OR_RETURN(const uint64_t dimension, reader->Number("dimension"));
  ASSIGN_OR_RETURN(const uint64_t applied, reader->Number("applied_index"));
  ASSIGN_OR_RETURN(const std::string a, reader->ReadSection("a"));
  ASSIGN_OR_RETURN(const std::string b, reader->ReadSection("b/0"));
  ASSIGN_OR_RETURN(const std::string empty, reader->ReadSection("empty"));
  ASSIGN_OR_RETURN(const std::string large, reader->ReadSection("large/0"));
  const bool equal = dimension == 128 && applied == ~uint64_t{0} && a == Noise(1, 5000) &&
                     b == Noise(2, 1) && empty.empty() && large == Noise(3, large_bytes);
  return equal ? absl::OkStatus() : Internal("contents differ without an error");
}

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  const size_t large = kOwnFileBytes + 12345;
  ASSERT_TRUE(WriteSample(*files, dir / "c", dir / "raw", large).ok());
  EXPECT_TRUE(Check(*files, dir / "c", large).ok());
  EXPECT_EQ(*files->List(dir / "c"),
            (std::vector<std::string>{"MANIFEST", "large-0", "outside.bin", "small"}));
  const auto reader = CheckpointReader::Open(*files, dir / "c");
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->piece_count(), 1U + 1U + 5U);
  for (const auto& [name, section] : (*reader)->manifest().sections) {
    EXPECT_EQ(section.offset % kSectionAlignment, 0U) << name;
  }
  EXPECT_EQ((*reader)->FindSection("none"), nullptr);
  EXPECT_EQ((*reader)->Number("none").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ((*reader)->ReadSection("outside").status().code(), absl::StatusCode::kDataLoss);
}

TEST(Checkpoint, AFolderWithoutAManifestIsNotFound) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  EXPECT_EQ(CheckpointReader::Open(*files, dir / "none").status().code(),
            absl::StatusCode::kNotFound);
  auto writer = CheckpointWriter::Create(*files, dir / "c");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->AddSection("a", "x").ok());
  EXPECT_EQ(CheckpointReader::Open(*files, dir / "c").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(CheckpointWriter::Create(*files, dir / "c").status().code(),
            absl::StatusCode::kAlreadyExists);
}

TEST(Checkpoint, EveryFlippedByteIsDataLoss) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  ASSERT_TRUE(WriteSample(*files, dir / "c", dir / "raw", 3000).ok());
  for (const std::string name : {"MANIFEST", "small"}) {
    const std::string bytes = *files->ReadAll(dir / ("c/" + name));
    auto file = files->Open(dir / ("c/" + name), OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok());
    for (size_t at = 0; at < bytes.size(); ++at) {
      const auto flipped = static_cast<char>(bytes[at] ^ static_cast<char>(1 << (at % 8)));
      ASSERT_TRUE((*file)->Write(at, {&flipped, 1}).ok());
      const absl::Status status = Check(*files, dir / "c", 3000);
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << name << " " << at << status;
      ASSERT_NE(MessageOf(status).find(dir / ("c/" + name)), std::string_view::npos) << status;
      ASSERT_TRUE((*file)->Write(at, {&bytes[at], 1}).ok());
    }
  }
  EXPECT_TRUE(Check(*files, dir / "c", 3000).ok());
}

TEST(Checkpoint, EveryTruncationAndMissingFileIsDataLoss) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  ASSERT_TRUE(WriteSample(*files, dir / "c", dir / "raw", 3000).ok());
  for (const std::string name : {"MANIFEST", "small", "outside.bin"}) {
    const std::string path = dir / ("c/" + name);
    const std::string bytes = *files->ReadAll(path);
    const size_t needed = name == "outside.bin" ? 400 : bytes.size();
    for (size_t size = 0; size < needed; size += 1 + size / 64) {
      ASSERT_TRUE((*files->Open(path, OpenMode::kReadWrite))->Truncate(size).ok());
      ASSERT_EQ(Check(*files, dir / "c", 3000).code(), absl::StatusCode::kDataLoss)
          << name << " " << size;
      ASSERT_TRUE((*files->Open(path, OpenMode::kReadWrite))->Write(0, bytes).ok());
    }
    ASSERT_TRUE(files->Remove(path).ok());
    EXPECT_EQ(Check(*files, dir / "c", 3000).code(),
              name == "MANIFEST" ? absl::StatusCode::kNotFound : absl::StatusCode::kDataLoss);
    ASSERT_TRUE((*files->Open(path, OpenMode::kCreate))->Write(0, bytes).ok());
  }
  EXPECT_TRUE(Check(*files, dir / "c", 3000).ok());
}

TEST(Checkpoint, WhereverTheDiskFailsThereIsAnErrorAndNeverHalfACheckpoint) {
  const auto real = NewPosixFileSystem();
  uint64_t n = 1;
  for (bool failed = true; failed; ++n) {
    SCOPED_TRACE(n);
    const TempDir dir;
    FaultFileSystem files(*real);
    files.FailAt(n,
                 {.status = absl::ResourceExhaustedError("disk full"), .short_write = n % 2 == 0});
    const absl::Status status = WriteSample(files, dir / "c", dir / "raw", kOwnFileBytes);
    failed = files.failed_count() > 0;
    EXPECT_EQ(status.code(), failed ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kOk);
    // Only the last step, the sync of the folder, may fail after the checkpoint is whole.
    const absl::Status seen = Check(*real, dir / "c", kOwnFileBytes);
    EXPECT_TRUE(seen.ok() || seen.code() == absl::StatusCode::kNotFound) << seen;
    EXPECT_TRUE(failed || seen.ok());
  }
  EXPECT_GT(n, 15U);
}

TEST(Checkpoint, EveryFailureToReadIsAnError) {
  const TempDir dir;
  const auto real = NewPosixFileSystem();
  ASSERT_TRUE(WriteSample(*real, dir / "c", dir / "raw", kOwnFileBytes).ok());
  uint64_t n = 1;
  for (bool failed = true; failed; ++n) {
    FaultFileSystem files(*real);
    files.FailAt(n, absl::DataLossError("bad sector"));
    const absl::Status status = Check(files, dir / "c", kOwnFileBytes);
    failed = files.failed_count() > 0;
    EXPECT_EQ(status.code(), failed ? absl::StatusCode::kDataLoss : absl::StatusCode::kOk) << n;
  }
  EXPECT_GT(n, 10U);
}

TEST(Checkpoint, AnIntactNewerFormatIsRefusedAsSuch) {
  Manifest manifest;
  manifest.format_version = kCheckpointVersion + 1;
  EXPECT_EQ(DecodeManifest(EncodeManifest(manifest), "m").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Checkpoint, AManifestCannotPointOutOfItsFolder) {
  for (const std::string file : {"../x", "", ".", "..", "a/b"}) {
    Manifest manifest;
    SectionInfo info;
    info.name = "s";
    info.file = file;
    manifest.sections["s"] = info;
    EXPECT_EQ(DecodeManifest(EncodeManifest(manifest), "m").status().code(),
              absl::StatusCode::kDataLoss);
  }
}

TEST(Checkpoint, ArbitraryBytesWithAGoodCrcAreRefusedOrDecoded) {
  const uint64_t seed = 77;
  SCOPED_TRACE(seed);
  Random random(seed);
  Manifest manifest;
  manifest.numbers["n"] = 5;
  SectionInfo info;
  info.name = "s";
  info.file = "f";
  info.size_bytes = 5 << 20;
  info.crcs.assign(5, 1);
  manifest.sections["s"] = info;
  const std::string good = EncodeManifest(manifest);
  ASSERT_TRUE(DecodeManifest(good, "m").ok());
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (uint64_t flips = 1 + random.Below(3); flips > 0; --flips) {
      bytes[24 + random.Below(bytes.size() - 24)] = static_cast<char>(random.Next());
    }
    const uint32_t crc = Crc32c(std::string_view(bytes).substr(16), Crc32c({bytes.data(), 12}));
    std::memcpy(bytes.data() + 12, &crc, 4);
    const auto decoded = DecodeManifest(bytes, "m");
    EXPECT_TRUE(decoded.ok() || absl::IsDataLoss(decoded.status())) << decoded.status();
  }
}

}  // namespace
}  // namespace vectron::index
