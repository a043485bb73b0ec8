
# Consider dependencies only in project.
set(CMAKE_DEPENDS_IN_PROJECT_ONLY OFF)

# The set of languages for which implicit dependencies are needed:
set(CMAKE_DEPENDS_LANGUAGES
  )

# The set of dependency files which are needed:
set(CMAKE_DEPENDS_DEPENDENCY_FILES
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx.cxx" "src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx.gch" "gcc" "src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx.gch" "gcc" "src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/model/collection_test.cc" "src/model/CMakeFiles/model_tests.dir/collection_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/collection_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/collection_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/collection_test.cc.o.d"
  "/tmp/w/model/src/model/convert_test.cc" "src/model/CMakeFiles/model_tests.dir/convert_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/convert_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/convert_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/convert_test.cc.o.d"
  "/tmp/w/model/src/model/filter_match_test.cc" "src/model/CMakeFiles/model_tests.dir/filter_match_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/filter_match_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/filter_match_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/filter_match_test.cc.o.d"
  "/tmp/w/model/src/model/filter_test.cc" "src/model/CMakeFiles/model_tests.dir/filter_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/filter_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/filter_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/filter_test.cc.o.d"
  "/tmp/w/model/src/model/ids_test.cc" "src/model/CMakeFiles/model_tests.dir/ids_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/ids_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/ids_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/ids_test.cc.o.d"
  "/tmp/w/model/src/model/payload_test.cc" "src/model/CMakeFiles/model_tests.dir/payload_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/payload_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/payload_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/payload_test.cc.o.d"
  "/tmp/w/model/src/model/rfc3339_test.cc" "src/model/CMakeFiles/model_tests.dir/rfc3339_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/rfc3339_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/rfc3339_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/rfc3339_test.cc.o.d"
  "/tmp/w/model/src/model/search_test.cc" "src/model/CMakeFiles/model_tests.dir/search_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/search_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/search_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/search_test.cc.o.d"
  "/tmp/w/model/src/model/validate_test.cc" "src/model/CMakeFiles/model_tests.dir/validate_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/validate_test.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/model_tests.dir/cmake_pch.hxx" "src/model/CMakeFiles/model_tests.dir/validate_test.cc.o" "gcc" "src/model/CMakeFiles/model_tests.dir/validate_test.cc.o.d"
  )

# Targets to which this target links.
set(CMAKE_TARGET_LINKED_INFO_FILES
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/DependInfo.cmake"
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/DependInfo.cmake"
  "/tmp/w/model/proto/CMakeFiles/vectron_proto.dir/DependInfo.cmake"
  )

# Fortran module output directory.
set(CMAKE_Fortran_TARGET_MODULE_DIR "")
