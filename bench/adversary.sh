#!/usr/bin/env bash
# Attacks on real programs by dishonest parties, and planted bugs: how many there are, and how many are not noticed
# needs: tests_adversary
set -euo pipefail
json="" quick=()
while [ $# -gt 0 ]; do
  case $1 in
    --json) [ $# -ge 2 ] || { echo "--json needs a file" >&2; exit 2; }; json=$2; shift 2 ;;
    --quick) quick=(--quick); shift ;;  # a few of the planted bugs; of the attacks none could be left out
    *) echo "usage: scripts/bench adversary [--quick] [--json FILE]" >&2; exit 2 ;;
  esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# An attack that succeeds is a result; a program that ends without one is an error, which the reader below reports.
attack() {
  local name
  name=$(basename "$1")
  "$1" --gtest_output="json:$work/$name.json" >"$work/$name.log" 2>&1 ||
    [ -e "$work/$name.json" ] || { tail -n 20 "$work/$name.log" >&2; return 255; }  # which ends xargs
}
export work
export -f attack
# Parties of an attack wait for each other most of the time: several at once, as ctest -j runs them.
# shellcheck disable=SC2016  # the inner shell expands it
printf '%s\0' "$FOVEA_BUILD"/tests/adversary_* |
  xargs -0 -n 1 -P "$(($(nproc) < 4 ? $(nproc) : 4))" bash -c 'attack "$1"' attack || exit 1
# Here too a bug that survives is a result, and a drill without one an error.
"$FOVEA_ROOT/scripts/mutants" "${quick[@]}" --json "$work/mutants" || [ -e "$work/mutants" ] || exit 1
python3 "$FOVEA_ROOT/bench/adversary.py" "$work" ${json:+"$json"}
