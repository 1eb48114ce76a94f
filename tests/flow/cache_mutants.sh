#!/bin/sh
# cache_mutants.sh - can the flow tests of the cache fail? Break one rule of cache_path at a time.
# Usage: cache_mutants.sh [source-root]   (in a build directory with test_flow_cache built; run by
# `make check-reads`)
#
# shellcheck disable=SC2086 # $flags, $objects and $libs are words
set -eu

root=${1:-${top_srcdir:-.}}
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -I$root/src $(pkg-config --cflags libevent)"
libs="$(pkg-config --libs check libevent libcurl jansson yaml-0.1)"
objects=
for name in test_flow_cache fake_clock fake_loop fake_net fake_worker_pool flow_backend flow_client \
    flow_pattern flow_world; do
    objects="$objects tests/flow/$name.o"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0

# try SED RULE
try() {
    count=$((count + 1))
    sed "$1" "$root/src/proxy/cache_path.c" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/proxy/cache_path.c"; then
        echo "STALE   $2: '$1' changes nothing"
        bad=1
    elif ! $cc $flags -c "$work/mutant.c" -o "$work/mutant.o" 2>"$work/errors" ||
        ! $cc $objects "$work/mutant.o" libchromabouncer.a $libs -o "$work/program" 2>>"$work/errors"; then
        echo "BROKEN  $2: does not compile"
        cat "$work/errors"
        bad=1
    elif timeout 60 "$work/program" >"$work/out" 2>&1; then
        echo "MISSED  $2"
        bad=1
    else
        echo "caught  $2"
    fi
}

try 's/query_validity_holds(&exchange->question.asked, &now)/1/' 'what a write crossed is not kept'
try 's/(now_us >= proxy->cache->settled_us)/0/' 'what was kept in the first seconds goes'
try 's/field_us = cache->options.trust_us;/;/' 'credentials are trusted for a while'
try 's/        else if (!is_plain_answer_field(&head->fields\[i\]))/        else if (0)/' 'answers with fields of others pass'
try 's/head->status != 200 ||//' 'only a 200 is kept'
try 's/            \*ret_kept = KEPT_HEAD_BY_ORIGIN;/            ;/' 'what varies by origin says so when it is given'
try 's/(is_gateway || options->max_staleness_us > 0)/1/' 'a sidecar keeps nothing unless it is told'
try 's/cache->is_gateway ? UINT64_MAX : cache->options.max_staleness_us/UINT64_MAX/; s/if (cache->options.max_staleness_us > 0/if (0/' 'answers have a greatest age'
try 's/    request_identity_digest(.*/    if (0) request_identity_digest((struct bytes){0},/' 'identities are apart'
try 's/            field_us = wanted_age(field->value);/            ;/' 'who wants an answer of Chroma gets one'
try 's/    memcpy(ret_key->digest, query.digest, sizeof ret_key->digest);/    memset(ret_key->digest, 0, sizeof ret_key->digest);/' 'questions are apart'
try 's/\.stamp = collection_table_stamp(.*now_us),/.stamp = 1,/' 'writes end what is kept'
try 's/    if (cache->is_gateway \&\& !is_gateway) {/    if (0) {/; s/    if (!is_wanted) {/    if (0) {/' 'who ceases to be a gateway forgets'

echo "$count mutants"
exit $bad
