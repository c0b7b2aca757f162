/*
 * What the files of service/remote/ share: requests and what becomes of them (requests.c), the
 * child process and the talk with it (child.c). One thread.
 */
#ifndef TC_SERVICE_REMOTE_INTERNAL_H
#define TC_SERVICE_REMOTE_INTERNAL_H

#include "cache/places.h"
#include "service/plugin_host.h"
#include "service/remote/protocol.h"
#include "service/remote/remote.h"

#define TC_REMOTE_REQUEST_MS 5000

struct tc_request {
    struct tc_request *next;
    struct tc_remote_head head;
    void *blob;                 /* head.bytes; a PUT without one: read when it is its turn */
    struct tc_pending *pending; /* of one that is still waited for */
    int64_t until_ms;           /* ... until then */
    int64_t begun_ms;
    int fd; /* TC_REMOTE_LIST: memory for the keys, -1 */
};

struct tc_request_queue {
    struct tc_request *first, *last;
};

struct tc_remote {
    struct tc_remote *next;
    struct tc_remotes *owner;
    struct tc_source source;
    int64_t timeout_ms;
    char path[TC_PATH_BYTES], function[64];
    struct tc_plugin_host host;

    int fd, child_fd; /* -1: its child isn't there */
    pid_t pid;
    unsigned failures; /* in a row */
    int64_t begin_ms;  /* not before */

    struct tc_request_queue fetches, others; /* others: in their order */
    uint64_t late_count;                     /* of `others`: without their bytes */
    uint64_t asked_count;                    /* ... that somebody waits for */
    struct tc_request *running;
    uint64_t serial;              /* of the request that was sent last */
    uint64_t sent;                /* of head and blob */
    struct tc_remote_head answer; /* read so far: */
    uint64_t received;
    unsigned char *data; /* answer.bytes of it, and a NUL */

    int64_t complained_ms;
    struct tc_far_numbers numbers; /* `waiting`: of `others`, with their bytes */
};

/* requests.c */
struct tc_request *tc_request_new(uint32_t op, struct tc_key key, void *blob, size_t bytes);
void tc_request_free(struct tc_request *r);
struct tc_key tc_request_key(const struct tc_request *r);
int tc_request_is_lock(const struct tc_request *r);
void tc_request_push(struct tc_request_queue *q, struct tc_request *r);
void tc_request_push_other(struct tc_remote *self, struct tc_request *r);
/* What the child is to do next, NULL. */
struct tc_request *tc_request_next(struct tc_remote *self);
/* The child answered: self->answer, self->data. Takes self->running. */
void tc_request_finish(struct tc_remote *self);
/* Nobody will answer it. */
void tc_request_drop(struct tc_remote *self, struct tc_request *r, const char *why);
/* ... nor any of these: whoever waits for a lock isn't to wait for another child. */
void tc_request_drop_others(struct tc_remote *self, const char *why);
/* Those that are waited for no longer. What the child is at goes on. */
void tc_request_expire(struct tc_remote *self, int64_t now_ms);
/* When the next one of them is; at most `least_ms`. */
int64_t tc_request_due_ms(const struct tc_remote *self, int64_t least_ms);
void tc_remote_lose(struct tc_remote *self, struct tc_key key, const char *why);
const char *tc_remote_kind(const struct tc_remote *self);
/* A line in the log, and the last trouble. */
void tc_remote_trouble(struct tc_remote *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* child.c */
/* Begins the child, if it isn't there and may be. */
void tc_child_begin(struct tc_remote *self);
/* The rest is told when it was reaped. */
void tc_child_end(struct tc_remote *self);
/* Sends and receives what can be. */
void tc_child_step(struct tc_remote *self);
void tc_child_hang_up(struct tc_remote *self);
/* Whatever it was at is over. */
void tc_child_drop_running(struct tc_remote *self, const char *why);

#endif
