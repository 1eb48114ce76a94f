/* What must hold: a mapped file that was cut short is zeros and said to be damaged, whichever
 * thread reads it, others are not touched, and any other SIGBUS ends the process. */
#include "io/mapping_guard.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/check_main.h"

enum { SIZE = 4 * 4096 };

/* A sanitizer's handler is the one before ours, and ends the process in its own way. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { sanitizer_reports_signals = 1 };
#else
enum { sanitizer_reports_signals = 0 };
#endif

static int file;

static const char *map_new(void)
{
    static char text[SIZE];
    void       *base;

    file = memfd_create("test_mapping_guard", MFD_CLOEXEC);
    ck_assert_int_ge(file, 0);
    memset(text, 'x', sizeof text);
    ck_assert_int_eq(pwrite(file, text, SIZE, 0), SIZE);
    base = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    return base;
}

static void *read_last(void *base)
{
    return ((const volatile char *)base)[SIZE - 1] == 0 ? base : NULL;
}

START_TEST(a_file_that_is_cut_short_becomes_zeros)
{
    atomic_bool is_damaged[2] = {false};
    const char *kept = map_new(), *cut = map_new();
    pthread_t   thread;
    void       *result;

    ck_assert_int_eq(mapping_guard_add(kept, SIZE, &is_damaged[0]), STATUS_OK);
    ck_assert_int_eq(mapping_guard_add(cut, SIZE, &is_damaged[1]), STATUS_OK);
    ck_assert_int_eq(cut[SIZE - 1], 'x');
    ck_assert_int_eq(ftruncate(file, 4096), 0);
    ck_assert_int_eq(cut[0], 'x');
    ck_assert(!is_damaged[1]);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, read_last, (void *)(uintptr_t)cut), 0);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_eq(result, cut);
    }
    ck_assert(is_damaged[1] && !is_damaged[0]);
    ck_assert_int_eq(*(const volatile char *)cut, 0);
    ck_assert_int_eq(kept[SIZE - 1], 'x');
    mapping_guard_remove(cut);
    mapping_guard_remove(kept);
    mapping_guard_remove(NULL);
}
END_TEST

START_TEST(one_that_is_not_guarded_ends_the_process)
{
    atomic_bool is_damaged = false;
    const char *base = map_new();

    ck_assert_int_eq(mapping_guard_add(base, SIZE, &is_damaged), STATUS_OK);
    mapping_guard_remove(base);
    ck_assert_int_eq(ftruncate(file, 4096), 0);
    read_last((void *)(uintptr_t)base);
}
END_TEST

START_TEST(mappings_are_bounded_and_their_places_used_again)
{
    static char bytes[MAPPING_GUARD_MAX];
    atomic_bool is_damaged;

    for (int i = 0; i < MAPPING_GUARD_MAX; i++)
        ck_assert_int_eq(mapping_guard_add(bytes + i, 1, &is_damaged), STATUS_OK);
    ck_assert_int_eq(mapping_guard_add(&is_damaged, 1, &is_damaged), STATUS_LIMIT_REACHED);
    mapping_guard_remove(bytes + 7);
    ck_assert_int_eq(mapping_guard_add(bytes + 7, 1, &is_damaged), STATUS_OK);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mapping_guard");

    tcase_add_test(tcase, a_file_that_is_cut_short_becomes_zeros);
    if (!sanitizer_reports_signals)
        tcase_add_test_raise_signal(tcase, one_that_is_not_guarded_ends_the_process, SIGBUS);
    tcase_add_test(tcase, mappings_are_bounded_and_their_places_used_again);
    return check_main("mapping_guard", tcase);
}
