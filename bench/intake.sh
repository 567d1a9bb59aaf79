#!/usr/bin/env bash
# Intake: taken share and crashes over the corpora, disk to bricks against plain ITK, peak memory, what the sandbox costs
set -euo pipefail
exec python3 "$FOVEA_ROOT/bench/intake.py" "$@"
