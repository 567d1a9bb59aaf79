# Shared by the scripts in this folder: where things are, and steps that tell what they do and how long it took.
# shellcheck shell=bash
set -euo pipefail
FOVEA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
FOVEA_PRESET=${FOVEA_PRESET:-release}
FOVEA_BUILD=$FOVEA_ROOT/build/$FOVEA_PRESET
FOVEA_BIN=$FOVEA_BUILD/bin

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then FOVEA_BOLD=$'\e[1m'; FOVEA_PLAIN=$'\e[0m'; else FOVEA_BOLD=; FOVEA_PLAIN=; fi

fovea_seconds() { date +%s.%N; }

# step "What is done" command…: prints the title, runs the command, prints the time or names the step that failed.
step() {
  local title=$1 start; shift
  printf '%s==> %s%s\n' "$FOVEA_BOLD" "$title" "$FOVEA_PLAIN" >&2
  start=$(fovea_seconds)
  if "$@"; then
    awk -v a="$start" -v b="$(fovea_seconds)" 'BEGIN { printf "    done in %.1f s\n", b - a }' >&2
  else
    local status=$?
    printf '%sfailed:%s step "%s" ended with exit code %d\n' "$FOVEA_BOLD" "$FOVEA_PLAIN" "$title" "$status" >&2
    exit "$status"
  fi
}

fovea_cores() { nproc; }
