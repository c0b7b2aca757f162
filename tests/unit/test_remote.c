/*
 * service/remote/{remote,requests,child}.c against child processes that lie: what they do is named
 * by the storage's function. Whatever that is, each request is answered once, at the latest after
 * its time, and the next child does as it should.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/flat_build.h"
#include "service/clock.h"
#include "service/remote/blob.h"
#include "service/remote/internal.h"

#define ID 9u

static int64_t skew_ms;

int64_t tc_monotonic_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + skew_ms;
}

int64_t tc_patient_ms(int64_t ms)
{
    return ms;
}

int64_t tc_wall_ns(void)
{
    return 1;
}

static char mark[64];
static struct tc_remotes remotes;
static struct tc_remote *remote;
static unsigned gots, lockeds, loads;
static int locked_status;
static struct tc_log test_log = {.dirfd = -1};

void tc_pending_ready(struct tc_pending *p, int status, unsigned reason, uint64_t value)
{
    if (p == NULL)
        return;
    p->ready++;
    p->status = status;
    p->reason = reason;
    p->value = value;
}

static int got(void *ctx, struct tc_remote *from, struct tc_key key, const void *blob, size_t bytes,
               struct tc_pending *p)
{
    (void)ctx;
    assert_ptr_equal(from, remote);
    assert_int_equal(key.low, 1);
    gots++;
    if (bytes == 3)
        assert_memory_equal(blob, "one", 3);
    tc_pending_ready(p, bytes == 3 ? 0 : -EBADMSG, 0, bytes);
    return bytes == 3;
}

static void *load(void *ctx, struct tc_key key, size_t *ret_bytes)
{
    (void)ctx;
    loads++;
    if (key.low == 404)
        return NULL;
    *ret_bytes = 1000;
    return calloc(1, 1000);
}

static void locked(void *ctx, struct tc_key key, const char *owner, uint32_t op, int status)
{
    (void)ctx;
    assert_int_equal(key.low, 1);
    assert_string_equal(owner, "me");
    assert_int_equal(op, TC_REMOTE_ACQUIRE);
    lockeds++;
    locked_status = status;
}

static void use(const char *function, uint32_t kind, int64_t timeout_ns)
{
    struct tc_storage s = {.kind = kind, .used = 1, .remote = ID, .timeout_ns = timeout_ns};
    struct tc_flat_builder out;
    struct tc_config *c;
    struct tc_span span;
    struct tc_flat f;

    tc_flat_builder_init(&out, TC_FLAT_CONFIG, sizeof *c);
    s.name = tc_flat_add_str(&out, "far");
    s.path = tc_flat_add_str(&out, mark);
    s.function = tc_flat_add_str(&out, function);
    span = tc_flat_add(&out, &s, 1, sizeof s);
    c = tc_flat_builder_root(&out);
    *(kind == TC_STORAGE_FAR ? &c->storages : &c->lock_managers) = span;
    assert_int_equal(tc_flat_builder_finish(&out), 0);
    assert_int_equal(tc_flat_check(out.data, out.bytes, TC_FLAT_CONFIG, &f), 0);
    tc_remotes_use(&remotes, &f);
    tc_remotes_use(&remotes, &f); /* the second time it is there */
    tc_flat_builder_free(&out);
    remote = tc_remote_of(&remotes, ID);
    assert_non_null(remote);
    assert_null(remote->next);
}

static int setup(void **state)
{
    (void)state;
    snprintf(mark, sizeof mark, "/tmp/tc-remote-%ld", (long)getpid());
    (void)unlink(mark);
    gots = lockeds = loads = 0;
    skew_ms = 0;
    remotes = (struct tc_remotes){.log = &test_log,
                                  .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                                  .got = got,
                                  .load = load,
                                  .locked = locked,
                                  .locks = &remotes};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tc_remotes_end(&remotes);
    assert_null(remotes.first);
    assert_int_equal(tc_jobs_running(&remotes.jobs), 0);
    close(remotes.epoll_fd);
    (void)unlink(mark);
    return 0;
}

static void turn(void)
{
    tc_remotes_step(&remotes);
    tc_remotes_tick(&remotes);
    usleep(500);
}

#define until(condition)                                   \
    do {                                                   \
        for (int i_ = 0; i_ < 40000 && !(condition); i_++) \
            turn();                                        \
        assert_true(condition);                            \
    } while (0)

