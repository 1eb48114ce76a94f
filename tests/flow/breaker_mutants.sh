#!/bin/sh
# breaker_mutants.sh - can the tests of a failing Chroma and of clients' deadlines fail?
# See tests/support/mutants.sh; run by `make check-breaker-mutants`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

breaker=src/calls/backend_breaker.c
table=src/limits/breaker_table.c
mutant src/limits/breaker.c unit/test_breaker 's/breaker->is_tried = breaker->state == BREAKER_TRYING;/;/' 'one tries at a time'
mutant src/limits/breaker.c unit/test_breaker 's/breaker->cause_calls = 0;/;/' 'failed connects are named'
mutant src/limits/breaker.c unit/test_breaker 's/    if (breaker->state == BREAKER_CLOSED) {/    if (1) {/' 'the first cause stays'
mutant src/limits/breaker.c unit/test_breaker 's/    if (breaker->state == BREAKER_CLOSED)$/    if (0)/' 'counts of another Chroma are void'
mutant $table unit/test_breaker_table 's/is_write ? BREAKER_OF_WRITES : BREAKER_OF_READS/BREAKER_OF_READS/' 'writes are apart'
mutant $table unit/test_breaker_table 's/    if (!breaker_may_pass(reads)) {/    if (!breaker_pass(reads)) {/' 'who is held by one takes no try of another'
mutant $table unit/test_breaker_table 's/outcome == BREAKER_CONNECT_FAILURE ? BREAKER_NOTHING : outcome/outcome/' 'a failed connect says nothing of a collection'
mutant $table unit/test_breaker_table 's/if (entry->breaker.state == BREAKER_CLOSED \&\& !breaker_has/if (0 \&\& !breaker_has/' 'what is mended is forgotten'
mutant $table unit/test_breaker_table 's/        table_drop(table,$/        (void)(table,/' 'the table is bounded'
mutant $table unit/test_breaker_table 's/    breaker_forget(&table->of\[BREAKER_OF_READS\]);/    table->of[BREAKER_OF_READS] = (struct breaker){0};/' 'an open one waits for a heartbeat'
mutant $breaker flow/test_flow_breaker 's/    breaker->holds_reads = holds_reads;/    breaker->holds_reads = true;/' 'by default nothing is refused'
mutant $breaker flow/test_flow_breaker 's/    if (!breaker->holds_reads || !is_counted(info))/    if (!breaker->holds_reads)/' 'health checks pass'
mutant $breaker flow/test_flow_breaker 's/        if (!breaker->waits) {/        if (1) {/' 'where we run Chroma reads wait'
mutant src/proxy/pass_path.c flow/test_flow_breaker 's/if (backend_breaker_leave(&exchange->pass.breaker) \&\&/if (backend_breaker_leave(\&exchange->pass.breaker) \&\& 0 \&\&/' 'who leaves gives his try back'
mutant $breaker flow/test_flow_breaker 's/status == 500 \&\& chroma_family_info(family)->refuses_with_500/0/' 'mistakes are not failures'
mutant $breaker flow/test_flow_breaker 's/status >= 500 \&\& status != 501/status >= 500/' '501 is no failure'
mutant $breaker flow/test_flow_breaker 's/return BREAKER_CONNECT_FAILURE;/return BREAKER_NOTHING;/' 'failed connects count'
mutant src/proxy/pass_path.c flow/test_flow_breaker 's/return call_is_sent(call) \&\& call->status == 0 \&\&/return 0 \&\&/' 'silence counts'
mutant $breaker flow/test_flow_breaker 's/    if (breaker->want_heartbeat != NULL)/    if (0)/' 'a heartbeat is asked for'
mutant $breaker flow/test_flow_breaker 's/        if (breaker->holds_reads) {/        if (1) {/' 'who waits goes when the setting changes'
mutant $breaker flow/test_flow_breaker 's/    list_push_back(&breaker->waiting, &ticket->node);/    list_push_front(\&breaker->waiting, \&ticket->node);/' 'who waits goes in order'
mutant $breaker flow/test_flow_breaker 's/^    list_remove(&ticket->node);/    ;/' 'who leaves waits no more'
mutant src/calls/read_repeats.c flow/test_flow_breaker 's/!is_calm/0/' 'no repeats while it fails'
mutant src/calls/read_repeats.c flow/test_flow_breaker 's/retry_at_us > now_us) {/0) {/' 'Retry-After, of reads'
mutant src/calls/read_repeats.c flow/test_flow_breaker 's/return retry_budget_take(.*/return true;/' 'the budget'
mutant src/proxy/pass_path.c flow/test_flow_breaker 's/^        retry_budget_count(.*/        ;/' 'reads count for the budget'
mutant src/lanes/write_lanes.c flow/test_flow_breaker 's/    outcome.retry_at_us = .*/    ;/' 'Retry-After, of writes'
mutant src/writes/coalescer_outcome.c unit/test_coalescer 's/return outcome->retry_at_us > again_us ? outcome->retry_at_us : again_us;/return again_us;/' 'no repeat before its time'
mutant src/writes/coalescer_outcome.c unit/test_coalescer 's/outcome->retry_at_us >= member->deadline.key/0/' 'who cannot wait is told'
mutant src/upstream/upstream_transfer.c flow/test_flow_breaker 's/if (head->status != 429 \&\& head->status != 503)/if (head->status < 400)/' 'Retry-After of 429 and 503'
mutant src/upstream/upstream_control.c unit/test_upstream_control 's/        if (is_put_off \&\& !question->is_light)/        if (0)/' 'our own questions wait'
mutant src/upstream/upstream_control.c unit/test_upstream_control 's/        if (is_put_off \&\& !question->is_light)/        if (is_put_off)/' 'heartbeats do not'
mutant src/upstream/upstream_health.c unit/test_upstream_health 's/        health->on_each(health->each_ctx, is_answered);/        health->on_each(health->each_ctx, true);/' 'heartbeats are told as they are'
mutant src/http/http_retry_after.c unit/test_http_retry_after "s/\*end != '\\\\0'/0/" 'all of a date is read'

