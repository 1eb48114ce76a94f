/* What must hold: the number moves at once, watchers are told once per turn, in order. */
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "upstream/upstream_incarnation.h"

static struct loop                 *loop;
static struct upstream_incarnation *incarnation;
static char                         told[8];

static void on_first(void *ctx)
{
    ck_assert_ptr_null(ctx);
    strcat(told, "1");
}

static void on_second(void *ctx)
{
    ck_assert_ptr_null(ctx);
    strcat(told, "2");
}

static bool is_told(void)
{
    return told[0] != '\0';
}

START_TEST(it_moves_at_once_and_tells_at_the_end_of_the_turn)
{
    struct upstream_incarnation_watcher first = {.on_move = on_first},
                                        second = {.on_move = on_second};
    uint64_t before;

    loop = loop_new();
    incarnation = upstream_incarnation_new(loop);
    ck_assert_ptr_nonnull(incarnation);
    upstream_incarnation_watch(incarnation, &first);
    upstream_incarnation_watch(incarnation, &second);
    before = upstream_incarnation_number(incarnation);
    ck_assert_uint_ne(before, 0);
    ck_assert_str_eq(upstream_incarnation_reason(incarnation), "");
    upstream_incarnation_void(incarnation, "one");
    upstream_incarnation_void(incarnation, "two");
    ck_assert_uint_eq(upstream_incarnation_number(incarnation), before + 2);
    ck_assert_str_eq(upstream_incarnation_reason(incarnation), "two");
    ck_assert_str_eq(told, "");
    loop_drive_until(loop, is_told);
    ck_assert_str_eq(told, "12");
    upstream_incarnation_unwatch(&first);
    upstream_incarnation_void(incarnation, "three");
    loop_drive_for(loop, 1000);
    ck_assert_str_eq(told, "122");
    upstream_incarnation_unwatch(&second);
    upstream_incarnation_void(incarnation, "pending when it is freed");
    upstream_incarnation_free(incarnation);
    loop_drive_for(loop, 1000);
    loop_free(loop);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_incarnation");

    tcase_add_test(tcase, it_moves_at_once_and_tells_at_the_end_of_the_turn);
    return check_main("upstream_incarnation", tcase);
}
