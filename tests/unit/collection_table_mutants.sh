#!/bin/sh
# collection_table_mutants.sh - can the tests of the collection table and of descriptions fail?
# See tests/support/mutants.sh; run by `make check-collection-table`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

export COLLECTION_TABLE_SEEDS=1500
simulation=unit/test_collection_table_simulation
names="unit/test_collection_table $simulation"
stamps="unit/test_collection_table_stamps $simulation"
descriptions="unit/test_collection_table_descriptions $simulation"

mutant src/chroma/collection_change.c "$stamps" 's/mark->in_flight++;/mark->in_flight++; return;/' 'a write that is sent moves the stamp'
mutant src/chroma/collection_change.c "$stamps" 's/mark->in_flight--;/mark->in_flight--; continue;/' 'an outcome moves the stamp, an unknown one stays'
mutant src/chroma/collection_change.c "$stamps" 's/mark->unknown += is_unknown;//' 'an unknown outcome is no outcome'
mutant src/chroma/collection_change.c "$stamps" 's/mark->unknown--;/mark->unknown--; continue;/' 'what is lost may yet be applied'
mutant src/chroma/collection_change.c "$names" 's/is_unknown || is_crossed(table, notice)/is_unknown/' 'a deletion that crosses a renaming reaches all'
mutant src/chroma/collection_change.c "$names" 's/is_unknown || is_crossed(table, notice)/is_crossed(table, notice)/' 'an unknown creation reaches all in its database'
mutant src/chroma/collection_change.c "$names" '/^static void note_settled.*{/,/^}/s/void_names(table, notice);//; /lost_until_us = id_stamps_later/,/let_go/s/    void_names(table, notice);//' 'names do not outlive an unknown outcome'
mutant src/chroma/collection_core.c "$stamps" 's/collection_store_is_quiet(\&found->names, now_us)/1/' 'a name is nothing while names of its database change'
mutant src/chroma/collection_core.c "$stamps" 's/           collection_store_is_quiet(\&table->names, now_us)/           1/' 'a name is nothing while everything may change'
mutant src/chroma/collection_core.c "$stamps" 's/collection->named_at <= table->names_void/0/' 'names do not outlive a change of everything'
mutant src/chroma/collection_core.c "$stamps" 's/!collection_store_is_quiet(wide, now_us)/0/' 'a change of a database reaches its collections'
mutant src/chroma/collection_core.c "$stamps" 's/id_stamps_later(wide->stamp, table->records.stamp)/table->records.stamp/; s/id_stamps_later(wide_mark(table, collection)->stamp, table->records.stamp)/table->records.stamp/' 'a change of a database moves the stamps in it'
mutant src/chroma/collection_core.c "$stamps" 's/id_stamps_later(wide->stamp, table->records.stamp)/wide->stamp/; s/id_stamps_later(wide_mark(table, collection)->stamp, table->records.stamp)/wide_mark(table, collection)->stamp/' 'a change of everything moves all stamps'
mutant src/chroma/collection_change.c "$stamps" 's/begin_mark(table, notice, &table->any_records);//' 'who is not known to be elsewhere may be in the database'
mutant src/chroma/collection_core.c "$stamps" 's/collection->scope == NULL ? &table->any_records/collection->scope == NULL ? \&table->records/' 'a collection without a known database is in any'
mutant src/chroma/collection_core.c "$names" 's/names_stamp == collection_core_breaks_stamp(table, scope, now_us)/1/' 'an answer that crossed a change teaches no name'
mutant src/chroma/collection_core.c "$names" 's/names_stamp != 0 \&\&//; s/scope == asked \&\&//' 'an answer asked for during a change teaches no name'
mutant src/chroma/collection_core.c "$names" 's/scope == NULL || !collection_store_is_quiet(&scope->breaks, now_us)/scope == NULL/' 'a question during a change is none'
mutant src/chroma/collection_change.c "$names" 's/    if (notice->incarnation != table->incarnation)/    if (0)/' 'an outcome of the former Chroma teaches nothing'
mutant src/chroma/collection_table.c "$names" 's/question.incarnation != table->incarnation ||//' 'an answer of the former Chroma teaches nothing'
mutant src/chroma/collection_table.c "$names" 's/        collection->dimension = 0;//' 'dimensions do not outlive an incarnation'
mutant src/chroma/collection_table.c "$names" 's/        marks\[i\]->stamp = table->incarnation;/;/' 'stamps do not outlive an incarnation'
mutant src/chroma/collection_table.c "$names" 's/table->incarnation = table->names_void =/table->incarnation =/' 'names do not outlive an incarnation'
mutant src/chroma/collection_change.c "$names" 's/        collection_store_unname(&table->store, collection);//' 'a renamed collection loses its name'
mutant src/chroma/collection_change.c "$stamps" 's/|| !has_own_scope(notice)/|| 0/' 'a path may name another database than the one it changes'
mutant src/chroma/collection_change.c "$stamps" 's/    } else if (route->collection.size > 0) {/    } else if (0) {/' 'a UUID that we cannot read may be one'
mutant src/chroma/collection_table.c "$stamps" 's/id_stamps_later(scope->names_void, table->names_void) \&\&/0 \&\&/' 'existence does not outlive a deletion of all'
mutant src/chroma/collection_table.c "$stamps" 's/scope->breaks.in_flight + scope->breaks.unknown == 0/1/' 'existence is not told while a deletion is under way'
mutant src/chroma/collection_change.c "$names" 's/            collection->existence = COLLECTION_GONE;/            ;/' 'a deleted collection is gone'
mutant src/chroma/collection_change.c "$names" 's/if (outcome == WRITE_OUTCOME_APPLIED)/if (outcome != WRITE_OUTCOME_UNKNOWN)/' 'a refusal teaches nothing'
mutant src/chroma/collection_change.c "$names" 's/ && operation != CHROMA_OPERATION_UPDATE//' 'an update teaches no dimension'
mutant src/chroma/collection_change.c "$stamps" 's/            mark->lost_until_us = UINT64_MAX;/            ;/' 'a function writes whenever it likes'
mutant src/chroma/collection_store.c "$stamps" 's/collection->records.stamp = collection_store_tick(store);/collection->records.stamp = 1;/' 'a forgotten collection comes back with another stamp'
mutant src/chroma/collection_store.c "$stamps" 's/    collection->records.lost_until_us = store->forgotten_lost_until_us;//' 'what is lost is not forgotten with its collection'
mutant src/chroma/collection_store.c "$stamps" 's/collection->named_at > scope->names_void ? collection/1 ? collection/' 'names do not outlive a change of their database'
mutant src/chroma/collection_store.c "$stamps" 's/    if (collection->pins++ == 0)/    if (0)/' 'a collection with a write in flight is not forgotten'
mutant src/chroma/collection_store.c "$names" 's/        collection_store_unname(store, former);/        ;/' 'one name, one collection'
mutant src/chroma/collection_store.c "$stamps" 's/hash_map_count(map) >= store->options.collections_max ||/hash_map_count(map) > 99 ||/; s/hash_map_new(secret, options->collections_max)/hash_map_new(secret, 99)/' 'the table has a bound'

