#!/bin/sh
# reads_mutants.sh - can the tests of reads/ and of the keys of queries fail?
# See tests/support/mutants.sh; run by `make check-reads`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/json/json_floats.c unit/test_json_floats 's/<= 2 \* margin/> UINT64_MAX - 1/' 'near the middle of two floats nothing is converted'
mutant src/json/json_floats.c unit/test_json_floats 's/UNLIKELY(value > largest)/0/' 'floats that may overflow are left'
mutant src/json/json_floats.c unit/test_json_floats 's/(count > 1 \&\& \*start == .0.)/0/' 'no number begins with two digits of which one is 0'
mutant src/json/json_floats.c unit/test_json_floats 's/> DIGITS_MAX) \&\&/> 2000) \&\&/' 'digits that do not fit are not dropped'
mutant src/json/json_floats.c unit/test_json_floats 's/^        \*ret_float = 0;/        *ret_float = parts.is_negative ? -0.0F : 0;/' 'minus zero is zero'
mutant src/json/json_floats.c unit/test_json_floats 's/parts.digits > integers_max ||/0 ||/' 'what is rounded twice is not exact'
mutant src/json/json_floats.c unit/test_json_floats 's/EXACT_POWER_MAX = 22/EXACT_POWER_MAX = 23/' 'a power that is rounded is not exact'
mutant src/json/json_floats.c unit/test_json_floats 's/(parts.digits == 0 \&\& parts.is_negative)/0/' 'minus zero is not exact'
mutant src/json/json_floats.c unit/test_json_floats 's/at - start == 2/at - start == 5/' 'exponents are short'

mutant src/chroma/chroma_query.c unit/test_chroma_query 's/put_word(parse, MARK_VECTOR_END);/;/' 'vectors end'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/put_word(parse, includes\[i\].include);/;/' 'what is included counts'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/    put_word(parse, (uint32_t)bytes.size);/    ;/' 'texts have a size'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/put_sized(parse, MARK_LITERAL, parse->route->tenant);/;/' 'tenants are apart'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/put_sized(parse, MARK_LITERAL, parse->route->database);/;/' 'databases are apart'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/if (parse->seen\[field\])/if (0)/' 'no field comes twice'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/ || !number.is_safe_float/ || 0/' 'floats are finite'
mutant src/chroma/chroma_query.c unit/test_chroma_query '/^static bool take_filter_object/,/^}/s/put_word(parse, MARK_END);/;/' 'objects in filters end'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/put_long(parse, MARK_DOUBLE, bits)/put_long(parse, MARK_INTEGER, (uint64_t)value)/' 'integers and floats are apart in filters'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/integer != 0 || !is_negative/1/' 'minus zero is apart in filters'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/if (!json_scan_end(&parse->scan))/if (0)/' 'nothing stands behind the body'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/        put_string(parse, key);/        ;/' 'keys of filters count'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/^    put_word(parse, MARK_ARRAY);/    ;/' 'arrays in filters count'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/keyed_digest_take(&parse->digest, parse->words, WORDS_MAX);/;/' 'long vectors count as a whole'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/null_is_default || !parse->is_null\[field\]/1/' 'null is apart where servers may differ'
mutant src/chroma/chroma_query.c unit/test_chroma_query 's/        mark = MARK_LITERAL;/        text.size = 1;/' 'long texts with escapes count as a whole'

mutant src/reads/chunk_pool.c unit/test_chunk_pool 's/!memory_account_has_room(pool->account, CHUNK_POOL_BLOCK_SIZE)/0/' 'the account bounds the pool'
mutant src/reads/chunk_pool.c unit/test_chunk_pool 's/pool->bytes_max - pool->bytes < CHUNK_POOL_BLOCK_SIZE ||//' 'the pool has a bound'

mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/if (!query_validity_holds(&entry->validity, now))/if (0)/' 'what may have changed is not answered'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/memcmp(&(\*place)->key, key, sizeof \*key)/memcmp((*place)->key.digest, key->digest, 16)/' 'keys are compared in full'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/if (now_us - entry->stored_us > max_age_us)/if (0)/' 'answers have an age'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/    if (\*place != NULL)/    if (0)/' 'a new answer takes the place of the old one'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/if (size > cache->options.object_bytes_max)/if (0)/' 'what is too large is not kept'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/if (!entry->was_hit ||/if (1 ||/' 'what is asked for again stays'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/    if (share->hand == &entry->order)/    if (0)/' 'the hand does not stay on what is gone'
mutant src/reads/query_cache.c 'unit/test_query_cache unit/test_reads_simulation' 's/    place = find_kept(cache, key);/    ;/' 'evictions may change the bucket'
mutant src/reads/query_cache.c unit/test_query_cache 's/        if (cache->shares\[i\].chunk_count > most) {/        if (0) {/' 'who holds nothing gets room from who holds most'
mutant src/reads/query_cache.c unit/test_query_cache 's/largest_share(cache, chunk_count, service))/\&cache->shares[1])/' 'of those who hold something, the one that holds most gives'
mutant src/reads/query_cache.c unit/test_query_cache 's/    share->chunk_count -= chunks_of(entry->size);/    ;/' 'what goes is held no more'

mutant src/reads/single_flight.c 'unit/test_single_flight unit/test_reads_simulation' 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/joins_sent/' 'who asks after a write does not join what was sent before'
mutant src/reads/single_flight.c 'unit/test_single_flight unit/test_reads_simulation' 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/query_validity_holds(\&flight->asked, now)/' 'where others write nobody joins what was sent'
mutant src/reads/single_flight.c unit/test_reads_simulation 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/joins_sent/' 'the simulation: who asks after a write does not join what was sent before'
mutant src/reads/single_flight.c unit/test_reads_simulation 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/query_validity_holds(\&flight->asked, now)/' 'the simulation: where others write nobody joins what was sent'
mutant src/reads/single_flight.c unit/test_single_flight 's/!flight->table->options.is_sent(flight->leader) ||/0 ||/' 'what was not sent yet is joined whatever was written'
mutant src/reads/single_flight.c unit/test_single_flight 's/        member->flight->asked = \*now;/        ;/' 'who asks instead is joined at what holds then'
mutant src/reads/single_flight.c unit/test_single_flight 's/flight->waiter_count == table->options.waiters_max ||/0 ||/' 'so many wait and no more'
mutant src/reads/single_flight.c unit/test_single_flight 's/table->flight_count >= table->options.flights_max/0/' 'so many lead and no more'
mutant src/reads/single_flight.c unit/test_single_flight 's/    if (former != NULL)/    if (0)/' 'a new flight takes the place of the former one'
mutant src/reads/single_flight.c unit/test_single_flight 's/        member->is_apart = end == FLIGHT_APART;/        ;/' 'who was told to ask for itself joins nobody'
mutant src/reads/single_flight.c unit/test_single_flight 's/FAILURES_MAX = 2/FAILURES_MAX = 3/' 'what failed twice each asks for itself'
mutant src/reads/single_flight.c unit/test_single_flight 's/    add_mark(table, question, now_us);/    ;/' 'an answer that is not for others is not waited for'
mutant src/reads/single_flight.c unit/test_single_flight 's/        if (table->marks\[i\].until_us > now_us \&\&/        if (/' 'a mark ends'

mutant src/reads/query_cache.c unit/test_query_cache 's/    charge_owners(cache, entry, false);/    ;/' 'what goes is held by nobody'
mutant src/reads/query_cache.c unit/test_query_cache 's/if (memcmp((\*place)->key.collection, collection,.*/if (1)/' 'one collection is dropped'
mutant src/reads/cache_usage.c unit/test_cache_usage 's/quiet->number).entries > 0)/quiet->number).entries > 9)/' 'a number with answers is taken by nobody'
mutant src/reads/cache_usage.c unit/test_cache_usage 's/        list_push_back(&usage->used, &collection->node);/        list_push_front(\&usage->used, \&collection->node);/' 'the quietest makes room'
mutant src/reads/cache_usage.c unit/test_cache_usage 's/        usage->counts\[QUERY_CACHE_COLLECTION\]\[quiet->number\] = .*/        ;/' 'who comes begins at zero'

mutants_run
