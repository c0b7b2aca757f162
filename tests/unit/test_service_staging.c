/* Transactions at the service: what connections that come and go leave of them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/service_fixture.h"

struct running {
    struct place p;
    pid_t pid;
    struct tc_shared_page *page;
};

static int setup(void **state)
{
    struct running *r = calloc(1, sizeof *r);

    place_make(&r->p);
    r->pid = service_start(&r->p, 0);
    r->page = page_map(&r->p);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct running *r = *state;

    munmap(r->page, sizeof *r->page);
    service_quit(&r->p, r->pid);
    place_remove(&r->p);
    free(r);
    return 0;
}

static void stage(struct client *c, uint64_t transaction, uint64_t key, size_t bytes)
{
    const struct draft_spec spec = {.key = key, .output_bytes = bytes, .fill = 's'};
    struct tc_store_request m = {.flags = TC_STORE_MEMFD | TC_STORE_STAGE | TC_STORE_BEGINS,
                                 .transaction = {transaction, 7},
                                 .pid = 99,
                                 .program = "test"};
    unsigned char *draft = draft_make(&spec, &m.draft_bytes);
    int fd = memfd_create("draft", MFD_CLOEXEC);

    assert_int_equal(write(fd, draft, m.draft_bytes), m.draft_bytes);
    client_send(c, &m, TC_MSG_STORE, sizeof m, fd);
    close(fd);
    free(draft);
}

static void send_end(struct client *c, uint64_t transaction, uint32_t op)
{
    struct tc_transaction_request m = {.op = op, .transaction = {transaction, 7}};

    client_send(c, &m, TC_MSG_TRANSACTION, sizeof m, -1);
}

static struct tc_reply end(struct client *c, uint64_t transaction, uint32_t op)
{
    send_end(c, transaction, op);
    return client_reply(c);
}

static uint64_t size(const struct running *r)
{
    return __atomic_load_n(&r->page->size_bytes, __ATOMIC_ACQUIRE);
}

/* Until nothing is staged any more, 20 s at most. */
static int is_swept(const struct running *r, uint64_t size_bytes)
{
    int ms = 0;

    while ((entries(&r->p, "staged") != 0 || size(r) > size_bytes) && ms++ < 20000)
        usleep(1000);
    return entries(&r->p, "staged") == 0 && size(r) <= size_bytes;
}

/* Stops the service in the middle of an upload for this transaction. 0: it was through already. */
static int stop_inside(struct running *r, struct client *c, uint64_t transaction)
{
    stage(c, transaction, 2, 200 << 20);
    while (entries(&r->p, "chunks") == 0 && !client_has_reply(c, 0))
        usleep(100);
    assert_int_equal(kill(r->pid, SIGSTOP), 0);
    usleep(1000);
    if (entries(&r->p, "staged") == 0)
        return 1;
    assert_int_equal(kill(r->pid, SIGCONT), 0);
    assert_int_equal(client_reply(c).status, 0);
    assert_int_equal(end(c, transaction, TC_TRANSACTION_DROP).status, 0);
    return 0;
}

/* A host closed our descriptor while a large result was on its way, and the flow ended over another
 * connection. */
static void end_before_the_upload(struct running *r, uint32_t op)
{
    struct client first, second, third;
    uint64_t before, transaction = 5;

    client_open(&r->p, &first);
    client_store(&first, &(struct draft_spec){.key = 1, .output_bytes = 100, .fill = 'k'}, 0);
    assert_int_equal(client_reply(&first).status, 0);
    stage(&first, 4, 9, 100); /* makes the table */
    assert_int_equal(client_reply(&first).status, 0);
    assert_int_equal(end(&first, 4, TC_TRANSACTION_DROP).status, 0);
    before = size(r);
    client_open(&r->p, &second); /* isn't greeted: that would wait for the upload */
    while (!stop_inside(r, &first, transaction))
        transaction++;
    client_close(&first);
    send_end(&second, transaction, op);
    assert_int_equal(kill(r->pid, SIGCONT), 0);
    assert_int_equal(client_reply(&second).status, 0);
    client_open(&r->p, &third);
    assert_int_equal(client_hello(&third).status, 0); /* the upload is through */
    assert_true(is_swept(r, before));
    /* Nothing is left that could be taken for it. */
    assert_int_equal(end(&second, transaction, TC_TRANSACTION_COMMIT).status, -ESTALE);
    assert_int_equal(entries(&r->p, "records"), 1);
    client_close(&second);
    client_close(&third);
}

static void test_dropped_before_an_upload_ends(void **state)
{
    end_before_the_upload(*state, TC_TRANSACTION_DROP);
}

static void test_committed_before_an_upload_ends(void **state)
{
    end_before_the_upload(*state, TC_TRANSACTION_COMMIT);
}

/* The same connection: requests are carried out one after the other. */
static void test_committed_behind_an_upload(void **state)
{
    struct running *r = *state;
    struct client c;

    client_open(&r->p, &c);
    stage(&c, 6, 3, 20 << 20);
    stage(&c, 6, 4, 1 << 20);
    for (int i = 0; i < 2; i++)
        assert_int_equal(client_reply(&c).status, 0);
    assert_int_equal(end(&c, 6, TC_TRANSACTION_COMMIT).value, 2);
    assert_true(has(&r->p, 3, 20 << 20, 's') && has(&r->p, 4, 1 << 20, 's'));
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dropped_before_an_upload_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_committed_before_an_upload_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_committed_behind_an_upload, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
