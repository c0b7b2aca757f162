/*
 * The service as a client sees it: starting it, one connection, requests and replies with
 * deadlines (cache/wire.h). Nothing here prints. One thread.
 */
#ifndef TC_TOOLS_CLIENT_H
#define TC_TOOLS_CLIENT_H

#include "cache/places.h"
#include "cache/wire.h"
#include "tools/base.h"

/* Our own files: in the build tree beside us, else where meson installed them. -ENOENT. */
int tc_find_library(char *ret, size_t bytes); /* libtaskcache.so */
int tc_find_service(char *ret, size_t bytes); /* taskcached */

struct tc_client {
    int fd; /* -1: not connected */
    uint64_t seq;
};

/* Connects to the service of the cache `id` and greets it. -ENOENT, -ECONNREFUSED: none runs;
 * -EPERM: another user's; -ETIMEDOUT: it doesn't answer; others. */
int tc_client_connect(struct tc_client *c, const char *runtime, const char *id);
void tc_client_close(struct tc_client *c);

/* Waits for the reply to the last message; -ETIMEDOUT leaves it to be waited for again. */
int tc_client_wait(struct tc_client *c, int timeout_ms, struct tc_reply *ret);
/* Both; a negative status of the reply is returned too. */
int tc_client_request(struct tc_client *c, struct tc_message *m, enum tc_message_type type,
                      size_t bytes, int timeout_ms, struct tc_reply *ret);

/* The same, with a descriptor that goes along, -1. */
int tc_client_request_with(struct tc_client *c, struct tc_message *m, enum tc_message_type type,
                           size_t bytes, int fd, int timeout_ms, struct tc_reply *ret);

/* Runs `taskcached --config PATH` (or `--cache DIR` with `config` NULL, with this limit if it isn't
 * 0) and waits until it says that it is ready. 0, or a negative errno with the cause that it gave.
 */
int tc_service_start(const char *config, const char *cache, uint64_t max_size_bytes,
                     struct tc_cause *ret_cause);

#endif