static void done(const struct tc_pending *p, int status)
{
    for (int i = 0; i < 40; i++)
        turn(); /* nothing comes after it */
    assert_int_equal(p->ready, 1);
    assert_int_equal(p->status, status);
    assert_int_equal(p->reason, status < 0 && status != -ENOENT ? TC_R_FAR_STORAGE : 0);
}

static struct tc_pending fetch(uint64_t key_low)
{
    struct tc_pending p = {.ready = 0};

    tc_remote_fetch(remote, (struct tc_key){key_low, 2}, &p);
    until(p.ready != 0);
    return p;
}

static void ask(uint32_t op, uint64_t key_low, int fd, struct tc_pending *p)
{
    *p = (struct tc_pending){.ready = 0};
    tc_remote_ask(remote, op, (struct tc_key){key_low, 2}, fd, p);
    until(p->ready != 0);
}

/* A child that does as it should, begun now if need be. */
static void expect_well(void)
{
    struct tc_pending p;

    until(remote->running == NULL && (remote->fd < 0) == (remote->pid == 0));
    if (remote->fd < 0)
        skew_ms += 120000; /* no pause lasts longer */
    p = fetch(1);
    done(&p, 0);
    p = fetch(2);
    done(&p, -ENOENT);
}

static void as_it_should_be(void **state)
{
    int fd = memfd_create("list", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct tc_far_numbers n;
    struct tc_pending p;
    struct tc_key keys[2];

    (void)state;
    use("good", TC_STORAGE_FAR, 1000000000);
    expect_well();
    tc_remote_put(remote, (struct tc_key){1, 2}, calloc(1, 3 << 20), 3 << 20);
    assert_true(tc_remotes_have_put(&remotes, (struct tc_key){1, 2}));
    assert_false(tc_remotes_have_put(&remotes, (struct tc_key){1, 3}));
    ask(TC_REMOTE_EXISTS, 1, -1, &p);
    done(&p, 0);
    assert_false(tc_remotes_have_put(&remotes, (struct tc_key){1, 2}));
    ask(TC_REMOTE_EXISTS, 2, -1, &p);
    done(&p, -ENOENT);
    ask(TC_REMOTE_REMOVE, 2, -1, &p);
    done(&p, 0);
    ask(TC_REMOTE_LIST, 0, dup(fd), &p);
    done(&p, 0);
    assert_int_equal(p.value, 2);
    assert_int_equal(pread(fd, keys, sizeof keys, 0), sizeof keys);
    assert_int_equal(keys[1].high, 4);
    close(fd);
    assert_int_equal(tc_remotes_numbers(&remotes, &n, 1), 1);
    assert_int_equal(tc_remotes_numbers(&remotes, &n, 0), 0);
    assert_int_equal(n.state, TC_FAR_READY);
    assert_int_equal(n.found, 1);
    assert_int_equal(n.missed, 1);
    assert_int_equal(n.handed_on, 1);
    assert_int_equal(n.removed, 1);
    assert_int_equal(n.lost + n.errors + n.failures + n.waiting + n.waiting_bytes, 0);
    assert_string_equal(n.name, "far");
    assert_false(tc_remotes_busy(&remotes));
}

static void what_is_read_later(void **state)
{
    struct tc_pending p;

    (void)state;
    use("good", TC_STORAGE_FAR, 1000000000);
    tc_remote_put_later(remote, (struct tc_key){1, 2});
    tc_remote_put_later(remote, (struct tc_key){404, 2});
    tc_remote_put_later(remote, (struct tc_key){3, 2});
    assert_int_equal(remote->late_count, 3);
    assert_int_equal(loads, 0);
    ask(TC_REMOTE_EXISTS, 1, -1, &p);
    assert_int_equal(loads, 3);
    assert_int_equal(remote->late_count, 0);
    assert_int_equal(remote->numbers.handed_on, 2);
    assert_int_equal(remote->numbers.lost + remote->numbers.waiting_bytes, 0);
}

/* These end their child at the first look-up. */
static void liars(void **state)
{
    static const char *const how[] = {
        "magic",      "op",         "serial",         "key",
        "positive",   "no_errno",   "too_long",       "huge",
        "long_text",  "wraps",      "half_head",      "half_body",
        "exit",       "close",      "abort",          "open_exit",
        "open_abort", "open_magic", "open_half_head", "open_bytes_for_nothing",
    };

    (void)state;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        struct tc_pending p;

        use(how[i], TC_STORAGE_FAR, 1000000000);
        p = fetch(1);
        /* One that isn't begun yet waits for the next child. */
        if (p.status != (strncmp(how[i], "open_", 5) == 0 ? 0 : -EIO))
            fail_msg("%s: %d", how[i], p.status);
        done(&p, p.status);
        until(remote->numbers.failures == 1);
        assert_int_equal(gots, p.status == 0);
        assert_int_equal(remote->numbers.found, gots);
        assert_true(remote->numbers.trouble[0] != 0);
        expect_well();
        teardown(NULL);
        setup(NULL);
    }
}

