# Fails when a file includes a header of a target that its own target does not declare.
# usage: cmake -DROOT=<source> -DMANIFEST=<build>/includes_declared.cmake -P CheckIncludes.cmake
#
# A compiler cannot notice this: all of our headers lie under one include root, and Debian's under another. A .cpp file
# may use what its target DEPENDS on or PRIVATE_DEPENDS on, a header what its target DEPENDS on, both with whatever
# those make public. A header of ours that no target owns is an error, and so is an outside library that is not listed
# here, and an include in any other form than #include "path/from/root.h" and #include <outside>: nothing else is read.
# Headers of tests/support belong to no target: what they include counts as included by the file that includes them.
cmake_minimum_required(VERSION 3.25)
include(${MANIFEST})
get_filename_component(BUILD ${MANIFEST} DIRECTORY)

# Outside libraries: a pattern of the include, and the targets that bring it. "system": needs no target.
set(OUTSIDE
  "^[a-z_]+$" system "^(sys|linux)/[a-z_]+[.]h$" system
  "^(cpuid|dlfcn|fcntl|ifaddrs|immintrin|malloc|netdb|poll|pthread|pty|sched|signal)[.]h$" system
  "^(spawn|stdlib|termios|ucontext|unistd)[.]h$" system "^(arpa|net|netinet)/[a-z_]+[.]h$" system "^valgrind/" system
  "^openssl/" OpenSSL::Crypto "^(torch|ATen|c10)/" fovea_torch "^nlohmann/" nlohmann_json::nlohmann_json
  "^CLI/" CLI11::CLI11 "^spdlog/" spdlog::spdlog "^zmq[.]hp*$" PkgConfig::ZMQ
  "^(sqlite3[.]h|SQLiteCpp/.*)$" fovea_sqlite "^itk[A-Z]" fovea_itk "^gdcm[A-Z]" fovea_gdcm "^dcmtk/" fovea_dcmtk
  "^Eigen/" Eigen3::Eigen "^png[.]h$" PNG::PNG "^zlib[.]h$" "ZLIB::ZLIB|fovea_parser_headers"
  "^libdeflate[.]h$" fovea_parser_headers "^seccomp[.]h$" fovea_parser_headers
  "^toml[+][+]/" PkgConfig::TOMLPLUSPLUS "^gtest/" GTest::gtest "^gmock/" GTest::gmock
  "^benchmark/" benchmark::benchmark_main)

foreach(target ${TARGETS})
  foreach(file ${FILES_${target}})
    list(APPEND OWNERS_${file} ${target})
  endforeach()
endforeach()

# All that `target` makes public, itself included.
function(public_closure target out)
  set(open ${target})
  set(done)
  while(open)
    list(POP_FRONT open at)
    if(NOT at IN_LIST done)
      list(APPEND done ${at})
      list(APPEND open ${PUBLIC_${at}})
    endif()
  endwhile()
  set(${out} ${done} PARENT_SCOPE)
endfunction()

# Why a file, whose target may use `allowed`, may not include our header `header`; empty where it may.
function(own_header_fault allowed header out)
  set(${out} "" PARENT_SCOPE)
  if(EXISTS ${BUILD}/generated/${header} OR (header MATCHES "^tests/support/" AND EXISTS ${ROOT}/${header}))
    return()
  endif()
  if(header MATCHES "[.][.]?/" OR NOT EXISTS ${ROOT}/${header})
    set(${out} "which is no path from the root of the source" PARENT_SCOPE)
  elseif(NOT DEFINED OWNERS_${header})
    set(${out} "which no target owns: name it under HEADERS" PARENT_SCOPE)
  else()
    set(${out} "of ${OWNERS_${header}}, which is not declared" PARENT_SCOPE)
    foreach(owner ${OWNERS_${header}})
      if(owner IN_LIST allowed)
        set(${out} "" PARENT_SCOPE)
      endif()
    endforeach()
  endif()
endfunction()

function(outside_header_fault allowed header out)
  if(EXISTS ${ROOT}/${header})
    set(${out} "which is ours: write it in quotes" PARENT_SCOPE)
    return()
  endif()
  set(rules ${OUTSIDE})
  while(rules)
    list(POP_FRONT rules pattern libraries)
    if(header MATCHES "${pattern}")
      set(${out} "" PARENT_SCOPE)
      if(NOT libraries STREQUAL system AND NOT ";${allowed};" MATCHES ";(${libraries});")
        set(${out} "of ${libraries}, which is not declared" PARENT_SCOPE)
      endif()
      return()
    endif()
  endwhile()
  set(${out} "of a library that cmake/CheckIncludes.cmake does not list" PARENT_SCOPE)
endfunction()

# The directives of one file, a list; what would split a list (; and brackets) is of no concern here.
function(read_own_includes file out)
  file(READ ${ROOT}/${file} text)
  string(REGEX REPLACE "[][;]" " " text "\n${text}")
  string(REGEX REPLACE "\\\\\n" " " text "${text}")
  string(REGEX MATCHALL "\n[^\n\"]*#[ \t]*include[^\n]*" found "${text}")
  list(TRANSFORM found STRIP)
  list(FILTER found EXCLUDE REGEX "^//")
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

# The same, with those of the tests/support headers that it includes, directly or not.
function(read_includes file out)
  read_own_includes(${file} found)
  set(open ${found})
  set(seen)
  while(open)
    list(POP_FRONT open line)
    if(line MATCHES "\"(tests/support/[^\"]+)\"" AND EXISTS ${ROOT}/${CMAKE_MATCH_1}
       AND NOT CMAKE_MATCH_1 IN_LIST seen)
      set(header ${CMAKE_MATCH_1})
      list(APPEND seen ${header})
      read_own_includes(${header} more)
      list(APPEND found ${more})
      list(APPEND open ${more})
    endif()
  endwhile()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

set(faults 0)
foreach(target ${TARGETS})
  public_closure(${target} public)
  set(all ${public})
  foreach(library ${PRIVATE_${target}})
    public_closure(${library} more)
    list(APPEND all ${more})
  endforeach()
  foreach(file ${FILES_${target}})
    set(allowed ${all})
    if(file MATCHES "[.]h$")
      set(allowed ${public})
    endif()
    read_includes(${file} includes)
    foreach(line ${includes})
      if(line MATCHES "^#include \"([^\"]+)\"( *//.*)?$")
        own_header_fault("${allowed}" "${CMAKE_MATCH_1}" fault)
      elseif(line MATCHES "^#include <([^>]+)>( *//.*)?$")
        outside_header_fault("${allowed}" "${CMAKE_MATCH_1}" fault)
      else()
        set(fault "which is not in the form this check reads")
      endif()
      if(fault)
        message(NOTICE "${file} (${target}): ${line} ${fault}")
        math(EXPR faults "${faults} + 1")
      endif()
    endforeach()
  endforeach()
endforeach()
if(faults GREATER 0)
  message(FATAL_ERROR "${faults} includes are not declared; add the library to DEPENDS (headers) or PRIVATE_DEPENDS")
endif()
