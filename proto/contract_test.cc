#include <gtest/gtest.h>
#include "vectron/vectron.pb.h"
TEST(Contract, Placeholder) { EXPECT_EQ(vectron::v1::Point::kIdFieldNumber, 1); }
