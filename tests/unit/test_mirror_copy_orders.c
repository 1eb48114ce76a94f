/* What must hold: in whatever order things happen, a copy that is whole is what Chroma has, and it
 * becomes whole when writes pause. The records are in plain memory (tests/support/plain_records.c).
 */
#include "support/check_main.h"
#include "support/copy_world.h"

START_TEST(a_copy_that_is_whole_is_what_chroma_has)
{
    enum { SEEDS = 8000 };

    world_run_seeds(sim_seeds_get(SEEDS), "");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_copy_orders");

    tcase_set_timeout(tcase, 36000);
    tcase_add_test(tcase, a_copy_that_is_whole_is_what_chroma_has);
    return check_main("mirror_copy_orders", tcase);
}
