/* bench - `chromabouncer bench`: put load on a Chroma server, or compare it with and without us */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* Run the subcommand; argv[0] is "bench". Returns the exit status of the process. */
int bench_main(int argc, char **argv);

#endif
