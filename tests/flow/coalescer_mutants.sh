#!/bin/sh
# coalescer_mutants.sh - can the simulation fail? Break one rule at a time; each must be noticed.
# Usage: coalescer_mutants.sh [source-root [seeds]]   (run by `make check-flow-long`)
#
# A mutant is `file | sed command | the rule it breaks`. It counts as caught when the simulation
# fails, crashes or does not end. A sed command that changes nothing is an error: the code moved.
# shellcheck disable=SC2086 # $flags are words
set -eu

root=${1:-${top_srcdir:-.}}
seeds=${2:-3000}
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -I$root/src -I$root/tests"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0

sources="coalescer coalescer_barrier coalescer_batch coalescer_deadline coalescer_lane coalescer_limits coalescer_member coalescer_merge coalescer_offender coalescer_outcome batch_cost id_set"

build_common() {
    for file in "$root"/tests/flow/chroma_model.c "$root"/tests/flow/coalescer_*.c \
        "$root"/src/base/binary_heap.c "$root"/src/base/hash_map.c "$root"/src/base/siphash.c; do
        $cc $flags -c "$file" -o "$work/common_$(basename "$file" .c).o"
    done
    for name in $sources; do
        $cc $flags -c "$root/src/writes/$name.c" -o "$work/$name.o"
    done
}

# try FILE SED RULE
try() {
    attempt "$root/src/writes/$1.c" "$work/$1.o" "$2" "$3"
}

# What the proxy tells the coalescer is wrong: answers and state alone must give it away.
try_caller() {
    COALESCER_SIM_SERIAL=1
    export COALESCER_SIM_SERIAL
    attempt "$root/tests/flow/$1.c" "$work/common_$1.o" "$2" "$3"
    unset COALESCER_SIM_SERIAL
}

