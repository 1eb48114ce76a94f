/* fake_net - connections in memory and in simulated time
 *
 * A connection is two ends and, each way, bytes in flight and bytes received, bounded together.
 * One end belongs to the code under test, which reaches it by descriptor through io/socket.h;
 * the other end belongs to an actor of the test, told by a callback.
 *
 * FIN and RST behave as on Linux: closing with unread bytes resets, bytes to a closed end are
 * answered with a reset, what was received before a reset can still be read, and the error of a
 * reset is told once.
 */
#ifndef FLOW_FAKE_NET_H
#define FLOW_FAKE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct fake_net_end; /* opaque; lives as long as the world */

struct fake_net_options {
    uint32_t latency_min_us, latency_max_us; /* one way; drawn for each connection */
    uint32_t capacity_min, capacity_max;     /* of each direction; drawn for each connection */
    unsigned short_percent;                  /* of receives and sends are short */
    unsigned full_percent;                   /* of sends find the socket full */
    bool     connects_at_once;               /* as unix sockets do */
    size_t   descriptors_max;
};

/* Something happened: bytes, room, FIN, a reset. */
typedef void (*fake_net_fn)(struct fake_net_end *end, void *ctx);

/* A connection arrived: set it up with fake_net_tell(). */
typedef void (*fake_net_accept_fn)(struct fake_net_end *end, void *ctx);

/* What a port does with connection attempts. */
enum fake_net_mode { FAKE_NET_ACCEPT, FAKE_NET_REFUSE, FAKE_NET_SILENT };

void fake_net_begin(const struct fake_net_options *options);
void fake_net_done(void);

/* --- for actors --- */

struct fake_net_end *fake_net_connect(uint16_t port, fake_net_fn on_event, void *ctx);
void                 fake_net_serve(uint16_t port, fake_net_accept_fn on_accept, void *ctx);
void                 fake_net_set_mode(enum fake_net_mode mode);
void                 fake_net_tell(struct fake_net_end *end, fake_net_fn on_event, void *ctx);

size_t fake_net_waiting(const struct fake_net_end *end); /* bytes to be read */

/* How many bytes were taken; 0 when full or broken. Told when there is room again. */
size_t fake_net_write(struct fake_net_end *end, struct bytes data);
size_t fake_net_read(struct fake_net_end *end, char *data, size_t size);
bool   fake_net_has_ended(const struct fake_net_end *end); /* FIN or reset, and all was read */
bool   fake_net_will_end(const struct fake_net_end *end);  /* FIN or reset was received */
bool   fake_net_is_reset(const struct fake_net_end *end);
void   fake_net_shutdown(struct fake_net_end *end);
void   fake_net_close(struct fake_net_end *end);
void   fake_net_reset(struct fake_net_end *end);

/* --- what the code under test holds --- */

size_t fake_net_descriptors(void);       /* open now */
size_t fake_net_backend_open(void);      /* of them, connections to the served port */
size_t fake_net_backend_open_peak(void); /* the most there ever were */
void   fake_net_set_descriptors_max(size_t max);

/* Ready for LOOP_READ, LOOP_WRITE? */
unsigned fake_net_ready(int fd);

#endif