/* Nothing comes for 5 s. Until the look-up's time is over it is waited for; after it nobody is made
 * to wait. */
static void mutes(void **state)
{
    static const char *const how[] = {"mute", "half_head_mute", "half_body_mute"};

    (void)state;
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        struct tc_pending p = {.ready = 0};

        use(how[i], TC_STORAGE_FAR, 1000000000);
        tc_remote_fetch(remote, (struct tc_key){1, 2}, &p);
        until(access(mark, F_OK) == 0);
        assert_int_equal(p.ready, 0);
        assert_in_range(tc_remotes_sleep_ms(&remotes, 5000), 0, 1000);
        skew_ms += 1001;
        turn();
        done(&p, -ETIMEDOUT);
        assert_int_equal(remote->numbers.failures, 0);
        p = fetch(1);
        done(&p, -EAGAIN);
        skew_ms += 4000;
        until(remote->numbers.failures == 1);
        expect_well();
        teardown(NULL);
        setup(NULL);
    }
}

/* The answer after the look-up's time becomes a record all the same. */
static void a_late_answer(void **state)
{
    struct tc_pending p;

    (void)state;
    use("late", TC_STORAGE_FAR, 100000000);
    p = fetch(1);
    assert_int_equal(p.status, -ETIMEDOUT);
    until(gots == 1);
    done(&p, -ETIMEDOUT);
    assert_int_equal(remote->numbers.failures, 0);
}

static void slow_but_well(void **state)
{
    struct tc_pending p;

    (void)state;
    use("dribble", TC_STORAGE_FAR, 1000000000);
    p = fetch(1);
    done(&p, 0);
    assert_int_equal(p.value, 3);
}

static void an_error_with_a_text_for_a_terminal(void **state)
{
    struct tc_pending p;

    (void)state;
    use("error", TC_STORAGE_FAR, 1000000000);
    p = fetch(1);
    done(&p, -EIO);
    assert_int_equal(remote->numbers.errors, 1);
    assert_int_equal(remote->numbers.failures, 0);
    for (const char *c = remote->numbers.trouble; *c != 0; c++)
        assert_in_range(*c, 0x20, 0x7e);
}

/* What comes unasked isn't the next request's answer. */
static void more_than_asked_for(void **state)
{
    static const char *const how[] = {"twice", "garbage_after"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tc_pending p;

        use(how[i], TC_STORAGE_FAR, 1000000000);
        p = fetch(1);
        done(&p, 0);
        p = fetch(1);
        assert_int_equal(p.ready, 1);
        assert_int_equal(gots, 1);
        until(remote->numbers.failures == 1);
        expect_well();
        teardown(NULL);
        setup(NULL);
    }
}

/* An answer before the request was sent whole: the rest would be taken for the next one. */
static void an_early_answer(void **state)
{
    static const char *const how[] = {"early", "reads_half"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        use(how[i], TC_STORAGE_FAR, 1000000000);
        tc_remote_put(remote, (struct tc_key){1, 2}, calloc(1, 3 << 20), 3 << 20);
        until(remote->numbers.failures == 1);
        assert_int_equal(remote->numbers.lost, 1);
        assert_int_equal(remote->numbers.handed_on, 0);
        expect_well();
        teardown(NULL);
        setup(NULL);
    }
}

static void what_tools_ask(void **state)
{
    static const struct {
        const char *how;
        uint32_t op;
        int status;
    } cases[] = {{"odd_list", TC_REMOTE_LIST, -EPROTO},
                 {"bytes_for_nothing", TC_REMOTE_EXISTS, -EIO},
                 {"bytes_for_nothing", TC_REMOTE_REMOVE, -EIO},
                 {"too_long", TC_REMOTE_LIST, -EIO},
                 {"half_body", TC_REMOTE_LIST, -EIO},
                 {"error", TC_REMOTE_LIST, -EIO},
                 {"abort", TC_REMOTE_EXISTS, -EIO}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = cases[i].op == TC_REMOTE_LIST ? memfd_create("list", MFD_CLOEXEC) : -1;
        struct tc_pending p;

        use(cases[i].how, TC_STORAGE_FAR, 1000000000);
        ask(cases[i].op, 1, fd, &p);
        done(&p, cases[i].status);
        if (remote->fd < 0) /* the others may go on */
            expect_well();
        teardown(NULL);
        setup(NULL);
    }
}

