/* Transactions: what a flow's tasks have staged lands at once, or goes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/service.h"

#define MAX_NOTES 1000000u

/* A result that a far storage is to get. */
struct note {
    struct tc_key key;
    uint64_t remote;
};

struct tc_transaction {
    struct tc_transaction *next;
    uint64_t id[2];
    uint64_t epoch; /* of the store: after another one there is nothing left of it */
    pid_t pid;      /* whose it is */
    int pidfd;      /* -1: it ends with that process' connections */
    uint32_t sender_pid;
    int ended; /* whatever is left of it goes */
    char program[32];
    struct note *notes;
    size_t note_count, note_room;
};

static struct tc_transaction *find(struct tc_service *s, const struct tc_connection *c,
                                   const uint64_t id[2])
{
    for (struct tc_transaction *t = s->transactions; t != NULL; t = t->next) {
        if (!t->ended && t->pid == c->pid && memcmp(t->id, id, sizeof t->id) == 0)
            return t;
    }
    return NULL;
}

static int begin(struct tc_service *s, const struct tc_connection *c, const uint64_t id[2],
                 struct tc_transaction **ret)
{
    struct tc_transaction *t = calloc(1, sizeof *t);

    if (t == NULL)
        return -ENOMEM;
    memcpy(t->id, id, sizeof t->id);
    memcpy(t->program, c->program, sizeof t->program);
    t->epoch = tc_store_epoch(s->store);
    t->pid = c->pid;
    t->sender_pid = (uint32_t)c->pid;
    t->pidfd = c->pidfd >= 0 ? fcntl(c->pidfd, F_DUPFD_CLOEXEC, 0) : -1;
    t->next = s->transactions;
    s->transactions = t;
    *ret = t;
    return 0;
}

/* Does it belong to another process? What is staged is known by its number alone. */
static int is_anothers(const struct tc_service *s, const uint64_t id[2])
{
    for (const struct tc_transaction *t = s->transactions; t != NULL; t = t->next) {
        if (!t->ended && memcmp(t->id, id, sizeof t->id) == 0)
            return 1;
    }
    return 0;
}

/* A live one of this process, begun if it may be. -ESTALE. */
static int take(struct tc_service *s, const struct tc_connection *c, const uint64_t id[2],
                int begins, struct tc_transaction **ret)
{
    *ret = find(s, c, id);
    if (*ret == NULL)
        return begins && !is_anothers(s, id) ? begin(s, c, id, ret) : -ESTALE;
    if ((*ret)->epoch == tc_store_epoch(s->store))
        return 0;
    (*ret)->ended = 1;
    return -ESTALE;
}

int tc_transaction_join(struct tc_service *s, struct tc_connection *c,
                        const struct tc_store_request *m)
{
    struct tc_transaction *t;
    int r = take(s, c, m->transaction, (m->flags & TC_STORE_BEGINS) != 0, &t);

    if (r == 0)
        t->sender_pid = m->pid;
    return r;
}

/* Without memory the far storage doesn't get it: what counts is here. */
static void add_note(struct tc_transaction *t, const struct note *n)
{
    if (t->note_count == t->note_room) {
        size_t room = t->note_room > 0 ? 2 * t->note_room : 16;
        struct note *grown = room <= MAX_NOTES ? realloc(t->notes, room * sizeof *grown) : NULL;

        if (grown == NULL)
            return;
        t->notes = grown;
        t->note_room = room;
    }
    t->notes[t->note_count++] = *n;
}

void tc_transaction_notes(struct tc_service *s, const struct tc_connection *c,
                          const uint64_t transaction[2], struct tc_key key, uint64_t remote)
{
    struct tc_transaction *t = find(s, c, transaction);
    struct note n = {key, remote};

    if (t != NULL)
        add_note(t, &n);
}

