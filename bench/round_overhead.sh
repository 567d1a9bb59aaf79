#!/usr/bin/env bash
# A whole round between five real processes on loopback, without learning: CURVE, ledgers and journals durable
# needs: fovea-node fovea-coordinator
set -euo pipefail
exec python3 "$FOVEA_ROOT/bench/round_overhead.py" "$@"
