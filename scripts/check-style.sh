#!/usr/bin/env bash
# clang-format over every C++ file and clang-tidy over those that changed; the last line is `N passed, N failed, N skipped`.
#
#     scripts/check-style.sh [BASE]   BASE: compare with this commit, e.g. origin/main. Unless given: the work of the last day before HEAD.
#
#   KT_BUILD=DIR        a configured and built folder, for compile_commands.json and generated headers (default: build)
#   KT_TIDY_FILES=N     clang-tidy takes ten seconds a file: at most so many, the others are counted as skipped (default: 24)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
build=${KT_BUILD:-build}
base=${1:-$(git rev-list -1 --before="$(($(git log -1 --format=%ct) - 86400))" HEAD)}
[ -n "$base" ] || base=$(git hash-object -t tree /dev/null)

passed=0 failed=0
while read -r file; do
  if clang-format-22 --dry-run -Werror "$file" >/dev/null 2>&1; then
    passed=$((passed + 1))
  else
    echo "FAIL $file: run clang-format-22 -i"
    failed=$((failed + 1))
  fi
done < <(git ls-files '*.cpp' '*.h' '*.c')

mapfile -t changed < <(git diff --name-only --diff-filter=AM "$base" -- '*.cpp')
limit=${KT_TIDY_FILES:-24} skipped=0
if [ ${#changed[@]} -gt "$limit" ]; then
  skipped=$((${#changed[@]} - limit))
  echo "SKIP clang-tidy of ${changed[*]:limit}"
  changed=("${changed[@]:0:limit}")
fi
export build
tidy() { # FILE: a file that this build does not compile (another configuration's) has no command
  if ! grep -q "\"file\": \".*/$1\"" "$build/compile_commands.json"; then
    echo "not built here: $1"
  elif ! out=$(clang-tidy-22 --quiet --warnings-as-errors='*' -p "$build" "$1" 2>/dev/null); then
    echo "FAIL clang-tidy $1"
    grep -aE 'error:' <<<"$out" | head -20
  else
    echo "ok   $1"
  fi
}
export -f tidy
results=$(printf '%s\n' "${changed[@]}" | grep . | xargs -P "$(nproc)" -I{} bash -c 'tidy {}')
grep -v '^ok' <<<"$results"
passed=$((passed + $(grep -c '^ok' <<<"$results")))
failed=$((failed + $(grep -c '^FAIL' <<<"$results")))
skipped=$((skipped + $(grep -c '^not built' <<<"$results")))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
