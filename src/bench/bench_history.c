#include "bench/bench_history.h"

void bench_history_write(FILE *file, const struct bench_request_source *source,
                         const struct bench_history_entry *entry)
{
    const struct bench_request *request = entry->request;
    char                        id[BENCH_REQUEST_ID_SIZE];

    fprintf(file,
            "{\"op\":\"%s\",\"start\":%llu,\"end\":%llu,\"status\":%u,\"failure\":\"%s\","
            "\"executed\":\"%s\",\"collection\":%zu,\"ids\":[",
            bench_request_op_name(request->op), (unsigned long long)entry->start_us,
            (unsigned long long)entry->end_us, entry->status,
            entry->status == 0 ? bench_result_failure_name(entry->failure) : "",
            bench_result_executed_name(entry->executed), entry->collection);
    for (size_t i = 0; i < request->records; i++) {
        bench_request_write_id(source, request->numbers[i], id);
        fprintf(file, "%s\"%.*s\"", i == 0 ? "" : ",", BENCH_REQUEST_ID_SIZE, id);
    }
    fputs("]", file);
    for (size_t i = 0; request->op <= BENCH_REQUEST_UPDATE && i < request->records; i++)
        fprintf(file, "%s\"%016llx\"", i == 0 ? ",\"sums\":[" : ",",
                (unsigned long long)bench_corpus_sum(source->corpus, request->variants[i]));
    fputs(request->op <= BENCH_REQUEST_UPDATE ? "]}\n" : "}\n", file);
}
