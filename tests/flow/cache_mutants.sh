#!/bin/sh
# cache_mutants.sh - can the flow tests of the cache fail?
# See tests/support/mutants.sh; run by `make check-reads`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/proxy/proxy.c flow/test_flow_cache 's/is_gateway \&\& !proxy_state_is_unwatched(proxy)/is_gateway/' 'nothing is kept where nobody notices another Chroma'
mutant src/calls/proxy_state.c flow/test_flow_cache 's/return !proxy->is_supervised \&\& /return /' 'unless it is ours'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/query_validity_holds(&exchange->question.asked, ret_now)/1/' 'what a write crossed is not kept'
mutant src/proxy/proxy.c flow/test_flow_cache 's/loop_now_us(loop) + options->settle_time_us/0/' 'nothing is kept in the first seconds'
mutant src/proxy/proxy.c flow/test_flow_cache 's/writes->is_supervised ? 0 : loop_now_us/loop_now_us/' 'but where we have started Chroma'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/        limit_us = cache->options.trust_us;/        ;/' 'credentials are trusted for a while'
mutant src/calls/kept_head.c flow/test_flow_cache 's/        else if (!is_plain_answer_field(&head->fields\[i\]))/        else if (0)/' 'answers with fields of others pass'
mutant src/calls/kept_head.c flow/test_flow_cache 's/head->status != 200 ||//' 'only a 200 is kept'
mutant src/calls/kept_head.c flow/test_flow_cache 's/            \*ret_number = KEPT_HEAD_BY_ORIGIN;/            ;/' 'what varies by origin says so when it is given'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/(is_gateway || options->max_staleness_us > 0)/1/' 'a sidecar keeps nothing unless it is told'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/cache->is_gateway ? UINT64_MAX : cache->options.max_staleness_us/UINT64_MAX/; s/if (cache->options.max_staleness_us > 0/if (0/' 'answers have a greatest age'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/request_identity_write_ageless(exchange->head, &keys->scratch)/STATUS_OK/' 'identities are apart'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/request_identity_write_ageless/request_identity_write/' 'how old an answer may be says nothing about which it is'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/                                  exchange->head->path,/                                  {0},/' 'what is remembered of a body is so of its path'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/{.data = &family, .size = sizeof family}/{0}/' 'and of the kind of server'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/        meaning_memo_put(keys->memo, text, question->key.digest);/        meaning_memo_put(keys->memo, text, text);/' 'what is remembered is what it means'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/            field_us = wanted_age(field->value);/            ;/' 'who wants an answer of Chroma gets one'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/    memcpy(question->key.digest, query.digest, sizeof query.digest);/    memset(question->key.digest, 0, sizeof query.digest);/' 'questions are apart'
mutant src/proxy/cache_path.c flow/test_flow_cache '/? collection_table_stamp_of(/{N;s/? collection_table_stamp_of(.*now_us)/? 1/;}' 'writes end what is kept'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/    if (cache->is_gateway \&\& !is_gateway)$/    if (0)/; s/    if (!is_wanted)$/    if (0)/' 'who ceases to be a gateway forgets'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/is_lost ? &before : &question->asked/\&question->asked/' 'what held before Chroma was lost counts while it is down'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/cache->options.stale_if_error_us > 0 \&\& !cache->is_gateway/cache->options.stale_if_error_us > 0/' 'a gateway gives nothing old'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/        call_has_hung_read(exchange->proxy))/        0)/' 'a Chroma that hangs is lost, too'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/cache->options.stale_if_error_us > 0 \&\& //' 'nothing old is given unless it is wanted'
mutant src/proxy/cache_path.c flow/test_flow_cache '/upstream_pool_problem(exchange->proxy->pool)\[0\] != /{N;s/.*/    if (true)/;}' 'nothing old is given while Chroma works'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/        return query_cache_pass_over(cache->cache);/        ;/' 'what may be given soon stays'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/        limit_us += allowance_us;/        limit_us = UINT64_MAX;/' 'what is old has a greatest age'
mutant src/chroma/collection_table.c 'flow/test_flow_cache unit/test_collection_table_stamps' '/^struct collection_former collection_table_former/,/^}/s/collection_core_stamp(table, collection, &collection->records, now_us) == 0)/0)/' 'a write that was cut off ends what is old'

mutant src/proxy/cache_keys.c flow/test_flow_cache 's/proxy->is_single &&/1 \&\&/' 'of a distributed Chroma it is not known what a write leaves'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/chroma_family_info(proxy->family)->writes_are_local/1/' 'nor of other families'
mutant src/proxy/cache_keys.c flow/test_flow_cache 's/           record_ids_of_get(query, proxy->secret, ret_ids)/           false/' 'records outlive writes of other ids'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/    return question->quiet != 0 &&.*/    return true;/' 'what is read while others are written is not kept'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/ && question->quiet == quiet_stamp(proxy, question)//' 'nor what others were written across'
mutant src/proxy/cache_path.c flow/test_flow_cache 's/question->quiet != 0 && //' 'nor while they are'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/        !cache_path_is_undisturbed(.*/        false)/' 'nor is it compared'
mutant src/lanes/write_call.c flow/test_flow_cache 's/        if (!write->is_eligible ||$/        if (/' 'a write that is not understood may change any record'
mutant src/lanes/write_call.c flow/test_flow_cache '/^static bool write_call_names_ids/,/^}/s/(write = write_call_member(call, i)) != NULL/i < 1 \&\& (write = write_call_member(call, i)) != NULL/' 'each write of a call is looked at'

mutant src/proxy/cache_path.c flow/test_flow_cache_report 's/    cache->flushes++;/    ;/' 'what was on its way when all was forgotten is not kept'
mutant src/proxy/cache_report.c flow/test_flow_cache_report 's/    collection_table_distrust(.*/    ;/' 'nor what was when its collection was'
mutant src/proxy/cache_path.c flow/test_flow_cache_report 's/    query_cache_clear(cache->cache);/    ;/' 'what is forgotten is gone'
mutant src/proxy/cache_path.c flow/test_flow_cache_report 's/        query_cache_drop_collection(cache->cache, uuid);/        ;/' 'so is what is forgotten of a collection'

mutant src/proxy/cache_verify.c flow/test_flow_construct 's/route.operation != CHROMA_OPERATION_COLLECTION_CREATE/route.info->class == CHROMA_CLASS_READ/' 'descriptions are verified'
mutant src/proxy/cache_verify.c flow/test_flow_construct 's/route.operation != CHROMA_OPERATION_COLLECTION_CREATE/route.info != NULL/' 'what creates is not sent twice'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/if (!query_validity_holds(&verify->question.asked, &now) ||/if (/' 'what a write crossed is not compared'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/ || verify->is_busy || / || /' 'one is verified at a time'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/rng_below(&verify->rng, 1000000) >= share/0/' 'a share is verified'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/    cache_path_flush_collection(.*/    ;/; s/    collection_table_distrust(.*/    ;/' 'what differs is forgotten'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/verify->status < 500/verify->status < 600/' 'an error of Chroma is no answer'
mutant src/proxy/cache_verify.c flow/test_flow_cache_verify 's/    loop_timer_set(verify->deadline,.*/    (void)0;/' 'it ends with its deadline'

mutants_run
