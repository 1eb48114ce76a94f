#!/bin/sh
# mirror_path_mutants.sh - can the tests of answers from copies fail?
# See tests/support/mutants.sh; run by `make check-mirror-path-mutants`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

path=src/proxy/mirror_path.c
flow=flow/test_flow_mirror_path
fallback=flow/test_flow_mirror_path_fallback
hedge=flow/test_flow_mirror_path_hedge
mutant $path $fallback 's/ : call_has_hung_read(exchange->proxy);/ : false;/' "not each read waits for its deadline at a Chroma that hangs"
mutant src/calls/call.c $fallback 's/ \&\& !call->request.streams_body \&\&/ \&\&/' "a client that is slow is no Chroma that hangs"
mutant $path $fallback 's/    if (!auth_recheck_holds(exchange))/    if (false)/;s/answer->reason != NULL || !auth_recheck_holds(exchange)/answer->reason != NULL/' "a revoked key gets no copy"
mutant $path $fallback 's/exchange->auth.key != NULL \&\& exchange->auth.rules->is_required/exchange->auth.key != NULL/' "a key that nobody needs opens no copy"
mutant $path $fallback 's/answer->reason != NULL || !auth_recheck_holds(exchange)/answer->reason != NULL/' "nor the one that was being made for it"
mutant $path $flow 's/else if (question.age_max_us == 0)/else if (false)/' "a client can forbid it"
mutant $path $flow 's/else if (!path_takes_fields(exchange))/else if (false)/' "fields that Chroma goes by"
mutant $path $flow 's/else if (!path_may_have(exchange))/else if (false)/' "trust"
mutant src/lanes/write_call.c $fallback 's/        call_note_answer(&call->call, status);/        ;/' 'who takes a write is another one'
mutant $path $flow 's/is_plain ? UINT64_MAX : trust_us/UINT64_MAX/' "trust ends"
mutant $path $fallback 's/(is_plain \&\& mirror_names_was_read/(false \&\& mirror_names_was_read/' "a copy was read without credentials"
mutant $path $flow 's/(is_plain \&\& mirror_names_was_read/(mirror_names_was_read/' "that says nothing of those with credentials"
mutant src/copies/mirror_names.c $flow 's/bytes_equal(bytes_of(entry->tenant), route->tenant)/true/' "nor of other paths"
mutant $path $flow 's/parts\[\] = {BYTES_LITERAL("\\n"), exchange->route.tenant/parts[] = {BYTES_LITERAL("\\n"), exchange->route.database/' "trust by the path"
mutant $path $fallback 's/mirror_trust_clear(path->trust);/(void)0;/' "another Chroma trusts anew"
mutant $path $flow 's/    mirror_keeper_note_answer(.*/    (void)0;/' "no reader sees the new and then the old"
mutant $path $flow 's/    if (is_success || head->status == 500)/    if (is_success)/' "nor that something is gone and then that it is there"
mutant src/calls/call.c $fallback 's/call->connected_us > call->proxy->lost_us/1/' 'who was asked before it was lost is no other one'
mutant src/proxy/mirror_path.c $flow 's/head->status == 401 || head->status == 403/0/' 'who is refused is trusted no more'
mutant src/proxy/mirror_path.c $flow 's/^    if (is_plain)$/    if (0)/' 'if nobody is served the copy goes'
mutant src/proxy/mirror_path.c $fallback 's/    call_note_answer(call, head->status); .*/    ;/' 'who answers while it is lost is another one'
mutant src/proxy/mirror_path.c $fallback 's/^    call_note_answer(call, head->status); .*/    if (exchange->route.has_uuid) call_note_answer(call, head->status);/' 'whatever it was asked'
mutant src/calls/call.c $fallback 's/    if (status < 500 \&\& call->proxy->is_lost/    if (status < 300 \&\& call->proxy->is_lost/' 'and whatever it said'
mutant $path $fallback 's/return proxy->is_lost ||/return/;s/upstream_pool_problem(proxy->pool)\[0\] != .*/false ||/;s/turn_queue_is_held(proxy->turns) ||/false ||/' "down is known"
mutant $path $fallback 's/    path->probe_us = now_us + probe_every_us;/    path->probe_us = UINT64_MAX;/;s/if (now_us < path->probe_us)/if (path->probe_us == 0 || now_us < path->probe_us)/' "it is looked whether it is back"
mutant $path $flow 's/if (mirror_job_waits(ticket->job))/if (false)/' "the wait ends"
mutant $path $hedge 's/mode == MIRROR_PATH_HEDGE \&\& path_begin(.*/false))/' "a hedge becomes a fallback"
mutant $path $hedge 's/^    path_stop(&exchange->mirror);$/    (void)0;/' "Chroma's answer ends the question"
mutant src/copies/mirror_job.c $flow 's/running >= MIRROR_JOBS_MAX/running >= 100000/' "the queue is bounded"
mutant src/copies/mirror_job.c $fallback 's/job_is_old(job, question)/false/' "the age that the client takes"
mutant src/copies/mirror_job.c $hedge 's/^    if (job->on_answer == NULL)/    if (false)/' "who has left is told nothing"
mutant src/copies/mirror_job.c $flow 's/^    mirror_hold_release(&job->hold);/    (void)0;/' "holds are released"
mutant src/proxy/pass_path.c $fallback 's/!mirror_path_stand_in(exchange, pass_fail))/true)/' "failures"
mutant src/proxy/pass_path.c $fallback 's/!mirror_path_stand_in(exchange, pass_miss_deadline)/true/' "deadlines"
mutant src/proxy/pass_path.c $fallback 's/exchange->state == EXCHANGE_ANSWERING \&\& !exchange->pass.is_held/false/' "half an answer is not mended"
mutant src/proxy/pass_path.c $fallback 's/        mirror_path_hedge(exchange);/        (void)0;/' "hedging"
mutant src/calls/reply.c $flow 's/status < 400 ? 1 : 2/1/' "an error has the field that Chroma gives it"
mutant src/calls/reply.c $flow 's/status < 400 ? 1 : 2/2/' "and nothing else has it"
mutant src/proxy/mirror_delay.c unit/test_mirror_delay 's/up = 0.95, down = 0.05/up = 0.5, down = 0.5/' "the 95th percentile"
mutant src/proxy/mirror_trust.c unit/test_mirror_trust 's/<= within_us/<= UINT64_MAX/' "trust has an end"
mutant src/proxy/mirror_trust.c unit/test_mirror_trust 's/        list_remove(&entry->node);/        (void)0;/' "the oldest is the one noted longest ago"

