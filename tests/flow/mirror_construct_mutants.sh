#!/bin/sh
# mirror_construct_mutants.sh - can the tests of clients that are made while Chroma is down fail?
# See tests/support/mutants.sh; run by `make check-mirror-construct-mutants`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

path=src/proxy/mirror_path.c
own=src/proxy/mirror_construct.c
flow=flow/test_flow_mirror_construct
unit=unit/test_construct_store
mutant $path $flow 's/ || path_would_hang(exchange)//' "who would hang is answered"
mutant $path $flow 's/call_count_hung(exchange->proxy) > 0/true/' "while it answers it is asked, hanging or not"
mutant $own $flow 's/asked->stamp != 0 \&\& //' "what may have changed meanwhile is not kept"
mutant $own $flow 's/           asked->stamp == construct_stamp(exchange);/           true;/' "what a write crossed is not kept"
mutant $own $flow 's/ \&\& answer->reached == construct->proxy->reached//' "another Chroma may say otherwise"
mutant $own $flow 's/if (asked->kind == CACHE_KIND_FIXED ||/if (construct_question_find_collection(exchange, asked->key.collection) ||/' "what never changes is kept"
mutant $own $flow 's/         !collection_table_describe(/         collection_table_describe(/' "descriptions are learned"
mutant $own $flow 's/    if (change->reach == CHROMA_REACH_TENANTS) {/    if (false) {/' "tenants may be told apart from collections"
mutant $own $flow 's/|| notice->route->info->reach == CHROMA_REACH_NAMES/|| false/' "a creation changes nothing that is there"
mutant $own $flow 's/        else if (construct_is_of_records(notice))/        else/' "writes that leave the description"
mutant $own $flow 's/        else if (construct_is_of_records(notice))/        else if (false)/' "writes that change the description"
mutant $own $flow 's/^    construct_note_change(CONTAINER_OF.*/    (void)observer, (void)notice;/' "what is sent may change it"
mutant $own $flow 's/answer->distrusts == construct->proxy->distrusts/true/' "somebody may say that it has changed"
mutant $own $flow 's/head->is_head || //' "a HEAD is another question"
mutant $own $flow 's/ || head->target.size != head->path.size/ || false/' "a query string is another question"
mutant $path $flow 's/    if (wanted_us == 0)/    if (false)/' "a client can forbid it"
mutant $path $flow 's/^    if (!path_takes_fields(exchange))/    if (false)/' "fields that Chroma goes by"
mutant $path $flow 's/age_us >= options->trust_us/false/' "trust ends"
mutant $path $flow 's/(age_us > options->max_age_us || age_us > wanted_us)/age_us > wanted_us/' "a sidecar's answers age"
mutant $path $flow 's/(age_us > options->max_age_us || age_us > wanted_us)/age_us > options->max_age_us/' "the age that the client takes"
mutant $path $flow 's/is_gateway ? 0 : loop_now_us/true ? 0 : loop_now_us/' "the age is said"
mutant $path $flow 's/!exchange->route.info->is_write \&\& path_takes_probe/path_takes_probe/' "a creation looks for nothing"
mutant src/proxy/proxy.c $flow 's/    if (is_gateway != proxy->is_gateway)/    if (false)/' "another role forgets"
mutant src/proxy/proxy.c $flow 's/    if (options->mode == PROXY_MIRROR_OFF)/    if (false)/' "off forgets"
mutant src/proxy/write_path.c $flow 's/STATUS_NOT_FOUND \&\& mirror_path_stand_in(exchange, NULL))/STATUS_NOT_FOUND \&\& false)/' "a creation that is under way"
mutant src/proxy/write_path.c $flow 's/^    mirror_path_keep(.*/    (void)0;/' "creations are kept"
mutant src/proxy/write_path.c $flow 's/ || mirror_path_answer(exchange, NULL))/)/' "creations are answered"
mutant $own $flow 's/    if (mirror_describe_may(construct->describe, uuid)) {/    if (false) {/' "what a write has ended is asked for anew"
mutant $own $flow 's/        if (change->reach == CHROMA_REACH_COLLECTION)/        if (false)/' "a renaming ends it for good"
mutant $own $flow 's/construct->stamp == construct_stamp_of(construct)/true/' "not what a write crosses"
mutant $own $flow 's/    if (construct->stamp != 0 \&\&/    if (/' "nor what may change yet"
mutant $own $flow 's/ + renew_us;/;/' "not after each write"
mutant $own $flow '/^static void construct_on_known/,/^}/s/^    construct_set_timer(construct);$/    if (outcome != WRITE_OUTCOME_REFUSED) &/' "what was refused may be as it was"
mutant src/copies/mirror_describe.c $flow 's/!entry->is_refused \&\& //' "not what is not wanted"
mutant $own $flow 's/^        construct_store_take_back(.*/        ;/' "what was never sent changes nothing"
mutant $own $flow 's/notice->is_unsent \&\& construct_is_of/construct_is_of/' "what was refused may"
mutant src/proxy/construct_store.c $unit 's/entry->voids -= entry->voids > 0 \&\& store_describes/entry->voids -= store_describes/' "what came later is not taken back"
mutant src/proxy/construct_store.c $unit 's/entry == NULL || entry->voids > 0 ? NULL/entry == NULL ? NULL/' "what is void is not found"
mutant src/proxy/construct_store.c $unit 's/if (answer.reached == reached \&\& answer.distrusts == distrusts)/if (true)/' "another Chroma has said it"
mutant src/proxy/construct_store.c $unit 's/        } else if (is_behind) {/        } else if (false) {/' "one after the other has its turn"
mutant $own $flow 's/    if (head->status == 401 || head->status == 403)/    if (false)/' "who is refused is told nothing"
mutant src/proxy/construct_store.c $flow 's/memcmp(entry->answer.key.identity, identity, sizeof entry->answer.key.identity) == 0/true/' "others are"
mutant src/chroma/collection_change.c $flow 's/notice->dimension != 0 || collection->dimension != 0/notice->dimension != 0/' "an update leaves what it cannot change"
mutant src/proxy/construct_store.c $unit 's/answer->body.size > CONSTRUCT_STORE_BODY_MAX ||/false ||/' "large answers"
mutant src/proxy/construct_store.c $unit 's/hash_map_count(store->entries) >= CONSTRUCT_STORE_ENTRIES_MAX ||/false ||/' "the number is bounded"
mutant src/proxy/construct_store.c $unit 's/ > CONSTRUCT_STORE_BYTES_MAX)/ > SIZE_MAX - 1)/' "bytes are bounded"
mutant src/proxy/construct_store.c $unit 's/    memory_account_release(store->account, size);/    (void)0;/' "memory is given back"
mutant src/proxy/construct_store.c $unit 's/ == CACHE_KIND_FIXED)/ != CACHE_KIND_NONE)/' "fixed answers go alone"
mutant src/proxy/construct_store.c $unit 's/if (uuid == NULL ? entry/if (true ? entry/' "one collection's go alone"

mutants_run
