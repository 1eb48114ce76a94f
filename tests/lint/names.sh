#!/bin/sh
# names.sh - the name tells the file.
#   1. A header opens with `/* <file> - <purpose>`.
#   2. Every symbol visible outside foo.c is foo or begins with foo_.
#   3. No two source files share a name.
# Usage: names.sh [source-root]   (needs libchromabouncer.a in the current directory)
set -eu

root=${1:-${top_srcdir:-.}}
bad=0

# File names here never hold spaces, so word splitting is safe.
# shellcheck disable=SC2044
for header in $(find "$root/src" -name "*.h"); do
    name=$(basename "$header" .h)
    case $(head -n 1 "$header") in
    "/* $name - "?*) ;;
    *) echo "$header: first line must be '/* $name - <purpose>'"; bad=1 ;;
    esac
done

for name in $(find "$root/src" -name '*.c' | sed 's|.*/||' | sort | uniq -d); do
    echo "two files are named $name"; bad=1
done

nm -A -g --defined-only libchromabouncer.a 2>/dev/null |
    sed -n 's/^[^:]*:\([a-z0-9_]*\)\.o:[0-9a-f]* [A-Z] \(.*\)$/\1 \2/p' |
    while read -r file symbol; do
        case $symbol in
        "$file" | "$file"_*) ;;
        __asan* | __odr_asan* | __ubsan* | __tsan* | __gcov* | __sancov* | __start_* | __stop_*) ;;
        *) echo "$file.c: $symbol does not begin with ${file}_"; exit 1 ;;
        esac
    done || bad=1

exit $bad
