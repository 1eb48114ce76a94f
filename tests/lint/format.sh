#!/bin/sh
# format.sh - every C file is as clang-format 14 would write it; skipped where that is missing.
# Usage: format.sh [source-root]
set -eu

root=${1:-${top_srcdir:-.}}
tool=$(command -v clang-format-14 || true)
[ -n "$tool" ] || { echo "clang-format-14 is not installed"; exit 77; }
cd "$root"
find src tests -name '*.[ch]' -print0 | xargs -0 "$tool" --dry-run --Werror
