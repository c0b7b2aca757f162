/*
 * One client: its socket, its process, and the replies that it waits for. Replies go out in the
 * order of requests, so each request gets a place in line (`struct tc_pending`) that is filled in
 * when its result is known. A place outlives its connection; a reply to nobody is dropped.
 *
 * A client that takes no replies is never waited for. One thread.
 */
#ifndef TC_SERVICE_RPC_CONNECTION_H
#define TC_SERVICE_RPC_CONNECTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/wire.h"

struct tc_connection;

struct tc_pending {
    struct tc_pending *next;
    struct tc_pending *batch_next;    /* rpc/server.c: answered after the commit */
    struct tc_connection *connection; /* NULL: it is gone */
    uint64_t seq;
    uint64_t value;
    uint64_t hello; /* number of the greeting, see rpc/server.c */
    int32_t status;
    uint32_t reason;
    int ready;
};

/* What epoll tells about. */
struct tc_source {
    enum {
        TC_SOURCE_LISTEN,
        TC_SOURCE_SIGNAL,
        TC_SOURCE_SOCKET,
        TC_SOURCE_PROCESS,
        TC_SOURCE_ATTACHED,
        TC_SOURCE_REMOTE /* a far storage's child: tc_remotes_step() finds out */
    } kind;
    void *owner;
};

struct tc_connection {
    struct tc_connection *next;
    struct tc_source socket_source, process_source;
    uint64_t number; /* of all connections, from 1 */
    int fd, pidfd;   /* pidfd -1: its end is the socket's end */
    pid_t pid;
    int readable, writable;
    int ended;        /* the process is dead, or the socket says so: close when it is drained */
    int broken;       /* closed at the end of the round */
    int asked_to_end; /* QUIT: it waits for the end of the connection, as that of the service */
    unsigned uploads; /* of its own under way: not read meanwhile */
    uint64_t settled; /* all was read that came before this greeting (rpc/server.c) */
    unsigned since;   /* messages read since it was settled */
    struct tc_pending *first, *last;
    unsigned pending_count;
    pid_t own_pid; /* as it sees itself; 0: it hasn't said */
    char program[32];
};

struct tc_packet {
    unsigned char *data; /* TC_WIRE_MAX_BYTES + 1 */
    size_t bytes;
    int fd; /* one that came along, -1; the receiver closes it */
};

/* Sets SO_PASSCRED and checks the peer's uid. -EPERM: somebody else. Takes the socket. */
int tc_connection_new(int fd, struct tc_connection **ret);
void tc_connection_free(struct tc_connection *c);

/* 1: a packet; 0: nothing for now; -ENOTCONN: the end; -EPERM: a packet of another user; -EBADMSG:
 * no packet of ours. */
int tc_connection_receive(struct tc_connection *c, struct tc_packet *ret);

/* A place in line for the reply to `seq`; NULL if none is wanted or for want of memory (then the
 * connection is broken). All functions below take NULL. */
struct tc_pending *tc_pending_new(struct tc_connection *c, uint64_t seq);
/* Fills it in; the place may be gone afterwards. */
void tc_pending_ready(struct tc_pending *p, int status, unsigned reason, uint64_t value);
/* tc_done_fn */
void tc_pending_done(void *p, int status, unsigned reason, uint64_t value);

/* Sends what is ready, as far as the socket takes it. */
void tc_connection_flush(struct tc_connection *c);

#endif
