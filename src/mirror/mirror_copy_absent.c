/* Until there are copies: none can be made. */
#include "mirror/mirror_copy.h"

struct bytes mirror_copy_list_request(void)
{
    return BYTES_LITERAL("{\"include\":[]}");
}

enum status mirror_copy_new(const struct mirror_records_options *options,
                            struct mirror_copy **ret_copy, struct error *error)
{
    (void)options;
    (void)error;
    *ret_copy = NULL;
    return STATUS_NOT_IMPLEMENTED;
}

void mirror_copy_free(struct mirror_copy *copy)
{
    (void)copy;
}

enum status mirror_copy_list(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    (void)copy;
    (void)answer;
    (void)moments;
    (void)ret_reason;
    return STATUS_NOT_IMPLEMENTED;
}

enum status mirror_copy_page_request(struct mirror_copy *copy, size_t bytes_wanted,
                                     struct byte_buffer *ret_body)
{
    (void)copy;
    (void)bytes_wanted;
    (void)ret_body;
    return STATUS_NOT_FOUND;
}

enum status mirror_copy_page(struct mirror_copy *copy, struct bytes answer,
                             const struct mirror_moments *moments, const char **ret_reason)
{
    return mirror_copy_list(copy, answer, moments, ret_reason);
}

void mirror_copy_page_failed(struct mirror_copy *copy)
{
    (void)copy;
}

enum status mirror_copy_write(struct mirror_copy *copy, enum chroma_operation operation,
                              struct bytes body, struct bytes answer,
                              const struct mirror_moments *moments, const char **ret_reason)
{
    (void)operation;
    (void)body;
    return mirror_copy_list(copy, answer, moments, ret_reason);
}

bool mirror_copy_maintain(struct mirror_copy *copy)
{
    (void)copy;
    return false;
}

enum status mirror_copy_answer(struct mirror_copy *copy, const struct mirror_question *question,
                               unsigned *ret_status, struct byte_buffer *ret_body,
                               const char **ret_reason)
{
    (void)copy;
    (void)question;
    (void)ret_status;
    (void)ret_body;
    (void)ret_reason;
    return STATUS_NOT_IMPLEMENTED;
}

void mirror_copy_state(struct mirror_copy *copy, struct mirror_copy_state *ret_state)
{
    (void)copy;
    *ret_state = (struct mirror_copy_state){0};
}
