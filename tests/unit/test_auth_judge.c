/* What must hold, request by request: who has the scope that an operation needs is let through, and
 * nobody else, however he spells it; what rests on a name or on a body waits for it. */
#include <stdio.h>
#include <string.h>

#include "auth/auth_judge.h"
#include "support/check_main.h"

#define T      "/api/v2/tenants/t"
#define D      T "/databases/d"
#define C      D "/collections"
#define UUID   "11111111-2222-4333-8444-555555555555"
#define RECORD C "/" UUID

static struct http_head    head;
static struct chroma_route route;
static struct key_scope    scopes[4];
static struct auth_names   names;
static char                why[AUTH_JUDGE_WHY_SIZE];

/* The key has these scopes, with spaces between them; the collection is t/d/docs. */
static struct auth_question ask(const char *key, const char *method, const char *target)
{
    struct auth_question question = {.head = &head, .route = &route, .scopes = scopes};
    struct bytes         rest = bytes_of(key);
    const char          *mark = strchr(target, '?');

    while (rest.size > 0) {
        const char  *space = memchr(rest.data, ' ', rest.size);
        struct bytes scope = {rest.data, space == NULL ? rest.size : (size_t)(space - rest.data)};

        ck_assert_int_eq(key_scope_parse(scope, &scopes[question.scope_count++], NULL), STATUS_OK);
        rest = bytes_skip(rest, scope.size + (space != NULL));
    }
    head = (struct http_head){.method = bytes_of(method), .target = bytes_of(target)};
    head.is_head = strcmp(method, "HEAD") == 0;
    head.path = (struct bytes){target, mark == NULL ? strlen(target) : (size_t)(mark - target)};
    head.query = mark == NULL ? (struct bytes){0} : bytes_of(mark + 1);
    chroma_route_find(head.method, head.path, &route);
    names = (struct auth_names){true, bytes_of("t"), bytes_of("d"), bytes_of("docs")};
    question.names = &names;
    return question;
}

static enum auth_verdict judge(const char *key, const char *method, const char *target,
                               const char *body)
{
    struct auth_question question = ask(key, method, target);
    struct bytes         text = bytes_of(body == NULL ? "" : body);

    question.body = body == NULL ? NULL : &text;
    return auth_judge(&question, why);
}

START_TEST(each_operation_needs_its_verb)
{
    static const struct {
        const char *method, *target, *key;
    } rows[] = {{"POST", RECORD "/query", "read:t/d/docs"},
                {"POST", RECORD "/get", "read:t/d/docs"},
                {"GET", RECORD "/count", "read:t/d/docs"},
                {"HEAD", RECORD "/count", "read:t/d/docs"},
                {"POST", RECORD "/search", "read:t/d/docs"},
                {"GET", RECORD "/indexing_status", "read:t/d/docs"},
                {"POST", RECORD "/add", "write:t/d/docs"},
                {"POST", RECORD "/upsert", "write:t/d/docs"},
                {"POST", RECORD "/update", "write:t/d/docs"},
                {"POST", RECORD "/delete", "delete:t/d/docs"},
                {"GET", C "/by-id/" UUID, "read:t/d/docs"},
                {"GET", C "/docs", "read:t/d/docs"},
                {"DELETE", C "/docs", "delete:t/d/docs"},
                {"DELETE", D, "delete:t/d/*"},
                {"POST", T "/databases", "create:t/*/*"},
                {"GET", T "/databases", "read:t/*/*"},
                {"PATCH", T, "admin:t/*/*"},
                {"POST", "/api/v2/tenants", "admin:*/*/*"},
                {"POST", "/api/v2/reset", "admin:*/*/*"},
                {"GET", "/api/v2/nothing", "admin:*/*/*"},
                {"POST", RECORD "/nothing", "admin:*/*/*"},
                {"GET", "/somewhere", "admin:*/*/*"},
                {"POST", RECORD "/functions/attach", "admin:*/*/*"},
                {"GET", C, "read:t/d/*"},
                {"GET", D "/collections_count", "read:t/d/*"}};
    static const char *const verbs[] = {"read", "write", "create", "delete", "admin"};

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t j = 0; j < COUNT_OF(verbs); j++) {
            const char       *scope = strchr(rows[i].key, ':');
            char              key[80];
            enum auth_verdict verdict;
            bool              is_right = strncmp(rows[i].key, verbs[j], strlen(verbs[j])) == 0;

            snprintf(key, sizeof key, "%s%s", verbs[j], scope);
            verdict = judge(key, rows[i].method, rows[i].target, NULL);
            ck_assert_msg((verdict == AUTH_ALLOWED) == is_right, "%s %s with %s: %d",
                          rows[i].method, rows[i].target, key, (int)verdict);
            ck_assert(is_right || verdict == AUTH_FORBIDDEN);
            if (!is_right) /* what is missing, as it can be given */
                ck_assert_str_eq(why, rows[i].key);
        }
}
END_TEST

