#!/bin/sh
# layers.sh - fail when a file includes what src/LAYERS does not allow it.
# Usage: layers.sh [source-root]
set -eu

root=${1:-${top_srcdir:-.}}/src
cd "$root"

find . -name '*.[ch]' -o -name '*.def' | sort |
    xargs grep -nH '^[[:space:]]*#[[:space:]]*include' /dev/null |
    awk '
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    function complain(what) { print what; bad = 1 }
    function read_layers(   line, part, lower, libs, folder, n, i) {
        while ((getline line < "LAYERS") > 0) {
            if (line ~ /^#/ || trim(line) == "") continue
            split(line, part, ":")
            folder = trim(part[1])
            n = split(trim(part[2]), lower, /[ \t]+/)
            for (i = 1; i <= n; i++) {
                if (!(lower[i] in known))
                    complain("LAYERS: " folder " names " lower[i] ", which is not above it")
                may[folder, lower[i]] = 1
            }
            n = split(trim(part[3]), libs, /[ \t]+/)
            for (i = 1; i <= n; i++) { third[libs[i]] = 1; may[folder, libs[i]] = 1 }
            known[folder] = 1
        }
    }
    BEGIN { read_layers() }
    {
        split($0, at, ":")
        file = substr(at[1], 3)
        folder = (file ~ /\//) ? substr(file, 1, index(file, "/") - 1) : "cli"
        text = $0; sub(/^[^<"]*[<"]/, "", text); sub(/[>"].*$/, "", text)
        if (!(folder in known)) { complain(file ": folder not in LAYERS"); next }
        if ($0 ~ /"/) {
            target = substr(text, 1, index(text, "/") - 1)
            if (text == "config.h" || target == folder) next
            if (!((folder, target) in may))
                complain("src/" file ":" at[2] ": " folder "/ must not include " text)
        } else for (lib in third) if (index(text, lib) == 1 && !((folder, lib) in may))
            complain("src/" file ":" at[2] ": " text " belongs to another folder")
    }
    END { exit bad }'
