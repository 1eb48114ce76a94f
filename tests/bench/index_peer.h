// index_peer - what the benchmarks of other libraries share: files, timing, output
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

static const int peer_k = 10;
static const int peer_truth_width = 100;

static double clock_seconds(clockid_t clock)
{
    timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
static double wall_seconds()
{
    return clock_seconds(CLOCK_MONOTONIC);
}
static double cpu_seconds()
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static size_t resident_bytes()
{
    std::ifstream file("/proc/self/statm");
    size_t        total, resident;
    file >> total >> resident;
    return resident * 4096;
}

template <typename T> static std::vector<T> read_all(const char *path)
{
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) {
        std::fprintf(stderr, "cannot read %s\n", path);
        std::exit(1);
    }
    std::vector<T> data((size_t)file.tellg() / sizeof(T));
    file.seekg(0);
    file.read((char *)data.data(), (std::streamsize)(data.size() * sizeof(T)));
    return data;
}

struct peer_options {
    std::vector<float>   base, queries;
    std::vector<int32_t> truth;
    size_t               dim, m, ef_construction, count, query_count;
    std::string          metric;
    std::vector<size_t>  efs;
    int                  passes;

    peer_options(int argc, char **argv)
    {
        if (argc != 10) {
            std::fprintf(stderr,
                         "usage: BASE QUERIES TRUTH DIM ip|l2 M EF_CONSTRUCTION EFS PASSES\n");
            std::exit(2);
        }
        base = read_all<float>(argv[1]);
        queries = read_all<float>(argv[2]);
        truth = read_all<int32_t>(argv[3]);
        dim = std::strtoul(argv[4], nullptr, 10);
        metric = argv[5];
        m = std::strtoul(argv[6], nullptr, 10);
        ef_construction = std::strtoul(argv[7], nullptr, 10);
        std::stringstream list(argv[8]);
        for (std::string item; std::getline(list, item, ',');)
            efs.push_back(std::stoul(item));
        passes = std::atoi(argv[9]);
        count = base.size() / dim;
        query_count = queries.size() / dim;
    }
};

static void print_build(const peer_options &options, double wall, double cpu, size_t bytes)
{
    std::printf(
        "{\"build_s\":%.3f,\"build_cpu_s\":%.3f,\"bytes_per_vector\":%.1f,\"vectors\":%zu}\n", wall,
        cpu, (double)bytes / (double)options.count, options.count);
    std::fflush(stdout);
}

// Minimum thread CPU time over the passes, summed over batches of 100 queries.
template <typename Search>
static void measure(const peer_options &options, size_t ef, Search search)
{
    std::vector<int32_t> found(options.query_count * peer_k, -1);
    double               total = 0;
    for (size_t first = 0; first < options.query_count; first += 100) {
        size_t last = std::min(first + 100, options.query_count);
        double best = std::numeric_limits<double>::infinity();
        for (int pass = 0; pass < options.passes; pass++) {
            double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
            for (size_t i = first; i < last; i++)
                search(options.queries.data() + i * options.dim, found.data() + i * peer_k);
            best = std::min(best, clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start);
        }
        total += best;
    }
    size_t hits = 0;
    for (size_t q = 0; q < options.query_count; q++)
        for (int i = 0; i < peer_k; i++)
            for (int j = 0; j < peer_k; j++)
                hits += found[q * peer_k + i] == options.truth[q * peer_truth_width + j];
    double each = total / (double)options.query_count;
    std::printf("{\"ef\":%zu,\"recall10\":%.4f,\"qps\":%.0f,\"us\":%.2f}\n", ef,
                (double)hits / (double)(options.query_count * peer_k), 1 / each, each * 1e6);
    std::fflush(stdout);
}
