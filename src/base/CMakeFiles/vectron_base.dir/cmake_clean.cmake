file(REMOVE_RECURSE
  "CMakeFiles/vectron_base.dir/check.cc.o"
  "CMakeFiles/vectron_base.dir/check.cc.o.d"
  "CMakeFiles/vectron_base.dir/clock.cc.o"
  "CMakeFiles/vectron_base.dir/clock.cc.o.d"
  "CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch"
  "CMakeFiles/vectron_base.dir/cmake_pch.hxx.gch.d"
  "CMakeFiles/vectron_base.dir/crash_point.cc.o"
  "CMakeFiles/vectron_base.dir/crash_point.cc.o.d"
  "CMakeFiles/vectron_base.dir/crc32c.cc.o"
  "CMakeFiles/vectron_base.dir/crc32c.cc.o.d"
  "CMakeFiles/vectron_base.dir/executor.cc.o"
  "CMakeFiles/vectron_base.dir/executor.cc.o.d"
  "CMakeFiles/vectron_base.dir/fault_file_system.cc.o"
  "CMakeFiles/vectron_base.dir/fault_file_system.cc.o.d"
  "CMakeFiles/vectron_base.dir/file.cc.o"
  "CMakeFiles/vectron_base.dir/file.cc.o.d"
  "CMakeFiles/vectron_base.dir/log.cc.o"
  "CMakeFiles/vectron_base.dir/log.cc.o.d"
  "CMakeFiles/vectron_base.dir/metrics.cc.o"
  "CMakeFiles/vectron_base.dir/metrics.cc.o.d"
  "CMakeFiles/vectron_base.dir/random.cc.o"
  "CMakeFiles/vectron_base.dir/random.cc.o.d"
  "CMakeFiles/vectron_base.dir/timer.cc.o"
  "CMakeFiles/vectron_base.dir/timer.cc.o.d"
  "libvectron_base.a"
  "libvectron_base.pdb"
)

# Per-language clean rules from dependency scanning.
foreach(lang CXX)
  include(CMakeFiles/vectron_base.dir/cmake_clean_${lang}.cmake OPTIONAL)
endforeach()
