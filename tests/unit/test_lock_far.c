/* service/lock_far.c against a plugin that is played here: time, answers and their order are the
 * test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/clock.h"
#include "service/lock_manager.h"
#include "service/remote/protocol.h"
#include "service/remote/remote.h"

#define REMOTE 77u
#define KEY    5u

static int64_t now_ms;

int64_t tc_monotonic_ms(void)
{
    return now_ms;
}

/* One service: what it asked of the plugin and wasn't answered yet. */
struct question {
    uint32_t op;
    struct tc_key key;
    struct tc_remote_lock lock;
};
struct machine {
    struct tc_lock_manager local, far;
    struct tc_remotes remotes;
    struct question asked[1024];
    unsigned count;
    int away, has_put; /* the plugin can't be asked; a record is still to be handed on */
    unsigned changes;
    uint64_t owner; /* of the local lock: link, 0 */
};
static struct machine one, two;
static struct machine *here; /* whose code runs */

struct tc_remote *tc_remote_of(const struct tc_remotes *list, uint64_t id)
{
    return id == REMOTE ? (struct tc_remote *)(uintptr_t)list : NULL;
}

int tc_remote_lock(struct tc_remote *r, uint32_t op, struct tc_key key,
                   const struct tc_remote_lock *lock)
{
    struct machine *m = (void *)((char *)r - offsetof(struct machine, remotes));

    if (m->away)
        return -EAGAIN;
    assert_true(m->count < 1024);
    m->asked[m->count++] = (struct question){op, key, *lock};
    return 0;
}

int tc_remotes_have_put(const struct tc_remotes *list, struct tc_key key)
{
    const struct machine *m =
        (const void *)((const char *)list - offsetof(struct machine, remotes));

    assert_int_equal(key.low, KEY);
    return m->has_put;
}

void tc_lock_changed(const struct tc_store *store, uint64_t key_low)
{
    (void)store;
    (void)key_low;
    here->changes++;
}

/* The service's own table: one lock. */
static int local_ask(void *state, const struct tc_connection *c, const struct tc_lock_request *q,
                     uint64_t *ret_again_ns)
{
    struct machine *m = state;

    (void)q;
    if (m->owner == 0)
        m->owner = c->number;
    *ret_again_ns = m->owner == c->number ? 0 : 1000000;
    return 0;
}

static int local_release(void *state, const struct tc_connection *c,
                         const struct tc_lock_request *q)
{
    struct machine *m = state;

    (void)q;
    if (m->owner == c->number)
        m->owner = 0;
    return 0;
}

static void begin_machine(struct machine *m)
{
    static const struct tc_lock_manager_ops ops = {.ask = local_ask, .release = local_release};

    memset(m, 0, sizeof *m);
    m->local = (struct tc_lock_manager){&ops, m};
    assert_int_equal(tc_lock_far_open(NULL, &m->local, &m->remotes, &m->far), 0);
}

static int setup(void **state)
{
    (void)state;
    now_ms = 1000;
    here = &one;
    begin_machine(&one);
    begin_machine(&two);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    one.far.ops->close(one.far.state);
    two.far.ops->close(two.far.state);
    assert_null(one.remotes.locks);
    return 0;
}

static struct tc_lock_request request(uint64_t serial)
{
    return (struct tc_lock_request){.key_low = KEY,
                                    .key_high = ~(uint64_t)KEY,
                                    .serial = serial,
                                    .hold_ns = 600ll * 1000000000,
                                    .remote = REMOTE};
}

/* 0: yours; 1: to wait; a negative errno. */
static int ask(struct machine *m, uint64_t link)
{
    struct tc_connection c = {.number = link};
    struct tc_lock_request q = request(link);
    uint64_t again_ns = 0;
    int r;

    here = m;
    r = m->far.ops->ask(m->far.state, &c, &q, &again_ns);
    return r < 0 ? r : again_ns != 0;
}

static void release(struct machine *m, uint64_t link)
{
    struct tc_connection c = {.number = link};
    struct tc_lock_request q = request(link);

    here = m;
    assert_int_equal(m->far.ops->release(m->far.state, &c, &q), 0);
}

static void tick(struct machine *m)
{
    here = m;
    tc_lock_far_tick(&m->far);
}

/* The first question is answered. */
static void answer(struct machine *m, uint32_t op, int status)
{
    struct question q = m->asked[0];

    assert_true(m->count > 0);
    assert_int_equal(q.op, op);
    memmove(m->asked, m->asked + 1, --m->count * sizeof q);
    here = m;
    m->remotes.locked(m->remotes.locks, q.key, q.lock.owner, q.op, status);
}

static void hold(struct machine *m, uint64_t link)
{
    assert_int_equal(ask(m, link), 1);
    answer(m, TC_REMOTE_ACQUIRE, 0);
    assert_int_equal(ask(m, link), 0);
}

