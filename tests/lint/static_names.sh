#!/bin/sh
# static_names.sh - a static function's name is in one file only, or grep, perf and gdb mislead:
# where two files want the same one, it carries its file's name in front.
# static_names.known lists what is still shared; it may only shrink.
# Usage: static_names.sh [update]   (update takes out of the list what is no longer shared)
set -eu

root=${top_srcdir:-.}
list=$root/tests/lint/static_names.known
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

# name:file of each function that a line in the first column declares or defines. An attribute may
# stand in front of `static`; clang-format may have broken the line after the type.
# shellcheck disable=SC2016 # awk's own
(cd "$root/src" && find . -name '*.c' | sort | xargs awk '
    FNR == 1 { pending = "" }
    { line = pending $0; pending = "" }
    line !~ /^[A-Za-z_].*/ || line !~ /(^|[ )])static / { next }
    line !~ /[(=;{]/ || (line ~ /^__attribute__\(\([^()]*\([^()]*\)\)\) static [a-z0-9_ ]*$/) {
        pending = line " "; next
    }
    {
        sub(/^.*static /, "", line)
        sub(/[=;{].*$/, "", line)
        if (match(line, /[a-z0-9_]+\(/) && line !~ /^[a-z0-9_ ]*\(\*/)
            print substr(line, RSTART, RLENGTH - 1) ":" substr(FILENAME, 3)
    }') | sort -u >"$work/all"
cut -d: -f1 "$work/all" | uniq -d >"$work/shared"
sed '/^#/d;/^$/d' "$list" | sort >"$work/known"

if [ "${1:-}" = update ]; then
    comm -12 "$work/shared" "$work/known" >"$work/left"
    sed -n '/^#/p' "$list" >"$work/new"
    cat "$work/left" >>"$work/new"
    cp "$work/new" "$list"
    cp "$work/left" "$work/known"
fi
for name in $(comm -23 "$work/shared" "$work/known"); do
    echo "static $name() is in more than one file: $(sed -n "s/^$name://p" "$work/all" | tr '\n' ' ')"
    bad=1
done
for name in $(comm -13 "$work/shared" "$work/known"); do
    echo "$name is in static_names.known, but no longer shared: run static_names.sh update"
    bad=1
done
exit $bad
