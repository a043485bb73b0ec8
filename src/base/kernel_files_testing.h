#pragma once

// A root with the kernel's files as a test writes them, for what reads control groups.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace vectron {

class KernelFilesTest : public ::testing::Test {
 protected:
  // path: absolute, below the root.
  void Write(const std::string& path, const std::string& text) {
    const std::string whole = dir_.path() + path;
    CHECK_OK(files_->MakeDirs(whole.substr(0, whole.rfind('/'))));
    CHECK_OK(files_->WriteAtomically(whole, text));
  }

  const TempDir dir_;
  const std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

}  // namespace vectron
