#!/bin/sh
# reads_mutants.sh - can the tests of reads/ and of the keys of queries fail? Break one rule at a
# time; each must be noticed by the simulation or by a test of its own.
# Usage: reads_mutants.sh [source-root]   (run by `make check-reads`)
#
# A mutant is `file | sed command | the rule it breaks`. A sed command that changes nothing is an
# error: the code moved.
# shellcheck disable=SC2086 # $flags and $libs are words
set -eu

root=${1:-${top_srcdir:-.}}
library=${2:-libchromabouncer.a}
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -I$root/src -I$root/tests $(pkg-config --cflags check)"
libs="$library $(pkg-config --libs check)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0
tests="json_floats chroma_query chunk_pool query_cache reads_simulation"

for test in $tests; do
    $cc $flags -c "$root/tests/unit/test_$test.c" -o "$work/test_$test.o"
done

# caught_by TEST: does it fail with the mutant?
caught_by() {
    $cc "$work/test_$1.o" "$work/mutant.o" $libs -o "$work/program" &&
        ! timeout 60 "$work/program" >"$work/out" 2>&1
}

# try FILE SED RULE
try() {
    count=$((count + 1))
    sed "$2" "$root/src/$1.c" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/$1.c"; then
        echo "STALE   $3: '$2' changes nothing in $1.c"
        bad=1
        return
    fi
    if ! $cc $flags -c "$work/mutant.c" -o "$work/mutant.o" 2>"$work/errors"; then
        echo "BROKEN  $3: does not compile"
        cat "$work/errors"
        bad=1
        return
    fi
    for test in $tests; do
        if caught_by $test; then
            echo "caught  $3 ($test)"
            return
        fi
    done
    echo "MISSED  $3"
    bad=1
}

try json/json_floats 's/<= 2 \* margin/> UINT64_MAX - 1/' 'near the middle of two floats nothing is converted'
try json/json_floats 's/UNLIKELY(value > largest)/0/' 'floats that may overflow are left'
try json/json_floats 's/(count > 1 \&\& \*start == .0.)/0/' 'no number begins with two digits of which one is 0'
try json/json_floats 's/> DIGITS_MAX) \&\&/> 2000) \&\&/' 'digits that do not fit are not dropped'
try json/json_floats 's/^        \*ret_float = 0;/        *ret_float = parts.is_negative ? -0.0F : 0;/' 'minus zero is zero'
try json/json_floats 's/parts.digits > integers_max ||/0 ||/' 'what is rounded twice is not exact'
try json/json_floats 's/EXACT_POWER_MAX = 22/EXACT_POWER_MAX = 23/' 'a power that is rounded is not exact'
try json/json_floats 's/(parts.digits == 0 \&\& parts.is_negative)/0/' 'minus zero is not exact'
try json/json_floats 's/at - start == 2/at - start == 5/' 'exponents are short'

try chroma/chroma_query 's/put_word(parse, MARK_VECTOR_END);/;/' 'vectors end'
try chroma/chroma_query 's/put_word(parse, includes\[i\].include);/;/' 'what is included counts'
try chroma/chroma_query 's/    put_word(parse, (uint32_t)bytes.size);/    ;/' 'texts have a size'
try chroma/chroma_query 's/put_sized(parse, MARK_LITERAL, parse->route->tenant);/;/' 'tenants are apart'
try chroma/chroma_query 's/put_sized(parse, MARK_LITERAL, parse->route->database);/;/' 'databases are apart'
try chroma/chroma_query 's/if (parse->seen\[field\])/if (0)/' 'no field comes twice'
try chroma/chroma_query 's/ || !number.is_safe_float/ || 0/' 'floats are finite'
try chroma/chroma_query 's/count == 1 ||/1 ||/' 'filters have one member'
try chroma/chroma_query 's/put_long(parse, MARK_DOUBLE, bits)/put_long(parse, MARK_INTEGER, (uint64_t)value)/' 'integers and floats are apart in filters'
try chroma/chroma_query 's/integer != 0 || !is_negative/1/' 'minus zero is apart in filters'
try chroma/chroma_query 's/if (!json_scan_end(&parse->scan))/if (0)/' 'nothing stands behind the body'
try chroma/chroma_query 's/        put_string(parse, key);/        ;/' 'keys of filters count'
try chroma/chroma_query 's/^    put_word(parse, MARK_ARRAY);/    ;/' 'arrays in filters count'
try chroma/chroma_query 's/keyed_digest_take(&parse->digest, parse->words, WORDS_MAX);/;/' 'long vectors count as a whole'
try chroma/chroma_query 's/null_is_default || !parse->is_null\[field\]/1/' 'null is apart where servers may differ'
try chroma/chroma_query 's/        mark = MARK_LITERAL;/        text.size = 1;/' 'long texts with escapes count as a whole'

try reads/chunk_pool 's/!memory_account_has_room(pool->account, CHUNK_POOL_BLOCK_SIZE)/0/' 'the account bounds the pool'
try reads/chunk_pool 's/pool->bytes_max - pool->bytes < CHUNK_POOL_BLOCK_SIZE ||//' 'the pool has a bound'

try reads/query_cache 's/if (!query_validity_holds(&entry->validity, now))/if (0)/' 'what may have changed is not answered'
try reads/query_cache 's/memcmp(&(\*place)->key, key, sizeof \*key)/memcmp((*place)->key.digest, key->digest, 16)/' 'keys are compared in full'
try reads/query_cache 's/if (now_us - entry->stored_us > max_age_us)/if (0)/' 'answers have an age'
try reads/query_cache 's/    if (\*place != NULL)/    if (0)/' 'a new answer takes the place of the old one'
try reads/query_cache 's/if (size > cache->options.object_bytes_max)/if (0)/' 'what is too large is not kept'
try reads/query_cache 's/if (!entry->was_hit ||/if (1 ||/' 'what is asked for again stays'
try reads/query_cache 's/    if (cache->hand == &entry->order)/    if (0)/' 'the hand does not stay on what is gone'
try reads/query_cache 's/    place = find_kept(cache, key);/    ;/' 'evictions may change the bucket'

echo "$count mutants"
exit $bad
