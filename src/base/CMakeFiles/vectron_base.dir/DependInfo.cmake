
# Consider dependencies only in project.
set(CMAKE_DEPENDS_IN_PROJECT_ONLY OFF)

# The set of languages for which implicit dependencies are needed:
set(CMAKE_DEPENDS_LANGUAGES
  )

# The set of dependency files which are needed:
set(CMAKE_DEPENDS_DEPENDENCY_FILES
  "/tmp/w/model/src/base/check.cc" "src/base/CMakeFiles/vectron_base.dir/check.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/check.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/check.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/check.cc.o.d"
  "/tmp/w/model/src/base/clock.cc" "src/base/CMakeFiles/vectron_base.dir/clock.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/clock.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/clock.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/clock.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx.cxx" "src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch" "gcc" "src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch" "gcc" "src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/base/crash_point.cc" "src/base/CMakeFiles/vectron_base.dir/crash_point.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/crash_point.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/crash_point.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/crash_point.cc.o.d"
  "/tmp/w/model/src/base/crc32c.cc" "src/base/CMakeFiles/vectron_base.dir/crc32c.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/crc32c.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/crc32c.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/crc32c.cc.o.d"
  "/tmp/w/model/src/base/executor.cc" "src/base/CMakeFiles/vectron_base.dir/executor.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/executor.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/executor.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/executor.cc.o.d"
  "/tmp/w/model/src/base/fault_file_system.cc" "src/base/CMakeFiles/vectron_base.dir/fault_file_system.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/fault_file_system.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/fault_file_system.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/fault_file_system.cc.o.d"
  "/tmp/w/model/src/base/file.cc" "src/base/CMakeFiles/vectron_base.dir/file.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/file.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/file.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/file.cc.o.d"
  "/tmp/w/model/src/base/log.cc" "src/base/CMakeFiles/vectron_base.dir/log.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/log.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/log.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/log.cc.o.d"
  "/tmp/w/model/src/base/metrics.cc" "src/base/CMakeFiles/vectron_base.dir/metrics.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/metrics.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/metrics.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/metrics.cc.o.d"
  "/tmp/w/model/src/base/random.cc" "src/base/CMakeFiles/vectron_base.dir/random.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/random.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/random.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/random.cc.o.d"
  "/tmp/w/model/src/base/timer.cc" "src/base/CMakeFiles/vectron_base.dir/timer.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/timer.cc.o.d"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/cmake_pch.hxx" "src/base/CMakeFiles/vectron_base.dir/timer.cc.o" "gcc" "src/base/CMakeFiles/vectron_base.dir/timer.cc.o.d"
  )

# Targets to which this target links.
set(CMAKE_TARGET_LINKED_INFO_FILES
  )

# Fortran module output directory.
set(CMAKE_Fortran_TARGET_MODULE_DIR "")
