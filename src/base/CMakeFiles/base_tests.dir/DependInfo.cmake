
# Consider dependencies only in project.
set(CMAKE_DEPENDS_IN_PROJECT_ONLY OFF)

# The set of languages for which implicit dependencies are needed:
set(CMAKE_DEPENDS_LANGUAGES
  )

# The set of dependency files which are needed:
set(CMAKE_DEPENDS_DEPENDENCY_FILES
  "/tmp/w/model/src/base/base_test.cc" "src/base/CMakeFiles/base_tests.dir/base_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/base_test.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx" "src/base/CMakeFiles/base_tests.dir/base_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/base_test.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx.cxx" "src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx.gch" "gcc" "src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx" "src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx.gch" "gcc" "src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/base/fault_file_system_test.cc" "src/base/CMakeFiles/base_tests.dir/fault_file_system_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/fault_file_system_test.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx" "src/base/CMakeFiles/base_tests.dir/fault_file_system_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/fault_file_system_test.cc.o.d"
  "/tmp/w/model/src/base/metrics_test.cc" "src/base/CMakeFiles/base_tests.dir/metrics_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/metrics_test.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx" "src/base/CMakeFiles/base_tests.dir/metrics_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/metrics_test.cc.o.d"
  "/tmp/w/model/src/base/timer_test.cc" "src/base/CMakeFiles/base_tests.dir/timer_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/timer_test.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/base_tests.dir/cmake_pch.hxx" "src/base/CMakeFiles/base_tests.dir/timer_test.cc.o" "gcc" "src/base/CMakeFiles/base_tests.dir/timer_test.cc.o.d"
  )

# Targets to which this target links.
set(CMAKE_TARGET_LINKED_INFO_FILES
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/DependInfo.cmake"
  )

# Fortran module output directory.
set(CMAKE_Fortran_TARGET_MODULE_DIR "")
