#!/usr/bin/env bash
# How long the build takes, clean and after a change of one file, and what the checks of the code's form count
# needs: nothing
set -euo pipefail
exec python3 "$FOVEA_ROOT/bench/build.py" "$@"
