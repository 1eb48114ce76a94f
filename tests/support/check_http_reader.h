/* check_http_reader - demand one transcript for an input, however it is cut */
#ifndef SUPPORT_CHECK_HTTP_READER_H
#define SUPPORT_CHECK_HTTP_READER_H

#include <check.h>
#include <string.h>

#include "support/http_transcript.h"

struct check_http_case {
    const char *input;      /* may hold NULs if input_size is given */
    const char *transcript; /* "400" is short for "ERROR INVALID\n", likewise the other statuses */
    size_t      input_size; /* 0: up to the NUL */
};

static const struct http_reader_limits check_http_limits = {
    .start_line_bytes_max = 100, .head_bytes_max = 1000, .body_bytes_max = 40};

static inline const char *check_http_expected(const char *transcript)
{
    static const struct {
        const char *code, *transcript;
    } short_forms[] = {
        {"400", "ERROR INVALID\n"},
        {"414", "ERROR TARGET_TOO_LONG\n"},
        {"417", "ERROR EXPECTATION_FAILED\n"},
        {"431", "ERROR HEADERS_TOO_LARGE\n"},
        {"501", "ERROR NOT_IMPLEMENTED\n"},
        {"502", "ERROR BACKEND_GARBLED\n"},
        {"505", "ERROR VERSION_UNSUPPORTED\n"},
    };

    for (size_t i = 0; i < COUNT_OF(short_forms); i++)
        if (strcmp(transcript, short_forms[i].code) == 0)
            return short_forms[i].transcript;
    return transcript;
}

/* Whole, byte by byte, in two pieces at every place, and in random pieces; always the same reader,
 * so that what one run leaves behind meets the next. */
static inline void check_http_case(struct http_transcript       *transcript,
                                   const struct check_http_case *test_case)
{
    const char  *expected = check_http_expected(test_case->transcript);
    struct bytes input = {.data = test_case->input,
                          .size = test_case->input_size > 0 ? test_case->input_size
                                                            : strlen(test_case->input)};

    ck_assert_str_eq(http_transcript_read(transcript, input, http_transcript_cut_never, NULL),
                     expected);
    ck_assert_str_eq(http_transcript_read(transcript, input, http_transcript_cut_always, NULL),
                     expected);
    for (size_t at = 0; at < input.size; at++)
        ck_assert_str_eq(http_transcript_read(transcript, input, http_transcript_cut_at, &at),
                         expected);
    for (unsigned seed = 1; seed <= 20; seed++) {
        unsigned state = seed;

        ck_assert_str_eq(
            http_transcript_read(transcript, input, http_transcript_cut_randomly, &state),
            expected);
    }
}

static inline void check_http_cases(enum http_reader_kind            kind,
                                    const struct http_reader_limits *limits, bool answers_head,
                                    const struct check_http_case *cases, size_t count)
{
    struct http_transcript transcript = {.reader = http_reader_new(kind, limits),
                                         .answers_head = answers_head};

    for (size_t i = 0; i < count; i++)
        check_http_case(&transcript, &cases[i]);
    http_reader_free(transcript.reader);
    byte_buffer_done(&transcript.text);
}

#define CHECK_HTTP_REQUESTS(cases)                                                                 \
    check_http_cases(HTTP_READER_REQUEST, &check_http_limits, false, cases, COUNT_OF(cases))
#define CHECK_HTTP_RESPONSES(cases)                                                                \
    check_http_cases(HTTP_READER_RESPONSE, &check_http_limits, false, cases, COUNT_OF(cases))

#endif
