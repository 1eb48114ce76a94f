#!/bin/sh
# mutants.sh - can the tests fail? Breaks one rule of the code at a time; each must be noticed.
#
# Sourced by the lists of mutants (tests/*/*_mutants.sh), which make runs in the folder of the build
# when the programs that they name are built. A list is
#
#   . "$(dirname "$0")/../support/mutants.sh"
#   mutant FILE PROGRAMS SED RULE
#   ...
#   mutants_run
#
# FILE, a path from the root of the sources, is compiled with one change and takes its own place in
# each of PROGRAMS (paths below tests/) until one fails, crashes or does not end: RULE is tested. If
# none does, the list fails. It also fails where the sed command changes nothing, since the code has
# moved, and where a program fails without any change.
#
# MUTANTS=text takes only those whose FILE or RULE contains it; MUTANT_JOBS is how many run at once.
# shellcheck disable=SC2086,SC2046,SC2013 # flags, libraries and lists of programs are words

: "${CC:=cc}" "${CPPFLAGS=}" "${LIBS:?is set by make}"
mutant_root=$(dirname "$0")/../..
mutant_jobs=${MUTANT_JOBS:-$(nproc)}
mutant_count=0
# What the mutants noted from now on run with: NAME=VALUE, or nothing.
mutant_setting=
mutant_work=$(mktemp -d)
trap 'rm -rf "$mutant_work"' EXIT

# What was freed is not what it was; a test that hangs is caught.
export MALLOC_PERTURB_=165 CK_VERBOSITY=normal CK_DEFAULT_TIMEOUT=20
mutant_seconds_max=60

# mutant FILE PROGRAMS SED RULE: note one.
mutant()
{
    case $1:$4 in
    *"${MUTANTS:-}"*) ;;
    *) return ;;
    esac
    mutant_count=$((mutant_count + 1))
    mkdir "$mutant_work/$mutant_count"
    printf '%s\n' "$1" >"$mutant_work/$mutant_count/file"
    printf '%s\n' "$2" >"$mutant_work/$mutant_count/programs"
    printf '%s\n' "$3" >"$mutant_work/$mutant_count/sed"
    printf '%s\n' "$4" >"$mutant_work/$mutant_count/rule"
    printf '%s\n' "$mutant_setting" >"$mutant_work/$mutant_count/setting"
}

# mutants_run: run all that were noted; says how many were noticed, and fails if one was not.
mutants_run()
{
    for program in $(cat "$mutant_work"/*/programs | tr ' ' '\n' | sort -u); do
        if ! mutant_passes "tests/$program" "$mutant_work/output"; then
            echo "tests/$program fails without any change:"
            tail -n 20 "$mutant_work/output"
            exit 1
        fi
    done
    worker=0
    while [ "$worker" -lt "$mutant_jobs" ]; do
        worker=$((worker + 1))
        mutant_worker &
    done
    wait
    echo "--- not noticed:"
    grep -hv '^noticed' "$mutant_work"/*/result || true
    noticed=$(grep -l '^noticed' "$mutant_work"/*/result | wc -l)
    echo "$noticed passed, $((mutant_count - noticed)) failed"
    [ "$mutant_count" -gt 0 ] && [ "$noticed" -eq "$mutant_count" ]
}

# Judge those that no other worker has taken.
mutant_worker()
{
    number=0
    while [ "$number" -lt "$mutant_count" ]; do
        number=$((number + 1))
        mkdir "$mutant_work/$number/taken" 2>/dev/null || continue
        mutant_judge "$mutant_work/$number" >"$mutant_work/$number/result"
        cat "$mutant_work/$number/result"
        rm -f "$mutant_work/$number/program"
    done
}

# mutant_judge FOLDER: make that one and run it; says how it ended.
mutant_judge()
{
    file=$(cat "$1/file")
    rule=$(cat "$1/rule")
    setting=$(cat "$1/setting")
    sed -f "$1/sed" "$mutant_root/$file" >"$1/mutant.c"
    if cmp -s "$1/mutant.c" "$mutant_root/$file"; then
        echo "STALE    $rule: '$(cat "$1/sed")' changes nothing in $file"
        return
    fi
    if ! $CC -std=c11 -O0 -w -D_GNU_SOURCE -I$mutant_root/src -I$mutant_root/tests $CPPFLAGS -c \
        "$1/mutant.c" -o "$1/mutant.o" 2>"$1/errors"; then
        echo "BROKEN   $rule: $(head -n 3 "$1/errors")"
        return
    fi
    for program in $(cat "$1/programs"); do
        if ! $CC "$1/mutant.o" $(mutant_objects "$program" "$file") $LIBS -o "$1/program" \
            2>"$1/errors"; then
            echo "BROKEN   $rule: $(head -n 3 "$1/errors")"
            return
        fi
        if ! mutant_passes "$1/program" "$1/output" $setting; then
            echo "noticed  $rule ($program: $(mutant_notice "$1/output"))"
            return
        fi
    done
    echo "MISSED   $rule: $file, $(cat "$1/sed")"
}

# mutant_passes PROGRAM OUTPUT [SETTING]
mutant_passes()
{
    passing=$1
    output=$2
    shift 2
    env "$@" timeout "$mutant_seconds_max" "$passing" >"$output" 2>&1
}

# mutant_notice OUTPUT: the name of the test that failed, or what the simulation says.
mutant_notice()
{
    notice=$(sed -n 's/^[^ ]*:[0-9]*:[FE]:[^:]*:\([^:]*\):.*/\1/p
        s/^# \(seed [0-9]*\) at [0-9]* us: /\1: /p
        s/.*Assertion/assertion/p' "$1" | head -n 1)
    echo "${notice:-it crashed or did not end}"
}

# mutant_objects PROGRAM FILE: what the program is linked of beside the library and FILE.
mutant_objects()
{
    case $1 in
    flow/coalescer_sim) others="chroma_model coalescer_check coalescer_sim_draw coalescer_sim_send" ;;
    flow/test_flow_overload) others="limits_world" ;;
    flow/*)
        others="fake_clock fake_loop fake_net fake_worker_pool flow_backend flow_client flow_pattern
            flow_world"
        case $1 in
        flow/test_flow_auth*) others="$others auth_world" ;;
        flow/test_flow_services*) others="$others services_world" ;;
        flow/test_flow_collapse*) others="$others collapse_world" ;;
        flow/test_flow_mirror_construct | flow/test_flow_mirror_kept)
            others="$others fake_mirror_copy fake_records"
            ;;
        flow/test_flow_mirror_path*)
            others="$others fake_mirror_copy fake_records mirror_path_world"
            ;;
        flow/test_flow_mirror*) others="$others fake_mirror_copy fake_records mirror_world" ;;
        esac
        ;;
    unit/test_coalescer_order | unit/test_collection_table_simulation) others= ;;
    unit/test_coalescer*) others=coalescer_bed ;;
    unit/test_collection_table*) others=collection_table_bed ;;
    unit/test_mirror_records*) others=mirror_records_bed ;;
    unit/test_mirror_copy) others=../support/copy_world ;;
    unit/test_mirror_copy_orders) others="../support/copy_world ../support/plain_records" ;;
    *) others= ;;
    esac
    for object in "${1##*/}" $others; do
        object=tests/${1%/*}/$object
        [ "$object.c" = "$2" ] || echo "$object.o"
    done
}
