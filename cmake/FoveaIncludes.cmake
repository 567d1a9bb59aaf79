# Writes down what each target is made of and declares, for cmake/CheckIncludes.cmake, which runs with every build in
# which a source changed and fails when a file includes what its target does not declare.

# Called by fovea_library and fovea_program with their ARG_… variables in scope.
macro(fovea_declare_includes target)
  file(RELATIVE_PATH _folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(_files)
  foreach(_file ${ARG_SOURCES} ${ARG_HEADERS})
    if(IS_ABSOLUTE ${_file})
      file(RELATIVE_PATH _path ${CMAKE_SOURCE_DIR} ${_file})
    else()
      set(_path ${_folder}/${_file})
    endif()
    list(APPEND _files ${_path})
    string(REGEX REPLACE "[.]cpp$" ".h" _header ${_path})
    if(NOT _header STREQUAL _path AND EXISTS ${CMAKE_SOURCE_DIR}/${_header})
      list(APPEND _files ${_header})
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY FOVEA_INCLUDE_FILES ${_files})
  string(REPLACE ";" " " _files "${_files}")
  string(REPLACE ";" " " _public "${ARG_DEPENDS}")
  string(REPLACE ";" " " _private "${ARG_PRIVATE_DEPENDS}")
  set_property(GLOBAL APPEND_STRING PROPERTY FOVEA_INCLUDE_LINES
    "set(FILES_${target} ${_files})\nset(PUBLIC_${target} ${_public})\nset(PRIVATE_${target} ${_private})\n")
  set_property(GLOBAL APPEND PROPERTY FOVEA_INCLUDE_TARGETS ${target})
endmacro()

# The target check_includes, part of `all`.
function(fovea_check_includes)
  get_property(lines GLOBAL PROPERTY FOVEA_INCLUDE_LINES)
  get_property(targets GLOBAL PROPERTY FOVEA_INCLUDE_TARGETS)
  get_property(files GLOBAL PROPERTY FOVEA_INCLUDE_FILES)
  list(REMOVE_DUPLICATES files)
  string(REPLACE ";" " " targets "${targets}")
  set(manifest ${CMAKE_BINARY_DIR}/includes_declared.cmake)
  file(CONFIGURE OUTPUT ${manifest} CONTENT "set(TARGETS ${targets})\n${lines}" @ONLY)
  list(TRANSFORM files PREPEND ${CMAKE_SOURCE_DIR}/ OUTPUT_VARIABLE paths)
  set(script ${CMAKE_SOURCE_DIR}/cmake/CheckIncludes.cmake)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/includes_checked
    COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR} -DMANIFEST=${manifest} -P ${script}
    COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/includes_checked
    DEPENDS ${paths} ${manifest} ${script}
    COMMENT "Checking that every target includes only what it declares" VERBATIM)
  add_custom_target(check_includes ALL DEPENDS ${CMAKE_BINARY_DIR}/includes_checked)
endfunction()
