/*
 * The connection to the service: one descriptor of a high number, close-on-exec, whose identity is
 * checked before every use, since the host may have closed it and opened something else there. It
 * is then forgotten, never closed.
 *
 * One thread at a time; the others wait for their turn, no longer than their deadline. Never blocks
 * beyond a deadline; after a failure nothing is tried for a second, but for results, which are sent
 * without waiting. Not for the hit path.
 * Async-signal-safe under the context's guard.
 */
#ifndef TC_PRELOAD_CLIENT_H
#define TC_PRELOAD_CLIENT_H

#include <stdint.h>

#include "cache/wire.h"
#include "preload/under_way.h"

#define TC_REPLY_NS      50000000ll   /* how long a reply is waited for */
#define TC_FIRST_PLAN_NS 1000000000ll /* ... to the constructor's and the notifier's requests */

/* A message in up to three parts, the first begins with struct tc_message (magic, version, bytes
 * and seq are filled in here). */
struct tc_outgoing {
    struct tc_message *head;
    size_t head_bytes;
    const void *part[2];
    size_t part_bytes[2];
    int fd;           /* to pass along, or -1 */
    uint32_t storage; /* whose service; 0: the cache's */
};

/* Sends and waits for the reply. 0 and *ret_reply, or a negative errno: -ENOTCONN (no service),
 * -ETIMEDOUT, -EAGAIN (the socket is full, or the breaker is open). */
int tc_request(const struct tc_outgoing *m, int64_t deadline_ns, struct tc_reply *ret_reply);

/* Sends without waiting for an answer. */
int tc_tell(const struct tc_outgoing *m);

/* Sends if that is possible without waiting for anybody, on a connection that is there: otherwise,
 * nothing. */
void tc_tell_at_once(const struct tc_outgoing *m);
/* The same even after a failure, if the connection is still there: for what others wait for. */
int tc_tell_in_any_case(const struct tc_outgoing *m);

/* Sends a result and waits for the reply; `ret_reply` NULL: nobody waits for it, only for room if
 * too much is under way. A service that is late gets it all the same, into the socket's buffer: 0,
 * and *ret_reply stays as it was. Its key, of which tc_await_sent() is asked, and its hook.
 * *ret_refused: one sent earlier that the service didn't store. */
int tc_store(const struct tc_outgoing *m, uint64_t key_low, uint32_t hook,
             struct tc_reply *ret_reply, struct tc_refused *ret_refused);
/* After a look-up that found nothing: 1, look again, as a result with this key was sent so, and is
 * stored by now (if it ever will be). */
int tc_await_sent(uint32_t storage, uint64_t key_low);

/* Greets the service once in this process (and once more after it came back), waiting for its
 * answer. */
int tc_greet(uint32_t storage);

/* Starts a service (constructor only); tc_request then finds it. `cache`: of this directory, with
 * this limit if it isn't 0; NULL: of the config. */
int tc_start_service(const char *cache, uint64_t max_size_bytes);

/* The calling thread jumped out of whatever it was doing here. Should that be alive after all, on
 * another stack, an answer may go to the wrong one and count as none. */
void tc_client_left(void);

void tc_client_after_fork(void);

#endif
