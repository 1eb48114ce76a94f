/* records_tool - what chroma/ says of bodies and routes, for tests in other languages
 *
 *   records_tool add|upsert|update FILE      "eligible count=1 encoding=arrays dimension=3" or
 *                                            "alone: <why>", then "json: valid" or "json: invalid"
 *   records_tool splice add|upsert|update FILE...   the body spliced of the files' bodies
 *   records_tool route METHOD PATH           "UPSERT" or "UPSERT <uuid>"
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "chroma/chroma_batch.h"
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

static int verdict(enum chroma_operation operation, const char *name)
{
    static const char *const encodings[] = {"none", "arrays", "base64"};
    struct bytes             body = read_file(name);
    struct chroma_records    records;
    const char              *reason = NULL;

    if (chroma_records_scan(operation, body, RECORDS_MAX, &records, &reason) == STATUS_OK) {
        printf("eligible count=%zu encoding=%s dimension=%zu\n", records.count,
               encodings[records.encoding], records.dimension);
        chroma_records_done(&records);
    } else {
        printf("alone: %s\n", reason);
    }
    printf("json: %s\n", json_scan_is_valid(body) ? "valid" : "invalid");
    free((void *)(uintptr_t)body.data);
    return EXIT_SUCCESS;
}

static int splice(enum chroma_operation operation, char **names, size_t count)
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
    if (argc == 3)
        return verdict(operation_of(argv[1]), argv[2]);
    if (argc == 4 && strcmp(argv[1], "route") == 0)
        return route(argv[2], argv[3]);
    if (argc > 3 && strcmp(argv[1], "splice") == 0)
        return splice(operation_of(argv[2]), argv + 3, (size_t)argc - 3);
    fprintf(stderr, "usage: %s [splice] add|upsert|update FILE... | route METHOD PATH\n", argv[0]);
    return 64;
}
