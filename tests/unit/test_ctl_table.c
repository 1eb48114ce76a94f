/* What must hold: plain members are lines, lists of objects are tables, numbers of zero and
 * histogram buckets are left out. */
#include <stdio.h>

#include "base/compiler.h"
#include "cli/ctl_table.h"
#include "support/check_main.h"

static const struct {
    const char *json, *text;
} tables[] = {
    {"{}", ""},
    {"{\"a\":1,\"long\":\"x\",\"ok\":true,\"none\":null}", "a     1\nlong  x\nok    yes\n"
                                                           "none  -\n"},
    {"{\"rows\":[{\"name\":\"one\",\"n\":1},{\"name\":\"fourteen\",\"n\":20.5}]}",
     "rows\nname      n\none       1\nfourteen  20.5\n"},
    {"{\"rows\":[]}", "no rows\n"},
    {"{\"rows\":[{\"may\":[\"read\",\"add\"],\"of\":[{}]},{\"may\":[],\"of\":[]}]}",
     "rows\nmay       of\nread add  -\n-         -\n"},
    {"{\"rows\":[{\"a\":1,\"b\":2},{\"a\":3}]}", "rows\na  b\n1  2\n3  -\n"},
    {"{\"v\":\"1\",\"metrics\":{\"a_total\":0,\"b_total{x=\\\"y\\\"}\":7,\"c_bucket\":3}}",
     "v  1\n\nmetrics\nb_total{x=\"y\"}  7\n"},
};

START_TEST(answer_is_printed)
{
    char    text[1000] = "";
    FILE   *out = fmemopen(text, sizeof text, "w");
    json_t *answer = json_loads(tables[_i].json, 0, NULL);

    ck_assert_ptr_nonnull(answer);
    ctl_table_print(out, answer);
    fclose(out);
    ck_assert_str_eq(text, tables[_i].text);
    json_decref(answer);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("ctl_table");

    tcase_add_loop_test(tcase, answer_is_printed, 0, COUNT_OF(tables));
    return check_main("ctl_table", tcase);
}
