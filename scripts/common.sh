# Shared by the scripts in this folder: where things are, and steps that say what they do and how long it took.
# shellcheck shell=bash
set -euo pipefail
FOVEA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
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

# Makes the build folder; says what to do when it belongs to somebody else, as after a first run with sudo.
make_build_folder() {
  if mkdir -p "$FOVEA_ROOT/build" 2>/dev/null && [ -w "$FOVEA_ROOT/build" ]; then return 0; fi
  fail "$FOVEA_ROOT/build cannot be written to; as root: chown -R $(id -un) $FOVEA_ROOT/build"
  return 1
}
