#!/bin/sh
# replay.sh - run each fuzz target over its corpus.
# Usage: replay.sh   (in the build folder)
set -eu

corpus=${top_srcdir:-.}/tests/fuzz/corpus
for folder in "$corpus"/*/; do
    name=$(basename "$folder")
    # -runs=0 is libFuzzer's way to say: replay, then stop.
    "tests/fuzz/fuzz_$name" -runs=0 "$folder" || { echo "corpus $name: failed"; exit 1; }
done
