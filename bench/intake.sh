#!/usr/bin/env bash
# Intake: studies ingested, crashes over the corpora, disk to bricks beside plain ITK, peak memory, the sandbox's cost
set -euo pipefail
exec python3 "$FOVEA_ROOT/bench/intake.py" "$@"
