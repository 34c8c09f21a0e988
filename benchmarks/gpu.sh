#!/usr/bin/env bash
# Everything that needs a GPU: benchmarks/gpu.py with the Python that is here, whose own torch stays. Wheels of what it
# lacks can be carried along in wheels/ (`make gpu-wheels` fetches them) and go into a folder of their own.
# DEVICE=cpu rehearses it; OUT, SECONDS_IN_ALL and PYTHON can be set.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python3)}
if compgen -G "wheels/*.whl" >/dev/null; then
  "$PYTHON" -m pip install --quiet --no-index --no-deps --upgrade --target runs/gpu-site wheels/*.whl
  export PYTHONPATH="$PWD/runs/gpu-site:${PYTHONPATH:-}"
fi
exec "$PYTHON" benchmarks/gpu.py "${OUT:-reports/gpu}" --device "${DEVICE:-cuda}" --seconds "${SECONDS_IN_ALL:-540}" "$@"