static void granted_and_given_back(void **state)
{
    (void)state;
    assert_int_equal(ask(&one, 1), 1);
    assert_int_equal(one.count, 1);
    assert_int_equal(strlen(one.asked[0].lock.owner), 32);
    assert_true(one.asked[0].lock.ttl_ns == 10000000000ull);
    assert_int_equal(ask(&one, 1), 1); /* not asked twice */
    assert_int_equal(one.count, 1);
    answer(&one, TC_REMOTE_ACQUIRE, 0);
    assert_int_equal(one.changes, 1);
    assert_int_equal(ask(&one, 1), 0);
    assert_int_equal(ask(&one, 2), 1); /* in line here */
    assert_int_equal(one.count, 0);
    release(&one, 1);
    assert_int_equal(ask(&one, 2), 1); /* until the plugin has answered */
    assert_int_equal(one.count, 1);
    answer(&one, TC_REMOTE_RELEASE, 0);
    assert_int_equal(one.changes, 2);
    hold(&one, 2);
}

static void another_machines_is_asked_for_again(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&one, 1), 1);
        assert_int_equal(one.count, 1);
        answer(&one, TC_REMOTE_ACQUIRE, -EBUSY);
        assert_int_equal(one.changes, 0);
        now_ms += 99;
        assert_int_equal(ask(&one, 1), 1);
        assert_int_equal(one.count, 0);
        now_ms += 1;
    }
    hold(&one, 1);
}

/* Who can't be told anything runs without, and what may have been granted is given back. */
static void a_failing_plugin(void **state)
{
    (void)state;
    assert_int_equal(ask(&one, 1), 1);
    answer(&one, TC_REMOTE_ACQUIRE, -EIO);
    assert_int_equal(one.changes, 1);
    assert_int_equal(ask(&one, 1), -ENOLCK);
    release(&one, 1);
    assert_int_equal(ask(&one, 2), 1);
    tick(&one);
    answer(&one, TC_REMOTE_RELEASE, -ENOENT);
    hold(&one, 2);
}

static void a_plugin_that_cant_be_asked(void **state)
{
    (void)state;
    one.away = 1;
    assert_int_equal(ask(&one, 1), -ENOLCK);
    release(&one, 1);
    tick(&one);
    one.away = 0;
    hold(&one, 1);
    one.away = 1;
    release(&one, 1); /* it lapses there */
    one.away = 0;
    assert_int_equal(ask(&one, 2), 1);
    assert_int_equal(one.asked[0].op, TC_REMOTE_ACQUIRE);
}

/* Its record must be where others look before they may look; until then it is renewed. */
static void the_record_goes_first(void **state)
{
    (void)state;
    hold(&one, 1);
    one.has_put = 1;
    release(&one, 1);
    assert_int_equal(one.count, 0);
    for (int i = 0; i < 4; i++) {
        now_ms += 3000;
        tick(&one);
        answer(&one, TC_REMOTE_RENEW, 0);
        assert_int_equal(ask(&one, 2), 1);
        assert_int_equal(one.count, 0);
    }
    one.has_put = 0;
    tick(&one);
    answer(&one, TC_REMOTE_RELEASE, 0);
    hold(&one, 2);
}

static void renewed_every_three_seconds(void **state)
{
    (void)state;
    hold(&one, 1);
    tick(&one);
    now_ms += 2999;
    tick(&one);
    assert_int_equal(one.count, 0);
    now_ms += 1;
    tick(&one);
    assert_int_equal(one.count, 1);
    now_ms += 9000; /* not before it was answered */
    tick(&one);
    assert_int_equal(one.count, 1);
    answer(&one, TC_REMOTE_RENEW, -ENOENT); /* ends nothing */
    assert_int_equal(ask(&one, 1), 0);
    tick(&one);
    answer(&one, TC_REMOTE_RENEW, -EIO);
    assert_int_equal(ask(&one, 1), 0);
}

static void it_lapses_with_the_calls_time(void **state)
{
    (void)state;
    hold(&one, 1);
    now_ms += 599000;
    tick(&one);
    assert_int_equal(one.asked[0].op, TC_REMOTE_RENEW);
    answer(&one, TC_REMOTE_RENEW, 0);
    now_ms += 1002;
    tick(&one);
    answer(&one, TC_REMOTE_RELEASE, 0);
}

static void the_end_of_a_connection(void **state)
{
    struct tc_connection c = {.number = 1}, other = {.number = 3};

    (void)state;
    hold(&one, 1);
    one.far.ops->forget(one.far.state, &other);
    assert_int_equal(one.count, 0);
    one.far.ops->forget(one.far.state, &c);
    one.far.ops->forget(one.far.state, &c);
    assert_int_equal(one.count, 1);
    answer(&one, TC_REMOTE_RELEASE, 0);
}