START_TEST(who_has_another_name_finds_nothing)
{
    static const char *const keys[] = {"read,write,delete:t/d/other", "read:t/e/docs",
                                       "read:u/d/docs", "create:t/d/other"};

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        ck_assert_int_eq(judge(keys[i], "POST", RECORD "/get", NULL), AUTH_NOT_FOUND);
        ck_assert_int_eq(judge(keys[i], "POST", RECORD "/upsert", NULL), AUTH_NOT_FOUND);
        ck_assert_int_eq(judge(keys[i], "GET", C "/by-id/" UUID, NULL), AUTH_NOT_FOUND);
        ck_assert_int_eq(judge(keys[i], "GET", C "/docs", NULL), AUTH_FORBIDDEN);
    }
}
END_TEST

/* Released servers look at the UUID alone. */
START_TEST(the_path_must_be_true)
{
    const char *everything = "read,admin:*/*/*";
    const char *other = "/api/v2/tenants/u/databases/d/collections/" UUID "/get";

    ck_assert_int_eq(judge(everything, "POST", RECORD "/get", NULL), AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:u/*/* read:t/d/docs", "POST", other, NULL), AUTH_NOT_FOUND);
    ck_assert_int_eq(judge("read:*/*/docs", "POST", other, NULL), AUTH_NOT_FOUND);
    ck_assert_int_eq(judge("read:t/d/docs", "POST",
                           "/api/v2/tenants/t/databases/e/collections/" UUID "/get", NULL),
                     AUTH_NOT_FOUND);
    ck_assert_int_eq(judge("read:t/d/docs", "POST",
                           "/api/v2/tenants/%74/databases/d/collections/{" UUID "}/get", NULL),
                     AUTH_ALLOWED);
}
END_TEST

START_TEST(names_are_waited_for_and_may_be_none)
{
    struct auth_question question = ask("read:t/d/docs", "POST", RECORD "/get");

    question.names = NULL;
    ck_assert_int_eq(auth_judge(&question, why), AUTH_NEEDS_NAMES);
    names.exists = false;
    question.names = &names;
    ck_assert_int_eq(auth_judge(&question, why), AUTH_NOT_FOUND);
    ck_assert_int_eq(judge("read:t/d/docs", "POST", C "/not-a-uuid/get", NULL), AUTH_INVALID);
}
END_TEST

START_TEST(what_is_read_in_two_ways_is_not_let_through)
{
    static const char *const targets[] = {"/api/v2/tenants/t%2Fx/databases/d/collections",
                                          "/api/v2/tenants/t/databases/d%2fcollections",
                                          "/api/v2/tenants/%2e%2e/databases/d/collections",
                                          "/api/v2/tenants/./databases/d/collections",
                                          "/api/v2/tenants/t%252Fx/databases/d/collections",
                                          "/api/v2/tenants/t%00/databases/d/collections",
                                          "/api/v2/tenants/t%5c/databases/d/collections",
                                          "/api/v2/tenants/t%zz/databases/d/collections",
                                          C "?limit=1&limit=2",
                                          C "?limit=x",
                                          C "?limit=-1",
                                          C "?offset=1&off%73et=2",
                                          "/api/v1/collections?tenant=t&tenant=u",
                                          "/api/v1/collections?tenant=t&ten%61nt=u",
                                          "/api/v1/collections?database=d&database=d"};

    for (size_t i = 0; i < COUNT_OF(targets); i++)
        ck_assert_msg(judge("read:*/*/*", "GET", targets[i], NULL) == AUTH_INVALID, "%s",
                      targets[i]);
}
END_TEST

START_TEST(what_is_no_route_needs_admin)
{
    static const char *const targets[] = {"/api/v2//tenants/t/databases/d/collections",
                                          C "/",
                                          "/api/v2/./tenants/t/databases/d/collections",
                                          "/api/v2/tenan%74s/t/databases/d/collections",
                                          "/API/v2/tenants/t/databases/d/collections",
                                          "/api/v2/tenants/t/databases/d/collections/a/b/c"};

    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        ck_assert_int_eq(judge("*:*/*/*", "GET", targets[i], NULL), AUTH_FORBIDDEN);
        ck_assert_int_eq(judge("*:*/*/* admin:*/*/*", "GET", targets[i], NULL), AUTH_ALLOWED);
    }
}
END_TEST

