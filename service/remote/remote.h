/*
 * Far storages: places behind the cache, which several machines share. A look-up that misses asks
 * one for the key; what it gives becomes a record of the cache. What is stored in the cache is
 * handed on, later. Each far storage that a config uses is a plugin's code in a child process of
 * its own (protocol.h), which is begun again after a crash, an error in opening, or 5 s without an
 * answer; after several in a row only once a minute.
 *
 * Behind this header: remote.c (all of them), requests.c (what became of a request), child.c (the
 * process and the talk with it); in the child: serve.c.
 *
 * Nothing here waits for the child. What isn't handed on yet is kept in memory, up to a bound; what
 * doesn't fit, or is under way when the child ends, is lost to the far storage and counted. One
 * thread.
 */
#ifndef TC_SERVICE_REMOTE_REMOTE_H
#define TC_SERVICE_REMOTE_REMOTE_H

#include "cache/key.h"
#include "cache/task.h"
#include "service/job.h"
#include "service/log.h"
#include "service/rpc/connection.h"

struct tc_remote;

struct tc_remotes {
    struct tc_remote *first;
    struct tc_jobs jobs;
    struct tc_log *log;
    int epoll_fd; /* told when a child has something to say */
    /* What a child gave for the key. To answer `p`, which may be NULL. Whether it was a record. */
    int (*got)(void *ctx, struct tc_remote *from, struct tc_key key, const void *blob, size_t bytes,
               struct tc_pending *p);
    /* A record that is to be handed on, as a blob, allocated; NULL: there is none any more. */
    void *(*load)(void *ctx, struct tc_key key, size_t *ret_bytes);
    void *ctx;
    /* What became of a request to a lock manager: enum tc_remote_op; 0 or a negative errno. */
    void (*locked)(void *ctx, struct tc_key key, const char *owner, uint32_t op, int status);
    void *locks;
};

/* Begins those that the config's tasks use and that aren't there yet. */
void tc_remotes_use(struct tc_remotes *list, const struct tc_flat *config);

/* By its id in the config, NULL. */
struct tc_remote *tc_remote_of(const struct tc_remotes *list, uint64_t id);
const char *tc_remote_name(const struct tc_remote *r);

/* Answers `p` within the storage's timeout: 0 once `got` has done so, -ENOENT, or another negative
 * errno. */
void tc_remote_fetch(struct tc_remote *r, struct tc_key key, struct tc_pending *p);
/* Takes `blob`, which was allocated. */
void tc_remote_put(struct tc_remote *r, struct tc_key key, void *blob, size_t bytes);
/* Of the cache's record of this key, which isn't read before it is its turn. */
void tc_remote_put_later(struct tc_remote *r, struct tc_key key);
/* It is larger than a blob may be. */
void tc_remote_refuse(struct tc_remote *r, struct tc_key key);
/* TC_REMOTE_ACQUIRE, _RENEW, _RELEASE. 0: it'll be told by `locked`; -EAGAIN: it isn't there, or at
 * something for too long. */
struct tc_remote_lock;
int tc_remote_lock(struct tc_remote *r, uint32_t op, struct tc_key key,
                   const struct tc_remote_lock *lock);
/* For tools: TC_REMOTE_EXISTS, _REMOVE, _LIST, in line behind what is to be handed on; answers `p`.
 * Takes `fd`, where the list goes, -1. */
void tc_remote_ask(struct tc_remote *r, uint32_t op, struct tc_key key, int fd,
                   struct tc_pending *p);
/* Is a record of this key yet to be handed on? */
int tc_remotes_have_put(const struct tc_remotes *list, struct tc_key key);
/* Everywhere. */
void tc_remotes_remove(struct tc_remotes *list, struct tc_key key);

/* A line in the log, at most one in ten seconds. */
void tc_remote_complain(struct tc_remote *r, struct tc_key key, const char *what, const char *why);

/* What became of requests since the service began: of all, at most `room`; how many. */
size_t tc_remotes_numbers(const struct tc_remotes *list, struct tc_far_numbers *to, size_t room);

/* Sends and receives what can be. */
void tc_remotes_step(struct tc_remotes *list);
/* Reaps, begins anew, ends what takes too long. */
void tc_remotes_tick(struct tc_remotes *list);
/* How long the loop may sleep, at most `ms`. */
int tc_remotes_sleep_ms(const struct tc_remotes *list, int ms);
/* Is there something to be handed on? */
int tc_remotes_busy(const struct tc_remotes *list);
/* Hands on what is left, 3 s at most. */
void tc_remotes_end(struct tc_remotes *list);

#endif
