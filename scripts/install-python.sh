#!/usr/bin/env bash
# Builds the Python package and installs it into a virtual environment, with what its tests need. Safe to run again: what is built stays in
# build-python, and ccache has the runtime from the build of the compiler.
#
#     scripts/install-python.sh FOLDER           FOLDER/bin/python has the package afterwards
#
#   KT_SKIP_INSTALL=1    take the environment as it is; only the package is installed into it
#
# Status 3: what is needed is not there (no virtual environments, no headers of Python, no package index), which says nothing of the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:?usage: scripts/install-python.sh FOLDER}
lacking() {
  echo "install-python: $*" >&2
  exit 3
}
python=${PYTHON:-/usr/bin/python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null || lacking "$python cannot make virtual environments; scripts/install-deps.sh installs python3-venv"
[ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
  lacking "$python has no headers; scripts/install-deps.sh installs python3-dev"

# The package is built with nothing but what it asks for, as pip does elsewhere; what it can use beyond that comes afterwards.
list() { # EXPRESSION: requirements in pyproject.toml
  "$python" -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb')); print(*$1, sep='\n')"
}
mapfile -t builds < <(list 'project["build-system"]["requires"]')
mapfile -t uses < <(list '[*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dtypes"], *project["project"]["optional-dependencies"]["text"]]')
obtain() {
  if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "$@" >"$folder/pip.log" 2>&1; then
    tail -n 3 "$folder/pip.log" >&2
    lacking "cannot install $* from the Python package index"
  fi
}
if [ "$(cat "$folder/installed" 2>/dev/null)" != "${builds[*]} ${uses[*]}" ]; then
  [ -z "${KT_SKIP_INSTALL:-}" ] || lacking "there is no environment in $folder, and KT_SKIP_INSTALL is set"
  rm -rf "$folder"
  "$python" -m venv "$folder"
  obtain "${builds[@]}"
fi

# The compiler and flags of the other builds, so that ccache has the objects. Without isolation, whose folders have another name each time.
export CC=clang-22 CXX=clang++-22 CMAKE_GENERATOR=Ninja CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
"$folder/bin/python" -m pip install --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall --verbose --config-settings=build-dir=build-python \
  "--config-settings=cmake.define.CMAKE_CXX_COMPILER_LAUNCHER=$PWD/cmake/ccache.sh;$PWD" .
if [ ! -e "$folder/installed" ]; then
  obtain "${uses[@]}"
  echo "${builds[*]} ${uses[*]}" >"$folder/installed"
fi