static void a_tool_is_answered_in_time(void **state)
{
    struct tc_pending p = {.ready = 0}, q = {.ready = 0}, list = {.ready = 0};

    (void)state;
    use("mute", TC_STORAGE_FAR, 1000000000);
    tc_remote_ask(remote, TC_REMOTE_EXISTS, (struct tc_key){1, 2}, -1, &p);
    tc_remote_ask(remote, TC_REMOTE_REMOVE, (struct tc_key){1, 2}, -1, &q);
    tc_remote_ask(remote, TC_REMOTE_LIST, (struct tc_key){0, 0}, memfd_create("list", 0), &list);
    until(access(mark, F_OK) == 0);
    skew_ms += 10001;
    until(p.ready != 0 && q.ready != 0 && list.ready != 0);
    done(&q, -ETIMEDOUT);
    assert_int_equal(list.status, -ETIMEDOUT);
    until(remote->numbers.removed == 1); /* but it is carried out */
    assert_int_equal(p.ready + q.ready + list.ready, 3);
}

/* What nobody waits for doesn't count among those whose time is looked at. */
static void who_waits_behind_others(void **state)
{
    struct tc_pending p = {.ready = 0}, q = {.ready = 0};

    (void)state;
    use("mute", TC_STORAGE_FAR, 1000000000);
    tc_remote_put_later(remote, (struct tc_key){1, 2});
    until(access(mark, F_OK) == 0);
    for (int i = 0; i < 3; i++)
        tc_remote_put_later(remote, (struct tc_key){1, 2});
    tc_remotes_remove(&remotes, (struct tc_key){1, 2});
    assert_int_equal(remote->asked_count, 0);
    tc_remote_ask(remote, TC_REMOTE_EXISTS, (struct tc_key){1, 2}, -1, &p);
    skew_ms += 4000;
    tc_remote_put_later(remote, (struct tc_key){1, 2});
    tc_remote_ask(remote, TC_REMOTE_EXISTS, (struct tc_key){1, 2}, -1, &q);
    assert_int_equal(remote->asked_count, 2);
    skew_ms += 6000;
    tc_request_expire(remote, tc_monotonic_ms());
    assert_int_equal(remote->asked_count, 1);
    assert_int_equal(p.status, -ETIMEDOUT);
    assert_int_equal(q.ready, 0);
    skew_ms += 4000;
    tc_request_expire(remote, tc_monotonic_ms());
    assert_int_equal(remote->asked_count, 0);
    assert_int_equal(q.status, -ETIMEDOUT);
    until(!tc_remotes_busy(&remotes)); /* and each is carried out by the next child */
    assert_int_equal(remote->asked_count, 0);
    assert_int_equal(p.ready + q.ready, 2);
}

