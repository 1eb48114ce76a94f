/* What must hold: how long it takes to find that a key is not known does not tell how much of it is
 * right. Time is measured in instructions, one by one (ptrace), so that each run gives the same
 * numbers on each machine. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limits/key_ring.h"
#include "support/check_main.h"

enum { POSITIONS = KEY_RING_DIGEST_SIZE, ROUNDS = 2, COUNT_MAX = 100000 };

static struct key_ring *ring;
static unsigned char    known[KEY_RING_DIGEST_SIZE];

static void begin(void)
{
    struct key_ring_entry entry = {.id = 1, .name = BYTES_LITERAL("chat")};

    for (size_t i = 0; i < sizeof known; i++)
        known[i] = entry.digest[i] = (unsigned char)(17 * i + 3);
    ring = key_ring_new();
    ck_assert_ptr_nonnull(ring);
    ck_assert_int_eq(key_ring_add(ring, &entry, NULL), STATUS_OK);
}

static void end(void)
{
    key_ring_drop(ring);
}

/* The highest bit: a small ring looks for it in the same place. */
static void differ(unsigned char digest[KEY_RING_DIGEST_SIZE], int position)
{
    memcpy(digest, known, KEY_RING_DIGEST_SIZE);
    digest[position] ^= 0x80;
}

/* In the child: between two signals, one comparison. All once before, as libraries are bound then.
 */
static void compare_all(void)
{
    unsigned char digest[KEY_RING_DIGEST_SIZE];

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(2);
    for (int i = 0; i < ROUNDS * POSITIONS; i++) {
        differ(digest, i % POSITIONS);
        raise(SIGUSR1);
        if (key_ring_find(ring, digest) != NULL)
            _exit(1);
        raise(SIGUSR1);
    }
    _exit(0);
}

/* Step the child until it raises the next signal; returns how many instructions that took, -1: it
 * has ended. */
static long step_to_signal(pid_t child, int *ret_status)
{
    for (long count = 0; count < COUNT_MAX; count++) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
            waitpid(child, ret_status, 0) != child || !WIFSTOPPED(*ret_status))
            return -1;
        if (WSTOPSIG(*ret_status) == SIGUSR1)
            return count;
    }
    return -1;
}

START_TEST(where_a_wrong_key_differs_takes_no_other_time)
{
    int   status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        compare_all();
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) { /* no debugging here: a sandbox, or a debugger itself */
        ck_assert_int_eq(WEXITSTATUS(status), 2);
        printf("skipped: ptrace is denied here, so nothing was measured\n");
        return;
    }
    for (int i = 0; i < ROUNDS * POSITIONS; i++) {
        static long first;
        long        count = step_to_signal(child, &status);

        ck_assert_int_gt(count, KEY_RING_DIGEST_SIZE / 16); /* it looked at all of it */
        if (i == POSITIONS)
            first = count;
        if (i > POSITIONS)
            ck_assert_msg(count == first, "a wrong byte %d takes %ld instructions, byte 0 %ld",
                          i % POSITIONS, count, first);
        if (i + 1 < ROUNDS * POSITIONS)
            ck_assert_int_gt(step_to_signal(child, &status), 0);
    }
    ck_assert_int_eq(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("key_timing");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, where_a_wrong_key_differs_takes_no_other_time);
    return check_main("key_timing", tcase);
}
