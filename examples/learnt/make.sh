#!/usr/bin/env bash
# Trains the model and writes all that is shipped of it:
#
#     bash examples/learnt/make.sh TEXT OUT [OPTION of train.py]...
#
# TEXT is the folder that text.sh wrote. Needs Python with PyTorch, onnx and numpy, and a GPU; PYTHON=... names another interpreter than python3.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3} text=$1 out=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
"$python" "$here/train.py" "$text" "$work" "$@"
"$python" "$here/export.py" "$work" "$out"
"$python" "$here/expected.py" "$work" "$text" "$out"
cp "$text/held-out.txt" "$text/tokenizer.json" "$out"
ls -l "$out"
