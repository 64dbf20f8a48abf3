#!/usr/bin/env bash
# Builds and runs fuzzers (libFuzzer, AddressSanitizer, UndefinedBehaviorSanitizer); needs libclang-rt-22-dev.
# `importer` and `passes` change ONNX models as models, `artifact` a .ktm's metadata as what its schema says, `npz` repairs checksums.
#
#     test/fuzz/run.sh [NAME] [RUNS]     all fuzzers unless named, 2000000 executions each unless given
#
# Starts from corpus/NAME. What it finds lies in build-fuzz/found/NAME: after mending, the file goes into the corpus. New inputs that reach more
# code are kept in build-fuzz/corpus/NAME for the next time; `fuzz_NAME -merge=1 test/fuzz/corpus/NAME build-fuzz/corpus/NAME` takes the best of them over.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
build=$root/build-fuzz
names=${1:-$(sed -nE 's/^ *kt_fuzzer\(([a-z_]+) .*/\1/p' test/fuzz/CMakeLists.txt)}
runs=${2:-2000000}

[ -f "$build/build.ninja" ] || cmake --preset fuzz >/dev/null
failed=0
for name in $names; do
  ninja -C "$build" "fuzz_$name" | tail -n 1
  mkdir -p "$build/corpus/$name" "$build/found/$name"
  # A small quarantine and short stacks of allocations: models allocate much, and what is found is run again to be understood.
  export ASAN_OPTIONS=${ASAN_OPTIONS:-allow_user_poisoning=0:malloc_context_size=2:quarantine_size_mb=16}
  options=(-runs="$runs" -max_len=4096 -timeout=10 -rss_limit_mb=3072 -artifact_prefix="$build/found/$name/" -print_final_stats=1 -verbosity=1)
  [ -f "test/fuzz/$name.dict" ] && options+=(-dict="test/fuzz/$name.dict")
  if "$build/bin/fuzz_$name" "${options[@]}" "$build/corpus/$name" "test/fuzz/corpus/$name" >"$build/found/$name.log" 2>&1; then
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/found/$name.log") executions, nothing found"
  else
    failed=1
    tail -n 40 "$build/found/$name.log"
    echo "$name: found something; the whole output is in $build/found/$name.log"
  fi
done
exit $failed
