file(REMOVE_RECURSE
  "../../bin/model_tests"
  "../../bin/model_tests.pdb"
  "CMakeFiles/model_tests.dir/cmake_pch.hxx.gch"
  "CMakeFiles/model_tests.dir/cmake_pch.hxx.gch.d"
  "CMakeFiles/model_tests.dir/collection_test.cc.o"
  "CMakeFiles/model_tests.dir/collection_test.cc.o.d"
  "CMakeFiles/model_tests.dir/convert_test.cc.o"
  "CMakeFiles/model_tests.dir/convert_test.cc.o.d"
  "CMakeFiles/model_tests.dir/filter_match_test.cc.o"
  "CMakeFiles/model_tests.dir/filter_match_test.cc.o.d"
  "CMakeFiles/model_tests.dir/filter_test.cc.o"
  "CMakeFiles/model_tests.dir/filter_test.cc.o.d"
  "CMakeFiles/model_tests.dir/ids_test.cc.o"
  "CMakeFiles/model_tests.dir/ids_test.cc.o.d"
  "CMakeFiles/model_tests.dir/payload_test.cc.o"
  "CMakeFiles/model_tests.dir/payload_test.cc.o.d"
  "CMakeFiles/model_tests.dir/rfc3339_test.cc.o"
  "CMakeFiles/model_tests.dir/rfc3339_test.cc.o.d"
  "CMakeFiles/model_tests.dir/search_test.cc.o"
  "CMakeFiles/model_tests.dir/search_test.cc.o.d"
  "CMakeFiles/model_tests.dir/validate_test.cc.o"
  "CMakeFiles/model_tests.dir/validate_test.cc.o.d"
)

# Per-language clean rules from dependency scanning.
foreach(lang CXX)
  include(CMakeFiles/model_tests.dir/cmake_clean_${lang}.cmake OPTIONAL)
endforeach()