/* A child that goes on failing is begun less and less often. */
static void pauses(void **state)
{
    static const int64_t pause_ms[] = {0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

    (void)state;
    use("open_exit", TC_STORAGE_FAR, 1000000000);
    for (size_t i = 0; i < sizeof pause_ms / sizeof *pause_ms; i++) {
        struct tc_pending p = {.ready = 0};

        until(remote->pid == 0 && remote->numbers.failures == i + 1);
        assert_int_equal(remote->failures, i + 1);
        if (pause_ms[i] > 0) {
            skew_ms += pause_ms[i] - 500;
            tc_remote_fetch(remote, (struct tc_key){1, 2}, &p);
            done(&p, -EAGAIN);
            p = (struct tc_pending){.ready = 0};
            tc_remote_ask(remote, TC_REMOTE_EXISTS, (struct tc_key){1, 2}, -1, &p);
            done(&p, -EAGAIN);
            assert_int_equal(remote->pid, 0);
            skew_ms += 501;
        }
        (void)unlink(mark); /* the next one fails, too */
        tc_remote_fetch(remote, (struct tc_key){1, 2}, NULL);
        assert_true(remote->pid != 0);
    }
    expect_well();
    assert_int_equal(remote->failures, 0);
}

static void queues_are_bounded(void **state)
{
    (void)state;
    use("open_mute", TC_STORAGE_FAR, 1000000000);
    for (int i = 0; i < 5000; i++)
        tc_remote_put(remote, (struct tc_key){1, 2}, malloc(1), 1);
    assert_int_equal(remote->numbers.waiting, 4096);
    assert_int_equal(remote->numbers.lost, 5000 - 4096);
    tc_remotes_remove(&remotes, (struct tc_key){1, 2}); /* nothing is told, nothing breaks */
    assert_int_equal(remote->numbers.waiting, 4096);
    skew_ms += 5001;
    until(remote->numbers.failures == 1);
    until(remote->numbers.waiting == 0);
    for (int i = 0; i < 3; i++)
        tc_remote_put(remote, (struct tc_key){1, 2}, calloc(1, 60 << 20), 60 << 20);
    assert_int_equal(remote->numbers.lost, 5000 - 4096 + 1);
    tc_remote_refuse(remote, (struct tc_key){1, 2});
    assert_int_equal(remote->numbers.lost, 5000 - 4096 + 2);
}

static void locks(void **state)
{
    static const struct {
        const char *how;
        int status;
    } cases[] = {
        {"good", 0}, {"error", -EIO}, {"abort", -EIO}, {"serial", -EIO}, {"open_exit", -EIO}};
    const struct tc_remote_lock lock = {.owner = "me", .ttl_ns = 1};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tc_pending p = {.ready = 0};
        int r;

        use(cases[i].how, TC_STORAGE_LOCKS, 1000000000);
        r = tc_remote_lock(remote, TC_REMOTE_ACQUIRE, (struct tc_key){1, 2}, &lock);
        assert_int_equal(r, 0);
        until(lockeds == 1);
        assert_int_equal(locked_status, cases[i].status);
        /* It is no storage. */
        tc_remote_fetch(remote, (struct tc_key){1, 2}, &p);
        assert_int_equal(p.status, -EAGAIN);
        tc_remote_put_later(remote, (struct tc_key){1, 2});
        assert_int_equal(remote->numbers.lost, 1);
        teardown(NULL);
        setup(NULL);
    }
}

/* All that wait are told at once when its child ends. */
static void locks_that_wait(void **state)
{
    const struct tc_remote_lock lock = {.owner = "me", .ttl_ns = 1};

    (void)state;
    use("mute", TC_STORAGE_LOCKS, 1000000000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tc_remote_lock(remote, TC_REMOTE_ACQUIRE, (struct tc_key){1, 2}, &lock),
                         0);
    until(access(mark, F_OK) == 0);
    skew_ms += 1001;
    assert_int_equal(tc_remote_lock(remote, TC_REMOTE_ACQUIRE, (struct tc_key){1, 2}, &lock),
                     -EAGAIN);
    skew_ms += 4000;
    until(lockeds == 3);
    assert_int_equal(locked_status, -EIO);
    assert_int_equal(remote->numbers.waiting + remote->numbers.waiting_bytes, 0);
}

/* What is under way when the service ends is answered. */
static void the_end(void **state)
{
    struct tc_pending p = {.ready = 0}, q = {.ready = 0};

    (void)state;
    use("mute", TC_STORAGE_FAR, 1000000000);
    tc_remote_fetch(remote, (struct tc_key){1, 2}, &p);
    tc_remote_ask(remote, TC_REMOTE_LIST, (struct tc_key){0, 0}, memfd_create("list", 0), &q);
    tc_remote_put(remote, (struct tc_key){1, 2}, malloc(10), 10);
    tc_remote_put_later(remote, (struct tc_key){1, 2});
    tc_remotes_end(&remotes);
    assert_null(remotes.first);
    assert_int_equal(p.ready, 1);
    assert_int_equal(q.ready, 1);
    assert_int_equal(q.status, -EIO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_it_should_be),
        TEST(what_is_read_later),
        TEST(liars),
        TEST(mutes),
        TEST(a_late_answer),
        TEST(slow_but_well),
        TEST(an_error_with_a_text_for_a_terminal),
        TEST(more_than_asked_for),
        TEST(an_early_answer),
        TEST(what_tools_ask),
        TEST(a_tool_is_answered_in_time),
        TEST(who_waits_behind_others),
        TEST(pauses),
        TEST(queues_are_bounded),
        TEST(locks),
        TEST(locks_that_wait),
        TEST(the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
