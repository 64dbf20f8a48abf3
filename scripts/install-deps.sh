#!/usr/bin/env bash
# Installs what building and testing ktc needs on Debian 12, from Debian's own package sources. Safe to run again: it names what is
# missing and does nothing when nothing is. LLVM 22 comes from bookworm-security, which a standard installation has enabled.
#
#     scripts/install-deps.sh          install what is missing
#     scripts/install-deps.sh --check  only say what is missing; status 1 if anything is
set -euo pipefail

packages=(
  # tools
  clang-22 lld-22 llvm-22 llvm-22-tools mlir-22-tools cmake ninja-build ccache git ca-certificates
  python3 python3-dev python3-numpy python3-venv flatbuffers-compiler protobuf-compiler
  # the compiler's libraries
  llvm-22-dev libmlir-22-dev libzstd-dev zlib1g-dev libxml2-dev libedit-dev libcurl4-openssl-dev
  libonnx-dev libprotobuf-dev libyaml-cpp-dev
  # the runtime's and the tools'
  libflatbuffers-dev libxxhash-dev libeigen3-dev libcli11-dev nlohmann-json3-dev
  # the tests'
  libgtest-dev libclang-rt-22-dev
  # style
  clang-format-22 clang-tidy-22
)

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | sed -n 's/ installed$//p' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx -- "$package" <<<"$installed" || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "install-deps: all ${#packages[@]} packages are installed"
  exit 0
fi
echo "install-deps: missing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
[ "${1:-}" = --check ] && exit 1

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-deps: error: not root and there is no sudo; as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi
if ! command -v apt-get >/dev/null; then
  echo "install-deps: error: there is no apt-get; install the counterparts of these packages by hand" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
# A bare system has no package lists yet, and old ones may name files that are gone.
"${apt[@]}" update -qq
unavailable=()
for package in "${missing[@]}"; do
  apt-cache show "$package" >/dev/null 2>&1 || unavailable+=("$package")
done
if [ ${#unavailable[@]} -gt 0 ]; then
  {
    echo "install-deps: error: the package sources of this machine have no ${unavailable[*]}"
    echo "  LLVM 22 is in Debian 12's security updates: the machine's sources need the suites bookworm, bookworm-updates and bookworm-security, component main"
  } >&2
  exit 1
fi
echo "install-deps: apt-get install ${missing[*]}"
"${apt[@]}" install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
echo "install-deps: installed ${#missing[@]} packages"
