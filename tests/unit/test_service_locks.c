/* Locks of isolation SERIALIZABLE as clients of taskcached see them. */
#include <errno.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

#define LONG_NS 60000000000ll

struct running {
    struct place p;
    pid_t pid;
    struct client a, b;
};

static int setup(void **state)
{
    struct running *r = calloc(1, sizeof *r);

    place_make(&r->p);
    r->pid = service_start(&r->p, 0);
    client_open(&r->p, &r->a);
    client_open(&r->p, &r->b);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct running *r = *state;

    client_close(&r->a);
    client_close(&r->b);
    service_quit(&r->p, r->pid);
    place_remove(&r->p);
    free(r);
    return 0;
}

static struct tc_reply ask(struct client *c, uint64_t key, uint32_t tid, uint64_t serial,
                           int64_t hold_ns)
{
    struct tc_lock_request q = {.key_low = key, .serial = serial, .tid = tid, .hold_ns = hold_ns};

    client_send(c, &q, TC_MSG_LOCK, sizeof q, -1);
    return client_reply(c);
}

static void expect_yours(struct client *c, uint64_t key, uint32_t tid, uint64_t serial)
{
    struct tc_reply r = ask(c, key, tid, serial, LONG_NS);

    assert_int_equal(r.status, 0);
    assert_int_equal(r.value, 0);
}

static void expect_wait(struct client *c, uint64_t key, uint32_t tid, uint64_t serial)
{
    struct tc_reply r = ask(c, key, tid, serial, LONG_NS);

    assert_int_equal(r.status, 0);
    assert_in_range(r.value, 1, LONG_NS);
}

static void release(struct client *c, uint64_t key, uint32_t tid, uint64_t serial)
{
    struct tc_lock_request q = {.key_low = key, .serial = serial, .tid = tid, .hold_ns = 1};

    client_send(c, &q, TC_MSG_UNLOCK, sizeof q, -1);
    assert_int_equal(client_reply(c).status, 0);
}

static void one_client_after_the_other(void **state)
{
    struct running *r = *state;

    expect_yours(&r->a, 7, 1, 10);
    expect_wait(&r->b, 7, 1, 10);
    expect_yours(&r->b, 8, 2, 11);
    release(&r->b, 7, 3, 10); /* not its own */
    release(&r->a, 7, 1, 10);
    expect_wait(&r->a, 7, 1, 12);
    expect_yours(&r->b, 7, 1, 10);
}

/* A waiting request is no open reply: the connection's others go on. */
static void waiting_holds_up_nothing(void **state)
{
    struct running *r = *state;

    expect_yours(&r->a, 7, 1, 1);
    expect_wait(&r->b, 7, 1, 1);
    assert_int_equal(client_simple(&r->b, TC_MSG_PING).value, r->pid);
}

/* The end of a connection is the end of its locks, and wakes those who sleep on the page. */
static void a_waiter_is_woken(void **state)
{
    struct running *r = *state;
    struct tc_shared_page *page = page_map(&r->p);
    uint32_t *word = &page->locks[7], seen;
    struct timespec limit = {10, 0};

    expect_yours(&r->a, 7, 1, 1);
    seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    expect_wait(&r->b, 7, 1, 1);
    assert_int_equal(__atomic_load_n(word, __ATOMIC_ACQUIRE), seen);
    client_close(&r->a);
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen)
        assert_true(syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0) == 0 ||
                    __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen);
    expect_yours(&r->b, 7, 1, 1);
    client_open(&r->p, &r->a);
    munmap(page, sizeof *page);
}

static void a_killed_process_holds_nothing(void **state)
{
    struct running *r = *state;
    int ready[2], status;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct client c;
        client_open(&r->p, &c);
        expect_yours(&c, 7, 1, 1);
        /* The socket lives on in a child of its own: that doesn't count. */
        if (fork() == 0) {
            sleep(20);
            _exit(0);
        }
        (void)!write(ready[1], "x", 1);
        pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    expect_wait(&r->b, 7, 1, 1);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    for (int i = 0; i < 1000 && ask(&r->b, 7, 1, 1, LONG_NS).value != 0; i++)
        usleep(10000);
    expect_yours(&r->b, 7, 1, 1);
    close(ready[0]);
    close(ready[1]);
}

/* A thread that has ended, of a process that goes on. */
static void an_ended_thread_holds_nothing(void **state)
{
    struct running *r = *state;
    struct client c;
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    client_open(&r->p, &c);
    expect_yours(&c, 7, (uint32_t)child, 1); /* it hasn't said which process it is */
    expect_wait(&r->b, 7, 1, 1);
    release(&c, 7, (uint32_t)child, 1);
    expect_yours(&r->b, 7, 1, 1);
    release(&r->b, 7, 1, 1);
    (void)client_hello(&c);
    expect_yours(&c, 7, (uint32_t)child, 2);
    expect_yours(&r->b, 7, 1, 1);
    client_close(&c);
}

static void a_hold_lapses(void **state)
{
    struct running *r = *state;

    assert_int_equal(ask(&r->a, 7, 1, 1, 100000000).value, 0);
    while (ask(&r->b, 7, 1, 1, LONG_NS).value != 0)
        usleep(10000);
    expect_wait(&r->a, 7, 1, 2);
}

static void circles_and_forgeries_are_refused(void **state)
{
    struct running *r = *state;
    struct tc_lock_request q = {.key_low = 1, .hold_ns = 1, .manager = TC_LOCKS_OF_PROCESS};

    expect_yours(&r->a, 1, 1, 1);
    expect_yours(&r->b, 2, 1, 1);
    expect_wait(&r->a, 2, 1, 2);
    assert_int_equal(ask(&r->b, 1, 1, 2, LONG_NS).status, -EDEADLK);
    client_send(&r->a, &q, TC_MSG_LOCK, sizeof q, -1);
    assert_int_equal(client_reply(&r->a).status, -ENOTSUP);
    q.manager = 99;
    client_send(&r->a, &q, TC_MSG_LOCK, sizeof q, -1);
    assert_int_equal(client_reply(&r->a).status, -ENOTSUP);
    q.hold_ns = 0;
    client_send(&r->a, &q, TC_MSG_LOCK, sizeof q, -1);
    assert_true(client_is_closed(&r->a));
}

/* More than the table takes: refused, and room again when they are gone. */
static void a_full_table_refuses(void **state)
{
    struct running *r = *state;

    for (uint32_t i = 0; i < 4096; i++)
        expect_yours(&r->a, 100 + i, 1, 1 + i);
    assert_int_equal(ask(&r->b, 7, 1, 1, LONG_NS).status, -ENOSPC);
    client_close(&r->a);
    for (int i = 0; i < 1000 && ask(&r->b, 7, 1, 1, LONG_NS).status != 0; i++)
        usleep(10000);
    expect_yours(&r->b, 7, 1, 1);
    client_open(&r->p, &r->a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_client_after_the_other),
        TEST(waiting_holds_up_nothing),
        TEST(a_waiter_is_woken),
        TEST(a_killed_process_holds_nothing),
        TEST(an_ended_thread_holds_nothing),
        TEST(a_hold_lapses),
        TEST(circles_and_forgeries_are_refused),
        TEST(a_full_table_refuses),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
