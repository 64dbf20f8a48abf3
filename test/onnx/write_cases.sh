#!/usr/bin/env bash
# Installs the releases of the `onnx` package and writes the tests of each to FOLDER/cases/VERSION: all of the newest, and of an older one those that
# the newest has otherwise or not at all. Does nothing when that is done.
#
#     test/onnx/write_cases.sh FOLDER
set -euo pipefail
folder=${1:?usage: test/onnx/write_cases.sh FOLDER}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
writer=$root/test/onnx/write_cases.py

bash "$root/scripts/install-onnx.sh" "$folder"
mapfile -t versions < <(bash "$root/scripts/install-onnx.sh" --list)
newest=${versions[-1]}
for version in "$newest" "${versions[@]:0:${#versions[@]}-1}"; do
  cases=$folder/cases/$version
  if [ "$cases/index.json" -nt "$writer" ] && [ "$cases/index.json" -nt "$folder/$version/installed" ]; then
    continue
  fi
  without=()
  [ "$version" = "$newest" ] || without=(--without "$folder/cases/$newest")
  rm -rf "$cases"
  "$folder/$version/bin/python" "$writer" "$cases" "${without[@]}"
done
