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
    # The same integers must give the same model on every machine (design: federation).
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

# fovea_library(NAME [SOURCES a.cpp …] [HEADERS h.h …] [DEPENDS lib …] [PRIVATE_DEPENDS lib …])
# DEPENDS are visible to users of the headers; PRIVATE_DEPENDS are seen by the .cpp files only. A header belongs to the
# library that compiles the .cpp file of its name; HEADERS are those without one. cmake/CheckIncludes.cmake holds every
# library to what it declares here.
function(fovea_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    fovea_configure_target(${name})
    target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  else()  # headers alone
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${ARG_DEPENDS})
  endif()
  fovea_declare_includes(${name})
endfunction()

# fovea_program(NAME SOURCES main.cpp … [DEPENDS lib …])
function(fovea_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  fovea_configure_target(${name})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
  set(ARG_PRIVATE_DEPENDS)
  fovea_declare_includes(${name})
endfunction()
