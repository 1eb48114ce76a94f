#!/bin/sh
# data_path_mutants.sh - can the tests of the data path fail? Break one rule at a time; each must be
# noticed.
# Usage: data_path_mutants.sh [source-root]   (run by `make check-data-path-mutants`, which builds
# what this needs, in the folder of the build)
#
# A mutant is `file | programs | sed command | the rule it breaks`: the file is compiled with one
# change and linked before the library into each of the test programs until one fails, crashes or
# does not end. A sed command that changes nothing is an error: the code moved.
# shellcheck disable=SC2086,SC2046,SC2013 # $flags, $libs and lists of programs are words
set -eu

script=$0
root=${1:-${top_srcdir:-.}}
cc=${CC:-cc}
flags="-std=c11 -O0 -D_GNU_SOURCE -I$root/src -I$root/tests"
libs="libchromabouncer.a ${CHECK_LIBS:-$(pkg-config --libs check)} ${DEPS_LIBS:-}"
# What was freed is not what it was.
export MALLOC_PERTURB_=165
actors="fake_clock fake_loop fake_net fake_worker_pool flow_backend flow_client flow_pattern flow_world"
jobs=${MUTANT_JOBS:-$(nproc)}

# try FILE PROGRAMS SED RULE: note a mutant.
try()
{
    count=$((count + 1))
    mkdir "$work/$count"
    printf '%s\n' "$1" >"$work/$count/file"
    printf '%s\n' "$2" >"$work/$count/programs"
    printf '%s\n' "$3" >"$work/$count/sed"
    printf '%s\n' "$4" >"$work/$count/rule"
}

# judge FOLDER: make that mutant and run it; says how it ended, on the first word of `result`.
judge()
{
    source=$root/src/$(cat "$1/file")
    rule=$(cat "$1/rule")
    sed -f "$1/sed" "$source" >"$1/mutant.c"
    if cmp -s "$1/mutant.c" "$source"; then
        say "$1" "STALE   $rule: '$(cat "$1/sed")' changes nothing in $source"
        return
    fi
    if ! $cc $flags -w -c "$1/mutant.c" -o "$1/mutant.o" 2>"$1/errors"; then
        say "$1" "BROKEN  $rule: $(head -n 3 "$1/errors")"
        return
    fi
    for program in $(cat "$1/programs"); do
        if ! $cc "$1/mutant.o" $(objects_of "$program") $libs -o "$1/program" 2>"$1/errors"; then
            say "$1" "BROKEN  $rule: $(head -n 3 "$1/errors")"
            return
        fi
        if ! CK_VERBOSITY=normal CK_DEFAULT_TIMEOUT=10 timeout 20 "$1/program" >"$1/out" 2>&1; then
            by=$(sed -n 's/^[^ ]*:[0-9]*:[FE]:[^:]*:\([^:]*\):.*/\1/p' "$1/out" | head -n 1)
            say "$1" "caught  $rule (${by:-$program did not end})"
            rm -f "$1/program" "$1/mutant.o"
            return
        fi
    done
    say "$1" "MISSED  $rule: $(cat "$1/file"), $(cat "$1/sed")"
}

say()
{
    printf '%s\n' "$2" >"$1/result"
    printf '%s\n' "$2"
}

