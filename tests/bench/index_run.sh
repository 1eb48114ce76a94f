#!/bin/sh
# index_run.sh - measure the index, hnswlib and FAISS on the same files, one after the other.
#
#   index_run.sh BUILD_DIR DATA_DIR RESULT_DIR [SET ...]
#
# Sets: e384 e384h l128 e1536 (generated into DATA_DIR when missing) and real (DATA_DIR holds
# real.base.f32 and real.query.f32, made by index_embed.py). Peers are built where their headers
# are: HNSWLIB_08 names a folder with hnswlib 0.8's headers (the PyPI sdist carries them), Debian's
# libhnswlib-dev and libfaiss-dev are found by themselves. Environment: CPU (core to pin to, 0),
# PASSES (5), EFS, VECTORS (100000). Writes RESULT_DIR/index-SET-WHO.json, one object per line.
set -eu

build=$1 data=$2 results=$3
shift 3
[ $# -gt 0 ] || set -- e384 e384h l128 e1536
here=$(dirname "$0")
pin="taskset -c ${CPU:-0}"
passes=${PASSES:-5}
efs=${EFS:-16,24,32,48,64,100,150,200,400}
mkdir -p "$data" "$results"

build_peer() { # name, flags, source, libraries
    [ -x "$data/$1" ] && return 0
    # shellcheck disable=SC2086
    ${CXX:-c++} -O3 -DNDEBUG $2 -I"$here" "$here/$3" -o "$data/$1" $4 2>/dev/null ||
        { echo "$1 is left out: it cannot be built here" >&2; return 1; }
}

peers=
build_peer hnswlib06 -march=native index_hnswlib.cc -lpthread && peers="$peers hnswlib06"
if [ -n "${HNSWLIB_08:-}" ]; then
    build_peer hnswlib08 "-march=native -I$HNSWLIB_08" index_hnswlib.cc -lpthread &&
        peers="$peers hnswlib08"
    build_peer hnswlib08-avx2 "-march=x86-64-v3 -I$HNSWLIB_08" index_hnswlib.cc -lpthread &&
        peers="$peers hnswlib08-avx2"
fi
build_peer faiss -march=native index_faiss.cc "-fopenmp -lfaiss -llapack -lblas" && peers="$peers faiss"

for set in "$@"; do
    case $set in
    l128) dim=128 metric=l2 ;;
    e1536) dim=1536 metric=ip ;;
    *) dim=384 metric=ip ;;
    esac
    base=$data/$set
    [ -f "$base.base.f32" ] ||
        "$build/tests/bench/index_data" "$set" "${VECTORS:-100000}" 1000 "$base"
    ours="$pin $build/tests/bench/bench_index --base $base.base.f32 --queries $base.query.f32
        --dim $dim --metric $metric --passes $passes --dir $data --ef $efs"
    [ -f "$base.truth.i32" ] ||
        $ours --ef 16 --passes 1 --quant exact --write-truth "$base.truth.i32" >/dev/null
    ours="$ours --truth $base.truth.i32"
    echo "$set: q8" >&2
    $ours --quant q8 >"$results/index-$set-q8.json"
    $ours --quant q8 --kernel avx2 >"$results/index-$set-q8-avx2.json"
    $ours --quant q4 >"$results/index-$set-q4.json"
    for peer in $peers; do
        echo "$set: $peer" >&2
        OMP_NUM_THREADS=1 $pin "$data/$peer" "$base.base.f32" "$base.query.f32" \
            "$base.truth.i32" "$dim" "$metric" 16 100 "$efs" "$passes" \
            >"$results/index-$set-$peer.json"
    done
done
