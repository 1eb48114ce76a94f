/* records_tool - what chroma/ says of bodies and routes, for tests in other languages
 *
 *   records_tool FAMILY add|upsert|update PATH FILE
 *         "eligible count=1 encoding=arrays dimension=3", and " columns=<set>" where members of one
 *         batch must have the same, or "alone: <why>"; then "json: valid" or "json: invalid"
 *   records_tool splice FAMILY add|upsert|update FILE...   the body spliced of the files' bodies
 *   records_tool family BODY                 "python": the family that answers so for its version
 *   records_tool route METHOD PATH           "UPSERT" or "UPSERT <uuid>"
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "chroma/chroma_batch.h"
#include "chroma/chroma_family.h"
#include "json/json_scan.h"

enum { MEMBERS_MAX = 1024, RECORDS_MAX = 1 << 20 };

static enum chroma_operation operation_of(const char *name)
{
    return strcmp(name, "add") == 0      ? CHROMA_OPERATION_ADD
           : strcmp(name, "upsert") == 0 ? CHROMA_OPERATION_UPSERT
                                         : CHROMA_OPERATION_UPDATE;
}

static struct bytes read_file(const char *name)
{
    FILE  *file = fopen(name, "rb");
    char  *data;
    long   size;
    size_t got;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    rewind(file);
    data = malloc((size_t)size + 1);
    got = data == NULL ? 0 : fread(data, 1, (size_t)size, file);
    fclose(file);
    return (struct bytes){.data = data, .size = got};
}

static enum chroma_family family_of(const char *name)
{
    enum chroma_family family = CHROMA_FAMILY_UNKNOWN;

    if (!chroma_family_parse(bytes_of(name), &family)) {
        fprintf(stderr, "no family is called %s\n", name);
        exit(EXIT_FAILURE);
    }
    return family;
}

static int verdict(enum chroma_family family, const char *operation, const char *path,
                   const char *name)
{
    static const char *const encodings[] = {"none", "arrays", "base64"};
    struct bytes             body = read_file(name);
    struct chroma_route      found;
    struct chroma_records    records = {0};
    const char              *reason = NULL;

    chroma_route_find(BYTES_LITERAL("POST"), bytes_of(path), &found);
    if (chroma_records_scan(operation_of(operation), body, RECORDS_MAX, &records, &reason) ==
            STATUS_OK &&
        chroma_family_may_merge(family, &found, &records, &reason)) {
        printf("eligible count=%zu encoding=%s dimension=%zu", records.count,
               encodings[records.encoding], records.dimension);
        if (chroma_family_info(family)->same_columns)
            printf(" columns=%x", records.column_set);
        puts("");
    } else {
        printf("alone: %s\n", reason);
    }
    chroma_records_done(&records);
    printf("json: %s\n", json_scan_is_valid(body) ? "valid" : "invalid");
    free((void *)(uintptr_t)body.data);
    return EXIT_SUCCESS;
}

static int splice(enum chroma_family family, enum chroma_operation operation, char **names,
                  size_t count)
{
    static struct chroma_records      records[MEMBERS_MAX];
    static struct chroma_batch_member members[MEMBERS_MAX];
    struct chroma_batch              *batch;
    const char                       *reason = NULL;

    if (count == 0 || count > MEMBERS_MAX)
        return EXIT_FAILURE;
    for (size_t i = 0; i < count; i++) {
        if (chroma_records_scan(operation, read_file(names[i]), RECORDS_MAX, &records[i],
                                &reason) != STATUS_OK) {
            fprintf(stderr, "%s: %s\n", names[i], reason);
            return EXIT_FAILURE;
        }
        members[i] = (struct chroma_batch_member){&records[i], 0, records[i].count};
    }
    batch = chroma_batch_new(members, count);
    if (batch != NULL && batch->fills_nulls && chroma_family_info(family)->same_columns) {
        fprintf(stderr, "nulls would be filled in where they erase\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; batch != NULL && i < batch->part_count; i++)
        fwrite(batch->parts[i].data, 1, batch->parts[i].size, stdout);
    chroma_batch_free(batch);
    return batch == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int route(const char *method, const char *path)
{
    struct chroma_route found;

    chroma_route_find(bytes_of(method), bytes_of(path), &found);
    printf("%s%s", found.info->name, found.has_uuid ? " " : "");
    for (size_t i = 0; found.has_uuid && i < sizeof found.uuid; i++)
        printf("%02x", found.uuid[i]);
    puts("");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "family") == 0) {
        unsigned version;

        puts(chroma_family_info(chroma_family_of_version(bytes_of(argv[2]), &version))->name);
        return EXIT_SUCCESS;
    }
    if (argc == 4 && strcmp(argv[1], "route") == 0)
        return route(argv[2], argv[3]);
    if (argc > 4 && strcmp(argv[1], "splice") == 0)
        return splice(family_of(argv[2]), operation_of(argv[3]), argv + 4, (size_t)argc - 4);
    if (argc == 5)
        return verdict(family_of(argv[1]), argv[2], argv[3], argv[4]);
    fprintf(stderr,
            "usage: %s FAMILY add|upsert|update PATH FILE | "
            "splice FAMILY add|upsert|update FILE... | family BODY | route METHOD PATH\n",
            argv[0]);
    return 64;
}
