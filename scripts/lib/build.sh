# Configures and builds a preset: one build at a time in a checkout, progress as one line, and a log of everything.
# shellcheck shell=bash
. "$FOVEA_ROOT/scripts/lib/progress.sh"
ninja_prefix='@fovea@'

# Takes the checkout's build lock; it is free again when this script ends, however it ends.
lock_build() {
  local start=$SECONDS holder=''
  make_build_folder || return 1
  # shellcheck disable=SC2093
  if ! { exec 9>>"$FOVEA_ROOT/build/lock"; } 2>/dev/null; then
    fail "$FOVEA_ROOT/build/lock cannot be written to"
    return 1
  fi
  if ! flock -n 9; then
    read -r holder <"$FOVEA_ROOT/build/lock" || true
    say "another build of this checkout is running (process ${holder:-unknown}); waiting for it to end"
    until flock -w "$progress_interval_s" 9; do
      say "still waiting for process ${holder:-unknown}, $(duration $((SECONDS - start))) so far"
    done
    say "the other build ended after $(duration $((SECONDS - start)))"
  fi
  echo $$ >"$FOVEA_ROOT/build/lock"
}

# start_build COMMAND…: starts a command in a session of its own, so that a signal to this script ends all of it.
build_session=
start_build() {
  setsid "$@" 9>&- &
  build_session=$!
}

end_build() {
  local status=0
  wait "$build_session" || status=$?
  build_session=
  return "$status"
}

# Ends what start_build started, and waits for it.
stop_build() {
  trap '' INT TERM HUP
  if [ -n "$build_session" ]; then
    kill -TERM -- "-$build_session" 2>/dev/null || kill -TERM "$build_session" 2>/dev/null || true
    wait
  fi
  progress_clear
}

# A build folder needs cmake when it has no build files yet, when the presets changed since, or when the checkout moved.
# All else ninja notices by itself.
is_configured() {
  [ -f "$FOVEA_BUILD/build.ninja" ] && [ ! "$FOVEA_ROOT/CMakePresets.json" -nt "$FOVEA_BUILD/build.ninja" ] &&
    grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$FOVEA_ROOT" "$FOVEA_BUILD/CMakeCache.txt" 2>/dev/null
}

configure() {
  local log=$FOVEA_BUILD/configure.log fresh=()
  is_configured && return 0
  mkdir -p "$FOVEA_BUILD" || return 1
  if [ -f "$FOVEA_BUILD/CMakeCache.txt" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$FOVEA_ROOT" "$FOVEA_BUILD/CMakeCache.txt"; then fresh=(--fresh); fi
  say "configuring build/$FOVEA_PRESET"
  start_build env -C "$FOVEA_ROOT" cmake "${fresh[@]}" --preset "$FOVEA_PRESET" -Wno-dev >"$log" 2>&1
  end_build && return 0
  tail -n 30 "$log" >&2
  fail "cmake could not configure build/$FOVEA_PRESET; the whole log: $log"
  return 1
}

# Ninja's status lines carry our prefix; the command line of a failed step goes to the log only.
classify_ninja() {
  case $1 in
    "$ninja_prefix "*)
      read -r _ ninja_done ninja_total ninja_what <<<"$1"
      ninja_command_follows= ;;
    'FAILED: '*) ninja_command_follows=yes; return 1 ;;
    '-- '* | 'ninja: no work to do.' | 'ninja: Entering directory'*) return 2 ;;
    *)
      [ -n "$ninja_command_follows" ] || return 1
      ninja_command_follows=
      return 2 ;;
  esac
}

render_ninja() {
  local elapsed=$((SECONDS - ninja_start)) left=
  case $ninja_what in 'Re-running CMake'*) echo "configuring again, $(duration $elapsed)"; return ;; esac
  if ((ninja_total == 0)); then echo "compiling, $(duration $elapsed)"; return; fi
  if ((elapsed >= 10 && ninja_done > 0 && ninja_done * 20 >= ninja_total)); then
    left=$((elapsed * (ninja_total - ninja_done) / ninja_done))
    if ((left >= 90)); then left=", about $(((left + 30) / 60)) min left"; else left=", about $left s left"; fi
  fi
  echo "compiling $ninja_done of $ninja_total, $(duration $elapsed)$left"
}

# compile [TARGET…]: builds the targets, or everything.
compile() {
  local log=$FOVEA_BUILD/build.log status=0 targets=("$@") filter
  ninja_start=$SECONDS ninja_done=0 ninja_total=0 ninja_what='' ninja_command_follows=''
  : >"$log" || return 1
  # Not "cmake --build": it dies of a signal before ninja has ended the compilers, or kills ninja before it can.
  exec 7> >(progress_filter "$log" classify_ninja render_ninja)
  filter=$!
  NINJA_STATUS="$ninja_prefix %f %t " start_build ninja -C "$FOVEA_BUILD" "${targets[@]}" >&7 2>&1 7>&-
  exec 7>&-
  end_build || status=$?
  wait "$filter" || true
  [ "$status" -eq 0 ] || fail "the build stopped; every command and its whole output: $log"
  return "$status"
}
