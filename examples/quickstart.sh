#!/usr/bin/env bash
# From a fresh Debian 12 machine to a compiled model: installs what is missing, builds the compiler and the runner, compiles a model that
# ships with the project, runs it on the CPU, compares with reference outputs, has a small language model write and says what to try next.
#
#     bash examples/quickstart.sh [MODEL]     a folder of test/models (default: bert)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
model=${1:-bert}
folder=test/models/$model
if [ ! -f "$folder/model.onnx" ]; then
  echo "quickstart: no model '$model', expected one of: $(ls test/models | tr '\n' ' ')" >&2
  exit 2
fi
step() { printf '\n== %s\n' "$*"; }

step "1. What the build needs"
bash scripts/install-deps.sh

step "2. Build ktc (the compiler) and ktrun (the runner)"
if [ ! -f build/build.ninja ]; then
  echo "the first build takes some minutes; its output goes to build/quickstart.log"
  mkdir -p build
  cmake --preset release >build/quickstart.log || { cat build/quickstart.log; exit 1; }
fi
if ! ninja -C build ktc ktrun >build/quickstart.log; then
  grep -E 'error|FAILED' build/quickstart.log | head -20 >&2
  echo "quickstart: the build failed; see build/quickstart.log" >&2
  exit 1
fi
tail -n 1 build/quickstart.log

out=build/quickstart
mkdir -p "$out"
step "3. Compile $folder/model.onnx for GPUs and the host"
rm -f "$out/$model.ktm"
start=$(date +%s.%N)
build/bin/ktc compile "$folder/model.onnx" -o "$out/$model.ktm"
printf '%s: %s bytes of ONNX -> %s bytes, %.1f s\n' "$out/$model.ktm" "$(stat -c %s "$folder/model.onnx")" \
  "$(stat -c %s "$out/$model.ktm")" "$(echo "$(date +%s.%N) $start" | awk '{ print $1 - $2 }')"
build/bin/ktc inspect "$out/$model.ktm" >"$out/$model.txt"

for inputs in "$folder"/inputs.npz "$folder"/inputs-2.npz; do
  [ -f "$inputs" ] || continue
  outputs=${inputs/inputs/outputs}
  step "4. Run on the CPU with $(basename "$inputs"): output shapes, then errors against $(basename "$outputs")"
  build/bin/ktrun "$out/$model.ktm" --device host --input "@$inputs"
  build/bin/ktrun "$out/$model.ktm" --device host --input "@$inputs" --expected "@$outputs"
done

step "5. Latency"
build/bin/ktrun "$out/$model.ktm" --device host --input "@$folder/inputs.npz" --benchmark 1

learnt=examples/learnt/model
step "6. Compile a language model that has learnt the King James Bible (examples/learnt), and have it write on the CPU"
mkdir -p "$out/learnt"
cp "$learnt/genai_config.json" "$out/learnt"
build/bin/ktc compile "$learnt/model.onnx" -o "$out/learnt/model.ktm"
prompt="And it came to pass in those days, that"
tokens=$(python3 examples/learnt/tokenizer.py encode "$learnt/tokenizer.json" "$prompt")
build/bin/ktrun generate "$out/learnt" --device host --tokens "$tokens" --max-new 100 --temperature 0.7 --seed 1 >"$out/learnt/tokens.txt"
printf '%s' "$prompt"
python3 examples/learnt/tokenizer.py decode "$learnt/tokenizer.json" <"$out/learnt/tokens.txt"
sed -n 2p "$out/learnt/tokens.txt"

step "Next"
echo "what the artifact holds:    build/bin/ktc inspect $out/$model.ktm"
echo "the same file on a GPU:     build/bin/ktrun $out/$model.ktm --device cuda:0 --input @$folder/inputs.npz --expected @$folder/outputs.npz"
echo "another model:              bash examples/quickstart.sh squeezenet"
echo "every test:                 bash test/run.sh"
