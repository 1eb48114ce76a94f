/* check_main - the main() of a Check program from a list of tests */
#ifndef SUPPORT_CHECK_MAIN_H
#define SUPPORT_CHECK_MAIN_H

#include <check.h>
#include <stdlib.h>

/* Run `tcase` as the suite `name`; returns the exit status for main(). The Check environment
 * variables (CK_RUN_CASE, CK_FORK, CK_TAP_LOG_FILE_NAME, ...) apply. */
static inline int check_main(const char *name, TCase *tcase)
{
    Suite   *suite = suite_create(name);
    SRunner *runner;
    int      failed;

    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