objects_of()
{
    case $1 in
    unit/*) echo "tests/$1.o" ;;
    *)
        echo "tests/flow/test_flow_$1.o"
        for actor in $actors; do
            echo "tests/flow/$actor.o"
        done
        ;;
    esac
}

if [ "${2:-}" = --judge ]; then
    judge "$3"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0

# --- proxy/: a write, and who waits for it
try proxy/write.c writes 's/if (request_identity_is_ignored(field))/if (request_identity_is_ignored(field) || field->id == HTTP_FIELD_AUTHORIZATION)/' 'credentials tell who may share a call'
try proxy/write.c unit/test_write 's/socket_address_format_host(peer, text);/text[0] = 0;/' 'without credentials the address is the identity'
try proxy/write.c unit/test_write 's/field->id == HTTP_FIELD_X_CHROMA_TOKEN ||/0 ||/' 'a token is a credential'
try proxy/write.c clients 's/^    write->stream_to = NULL;//' 'who left gets no long answer'
try proxy/write.c limits 's/^    lane_rooms_leave(.*//' "a write gives its collection's room back"
try proxy/write.c backends 's/^        memory_account_claim_release(&write->room);/        (void)0;/' 'a write gives its room back'
try proxy/write.c 'writes limits' 's/if (route->has_uuid) {/if (0) {/' 'one lane for a collection'
try proxy/write.c writes 's/ret_write->kind = COALESCER_BARRIER_ALL;/(void)0;/' 'what names no collection is a barrier for all'
try proxy/write_path.c clients 's/^        write_leave(exchange->write);/        (void)0;/' 'who leaves is not told'
try proxy/write_path.c clients 's/^        call_resume(exchange->reply.source);/        (void)0;/' 'a long answer ends for who has left'
try proxy/write_path.c backends 's/^    exchange_start_deadline(CONTAINER_OF(sink.*//' "a write's deadline is for the next piece"
try proxy/write_path.c clients 's/ \&\& call_is_paused(exchange->reply.source)/ \&\& 0/' 'who reads slowly is not Chroma'
try proxy/write_path.c limits 's/(void)exchange_grow_room(exchange, write_path_room(exchange, size))/(void)0/' 'a body claims its room as it grows'
try proxy/write_path.c clients 's/if (write_path_refuse_too_large(exchange, size))/if (0)/' 'a chunked body has a limit too'
try proxy/write_path.c passing 's/front_connection_continue(exchange->reply.connection);/(void)0;/' 'who expects 100 is told'

# --- proxy/: lanes and calls
try proxy/write_lanes.c writes 's/^        write_call_cancel(call);//' 'told no, it leaves the queue'
try proxy/write_lanes.c backends 's/write_call_is_sent(write->call)) {/0) {/' 'what was sent is told maybe'
try proxy/write_lanes.c limits 's/\[COALESCER_EXECUTED_NO\] = FRONT_EXECUTED_NO/[COALESCER_EXECUTED_NO] = FRONT_EXECUTED_MAYBE/' 'no is said where it is known'
try proxy/write_lanes.c backends 's/\[COALESCER_EXECUTED_MAYBE\] = FRONT_EXECUTED_MAYBE/[COALESCER_EXECUTED_MAYBE] = FRONT_EXECUTED_NO/' 'maybe is said where it is not'
try proxy/write_lanes.c backends 's/outcome.kind == COALESCER_NOT_SENT ? FRONT_EXECUTED_NO : FRONT_EXECUTED_MAYBE/FRONT_EXECUTED_NO/' 'nor is no said of a lone write'
try proxy/write_lanes.c backends 's/ + again_us < write->deadline_us/ > UINT64_MAX - 1/' 'a lone write waits for Chroma'
try proxy/write_lanes.c backends 's/^        write_free(write);$/        (void)0;/' 'told no while Chroma is down, it is not sent'
try proxy/write_lanes.c writes 's/batch_records_max == distributed_batch_records_max ? distributed_in_flight : 1/1/' 'distributed Chroma is recognised'
try proxy/write_lanes.c limits 's/.may_merge = family->merges/.may_merge = true/' 'for an unknown backend nothing is merged'
try proxy/write_lanes.c backends 's/^    write_lanes_set_timer(lanes);//' 'lanes wake by themselves'
try proxy/write_lanes.c writes 's/^    case CHROMA_OPERATION_COLLECTION_DELETE:$//' 'deletions keep their place among writes'
try proxy/write_call.c writes '/^    write_call_tell_observers(call);/d; s/^    call->on_over(call, call->ctx);/&\n    write_call_tell_observers(call);/' 'observers know before the client'
try proxy/write_call.c writes '/^    write_call_notice(call, first);/d; s/^    return status == STATUS_OK;/    write_call_notice(call, first);\n&/' 'observers know before Chroma'
try proxy/write_call.c writes 's/held_answer_max = 64 << 10/held_answer_max = 1 << 30/' 'a long answer is not kept whole'
try proxy/write_call.c writes '/^static void write_call_begin_streaming(.*)$/,/^}/s/call->is_streaming = true;/call->outcome.kind = COALESCER_RESET;/' 'a long answer passes'
try proxy/write_call.c writes 's/^    call_resume(&call->call);.*//' 'a long answer goes on when somebody takes it'
try proxy/write_call.c backends 's/^        call_resume(&call->call);/        (void)0;/' 'a long answer goes on when nobody takes it'
try proxy/write_call.c backends 's/sent ? COALESCER_RESET : COALESCER_NOT_SENT/COALESCER_NOT_SENT/' 'what was sent is not sent again'
try proxy/write_call.c writes 's/answer_sink_failure(call->lone->stream_to, why, sent);/(void)0;/' 'a long answer that breaks is cut'
try proxy/write_call.c writes 's/return bytes_equal(executed->value, BYTES_LITERAL("no"));/return true;/' 'a refusal that may have been executed is not repeated'
try proxy/write_call.c writes 's/return bytes_equal(executed->value, BYTES_LITERAL("no"));/return false;/' 'a refusal that was not is'
try proxy/call.c clients 's/^        turn_queue_leave(proxy->turns, &call->turn);//' 'who leaves leaves the queue'
try proxy/call.c 'limits backends' '/^void call_cancel(.*)$/,/^}/s/^    call_close(call);/    call->transfer = NULL; call->is_active = false; list_remove(\&call->node);/' 'a turn is given back after a cancel'
try proxy/call.c limits 's/^    turn_queue_done(proxy->turns, &call->turn, now_us, cost_us);//' 'a turn is given back'
try proxy/call.c backends 's/^    upstream_transfer_cancel(transfer);//' 'a cancelled read is cut'
try proxy/call.c limits '/^static void call_on_end(.*)$/,/^}/s/^    call_run_turns(proxy);//' 'who waits is served when a call ends'
try proxy/call.c limits 's/if (turn->class == TURN_CONTROL)/if (0)/' 'a turn of the proxy itself is no call'

# --- proxy/: reads and what is common
try proxy/pass_path.c clients 's/^    call_cancel(&exchange->pass.call);//' 'a read ends with its client'
try proxy/pass_path.c backends '/^static void pass_on_answer_body(.*)$/,/^}/s/pass_note_life(.*;/;/' 'the deadline is for the next piece'
try proxy/pass_path.c clients 's/call_is_paused(&exchange->pass.call)/0/' 'a slow client is not a slow Chroma'
try proxy/pass_path.c backends 's/sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO,/FRONT_EXECUTED_NO,/' 'a read that was sent may have been executed'
try proxy/pass_path.c backends 's/^    exchange->record.was_retried = true;//' 'what was asked again is known'
try proxy/pass_path.c backends 's/^    if (!exchange->pass.keeps_deadline)$/    if (1)/' 'both attempts have one deadline'
try proxy/pass_path.c clients '/^static void pass_on_writable(.*)$/,/^}/s/exchange_stop_clocks(exchange);/(void)0;/' 'the deadline does not run while the client sends'
try proxy/pass_path.c passing 's/front_connection_pause_body(exchange->reply.connection);/(void)0;/' 'a client is not read faster than Chroma reads'
try proxy/dispatch.c limits 's/if (!call_is_sent(&exchange->pass.call))/if (0)/' 'waiting has a limit'
try proxy/dispatch.c limits 's/if (!call_is_sent(&exchange->pass.call))/if (1)/' 'which is for waiting only'
try proxy/dispatch.c clients 's/^        reply_on_drained(&exchange->reply);//' 'an answer goes on when the client has read'
try proxy/dispatch.c passing 's/if (request_head_is_loop(head))/if (0)/' 'a circle is noticed'
try proxy/exchange.c clients 's/^        memory_account_claim_release(&exchange->room);/        (void)0;/' 'a request gives its room back'
try proxy/exchange.c limits 's/^    lane_rooms_leave(.*//' "a request gives its collection's room back"
try proxy/exchange.c limits 's/^    admission_leave(.*//' 'admission is given back'
try proxy/exchange.c limits '/^static void exchange_end_wait(.*)$/,/^}/s/^    exchange_stop_clocks(exchange);//' 'who waited for room has its time after it'
try proxy/exchange.c limits '/^static void exchange_begin_wait(.*)$/,/^}/s/^    front_connection_pause_body(.*//' 'who waits for room is not read'
try proxy/admission.c limits 's/\&\& admission->held < admission->max;/;/' 'so many requests are held'
try proxy/lane_rooms.c unit/test_lane_rooms 's/return lane->used == 0 || .*/return true;/' 'a collection leaves room to others'
try proxy/reply.c backends 's/reply->record->was_retried \&\& executed == FRONT_EXECUTED_NO/0/' 'a retried read does not say no'
try proxy/reply.c backends 's/sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO/FRONT_EXECUTED_NO/' 'no is not said of what was sent'
try proxy/reply.c backends 's/sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO/FRONT_EXECUTED_MAYBE/' 'it is said of what was not'
try proxy/reply.c backends 's/if (front_connection_has_answered(reply->connection))/if (0)/' 'half an answer is cut'
try proxy/reply.c passing 's/^        call_pause(reply->source);/        (void)0;/' 'Chroma is not read faster than the client reads'
try proxy/reply.c backends 's/^        front_connection_set_until_close(.*//' 'half an answer does not look whole'
try proxy/pass_path.c backends 's/if (body->size == 0 ||/if (1 ||/' 'a known passing error is asked again'
try proxy/pass_path.c supervised 's/exchange->pass.deaths < deaths_max/1/' 'what kills Chroma three times is not asked for ever'
try proxy/pass_path.c supervised 's/exchange->pass.deaths += sent;/;/' 'deaths are counted'
try proxy/pass_path.c supervised 's/(exchange->state != EXCHANGE_ANSWERING || exchange->pass.is_held) \&\&/1 \&\&/' 'what was passed on is not asked again'
try proxy/pass_path.c supervised 's/^    exchange->record.was_retried |= sent;.*//; s/^    exchange->record.was_retried = true; .*//' 'what was sent to one that died may have been executed'
try proxy/pass_path.c supervised 's/^    exchange->record.was_retried = true; .*//; s/was_retried |= sent;/was_retried |= false;/' 'the deadline goes on through a death'
try proxy/hold_sink.c supervised 's/^    memory_account_release(.*//' 'a held answer gives its room back'
try proxy/hold_sink.c supervised 's/^        memory_account_charge(.*/        (void)0;/' 'a held answer is charged'
try proxy/write_path.c clients 's/if (max == 0)/if (0)/' 'a body is judged by what this Chroma takes'
try proxy/write_path.c clients 's/: size <= proxy->budget->max)/: 1)/' 'what memory_max cannot hold is refused'
try proxy/proxy.c writes 's/if (backend->incarnation != proxy->incarnation)/if (0)/' 'what is known is void at a new incarnation'
try proxy/proxy.c limits 's/proxy->control_is_taken\[i\] = turn->state == TURN_OPEN;/proxy->control_is_taken[i] = true;/' 'the proxy waits for its turn too'
try proxy/proxy.c limits '/^static void give_control_turn(.*)$/,/^}/s/^    call_run_turns(proxy);//' 'and gives it back'
try limits/turn_queue.c limits 's/class == TURN_CONTROL ? 1 :/class == TURN_CONTROL ? 0 :/' 'a place is kept for the proxy itself'

try writes/coalescer_barrier.c unit/test_coalescer 's/if (number == 0 || number == UINT64_MAX)/if (number == 0) return COALESCER_TURN_WAITING; if (number == UINT64_MAX)/' 'what is refused late does not pass a barrier for all'

# --- upstream/
try upstream/upstream_transfer.c backends 's/(!sent || !transfer->request.is_write)/1/' 'a write that was sent is not sent again'
try upstream/upstream_transfer.c backends 's/^           !transfer->answer_begun \&\& /           /' 'what was answered in part is not sent again'
try upstream/upstream_transfer.c backends 's/^    transfer->was_sent = .*//' 'what was sent once was sent'
try upstream/upstream_transfer.c backends 's/!transfer->body_given || socket_stream_queued(connection->stream) > 0/false/' 'a connection answered early is not used again'
try upstream/upstream_transfer.c backends 's/!transfer->body_given || socket_stream_queued(connection->stream) > 0/!transfer->body_given/' 'nor while a body is queued'
try upstream/upstream_transfer.c backends 's/transfer->is_refused = .*/transfer->is_refused = false;/' 'nor after a refusal of a body'
try upstream/upstream_transfer.c limits 's/|| upstream_pool_is_over(transfer->pool)//' 'a smaller cap is reached'
try upstream/upstream_transfer.c transfer 's/return transfer->failure_sent;/return false;/' 'a failed write says whether it was sent'
try upstream/upstream_transfer.c backends 's/^    timeout_queue_start(transfer->pool->idle_timeouts.*//' 'idle connections are closed'
try upstream/upstream_connection.c backends 's/keep_alive \&\& rest.size == 0/rest.size == 0/' 'close means close'
try upstream/upstream_connection.c backends 's/keep_alive \&\& rest.size == 0/keep_alive/' 'what nobody asked for ends a connection'
try upstream/upstream_connection.c passing 's/connection->transfer->request.is_head/false/; s/transfer->request.is_head);/false);/' 'an answer to HEAD has no body'
try upstream/upstream_connection.c passing 's/http_reader_end_of_input(connection->reader) == HTTP_READER_END/0/' 'an answer may end with its connection'
try upstream/upstream_connection.c backends 's/timeout_queue_start(connection->pool->connect_timeouts, &connection->timeout);//' 'connecting has a limit'
try upstream/upstream_connection.c passing 's/else if (head->status != 100)/else/' '100 is for us'
try upstream/upstream_pool.c clients 's/!pool->is_closing \&\&//' 'a pool that closes takes nothing new'
try upstream/upstream_pool.c writes 's/.body_bytes_max = UINT64_MAX/.body_bytes_max = 64 << 20/' 'no answer is too long'
try upstream/upstream_pool.c passing 's/while ((idle = list_first(&pool->idle)) != NULL)/while (0 \&\& (idle = list_first(\&pool->idle)) != NULL)/' 'connections are used again'
try upstream/upstream_pool.c limits 's/^    pool->places_taken--;//' 'a place is given back'
try upstream/upstream_incarnation.c unit/test_upstream_incarnation 's/^    incarnation->number++;//' 'an incarnation moves'
try upstream/upstream_identity.c unit/test_upstream_identity 's/if (found->major >= 1)/if (1)/' 'a version below 1.0 is Python'

# --- front/
try front/front_connection.c clients 's/return size > 0 \&\& !socket_stream_is_full(connection->stream);/return size > 0;/; s/if (!socket_stream_is_full(connection->stream)) \/\*/if (1) \/*/' 'answers do not pile up'
try front/front_connection.c 'backends clients' 's/connection->close_after || connection->state == BODY/connection->close_after/; s/shared->draining || connection->state == BODY/shared->draining/' 'a body that was not read ends the connection'
try front/front_connection.c limits 's/connection->shared->draining || connection->state == BODY/connection->state == BODY/' 'a drain closes'
try front/front_connection.c clients 's/status == STATUS_RESET || (status == STATUS_CLOSED \&\& connection->state == BODY)/status == STATUS_RESET/' 'who ends its side before its body is read has left'
try front/front_connection.c clients 's/(status == STATUS_CLOSED \&\& connection->state == BODY)/status == STATUS_CLOSED/' 'who has sent ahead has not'
try front/front_connection.c clients 's/(is_sending \&\& ++connection->linger_rounds < linger_rounds_max)/0/' 'who still sends is let'
try front/front_connection.c clients 's/linger_bytes_max = 64 << 20/linger_bytes_max = 1 << 20/' 'as much as Chroma would take'
try front/front_connection.c clients 's/timeout_queue_start(connection->shared->head_timeouts, &connection->timeout);//' 'a head has its time'
try front/front_connection.c clients 's/if (front_pace_is_kept(&connection->body_pace/if (1 || front_pace_is_kept(\&connection->body_pace/' 'a body has its time'
try front/front_connection.c clients 's/if (front_pace_is_kept(&connection->send_pace/if (1 || front_pace_is_kept(\&connection->send_pace/' 'an answer has its time'
try front/front_connection.c backends 's/^        socket_stream_set_reset(connection->stream);.*/        (void)0;/' 'half an answer ends with a reset'
try front/front_connection.c clients 's/connection->request == NULL \&\& socket_stream_queued(connection->stream) > 0 \&\&/0 \&\&/' 'who ends its side may still read'
try front/front_connection.c clients 's/connection->state == CLOSING \&\& connection->has_ended/0/' 'but not for longer than that'
try front/front_connection.c limits 's/^        front_addresses_remove(.*//' 'addresses are counted down'
try front/front_connection.c limits 's/if (now_us - connection->idle_us < after_us/if (0/' 'only who is idle for long is closed for others'
try front/front_connection.c clients 's/head->is_last_hop ? shared->last_hop_handler : shared->handler/shared->handler/' 'the last hop answers'
try front/front.c limits 's/shared->stats.connections < options->connections_max/1/' 'so many connections are open'
try front/front.c limits 's/^    loop_timer_set(front->accept_timer.*//' 'accepting goes on after a pause'
try front/front_pace.c clients 's/if (pace->credit < wanted)/if (1)/' 'who is slow but steady is not cut'

seq "$count" | xargs -P "$jobs" -I '{}' sh "$script" "$root" --judge "$work/{}"
echo "--- not caught:"
cat "$work"/*/result | grep -v '^caught' || true
caught=$(cat "$work"/*/result | grep -c '^caught' || true)
echo "$caught passed, $((count - caught)) failed"
[ "$caught" -eq "$count" ]
