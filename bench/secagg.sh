#!/usr/bin/env bash
# Secure aggregation: masks against raw EVP and memory, a site, the coordinator, Flower's SecAgg+ beside us
set -euo pipefail
exec "$FOVEA_BIN/secagg_bench" "$@"
