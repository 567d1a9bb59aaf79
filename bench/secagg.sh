#!/usr/bin/env bash
# Secure aggregation: masks beside raw EVP and memory, linear tags, a site, the coordinator, and Flower beside ours
# needs: secagg_bench
set -euo pipefail
json="" arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --json) [ $# -ge 2 ] || { echo "--json needs a file" >&2; exit 2; }; json=$2; shift 2 ;;
    --quick) arguments+=("$1"); shift ;;
    *) echo "usage: scripts/bench secagg [--quick] [--json FILE]" >&2; exit 2 ;;
  esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FOVEA_BIN/secagg_bench" "${arguments[@]}" --json "$work/ours.json"

# Flower in a virtual environment of its own, made once per set of pinned versions.
requirements=$FOVEA_ROOT/bench/peers/flower_requirements.txt
venv=$FOVEA_BUILD/peers/flower-$(sha256sum "$requirements" | cut -c1-12)
if [ ! -e "$venv/ready" ]; then
  echo "making the virtual environment of the peer (once)" >&2
  if python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --requirement "$requirements" >&2; then
    touch "$venv/ready"
  fi
fi
if [ -e "$venv/ready" ]; then
  peers=$FOVEA_ROOT/bench/peers
  "$venv/bin/python" "$peers/flower_client.py" --sites 10 --parameters 10000000 --runs 3 > "$work/flower.json"
  "$venv/bin/python" "$peers/compare_flower.py" "$work/ours.json" "$work/flower.json"
else
  echo "flwr could not be installed; the comparison with Flower is left out" >&2
fi
[ -z "$json" ] || cp "$work/ours.json" "$json"
