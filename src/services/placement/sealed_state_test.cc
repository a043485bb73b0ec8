#include "services/placement/sealed_state.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace vectron::placement {
namespace {

constexpr std::string_view kMagic = "VECTTEST";

TEST(SealedState, GivesBackTheBody) {
  for (const std::string body : {"", "body"}) {
    const std::string bytes = Seal(kMagic, body);
    const auto unsealed = Unseal(kMagic, "state", bytes);
    ASSERT_TRUE(unsealed.ok()) << unsealed.status();
    EXPECT_EQ(*unsealed, body);
  }
}

TEST(SealedState, RefusesEveryFlippedByteAndEveryTruncation) {
  const std::string bytes = Seal(kMagic, "body");
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    EXPECT_TRUE(absl::IsDataLoss(Unseal(kMagic, "state", flipped).status())) << i;
    EXPECT_TRUE(absl::IsDataLoss(Unseal(kMagic, "state", bytes.substr(0, i)).status())) << i;
  }
  EXPECT_TRUE(absl::IsDataLoss(Unseal(kMagic, "state", bytes + "x").status()));
  EXPECT_TRUE(absl::IsDataLoss(Unseal("VECTELSE", "state", bytes).status()));
}

TEST(SealedState, AnIntactNewerVersionIsNoDamage) {
  std::string bytes = Seal(kMagic, "body");
  bytes[kMagic.size()] = 2;
  bytes.resize(bytes.size() - sizeof(uint32_t));
  PutFixed<uint32_t>(bytes, Crc32c(bytes));
  EXPECT_TRUE(absl::IsFailedPrecondition(Unseal(kMagic, "state", bytes).status()));
}

}  // namespace
}  // namespace vectron::placement
