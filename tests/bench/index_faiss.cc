// index_faiss - FAISS HNSWFlat on the same files; arguments as index_hnswlib.
#include <faiss/IndexHNSW.h>

#include "index_peer.h"

int main(int argc, char **argv)
{
    peer_options options(argc, argv);
    size_t       before = resident_bytes();
    double       start = wall_seconds(), cpu = cpu_seconds();
    faiss::IndexHNSWFlat index((int)options.dim, (int)options.m,
                               options.metric == "l2" ? faiss::METRIC_L2
                                                      : faiss::METRIC_INNER_PRODUCT);
    index.hnsw.efConstruction = (int)options.ef_construction;
    index.add((faiss::Index::idx_t)options.count, options.base.data());
    print_build(options, wall_seconds() - start, cpu_seconds() - cpu, resident_bytes() - before);
    for (size_t ef : options.efs) {
        index.hnsw.efSearch = (int)ef;
        measure(options, ef, [&](const float *query, int32_t *ids) {
            faiss::Index::idx_t labels[peer_k];
            float               distances[peer_k];
            index.search(1, query, peer_k, distances, labels);
            for (int i = 0; i < peer_k; i++)
                ids[i] = (int32_t)labels[i];
        });
    }
}
