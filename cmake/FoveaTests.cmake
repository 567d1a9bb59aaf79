# Tests by rooms: tests/unit/crypto is room "crypto", tests/simulation room "simulation". Each room has a target
# tests_ROOM that builds what it needs; the names of its cases begin with "ROOM.", and their labels are the kind of test
# (the first folder: unit, simulation, integration, …) and room_ROOM.

# The room and the kind of the folder that is being read.
function(_fovea_test_room room kind)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "/.*" "" first "${folder}")
  get_filename_component(last "${folder}" NAME)
  set(${room} ${last} PARENT_SCOPE)
  set(${kind} ${first} PARENT_SCOPE)
endfunction()

# fovea_test_program(NAME SOURCES … [DEPENDS lib …]): a program in the build's tests/ folder, part of its room's target.
function(fovea_test_program name)
  fovea_program(${name} TESTS ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  _fovea_test_room(room kind)
  if(NOT TARGET tests_${room})
    add_custom_target(tests_${room})
  endif()
  add_dependencies(tests_${room} ${name})
endfunction()

# fovea_command_test(NAME COMMAND …): a command as one entry of ctest.
function(fovea_command_test name)
  cmake_parse_arguments(ARG "" "" "COMMAND" ${ARGN})
  _fovea_test_room(room kind)
  add_test(NAME ${room}.${name} COMMAND ${ARG_COMMAND})
  set_tests_properties(${room}.${name} PROPERTIES LABELS "${kind};room_${room}" TIMEOUT 300)
endfunction()

# libzmq and other libraries of Debian's are not compiled with the thread sanitizer: what it sees of them alone is no
# race of ours.
set(_fovea_test_environment)
if(FOVEA_SANITIZE MATCHES "thread")
  set(_fovea_test_environment ENVIRONMENT
      "TSAN_OPTIONS=ignore_noninstrumented_modules=1 suppressions=${CMAKE_SOURCE_DIR}/tests/thread_sanitizer.supp")
endif()

# fovea_test(NAME SOURCES test.cpp … [HEADERS h.h …] [DEPENDS lib …] [PROGRAMS program …]
#            [TIMEOUT s] [WHOLE])
# A GoogleTest program, each case of it an entry of ctest; WHOLE: one entry for all, where cases share an expensive
# start. PROGRAMS are those that the cases start.
function(fovea_test name)
  cmake_parse_arguments(ARG "WHOLE" "TIMEOUT" "SOURCES;HEADERS;DEPENDS;PROGRAMS" ${ARGN})
  fovea_test_program(${name} SOURCES ${ARG_SOURCES} HEADERS ${ARG_HEADERS} DEPENDS
                     ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE FOVEA_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             FOVEA_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(ARG_PROGRAMS)
    add_dependencies(${name} ${ARG_PROGRAMS})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(FOVEA_COVERAGE)  # without optimisation, and each branch is counted
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")
  endif()
  _fovea_test_room(room kind)
  foreach(source ${ARG_SOURCES})
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    set_property(GLOBAL APPEND_STRING PROPERTY FOVEA_TEST_SOURCES "${name}\t${room}\t${path}\n")
  endforeach()
  if(ARG_WHOLE)
    add_test(NAME ${room}.${name} COMMAND ${name})
    set_tests_properties(${room}.${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
                         LABELS "${kind};room_${room}" ${_fovea_test_environment})
  else()
    gtest_discover_tests(${name} TEST_PREFIX ${room}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 NO_PRETTY_VALUES
                         PROPERTIES TIMEOUT ${ARG_TIMEOUT} ${_fovea_test_environment})
    # Two labels are a list, which gtest_discover_tests cannot hand on: set when ctest has read the cases.
    set(labels ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
    file(WRITE ${labels} "set_tests_properties(\${${name}_TESTS} PROPERTIES LABELS \"${kind};room_${room}\")\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels})
  endif()
endfunction()

# For scripts/test --case: program, room and source of every test, a line each.
function(fovea_write_test_sources)
  get_property(lines GLOBAL PROPERTY FOVEA_TEST_SOURCES)
  file(WRITE ${CMAKE_BINARY_DIR}/test_sources.txt "${lines}")
endfunction()
