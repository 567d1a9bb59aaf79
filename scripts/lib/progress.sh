# One line of progress: rewritten in place on a terminal, a line of its own every 30 s anywhere else.
# shellcheck shell=bash
progress_interval_s=${FOVEA_PROGRESS_S:-30}
check_seconds FOVEA_PROGRESS_S "$progress_interval_s"
progress_open=
if [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; then progress_terminal=yes; else progress_terminal=; fi

progress_begin() { progress_said=$SECONDS; }

# Takes the unfinished progress line off the terminal, before anything else is printed.
progress_clear() {
  if [ -n "$progress_open" ]; then printf '\r\e[K' >&2; progress_open=; fi
}

progress_show() {
  if [ -n "$progress_terminal" ]; then
    printf '\r\e[K    %s' "${1:0:$((${COLUMNS:-80} - 5))}" >&2
    progress_open=yes
  elif ((SECONDS - progress_said >= progress_interval_s)); then
    say "$1"
    progress_said=$SECONDS
  fi
}

# progress_filter LOG CLASSIFY RENDER: reads a program's output to its end and keeps all of it in LOG.
# "CLASSIFY line" ends with 0 for progress, 1 for text that is shown as it is, 2 for text that only the log keeps;
# RENDER prints the progress line. The interrupt key is left to the program, whose last words are still read.
progress_filter() {
  local log=$1 classify=$2 render=$3 line part='' status kind wait_s=$progress_interval_s
  if [ -n "$progress_terminal" ] || ((wait_s < 1)); then wait_s=1; fi
  trap '' INT
  progress_begin
  while :; do
    status=0
    IFS= read -r -t "$wait_s" line || status=$?
    if ((status > 128)); then part+=$line; progress_show "$("$render")"; continue; fi
    line=$part$line part=
    [ "$status" -eq 0 ] || [ -n "$line" ] || break
    printf '%s\n' "$line" >&5
    kind=0
    "$classify" "$line" || kind=$?
    case $kind in
      0) progress_show "$("$render")" ;;
      1) progress_clear; printf '%s\n' "$line" >&2 ;;
    esac
    [ "$status" -eq 0 ] || break
  done 5>>"$log"
  progress_clear
}
