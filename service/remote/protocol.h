/*
 * Between the service and the child process of a far storage or a plugin's lock manager, over a
 * socket pair: one request at a time, one answer each. Both are this header and `bytes` bytes.
 */
#ifndef TC_SERVICE_REMOTE_PROTOCOL_H
#define TC_SERVICE_REMOTE_PROTOCOL_H

#include <stdint.h>

#include "service/plugin_host.h"

enum tc_remote_op {
    TC_REMOTE_OPEN = 1,
    TC_REMOTE_GET, /* the answer has the bytes */
    TC_REMOTE_PUT, /* the request has the bytes */
    TC_REMOTE_REMOVE,
    TC_REMOTE_EXISTS,
    TC_REMOTE_LIST,    /* the answer has keys, struct tc_key */
    TC_REMOTE_ACQUIRE, /* this and the next two: the request has a struct tc_remote_lock */
    TC_REMOTE_RENEW,
    TC_REMOTE_RELEASE,
};

#define TC_REMOTE_MAGIC      0x6d727463u
#define TC_REMOTE_TEXT_BYTES 600u /* of an error's causes */
#define TC_REMOTE_MAX_ERRNO  4095

struct tc_remote_head {
    uint32_t magic;
    uint32_t op;
    int32_t status;  /* of an answer: 0 or a negative errno; then the bytes are the causes' text */
    uint32_t kind;   /* TC_REMOTE_OPEN: TC_STORAGE_FAR or TC_STORAGE_LOCKS */
    uint64_t serial; /* of the request */
    uint64_t key_low, key_high;
    uint64_t bytes;
};

struct tc_remote_lock {
    char owner[33];
    uint64_t ttl_ns;
};

/* In the child: serves until the other end is closed. */
int tc_remote_serve(struct tc_plugin_host *host, const char *path, const char *function, int fd);

#endif
