#!/bin/sh
# read_limit_mutants.sh - can the tests of reads.limit and of overload: shed fail?
# See tests/support/mutants.sh; run by `make check-data-path-mutants`. Those of the policies are in
# limits_mutants.sh.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/calls/read_limit.c flow/test_flow_reads 's/turns.turns_max\[TURN_READ\] = read_limit_value(limit);//' 'a bound is set'
mutant src/calls/read_limit.c flow/test_flow_reads 's/^        turn_queue_set_turns_max(limit->turns, TURN_READ, read_limit_value(limit));/        (void)0;/' 'adaptive moves the bound'
mutant src/calls/read_limit.c flow/test_flow_reads 's/options->sheds ? READ_LIMIT_SHED_US : 0/READ_LIMIT_SHED_US/' 'nothing is refused unless asked for'
mutant src/calls/read_limit.c flow/test_flow_reads 's/options->sheds ? READ_LIMIT_SHED_US : 0/0/' 'refusals'
mutant src/calls/read_limit.c flow/test_flow_reads 's/.standing_us = READ_LIMIT_STANDING_US/.standing_us = READ_LIMIT_SHED_US/' 'sooner under a standing queue'
mutant src/calls/read_limit.c flow/test_flow_reads 's/limit->write_ended_us = now_us;/limit->write_ended_us = 0;/;s/turn_queue_stats(limit->turns)->turns\[TURN_WRITE\] > 0/false/' 'reads beside writes'
mutant src/calls/call.c flow/test_flow_reads 's/is_exempt |= call->info == chroma_route_info(exempt\[i\]);/(void)0;/' 'health checks are exempt'
mutant src/calls/call.c flow/test_flow_reads 's/^    call_shed(proxy);/    (void)0;/' 'who has waited for too long is refused'
mutant src/calls/call.c flow/test_flow_reads 's/^        call_set_shed_timer(proxy);/        (void)0;/' 'a queue in which nothing moves is looked at'
mutant src/calls/call.c flow/test_flow_reads '/call_leave_gate(call);$/{n;s/call_set_shed_timer(proxy);/(void)0;/}' 'and one that the last of what was held has left'
mutant src/calls/call.c flow/test_flow_reads 's/call->status == 429 || call->status == 503 || call->status == 504/false/' 'drops'
mutant src/calls/call.c flow/test_flow_reads 's/call->status >= 200 \&\& call->status <= 299 \&\&//' 'errors are no answers'
mutant src/calls/call.c flow/test_flow_reads 's/age_us >= call->proxy->options.deadline_read_us ? CONCURRENCY_DROPPED : CONCURRENCY_LEFT/CONCURRENCY_NOTHING/' 'what is given up counts'
mutant src/proxy/dispatch.c flow/test_flow_reads 's/^        timeout_queue_start(exchange->proxy->shed_waits, timeout);/        reply_error(\&exchange->reply, STATUS_OVERLOADED, FRONT_EXECUTED_NO, NULL);/' 'a pause is no overload'
mutant src/proxy/exchange.c flow/test_flow_reads 's/proxy->options.sheds ? proxy->shed_waits : proxy->wait_limits/proxy->wait_limits/' 'who is not admitted is refused too'
mutant src/calls/read_class.c unit/test_read_class 's/if (body.size <= 2 \* (size_t)window_bytes)/if (true)/;s/glance = {{body}};/glance = {{{body.data, body.size < 512 ? body.size : 512}}};/' 'both ends of a body'
mutant src/calls/read_class.c unit/test_read_class 's/ || body.size >= large_bytes//' 'several vectors are large'
mutant src/calls/read_class.c unit/test_read_class 's/ || is_nothing(value) ||$/ ||/' 'null is no limit'
mutant src/calls/read_class.c unit/test_read_class 's/ \&\& number <= bound) {/) {/' 'numbers of any length'
mutant src/calls/read_limit.c flow/test_flow_reads 's/limit->refused += by == TURN_BOUND_CLASS/limit->refused += true/' 'a refusal is counted for the bound that held it back'
mutant src/calls/call.c flow/test_flow_services_turns 's/services_note_refused(proxy->services, call->turn.service, call->turn.class, by);/(void)by;/' 'and for its service'
mutant src/proxy/write_path.c flow/test_flow_services_turns 's/is_bounded = write_path_explain_bound(exchange, message);/is_bounded = false;/' 'a write that its service held back is counted there'
mutant src/calls/services.c flow/test_flow_services 's/status == STATUS_LIMIT_REACHED \&\& ret_charge->verdict.limit == SERVICE_LIMIT_BYTES/status == STATUS_LIMIT_REACHED/' 'rates of bytes are counted apart'
mutant src/proxy/exchange.c flow/test_flow_reads 's/counter = \&refused->requests/counter = \&refused->memory/' 'who is not admitted is counted there'
mutant src/proxy/exchange.c flow/test_flow_limits 's/counter = is_write ? \&refused->write_bytes : /counter = !is_write ? \&refused->write_bytes : /' 'a part of the room for writes'
mutant src/calls/reply.c flow/test_flow_clients 's/reply->proxy->refused.bodies++;//' 'bodies that are too large are counted'
mutant src/proxy/pass_path.c flow/test_flow_limits 's/else if (pass_is_bounded(exchange))/else if (false)/' 'at its deadline a read is told what held it back'
mutant src/calls/admission.c flow/test_flow_reads 's/->was_paused = true;/->was_paused = false;/' 'what a pause held is not refused early'
mutant src/proxy/dispatch.c flow/test_flow_reads 's/if (exchange->admission.was_paused) {/if (false) {/' 'nor while it waits for admission'
mutant src/calls/call.c flow/test_flow_reads 's/call->turn.was_held = call->origin.was_held;/;/' 'nor while it waits for its turn'
mutant src/limits/turn_queue.c flow/test_flow_reads 's/fair_queue_end_hold(queue->fair\[each\]);/;/' 'what waited for a Chroma that did not run neither'

mutants_run
