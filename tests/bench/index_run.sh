#!/bin/sh
# index_run.sh - measure the index, hnswlib and FAISS on the same files, one after the other.
#
#   index_run.sh BUILD_DIR DATA_DIR RESULT_DIR [WORD ...]
#
# Words, all but `real` and `million` when none is given:
#   e384 e384h l128 e1536  sets of VECTORS (100000), generated into DATA_DIR when missing
#   real                   DATA_DIR holds real.base.f32 and real.query.f32, made by index_embed.py
#   extras                 on e384: filters, reload, cold vectors, search beside a writer, churn,
#                          building on two threads
#   million                1 000 000 of e384: memory, building, searching, cold and warm vectors
#
# Peers are built where their headers are: HNSWLIB_08 names a folder with hnswlib 0.8's headers (the
# PyPI sdist carries them), Debian's libhnswlib-dev and libfaiss-dev are found by themselves.
# Environment: PEERS (hnswlib06 hnswlib08 hnswlib08-avx2 faiss), CPU (core to pin to, 0), PASSES (5),
# EFS, VECTORS. Writes RESULT_DIR/index-SET-WHO.json, one object per line.
# shellcheck disable=SC2086 # $pin, $ours and compiler flags are several words
set -eu

build=$1 data=$2 results=$3
shift 3
[ $# -gt 0 ] || set -- e384 e384h l128 e1536 extras
here=$(dirname "$0")
pin="taskset -c ${CPU:-0}"
passes=${PASSES:-5}
efs=${EFS:-16,24,32,48,64,100,150,200,400}
mkdir -p "$data" "$results"

build_peer() { # name, flags, source, libraries
    case " ${PEERS:-hnswlib06 hnswlib08 hnswlib08-avx2 faiss} " in
    *" $1 "*) ;;
    *) return 0 ;;
    esac
    [ -x "$data/$1" ] || ${CXX:-c++} -O3 -DNDEBUG $2 -I"$here" "$here/$3" -o "$data/$1" $4 2>/dev/null || {
        echo "$1 is left out: it cannot be built here" >&2
        return 0
    }
    peers="$peers $1"
}

use_set() { # set, vectors: sets $ours, our program with all that belongs to the set
    case $1 in
    l128) dim=128 metric=l2 ;;
    e1536) dim=1536 metric=ip ;;
    *) dim=384 metric=ip ;;
    esac
    base=$data/$1
    [ -f "$base.base.f32" ] ||
        "$build/tests/bench/index_data" "$(echo "$1" | sed s/million/e384/)" "$2" 1000 "$base"
    ours="$build/tests/bench/bench_index --base $base.base.f32 --queries $base.query.f32
        --dim $dim --metric $metric --passes $passes --dir $data"
    [ -f "$base.truth.i32" ] ||
        $ours --ef 16 --passes 1 --quant exact --write-truth "$base.truth.i32" >/dev/null
    ours="$ours --truth $base.truth.i32"
}

compare_set() {
    use_set "$1" "${VECTORS:-100000}"
    echo "$1: q8, q4" >&2
    $pin $ours --ef "$efs" --quant q8 >"$results/index-$1-q8.json"
    $pin $ours --ef "$efs" --quant q8 --kernel avx2 >"$results/index-$1-q8-avx2.json"
    $pin $ours --ef "$efs" --quant q4 >"$results/index-$1-q4.json"
    for peer in $peers; do
        echo "$1: $peer" >&2
        OMP_NUM_THREADS=1 $pin "$data/$peer" "$base.base.f32" "$base.query.f32" \
            "$base.truth.i32" "$dim" "$metric" 16 100 "$efs" "$passes" \
            >"$results/index-$1-$peer.json"
    done
}

# Not pinned: the writer and the second thread want a core of their own.
measure_extras() {
    use_set e384 "${VECTORS:-100000}"
    echo "extras: filters, reload, a writer, churn, two threads" >&2
    $ours --ef 64 --quant q8 --filter-fraction 0.01 --passes 20 --snapshot "$data/snapshot" \
        --writer --churn 10,0.2 >"$results/index-extra-one.json"
    $ours --ef 64 --quant q8 --filter-fraction 0.1 --passes 20 --threads 2 \
        >"$results/index-extra-two.json"
    rm -f "$data/snapshot" "$data/snapshot.vectors"
}

measure_million() {
    use_set million 1000000
    echo "million: q8 on two threads" >&2
    $ours --ef 32,64,100,200 --quant q8 --threads 2 --snapshot "$data/snapshot" \
        >"$results/index-million-q8.json"
    rm -f "$data/snapshot" "$data/snapshot.vectors"
}

peers=
build_peer hnswlib06 -march=native index_hnswlib.cc -lpthread
if [ -n "${HNSWLIB_08:-}" ]; then
    build_peer hnswlib08 "-march=native -I$HNSWLIB_08" index_hnswlib.cc -lpthread
    build_peer hnswlib08-avx2 "-march=x86-64-v3 -I$HNSWLIB_08" index_hnswlib.cc -lpthread
fi
build_peer faiss -march=native index_faiss.cc "-fopenmp -lfaiss -llapack -lblas"

for word in "$@"; do
    case $word in
    extras) measure_extras ;;
    million) measure_million ;;
    *) compare_set "$word" ;;
    esac
done
