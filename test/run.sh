#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. The last line is `N passed, N failed, N skipped`; the status is 0 when none failed.
#
#     bash test/run.sh [PART...]     parts: style unit tsan lit ptx ptxas e2e python onnx hostile models (all unless given); mutations (only where it is given)
#
#   KT_MODELS=DIR        also compile and run every folder under DIR that has model.onnx, inputs*.npz, outputs*.npz
#   KT_BASE=COMMIT       what the part style compares with: clang-tidy looks at the files that changed since (default: a day before HEAD)
#   KT_SKIP_INSTALL=1    take the machine as it is
#   KT_BUILD=DIR         the build folder (default: build, configured and built here; an asan build works as well)
#   KT_SKIP_BUILD=1      test what is built
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
build=${KT_BUILD:-$root/build}
logs=$build/test-logs
passed=0 failed=0 skipped=0
parts=" ${*:-style unit tsan lit ptx ptxas e2e python onnx hostile models} "

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}
die() {
  echo "test/run.sh: $*" >&2
  failed=$((failed + 1))
  finish
}
timed() { # NAME COMMAND...: runs a command and says how long it took
  local name=$1 start=$SECONDS status
  shift
  "$@"
  status=$?
  echo "== $name: $((SECONDS - start)) s"
  return $status
}
count() { # LOG PATTERN: the sum of the first numbers in the parts of the log that match
  grep -aoE "$2" "$1" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'
}

# part NAME COMMAND...: runs one part and adds up what its last lines say. It counts as one failure if it fails without naming any.
part() {
  local name=$1 log=$logs/$1.log start=$SECONDS status p f s
  shift
  "$@" >"$log" 2>&1
  status=$?
  # gtest's lines, one a test, so that a crash does not hide those before it; lit's summary.
  p=$(($(grep -acE '^\[       OK \] ' "$log") + $(count "$log" '^  Passed *: [0-9]+')))
  f=$(($(grep -acE '^\[  FAILED  \] .* ms\)$' "$log") + $(count "$log" '^  (Failed|Unresolved|Timed Out|Unexpectedly Passed) *: [0-9]+')))
  s=$(($(grep -acE '^\[  SKIPPED \] .* ms\)$' "$log") + $(count "$log" '^  (Unsupported|Skipped) *: [0-9]+')))
  # The project's own form, `N of M right`, and unittest's (what fails there counts as one).
  read -r p f s < <(sed -nE -e 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' \
    -e 's/^([0-9]+) of ([0-9]+) (kernels right|models right|assembled without spills|killed)$/\1 of \2/p' \
    -e 's/^Ran ([0-9]+) tests? in .*/\1 of \1/p' "$log" |
    awk -v p="$p" -v f="$f" -v s="$s" '$2 == "of" { p += $1; f += $3 - $1; next } { p += $1; f += $2; s += $3 } END { print p, f, s }')
  # Killed by a signal, or failed without saying in what.
  if [ $status -gt 128 ] || { [ $status -ne 0 ] && [ "$f" -eq 0 ]; }; then
    f=$((f + 1))
  fi
  if [ "$f" -gt 0 ]; then
    grep -aE '^(FAIL|SKIP)|^\[  FAILED  \] .* ms\)$|[Ee]rror:|^\*+ TEST|Failure$' "$log" | head -60
    echo "   status $status; the whole output is in $log:"
    tail -n 15 "$log" | sed 's/^/   /'
  else
    grep -aE '^SKIP' "$log"
  fi
  echo "== $name: $p passed, $f failed, $s skipped in $((SECONDS - start)) s"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}
wanted() { [[ $parts == *" $1 "* ]]; }

if [ -z "${KT_SKIP_INSTALL:-}" ]; then
  timed install bash scripts/install-deps.sh || die "cannot install what is needed"
