# Runs the policy generator over a good and a bad proto; fails unless it takes the first and refuses the second by name.
file(MAKE_DIRECTORY ${OUT})
foreach(kind good bad)
  if(kind STREQUAL good)
    set(option "option (vectron.options.route) = {scope: SCOPE_READ};")
  else()
    set(option "")
  endif()
  file(WRITE ${OUT}/${kind}.proto "syntax = \"proto3\";
package vectron.probe.v1;
import \"vectron/options.proto\";
message M {}
service S { rpc Forgotten(M) returns (M) { ${option} } }
")
  execute_process(COMMAND ${PROTOC} --proto_path=${PROTOS} --proto_path=${OUT} --include_imports
    --descriptor_set_out=${OUT}/${kind}.bin ${OUT}/${kind}.proto COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${GEN} ${OUT}/${kind}.bin ${OUT}/${kind}.inc RESULT_VARIABLE result ERROR_VARIABLE message)
  if(kind STREQUAL good AND NOT result EQUAL 0)
    message(FATAL_ERROR "a good proto was refused: ${message}")
  elseif(kind STREQUAL bad AND NOT (result EQUAL 1 AND message MATCHES "vectron.probe.v1.S.Forgotten"))
    message(FATAL_ERROR "a bad proto was taken: ${result} ${message}")
  endif()
endforeach()
