/* chroma_command - the command that starts Chroma, made to listen on a port of ours
 *
 * `chroma run`, alone or behind a runner (`uv run chroma run ...`): its --host and --port are
 * replaced, and where it would have listened is told, as that is where its clients look for it. A
 * configuration file is written anew with our port (chroma_config.h). In any other command {host}
 * and {port} are filled in, in every word.
 *
 * Reads and writes files: before the loop runs. Memory: a copy of the words.
 */
#ifndef CHILD_CHROMA_COMMAND_H
#define CHILD_CHROMA_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

enum { CHROMA_COMMAND_PATH_SIZE = 4096, CHROMA_COMMAND_HOST_SIZE = 256 };

struct chroma_command {
    const char **arguments; /* NULL at the end; freed by chroma_command_done() */
    char       **owned;     /* the words that were made, NULL at the end */
    char         host[CHROMA_COMMAND_HOST_SIZE]; /* where it would have listened */
    uint16_t     port;
    char         directory[CHROMA_COMMAND_PATH_SIZE]; /* its data; "": not known */
};

/* Chroma's own address, whatever it was told. */
#define CHROMA_COMMAND_HOST "127.0.0.1"

/* Read `words` (borrowed as long as *ret lives), and make them listen on `port` of the loopback
 * address. A configuration file is written to `config_path`.
 * STATUS_INVALID  `error` says what cannot be understood, and what to write.
 * STATUS_NOT_FOUND, STATUS_NOT_PERMITTED, STATUS_IO_FAILED  about the configuration file.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status chroma_command_make(int count, char **words, uint16_t port,
                                           const char *config_path, struct chroma_command *ret,
                                           struct error *error);

/* Zero-initialised is fine. */
void chroma_command_done(struct chroma_command *command);

#endif
