file(REMOVE_RECURSE
  "../../bin/base_tests"
  "../../bin/base_tests.pdb"
  "CMakeFiles/base_tests.dir/base_test.cc.o"
  "CMakeFiles/base_tests.dir/base_test.cc.o.d"
  "CMakeFiles/base_tests.dir/cmake_pch.hxx.gch"
  "CMakeFiles/base_tests.dir/cmake_pch.hxx.gch.d"
  "CMakeFiles/base_tests.dir/fault_file_system_test.cc.o"
  "CMakeFiles/base_tests.dir/fault_file_system_test.cc.o.d"
  "CMakeFiles/base_tests.dir/metrics_test.cc.o"
  "CMakeFiles/base_tests.dir/metrics_test.cc.o.d"
  "CMakeFiles/base_tests.dir/timer_test.cc.o"
  "CMakeFiles/base_tests.dir/timer_test.cc.o.d"
)

# Per-language clean rules from dependency scanning.
foreach(lang CXX)
  include(CMakeFiles/base_tests.dir/cmake_clean_${lang}.cmake OPTIONAL)
endforeach()
