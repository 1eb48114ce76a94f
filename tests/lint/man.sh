#!/bin/sh
# man.sh - the manual pages are clean mdoc and name every command; skipped without mandoc.
# Usage: man.sh   (in the build directory)
set -eu

root=${top_srcdir:-.}
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }
bad=0

# The system's own pages are no matter here.
mandoc -Tlint -W warning "$root"/man/chromabouncer.1 "$root"/man/chromabouncer.yaml.5 || bad=1
mandoc -Tlint "$root"/man/chromabouncer.1 "$root"/man/chromabouncer.yaml.5 |
    grep -v -e 'referenced manual not found' && bad=1
for word in $(./chromabouncer --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p'); do
    grep -q "^\.It Cm $word" "$root/man/chromabouncer.1" ||
        { echo "man/chromabouncer.1: the command $word is missing"; bad=1; }
done
for flag in $(./chromabouncer --help | sed -n 's/^  \(-., \)\{0,1\}--\([a-z]*\) .*/\2/p'); do
    grep -q "^\.It Fl .*\\\\-$flag" "$root/man/chromabouncer.1" ||
        { echo "man/chromabouncer.1: the flag --$flag is missing"; bad=1; }
done
exit $bad