static void hand_on(struct tc_service *s, const struct tc_transaction *t)
{
    for (size_t i = 0; i < t->note_count; i++) {
        struct tc_remote *remote = tc_remote_of(&s->remotes, t->notes[i].remote);

        if (remote != NULL)
            tc_remote_put_later(remote, t->notes[i].key);
    }
}

static int merge(struct tc_service *s, const struct tc_transaction *t,
                 struct tc_transaction *parent, uint64_t *ret_count)
{
    int r = tc_store_merge_staged(s->store, t->id, parent->id, ret_count);

    for (size_t i = 0; r == 0 && i < t->note_count; i++)
        add_note(parent, &t->notes[i]);
    return r;
}

/* In the round's LMDB transaction: all of it is there after the round, or nothing. */
static int carry_out(struct tc_service *s, const struct tc_connection *c, struct tc_transaction *t,
                     const struct tc_transaction_request *m, uint64_t *ret_count)
{
    struct tc_transaction *parent;
    int r;

    switch (m->op) {
    case TC_TRANSACTION_COMMIT:
        r = tc_store_keep_staged(s->store, t->id, t->sender_pid, t->program, ret_count);
        if (r == 0)
            hand_on(s, t);
        return r;
    case TC_TRANSACTION_MERGE:
        if (memcmp(m->parent, t->id, sizeof t->id) == 0)
            return -EBADMSG;
        r = take(s, c, m->parent, m->begins != 0, &parent);
        return r < 0 ? r : merge(s, t, parent, ret_count);
    case TC_TRANSACTION_DROP:
        return tc_store_drop_staged(s->store, t->id);
    default:
        return -EBADMSG;
    }
}

int tc_transaction_handle(struct tc_service *s, struct tc_connection *c, struct tc_pending *p)
{
    const struct tc_transaction_request *m = (const void *)s->packet.data;
    struct tc_transaction *t;
    uint64_t count = 0;
    int r;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    r = take(s, c, m->transaction, 0, &t);
    if (r == 0) {
        r = carry_out(s, c, t, m, &count);
        t->ended = 1; /* also if that came to nothing: then the sweep finds its results */
    }
    if (r == -ESTALE || r == -ENOMEM || r == -EBADMSG)
        tc_pending_ready(p, r, TC_R_TRANSACTION_LOST, 0);
    else if (r < 0)
        tc_batch_failed(s, r, p);
    else
        tc_batch_add(s, p, count);
    return 0;
}

static int is_connected(const struct tc_service *s, pid_t pid)
{
    for (const struct tc_connection *c = s->connections; c != NULL; c = c->next) {
        if (c->pid == pid)
            return 1;
    }
    return 0;
}

/* What a dead process had sent before is still read. */
static int is_over(const struct tc_service *s, const struct tc_transaction *t)
{
    struct pollfd p = {.fd = t->pidfd, .events = POLLIN};

    /* An upload whose connection ended may be under way still: its result goes with the rest. */
    if (t->ended)
        return !tc_uploads_have(&s->uploads, t->id);
    if (is_connected(s, t->pid) || s->uploads.first != NULL)
        return 0;
    return t->pidfd < 0 || poll(&p, 1, 0) == 1;
}

static void forget(struct tc_transaction *t)
{
    if (t->pidfd >= 0)
        (void)close(t->pidfd);
    free(t->notes);
    free(t);
}

void tc_transactions_sweep(struct tc_service *s)
{
    struct tc_transaction **at = &s->transactions;

    while (*at != NULL) {
        struct tc_transaction *t = *at;
        int r;

        if (!is_over(s, t)) {
            at = &t->next;
            continue;
        }
        r = tc_store_drop_staged(s->store, t->id);
        if (r < 0) {
            tc_batch_failed(s, r, NULL);
            return; /* the next time */
        }
        *at = t->next;
        forget(t);
    }
}

void tc_transactions_free(struct tc_service *s)
{
    while (s->transactions != NULL) {
        struct tc_transaction *t = s->transactions;

        s->transactions = t->next;
        forget(t);
    }
}