mutant src/chroma/collection_table.c "$descriptions" 's/collection->catch_up == COLLECTION_LAGS ||//' 'what was lost may change a description with the next write'
mutant src/chroma/collection_table.c "$descriptions" 's/(collection->catch_up == COLLECTION_MAY_LAG && !collection->was_read)/0/' 'what a former process left changes it with the first read'
mutant src/chroma/collection_table.c "$descriptions" 's/collection->catch_up != COLLECTION_CAUGHT_UP/0/' 'a first write may bring what was left with it'
mutant src/chroma/collection_change.c "$descriptions" 's/if (!notice->leaves_description)/if (0)/' 'a write may change the description'
mutant src/chroma/collection_change.c "$descriptions" 's/^        begin_mark(table, notice, &notice->collection->description);//' 'a renaming changes the description'
mutant src/chroma/collection_change.c "$names" 's/^        note_lag(table, notice);//' 'a write of unknown outcome may be applied with the next'
mutant src/chroma/collection_change.c "$descriptions" 's/(notice->dimension != 0 || collection->dimension != 0)/1/' 'without a dimension nothing is applied'
mutant src/chroma/collection_change.c "$descriptions" 's/notice->dimension != 0 || collection->dimension != 0/notice->dimension != 0/' 'where there is a dimension an update brings what was left'
mutant src/chroma/collection_change.c "$descriptions" 's/notice->sent_at > collection->lags_since/1/' 'only who is sent after the lost one brings it'
mutant src/chroma/collection_table.c "$descriptions" 's/            collection->catch_up = COLLECTION_MAY_LAG;/            ;/' 'another process may have been left something'
mutant src/chroma/collection_table.c "$descriptions" 's/        collection->was_read = false;//' 'another process has read nothing'
mutant src/chroma/collection_table.c "$descriptions" 's/memcmp(description.uuid, uuid, sizeof description.uuid) == 0/1/' 'a description is of its collection'
mutant src/chroma/collection_table.c "$descriptions" 's/    case CHROMA_OPERATION_DELETE:/    case CHROMA_OPERATION_CONDITIONAL_COMMIT:/' 'what is not looked into may change it'
mutant src/chroma/collection_change.c "$stamps" '/^    case CHROMA_REACH_TENANTS:/,/break/s/begin_mark.*;/;/' 'tenants change by their writes'
mutant src/chroma/collection_table.c "$descriptions" 's/^        collection_store_undescribe(.*//' 'another incarnation has its own schema'
mutant src/chroma/collection_store.c "$descriptions" 's/    collection->description.stamp = collection_store_tick(store);/    collection->description.stamp = 1;/' 'a forgotten description comes back with another stamp'
mutant src/chroma/collection_store.c "$descriptions" 's/    collection->description.lost_until_us = store->forgotten_lost_until_us;//' 'what is lost is not forgotten with its description'
mutant src/chroma/collection_store.c "$descriptions" 's/store->forgotten_lags ? COLLECTION_LAGS : COLLECTION_MAY_LAG/COLLECTION_MAY_LAG/' 'what may come yet is not forgotten with its collection'
mutant src/chroma/collection_store.c "$descriptions" 's/        collection_store_clear_lost(&collection->description);//' 'what ended with its Chroma is not waited for'
mutant src/chroma/collection_description.c unit/test_collection_description 's/!description->has_dimension && records->encoding != CHROMA_ENCODING_NONE/0/' 'vectors fix the dimension'
mutant src/chroma/collection_description.c unit/test_collection_description 's/description->schema == COLLECTION_SCHEMA_UNKNOWN ||/0 ||/' 'a schema that is not understood may change'
mutant src/chroma/collection_description.c unit/test_collection_description 's/|| used->is_partial/|| 0/' 'what was not collected may be new'
mutant src/chroma/collection_description.c unit/test_collection_description 's/    text\[0\] = (char)type;/    text[0] = 0;/' 'types are apart'
mutant src/chroma/collection_description.c unit/test_collection_description 's/!has_pair(description, pair_of(key, name, types\[k\].type))/0/' 'a new key is new'
mutant src/chroma/collection_description.c unit/test_collection_description 's/           !reading.changes_by_itself;/           1;/' 'who changes it by itself is not described'
mutant src/chroma/collection_description.c unit/test_collection_description 's/bytes_equal(value, BYTES_LITERAL("0"))/1/' 'a counter that counts says so'

mutant src/chroma/collection_store.c unit/test_collection_table_stamps 's/ || store->bytes + bytes > store->options.bytes_max \/ 2)/)/' 'who asks by id takes no more than half of the memory'
mutant src/chroma/collection_table.c unit/test_collection_table_stamps 's/        others.in_flight -= .*/        ;/' 'what is followed does not hold others back'
mutant src/chroma/collection_table.c "$stamps" 's/        id_stamps_get(collection->by_id, ids,$/        id_stamps_get(NULL, ids,/' 'what held of a record when its Chroma was lost is known'

mutants_run
