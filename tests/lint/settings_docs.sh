#!/bin/sh
# settings_docs.sh - the sample file and chromabouncer.yaml(5) say what the table of settings says,
# and the sample file means what it says.
# Usage: settings_docs.sh [update]   (in the build directory; update writes the files anew)
set -eu

root=${top_srcdir:-.}
sample=$root/conf/chromabouncer.yaml
page=$root/man/chromabouncer.yaml.5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

./chromabouncer config init >"$work/sample"
{
    sed '/^\.\\" BEGIN settings/q' "$page"
    ./tests/lint/settings_reference
    sed -n '/^\.\\" END settings/,$p' "$page"
} >"$work/page"

if [ "${1:-}" = update ]; then
    cp "$work/sample" "$sample"
    cp "$work/page" "$page"
fi
for pair in "$work/sample $sample" "$work/page $page"; do
    # shellcheck disable=SC2086 # two words
    diff -u $pair || { echo "run tests/lint/settings_docs.sh update in the build directory"; bad=1; }
done

# Every line of the sample that is a commented-out setting must be accepted, at the same value.
sed 's/^\( *\)#\([a-z_]*:\)/\1\2/' "$work/sample" >"$work/all"
env -i ./chromabouncer config check "$work/all" >/dev/null || bad=1
env -i ./chromabouncer config show --config "$work/all" >"$work/shown"
env -i ./chromabouncer config show --config /dev/null | sed 's/ *# .*//' >"$work/defaults"
sed 's/ *# .*//' "$work/shown" | diff - "$work/defaults" || bad=1
if grep '# default$' "$work/shown"; then
    echo "these stand not in the sample file"
    bad=1
fi
exit $bad
