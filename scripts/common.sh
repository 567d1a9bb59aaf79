# Shared by the scripts in this folder: where things are, and steps that say what they do and how long it took.
# shellcheck shell=bash
set -euo pipefail
unset CDPATH  # with it, cd prints the folder and may choose another one
FOVEA_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
FOVEA_PRESET_CHOSEN=${FOVEA_PRESET:-}

use_preset() {
  export FOVEA_PRESET=$1
  FOVEA_BUILD=$FOVEA_ROOT/build/$FOVEA_PRESET
  FOVEA_BIN=$FOVEA_BUILD/bin
}
use_preset "${FOVEA_PRESET:-release}"

FOVEA_BOLD='' FOVEA_PLAIN=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then FOVEA_BOLD=$'\e[1m' FOVEA_PLAIN=$'\e[0m'; fi

say() { printf '    %s\n' "$*" >&2; }
fail() { printf '%sfailed:%s %s\n' "$FOVEA_BOLD" "$FOVEA_PLAIN" "$*" >&2; }

# Prints a number of seconds as people write it: "42 s", "2 min 10 s", "1 h 5 min".
duration() {
  if (($1 < 60)); then echo "$1 s"
  elif (($1 < 3600)); then echo "$(($1 / 60)) min $(($1 % 60)) s"
  else echo "$(($1 / 3600)) h $(($1 % 3600 / 60)) min"; fi
}

# step "What is done" command…: prints the title, runs the command, prints the time or names the step that failed.
step() {
  local title=$1 start status=0; shift
  printf '%s==> %s%s\n' "$FOVEA_BOLD" "$title" "$FOVEA_PLAIN" >&2
  start=$SECONDS
  "$@" || status=$?
  if [ "$status" -eq 0 ]; then say "done in $(duration $((SECONDS - start)))"; return 0; fi
  fail "step \"$title\" ended with exit code $status after $(duration $((SECONDS - start)))"
  exit "$status"
}

# Makes the build folder; says what to do when it, its lock or the preset's folder belongs to somebody else, as after a
# first run with sudo.
make_build_folder() {
  local path
  mkdir -p "$FOVEA_ROOT/build" 2>/dev/null || true
  for path in "$FOVEA_ROOT/build" "$FOVEA_ROOT/build/lock" "$FOVEA_BUILD" \
    "$FOVEA_BUILD"/{CMakeCache.txt,build.ninja,.ninja_log,.ninja_deps,build.log,configure.log}; do
    if [ -w "$path" ] || { [ ! -e "$path" ] && [ "$path" != "$FOVEA_ROOT/build" ]; }; then continue; fi
    fail "$path cannot be written to; as root: chown -R $(id -un) $(printf %q "$FOVEA_ROOT/build")"
    return 1
  done
}

# check_seconds NAME VALUE: ends the script, by the variable's name, if the value is no number of seconds.
check_seconds() {
  [[ $2 =~ ^(0|[1-9][0-9]{0,5})$ ]] || { fail "$1 must be a number of seconds, not \"$2\""; exit 2; }
}

# json_to FILE: sets json to the absolute path of FILE, and ends the script if that cannot be written to. With "-" the
# figures go to standard output when the script ends, and all else that it prints goes to standard error.
json_to() {
  case $1 in
    -) json=$(mktemp) json_on_stdout=yes
      exec 8>&1 1>&2
      trap 'cat "$json" >&8; rm -f "$json"' EXIT
      return ;;
    '' | --*) fail "--json needs a file"; exit 2 ;;
  esac
  json=$(realpath -m -- "$1")
  if [ -e "$json" ]; then
    if [ ! -d "$json" ] && { : >>"$json"; } 2>/dev/null; then return; fi
  elif { : >"$json"; } 2>/dev/null; then
    rm -f "$json"
    return
  fi
  fail "$json cannot be written to"
  exit 2
}
