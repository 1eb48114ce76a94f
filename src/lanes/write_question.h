/* write_question - one question to Chroma on behalf of a write, and its answer, kept whole
 *
 * It carries what the client's own request does, credentials among it, but for what tells of its
 * body. It may be used again when it is over, from its own callback, too.
 *
 * Thread: event loop only. Memory: the answer, up to a bound; it is charged.
 */
#ifndef LANES_WRITE_QUESTION_H
#define LANES_WRITE_QUESTION_H

#include "lanes/write.h"

struct write_question;

/* It is over, from the loop. `failure`: why there is no answer; else STATUS_OK. */
typedef void (*write_question_fn)(struct write_question *question, enum status failure);

/* Embedded in its owner; to be read when it is over, until it is sent or cleared. */
struct write_question {
    struct http_head   head;
    struct byte_buffer body;
    bool               is_whole; /* else it was longer than the bound, or memory was out */

    /* Private. */
    struct proxy      *proxy;
    struct write      *write; /* while it asks */
    write_question_fn  on_over;
    size_t             body_max, charged;
    struct call        call;
    struct answer_sink sink;
    struct byte_buffer request, head_bytes;
};

/* `write` is borrowed while a question is under way. */
void write_question_init(struct write_question *question, struct write *write, size_t body_max,
                         write_question_fn on_over);

/* Ask `line`, "METHOD TARGET", with the body in `parts`, which are borrowed until it is over; none:
 * without one. The granted `turn` is taken, whatever the outcome; NULL: it waits for one. False:
 * out of memory, or of room. */
MUST_CHECK bool write_question_send(struct write_question *question, struct bytes line,
                                    enum chroma_operation operation, const struct bytes *parts,
                                    size_t part_count, struct turn *turn);

/* Do not tell; what is under way is cut. No-op when nothing is. */
void write_question_cancel(struct write_question *question);

/* Forget the answer. */
void write_question_clear(struct write_question *question);

/* Cancel it and free what it has. */
void write_question_done(struct write_question *question);

#endif
