/* What must hold: memory that a group of processes has written to is counted, once for each of its
 * processes, and nobody else's. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/process_memory.h"
#include "support/check_main.h"
#include "support/waiting_process.h"

enum { size = 32 << 20 };

/* A process of `group`, or of one of its own with 0, that has filled its memory. */
static pid_t start(pid_t group)
{
    int   ready[2];
    char  byte;
    pid_t id;

    ck_assert_int_eq(pipe(ready), 0);
    id = fork();
    if (id == 0) {
        char *memory = malloc(size);

        setpgid(0, group);
        memset(memory, 1, size);
        if (write(ready[1], memory + size - 1, 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    return id;
}

START_TEST(the_memory_of_a_group_is_counted)
{
    pid_t    first = start(0), stranger = start(0), second;
    uint64_t one = process_memory_read(first), two;

    ck_assert_uint_ge(one, size);
    ck_assert_uint_lt(one, size + (size >> 1));
    second = start(first);
    two = process_memory_read(first);
    ck_assert_uint_ge(two, one + size);
    ck_assert_uint_lt(two, 3 * (uint64_t)size);
    waiting_process_end(second);
    waiting_process_end(stranger);
    waiting_process_end(first);
    ck_assert_uint_eq(process_memory_read(first), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("process_memory");

    tcase_add_test(tcase, the_memory_of_a_group_is_counted);
    return check_main("process_memory", tcase);
}
