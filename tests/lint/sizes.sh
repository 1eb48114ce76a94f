#!/bin/sh
# sizes.sh - no source file and no test above 800 lines, no function of a source file above 70.
# A function runs from a `{` in column one to the `}` in column one.
# Usage: sizes.sh [source-root]
set -eu

cd "${1:-${top_srcdir:-.}}"
find src tests \( -name '*.[ch]' -o -name '*.py' \) -print | sort | xargs awk '
    function file_ends() {
        if (lines > 800) {
            print last ": " lines " lines, 800 at most"; bad = 1
        }
    }
    FNR == 1 { file_ends(); start = 0 }
    { last = FILENAME; lines = FNR }
    /^\{/ { start = FNR }
    /^\}$/ && start {
        if (FILENAME ~ /^src\// && FNR - start - 1 > 70) {
            print FILENAME ":" start ": a function of " (FNR - start - 1) " lines, 70 at most"; bad = 1
        }
        start = 0
    }
    END {
        file_ends()
        exit bad
    }'
