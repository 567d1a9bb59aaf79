# One library per folder (or part of one), one place for warnings, hardening and what a library may include.
include(CheckCXXCompilerFlag)

set(_fovea_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Wold-style-cast -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Wswitch-enum)
set(_fovea_hardening -fstack-protector-strong -fno-strict-overflow)
foreach(flag -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
  string(MAKE_C_IDENTIFIER "FOVEA_HAS${flag}" _has)
  check_cxx_compiler_flag(${flag} ${_has})
  if(${_has})
    list(APPEND _fovea_hardening ${flag})
  endif()
endforeach()

# Warnings, hardening and sanitizers for one of our own targets.
function(fovea_configure_target target)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  # "address,undefined" would be two parameters to a generator expression.
  set(_fortify ON)
  if(FOVEA_SANITIZE)
    set(_fortify OFF)
  endif()
  target_compile_options(${target} PRIVATE ${_fovea_warnings} ${_fovea_hardening}
    # The same integers must give the same model on every machine: no fused multiply-add.
    -ffp-contract=off
    $<$<BOOL:${FOVEA_WERROR}>:-Werror>
    $<$<AND:$<CONFIG:Release>,$<BOOL:${_fortify}>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
  if(FOVEA_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FOVEA_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${FOVEA_SANITIZE})
  endif()
  if(FOVEA_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(FOVEA_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage)
    target_link_options(${target} PUBLIC --coverage)
  endif()
  target_link_options(${target} PRIVATE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endfunction()

# How much the optimiser is worth (-O2 unless a target says otherwise). Most code waits for disks, networks and
# people; loops over voxels, weights and masks do not. The levels change no result: no flag here lets the compiler
# reorder floating-point arithmetic.

# Headers that nearly every source includes, compiled once for all targets of a kind. A build with
# CMAKE_DISABLE_PRECOMPILE_HEADERS (preset ci) shows that each file includes what it uses all the same.
#
# A file is compiled at the level of the header that it includes, whatever its own flags say: gcc keeps the level in it.
# So each level has headers of its own (a HOT library at -O2 computed other last bits of N4, and lost its vectors).
function(fovea_precompiled_headers kind)
  cmake_parse_arguments(ARG "" "LEVEL" "HEADERS;DEPENDS" ${ARGN})
  add_library(fovea_precompiled_${kind} STATIC ${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp)
  fovea_configure_target(fovea_precompiled_${kind})
  target_compile_options(fovea_precompiled_${kind} PRIVATE $<$<CONFIG:Release>:${ARG_LEVEL}>)
  target_link_libraries(fovea_precompiled_${kind} PRIVATE ${ARG_DEPENDS})
  target_precompile_headers(fovea_precompiled_${kind} PRIVATE ${_fovea_common_headers} ${ARG_HEADERS})
endfunction()
set(_fovea_common_headers
  <algorithm> <array> <bit> <chrono> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <optional>
  <set> <span> <string> <string_view> <tuple> <utility> <variant> <vector>)

# The kind of a target by what it does: HOT (-O3) loops over voxels, weights and masks, COLD (-O1) runs once per
# command, TESTS (-O1) are tests. libtorch is compiled with definitions of its own, so headers are not shared with
# what uses it.
macro(fovea_choose_speed name)
  set(_precompiled common)
  set(_level)
  if(ARG_HOT)
    set(_level -O3)
    set(_precompiled hot)
  elseif(ARG_COLD)
    set(_level -O1)
    set(_precompiled commands)
    target_compile_definitions(${name} PRIVATE $<TARGET_PROPERTY:spdlog::spdlog,INTERFACE_COMPILE_DEFINITIONS>)
  elseif(ARG_TESTS)
    set(_level -O1)
    set(_precompiled tests)
    target_compile_options(${name} PRIVATE $<TARGET_PROPERTY:GTest::gtest,INTERFACE_COMPILE_OPTIONS>)
  endif()
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:${_level}>)
  # Below -O3, gcc 12 finds faults within std::string that are none. Clang does not know all of these names.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT _level STREQUAL "-O3")
    target_compile_options(${name} PRIVATE -Wno-null-dereference -Wno-array-bounds -Wno-stringop-overflow)
  endif()
  if(NOT "fovea_torch" IN_LIST ARG_PRIVATE_DEPENDS)
    target_precompile_headers(${name} REUSE_FROM fovea_precompiled_${_precompiled})
  endif()
endmacro()

# fovea_library(NAME [HOT|COLD] [SOURCES a.cpp …] [HEADERS h.h …] [DEPENDS lib …] [PRIVATE_DEPENDS lib …])
# DEPENDS are visible to users of the headers; PRIVATE_DEPENDS are seen by the .cpp files only. A header belongs to the
# library that compiles the .cpp file of its name; HEADERS are those without one. cmake/CheckIncludes.cmake holds every
# library to what it declares here.
function(fovea_library name)
  cmake_parse_arguments(ARG "HOT;COLD" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    fovea_configure_target(${name})
    fovea_choose_speed(${name})
    target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  else()  # headers alone
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${ARG_DEPENDS})
  endif()
  fovea_declare_includes(${name})
endfunction()

# fovea_program(NAME [HOT|COLD] SOURCES main.cpp … [DEPENDS lib …])
function(fovea_program name)
  cmake_parse_arguments(ARG "HOT;COLD;TESTS" "" "SOURCES;HEADERS;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  fovea_configure_target(${name})
  fovea_choose_speed(${name})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
  set(ARG_PRIVATE_DEPENDS)
  fovea_declare_includes(${name})
endfunction()

# fovea_embed_text(TARGET FILE text HEADER header NAME constant)
# The .cpp files of TARGET can include HEADER, in which the constant fovea::NAME is the text of FILE (below the
# source folder): one text serves as the commented example and in the program.
function(fovea_embed_text target)
  cmake_parse_arguments(ARG "" "FILE;HEADER;NAME" "" ${ARGN})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_FILE})
  file(READ ${CMAKE_SOURCE_DIR}/${ARG_FILE} ARG_TEXT)
  configure_file(${CMAKE_SOURCE_DIR}/cmake/embedded_text.h.in ${CMAKE_BINARY_DIR}/generated/${ARG_HEADER} @ONLY)
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated)
endfunction()
