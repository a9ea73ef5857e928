#!/bin/sh
# usage: run.sh SPIKES OUTPUT [TRIALS]
set -eu
if [ $# -lt 2 ]; then echo "usage: $0 SPIKES OUTPUT [TRIALS]" >&2; exit 2; fi
mkdir -p "$2"
BRIANLEARN_SPIKES="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
BRIANLEARN_OUTPUT="$(cd "$2" && pwd)"
export BRIANLEARN_SPIKES BRIANLEARN_OUTPUT
if [ $# -gt 2 ]; then BRIANLEARN_TRIALS="$3"; export BRIANLEARN_TRIALS; fi
cd "$(dirname "$0")"
if [ ! -x main ]; then make -j2 >build.log 2>&1 || { tail -n 30 build.log >&2; exit 1; }; fi
./main
