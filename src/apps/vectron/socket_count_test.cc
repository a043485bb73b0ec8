#include "apps/vectron/socket_count.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace vectron {
namespace {

TEST(SocketCount, CountsEstablishedConnectionsOfThePortAlone) {
  constexpr char kTable[] =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
      "   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
      "   1: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0\n"
      "   2: 0100007F:C350 0100007F:1F91 01 00000000:00000000 00:00000000 00000000     0\n"
      "   3: 00000000000000000000000001000000:1F91 00000000000000000000000001000000:C351 01 0\n"
      "   4: 0100007F:1F91 0100007F:C352 06 00000000:00000000 00:00000000 00000000     0\n";
  EXPECT_EQ(CountEstablished(kTable, 0x1F91), 2u);
  EXPECT_EQ(CountEstablished(kTable, 0x1F90), 0u);
  EXPECT_EQ(CountEstablished("", 80), 0u);
}

TEST(SocketCount, SeesAConnectionOfThisMachine) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener, generic, size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, generic, &size), 0);
  const uint16_t port = ntohs(address.sin_port);
  EXPECT_EQ(EstablishedConnections(port), 0u);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(client, generic, size), 0);
  EXPECT_EQ(EstablishedConnections(port), 1u);
  ::close(client);
  ::close(listener);
}

}  // namespace
}  // namespace vectron
