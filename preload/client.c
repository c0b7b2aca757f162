#include "preload/client.h"

#include <errno.h>
#include <string.h>

#include "preload/connection.h"
#include "preload/state.h"

/* A turn that only sends takes less, unless its thread has to wait for a processor. */
#define BRIEF_NS 10000000ll

void tc_client_left(void)
{
    uint32_t me = (uint32_t)tc_sys_gettid();

    for (struct tc_link *l = tc_links; l < tc_links + TC_MAX_STORAGES; l++)
        if (__atomic_load_n(&l->lock, __ATOMIC_RELAXED) == me)
            tc_link_unlock(l);
}

static int exchange(struct tc_link *l, const struct tc_outgoing *m, int64_t until_ns,
                    struct tc_reply *ret)
{
    uint64_t seq = ret != NULL ? ++l->seq : 0;
    int r = tc_link_send_when_possible(l, m, seq,
                                       tc_under_way_unanswered(&l->under_way) ? until_ns : 0);

    if (r == 0 && ret != NULL)
        r = tc_link_receive(l, seq, until_ns, ret);
    if (r < 0)
        tc_link_end_badly(l, r);
    return r;
}

/* In a vfork child memory is the parent's: whatever is done to the connection would be done to the
 * parent's. */
static int may_talk(void)
{
    if (tc_is_sandboxed())
        return -EPERM;
    return tc_sys_getpid() == tc_state.pid ? 0 : -ECHILD;
}

static int say_hello(struct tc_link *l, int64_t until_ns)
{
    struct tc_hello h = {.head.type = TC_MSG_HELLO, .pid = (uint32_t)tc_state.pid};
    const char *config =
        tc_state.has_far && l == tc_links ? tc_config_str(tc_state.config->path) : "";
    struct tc_outgoing m = {.head = &h.head, .head_bytes = sizeof h, .fd = -1};
    struct tc_reply reply;
    int r;

    memcpy(h.program, tc_state.program, sizeof h.program);
    if (*config != 0) {
        h.config = sizeof h;
        h.id = tc_state.config->id;
        m.part[0] = config;
        m.part_bytes[0] = strlen(config) + 1;
    }
    l->greeted = 1;
    r = exchange(l, &m, until_ns, &reply);
    return r < 0 ? r : reply.status;
}

/* 0: it is this thread's turn, on a connection that was greeted. */
static int take_link(struct tc_link *l, int64_t deadline_ns, int even_so, int64_t *ret_until_ns)
{
    int64_t now = tc_monotonic_ns(), until = now + tc_patient(deadline_ns);
    int r = may_talk();

    if (r < 0)
        return r;
    r = tc_link_is_late(l, now) && !even_so ? -EAGAIN : tc_link_lock(l, until);
    if (r < 0)
        return r;
    *ret_until_ns = until;
    r = tc_link_ready(l);
    if (r == 0 && !l->greeted)
        r = say_hello(l, until);
    if (r < 0)
        tc_link_unlock(l);
    return r;
}

static int with_link(struct tc_link *l, const struct tc_outgoing *m, int64_t deadline_ns,
                     int even_so, struct tc_reply *ret)
{
    int64_t until;
    int r = take_link(l, deadline_ns, even_so, &until);

    if (r < 0)
        return r;
    if (m != NULL)
        r = exchange(l, m, until, ret);
    tc_link_unlock(l);
    return r;
}

/* Replies don't pile up, and there is room for one result more. */
static int make_room(struct tc_link *l, int large, int64_t until_ns)
{
    struct tc_reply reply;
    int r = tc_link_receive(l, UINT64_MAX, 0, &reply);
    uint64_t before = tc_under_way_before(&l->under_way, large);

    if (r == -ETIMEDOUT)
        r = before != 0 ? tc_link_receive(l, before, until_ns, &reply) : 0;
    return r;
}

/* For a service that is late: into the socket's buffer, with nobody who waits for the answer. The
 * keys that are under way the longest may be forgotten: their calls run again. */
static int send_late(struct tc_link *l, const struct tc_outgoing *m, struct tc_sent *s,
                     int64_t until_ns)
{
    struct tc_reply reply;
    int large = m->fd >= 0, r = tc_link_receive(l, UINT64_MAX, 0, &reply);

    if (r != -ETIMEDOUT)
        return r;
    if (large && tc_under_way_before(&l->under_way, large) != 0)
        return -EAGAIN;
    s->seq = ++l->seq;
    r = tc_link_send_when_possible(l, m, s->seq, tc_link_is_given_up(l) ? 0 : until_ns);
    if (r == -EAGAIN)
        tc_link_give_up(l);
    else if (r == 0)
        tc_under_way_add(&l->under_way, s, large);
    return r;
}

static int send_ahead(struct tc_link *l, const struct tc_outgoing *m, struct tc_sent *s,
                      int64_t until_ns)
{
    int large = m->fd >= 0, r = make_room(l, large, until_ns);

    s->seq = ++l->seq;
    if (r == 0)
        r = tc_link_send_when_possible(l, m, s->seq, until_ns);
    if (r == 0)
        tc_under_way_add(&l->under_way, s, large);
    return r;
}

