#include "cache/locks.h"

#include <stddef.h>

static int same_key(const struct tc_key *a, const struct tc_key *b)
{
    return a->low == b->low && a->high == b->high;
}

static int same_thread(const struct tc_lock_owner *a, const struct tc_lock_owner *b)
{
    return a->link == b->link && a->tid == b->tid;
}

static struct tc_lock_claim *holder_of(const struct tc_locks *l, const struct tc_key *key)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->claim[i].state != TC_LOCK_WAITING && same_key(&l->claim[i].key, key))
            return &l->claim[i];
    return NULL;
}

static struct tc_lock_claim *first_in_line(const struct tc_locks *l, const struct tc_key *key)
{
    struct tc_lock_claim *first = NULL;

    for (uint32_t i = 0; i < l->count; i++) {
        struct tc_lock_claim *c = &l->claim[i];
        if (c->state == TC_LOCK_WAITING && same_key(&c->key, key) &&
            (first == NULL || c->ticket < first->ticket))
            first = c;
    }
    return first;
}

static struct tc_lock_claim *claim_of(const struct tc_locks *l, const struct tc_key *key,
                                      const struct tc_lock_owner *owner)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (same_thread(&l->claim[i].owner, owner) && same_key(&l->claim[i].key, key))
            return &l->claim[i];
    return NULL;
}

static struct tc_lock_claim *wait_of(const struct tc_locks *l, const struct tc_lock_owner *thread)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->claim[i].state == TC_LOCK_WAITING && same_thread(&l->claim[i].owner, thread))
            return &l->claim[i];
    return NULL;
}

static void take_out(struct tc_locks *l, struct tc_lock_claim *c)
{
    *c = l->claim[--l->count];
}

/* A waiter that has gone meanwhile is passed over. All who wait are told: the record may be there
 * by now. */
static void pass_on(struct tc_locks *l, struct tc_key key, int64_t now_ns)
{
    struct tc_lock_claim *next;

    while ((next = first_in_line(l, &key)) != NULL) {
        if (!l->ops->is_gone(l->ctx, &next->owner)) {
            next->state = TC_LOCK_GRANTED;
            next->until_ns = now_ns + TC_LOCK_LAPSE_NS;
            l->ops->changed(l->ctx, key.low);
            return;
        }
        take_out(l, next);
    }
}

static void drop(struct tc_locks *l, struct tc_lock_claim *c, int64_t now_ns)
{
    struct tc_key key = c->key;
    int held = c->state != TC_LOCK_WAITING;

    take_out(l, c);
    if (held)
        pass_on(l, key, now_ns);
}

/* Claims move when one is taken out, so the search begins anew. */
static void drop_lapsed(struct tc_locks *l, int64_t now_ns)
{
    for (uint32_t i = 0; i < l->count;) {
        if (l->claim[i].until_ns > now_ns) {
            i++;
            continue;
        }
        drop(l, &l->claim[i], now_ns);
        i = 0;
    }
}

/* What a thread waits for besides this: it was left by a jump. */
static void drop_left_behind(struct tc_locks *l, const struct tc_key *key,
                             const struct tc_lock_owner *owner, int64_t now_ns)
{
    for (uint32_t i = 0; i < l->count;) {
        struct tc_lock_claim *c = &l->claim[i];
        int other_call = c->owner.serial != owner->serial;
        if (same_thread(&c->owner, owner) && other_call &&
            (c->state != TC_LOCK_HELD || same_key(&c->key, key))) {
            drop(l, c, now_ns);
            i = 0;
        } else {
            i++;
        }
    }
}

/* A thread waits for one key and a key has one holder: what is waited for is a chain. */
static int would_close_a_circle(const struct tc_locks *l, const struct tc_lock_claim *holder,
                                const struct tc_lock_owner *who)
{
    for (uint32_t i = 0; i <= l->count && holder != NULL; i++) {
        const struct tc_lock_claim *w;
        if (same_thread(&holder->owner, who))
            return 1;
        w = wait_of(l, &holder->owner);
        if (w == NULL)
            return 0;
        holder = holder_of(l, &w->key);
    }
    return 0;
}

static struct tc_lock_claim *add(struct tc_locks *l, struct tc_key key,
                                 const struct tc_lock_owner *owner, enum tc_lock_state state)
{
    struct tc_lock_claim *c;

    if (l->count == l->capacity)
        return NULL;
    c = &l->claim[l->count++];
    *c = (struct tc_lock_claim){
        .key = key, .owner = *owner, .ticket = ++l->last_ticket, .state = state};
    return c;
}

enum tc_lock_answer tc_locks_ask(struct tc_locks *l, struct tc_key key,
                                 const struct tc_lock_owner *owner, int64_t hold_ns, int64_t now_ns,
                                 int64_t *ret_again_ns)
{
    struct tc_lock_claim *own, *holder;

    *ret_again_ns = 0;
    drop_lapsed(l, now_ns);
    drop_left_behind(l, &key, owner, now_ns);
    while ((holder = holder_of(l, &key)) != NULL && !same_thread(&holder->owner, owner) &&
           l->ops->is_gone(l->ctx, &holder->owner))
        drop(l, holder, now_ns);
    own = claim_of(l, &key, owner);
    if (own == NULL && holder != NULL && would_close_a_circle(l, holder, owner))
        return TC_LOCK_DEADLOCK;
    if (own == NULL)
        own = add(l, key, owner, holder == NULL ? TC_LOCK_GRANTED : TC_LOCK_WAITING);
    if (own == NULL)
        return TC_LOCK_FULL;
    if (own->state == TC_LOCK_WAITING) {
        own->until_ns = now_ns + TC_LOCK_LAPSE_NS;
        *ret_again_ns = holder->until_ns - now_ns;
        return TC_LOCK_WAIT;
    }
    if (own->state == TC_LOCK_GRANTED)
        own->until_ns = now_ns > INT64_MAX - hold_ns ? INT64_MAX : now_ns + hold_ns;
    own->state = TC_LOCK_HELD;
    return TC_LOCK_YOURS;
}

void tc_locks_release(struct tc_locks *l, struct tc_key key, const struct tc_lock_owner *owner,
                      int64_t now_ns)
{
    struct tc_lock_claim *c = claim_of(l, &key, owner);

    if (c != NULL && c->owner.serial == owner->serial)
        drop(l, c, now_ns);
}

void tc_locks_forget(struct tc_locks *l, uint64_t link, int64_t now_ns)
{
    /* First all of them, so that none is passed on to another. */
    for (uint32_t i = 0; i < l->count;) {
        if (l->claim[i].owner.link == link && l->claim[i].state == TC_LOCK_WAITING)
            take_out(l, &l->claim[i]);
        else
            i++;
    }
    for (uint32_t i = 0; i < l->count;) {
        if (l->claim[i].owner.link == link) {
            drop(l, &l->claim[i], now_ns);
            i = 0;
        } else {
            i++;
        }
    }
}
