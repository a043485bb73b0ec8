
# Consider dependencies only in project.
set(CMAKE_DEPENDS_IN_PROJECT_ONLY OFF)

# The set of languages for which implicit dependencies are needed:
set(CMAKE_DEPENDS_LANGUAGES
  )

# The set of dependency files which are needed:
set(CMAKE_DEPENDS_DEPENDENCY_FILES
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx.cxx" "src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx.gch" "gcc" "src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx.gch" "gcc" "src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx.gch.d"
  "/tmp/w/model/src/model/collection.cc" "src/model/CMakeFiles/vectron_model.dir/collection.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/collection.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/collection.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/collection.cc.o.d"
  "/tmp/w/model/src/model/convert_check.cc" "src/model/CMakeFiles/vectron_model.dir/convert_check.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_check.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/convert_check.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_check.cc.o.d"
  "/tmp/w/model/src/model/convert_json.cc" "src/model/CMakeFiles/vectron_model.dir/convert_json.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_json.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/convert_json.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_json.cc.o.d"
  "/tmp/w/model/src/model/convert_proto.cc" "src/model/CMakeFiles/vectron_model.dir/convert_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_proto.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/convert_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_proto.cc.o.d"
  "/tmp/w/model/src/model/convert_write.cc" "src/model/CMakeFiles/vectron_model.dir/convert_write.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_write.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/convert_write.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/convert_write.cc.o.d"
  "/tmp/w/model/src/model/filter_match.cc" "src/model/CMakeFiles/vectron_model.dir/filter_match.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_match.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/filter_match.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_match.cc.o.d"
  "/tmp/w/model/src/model/filter_parse.cc" "src/model/CMakeFiles/vectron_model.dir/filter_parse.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_parse.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/filter_parse.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_parse.cc.o.d"
  "/tmp/w/model/src/model/filter_proto.cc" "src/model/CMakeFiles/vectron_model.dir/filter_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_proto.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/filter_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/filter_proto.cc.o.d"
  "/tmp/w/model/src/model/ids.cc" "src/model/CMakeFiles/vectron_model.dir/ids.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/ids.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/ids.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/ids.cc.o.d"
  "/tmp/w/model/src/model/json_fields.cc" "src/model/CMakeFiles/vectron_model.dir/json_fields.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_fields.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/json_fields.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_fields.cc.o.d"
  "/tmp/w/model/src/model/json_reader.cc" "src/model/CMakeFiles/vectron_model.dir/json_reader.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_reader.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/json_reader.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_reader.cc.o.d"
  "/tmp/w/model/src/model/json_writer.cc" "src/model/CMakeFiles/vectron_model.dir/json_writer.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_writer.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/json_writer.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/json_writer.cc.o.d"
  "/tmp/w/model/src/model/payload.cc" "src/model/CMakeFiles/vectron_model.dir/payload.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/payload.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/payload.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/payload.cc.o.d"
  "/tmp/w/model/src/model/payload_proto.cc" "src/model/CMakeFiles/vectron_model.dir/payload_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/payload_proto.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/payload_proto.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/payload_proto.cc.o.d"
  "/tmp/w/model/src/model/rfc3339.cc" "src/model/CMakeFiles/vectron_model.dir/rfc3339.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/rfc3339.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/rfc3339.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/rfc3339.cc.o.d"
  "/tmp/w/model/src/model/search.cc" "src/model/CMakeFiles/vectron_model.dir/search.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/search.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/search.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/search.cc.o.d"
  "/tmp/w/model/src/model/text.cc" "src/model/CMakeFiles/vectron_model.dir/text.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/text.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/text.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/text.cc.o.d"
  "/tmp/w/model/src/model/validate.cc" "src/model/CMakeFiles/vectron_model.dir/validate.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/validate.cc.o.d"
  "/tmp/w/model/src/model/CMakeFiles/vectron_model.dir/cmake_pch.hxx" "src/model/CMakeFiles/vectron_model.dir/validate.cc.o" "gcc" "src/model/CMakeFiles/vectron_model.dir/validate.cc.o.d"
  )

# Targets to which this target links.
set(CMAKE_TARGET_LINKED_INFO_FILES
  "/tmp/w/model/src/base/CMakeFiles/vectron_base.dir/DependInfo.cmake"
  "/tmp/w/model/proto/CMakeFiles/vectron_proto.dir/DependInfo.cmake"
  )

# Fortran module output directory.
set(CMAKE_Fortran_TARGET_MODULE_DIR "")
