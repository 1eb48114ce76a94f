#include "child/chroma_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

static enum status config_load(const char *path, yaml_document_t *document, struct error *error);
static enum status read_known(yaml_document_t *document, struct chroma_config *ret);
static const char *text_of(yaml_document_t *document, int node);
static void        remove_key(yaml_document_t *document, const char *key);
static bool        config_add(yaml_document_t *document, const char *key, const char *value,
                              yaml_scalar_style_t style);
static bool        config_listen_on(yaml_document_t *document, uint16_t port);
static enum status config_store(const char *path, yaml_document_t *document, struct error *error);

enum status chroma_config_rewrite(const char *from, const char *to, uint16_t port,
                                  struct chroma_config *ret, struct error *error)
{
    yaml_document_t document;
    enum status     status = config_load(from, &document, error);

    if (status != STATUS_OK)
        return status;
    status = read_known(&document, ret);
    if (status == STATUS_OK) {
        remove_key(&document, "port");
        remove_key(&document, "listen_address");
        status = config_listen_on(&document, port) ? STATUS_OK : STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK)
        return config_store(to, &document, error);
    yaml_document_delete(&document);
    return error_set(error, status, "%s: %s", from,
                     status == STATUS_INVALID ? "it is no table of settings with a port"
                                              : "out of memory");
}

static enum status config_load(const char *path, yaml_document_t *document, struct error *error)
{
    FILE         *file = fopen(path, "re");
    yaml_parser_t parser;
    enum status   status = STATUS_OK;

    if (file == NULL)
        return error_set(error,
                         errno == ENOENT   ? STATUS_NOT_FOUND
                         : errno == EACCES ? STATUS_NOT_PERMITTED
                                           : STATUS_IO_FAILED,
                         "cannot read %s: %s", path, strerror(errno));
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    yaml_parser_set_input_file(&parser, file);
    if (!yaml_parser_load(&parser, document))
        status = error_set(error, STATUS_INVALID, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                           parser.problem == NULL ? "not valid YAML" : parser.problem);
    yaml_parser_delete(&parser);
    fclose(file);
    return status;
}

/* An empty file is an empty table. */
static enum status read_known(yaml_document_t *document, struct chroma_config *ret)
{
    yaml_node_t *root = yaml_document_get_root_node(document);

    *ret = (struct chroma_config){.host = "0.0.0.0", .port = 8000, .directory = "./chroma"};
    if (root == NULL)
        return yaml_document_add_mapping(document, NULL, YAML_BLOCK_MAPPING_STYLE) != 0
                   ? STATUS_OK
                   : STATUS_NO_MEMORY;
    if (root->type != YAML_MAPPING_NODE)
        return STATUS_INVALID;
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const char *key = text_of(document, pair->key), *value = text_of(document, pair->value);

        if (strcmp(key, "listen_address") == 0)
            snprintf(ret->host, sizeof ret->host, "%s", value);
        else if (strcmp(key, "persist_path") == 0)
            snprintf(ret->directory, sizeof ret->directory, "%s", value);
        else if (strcmp(key, "port") == 0 && strtoul(value, NULL, 10) <= UINT16_MAX)
            ret->port = (uint16_t)strtoul(value, NULL, 10);
    }
    return ret->port == 0 ? STATUS_INVALID : STATUS_OK;
}

/* "" for what is no text. */
static const char *text_of(yaml_document_t *document, int node)
{
    const yaml_node_t *found = yaml_document_get_node(document, node);

    return found != NULL && found->type == YAML_SCALAR_NODE ? (const char *)found->data.scalar.value
                                                            : "";
}

static void remove_key(yaml_document_t *document, const char *key)
{
    yaml_node_t      *root = yaml_document_get_root_node(document);
    yaml_node_pair_t *to = root->data.mapping.pairs.start;

    for (yaml_node_pair_t *from = to; from < root->data.mapping.pairs.top; from++)
        if (strcmp(text_of(document, from->key), key) != 0)
            *to++ = *from;
    root->data.mapping.pairs.top = to;
}

static bool config_listen_on(yaml_document_t *document, uint16_t port)
{
    char number[8];

    snprintf(number, sizeof number, "%u", port);
    return config_add(document, "port", number, YAML_PLAIN_SCALAR_STYLE) &&
           config_add(document, "listen_address", "127.0.0.1", YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

/* The root is the first node. */
static bool config_add(yaml_document_t *document, const char *key, const char *value,
                       yaml_scalar_style_t style)
{
    int name = yaml_document_add_scalar(document, NULL, (const yaml_char_t *)key, -1,
                                        YAML_PLAIN_SCALAR_STYLE);
    int text = yaml_document_add_scalar(document, NULL, (const yaml_char_t *)value, -1, style);

    return name != 0 && text != 0 && yaml_document_append_mapping_pair(document, 1, name, text);
}

/* Takes the document. Readable by its owner only: a file may hold credentials. */
static enum status config_store(const char *path, yaml_document_t *document, struct error *error)
{
    int            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE          *file = fd < 0 ? NULL : fdopen(fd, "w");
    yaml_emitter_t emitter;
    bool           good = false;

    if (file == NULL || !yaml_emitter_initialize(&emitter)) {
        yaml_document_delete(document);
        if (file != NULL)
            fclose(file);
        return error_set(error, STATUS_IO_FAILED, "cannot write %s: %s", path, strerror(errno));
    }
    yaml_emitter_set_output_file(&emitter, file);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    good = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, document) &&
           yaml_emitter_close(&emitter);
    yaml_emitter_delete(&emitter);
    if (fclose(file) == 0 && good)
        return STATUS_OK;
    return error_set(error, STATUS_IO_FAILED, "cannot write %s: %s", path, strerror(errno));
}

enum status chroma_config_write(const char *to, const char *directory, uint16_t port,
                                uint64_t body_bytes_max, bool allows_reset, struct error *error)
{
    yaml_document_t document;
    char            number[24];

    snprintf(number, sizeof number, "%llu", (unsigned long long)body_bytes_max);
    if (!yaml_document_initialize(&document, NULL, NULL, NULL, 1, 1))
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    if (yaml_document_add_mapping(&document, NULL, YAML_BLOCK_MAPPING_STYLE) == 0 ||
        !config_listen_on(&document, port) ||
        !config_add(&document, "persist_path", directory, YAML_DOUBLE_QUOTED_SCALAR_STYLE) ||
        !config_add(&document, "max_payload_size_bytes", number, YAML_PLAIN_SCALAR_STYLE) ||
        !config_add(&document, "allow_reset", allows_reset ? "true" : "false",
                    YAML_PLAIN_SCALAR_STYLE)) {
        yaml_document_delete(&document);
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    return config_store(to, &document, error);
}
