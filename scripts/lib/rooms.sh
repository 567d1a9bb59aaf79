# Which tests there are. A room is a folder of tests and has its name; its kind is the first folder under tests/.
# shellcheck shell=bash

# Prints "ROOM FOLDER" a line.
rooms() {
  local file folder
  while IFS= read -r file; do
    folder=${file%/CMakeLists.txt}
    [ "${folder##*/}" = unit ] || echo "${folder##*/} $folder"
  done < <(find "$FOVEA_ROOT/tests" -mindepth 2 -name CMakeLists.txt) | sort
}

# rooms_of_kinds KIND…: the rooms that the configured preset builds, of the kinds unit, simulation, …
rooms_of_kinds() {
  awk -F '\t' -v kinds=" $* " '{ split($3, part, "/"); if (index(kinds, " " part[2] " ")) print $2 }' \
    "$FOVEA_BUILD/test_sources.txt" | sort -u
}

# test_kinds KIND…: builds the tests of these kinds in the chosen preset, and runs them.
test_kinds() {
  local room targets=() label
  "$FOVEA_ROOT/scripts/setup" --build-only --configure || return 1
  for room in $(rooms_of_kinds "$@"); do targets+=(--target "tests_$room"); done
  "$FOVEA_ROOT/scripts/setup" --build-only "${targets[@]}" || return 1
  label="^($(IFS='|'; echo "$*"))\$"
  ctest --test-dir "$FOVEA_BUILD" --output-on-failure --no-tests=error --parallel "$(nproc)" --label-regex "$label"
}

# Prints "SUITE.TEST FILE" for every test in the sources.
test_cases() {
  # shellcheck disable=SC2016
  find "$FOVEA_ROOT/tests" -name '*.cpp' -print0 | sort -z | xargs -0 awk '
    FNR == 1 { held = "" }
    held != "" { sub(/^[ \t]+/, ""); held = held " " $0 }
    /^(TYPED_)?TEST(_F|_P)?\(/ { held = $0 }
    held ~ /\)/ {
      sub(/^[A-Z_]*\(/, "", held); sub(/\).*/, "", held); gsub(/[ \t]/, "", held); sub(/,/, ".", held)
      print held, FILENAME; held = "" }'
}

# case_patterns PATTERN: the parts of a GoogleTest filter, one a line; a bare word is looked for anywhere.
case_patterns() {
  local part parts
  IFS=: read -ra parts <<<"$1"
  for part in "${parts[@]}"; do
    case $part in *[*?.]*) echo "$part" ;; *) echo "*$part*" ;; esac
  done
}

# matching_sources PATTERN…: the test sources that define a test one of the patterns matches.
matching_sources() {
  local name file pattern
  while read -r name file; do
    for pattern in "$@"; do
      # shellcheck disable=SC2053
      if [[ $name == $pattern ]]; then echo "$file"; break; fi
    done
  done < <(test_cases) | sort -u
}

# source_patterns PATTERN…: the patterns, and each without what GoogleTest prints around the name in the sources, as in
# Prefix/Suite.Test/parameter or Suite/type.Test.
source_patterns() {
  local pattern suite part parts
  for pattern in "$@"; do
    echo "$pattern"
    [[ $pattern == */* && $pattern == *.* ]] || continue
    suite=${pattern%%.*}
    IFS=/ read -ra parts <<<"$suite"
    for part in "${parts[@]}"; do
      if [ ${#parts[@]} -eq 1 ] || [ "$part" != '*' ]; then
        pattern=${pattern#*.}
        echo "$part.${pattern%%/*}"
        pattern=$suite.$pattern
      fi
    done
  done
}

# similar_cases PATTERN…: up to five tests that the patterns match but for upper and lower case.
similar_cases() {
  local name pattern count=0
  shopt -s nocasematch
  while read -r name _; do
    for pattern in "$@"; do
      # shellcheck disable=SC2053
      if ((count < 5)) && [[ $name == $pattern ]]; then echo "$name"; count=$((count + 1)); break; fi
    done
  done < <(test_cases)
  shopt -u nocasematch
}

# programs_of FILE…: the test programs made of these sources, from the table that cmake writes.
programs_of() {
  awk -F '\t' -v root="$FOVEA_ROOT/" -v files="$(printf '%s\n' "$@")" '
    BEGIN { count = split(files, list, "\n"); for (i = 1; i <= count; i++) wanted[list[i]] = 1 }
    (root $3) in wanted { print $1 }' \
    "$FOVEA_BUILD/test_sources.txt" | sort -u
}
