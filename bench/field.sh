#!/usr/bin/env bash
# The field: files as hospitals export them, and real programs killed, flooded, stalled and slowed down
# needs: fovea-node fovea-coordinator fovea-audit fovea-scan-parser
set -euo pipefail
exec /usr/bin/python3 "$FOVEA_ROOT/bench/field.py" "$@"
