/* front_last_hop - answers an OPTIONS that may not be forwarded (Max-Forwards: 0)
 *
 * Who asks so wants to know who stands on the way: a 200 without content is all there is to say.
 */
#ifndef FRONT_FRONT_LAST_HOP_H
#define FRONT_FRONT_LAST_HOP_H

#include "front/front_connection.h"

extern const struct front_handler front_last_hop_handler;

#endif
