# Fails when a file includes a header of a target that its own target does not declare.
# usage: cmake -DROOT=<source> -DMANIFEST=<includes_declared.cmake> -P CheckIncludes.cmake
#
# A compiler cannot notice this: all of our headers lie under one include root, and Debian's under another. A .cpp
# file may use what its target DEPENDS on or PRIVATE_DEPENDS on, a header what its target DEPENDS on, both with
# whatever those make public. A header of ours that no target owns is an error too.
cmake_minimum_required(VERSION 3.25)
include(${MANIFEST})

# Outside libraries: a pattern of the include, and the targets that bring it.
set(OUTSIDE
  "^openssl/" OpenSSL::Crypto "^(torch|ATen|c10)/" fovea_torch "^nlohmann/" nlohmann_json::nlohmann_json
  "^CLI/" CLI11::CLI11 "^spdlog/" spdlog::spdlog "^zmq" PkgConfig::ZMQ "^(sqlite3[.]h|SQLiteCpp/)" fovea_sqlite
  "^itk" fovea_itk "^gdcm" fovea_gdcm "^dcmtk/" fovea_dcmtk "^Eigen/" Eigen3::Eigen "^png[.]h$" PNG::PNG
  "^zlib[.]h$" "ZLIB::ZLIB|fovea_parser_headers" "^libdeflate[.]h$" fovea_parser_headers
  "^seccomp[.]h$" fovea_parser_headers
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

# Why `file`, whose target may use `allowed`, may not have this include; empty where it may.
function(include_fault allowed include out)
  set(${out} "" PARENT_SCOPE)
  if(include MATCHES "^\"(.*)\"$")
    set(header ${CMAKE_MATCH_1})
    if(header MATCHES "^tests/support/" OR NOT EXISTS ${ROOT}/${header})  # header-only, or generated
      return()
    endif()
    if(NOT DEFINED OWNERS_${header})
      set(${out} "no target owns it: name it under HEADERS" PARENT_SCOPE)
      return()
    endif()
    foreach(owner ${OWNERS_${header}})
      if(owner IN_LIST allowed)
        return()
      endif()
    endforeach()
    set(${out} "of ${OWNERS_${header}}, which is not declared" PARENT_SCOPE)
    return()
  endif()
  string(REGEX REPLACE "^<(.*)>$" "\\1" header "${include}")
  set(rules ${OUTSIDE})
  while(rules)
    list(POP_FRONT rules pattern libraries)
    if(header MATCHES "${pattern}" AND NOT ";${allowed};" MATCHES ";(${libraries});")
      set(${out} "of ${libraries}, which is not declared" PARENT_SCOPE)
    endif()
  endwhile()
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
    file(STRINGS ${ROOT}/${file} lines REGEX "^#include [\"<]")
    foreach(line ${lines})
      string(REGEX MATCH "[\"<][^\">]+[\">]" include "${line}")
      include_fault("${allowed}" "${include}" fault)
      if(fault)
        message(NOTICE "${file} (${target}) includes ${include} ${fault}")
        math(EXPR faults "${faults} + 1")
      endif()
    endforeach()
  endforeach()
endforeach()
if(faults GREATER 0)
  message(FATAL_ERROR "${faults} includes are not declared; add the library to DEPENDS (headers) or PRIVATE_DEPENDS")
endif()
