/* What must hold: a batch that would break the order of writes ends the program, and no other does.
 */
#include <signal.h>
#include <stdlib.h>

#include "support/check_main.h"
#include "writes/coalescer_lane.h"
#include "writes/coalescer_order.h"

enum { members_max = 8 };

static struct coalescer         coalescer;
static struct coalescer_lane    lane;
static struct coalescer_key     key_a, key_b;
static struct coalescer_member *members[members_max];

/* What the lane has, in its order, and which of that goes. A write is its key, 'a' or 'b', and its
 * two ids; a barrier is "-". */
struct order_case {
    const char *redo, *waiting, *goes;
};

static const struct order_case kept[] = {
    {"", "-", "0"},
    {"", "a12", "0"},
    {"", "a12 a34 b56", "01"},
    {"", "a12 a12", "0"},
    {"", "a12 b34 a56", "02"},
    {"", "a12 b13 a45", "02"}, /* who is passed may share with the head */
    {"", "a12 b34 b45 a67 b67 a89", "035"},
    {"", "a12 a34", "1"}, /* the head may be passed, too */
    {"", "a12 b34 b56", "12"},
    {"", "a12 - a34", "0"},
    {"a12 a34 a56", "b12", "01"},
    {"-", "a12", "0"},
};

static const struct order_case broken[] = {
    {"", "a12 a13", "1"},           /* past a head of the same id */
    {"", "- a12", "1"},             /* past a barrier that is the head */
    {"", "a12 a34", "10"},          /* against their order */
    {"", "a12 b34 a45", "02"},      /* past a write of the same id */
    {"", "a12 b34 a56 a37", "023"}, /* the same, later */
    {"", "a12 - a34", "02"},        /* past a barrier */
    {"", "a12 -", "01"},            /* with a barrier */
    {"", "- a12", "01"},            /* a barrier with others */
    {"a12 a34", "", "1"},           /* again, and past another */
    {"a12 a34 a56", "", "02"},      /* likewise */
    {"a12", "b34", "1"},            /* before what is to be sent again */
};

static void begin(void)
{
    coalescer = (struct coalescer){0};
    lane = (struct coalescer_lane){0};
    coalescer_lane_init(&lane);
}

static void end(void)
{
    for (size_t i = 0; i < members_max; i++) {
        free(members[i]);
        members[i] = NULL;
    }
    id_set_done(&coalescer.seen);
}

/* Put the writes of `text` into `list`; returns how many members there are then. */
static size_t fill(struct list *list, const char *text, size_t count)
{
    for (; *text != '\0'; text += *text == ' ') {
        struct coalescer_member *member = calloc(1, sizeof *member + 2 * sizeof(uint64_t));

        ck_assert_ptr_nonnull(member);
        if (*text++ != '-') {
            member->key = text[-1] == 'a' ? &key_a : &key_b;
            member->id_hashes[0] = (uint64_t)*text++;
            member->id_hashes[1] = (uint64_t)*text++;
        }
        member->record_count = 2;
        list_push_back(list, &member->queue);
        members[count++] = member;
    }
    return count;
}

static void check(const struct order_case *order)
{
    size_t                  count = strlen(order->goes);
    struct coalescer_batch *batch = calloc(1, sizeof *batch + count * sizeof batch->members[0]);

    ck_assert_ptr_nonnull(batch);
    fill(&lane.waiting, order->waiting, fill(&lane.redo, order->redo, 0));
    batch->lane = &lane;
    batch->count = count;
    for (size_t i = 0; i < count; i++)
        batch->members[i] = members[order->goes[i] - '0'];
    coalescer_order_check(&coalescer, batch);
    free(batch);
}

START_TEST(what_keeps_the_order_goes)
{
    check(&kept[_i]);
}
END_TEST

START_TEST(what_breaks_it_dies)
{
    check(&broken[_i]);
}
END_TEST

START_TEST(two_calls_of_a_lane_at_once_die)
{
    struct coalescer_batch other = {0};

    lane.in_flight = &other;
    check(&kept[0]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("coalescer_order");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, what_keeps_the_order_goes, 0, COUNT_OF(kept));
    tcase_add_loop_test_raise_signal(tcase, what_breaks_it_dies, SIGABRT, 0, COUNT_OF(broken));
    tcase_add_test_raise_signal(tcase, two_calls_of_a_lane_at_once_die, SIGABRT);
    return check_main("coalescer_order", tcase);
}
