# Plants includes in a small tree and sees whether cmake/CheckIncludes.cmake refuses them.
# usage: cmake -DCHECK=<CheckIncludes.cmake> -DPLACE=<folder of its own> -P check_includes_test.cmake
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${PLACE})
file(WRITE ${PLACE}/low/a.h "#pragma once\n")
file(WRITE ${PLACE}/high/b.h "#pragma once\n")
file(WRITE ${PLACE}/high/unowned.h "#pragma once\n")
file(WRITE ${PLACE}/build/generated/high/made.h "#pragma once\n")
file(WRITE ${PLACE}/tests/support/plain.h "#pragma once\n#include <vector>\n")
file(WRITE ${PLACE}/tests/support/deep.h "#pragma once\n#include \"tests/support/reaching.h\"\n")
file(WRITE ${PLACE}/tests/support/reaching.h "#pragma once\n#include \"high/b.h\"\n#include \"tests/support/deep.h\"\n")
file(WRITE ${PLACE}/build/manifest.cmake "
set(TARGETS low high)
set(FILES_low low/a.h low/a.cpp)\nset(PUBLIC_low)\nset(PRIVATE_low)
set(FILES_high high/b.h high/b.cpp)\nset(PUBLIC_high)\nset(PRIVATE_high low ZLIB::ZLIB)\n")

function(expect verdict where text)
  foreach(file low/a.cpp high/b.cpp)
    file(WRITE ${PLACE}/${file} "\n")
  endforeach()
  file(WRITE ${PLACE}/high/b.h "#pragma once\n")
  file(WRITE ${PLACE}/${where} "${text}\n")
  execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${PLACE} -DMANIFEST=${PLACE}/build/manifest.cmake -P ${CHECK}
                  RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
  if((verdict STREQUAL taken AND NOT code EQUAL 0) OR (verdict STREQUAL refused AND code EQUAL 0))
    message(SEND_ERROR "not ${verdict} in ${where}: ${text}")
  endif()
endfunction()

expect(taken high/b.cpp "#include \"low/a.h\"\n#include <vector>\n#include <zlib.h>  // why\n#include \"high/made.h\"")
expect(taken low/a.cpp "// #include \"high/b.h\"")
expect(refused low/a.cpp "#include \"high/b.h\"")
expect(refused low/a.cpp "#include <zlib.h>")
expect(refused high/b.h "#include \"low/a.h\"")  # a private dependency in a header
expect(refused high/b.cpp "#include \"high/unowned.h\"")
expect(taken low/a.cpp "#include \"tests/support/plain.h\"")
expect(taken high/b.cpp "#include \"tests/support/deep.h\"")
expect(refused low/a.cpp "#include \"tests/support/deep.h\"")
expect(refused low/a.cpp "#include \"tests/support/missing.h\"")
foreach(attack
    "#include <high/b.h>" "#include \"../high/b.h\"" "#include \"a.h\"" "#  include \"high/b.h\"" "  #include <zlib.h>"
    "#include\"high/b.h\"" "/* x */ #include \"high/b.h\"" "#include_next <zlib.h>" "#define H <zlib.h>\n#include H"
    "#include <vector>  // as in [RFC 5869\n#include \"high/b.h\"" "#include <fmt/core.h>" "#include \"zlib.h\"")
  expect(refused low/a.cpp "${attack}")
endforeach()
file(REMOVE_RECURSE ${PLACE})
