#!/bin/sh
# limits_mutants.sh - can the tests of limits/ fail? Break one rule at a time; each must be noticed.
# Usage: limits_mutants.sh [source-root]   (run by `make check-limits-long`)
#
# A mutant is `file | test | sed command | the rule it breaks`. It counts as caught when the test
# fails, crashes or does not end. A sed command that changes nothing is an error: the code moved.
# shellcheck disable=SC2086 # $flags and $libraries are words
set -eu

root=${1:-${top_srcdir:-.}}
cc=${CC:-cc}
flags="-std=c11 -O1 -D_GNU_SOURCE -I$root/src -I$root/tests"
libraries=$(pkg-config --libs check)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
count=0

for file in "$root"/src/limits/*.c "$root"/tests/flow/limits_world.c "$root"/src/base/memory_account.c \
    "$root"/src/base/binary_heap.c "$root"/src/base/byte_buffer.c "$root"/src/base/crc32c.c \
    "$root"/src/base/error.c "$root"/src/base/hash_map.c "$root"/src/base/histogram.c "$root"/src/base/metric.c \
    "$root"/src/base/rng.c "$root"/src/base/siphash.c "$root"/src/base/text.c; do
    $cc $flags -c "$file" -o "$work/$(basename "$file" .c).o"
done
for test in "$root"/tests/unit/test_*.c "$root"/tests/flow/test_flow_overload.c; do
    name=$(basename "$test" .c)
    case $name in
    test_memory_account | test_turn_queue | test_fair_queue | test_rate_limit | test_breaker | \
        test_retry_budget | test_concurrency_limit | test_key_ring | test_service_limits | \
        test_flow_overload)
        mkdir -p "$work/tests"
        $cc $flags -c "$test" -o "$work/tests/$name.o"
        ;;
    esac
done

# try FILE TEST SED RULE
try() {
    count=$((count + 1))
    source=$root/src/limits/$1.c
    [ -f "$source" ] || source=$root/src/base/$1.c
    sed "$3" "$source" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$source"; then
        echo "STALE   $4: '$3' changes nothing in $source"
        bad=1
        return
    fi
    mv "$work/$1.o" "$work/kept"
    if ! $cc $flags -c "$work/mutant.c" -o "$work/$1.o" 2>"$work/errors" ||
        ! $cc "$work"/*.o "$work/tests/$2.o" -o "$work/mutant" $libraries 2>>"$work/errors"; then
        echo "BROKEN  $4: does not compile"
        cat "$work/errors"
        bad=1
    elif CK_DEFAULT_TIMEOUT=60 timeout 120 "$work/mutant" >"$work/output" 2>&1; then
        echo "ALIVE   $4"
        bad=1
    else
        echo "caught  $4"
    fi
    mv "$work/kept" "$work/$1.o"
}

try memory_account test_memory_account 's/used > account->share ? /used > 0 ? /;s/needed == 0 ||/0 ||/' "a share needs nothing shared"
try memory_account test_memory_account 's/!is_within_max(account, more) || //' "the account's own bound"
try memory_account test_memory_account 's/^    return budget->waiting == 0 || .*/    return true || budget->waiting == 0 ||/' "shared bytes in the order of waiting"
try memory_account test_memory_account 's/size == 0 || memory_account_has_room(account, size)/can_hold(account, size, account->budget->next_number)/' "claims of one account in order"
try memory_account test_memory_account 's/if (account->grower != NULL \&\& account->grower != claim)/if (false)/' "one grows at a time"
try memory_account test_memory_account 's/account->used == account->stalled + claim->size/false/' "half-read bodies finish"
try memory_account test_memory_account 's/account->used == account->stalled + claim->size/true/' "beyond the bounds only if nobody else could finish"
try memory_account test_memory_account 's/claim->run >= run/false/' "a callback's own claim waits for the next run"
try memory_account test_memory_account 's/^        pass_growth_on(claim);/        claim->account->grower = NULL;/' "growth is passed on"
try turn_queue test_turn_queue 's/return taken < queue/return taken <= queue/' "the cap is exact"
try turn_queue test_turn_queue 's/used > kept ? used : kept/used/' "reserves"
try turn_queue test_turn_queue 's/stats->turns\[class\] >= turns_max/false/' "turns_max"
try turn_queue test_turn_queue 's/    if (control != NULL)/    if (false)/' "control goes"
try turn_queue test_turn_queue 's/queue->credit_us >= write->item.cost_us || queue->credit_us == credit_max_us/false/' "reads do not starve writes"
try turn_queue test_turn_queue 's/ || queue->credit_us == credit_max_us//' "dear writes go too"
try turn_queue test_turn_queue 's/service->turns >= service->turns_max/false/' "turns of a service"
try turn_queue test_turn_queue 's/if (!turn->is_lent)/if (true)/' "a lent turn is counted once"
try turn_queue test_turn_queue 's/    if (turn->granted_us + hung_us > now_us)/    if (false)/' "hung is what hangs"
try fair_queue test_fair_queue 's/deficit_us -= (int64_t)item->cost_us;/deficit_us -= 1;/' "a call costs what it costs"
try fair_queue test_fair_queue 's/quantum_us \* weight <</quantum_us <</' "weights"
try fair_queue test_fair_queue 's/quantum_us \* weight <<.*/quantum_us * weight;/' "priorities"
try fair_queue test_fair_queue 's/flow->deficit_us += (int64_t)charged_us - (int64_t)actual_us;//' "settlement"
try fair_queue test_fair_queue 's/if (flow->deficit_us < -debt_max_us)/if (false)/' "debts are bounded"
try fair_queue test_fair_queue 's/    if (flow->calm != queue->calm)/    if (false)/' "debts are forgiven when nobody waits"
try fair_queue test_fair_queue 's/        unpark_first(queue, item->gate); .*/        (void)0;/' "who leaves a gate lets the next one come"
try fair_queue test_fair_queue 's/    while (!flow->is_closed \&\&/    while (/' "closed flows"
try fair_queue test_fair_queue 's/        flow->is_standing = false;/        (void)0;/' "a short queue stands no longer"
try fair_queue test_fair_queue 's/is_newest_first ? list_last/false ? list_last/' "the newest first in a standing queue"
try fair_queue test_fair_queue 's/    pay_off_debt(queue, flow);/    (void)queue;/' "idle rounds pay off debts"
try fair_queue test_fair_queue 's/item->cost_us < (uint64_t)quantum_us/true/' "cost, not requests"
try rate_limit test_rate_limit 's/ns_per_s + limit->options.rate - 1) \/ limit/ns_per_s) \/ limit/' "spans are rounded up"
try rate_limit test_rate_limit 's/<= burst) {/<= burst + span) {/' "no more than the burst"
try rate_limit test_rate_limit 's/used + (span < burst ? span : burst) <= burst/used + span <= burst/' "nothing is refused for ever"
try rate_limit test_rate_limit 's/limit->full_ns < most ? limit->full_ns : most/limit->full_ns/' "the debt is bounded"
try rate_limit test_rate_limit 's/wait_us <= limit->options.delay_max_us/true/' "the delay is bounded"
try rate_limit test_rate_limit 's/return limit->full_ns > now_ns ? limit->full_ns - now_ns : 0;/return limit->full_ns - now_ns;/' "nothing is saved up beyond the burst"
try breaker test_breaker 's/failures \* 2 >= calls/failures * 3 >= calls/' "half of the calls"
try breaker test_breaker 's/calls >= BREAKER_CALLS_MIN \&\&//' "twenty calls"
try breaker test_breaker 's/ || passed_us < breaker->changed_us//' "outcomes from before"
try breaker test_breaker 's/wait_us > open_max_us/false/;s/reopened < 5/reopened < 9/;s/: 5;/: 9;/' "the longest wait"
try breaker test_breaker 's/outcome == BREAKER_CONNECT_FAILURE ? breaker->connect_failures + 1 : 0/breaker->connect_failures + 1/' "connect failures in a row"
try breaker test_breaker 's/breaker->tries -= breaker->state == BREAKER_TRYING;//' "a try that showed nothing is given back"
try retry_budget test_retry_budget 's/calls \* RETRY_BUDGET_PERCENT/calls * 100/' "a tenth"
try retry_budget test_retry_budget 's/budget->retries\[budget->second % RETRY_BUDGET_WINDOW_S\] = 0;//' "the window moves"
try concurrency_limit test_concurrency_limit 's/limit->peak >= busy/true/' "no growth while not used"
try concurrency_limit test_flow_overload 's/(size_t)(0.75 \* floor(limit->limit))/(size_t)ceil(0.75 * limit->limit) + 1/' "whole numbers in the guard"
try concurrency_limit test_concurrency_limit 's/tolerance = 1.6/tolerance = 1.2/' "tolerance"
try concurrency_limit test_concurrency_limit 's/count \/ 2\];$/0];/' "medians, not minima"
try concurrency_limit test_concurrency_limit 's/    if (is_beside_write)/    if (false)/' "samples beside a write are no ease"
try concurrency_limit test_flow_overload 's/limit->stale_windows < STALE_WINDOWS/true/' "stale ease is learned anew"
try concurrency_limit test_concurrency_limit 's/limit->drops > 0)$/false)/' "drops"
try key_ring test_key_ring 's/i < KEY_RING_DIGEST_SIZE; i++)$/i < 8; i++)/' "all of a digest is compared"
try key_ring test_key_ring 's/ || entry->is_revoked)$/)/' "revoked keys"
try key_scope test_key_ring 's/(scope->verbs \& verb) != 0 \&\&//' "verbs"
try key_scope test_key_ring 's/ \&\&$/ ||/' "all parts of a scope"
try key_scope test_key_ring 's/return bytes_equal(pattern, BYTES_LITERAL("\*"));/return true;/' "what concerns all needs a star"
try key_scope test_key_ring 's/    return p == pattern.size;/    return true;/' "patterns match to their end"
try key_text test_key_ring 's/    return memcmp(text.data + CHECK_AT.*/    return true;/' "the checksum of a key"
try key_slowdown test_key_ring 's/    if (address.size > 8)/    if (false)/' "one IPv6 network is one address"
try key_slowdown test_key_ring 's/failures_at(\&bucket\[i\], now_us) < failures_at(least, now_us)/true/' "the stubborn stay known"
try service_limits test_service_limits 's/ret->limit != SERVICE_LIMIT_NONE/ret->limit == SERVICE_LIMIT_BYTES/' "rates refuse"
try service_limits test_service_limits 's/    struct rate_limit trial = \*rate;/    struct rate_limit \*real = (struct rate_limit *)rate, trial = *rate; rate_limit_settle(real, 0, 1, now_us);/' "all limits or none are charged"
try service_limits test_service_limits 's/    if (!was_sent) {/    if (false) {/' "what was not sent is given back"
try service_limits test_service_limits 's/wait_us > ret->wait_us) {/true) {/;s/        ret->wait_us = wait_us;/        ret->wait_us = 1;/' "the longest delay counts"
try service_limits test_service_limits 's/--gate->holders > 0/false/' "gates live as long as they are used"
try cost_predictor test_service_limits 's/sample > \*unit_us \* far/0/' "a call behind a lock is not believed"

echo "$count mutants"
exit $bad
