/* auth_list - the collections of a database, or their number, as far as a key may read them
 *
 * Chroma is asked for page after page, and what the key may not see is left out; `limit` and
 * `offset` count what is left. What is created or deleted meanwhile may be missing or seen twice,
 * as for anybody who asks for pages. What is not to be had from AUTH_LIST_PAGES_MAX pages is
 * refused: a part of it would be taken for all.
 *
 * Private to proxy/. Thread: event loop only. Memory: a page and the answer, AUTH_LIST_BYTES_MAX
 * each at most, charged as answers.
 */
#ifndef PROXY_AUTH_LIST_H
#define PROXY_AUTH_LIST_H

struct exchange_path;

enum { AUTH_LIST_BYTES_MAX = 32 << 20, AUTH_LIST_PAGE = 100, AUTH_LIST_PAGES_MAX = 1000 };

extern const struct exchange_path auth_list_path;

#endif