deadline=src/calls/client_deadline.c
watch=src/proxy/deadline_watch.c
mutant $deadline unit/test_client_deadline 's/|| time_us >= \*ret_us)/)/' 'the smallest counts'
mutant $deadline unit/test_client_deadline 's/ \&\& time_us > 0;/;/' 'zero is none'
mutant $deadline unit/test_client_deadline 's/text.size > digits_max)/text.size > 30)/' 'digits are bounded'
mutant $deadline flow/test_flow_deadline 's/return time_floor_get(/return 0 * time_floor_get(/' 'what cannot suffice is not sent'
mutant $watch flow/test_flow_deadline 's/    if (!deadline_watch_is_late(exchange))/    if (1)/' 'it is looked at before it is sent'
mutant $watch flow/test_flow_deadline 's/return exchange_waits(exchange) || .*/return 0 \&\&/' 'who waits for a turn is refused in time'
mutant $watch flow/test_flow_deadline 's/    if (exchange->path->on_deadline != NULL)/    if (1)/' 'who is not begun has it too'
mutant src/proxy/dispatch.c flow/test_flow_deadline 's/    if (exchange->proxy->options.takes_client_deadlines)/    if (1)/' 'only with the setting'
mutant $watch flow/test_flow_deadline 's/    request->deadline_us = at_us;/    ;/' 'a write in a lane has it'
mutant $watch flow/test_flow_deadline 's/    request->slack_us = .*/    ;/' 'a write in a lane is refused in time'
mutant src/writes/coalescer_deadline.c unit/test_coalescer 's/        if (is_sent \&\& member->slack_us > 0) {/        if (0) {/' 'what is sent has all of its time'
mutant src/writes/coalescer_deadline.c unit/test_coalescer 's/ || !member->is_clients;/ || 1;/' 'an impatient client makes no call hang'
mutant src/chroma/request_identity.c flow/test_flow_deadline '/case HTTP_FIELD_X_REQUEST_TIMEOUT_MS:/d' 'deadlines keep no writes apart'
mutant src/limits/time_floor.c unit/test_time_floor 's/now_us - floor->began_us < 2 \* span_us ? floor->least_us : 0/floor->least_us/' 'what is old is forgotten'
mutant src/limits/time_floor.c unit/test_time_floor 's/took_us < floor->least_us)/took_us > floor->least_us)/' 'the least counts'
mutant $breaker flow/test_flow_breaker 's/ret->refused.breaker += breaker->refused;/;/' 'what the breaker refused is told of its limit'
mutant src/proxy/pass_path.c flow/test_flow_breaker 's/counter = \&refused->breaker;/counter = NULL;/' 'and what it held back until its deadline'
mutant src/proxy/pass_path.c flow/test_flow_collapse 's/counter = \&refused->read_deadlines;/counter = NULL;/' 'deadline.read has its count'
mutant src/proxy/write_path.c flow/test_flow_limits 's/refused.write_deadlines += message == ours;/refused.write_deadlines += 0;/' 'so has deadline.write, in a lane'
mutant src/proxy/write_path.c flow/test_flow_limits 's/counter = NULL; \/\* it is counted there \*\//(void)0;/' 'one refusal is counted once'
mutant src/proxy/write_path.c flow/test_flow_deadline 's/message == ours;/true;/' 'a deadline of the client is not ours'
mutant $watch flow/test_flow_auth 's/        (\*ours)++;/        (void)0;/' 'what waits for a look-up has its count'
mutant $watch flow/test_flow_deadline 's/    if (exchange->client_deadline.is_over)$/    if (false)/' 'at its own deadline it is told of that'
mutant src/proxy/cache_join.c flow/test_flow_deadline 's/if (!exchange->client_deadline.is_over \&\& waited/if (waited/' 'who waits for another has a deadline too'

mutants_run
