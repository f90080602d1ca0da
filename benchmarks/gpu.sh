#!/bin/sh
# Everything that docs/performance.md leaves open without a GPU, within ten minutes on one:
#   benchmarks/gpu.sh [--quick] [--parts waits speed …] [--minutes 10] [--markdown runs/gpu.md]
# The environment is .venv where there is one, else that of PYTHON or python3.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x "$root/.venv/bin/python" ] || PYTHON=$root/.venv/bin/python
fi
# glibc keeps what is freed, as all.py explains.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647
export PYTHONPATH="$root/benchmarks:$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$PYTHON" -m gpu "$@"
