#!/bin/sh
# collection_table_mutants.sh - can the tests of the collection table fail?
# See tests/support/mutants.sh; run by `make check-collection-table`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

export COLLECTION_TABLE_SEEDS=1500
programs="unit/test_collection_table unit/test_collection_table_simulation"

mutant src/chroma/collection_table.c "$programs" 's/mark->in_flight++;/mark->in_flight++; return;/' 'a write that is sent moves the stamp'
mutant src/chroma/collection_table.c "$programs" 's/mark->in_flight--;/mark->in_flight--; continue;/' 'an outcome moves the stamp, an unknown one stays'
mutant src/chroma/collection_table.c "$programs" 's/mark->unknown += is_unknown;//' 'an unknown outcome is no outcome'
mutant src/chroma/collection_table.c "$programs" 's/mark->unknown--;/mark->unknown--; continue;/' 'what is lost may yet be applied'
mutant src/chroma/collection_table.c "$programs" 's/is_unknown || is_crossed(table, notice)/is_unknown/' 'a deletion that crosses a renaming reaches all'
mutant src/chroma/collection_table.c "$programs" 's/is_unknown || is_crossed(table, notice)/is_crossed(table, notice)/' 'an unknown creation reaches all in its database'
mutant src/chroma/collection_table.c "$programs" '/^static void note_settled.*{/,/^}/s/void_names(table, notice);//; /lost_until_us = larger/,/let_go/s/    void_names(table, notice);//' 'names do not outlive an unknown outcome'
mutant src/chroma/collection_table.c "$programs" 's/!collection_store_is_quiet(&found->names, now_us)/0/' 'a name is nothing while names of its database change'
mutant src/chroma/collection_table.c "$programs" 's/!collection_store_is_quiet(&table->names, now_us)/0/' 'a name is nothing while everything may change'
mutant src/chroma/collection_table.c "$programs" 's/collection->named_at <= table->names_void/0/' 'names do not outlive a change of everything'
mutant src/chroma/collection_table.c "$programs" 's/!collection_store_is_quiet(wide, now_us)/0/' 'a change of a database reaches its collections'
mutant src/chroma/collection_table.c "$programs" 's/larger(wide->stamp, table->records.stamp)/table->records.stamp/' 'a change of a database moves the stamps in it'
mutant src/chroma/collection_table.c "$programs" 's/larger(wide->stamp, table->records.stamp)/wide->stamp/' 'a change of everything moves all stamps'
mutant src/chroma/collection_table.c "$programs" 's/begin_mark(table, notice, &table->any_records);//' 'who is not known to be elsewhere may be in the database'
mutant src/chroma/collection_table.c "$programs" 's/collection->scope == NULL ? &table->any_records/collection->scope == NULL ? \&table->records/' 'a collection without a known database is in any'
mutant src/chroma/collection_table.c "$programs" 's/names_stamp == breaks_stamp(table, scope, now_us)/1/' 'an answer that crossed a change teaches no name'
mutant src/chroma/collection_table.c "$programs" 's/names_stamp != 0 \&\&//; s/scope == asked \&\&//' 'an answer asked for during a change teaches no name'
mutant src/chroma/collection_table.c "$programs" 's/scope == NULL || !collection_store_is_quiet(&scope->breaks, now_us)/scope == NULL/' 'a question during a change is none'
mutant src/chroma/collection_table.c "$programs" 's/    if (notice->incarnation != table->incarnation)/    if (0)/' 'an outcome of the former Chroma teaches nothing'
mutant src/chroma/collection_table.c "$programs" 's/question.incarnation != table->incarnation ||//' 'an answer of the former Chroma teaches nothing'
mutant src/chroma/collection_table.c "$programs" 's/        collection->dimension = 0;//' 'dimensions do not outlive an incarnation'
mutant src/chroma/collection_table.c "$programs" 's/        marks\[i\]->stamp = table->incarnation;/;/' 'stamps do not outlive an incarnation'
mutant src/chroma/collection_table.c "$programs" 's/table->incarnation = table->names_void =/table->incarnation =/' 'names do not outlive an incarnation'
mutant src/chroma/collection_table.c "$programs" 's/        collection_store_unname(&table->store, collection);//' 'a renamed collection loses its name'
mutant src/chroma/collection_table.c "$programs" 's/|| !has_own_scope(notice)/|| 0/' 'a path may name another database than the one it changes'
mutant src/chroma/collection_table.c "$programs" 's/    } else if (route->collection.size > 0) {/    } else if (0) {/' 'a UUID that we cannot read may be one'
mutant src/chroma/collection_table.c "$programs" 's/collection->seen_at > larger(scope->names_void, table->names_void)/1/' 'existence does not outlive a deletion of all'
mutant src/chroma/collection_table.c "$programs" 's/scope->breaks.in_flight + scope->breaks.unknown == 0/1/' 'existence is not told while a deletion is under way'
mutant src/chroma/collection_table.c "$programs" 's/            collection->existence = COLLECTION_GONE;/            ;/' 'a deleted collection is gone'
mutant src/chroma/collection_table.c "$programs" 's/if (outcome == WRITE_OUTCOME_APPLIED)/if (outcome != WRITE_OUTCOME_UNKNOWN)/' 'a refusal teaches nothing'
mutant src/chroma/collection_table.c "$programs" 's/operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT/notice->dimension != 0/' 'an update teaches no dimension'
mutant src/chroma/collection_table.c "$programs" 's/            mark->lost_until_us = UINT64_MAX;/            ;/' 'a function writes whenever it likes'
mutant src/chroma/collection_store.c "$programs" 's/collection->records.stamp = collection_store_tick(store);/collection->records.stamp = 1;/' 'a forgotten collection comes back with another stamp'
mutant src/chroma/collection_store.c "$programs" 's/    collection->records.lost_until_us = store->forgotten_lost_until_us;//' 'what is lost is not forgotten with its collection'
mutant src/chroma/collection_store.c "$programs" 's/collection->named_at > scope->names_void ? collection/1 ? collection/' 'names do not outlive a change of their database'
mutant src/chroma/collection_store.c "$programs" 's/    if (collection->pins++ == 0)/    if (0)/' 'a collection with a write in flight is not forgotten'
mutant src/chroma/collection_store.c "$programs" 's/        collection_store_unname(store, former);/        ;/' 'one name, one collection'
mutant src/chroma/collection_store.c "$programs" 's/hash_map_count(map) >= store->options.collections_max ||/hash_map_count(map) > 99 ||/; s/hash_map_new(secret, options->collections_max)/hash_map_new(secret, 99)/' 'the table has a bound'

mutants_run