# attempt SOURCE OBJECT SED RULE
attempt() {
    count=$((count + 1))
    sed "$3" "$1" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$1"; then
        echo "STALE   $4: '$3' changes nothing in $1"
        bad=1
        return
    fi
    mv "$2" "$work/kept"
    # The words of $flags are to be split.
    # shellcheck disable=SC2086
    if ! $cc $flags -c "$work/mutant.c" -o "$2" 2>"$work/errors" ||
        ! $cc "$work"/*.o -o "$work/mutant" 2>>"$work/errors"; then
        echo "BROKEN  $4: does not compile"
        cat "$work/errors"
        bad=1
    elif COALESCER_SIM_SEEDS=1:$seeds timeout 60 "$work/mutant" >"$work/out" 2>&1; then
        echo "MISSED  $4"
        bad=1
    else
        how=$(sed -n 's/^# \(seed [0-9]*\) at [0-9]* us: /\1: /p; s/.*Assertion/assertion/p' \
            "$work/out" | head -n 1)
        echo "caught  $4 (${how:-it crashed or did not end})"
    fi
    mv "$work/kept" "$2"
}

build_common
try coalescer_lane 's/if (lane->in_flight != NULL) {/if (0) {/' 'one call in flight for a collection'
try coalescer_lane 's/slots_used >= slots/slots_used > slots/' 'in_flight_max calls in all'
try coalescer_lane 's/head->number + (is_redoing/(1000000 - head->number) + (is_redoing/' 'oldest head first'
try coalescer_barrier 's/return 0;/return UINT64_MAX;/' 'nothing is sent beside a barrier for all lanes'
try coalescer_barrier 's/binary_heap_first_key(&coalescer->ready) < COALESCER_TURN_WAITING + head->number/0/' 'a barrier for all lanes waits for earlier writes'
try coalescer_barrier 's/if (!LIST_ITEM(node, struct coalescer_batch, queue)->is_hung)/if (0)/' 'a barrier for all lanes waits for calls in flight'
try coalescer_barrier 's/coalescer->lanes_redoing > 0 ||/0 ||/' 'a barrier for all lanes waits for what is sent again'
try coalescer_lane 's/gather_max_us = 2000/gather_max_us = 9000/; s/gather_part = 8/gather_part = 1/' 'gathering is brief'
try coalescer_lane 's/^    lane_wake(coalescer, now_us);//' 'back-off ends'
try coalescer_merge 's/member->key == NULL || member->number >= barrier/member->number >= barrier/' 'nothing passes a barrier of its lane'
try coalescer_merge 's/member->key == head->key/1/' 'members have one batch key'
try coalescer_limits 's/ || dimension == 0 ||/ ||/; s/member->dimension != dimension)/dimension != 0 \&\& member->dimension != dimension)/' 'alone until the dimension is known'
try coalescer_merge 's/!id_set_is_disjoint(&coalescer->seen, member->id_hashes,/0 \&\& !id_set_is_disjoint(\&coalescer->seen, member->id_hashes,/' 'a batch is cut where an id repeats'
try coalescer_merge 's/if (id_set_add(/if (member->key == head->key \&\& id_set_add(/' 'nothing passes a write that shares an id'
try coalescer_merge 's/records > records_max/0/' 'records of a batch'
try coalescer_merge 's/bytes > bytes_max/0/' 'bytes of a batch'
try coalescer_merge 's/if (member->ends_segment)/if (0)/' 'halves are sent apart'
try coalescer_merge 's/batch->part_first = batch->members\[0\]->records_done;//' 'a part begins where the last one ended'
try coalescer_outcome 's/status == 501 ||/status >= 500 ||/' 'a 5xx is not a refusal'
try coalescer_outcome 's/if (outcome->admission_refusal)/if (outcome->admission_refusal || status == 429 || status == 503)/' 'only a known 429 or 503 means not applied'
try coalescer_outcome 's/outcome->kind == COALESCER_NOT_SENT/outcome->kind != COALESCER_ANSWERED/' 'a reset after sending is not "not sent"'
try coalescer_outcome 's/return VERDICT_NOT_APPLIED/return VERDICT_UNKNOWN/' 'what was not applied is sent again'
try coalescer_outcome 's/coalescer->options.role == COALESCER_GATEWAY/true/' 'a sidecar does not send again'
try coalescer_outcome 's/may_resend \&\& batch->members\[i\]->repeatable/may_resend/' 'a delete is not sent again'
try coalescer_outcome 's/may_resend \&\& unknowns == 0/may_resend \&\& unknowns <= 2/' 'the same batch once more only'
try coalescer_outcome 's/is_tainted = true;/is_tainted = false;/' 'what may have been applied is told maybe'
try coalescer_outcome 's/if (batch->count == 1) {/if (batch->count <= 2) {/' 'a refusal of a batch is no answer to its members'
try coalescer_outcome 's/^        position = &member->queue;//' 'what is sent again keeps its order'
try coalescer_outcome 's/member->records_done = .*;//; s/first->records_done = .*;//' 'parts advance'
try coalescer_outcome 's/return VERDICT_REFUSED;/return VERDICT_SAME;/' 'only 401, 403 and 404 are for everybody'
try coalescer_outcome 's/if (status >= 200 \&\& status <= 299)/if (status >= 200 \&\& status <= 499)/' 'only a 2xx is a success'
try coalescer_outcome 's/member->is_answered \&\& !list_node_is_linked(&member->queue)/0/' 'what was refused in flight is released'
try coalescer_outcome 's/            position = &member->queue;//; s/if (!batch->is_lent)/if (1)/' 'a lent slot is not freed twice'
try coalescer_member 's/(char)write->op,/0,/' 'one operation in a batch'
try coalescer_member 's/(char)write->encoding,/0,/' 'one encoding in a batch'
try coalescer_member 's/sizeof head + write->batch_key.size;/sizeof head + 0;/; s/if (write->batch_key.size > 0)/if (0)/' 'one credential in a batch'
try coalescer 's/^    coalescer_deadline_expire(coalescer, now_us);//' 'refused at the deadline'
try coalescer_deadline 's/COALESCER_EXECUTED_MAYBE/COALESCER_EXECUTED_NO/' 'no is said only of what was not applied'
try coalescer 's/if (member->batch == NULL)/if (1)/' 'bytes are kept while they are sent'
try coalescer_deadline 's/coalescer_member_unqueue(coalescer, member);/list_remove(\&member->queue);/' 'the books'
try coalescer 's/batch->sent_us + coalescer->options.patience_us/batch->sent_us/' 'patience'
try coalescer 's/(void)(coalescer_next_held(coalescer, now_us, ret_action) ||/(void)(/' 'a slot is lent'
try coalescer_limits 's/return backend->may_merge \&\&/return/; s/!coalescer->options.backend.may_merge ||//' 'nothing is merged where it is not allowed'
try coalescer_limits 's/!backend->same_columns_only ||/1 ||/' 'the same columns where null has a meaning'
try coalescer_merge 's/count > 0 \&\& !coalescer_limits_may_share/0 \&\& !coalescer_limits_may_share/' 'what is sent again keeps to what the backend is by then'
try coalescer_outcome 's/^        outcome_hold(coalescer, batch, outcome, now_us);//' 'a lost write is not overtaken'
try coalescer_outcome 's/status != 408 \&\& (status < 502 || status > 504)/1/' 'nor one that a proxy answered for'
try coalescer_outcome 's/held_min_us = 1000000/held_min_us = 1000/' 'for long enough'
try coalescer_lane 's/!is_redoing \&\& lane->held_until_us > 0/0/' 'held lanes do not send'
try coalescer_lane 's/if (lane->held_until_us > now_us)/if (0)/' 'a held lane is not forgotten'
try coalescer_outcome 's/if (is_lost \&\& coalescer->options.is_supervised/if (0 \&\& coalescer->options.is_supervised/' 'a lost batch waits for the end of the backend'
try coalescer_outcome 's/->has_ended = true;/->has_ended = false;/' 'what was in flight at the end is sent again'
try coalescer_outcome 's/!member->repeatable || (batch->count/(batch->count/' 'but not what cannot be repeated'
try coalescer_outcome 's/batch->count == 1 \&\& ends >= ends_max/0/' 'and not for ever'
try coalescer_outcome 's/ends >= ends_alone ? 1 : batch->count/batch->count/' 'after two ends each alone'
try coalescer_outcome 's/^    coalescer_outcome_decide(coalescer, now_us);//; s/now_us >= batch->decide_us || batch->has_ended/batch->has_ended/' 'a lost batch does not wait for ever'
try coalescer_lane 's/coalescer->is_paused \&\& turn > COALESCER_TURN_WAITING/0/' 'nothing new starts while paused'
try coalescer_barrier 's/(coalescer->is_paused \&\& list_is_empty(&all->redo)) ||//' 'no barrier starts while paused'
try coalescer_deadline 's/^        \*key = .*;//' 'deadlines are shifted'
try coalescer_outcome 's/if (batch->members\[0\]->was_split)/if (batch->members[0]->key != NULL)/' 'who is refused alone offends nobody'
try coalescer_outcome 's/was_split = !is_size/was_split = true/' 'a batch that was too large is nobodys offence'
try coalescer_offender 's/(offender_is_alone(coalescer, member->sender, now_us) ||/(0 ||/' 'an offender goes alone'
try coalescer_offender 's/penalty_min_us = 1000000/penalty_min_us = 500000/' 'for a second at least'
try_caller coalescer_sim_draw 's/^    write->kind = COALESCER_BARRIER;/    write->kind = COALESCER_MERGEABLE;/' 'caller: what does not pass alone is not merged'
try_caller coalescer_sim_draw 's/.repeatable = request->op <= MODEL_UPDATE/.repeatable = true/' 'caller: a delete is not repeatable'
try_caller coalescer_sim_draw 's/key\[0\] = (char)request->credential/key[0] = 0/' 'caller: credentials are in the batch key'
try_caller coalescer_sim_draw 's/(enum coalescer_op)request->op : COALESCER_OTHER/COALESCER_UPSERT : COALESCER_OTHER/' 'caller: add is not upsert'
try_caller coalescer_sim_draw 's/rows\[i\].id, .size = 4/rows[i].vector, .size = 4/' 'caller: ids are the ids'
try_caller coalescer_sim_draw 's/.lane = {(unsigned char)request->collection}/.lane = {(unsigned char)(request->collection + write->client % 2)}/' 'caller: one lane for a collection'
try_caller coalescer_sim_send 's/coalescer_report(sim->coalescer, call->batch, \&call->outcome/call->outcome.admission_refusal = true; coalescer_report(sim->coalescer, call->batch, \&call->outcome/' 'caller: an unknown 429 is not a refusal of admission'
try_caller coalescer_sim_send 's/call->outcome.kind = COALESCER_RESET;/call->outcome.kind = COALESCER_NOT_SENT; call->apply_us = 1;/' 'caller: a reset after sending is not "not sent"'
echo "$count mutants"
exit $bad
