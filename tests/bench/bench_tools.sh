#!/bin/sh
# bench_tools.sh - the load generator and the stub agree with each other about what happened.
# Usage: bench_tools.sh   (needs ./chromabouncer and tests/support/stub_chroma in $top_builddir)
set -eu

build=${top_builddir:-.}
directory=$(mktemp -d)
stub=""

finish()
{
    [ -z "$stub" ] || kill "$stub"
    rm -rf "$directory"
}
trap finish EXIT

fail()
{
    echo "bench_tools.sh: $*"
    exit 1
}

# start OPTION...: the stub; sets `url`
start()
{
    [ -z "$stub" ] || { kill "$stub"; wait "$stub" || fail "the stub ended badly"; }
    : >"$directory/stub" # what the one before said is not waited for
    "$build/tests/support/stub_chroma" "$@" >>"$directory/stub" &
    stub=$!
    until grep -q listening "$directory/stub"; do
        kill -0 "$stub" 2>/dev/null || fail "the stub did not start"
        sleep 0.05
    done
    url=http://$(sed -n 's/listening on //p' "$directory/stub")
}

# load WANTED-STATUS OPTION...: the output goes to `out`
load()
{
    wanted=$1
    shift
    status=0
    "$build/chromabouncer" bench --backend "$url" --warm-up 0ms --dimension 8 "$@" \
        >"$directory/out" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || { cat "$directory/out"; fail "$*: exit status $status"; }
}

has()
{
    grep -Eq "$1" "$directory/out" || { cat "$directory/out"; fail "no '$1' in the output"; }
}

# What was sent is what was applied, sum by sum.
start --write-a-ms 1 --log "$directory/log"
load 0 --mix add+upsert:2+update --clients 8 --count 200 --batch 3 --encoding mixed --reuse 0.3 \
    --history "$directory/history" --json
has '"errors": 0'
sums()
{
    grep -o '"sums":\[[^]]*\]' "$1" | sort
}
sums "$directory/history" >"$directory/sent"
kill "$stub"
wait "$stub" || fail "the stub ended badly"
stub=""
sums "$directory/log" >"$directory/applied"
[ "$(wc -l <"$directory/sent")" -eq 200 ] || fail "the history is not 200 lines"
cmp "$directory/sent" "$directory/applied" || fail "sent and applied differ"

# Reads, deletes and open-loop arrivals work, on more than one collection and over a unix socket.
start --unix "$directory/socket"
url=unix:$directory/socket
load 0 --mix query+get+count+delete --preload 500 --collections 2 --count 100 --clients 4 --json
has '"errors": 0'

# Refusals, resets and deadlines are counted as what they are.
start --fault status=503,op=add,body=admission --fault reset=before,op=update \
    --fault stall=5s,op=count
load 0 --mix add --count 5
has 'status 503: 5'
has 'first error: 503 .*Too many requests'
load 0 --mix update --count 5
has 'reset: 5'
load 0 --mix count --count 1 --deadline 100ms
has 'deadline: 1'

# Nobody there; nonsense.
kill "$stub"
wait "$stub" || fail "the stub ended badly"
stub=""
load 69 --mix add --count 1
load 64 --mix nonsense
load 64 --url /x --mix add
url=http://192.0.2.1
load 64 --url /x
has 'not on this machine'
