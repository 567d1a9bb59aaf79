#!/usr/bin/env bash
# How long the build takes, clean and after a change of one file, and counts of long lines and duplicated code
# needs: nothing
set -euo pipefail
exec python3 "$FOVEA_ROOT/bench/build.py" "$@"
