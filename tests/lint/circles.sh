#!/bin/sh
# circles.sh - no include circle between the modules of a folder (x.c with x.h is one module): who
# reads one can then read it alone. Between folders layers.sh forbids it.
# circles.known lists what is still tied; a line may only shrink or go.
# Usage: circles.sh [update]   (update takes out of the list what is no longer tied)
set -eu

root=${top_srcdir:-.}
list=$root/tests/lint/circles.known
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line for each circle, the modules of one strongly connected set: "folder: a b c".
(cd "$root/src" && find . -name '*.[ch]' -o -name '*.def' | sort |
    xargs grep -H '^[[:space:]]*#[[:space:]]*include "' /dev/null) |
    awk '
    function module(path) { sub(/\.[a-z]*$/, "", path); return path }
    function folder(path) { sub(/\/.*$/, "", path); return path }
    {
        from = module(substr($0, 3, index($0, ":") - 3))
        to = $0; sub(/^[^"]*"/, "", to); sub(/".*$/, "", to); to = module(to)
        if (from == to || from !~ /\// || folder(from) != folder(to)) next
        all[from]; all[to]; reach[from, to]
    }
    END {
        for (k in all) for (i in all) if ((i, k) in reach)
            for (j in all) if ((k, j) in reach) reach[i, j]
        for (i in all) for (j in all) if ((i, j) in reach && (j, i) in reach && i != j)
            print folder(i) ": " least(i) " " substr(j, length(folder(j)) + 2)
    }
    function least(name,   other, first) {
        first = name
        for (other in all) if ((name, other) in reach && (other, name) in reach && other < first)
            first = other
        return first
    }' | sort -u |
    awk '{ at = $1 " " $2; line[at] = line[at] " " $3 } END { for (at in line) {
        split(at, part, " "); print part[1] line[at] } }' | sort >"$work/found"
sed '/^#/d;/^$/d' "$list" | sort >"$work/known"

# A circle is known when its modules all stand on one line of the list.
awk -v update="${1:-}" -v list="$list" '
    FILENAME == ARGV[1] { known[++lines] = $0; next }
    {
        for (n = 1; n <= lines; n++) {
            split(known[n], part, " ")
            delete on
            for (i in part) on[part[i]]
            for (i = 1; i <= NF && $i in on; i++) continue
            if (i > NF) break
        }
        if (n > lines) { print "an include circle: " $0; bad = 1 }
        else if (known[n] != $0) shrunk = 1
        seen[n]
        kept = kept $0 "\n"
    }
    END {
        for (n = 1; n <= lines; n++) if (!(n in seen)) shrunk = 1
        if (update == "update" && !bad) {
            while ((getline text < list) > 0) if (text ~ /^#/) head = head text "\n"
            printf "%s%s", head, kept >list
        } else if (shrunk) {
            print "circles.known has modules that are no longer tied: run circles.sh update"
            bad = 1
        }
        exit bad
    }' "$work/known" "$work/found"
