#!/usr/bin/env bash
# Installs the releases of the `onnx` package whose tests `test/run.sh onnx` runs, each into a virtual environment of its own. Safe to run again.
#
#     scripts/install-onnx.sh FOLDER           FOLDER/VERSION/bin/python for each of them
#     scripts/install-onnx.sh --list           the versions, oldest first
#
# Everything is pinned: another numpy may draw other random inputs, another onnx has other tests.
set -euo pipefail

# The newest release, and the last one before its operator set: operator sets 27 and 28.
versions=(1.22.0 1.23.2)
needs=(numpy==2.4.6 ml_dtypes==0.6.0 protobuf==7.36.2 typing_extensions==4.16.0)

if [ "${1:-}" = --list ]; then
  printf '%s\n' "${versions[@]}"
  exit 0
fi
folder=${1:?usage: scripts/install-onnx.sh FOLDER}
die() {
  echo "install-onnx: error: $*" >&2
  exit 1
}
python=${PYTHON:-python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null || die "$python cannot make virtual environments; scripts/install-deps.sh installs python3-venv"

for version in "${versions[@]}"; do
  environment=$folder/$version
  wanted="onnx==$version ${needs[*]}"
  if [ "$(cat "$environment/installed" 2>/dev/null)" = "$wanted" ] && "$environment/bin/python" -c 'import onnx' 2>/dev/null; then
    continue
  fi
  rm -rf "$environment"
  "$python" -m venv "$environment"
  # shellcheck disable=SC2086
  if ! "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps $wanted >"$environment/pip.log" 2>&1; then
    tail -n 3 "$environment/pip.log" >&2
    die "cannot install onnx $version from the Python package index; its tests need it"
  fi
  echo "$wanted" >"$environment/installed"
  echo "install-onnx: installed onnx $version"
done
