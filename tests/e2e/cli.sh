#!/bin/sh
# cli.sh - what people type: exit statuses, where errors go and what they say, and the commands
# against a running proxy.
# Usage: cli.sh   (in the build directory; nothing listens on TCP, all sockets are in a directory)
# shellcheck disable=SC2016 # backquotes of messages
set -u

program=$(pwd)/chromabouncer
stub=$(pwd)/tests/support/stub_chroma
work=$(mktemp -d)
daemon='' chroma=''
trap 'kill $daemon $chroma 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
bad=0
for name in $(env | sed -n 's/^\(CHROMABOUNCER_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
# Files in the system's directories must not decide what this test finds.
export CHROMABOUNCER_CONFIG=/dev/null
unset XDG_RUNTIME_DIR

fail() {
    echo "$1"
    sed 's/^/  out: /' out
    sed 's/^/  err: /' err
    bad=1
}

# run STATUS WORD...: the program must end so. Output goes to out and err.
run() {
    want=$1
    shift
    "$program" "$@" >out 2>err
    status=$?
    [ "$status" -eq "$want" ] || fail "chromabouncer $*: exit status $status, not $want"
    if [ "$want" -ne 0 ] && [ ! -s err ]; then fail "chromabouncer $*: says nothing"; fi
    if [ "$want" -eq 0 ] && [ -s err ]; then fail "chromabouncer $*: complains"; fi
}

says() { # says FILE TEXT
    grep -qF -e "$2" "$1" || fail "$1 does not say: $2"
}

# Usage: 64, on standard error, with what was meant.
run 64 frobnicate;                   says err 'chromabouncer --help'
run 64 chekc;                        says err 'did you mean check?'
run 64 --bakend http://x;            says err 'did you mean --backend?'
run 64 -x;                           says err "unknown flag '-x'"
run 64 --backend;                    says err '--backend needs a value'
run 64 --set role;                   says err '--set takes KEY=VALUE'
run 64 --set rle=gateway;            says err "unknown setting 'rle'; did you mean role?"
run 64 --set role=boss;              says err 'write sidecar|gateway'
run 64 --backend https://x;          says err 'https is not supported yet'
run 64 --listen unix:/a --set listen.address=unix:/b; says err 'listen.address is given twice'
run 64 --config a --config b;        says err '--config is given twice'
run 64 run now;                      says err "the word 'now' is one too many"
run 64 config;                       says err 'config check FILE'
run 64 config chek x;                says err 'config check FILE'
run 64 config init --set role=gateway
run 64 --backend http://x bench;     says err 'write bench before its options'
run 64 bench --frobnicate
run 64 version --backend http://x;   says err 'version takes no --backend'

# Help and version: standard output, 0.
run 0 --help;                        says out 'backend.connections_max'
run 0 health --help;                 says out 'health [--backend URL] [FLAG]...'
run 0 bench --help;                  says out 'Usage: chromabouncer bench'
run 0 --version;                     says out 'chromabouncer '
run 0 version;                       says out 'libevent'
says out 'libcurl'
says out 'jansson'
says out 'libyaml'

# A full disk must not look like success.
if [ -c /dev/full ]; then
    for words in --help --version version 'config init' 'completion zsh' 'wrap --help' 'bench --help'; do
        # shellcheck disable=SC2086
        "$program" $words >/dev/full 2>err
        [ $? -eq 71 ] || fail "$words on a full disk: exit status"
        says err 'cannot write to standard output'
    done
fi

# The configuration: 78, with file, line and column.
run 0 config init
cp out sample.yaml
run 0 config check sample.yaml;      says out 'sample.yaml: ok'
printf 'backend:\n  ulr: x\n' >bad.yaml
run 78 config check bad.yaml
says err "bad.yaml:2:3: unknown setting 'backend.ulr'; did you mean backend.url?"
run 78 --config bad.yaml;            says err 'bad.yaml:2:3'
run 78 config check missing.yaml;    says err 'cannot read missing.yaml: No such file'
run 78 config show --config missing.yaml
if [ "$(id -u)" -ne 0 ]; then
    : >secret.yaml
    chmod 000 secret.yaml
    run 77 config check secret.yaml
fi
printf 'listen: {address: 127.0.0.1:8000}\n' >loop.yaml
run 78 config check loop.yaml;       says err 'the proxy would call itself'
printf 'services: [{name: chat, rate: 1/s}]\n' >services.yaml
run 78 config check services.yaml;   says err 'needs something to be recognised by'
CHROMABOUNCER_BACKEND_URL=http://x run 78 run
says err 'did you mean CHROMABOUNCER_BACKEND__URL?'
CHROMABOUNCER_IMAGE=x CHROMABOUNCER_HEADERS=off "$program" config show >out 2>err ||
    fail "a variable of somebody else stops it"
says err "there is no setting for 'CHROMABOUNCER_IMAGE'"
says out 'headers: off'
CHROMABOUNCER_ROLE=boss run 78 config show
says err 'environment CHROMABOUNCER_ROLE: role:'

# Together what is resolved must fit, too: memory_max is auto here.
run 78 --set queue.bytes_max=1023GiB; says err 'above memory_max'
# Precedence and origins; what show prints can be read back.
printf 'queue: {requests_max: 1, wait_max: 1s}\nworkers: 1\n' >set.yaml
export CHROMABOUNCER_QUEUE__REQUESTS_MAX=2 CHROMABOUNCER_QUEUE__WAIT_MAX=2s
run 0 config show --config set.yaml --set queue.wait_max=3s --listen='[::1]:1'
grep -q '^workers: 1  *# set.yaml:2$' out || fail "workers"
grep -q '^  requests_max: 2  *# environment CHROMABOUNCER_QUEUE__REQUESTS_MAX$' out ||
    fail "queue.requests_max"
grep -q '^  wait_max: 3s  *# command line$' out || fail "queue.wait_max"
grep -q "^  address: '\[::1\]:1'  *# command line$" out || fail "listen.address"
unset CHROMABOUNCER_QUEUE__REQUESTS_MAX CHROMABOUNCER_QUEUE__WAIT_MAX
sed 's/ *# .*//' out >shown.yaml
run 0 config show --config shown.yaml
sed 's/ *# .*//' out | diff shown.yaml - || fail "config show is not read back as it was"

# wrap: where the directory cannot be, nothing starts.
run 66 wrap --path sample.yaml -- true;   says err '--path sample.yaml is not a directory'
run 66 wrap --path sample.yaml/x -- true; says err '--path sample.yaml/x: Not a directory'
run 66 wrap --path=no/where -- true;      says err '--path no/where: No such file'
run 64 wrap --path= -- true;              says err '--path needs a value'
run 64 wrap --path '' -- true;            says err '--path needs a value'
run 64 wrap --once -- true;               says err 'wrap takes no --once'
run 64 wrap --wait -- true;               says err 'wrap takes no --wait'
run 64 wrap -o json -- true;              says err 'wrap takes no -o'
run 64 run --strict;                      says err "unknown flag '--strict'"
run 64 run --mirror;                      says err "run takes no --mirror"
run 64 wrap --mirror=often -- true;       says err "mirror.mode: 'often' is not allowed; write off|fallback"
run 64 exec --mirror --set mirror.mode=off -- true; says err 'mirror.mode is given twice'
run 0 wrap --version;                     says out 'chromabouncer '
run 64 wrap --path x --path -- true;      says err '--path needs a value'

# import: what it needs.
run 64 import </dev/null;                    says err 'write import NAME'
run 64 import a/b </dev/null;                says err 'write import NAME'
run 64 import docs more </dev/null;          says err "the word 'more' is one too many"
run 78 import docs --listen 127.0.0.1:0 </dev/null; says err 'listen.address has port 0'
run 69 import docs --listen "unix:$work/nobody" </dev/null; says err 'gives no answer'

# Nobody there: 69, with the reason.
sockets="--listen unix:$work/data --status unix:$work/status --backend unix:$work/chroma"
# shellcheck disable=SC2086 # several words
run 69 health $sockets;              says err "unix:$work/chroma gives no answer"
run 69 health --status "unix:$work/status"; says err "unix:$work/status gives no answer"
run 78 health --status off;          says err 'status.address is off'
run 78 health --status 127.0.0.1:0;  says err 'name the port'
# shellcheck disable=SC2086
"$program" check $sockets >out 2>err
[ $? -eq 69 ] || fail "check without a backend: exit status"
says out 'fail  backend'
says out 'ok    listen.address'
# shellcheck disable=SC2086
NO_COLOR=1 "$program" check $sockets | grep -q "$(printf '\033')" && fail "NO_COLOR is ignored"

# wait_for FILE: until something is in it, for ten seconds.
wait_for() {
    tries=0
    until [ -s "$1" ] || [ $tries -ge 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

# A running backend.
"$stub" --listen "unix:$work/chroma" >ready 2>err &
chroma=$!
wait_for ready
run 0 health --backend "unix:$work/chroma"; says out 'is ready (/api/v2/heartbeat'
# shellcheck disable=SC2086
run 0 check $sockets
says out 'at most 5461 records in a write; base64 on'

copies="--set role=gateway --set backend.settle_time=0s --set mirror.mode=prefer --set mirror.directory="
# shellcheck disable=SC2086
run 0 check $sockets $copies$work
says out 'reads are answered from copies whenever the copy is complete'
# shellcheck disable=SC2086
run 0 check $sockets $copies$work --set writes.coalesce=false
says out 'nothing is copied while writes.coalesce is off'
if [ "$(stat -f -c %T /dev/shm)" = tmpfs ]; then
    for place in /dev/shm "/dev/shm/none.$$"; do
        # shellcheck disable=SC2086
        run 0 check $sockets $copies$place
        says out 'its bytes count twice'
    done
fi
touch flat
for place in /proc/none:'No such file' "$work/flat":'Not a directory' "$work/flat/none":'Not a directory' \
    "$work/no/where":'No such file'; do
    # shellcheck disable=SC2086
    "$program" check $sockets $copies"${place%:*}" >out 2>err
    [ $? -eq 71 ] || fail "check with copies in ${place%:*}: exit status"
    says out "fail  mirror.directory no folder can be made in ${place%:*}, so that nothing would be copied: ${place##*:}"
done
for place in "$work/new" "$work/new///"; do
    # shellcheck disable=SC2086
    run 0 check $sockets $copies"$place"; says out 'ok    mirror.directory'
    [ -z "$(find "$work" -name new -o -name 'chromabouncer-check*')" ] || fail "check leaves something behind"
done

# Keys: the key alone is on standard output, and nowhere else.
run 64 key;                             says err 'key add NAME'
run 64 key list --allow 'read:*/*/*';   says err 'only key add takes'
run 64 version --service one;           says err 'version takes no --service'
run 78 key list;                        says err 'auth.keys_file'
run 78 key add 'a b' --set auth.keys_file="$work/keys"
run 78 key add one --allow read --set auth.keys_file="$work/keys"; says err 'VERBS:TENANT'
run 0 key add one --service chat --allow 'read:*/*/docs-*' --set auth.keys_file="$work/keys"
grep -qx 'cbk_[0-9A-Za-z]\{49\}' out || fail "key add: not a key alone"
loses_key() { # loses_key HOW: add_two ended; nobody has seen its key
    [ "$(cat exit_status)" -eq 71 ] || fail "key add $1: exit status"
    says err 'cannot write to standard output'
    if grep -q 'name=two' "$work/keys"; then fail "key add $1: keeps a key that nobody has seen"; fi
}
add_two() {
    "$program" key add two --set auth.keys_file="$work/keys" 2>err
    echo $? >exit_status
}
if [ -c /dev/full ]; then add_two >/dev/full; loses_key "to a full disk"; fi
add_two >&-; loses_key "to a closed output"
{ sleep 0.2; add_two; } | true; loses_key "to a reader that has gone"
if grep -qf out keys; then fail "the key is in the file"; fi
run 0 key list --set auth.keys_file="$work/keys"; says out 'read:*/*/docs-*'
run 0 key revoke one --set auth.keys_file="$work/keys"
run 78 key revoke one --set auth.keys_file="$work/keys"; says err 'no key has the name'
run 78 check --set auth.required=true;  says err 'auth.keys_file'
rm keys

# A running proxy.
printf 'queue: {wait_max: 10s}\n' >run.yaml
# shellcheck disable=SC2086
"$program" $sockets --config run.yaml --set log.file="$work/log" --control "$work/control" \
    >listening 2>err &
daemon=$!
wait_for listening
grep -q '^listening on ' listening || fail "no line when ready"
run 0 health --status "unix:$work/status"; says out 'is ready'
# shellcheck disable=SC2086
run 0 check $sockets
says out 'warn  listen.address'
run 0 check --listen 0.0.0.0:0 --status off --backend "unix:$work/chroma"
says out 'there is neither a key needed (auth.required) nor TLS'

# Where standard error was closed, the log must not go into a descriptor of the loop.
"$program" --listen "unix:$work/third" --status off --backend "unix:$work/chroma" \
    >other 2>&- <&- &
other=$!
wait_for other
[ "$(readlink "/proc/$other/fd/2")" = /dev/null ] || fail "closed standard error is something else"
kill "$other"
wait "$other"

# HUP takes all of a file or nothing; USR1 opens the log again.
logs() { # logs TEXT: within ten seconds
    tries=0
    until grep -qF -e "$1" log 2>/dev/null || [ $tries -ge 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    [ $tries -lt 100 ] || fail "not logged: $1"
}
printf 'queue: {wait_max: 20s}\nworkers: 7\n' >run.yaml
kill -HUP "$daemon"
logs '"key":"queue.wait_max","from":"10s","to":"20s"'
logs '"event":"setting_needs_restart"'
logs '"event":"reloaded"'
printf 'queue: {wait_max: 30s, wait_mix: 1s}\n' >run.yaml
kill -HUP "$daemon"
logs 'did you mean queue.wait_max?'
mv log log.1
kill -USR1 "$daemon"
tries=0
until [ -e log ] || [ $tries -ge 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -HUP "$daemon"
logs '"event":"reload_failed"'

# The control socket: verbs, a table or JSON, and what is refused.
control="--control $work/control"
run 64 ctl;                          says err 'write ctl VERB'
run 64 ctl stast;                    says err 'did you mean stats?'
run 64 ctl set;                      says err 'write set KEY=VALUE'
run 64 ctl stats --once;             says err 'ctl takes no --once'
run 64 ctl stats --wait;             says err 'stats takes no --wait'
run 64 ctl stats -o yaml;            says err '-o takes json'
run 64 health -o json;               says err 'health takes no -o'
run 78 ctl stats --control off;      says err 'there is no control socket'
run 64 ctl stats --control here;     says err 'write auto, off or /PATH'
run 69 ctl stats --control "$work/nobody"; says err 'no proxy answers at'
run 0 ctl --help;                    says out 'set KEY=VALUE'
[ "$(stat -c %a control)" = 600 ] || fail "the control socket's mode"
# shellcheck disable=SC2086
{
    run 0 ctl stats $control;        says out 'backend_up'
    says out 'process_open_fds'
    run 0 ctl stats -o json $control
    python3 -c 'import json; a = json.load(open("out")); assert a["backend_up"] is True; assert \
        a["metrics"]["chromabouncer_backend_up"] == 1' || fail "ctl stats -o json"
    run 0 ctl set queue.wait_max=7s $control; says out 'the next reload or restart'
    logs '"key":"queue.wait_max","from":"20s","to":"7s"'
    run 64 ctl set queue.wait_max=7 $control; says err "queue.wait_max: '7' is not allowed"
    run 64 ctl set workers=3 $control; says err 'workers takes a restart'
    run 64 ctl set queue.wait_mix=7s $control; says err 'did you mean queue.wait_max?'
    run 64 ctl set queue.wait_max $control; says err 'write set KEY=VALUE'
    run 64 ctl set 'a b' $control;   says err 'has blanks'
    run 0 ctl log-level debug $control; says out 'log.level'
    run 64 ctl log-level loud $control; says err 'error|warning|info|debug'
    run 78 ctl reload $control;      says err 'did you mean queue.wait_max?'
    printf 'queue: {wait_max: 20s}\n' >run.yaml
    run 0 ctl reload $control;       says out 'reloaded  yes'
    logs '"key":"queue.wait_max","from":"7s","to":"20s"'
    run 0 top --once $control;       says out 'requests'
    run 0 top --once -o json $control
    python3 -c 'import json; a = json.load(open("out")); assert a["interval_seconds"] > 0.9' ||
        fail "top -o json"
    if [ -c /dev/full ]; then
        "$program" top -o json $control >/dev/full 2>err
        [ $? -eq 71 ] || fail "top on a full disk: exit status"
    fi
    run 0 ctl pause --wait $control; says out 'paused     yes'
    logs '"event":"paused"'
    run 0 ctl resume $control;       says out 'paused     no'
    logs '"event":"resumed","reason":"ctl resume"'
    run 0 ctl collections $control;  says out 'no collections'
    run 0 ctl services $control;     says out 'no services'
    run 0 ctl limits $control;       says out 'reads.limit'
    says out 'overload'
    says out 'guard.records_max'
    says out 'breaker.reads'
    says out 'deadline.from_client'
    echo token >credential && chmod 644 credential # others may read it: as if it had not been said
    run 71 ctl set "auth.backend_credential_file=$PWD/credential" $control
    run 0 ctl set auth.forward=true $control
    run 0 ctl set auth.forward=false $control
    run 0 ctl cache $control;        says out 'hit_ratio'
    run 0 ctl cache flush $control;  says out 'flushed  all'
    run 64 ctl cache empty $control; says err 'write cache, or cache flush'
    run 64 ctl cache flush a/b $control; says err 'no collection is known as'
    run 0 ctl queues -o json $control; says out 'chromabouncer_queue_requests'
    run 0 advice $control;           says out 'Nothing stands out'
    python3 -c 'import http.client, socket, sys
for _ in range(12): # at least 6 of them in one minute
    connection = http.client.HTTPConnection("chroma")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request("GET", "/api/v2/auth/identity", headers={"User-Agent": "tester 1"})
    connection.getresponse().read()' "$work/data"
    run 0 ctl clients $control;      says out 'tester 1'
    run 0 advice $control
    says out 'tester 1 at unix: constructs a client again and again'
    says out 'in a minute, 12 in all)'
    run 0 advice -o json $control;   says out '"rule":"clients_constructed"'
    run 64 top --wait $control;      says err 'top takes no --wait'
    # A second proxy does not take the socket of the first.
    run 71 --listen "unix:$work/fourth" --status off $control; says err 'control'
}

# Completions: made from the tables, and they complete.
run 64 completion tcsh;              says err 'completion bash'
for shell in bash zsh fish; do
    run 0 completion "$shell";       says out 'queue.wait_max'
    says out 'log-level'
    if command -v "$shell" >/dev/null; then
        "$shell" -n out || fail "completion $shell: not valid"
    fi
done
run 0 completion bash
if command -v bash >/dev/null; then
    bash -c '. ./out; compopt() { :; }
        t() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chromabouncer "$1" "${!#}" "${@: -2:1}"
            echo "${COMPREPLY[*]}"; }
        t chromabouncer ctl rel; t chromabouncer comp; t chromabouncer --set queue.wait_m
        t chromabouncer top --on; t chromabouncer ctl log-level ""; t chromabouncer wrap --p
        t chromabouncer wrap --str; t chromabouncer wrap --w; t chromabouncer ctl --w
        t chromabouncer exec --o; t chromabouncer wrap --conf; t chromabouncer --back
        t chromabouncer version --back; t chromabouncer version --he' >completed 2>err || fail "completion bash"
    printf 'reload\ncompletion\nqueue.wait_max=\n--once\nerror warning info debug\n%s' '--path
--strict

--wait

--config
--backend

--help
' | diff completed - ||
        fail "completion bash"
fi

# shellcheck disable=SC2086
run 0 ctl drain --wait $control;     says out 'draining  yes'
[ ! -e control ] || fail "ctl drain --wait has not waited"
wait "$daemon"
status=$?
daemon=''
[ "$status" -eq 0 ] || fail "drained: exit status $status"
grep -q '"event":"started"' log.1 || fail "nothing in the log"
grep -q '"event":"stopped"' log || fail "the end is not in the log"
exit $bad
