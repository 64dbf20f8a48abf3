#!/bin/sh
# CMake's compiler launcher: ccache.sh SOURCE_DIR COMPILER ARGUMENTS... Ninja runs it in the build folder, which lies in the source folder.
# Paths inside the source folder become relative, so that another worktree or clone of the same sources finds what this one compiled. ccache's own
# base_dir leaves the arguments of -Xclang as they are, which is how CMake passes the precompiled header.
source=$1
shift
for argument; do
  shift
  case $argument in
    "$source"/*) argument=$(realpath -m -s --relative-to=. "$argument") ;;
    -I"$source" | -I"$source"/*) argument=-I$(realpath -m -s --relative-to=. "${argument#-I}") ;;
  esac
  set -- "$@" "$argument"
done
CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros exec ccache "$@"
