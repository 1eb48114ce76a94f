/* What must hold: order, and a node that knows by itself whether it is in a list. */
#include "base/list.h"
#include "support/check_main.h"

#define NODES 4

struct item {
    int              number;
    struct list_node node;
};

static struct list list;
static struct item items[NODES];

static void setup(void)
{
    list_init(&list);
    for (int i = 0; i < NODES; i++) {
        items[i].number = i;
        list_node_init(&items[i].node);
    }
}

static int number_of(const struct list_node *node)
{
    return LIST_ITEM(node, const struct item, node)->number;
}

START_TEST(an_empty_list_has_no_first_and_no_last)
{
    ck_assert(list_is_empty(&list));
    ck_assert_ptr_null(list_first(&list));
    ck_assert_ptr_null(list_last(&list));
}
END_TEST

START_TEST(nodes_stand_where_they_were_put)
{
    static const int expected[] = {1, 0, 3, 2};
    int              at = 0;

    list_push_back(&list, &items[0].node);
    list_push_back(&list, &items[2].node);
    list_push_front(&list, &items[1].node);
    list_insert_after(&items[0].node, &items[3].node);
    LIST_FOR_EACH(node, &list)
    {
        ck_assert_int_eq(number_of(node), expected[at]);
        at++;
    }
    ck_assert_int_eq(at, NODES);
    ck_assert_int_eq(number_of(list_first(&list)), 1);
    ck_assert_int_eq(number_of(list_last(&list)), 2);
}
END_TEST

START_TEST(removing_twice_is_harmless_and_the_node_knows)
{
    list_push_back(&list, &items[0].node);
    list_push_back(&list, &items[1].node);
    ck_assert(list_node_is_linked(&items[0].node));
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    ck_assert(!list_node_is_linked(&items[0].node));
    ck_assert_int_eq(number_of(list_first(&list)), 1);
    ck_assert_ptr_eq(list_first(&list), list_last(&list));
    list_push_back(&list, &items[0].node);
    ck_assert_int_eq(number_of(list_last(&list)), 0);
}
END_TEST

START_TEST(the_current_node_may_be_removed_while_walking)
{
    for (int i = 0; i < NODES; i++)
        list_push_back(&list, &items[i].node);
    LIST_FOR_EACH(node, &list)
    {
        list_remove(node);
    }
    ck_assert(list_is_empty(&list));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("list");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, an_empty_list_has_no_first_and_no_last);
    tcase_add_test(tcase, nodes_stand_where_they_were_put);
    tcase_add_test(tcase, removing_twice_is_harmless_and_the_node_knows);
    tcase_add_test(tcase, the_current_node_may_be_removed_while_walking);
    return check_main("list", tcase);
}
