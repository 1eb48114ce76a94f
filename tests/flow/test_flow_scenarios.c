#include "flow/flow_world.h"
#include "support/check_main.h"

static struct flow_world world;

START_TEST(a_read_passes_both_ways)
{
    struct flow_client *client;

    flow_world_begin(&world, 1);
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 1000, 2000, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 2000));
    ck_assert(!world.backend.records[1].body_is_wrong);
    flow_world_end(&world);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_scenarios");

    tcase_add_test(tcase, a_read_passes_both_ways);
    return check_main("test_flow_scenarios", tcase);
}
