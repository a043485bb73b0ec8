# vectron_library(NAME DEPS ...): a static library `vectron_NAME` of every .cc beside the CMakeLists.txt that is not a
# test, and one test program `NAME_tests` of every *_test.cc there.
#   DEPS       libraries of lower floors and external ones (public)
#   TEST_DEPS  further libraries of the tests
#   EXCLUDE    files not to take (compiled elsewhere with their own flags)
#   SUBDIRS    sub-folders whose files belong to the library too
#   TEST_TIMEOUT seconds of one test program (default 300)
include(GoogleTest)

function(vectron_library name)
  cmake_parse_arguments(ARG "" "TEST_TIMEOUT" "DEPS;TEST_DEPS;EXCLUDE;SUBDIRS" ${ARGN})
  set(globs *.cc)
  foreach(sub ${ARG_SUBDIRS})
    list(APPEND globs ${sub}/*.cc)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${globs})
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|_testing\\.cc$|(^|/)main\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$|_testing\\.cc$")
  if(ARG_EXCLUDE)
    list(REMOVE_ITEM sources ${ARG_EXCLUDE})
  endif()
  if(sources)
    add_library(vectron_${name} STATIC ${sources})
    target_link_libraries(vectron_${name} PUBLIC ${ARG_DEPS} PRIVATE vectron_warnings)
    target_include_directories(vectron_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    vectron_pch(vectron_${name})
  else()
    add_library(vectron_${name} INTERFACE)
    target_link_libraries(vectron_${name} INTERFACE ${ARG_DEPS})
    target_include_directories(vectron_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
  endif()
  if(tests AND VECTRON_BUILD_TESTS)
    if(NOT ARG_TEST_TIMEOUT)
      set(ARG_TEST_TIMEOUT 300)
    endif()
    vectron_test(${name}_tests SOURCES ${tests} DEPS vectron_${name} ${ARG_TEST_DEPS} TIMEOUT ${ARG_TEST_TIMEOUT})
  endif()
endfunction()

# vectron_test(NAME SOURCES ... DEPS ... [TIMEOUT seconds]): one program, registered with ctest as one test.
function(vectron_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main vectron_warnings)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  vectron_pch(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp:ignore_noninstrumented_modules=1:halt_on_error=1;ASAN_OPTIONS=detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1;VECTRON_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

# One precompiled header for all: the standard headers everyone uses and absl's status.
function(vectron_pch target)
  if(NOT VECTRON_PCH)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <atomic> <chrono> <cstdint> <cstring> <functional> <limits> <map> <memory> <optional> <span>
    <string> <string_view> <unordered_map> <utility> <variant> <vector> <absl/status/status.h> <absl/status/statusor.h>
    <absl/strings/str_cat.h> <absl/synchronization/mutex.h> <absl/container/flat_hash_map.h>)
endfunction()
