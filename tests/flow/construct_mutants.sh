#!/bin/sh
# construct_mutants.sh - can the flow tests of what clients ask when they are made fail?
# See tests/support/mutants.sh; run by `make check-reads`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/proxy/construct_question.c flow/test_flow_construct 's/proxy->is_gateway ? construct_question_shape/1 ? construct_question_shape/' 'a sidecar asks always'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/(!proxy->is_single ||/(0 ||/' 'a distributed Chroma changes descriptions by itself'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/!chroma_family_info(proxy->family)->create_may_read/0/' 'old servers overwrite on creation'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/return has_body ? CACHE_KIND_NONE/return 0 ? CACHE_KIND_NONE/' 'a body where none belongs is not understood'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/if (has_name || !take_name/if (!take_name/' 'a name that is said twice is none'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/if (has_wish || !json_scan_value/if (!json_scan_value/; s/!bytes_equal(value, BYTES_LITERAL("true"))/0/' 'only get_or_create may read'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/json_scan_end(&scan) && has_name && has_wish/json_scan_end(\&scan) \&\& has_name/' 'a creation may create'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/                            exchange->head->path,/                            BYTES_INIT("x"),/' 'paths are apart'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/                            byte_buffer_bytes(&exchange->body)};/                            BYTES_INIT("x")};/' 'bodies are apart'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/collection_table_description_stamp(.*/1; (void)(uuid, now_us);/' 'descriptions may change'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/collection_table_tenants_stamp(.*now_us)/1/' 'tenants and databases may change'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/return exchange->question.kind != CACHE_KIND_DESCRIPTION ||/return 1 ||/' 'what is kept is what writes are held against'
mutant src/proxy/cache_path.c flow/test_flow_construct 's/query_validity_holds(&exchange->question.asked, ret_now)/1/' 'what a write crossed is not kept'
mutant src/proxy/cache_path.c flow/test_flow_construct 's/        limit_us = cache->options.trust_us;/        ;/' 'credentials are trusted for a while'
mutant src/calls/kept_head.c flow/test_flow_construct 's/head->status != 200 ||//' 'only a 200 is kept'
mutant src/lanes/write_call.c flow/test_flow_construct 's/    call->notice.leaves_description = .*/    call->notice.leaves_description = true;/' 'a write may change a description'
mutant src/lanes/write_call.c flow/test_flow_construct 's/    size_t count = call->lone != NULL ? 1 : coalescer_batch_count(call->batch);/    size_t count = 1;/' 'each write of a batch may'
mutant src/lanes/write_call.c flow/test_flow_construct 's/write->is_eligible ? &write->records : NULL/\&write->records/' 'what the scanner refused is not looked at'
mutant src/proxy/pass_path.c flow/test_flow_construct 's/        collection_table_note_read(.*/        ;/' 'the first read brings what was left'
mutant src/proxy/construct_question.c flow/test_flow_construct 's/           collection_table_standing_uuid(/           collection_table_uuid(/' 'a creation under way hides no name that is known'
mutant src/chroma/collection_table.c 'unit/test_collection_table unit/test_collection_table_simulation' '/^bool collection_table_standing_uuid/,/^}/s/collection_core_breaks_stamp(table, found, now_us) != 0/found != NULL/' 'a deletion under way does'
mutant src/proxy/cache_join.c flow/test_flow_construct 's/    return exchange->route.info->is_write || call_is_sent/    return call_is_sent/' 'after a write nobody waits for a creation begun before it'
mutant src/proxy/cache_path.c flow/test_flow_construct 's/    if (may_keep(exchange, \&now) \&\& body.size <= /    if ((may_keep(exchange, \&now) || 1) \&\& body.size <= /' 'who waits is not given what a write crossed'
mutant src/proxy/cache_path.c flow/test_flow_construct 's/        cache_join_answer(exchange, kept_head(exchange->question.head), body);/        ;/' 'all that wait for a creation get its answer'
mutant src/proxy/cache_path.c flow/test_flow_construct 's/    } else if (exchange->question.join != NULL) {/    } else if (0) {/' 'for a while nobody waits for a creation that was not for others'
mutant src/proxy/write_path.c flow/test_flow_construct 's/^    cache_path_leave(exchange);/    ;/' 'if who creates leaves one of the others creates'
mutant src/proxy/write_path.c flow/test_flow_construct 's/    if (!timeout_queue_is_running(&exchange->deadline)).*/    if (true)/' 'who creates instead has the rest of its time'
mutant src/proxy/cache_join.c flow/test_flow_construct 's/ \&\& !exchange->route.info->is_write)/)/' 'the limit of waits is none for a creation'

mutants_run