compare=src/proxy/mirror_compare.c
mutant $compare $hedge 's/loop_now_us(exchange->proxy->loop) >= compare->next_us/true/' "a sample is compared"
mutant $compare $hedge 's/return compare != NULL \&\& !compare->is_busy \&\&/return compare != NULL \&\&/' "one at a time"
mutant $compare $hedge 's/exchange->mirror.stamp != 0 \&\&/true \&\&/' "not while a write is under way"
mutant $compare $hedge 's/} else if (stamp != compare->stamp) {/} else if (false) {/' "nor if one came in between"
mutant $compare $hedge 's/} else if (compare->is_too_large) {/} else if (false) {/' "what is not whole is not compared"
mutant $compare $hedge 's/byte_buffer_append(buffer, data, MIRROR_COMPARE_ANSWER_MAX)/byte_buffer_append(buffer, data, SIZE_MAX)/' "a long answer is not held"
mutant $compare $hedge 's/^    call_cancel(&compare->call);$/    (void)0;/' "a call that hangs is given up"
mutant $compare $hedge 's/    mirror_doubt_collection(.*/    (void)0;/' "a copy that differs is given up"
mutant $compare $hedge 's/        mirror_compare_take_job(.*/        (void)0;/;s/        mirror_job_hand_over(.*/        (void)0;/;s/    compare->job = exchange->mirror.job;/    compare->job = NULL;/' "Chroma may be first"
mutant $compare $hedge 's/    if (compare->said_status != 0)/    if (true)/;s/    if (compare_is_answer(head->status) \&\&/    if (true ||/;s/kept_head_find(head, UINT64_MAX, &number)))/true))/' "an error of Chroma says nothing"
mutant $compare $hedge 's/    compare->charged = 0;/    (void)0;/' "what is held is given back"
mutant src/copies/mirror_doubt.c $flow 's/    if (queue != entry->former)/    if (true)/' "and not kept"
mutant src/proxy/mirror_path.c $hedge 's/exchange->mirror.stamp = .*/exchange->mirror.stamp = 0;/' "reads are compared"
mutant src/proxy/proxy.c $hedge 's/size_t count = mirror_path_is_asking(proxy->mirror_path);/size_t count = 0;/' "a pause waits for what is compared"
doubt=src/copies/mirror_doubt.c
mutant src/copies/mirror_job.c $flow 's/    mirror_doubt_on_read(.*/    (void)0;/' "a damaged copy is given up"
mutant $doubt $flow 's/status == STATUS_CORRUPT || //' "one with a damaged value"
mutant $doubt $flow 's/ || status == STATUS_IO_FAILED//' "one that cannot be read"
mutant $doubt $flow 's/if (status == STATUS_CORRUPT .*/if (status != STATUS_OK)/' "what cannot be answered is no damage"
mutant $doubt $flow 's/if (hold->queue->entry != NULL)/if (true)/' "one that was left is nobody's"
same=src/chroma/same_answer.c
search=unit/test_same_answer
mutant $same $search 's/        if (place != NULL)/        if (false)/' "what both have found"
mutant $same $search 's/json_array_size(others) != count/false/' "searches"
mutant $same $search 's/json_typeof(found) != json_typeof(column)/false/' "columns"
mutant $same $search 's/strcmp(json_object_iter_key(at), "include") == 0/false/' "what was asked for"
mutant $same $search 's/(left == NULL) != (right == NULL) ||/false ||/' "columns as long"

mutants_run
