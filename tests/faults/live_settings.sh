#!/bin/sh
# live_settings.sh - every setting that "HUP changes" really takes effect; skipped without python3.
# Usage: live_settings.sh   (needs ./chromabouncer and tests/support/stub_chroma in $top_builddir)
set -eu

command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
PYTHONDONTWRITEBYTECODE=1 exec python3 "${top_srcdir:-.}/tests/faults/live_settings.py" \
    "${top_builddir:-.}"
