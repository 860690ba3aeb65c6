#!/bin/sh
# Runs one fuzz target for a short while from an empty corpus: smoke.sh TARGET TIMES
set -eu
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
exec_seconds=$((${CONCORDAT_FUZZ_SECONDS:-5} * $2))
"$1" -max_total_time="$exec_seconds" -timeout=25 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$corpus/" "$corpus"
