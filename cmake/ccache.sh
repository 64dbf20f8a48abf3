#!/bin/sh
# CMake's compiler launcher: ccache.sh SOURCE_DIR COMPILER ARGUMENTS... Ninja runs it in the build folder, which lies in the source folder.
#
# Another worktree or clone of the same sources finds what this one compiled. So paths inside the source folder become relative (ccache's base_dir
# leaves the arguments of -Xclang as they are, which is how CMake passes the precompiled header). A precompiled header itself holds absolute paths:
# each build folder makes its own, and ccache knows it by a checksum of what it was made from.
set -e
source=$1
shift
output='' dependencies=''
for argument; do
  shift
  case $argument in
    "$source" | "$source"/*) argument=$(realpath -m -s --relative-to=. "$argument") ;;
    -I"$source" | -I"$source"/*) argument=-I$(realpath -m -s --relative-to=. "${argument#-I}") ;;
  esac
  case $previous in
    -o) output=$argument ;;
    -MF) dependencies=$argument ;;
  esac
  previous=$argument
  set -- "$@" "$argument"
done
case $output in
  *.pch)
    "$@"
    { echo "$@" && sed -e '1s/^[^:]*://' -e 's/\\$//' "$dependencies" | xargs cat; } | sha256sum >"$output.sum"
    ;;
  *) CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 CCACHE_SLOPPINESS=pch_defines,time_macros exec ccache "$@" ;;
esac
