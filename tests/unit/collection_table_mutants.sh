#!/bin/sh
# collection_table_mutants.sh - can the tests of the collection table fail? Break one rule at a time;
# each must be noticed by the simulation or by a test of its own.
# Usage: collection_table_mutants.sh [source-root [seeds]]   (run by `make check-collection-table`)
#
# A mutant is `file | sed command | the rule it breaks`. A sed command that changes nothing is an
# error: the code moved.
# shellcheck disable=SC2086 # $flags and $libs are words
set -eu

root=${1:-${top_srcdir:-.}}
seeds=${2:-1500}
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -I$root/src -I$root/tests $(pkg-config --cflags check)"
libs="libchromabouncer.a $(pkg-config --libs check)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0
tests="collection_table collection_table_simulation"
export COLLECTION_TABLE_SEEDS="$seeds"

for test in $tests; do
    $cc $flags -c "$root/tests/unit/test_$test.c" -o "$work/test_$test.o"
done

# caught_by TEST: does it fail with the mutant?
caught_by() {
    $cc "$work/test_$1.o" "$work/mutant.o" $libs -o "$work/program" &&
        ! timeout 120 "$work/program" >"$work/out" 2>&1
}

# try FILE SED RULE
try() {
    count=$((count + 1))
    sed "$2" "$root/src/chroma/$1.c" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/chroma/$1.c"; then
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

try collection_table 's/mark->in_flight++;/mark->in_flight++; return;/' 'a write that is sent moves the stamp'
try collection_table 's/mark->in_flight--;/mark->in_flight--; continue;/' 'an outcome moves the stamp, an unknown one stays'
try collection_table 's/mark->unknown += is_unknown;//' 'an unknown outcome is no outcome'
try collection_table 's/mark->unknown--;/mark->unknown--; continue;/' 'what is lost may yet be applied'
try collection_table 's/is_unknown || is_crossed(table, notice)/is_unknown/' 'a deletion that crosses a renaming reaches all'
try collection_table 's/is_unknown || is_crossed(table, notice)/is_crossed(table, notice)/' 'an unknown creation reaches all in its database'
try collection_table '/^static void note_settled.*{/,/^}/s/void_names(table, notice);//; /lost_until_us = larger/,/let_go/s/    void_names(table, notice);//' 'names do not outlive an unknown outcome'
try collection_table 's/!collection_store_is_quiet(&found->names, now_us)/0/' 'a name is nothing while names of its database change'
try collection_table 's/!collection_store_is_quiet(&table->names, now_us)/0/' 'a name is nothing while everything may change'
try collection_table 's/collection->named_at <= table->names_void/0/' 'names do not outlive a change of everything'
try collection_table 's/!collection_store_is_quiet(wide, now_us)/0/' 'a change of a database reaches its collections'
try collection_table 's/larger(wide->stamp, table->records.stamp)/table->records.stamp/' 'a change of a database moves the stamps in it'
try collection_table 's/larger(wide->stamp, table->records.stamp)/wide->stamp/' 'a change of everything moves all stamps'
try collection_table 's/begin_mark(table, notice, &table->any_records);//' 'who is not known to be elsewhere may be in the database'
try collection_table 's/collection->scope == NULL ? &table->any_records/collection->scope == NULL ? \&table->records/' 'a collection without a known database is in any'
try collection_table 's/names_stamp == breaks_stamp(table, scope, now_us)/1/' 'an answer that crossed a change teaches no name'
try collection_table 's/names_stamp != 0 \&\&//; s/scope == asked \&\&//' 'an answer asked for during a change teaches no name'
try collection_table 's/scope == NULL || !collection_store_is_quiet(&scope->breaks, now_us)/scope == NULL/' 'a question during a change is none'
try collection_table 's/    if (notice->incarnation != table->incarnation)/    if (0)/' 'an outcome of the former Chroma teaches nothing'
try collection_table 's/question.incarnation != table->incarnation ||//' 'an answer of the former Chroma teaches nothing'
try collection_table 's/        collection->dimension = 0;//' 'dimensions do not outlive an incarnation'
try collection_table 's/        marks\[i\]->stamp = table->incarnation;/;/' 'stamps do not outlive an incarnation'
try collection_table 's/table->incarnation = table->names_void =/table->incarnation =/' 'names do not outlive an incarnation'
try collection_table 's/        collection_store_unname(&table->store, collection);//' 'a renamed collection loses its name'
try collection_table 's/|| !has_own_scope(notice)/|| 0/' 'a path may name another database than the one it changes'
try collection_table 's/    } else if (route->collection.size > 0) {/    } else if (0) {/' 'a UUID that we cannot read may be one'
try collection_table 's/collection->seen_at > larger(scope->names_void, table->names_void)/1/' 'existence does not outlive a deletion of all'
try collection_table 's/scope->breaks.in_flight + scope->breaks.unknown == 0/1/' 'existence is not told while a deletion is under way'
try collection_table 's/            collection->existence = COLLECTION_GONE;/            ;/' 'a deleted collection is gone'
try collection_table 's/if (outcome == WRITE_OUTCOME_APPLIED)/if (outcome != WRITE_OUTCOME_UNKNOWN)/' 'a refusal teaches nothing'
try collection_table 's/operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT/notice->dimension != 0/' 'an update teaches no dimension'
try collection_table 's/            mark->lost_until_us = UINT64_MAX;/            ;/' 'a function writes whenever it likes'
try collection_store 's/collection->records.stamp = collection_store_tick(store);/collection->records.stamp = 1;/' 'a forgotten collection comes back with another stamp'
try collection_store 's/    collection->records.lost_until_us = store->forgotten_lost_until_us;//' 'what is lost is not forgotten with its collection'
try collection_store 's/collection->named_at > scope->names_void ? collection/1 ? collection/' 'names do not outlive a change of their database'
try collection_store 's/    if (collection->pins++ == 0)/    if (0)/' 'a collection with a write in flight is not forgotten'
try collection_store 's/        collection_store_unname(store, former);/        ;/' 'one name, one collection'
try collection_store 's/hash_map_count(map) >= store->options.collections_max ||/hash_map_count(map) > 99 ||/; s/hash_map_new(secret, options->collections_max)/hash_map_new(secret, 99)/' 'the table has a bound'

echo "$count mutants"
exit $bad
