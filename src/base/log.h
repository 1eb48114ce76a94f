/* log - one line per event, as text or JSON, that never makes its caller wait
 *
 *   text  2026-01-31T12:00:00.123Z info request_done op=get status=200 total_ms=1.250
 *   JSON  {"time":"2026-01-31T12:00:00.123Z","level":"info","event":"request_done","op":"get",...}
 *
 * A line is put together on the caller's stack and copied into a bounded buffer; one writer thread
 * takes it from there. When the file takes no more (a full pipe, a full disk), lines are dropped
 * and counted, and the count is logged as `log_lines_dropped` once writing works again. The writer
 * is woken at most once per 10 ms, whatever the load.
 *
 * Levels go by who must act: error, the operator now; warning, the operator soon; info, nobody
 * (life cycle, requests); debug, developers. Values are escaped, so what comes from outside is
 * safe to pass. Secrets, bodies and vectors are never passed at all.
 *
 * One log per process. Before log_init() and after log_done() nothing is logged. Any thread may
 * log; log_init(), log_reopen() and log_done() are the main thread's.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON }; /* LOG_AUTO: text on a terminal, else JSON */

struct log_options {
    enum log_level  level; /* the least important that is logged */
    enum log_format format;
    const char     *path; /* appended to, created with mode 0640; NULL or "": standard error */
};

enum {
    LOG_LINE_SIZE = 4096,  /* a field that does not fit is left out, and cut=true is added */
    LOG_VALUE_MAX = 1024,  /* bytes of one value; the rest is shown as "..." */
    LOG_LINE_RESERVE = 32, /* for cut=true and the end of the line */
};

/* One line being put together: on the stack, from log_begin() to log_end(). */
struct log_line {
    char *end; /* NULL: the level is off, nothing is written */
    bool  json;
    bool  cut;
    char  text[LOG_LINE_SIZE];
};

/* Open the file and start the writer. Strings are borrowed and copied.
 * STATUS_NOT_PERMITTED, STATUS_IO_FAILED, STATUS_NO_MEMORY: `error` says what to do; there is
 * still no log. */
MUST_CHECK enum status log_init(const struct log_options *options, struct error *error);

/* Write what is buffered, for at most one second, and stop. No other thread may be logging any
 * more. No-op without a log. */
void log_done(void);

/* Change the level from now on. */
void log_set_level(enum log_level level);

/* Open the file again, which a log rotation may have renamed. Happens on the writer; when it fails
 * the old file stays in use and the failure is logged there. */
void log_reopen(void);

/* Is the level logged? For callers that would work to collect the fields. */
bool log_is_on(enum log_level level);

/* Lines dropped since log_init(). */
uint64_t log_dropped(void);

/* Begin a line. `event` is a word of ours, [a-z_]. */
void log_begin(struct log_line *line, enum log_level level, const char *event);

/* Add a field. `key` is a word of ours, [a-z_]; values are borrowed and escaped. */
void log_bytes(struct log_line *line, const char *key, struct bytes value);
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_flag(struct log_line *line, const char *key, bool value);

/* Add a duration as milliseconds with three decimals; `key` ends in _ms. */
void log_ms(struct log_line *line, const char *key, uint64_t value_us);

/* Hand the line over. */
void log_end(struct log_line *line);

/* A whole line with at most one text; `key` NULL: none. */
void log_event(enum log_level level, const char *event, const char *key, const char *value);

#endif
