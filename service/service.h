/*
 * The running service: one thread, one epoll loop. A round of it reads what clients sent, writes
 * all of that in one transaction, commits, publishes, and only then replies: whoever has a reply
 * can rely on everybody's seeing what it says.
 */
#ifndef TC_SERVICE_SERVICE_H
#define TC_SERVICE_SERVICE_H

#include "service/lock_manager.h"
#include "service/observe.h"
#include "service/options.h"
#include "service/plan.h"
#include "service/remote/remote.h"
#include "service/rpc/upload.h"

/* A process that isn't connected, but keeps the service alive. */
struct tc_attached {
    struct tc_attached *next;
    struct tc_source source;
    int pidfd;
};

struct tc_service {
    struct tc_options options;
    struct tc_dirs dirs;
    struct tc_log log;
    struct tc_store *store;
    struct tc_jobs jobs;
    struct tc_observers observers;
    struct tc_remotes remotes;
    struct tc_compiler compiler;
    struct tc_planner planner;
    char config[TC_PATH_BYTES]; /* the one whose max_size rules, "" */

    int lock_fd, epoll_fd, listen_fd, signal_fd;
    struct tc_source listen_source, signal_source;
    char socket_path[TC_PATH_BYTES];
    uint64_t socket_ino, lock_ino;
    struct tc_connection *connections;
    struct tc_attached *attached;
    struct tc_packet packet;
    struct tc_lock_manager locks[TC_LOCK_MANAGERS];

    struct tc_uploads uploads;
    int upload_moved;          /* the first one, in the open transaction */
    int stale_uploads;         /* chunks of uploads that were given up */
    struct tc_pending *batch;  /* to be answered after the commit */
    struct tc_pending *hellos; /* to be answered when all that came before is committed */
    uint64_t hello_count;
    struct tc_pending *collecting; /* want to know how many records went */
    uint64_t collected;
    int more_to_evict;

    struct tc_transaction *transactions;

    int leaving;
    int syncing;
    pid_t salvage_pid; /* 0: none is under way */
    int64_t idle_since_ms, looked_ms, folded_ms, synced_ms, swept_ms, deaf_until_ms;
    int64_t transactions_ms;
    int last_store_error;
    int64_t store_error_ms;
};

/* rpc/server.c */
int tc_server_listen(struct tc_service *s, struct tc_failure *f);
/* Waits, accepts, marks what can be read. */
void tc_server_wait(struct tc_service *s, int timeout_ms);
/* Reads and handles messages: of those that have some; while a greeting waits, of all. */
void tc_server_receive(struct tc_service *s);
/* Sends replies, and drops who is gone. */
void tc_server_reply(struct tc_service *s);
/* Answers greetings for which all that came before was read. */
void tc_server_settle(struct tc_service *s);
int tc_server_has_work(const struct tc_service *s);
int tc_server_attach(struct tc_service *s, pid_t pid);
int tc_server_is_ours(const struct tc_service *s);
/* Nobody finds us any more, and nobody is connected but who asked for the end. */
void tc_server_hang_up(struct tc_service *s);
void tc_server_close(struct tc_service *s);

/* rpc/handle.c: the packet in s->packet. A negative errno: no client of ours sends that. */
int tc_handle(struct tc_service *s, struct tc_connection *c);

/* rpc/batch.c */
/* The reply waits for the commit. */
void tc_batch_add(struct tc_service *s, struct tc_pending *p, uint64_t value);
/* What to do about a negative errno of the store: tells those concerned, `p` included. */
void tc_batch_failed(struct tc_service *s, int error, struct tc_pending *p);
/* A piece of every longer work, then the commit. */
void tc_batch_commit(struct tc_service *s);
int tc_batch_has_work(const struct tc_service *s);
/* At the end: nobody gets an answer any more. */
void tc_batch_cancel(struct tc_service *s);

/* rpc/transaction.c: whose staged results there are, and until when. */
/* The transaction of a result that comes from `c`: 0, -ESTALE: there is none, or another process
 * has it. */
int tc_transaction_join(struct tc_service *s, struct tc_connection *c,
                        const struct tc_store_request *m);
/* When it has landed, the far storage gets its result of this key. */
void tc_transaction_notes(struct tc_service *s, const struct tc_connection *c,
                          const uint64_t transaction[2], struct tc_key key, uint64_t remote);
/* struct tc_transaction_request in s->packet. */
int tc_transaction_handle(struct tc_service *s, struct tc_connection *c, struct tc_pending *p);
/* Drops the staged results of processes that have ended; about once a second. */
void tc_transactions_sweep(struct tc_service *s);
void tc_transactions_free(struct tc_service *s);

/* instance.c */
/* 1: the lock is ours; 0: another service answers. A negative errno with its failure. */
int tc_instance_take(struct tc_service *s, struct tc_failure *f);
int tc_instance_is_ours(const struct tc_service *s);

/* loop.c: until the service is to leave. */
void tc_service_run(struct tc_service *s);

#endif
