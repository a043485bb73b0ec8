# CMake generated Testfile for 
# Source directory: /tmp/w/model/src/base
# Build directory: /tmp/w/model/src/base
# 
# This file includes the relevant testing commands required for 
# testing this directory and lists subdirectories to be tested as well.
add_test([=[base_tests]=] "/tmp/w/model/bin/base_tests")
set_tests_properties([=[base_tests]=] PROPERTIES  ENVIRONMENT "TSAN_OPTIONS=suppressions=/tmp/w/model/tools/tsan.supp:ignore_noninstrumented_modules=1:halt_on_error=1;ASAN_OPTIONS=detect_stack_use_after_return=1;UBSAN_OPTIONS=print_stacktrace=1;VECTRON_SOURCE_DIR=/tmp/w/model" TIMEOUT "300" _BACKTRACE_TRIPLES "/tmp/w/model/cmake/VectronTargets.cmake;48;add_test;/tmp/w/model/cmake/VectronTargets.cmake;37;vectron_test;/tmp/w/model/src/base/CMakeLists.txt;1;vectron_library;/tmp/w/model/src/base/CMakeLists.txt;0;")