START_TEST(v1_says_where_in_its_query)
{
    const char *key = "read:default_tenant/default_database/*";

    ck_assert_int_eq(judge(key, "GET", "/api/v1/collections", NULL), AUTH_ALLOWED);
    ck_assert_int_eq(judge(key, "GET", "/api/v1/collections?tenant=u", NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(
        judge("read:u/d/x+y", "GET", "/api/v1/collections/x%2By?tenant=u&database=d", NULL),
        AUTH_ALLOWED);
    ck_assert_int_eq(
        judge("read:u/d/*", "GET", "/api/v1/count_collections?database=d&tenant=u", NULL),
        AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:u/d/*", "GET", "/api/v1/tenants/u", NULL), AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:u/d/*", "GET", "/api/v1/tenants/t", NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:u/d/*", "GET", "/api/v1/databases/d?tenant=u", NULL),
                     AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:u/d/*", "GET", "/api/v1/databases/e?tenant=u", NULL),
                     AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:t/d/docs", "POST", "/api/v1/collections/" UUID "/get", NULL),
                     AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:t/d/x", "POST", "/api/v1/collections/" UUID "/get", NULL),
                     AUTH_NOT_FOUND);
}
END_TEST

START_TEST(a_clients_own_tenant_and_database_are_seen)
{
    ck_assert_int_eq(judge("write:t/d/x", "GET", T, NULL), AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/d/x", "GET", D, NULL), AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/e/x", "GET", D, NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("write:u/d/x", "GET", T, NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("write:u/d/x", "GET", "/api/v2/pre-flight-checks", NULL), AUTH_ALLOWED);
}
END_TEST

START_TEST(lists_are_filtered)
{
    ck_assert_int_eq(judge("read:t/d/docs-*", "GET", C "?limit=5&offset=1", NULL), AUTH_FILTERED);
    ck_assert_int_eq(judge("read:t/d/docs-*", "GET", D "/collections_count", NULL), AUTH_FILTERED);
    ck_assert_int_eq(judge("read:t/e/*", "GET", C, NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("write:t/d/docs-*", "GET", C, NULL), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:t/d/docs-*", "HEAD", C, NULL), AUTH_FORBIDDEN);
}
END_TEST

START_TEST(a_creation_is_judged_by_its_body)
{
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, NULL), AUTH_NEEDS_BODY);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":\"abc\"}"), AUTH_ALLOWED);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"n\\u0061me\":\"\\u0061bc\"}"),
                     AUTH_ALLOWED);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":\"bcd\"}"), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:t/d/a*", "POST", C, "{\"name\":\"abc\"}"), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":\"abc\",\"name\":\"bcd\"}"),
                     AUTH_INVALID);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":\"abc\",\"n\\u0061me\":\"b\"}"),
                     AUTH_INVALID);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":1}"), AUTH_INVALID);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{\"name\":\"abc\"} x"), AUTH_INVALID);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "[]"), AUTH_INVALID);
    ck_assert_int_eq(judge("create:t/d/a*", "POST", C, "{}"), AUTH_INVALID);
}
END_TEST

START_TEST(a_readers_get_or_create_gets)
{
    const char *both = "{\"name\":\"docs\",\"get_or_create\":true}";

    ck_assert_int_eq(judge("read:t/d/docs", "POST", C, both), AUTH_AS_GET);
    ck_assert_int_eq(judge("read,create:t/d/docs", "POST", C, both), AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/d/docs", "POST", C, both), AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:t/d/x", "POST", C, both), AUTH_FORBIDDEN);
    ck_assert_int_eq(
        judge("read:t/d/docs", "POST", C, "{\"name\":\"docs\",\"get_or_create\":false}"),
        AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("read:t/d/docs", "POST", C,
                           "{\"name\":\"docs\",\"get_or_create\":true,\"get_or_create\":false}"),
                     AUTH_INVALID);
    ck_assert_int_eq(judge("read:t/d/*", "POST", C, "{\"name\":\"../x\",\"get_or_create\":true}"),
                     AUTH_FORBIDDEN);
}
END_TEST

START_TEST(renamings_need_both_names_and_forks_both_verbs)
{
    ck_assert_int_eq(judge("write:t/d/docs", "PUT", RECORD, NULL), AUTH_NEEDS_BODY);
    ck_assert_int_eq(judge("write:t/d/docs", "PUT", RECORD, "{\"new_metadata\":{}}"), AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/d/docs", "PUT", RECORD, "{\"new_name\":null}"), AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/d/docs", "PUT", RECORD, "{\"new_name\":\"b\"}"),
                     AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("write:t/d/b write:t/d/docs", "PUT", RECORD, "{\"new_name\":\"b\"}"),
                     AUTH_ALLOWED);
    ck_assert_int_eq(judge("write:t/d/b", "PUT", RECORD, "{\"new_name\":\"b\"}"), AUTH_NOT_FOUND);
    ck_assert_int_eq(judge("read:t/d/docs", "POST", RECORD "/fork", "{\"new_name\":\"b\"}"),
                     AUTH_FORBIDDEN);
    ck_assert_int_eq(judge("create:t/d/b", "POST", RECORD "/fork", "{\"new_name\":\"b\"}"),
                     AUTH_NOT_FOUND);
    ck_assert_int_eq(
        judge("read:t/d/docs create:t/d/b", "POST", RECORD "/fork", "{\"new_name\":\"b\"}"),
        AUTH_ALLOWED);
    ck_assert_int_eq(judge("read:t/d/docs create:t/d/b", "POST", RECORD "/fork", "{}"),
                     AUTH_INVALID);
    ck_assert_int_eq(judge("read,write:t/d/docs", "POST", RECORD "/conditional/commit", NULL),
                     AUTH_FORBIDDEN);
}
END_TEST

START_TEST(health_checks_and_preflights_are_open)
{
    static const char *const open[] = {"/api/v2/heartbeat", "/api/v2/version",
                                       "/api/v2/healthcheck", "/api/v2", "/api/v1/heartbeat"};

    for (size_t i = 0; i < COUNT_OF(open); i++) {
        ask("read:t/d/x", "GET", open[i]);
        ck_assert(auth_judge_is_open(&head, &route));
    }
    ask("read:t/d/x", "POST", "/api/v2/heartbeat");
    ck_assert(!auth_judge_is_open(&head, &route));
    ask("read:t/d/x", "GET", "/api/v2/auth/identity");
    ck_assert(!auth_judge_is_open(&head, &route));
    ask("read:t/d/x", "OPTIONS", RECORD "/get");
    ck_assert(!auth_judge_is_open(&head, &route));
    head.fields[head.field_count++] = (struct http_field){.id = HTTP_FIELD_ORIGIN};
    ck_assert(!auth_judge_is_open(&head, &route));
    head.fields[head.field_count++] = (struct http_field){
        .name = BYTES_INIT("Access-Control-Request-Method"), .id = HTTP_FIELD_OTHER};
    ck_assert(auth_judge_is_open(&head, &route));
    head.method = bytes_of("POST");
    ck_assert(!auth_judge_is_open(&head, &route));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("auth_judge");

    tcase_add_test(tcase, each_operation_needs_its_verb);
    tcase_add_test(tcase, who_has_another_name_finds_nothing);
    tcase_add_test(tcase, the_path_must_be_true);
    tcase_add_test(tcase, names_are_waited_for_and_may_be_none);
    tcase_add_test(tcase, what_is_read_in_two_ways_is_not_let_through);
    tcase_add_test(tcase, what_is_no_route_needs_admin);
    tcase_add_test(tcase, v1_says_where_in_its_query);
    tcase_add_test(tcase, a_clients_own_tenant_and_database_are_seen);
    tcase_add_test(tcase, lists_are_filtered);
    tcase_add_test(tcase, a_creation_is_judged_by_its_body);
    tcase_add_test(tcase, a_readers_get_or_create_gets);
    tcase_add_test(tcase, renamings_need_both_names_and_forks_both_verbs);
    tcase_add_test(tcase, health_checks_and_preflights_are_open);
    return check_main("auth_judge", tcase);
}
