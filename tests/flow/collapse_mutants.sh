#!/bin/sh
# collapse_mutants.sh - can the flow tests of who waits for whom fail?
# See tests/support/mutants.sh; run by `make check-reads`.
set -eu
# shellcheck source=tests/support/mutants.sh
. "$(dirname "$0")/../support/mutants.sh"

mutant src/proxy/cache_join.c flow/test_flow_collapse 's/&own->asked, proxy->is_gateway,/\&own->asked, true,/; s/query_validity_holds/1/' 'a sidecar joins nothing that was sent (kept answers)'
mutant src/reads/single_flight.c flow/test_flow_collapse 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/true/' 'a sidecar joins nothing that was sent'
mutant src/reads/single_flight.c flow/test_flow_collapse 's/(joins_sent \&\& query_validity_holds(&flight->asked, now))/joins_sent/' 'nobody joins what was sent before a write'
mutant src/reads/single_flight.c flow/test_flow_collapse 's/!flight->table->options.is_sent(flight->leader) ||/0 ||/' 'what was not sent is joined by a sidecar'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/            field_us = wanted_age(field->value);/            ;/' 'who wants an answer of Chroma waits for nobody'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/            field_us = 0;/            ;/' 'nor who says so in the old way'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/cache->join != NULL \&\& cache->options.is_enabled/cache->join != NULL/' 'it can be switched off'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/            cache_join_refuse(exchange->question.join, exchange);/            ;/' 'an answer that is not for others is asked for by each'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/    cache_join_answer(exchange, kept_head(exchange->question.head), body);/    ;/' 'all that wait get the answer'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/    query_cache_note_join(cache->cache, result);/    ;/' 'a look-up has one result'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/    proxy->cache->unkept.joined++;/    ;/' 'where nothing is kept, too'
mutant src/proxy/cache_join.c flow/test_flow_collapse 's/    leader->reply.source = NULL;/    ;/' 'a slow client slows nobody else'
mutant src/proxy/cache_join.c flow/test_flow_collapse 's/    join_let_run(exchange_of(single_flight_leader(&own->flight)));/    ;/' 'an answer that is held up is read on for who joins'
mutant src/proxy/cache_join.c flow/test_flow_collapse_ends 's/        single_flight_fail(member);/        single_flight_leave(member);/' 'what failed twice each asks for itself'
mutant src/proxy/cache_join.c flow/test_flow_collapse_ends 's/    if (!exchange->client_deadline.is_over \&\& waited_for_turn \&\&$/    if (0 \&\&/' 'the limit of waits is one for a turn'
mutant src/proxy/cache_join.c flow/test_flow_collapse_ends 's/        exchange_start_deadline(exchange);/        ;/' 'who waits has a deadline'
mutant src/proxy/pass_path.c flow/test_flow_collapse_ends 's/    if (!timeout_queue_is_running(&exchange->deadline))/    if (!exchange->record.was_retried)/' 'who asks instead has the rest of its time'
mutant src/proxy/cache_join.c flow/test_flow_collapse_ends 's/    list_remove(&member->node);/    ;/' 'who leaves is not asked to ask'
mutant src/proxy/pass_path.c flow/test_flow_collapse_ends 's/    cache_path_leave(exchange);/    ;/' 'the flight of one that is over ends'
mutant src/calls/service_ticket.c flow/test_flow_collapse 's/           record->source == REQUEST_METRICS_SOURCE_COLLAPSED ||/           false ||/' 'who waited is charged its request'
mutant src/proxy/cache_join.c flow/test_flow_collapse 's/    if (memory_account_has_room(account, single_flight_waiters(member) \* body.size))/    if (true)/' 'copies have a bound'
mutant src/proxy/cache_path.c flow/test_flow_collapse 's/options.sheds \&\& call->transfer == NULL/options.sheds \&\& 0/' 'where waiting reads are refused nobody waits for one of them'
mutant src/proxy/cache_report.c flow/test_flow_collapse 's/ret_report->stats.joined;/0;/' 'a look-up that was collapsed is one'

mutants_run
