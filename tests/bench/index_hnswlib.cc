// index_hnswlib - hnswlib on the same files, printed as bench_index prints.
//
//   index_hnswlib BASE QUERIES TRUTH DIM ip|l2 M EF_CONSTRUCTION EF,EF,.. PASSES
//
// TRUTH: rows of 100 int32 ids, as bench_index --write-truth makes them. Compiled with -O3 -march=native, as its
// authors advise; with -march=x86-64-v3 it is limited to AVX2.
#include <fstream>
#include <iostream>
#include <sstream>

#include "hnswlib/hnswlib.h"
#include "index_peer.h"

int main(int argc, char **argv)
{
    peer_options options(argc, argv);
    std::unique_ptr<hnswlib::SpaceInterface<float>> space;
    if (options.metric == "l2")
        space.reset(new hnswlib::L2Space(options.dim));
    else
        space.reset(new hnswlib::InnerProductSpace(options.dim));
    size_t before = resident_bytes();
    double start = wall_seconds(), cpu = cpu_seconds();
    hnswlib::HierarchicalNSW<float> index(space.get(), options.count, options.m,
                                          options.ef_construction, 1);
    for (size_t i = 0; i < options.count; i++)
        index.addPoint(options.base.data() + i * options.dim, i);
    print_build(options, wall_seconds() - start, cpu_seconds() - cpu, resident_bytes() - before);
    for (size_t ef : options.efs) {
        index.setEf(ef);
        measure(options, ef, [&](const float *query, int32_t *ids) {
            auto found = index.searchKnn(query, peer_k);
            while (!found.empty()) {
                *ids++ = (int32_t)found.top().second;
                found.pop();
            }
        });
    }
}