/* What wasn't answered in time was sent all the same. If others wait for their turn, they get half
 * of the time. */
static int send_and_wait(struct tc_link *l, const struct tc_outgoing *m, struct tc_sent *s,
                         int64_t until_ns, struct tc_reply *ret)
{
    int64_t now_ns = tc_monotonic_ns();
    int r;

    s->seq = ++l->seq;
    r = (int)tc_link_send(l, m, s->seq);
    r = r < 0 ? r : tc_link_receive(l, s->seq, now_ns + (until_ns - now_ns) / 2, ret);
    if (r == -ETIMEDOUT && __atomic_load_n(&l->waiters, __ATOMIC_RELAXED) == 0)
        r = tc_link_receive(l, s->seq, until_ns, ret);
    if (r != -ETIMEDOUT)
        return r;
    tc_under_way_add(&l->under_way, s, m->fd >= 0);
    tc_link_late(l);
    return 0;
}

/* On a turn of this thread. */
static int store(struct tc_link *l, const struct tc_outgoing *m, struct tc_sent *s,
                 int64_t until_ns, struct tc_reply *ret)
{
    int late = tc_link_is_late(l, tc_monotonic_ns()), r = tc_link_ready(l);

    if (r == 0 && !l->greeted) {
        r = say_hello(l, late ? 0 : until_ns);
        late |= r == -ETIMEDOUT;
        r = r == -ETIMEDOUT ? 0 : r;
    }
    if (r < 0)
        return r;
    if (!late) {
        r = ret != NULL ? send_and_wait(l, m, s, until_ns, ret) : send_ahead(l, m, s, until_ns);
        late = r == -EAGAIN || r == -ETIMEDOUT;
        if (late)
            tc_link_late(l);
    }
    if (late)
        r = send_late(l, m, s, until_ns);
    if (r < 0)
        tc_link_end_badly(l, r);
    return r;
}

int tc_store(const struct tc_outgoing *m, uint64_t key_low, uint32_t hook,
             struct tc_reply *ret_reply, struct tc_refused *ret_refused)
{
    struct tc_link *l = &tc_links[m->storage];
    struct tc_sent s = {.key_low = key_low, .hook = hook};
    int64_t now = tc_monotonic_ns(), until;
    int r = may_talk();

    *ret_refused = (struct tc_refused){0, 0};
    if (r < 0)
        return r;
    s.patience_ns = m->fd >= 0 ? TC_LONGEST_NS : TC_REPLY_NS;
    until = now + tc_patient(s.patience_ns);
    r = tc_link_lock(l, tc_link_is_given_up(l) ? now + BRIEF_NS : until);
    if (r == -ETIMEDOUT)
        tc_link_give_up(l);
    if (r < 0)
        return -EAGAIN;
    r = store(l, m, &s, until, ret_reply);
    *ret_refused = l->under_way.refused;
    l->under_way.refused.reason = 0;
    tc_link_unlock(l);
    return r;
}

int tc_await_sent(uint32_t storage, uint64_t key_low)
{
    struct tc_message ping = {.type = TC_MSG_PING};
    struct tc_outgoing m = {.head = &ping, .head_bytes = sizeof ping, .fd = -1, .storage = storage};
    struct tc_reply reply;
    int64_t patience_ns;

    if (!tc_under_way_find(&tc_links[storage].under_way, key_low, &patience_ns))
        return 0;
    if (patience_ns != 0)
        (void)tc_request(&m, patience_ns, &reply);
    return 1;
}

int tc_request(const struct tc_outgoing *m, int64_t deadline_ns, struct tc_reply *ret_reply)
{
    return with_link(&tc_links[m->storage], m, deadline_ns, 0, ret_reply);
}

int tc_tell(const struct tc_outgoing *m)
{
    return with_link(&tc_links[m->storage], m, TC_REPLY_NS, 0, NULL);
}

int tc_tell_in_any_case(const struct tc_outgoing *m)
{
    return with_link(&tc_links[m->storage], m, TC_REPLY_NS, 1, NULL);
}

void tc_tell_at_once(const struct tc_outgoing *m)
{
    struct tc_link *l = &tc_links[m->storage];
    int64_t now = tc_monotonic_ns();

    if (may_talk() < 0 || tc_link_is_late(l, now) || tc_link_lock_at_once(l) < 0)
        return;
    if (l->greeted && tc_link_is_ours(l) && tc_link_send(l, m, 0) == -EPIPE)
        tc_link_drop(l);
    tc_link_unlock(l);
}

int tc_greet(uint32_t storage)
{
    return with_link(&tc_links[storage], NULL, TC_REPLY_NS, 0, NULL);
}

/* The connection is the parent's: this process closes its own copy of the descriptor and opens
 * another when it needs one. */
void tc_client_after_fork(void)
{
    for (struct tc_link *l = tc_links; l < tc_links + TC_MAX_STORAGES; l++) {
        if (tc_link_is_ours(l))
            tc_sys_close(l->fd);
        l->lock = l->waiters = 0;
        l->locked_ns = 0;
        l->has_fd = 0;
        l->greeted = 0;
        l->closed_until_ns = l->given_up_until_ns = 0;
        tc_under_way_lost(&l->under_way, l->seq);
    }
}