fi
if [ -z "${KT_SKIP_BUILD:-}" ]; then
  preset=release
  [ "$(basename "$build")" = build-asan ] && preset=asan
  mkdir -p "$logs"
  timed configure cmake --preset $preset >"$logs/configure.log" || { cat "$logs/configure.log"; die "cannot configure"; }
  tail -n 1 "$logs/configure.log"
  if ! timed build ninja -C "$build" -j "$(nproc)" >"$logs/build.log" 2>&1; then
    grep -aE 'error:|FAILED' "$logs/build.log" | head -40
    die "the build failed; the whole output is in $logs/build.log"
  fi
  tail -n 1 "$logs/build.log"
fi
mkdir -p "$logs"

python=$(sed -n 's/^config.python = "\(.*\)"/\1/p' "$build/test/lit.site.cfg.py") # one with numpy: test/CMakeLists.txt looks for it
bin=$build/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/kt-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

if wanted style; then
  part style env KT_BUILD="$build" bash scripts/check-style.sh ${KT_BASE:+"$KT_BASE"}
fi
if wanted unit; then
  while read -r test; do
    part "$(basename "$test")" env -C "$build" "$test"
  done < <(find "$bin" -maxdepth 1 -executable -type f \( -name '*_test' -o -name '*Test' \) | sort)
fi
if wanted tsan; then
  # The runtime alone, built anew: sessions side by side, statistics of one while another runs, cancellation.
  tsan=$root/build-tsan
  if timed tsan-build bash -c "cmake --preset tsan && ninja -C '$tsan' runtime_test runtime_cuda_test" >"$logs/tsan-build.log" 2>&1; then
    for test in runtime_test runtime_cuda_test; do
      part "tsan-$test" env -C "$tsan" TSAN_OPTIONS=halt_on_error=1 "bin/$test"
    done
  else
    tail -n 20 "$logs/tsan-build.log"
    failed=$((failed + 1))
  fi
fi
if wanted lit; then
  part lit "$(sed -n 's/^KT_LIT:.*=//p' "$build/CMakeCache.txt")" -v "$build/test"
fi
if wanted ptx; then
  part ptx-interpreter "$python" test/ptx/test_interp.py
  part ptx-warpgroups "$python" test/ptx/test_warpgroups.py
  part ptx-mbarriers "$python" test/ptx/test_mbarriers.py
  part ptx-clusters "$python" test/ptx/test_clusters.py
  part ptx-harness "$python" test/ptx/test_harness.py
  part ptx-lines "$python" test/ptx/test_lines.py "$bin/kt-compile-kernel"
  part ptx env KT_KERNEL_DIR="$work" "$python" test/ptx/run_kernels.py "$bin/kt-compile-kernel"
  if grep -q '^KT_ASAN:BOOL=ON' "$build/CMakeCache.txt"; then
    echo "SKIP ptx-models: Python cannot load a sanitised library"
    skipped=$((skipped + 1))
  else # those that take seconds; unet2d takes minutes
    part ptx-models "$python" test/ptx/run_models.py "$build" test/models/{train_mlp,bert,bert_fused_fp16,bert_dynamic_int8,gpt2_cache,llama_cache_int4,vit,bert_sdpa,vit_sdpa,tv_vit,torch_encoder_sbe,t5enc,llama1_sdpa,llama2_eager,bert_mha,encoder_post_dynamo,optimum_gpt2_past,genai_llama,mobius_llama_static,hybrid_linear,genai_llama_fp16} \
      test/models/{train_mlp,gpt2_cache,llama_cache_int4,squeezenet}:fp16 test/models/{gpt2_cache,genai_llama_fp16}:model+int8 test/models/optimum_llama_past:fp16+int8
    part ptx-states "$python" test/ptx/run_states.py "$build"
    part ptx-generate "$python" test/ptx/run_generate.py "$build" test/models/{genai_llama,genai_llama_fp16,optimum_llama_past} test/models/{genai_llama_fp16,optimum_llama_past}:int8
  fi
