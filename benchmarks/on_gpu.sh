#!/usr/bin/env bash
# Measures everything on a GPU and stops by itself: `bash benchmarks/on_gpu.sh [--minutes 8]`. benchmarks/gpu/__init__.py
# has the rest. It takes PYTHON, or the project's environment, or python3; results go to OUT, or benchmarks/gpu_results.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ -x .venv/bin/python ] && PYTHON=.venv/bin/python
fi
exec "$PYTHON" -m benchmarks.gpu --out "${OUT:-benchmarks/gpu_results}" "$@"
