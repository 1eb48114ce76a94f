#!/bin/sh
# sizes.sh - no source file above 800 lines, no function above 70.
# A function runs from a `{` in column one to the `}` in column one.
# Usage: sizes.sh [source-root]
set -eu

root=${1:-${top_srcdir:-.}}
find "$root/src" -name '*.[ch]' -print | sort | xargs awk '
    FNR == 1 { if (last != "" && lines > 800) { print last ": " lines " lines, 800 at most"; bad = 1 } }
    { last = FILENAME; lines = FNR }
    /^\{/ { start = FNR }
    /^\}$/ && start {
        if (FNR - start - 1 > 70) {
            print FILENAME ":" start ": a function of " (FNR - start - 1) " lines, 70 at most"; bad = 1
        }
        start = 0
    }
    END { if (lines > 800) { print last ": " lines " lines, 800 at most"; bad = 1 } exit bad }'
