# Every library the project links, found once. Reasons and versions: docs/adr.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)          # module mode, before gRPC's config
find_package(gRPC CONFIG REQUIRED)
find_package(RocksDB REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(simdjson REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
find_library(ROARING_LIBRARY roaring REQUIRED)   # Debian ships neither a CMake config nor a .pc file
if(VECTRON_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
