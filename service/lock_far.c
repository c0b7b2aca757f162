/*
 * Locks of a plugin, for services of several machines. The service's own table says which of its
 * clients comes next for a key; that one is in line until the plugin, in its child process, gives
 * this service the key's lock. One claim a key: at most one client has, or asks for, its lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "service/clock.h"
#include "service/lock_manager.h"
#include "service/remote/protocol.h"
#include "service/remote/remote.h"

#define CAPACITY 256u
#define TTL_MS   10000
#define RENEW_MS 3000
#define AGAIN_MS 100 /* between two attempts at a lock that another service has */

enum claim_state {
    FREE = 0,
    WANTED,
    HELD,
    FAILED,    /* until it was told */
    LEAVING,   /* to be released once its record is handed on */
    RELEASING, /* ... and the plugin was told */
};

struct claim {
    enum claim_state state;
    struct tc_key key;
    uint64_t remote;
    uint64_t link, serial; /* the client's, see struct tc_lock_owner */
    struct tc_remote_lock lock;
    int is_asked; /* the child has something to answer */
    int is_held;  /* the plugin has granted it */
    int64_t next_ms, until_ms;
};

struct far {
    const struct tc_store *store;
    const struct tc_lock_manager *local;
    struct tc_remotes *remotes;
    struct claim claims[CAPACITY];
};

static struct claim *claim_of(struct far *f, struct tc_key key)
{
    for (uint32_t i = 0; i < CAPACITY; i++)
        if (f->claims[i].state != FREE && f->claims[i].key.low == key.low &&
            f->claims[i].key.high == key.high)
            return &f->claims[i];
    return NULL;
}

static struct claim *new_claim(struct far *f, struct tc_key key, uint64_t remote)
{
    uint64_t random[2];
    struct claim *c = f->claims;

    while (c < f->claims + CAPACITY && c->state != FREE)
        c++;
    if (c == f->claims + CAPACITY || getrandom(random, sizeof random, 0) != sizeof random)
        return NULL;
    *c = (struct claim){
        .state = WANTED, .key = key, .remote = remote, .lock.ttl_ns = TTL_MS * 1000000ull};
    (void)snprintf(c->lock.owner, sizeof c->lock.owner, "%016llx%016llx",
                   (unsigned long long)random[0], (unsigned long long)random[1]);
    return c;
}

/* Asks the child. */
static int tell(struct far *f, struct claim *c, uint32_t op)
{
    struct tc_remote *r = tc_remote_of(f->remotes, c->remote);
    int e = r != NULL ? tc_remote_lock(r, op, c->key, &c->lock) : -ENODEV;

    c->is_asked = e == 0;
    return e;
}

static void locked(void *ctx, struct tc_key key, const char *owner, uint32_t op, int status)
{
    struct far *f = ctx;
    struct claim *c = claim_of(f, key);

    if (c == NULL || strcmp(c->lock.owner, owner) != 0)
        return;
    c->is_asked = 0;
    if (op == TC_REMOTE_RELEASE) {
        c->state = FREE;
    } else if (c->state == WANTED && op == TC_REMOTE_ACQUIRE) {
        c->state = status == 0 ? HELD : status == -EBUSY ? WANTED : FAILED;
        c->is_held = status == 0;
        c->next_ms = tc_monotonic_ms() + (status == 0 ? RENEW_MS : AGAIN_MS);
        if (status == -EBUSY)
            return;
    } else {
        return;
    }
    tc_lock_changed(f->store, key.low);
}

/* Of who is next in this service. */
static int ask_far(struct far *f, struct claim *c, uint64_t *ret_again_ns)
{
    *ret_again_ns = 0;
    if (c->state == HELD)
        return 0;
    *ret_again_ns = AGAIN_MS * 1000000ull;
    if (c->state == WANTED && !c->is_asked && tc_monotonic_ms() >= c->next_ms &&
        tell(f, c, TC_REMOTE_ACQUIRE) < 0)
        c->state = FAILED;
    if (c->state != FAILED)
        return 0;
    c->state = LEAVING; /* who knows what the plugin has done */
    return -ENOLCK;
}

static int ask(void *state, const struct tc_connection *link, const struct tc_lock_request *m,
               uint64_t *ret_again_ns)
{
    struct far *f = state;
    struct tc_key key = {m->key_low, m->key_high};
    struct claim *c;
    int r = f->local->ops->ask(f->local->state, link, m, ret_again_ns);

    if (r < 0 || *ret_again_ns != 0)
        return r;
    c = claim_of(f, key);
    if (c == NULL)
        c = new_claim(f, key, m->remote);
    if (c == NULL || c->remote != m->remote)
        return -ENOLCK;
    if (c->state == LEAVING || c->state == RELEASING) {
        *ret_again_ns = AGAIN_MS * 1000000ull;
        return 0;
    }
    c->link = link->number;
    c->serial = m->serial;
    c->until_ms = tc_monotonic_ms() + m->hold_ns / 1000000 + 1;
    return ask_far(f, c, ret_again_ns);
}

/* What another service may find must be where it looks, before it may look. */
static void leave(struct far *f, struct claim *c)
{
    c->state = LEAVING;
    if (tc_remotes_have_put(f->remotes, c->key))
        return;
    if (tell(f, c, TC_REMOTE_RELEASE) == 0) {
        c->state = RELEASING;
        return;
    }
    c->state = FREE; /* it lapses there */
    tc_lock_changed(f->store, c->key.low);
}

static int release(void *state, const struct tc_connection *link, const struct tc_lock_request *m)
{
    struct far *f = state;
    struct claim *c = claim_of(f, (struct tc_key){m->key_low, m->key_high});

    if (c != NULL && c->link == link->number && c->serial == m->serial && c->state < LEAVING)
        leave(f, c);
    return f->local->ops->release(f->local->state, link, m);
}

/* The service's own table forgets by itself. */
static void forget(void *state, const struct tc_connection *link)
{
    struct far *f = state;

    for (struct claim *c = f->claims; c < f->claims + CAPACITY; c++)
        if (c->state != FREE && c->state < LEAVING && c->link == link->number)
            leave(f, c);
}

/* Also while what it guarded is still to be handed on. If that can't be, it lapses; the holder
 * stores all the same. */
static void renew(struct far *f, struct claim *c, int64_t now)
{
    if (!c->is_held || c->is_asked || now < c->next_ms)
        return;
    c->next_ms = now + RENEW_MS;
    (void)tell(f, c, TC_REMOTE_RENEW);
}

void tc_lock_far_tick(const struct tc_lock_manager *m)
{
    struct far *f = m->state;
    int64_t now = tc_monotonic_ms();

    for (struct claim *c = f->claims; c < f->claims + CAPACITY; c++) {
        if (c->state == LEAVING || (c->state != FREE && c->state < LEAVING && now >= c->until_ms))
            leave(f, c);
        if (c->state == HELD || c->state == LEAVING)
            renew(f, c, now);
    }
}

static void end(void *state)
{
    struct far *f = state;

    f->remotes->locks = NULL;
    free(f);
}

int tc_lock_far_open(const struct tc_store *store, const struct tc_lock_manager *local,
                     struct tc_remotes *remotes, struct tc_lock_manager *ret)
{
    static const struct tc_lock_manager_ops ops = {
        .name = "plugin", .ask = ask, .release = release, .forget = forget, .close = end};
    struct far *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -ENOMEM;
    f->store = store;
    f->local = local;
    f->remotes = remotes;
    remotes->locked = locked;
    remotes->locks = f;
    *ret = (struct tc_lock_manager){&ops, f};
    return 0;
}
