#!/bin/sh
# The GPU tests and the GPU benchmark of the checkout that this lies in, unattended: bench/gpu.sh [python]
# NB_CUDA_BIN names nanoBraggCUDA, TILESIM_LYSOZYME the folder of the real data; without them their columns stay empty.
set -u
cd "$(dirname "$0")/.."
python=${1:-python}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else "torch finds no CUDA device")' || exit 2
timeout 240 "$python" -m pytest -q -m gpu -W ignore tests
tests=$?
timeout 230 "$python" -m bench gpu || exit 1
exit $tests