/* It ends while the plugin is asked: the answer to that gives nobody anything. */
static void the_end_of_a_connection_in_between(void **state)
{
    struct tc_connection c = {.number = 1};

    (void)state;
    assert_int_equal(ask(&one, 1), 1);
    one.far.ops->forget(one.far.state, &c);
    one.owner = 0;
    answer(&one, TC_REMOTE_ACQUIRE, 0);
    assert_int_equal(ask(&one, 2), 1);
    answer(&one, TC_REMOTE_RELEASE, 0);
    hold(&one, 2);
}

static void others_dont_give_it_back(void **state)
{
    struct tc_connection c = {.number = 1};
    struct tc_lock_request q = request(9); /* another call of the same process */

    (void)state;
    hold(&one, 1);
    release(&one, 2);
    one.far.ops->release(one.far.state, &c, &q);
    assert_int_equal(one.count, 0);
}

static void answers_that_nobody_waits_for(void **state)
{
    struct tc_key key = {KEY, ~(uint64_t)KEY};

    (void)state;
    one.remotes.locked(one.remotes.locks, key, "nobody", TC_REMOTE_ACQUIRE, 0);
    assert_int_equal(ask(&one, 1), 1);
    one.remotes.locked(one.remotes.locks, key, "00000000000000000000000000000000",
                       TC_REMOTE_ACQUIRE, 0);
    assert_int_equal(ask(&one, 1), 1);
    one.remotes.locked(one.remotes.locks, key, one.asked[0].lock.owner, TC_REMOTE_RENEW, 0);
    assert_int_equal(ask(&one, 1), 1);
}

static void no_more_than_256(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        struct tc_connection c = {.number = 1};
        struct tc_lock_request q = request(1);
        uint64_t again_ns;
        int r;

        q.key_low = 1000 + i;
        r = one.far.ops->ask(one.far.state, &c, &q, &again_ns);
        assert_int_equal(r, i < 256 ? 0 : -ENOLCK);
    }
}

static void two_plugins_of_one_key(void **state)
{
    struct tc_connection c = {.number = 1};
    struct tc_lock_request q = request(1);
    uint64_t again_ns;

    (void)state;
    hold(&one, 1);
    q.remote = 78;
    assert_int_equal(one.far.ops->ask(one.far.state, &c, &q, &again_ns), -ENOLCK);
}

/* A plugin that keeps to the contract, for both machines. */
static char owner[33];
static int64_t owned_until_ms;

static int plugin(const struct question *q)
{
    int is_theirs = owner[0] != 0 && owned_until_ms > now_ms && strcmp(owner, q->lock.owner) == 0;

    if (q->op == TC_REMOTE_ACQUIRE && !is_theirs && owner[0] != 0 && owned_until_ms > now_ms)
        return -EBUSY;
    if (q->op != TC_REMOTE_ACQUIRE && !is_theirs)
        return -ENOENT;
    strcpy(owner, q->op == TC_REMOTE_RELEASE ? "" : q->lock.owner);
    owned_until_ms = now_ms + (int64_t)(q->lock.ttl_ns / 1000000);
    return 0;
}

static void pass(struct machine *m, int64_t ms)
{
    int64_t until = now_ms + ms;

    for (; now_ms < until; now_ms += 50) {
        tick(m);
        while (m->count > 0)
            answer(m, m->asked[0].op, plugin(m->asked));
    }
}

static void a_killed_services_lock_lapses(void **state)
{
    (void)state;
    owner[0] = 0;
    assert_int_equal(ask(&one, 1), 1);
    pass(&one, 50);
    assert_int_equal(ask(&one, 1), 0);
    /* As long as it lives nobody else gets it. */
    for (int i = 0; i < 600; i++) {
        pass(&one, 100);
        assert_int_equal(ask(&two, 1), 1);
        pass(&two, 50);
    }
    /* It was killed: no renewal from now on. */
    for (int i = 0; i < 70; i++) { /* 3 s after the last renewal at most */
        assert_int_equal(ask(&two, 1), 1);
        pass(&two, 100);
    }
    for (int i = 0; i < 31 && ask(&two, 1) != 0; i++)
        pass(&two, 100);
    assert_int_equal(ask(&two, 1), 0);
    /* What comes back from the dead doesn't have it any more, and takes nothing away. */
    pass(&one, 3000);
    release(&one, 1);
    pass(&one, 100);
    assert_int_equal(ask(&two, 1), 0);
    assert_true(owner[0] != 0);
    release(&two, 1);
    pass(&two, 50);
    assert_int_equal(owner[0], 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(granted_and_given_back),
        TEST(another_machines_is_asked_for_again),
        TEST(a_failing_plugin),
        TEST(a_plugin_that_cant_be_asked),
        TEST(the_record_goes_first),
        TEST(renewed_every_three_seconds),
        TEST(it_lapses_with_the_calls_time),
        TEST(the_end_of_a_connection),
        TEST(the_end_of_a_connection_in_between),
        TEST(others_dont_give_it_back),
        TEST(answers_that_nobody_waits_for),
        TEST(no_more_than_256),
        TEST(two_plugins_of_one_key),
        TEST(a_killed_services_lock_lapses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