fi
if wanted ptxas && wanted ptx; then
  if command -v ptxas >/dev/null || [ -x /usr/local/cuda/bin/ptxas ]; then
    part ptxas "$python" test/ptx/run_ptxas.py "$work"
    part ptxas-targets "$python" test/ptx/run_ptxas.py --targets "$bin" test/models/{llama_cache_int4,squeezenet}
    part ptxas-models "$python" test/ptx/run_ptxas.py --models "$bin" test/models/{bert_qdq,llama_cache_int4,squeezenet,unet2d}
  else
    echo "SKIP ptxas: it is not installed"
    skipped=$((skipped + 1))
  fi
fi
if wanted e2e; then
  part e2e "$python" test/e2e/run_models.py --bin "$bin" --work "$work/e2e" test/models
  part generate "$python" test/e2e/run_generate.py --bin "$bin" test/models
  part e2e-caches "$python" test/e2e/run_models.py --bin "$bin" --kv-cache int8 test/models/{genai_llama,genai_llama_fp16,gpt2_cache,llama_cache_int4,mobius_llama,optimum_llama_past,optimum_gpt2_past}
  part generate-caches "$python" test/e2e/run_generate.py --bin "$bin" --kv-cache int8 test/models/{genai_llama,genai_llama_fp16,gpt2_cache,llama_cache_int4,mobius_llama,optimum_llama_past,optimum_gpt2_past}
  part random-graphs "$python" test/e2e/random_graphs.py --bin "$bin" --count 60
fi
if wanted python; then
  timed python-package bash scripts/install-python.sh "$build/python" >"$logs/python-package.log" 2>&1
  case $? in
    0) part python "$build/python/bin/python" test/python/run_tests.py --bin "$bin" ;;
    3)
      echo "SKIP python: $(sed -n 's/^install-python: //p' "$logs/python-package.log")"
      skipped=$((skipped + 1))
      ;;
    *)
      grep -aE 'error:|FAILED' "$logs/python-package.log" | head -20
      tail -n 5 "$logs/python-package.log"
      failed=$((failed + 1))
      ;;
  esac
fi
if wanted onnx; then
  onnx=$build/onnx
  part onnx-harness "$python" test/onnx/test_harness.py
  if grep -q '^KT_ASAN:BOOL=ON' "$build/CMakeCache.txt"; then
    echo "SKIP onnx: its cases run in Python, which cannot load a sanitised library"
    skipped=$((skipped + 1))
  elif [ -n "${KT_SKIP_INSTALL:-}" ] && ! ls "$onnx"/*/installed >/dev/null 2>&1; then
    echo "SKIP onnx: scripts/install-onnx.sh has not installed the packages that its tests come from, and KT_SKIP_INSTALL is set"
    skipped=$((skipped + 1))
  elif timed onnx-cases bash test/onnx/write_cases.sh "$onnx" >"$logs/onnx-cases.log" 2>&1; then
    part onnx "$python" test/onnx/run_nodes.py --bin "$bin" --cases "$onnx"/cases/* --results "$onnx/results.json"
    part onnx-schemas "$onnx/$(bash scripts/install-onnx.sh --list | tail -n 1)/bin/python" scripts/generate-schemas.py --check compiler/Import/Schemas.inc
    part onnx-operators "$python" test/onnx/write_operators.py --check --bin "$bin" --cases "$onnx"/cases/* --results "$onnx/results.json"
  else
    tail -n 5 "$logs/onnx-cases.log"
    failed=$((failed + 1))
  fi
fi
if wanted hostile; then
  part hostile "$python" test/hostile/run_hostile.py --bin "$bin"
fi
if wanted mutations; then
  part mutations "$python" test/mutations/mutate.py # in a build folder of its own
fi
if wanted models && [ -n "${KT_MODELS:-}" ]; then
  part models "$python" test/e2e/run_models.py --bin "$bin" "$KT_MODELS"
  part models-generate "$python" test/e2e/run_generate.py --bin "$bin" "$KT_MODELS"/*
  cat "$logs/models.log"
fi
finish
