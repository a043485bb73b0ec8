#include "apps/vectron/protobuf_log.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace vectron {
namespace {

TEST(ProtobufLog, GoesThroughOurLogAndDoesNotFillIt) {
  google::protobuf::LogHandler* const before = google::protobuf::SetLogHandler(nullptr);
  TakeProtobufLog();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) GOOGLE_LOG(ERROR) << "it is no UTF-8";
  const std::string said = testing::internal::GetCapturedStderr();
  google::protobuf::SetLogHandler(before);
  EXPECT_THAT(said, testing::HasSubstr("protobuf: it is no UTF-8\n"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1);
}

}  // namespace
}  // namespace vectron
