# Every library the project links, found once. Reasons and versions: docs/adr/0010-libraries.md.
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
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)
find_package(tomlplusplus REQUIRED)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)   # its own CMake config is broken
# It asks for _FILE_OFFSET_BITS=64, which is so here anyway, and g++ refuses a precompiled header made without that macro.
set_property(TARGET PkgConfig::HIREDIS PROPERTY INTERFACE_COMPILE_OPTIONS "")
find_library(ROARING_LIBRARY roaring REQUIRED)   # Debian ships neither a CMake config nor a .pc file
if(VECTRON_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)
