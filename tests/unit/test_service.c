/* taskcached as its clients see it: records, visibility, bad packets, many clients at once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/places.h"
#include "cache/totals.h"
#include "tests/unit/service_fixture.h"

struct running {
    struct place p;
    pid_t pid;
    struct client c;
};

static int setup(void **state)
{
    struct running *r = calloc(1, sizeof *r);

    place_make(&r->p);
    r->pid = service_start(&r->p, 0);
    client_open(&r->p, &r->c);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct running *r = *state;

    if (r->c.fd >= 0)
        client_close(&r->c);
    service_quit(&r->p, r->pid);
    place_remove(&r->p);
    free(r);
    return 0;
}

static void store_ok(struct client *c, uint64_t key, size_t bytes, unsigned char fill, int memfd)
{
    uint64_t seq = client_store(
        c, &(struct draft_spec){.key = key, .output_bytes = bytes, .fill = fill}, memfd);
    struct tc_reply r = client_reply(c);

    assert_int_equal(r.head.seq, seq);
    assert_int_equal(r.status, 0);
}

static void test_a_reply_to_a_store_means_that_it_is_seen(void **state)
{
    struct running *r = *state;

    assert_int_equal(client_hello(&r->c).status, 0);
    for (uint64_t i = 1; i <= 50; i++) {
        store_ok(&r->c, i, 64 * i, (unsigned char)i, (int)(i & 1));
        assert_true(has(&r->p, i, 64 * i, (unsigned char)i));
    }
}

static void test_large_records_come_by_memfd_in_chunks(void **state)
{
    static const size_t sizes[] = {0, 200 * 1024, 256 * 1024, TC_CHUNK_BYTES, 64 << 20};
    struct running *r = *state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        store_ok(&r->c, 7, sizes[i], (unsigned char)('a' + i), 1);
        assert_true(has(&r->p, 7, sizes[i], (unsigned char)('a' + i)));
    }
    store_ok(&r->c, 7, 1, 'z', 0);
    assert_int_equal(entries(&r->p, "chunks"), 0);
}

/* Small records of one client don't wait for another's large one. */
static void test_a_large_record_does_not_hold_up_others(void **state)
{
    struct running *r = *state;
    struct client other;

    client_open(&r->p, &other);
    client_store(&r->c, &(struct draft_spec){.key = 1, .output_bytes = 128 << 20, .fill = 'L'}, 1);
    for (uint64_t i = 10; i < 15; i++)
        store_ok(&other, i, 100, 's', 0);
    assert_false(client_has_reply(&r->c, 0));
    assert_int_equal(client_reply(&r->c).status, 0);
    assert_true(has(&r->p, 1, 128 << 20, 'L'));
    client_close(&other);
}

/* A greeting is answered when everything that was sent before it, by anybody, is committed. */
static void test_a_greeting_comes_after_all_that_was_sent_before(void **state)
{
    struct running *r = *state;
    struct client other;

    for (int round = 0; round < 20; round++) {
        uint64_t key = (uint64_t)(100 + round);

        for (int i = 0; i < 100; i++)
            client_store(&r->c, &(struct draft_spec){.key = key, .output_bytes = 500, .fill = 'o'},
                         0);
        client_store(&r->c, &(struct draft_spec){.key = key, .output_bytes = 300000, .fill = 'n'},
                     1);
        client_open(&r->p, &other);
        assert_int_equal(client_hello(&other).status, 0);
        assert_true(has(&r->p, key, 300000, 'n'));
        client_close(&other);
        for (int i = 0; i < 101; i++)
            assert_int_equal(client_reply(&r->c).status, 0);
    }
}

static void test_what_a_killed_client_sent_is_kept(void **state)
{
    struct running *r = *state;
    struct client other;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct client c;

        client_open(&r->p, &c);
        for (uint64_t i = 1; i <= 100; i++)
            client_store(&c, &(struct draft_spec){.key = i, .output_bytes = 50, .fill = 'k'}, 0);
        client_store(&c, &(struct draft_spec){.key = 101, .output_bytes = 400000, .fill = 'k'}, 1);
        client_store(&c, &(struct draft_spec){.key = 102, .output_bytes = 50, .fill = 'k'}, 0);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    client_open(&r->p, &other);
    assert_int_equal(client_hello(&other).status, 0);
    client_close(&other);
    for (uint64_t i = 1; i <= 100; i++)
        assert_true(has(&r->p, i, 50, 'k'));
    assert_true(has(&r->p, 101, 400000, 'k'));
    assert_true(has(&r->p, 102, 50, 'k'));
}

/* Its unread replies reset the connection; what it sent before that counts all the same. */
static void test_what_a_killed_client_sent_is_kept_behind_replies(void **state)
{
    struct running *r = *state;
    struct client other;
    int ready[2], go[2], status;
    char byte = 'x';
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        struct client c;
        struct tc_message m;

        client_open(&r->p, &c);
        for (int i = 0; i < 5; i++)
            client_send(&c, &m, TC_MSG_PING, sizeof m, -1);
        (void)!write(ready[1], &byte, 1);
        (void)!read(go[0], &byte, 1); /* by then the replies lie here */
        (void)kill(r->pid, SIGSTOP);
        for (uint64_t i = 1; i <= 20; i++)
            client_store(&c, &(struct draft_spec){.key = i, .output_bytes = 50, .fill = 'k'}, 0);
        raise(SIGKILL);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)usleep(50000);
    assert_int_equal(write(go[1], &byte, 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(kill(r->pid, SIGCONT), 0);
    client_open(&r->p, &other);
    assert_int_equal(client_hello(&other).status, 0);
    client_close(&other);
    for (uint64_t i = 1; i <= 20; i++)
        assert_true(has(&r->p, i, 50, 'k'));
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(go[i]);
    }
}

static void test_a_stopped_client_stops_nobody(void **state)
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
        for (int i = 0; i < 2000; i++) {
            struct tc_message m;
            client_send(&c, &m, TC_MSG_PING, sizeof m, -1);
        }
        (void)!write(ready[1], "x", 1);
        raise(SIGSTOP);
        for (uint64_t i = 1; i <= 2000; i++) {
            if (client_reply(&c).head.seq != i)
                _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    store_ok(&r->c, 5, 100, 's', 0);
    assert_int_equal(client_hello(&r->c).status, 0);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
}

static void expect_closed(const struct place *p, const void *packet, size_t bytes)
{
    struct client c;

    client_open(p, &c);
    assert_int_equal(send(c.fd, packet, bytes, MSG_NOSIGNAL), bytes);
    assert_true(client_is_closed(&c));
    client_close(&c);
}

static void test_garbage_ends_the_connection_only(void **state)
{
    static unsigned char big[TC_WIRE_MAX_BYTES + 4096];
    struct running *r = *state;
    struct tc_message good = {TC_WIRE_MAGIC, TC_WIRE_VERSION, TC_MSG_PING, sizeof good, 1}, m;

    expect_closed(&r->p, "x", 1);
    expect_closed(&r->p, big, 100);
    m = good;
    m.magic ^= 1;
    expect_closed(&r->p, &m, sizeof m);
    m = good;
    m.version++;
    expect_closed(&r->p, &m, sizeof m);
    m = good;
    m.bytes++;
    expect_closed(&r->p, &m, sizeof m);
    m = good;
    m.bytes = sizeof big;
    memcpy(big, &m, sizeof m);
    expect_closed(&r->p, big, sizeof big);
    for (unsigned type = 1; type < 16; type++) {
        struct client c;

        if (type == TC_MSG_QUIT)
            continue;
        /* Too short for its type, or answered: never the end of the service. */
        client_open(&r->p, &c);
        client_send(&c, &m, (enum tc_message_type)type, sizeof m, -1);
        (void)client_has_reply(&c, 200);
        client_close(&c);
    }
    assert_int_equal(client_simple(&r->c, (enum tc_message_type)50).status, -ENOSYS);
    assert_int_equal(client_simple(&r->c, TC_MSG_PING).value, r->pid);
}

/* Every length and offset of a request, one after the other, at its worst. */
static void test_forged_requests_are_refused(void **state)
{
    static const uint64_t bad[] = {0, 1, 7, 4096, 1u << 31, 0xffffffffu, UINT64_MAX, INT64_MAX};
    struct running *r = *state;
    size_t bytes;
    unsigned char *draft =
        draft_make(&(struct draft_spec){.key = 1, .output_bytes = 64, .fill = 'f'}, &bytes);
    struct client c;

    for (size_t at = 16; at + 8 <= sizeof(struct tc_store_request) + sizeof(struct tc_record);
         at += 4) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            unsigned char packet[2048] = {0};
            struct tc_store_request m = {.draft_bytes = bytes, .draft = sizeof m};

            memcpy(packet, &m, sizeof m);
            memcpy(packet + sizeof m, draft, bytes);
            memcpy(packet + at, &bad[i], at % 8 == 0 ? 8 : 4);
            client_open(&r->p, &c);
            client_send(&c, packet, TC_MSG_STORE, sizeof m + bytes, -1);
            client_close(&c);
        }
    }
    free(draft);
    assert_int_equal(client_hello(&r->c).status, 0);
    assert_int_equal(client_simple(&r->c, TC_MSG_PING).value, r->pid);
}

static void test_forged_memfds_are_refused(void **state)
{
    struct running *r = *state;
    struct tc_store_request m = {.flags = TC_STORE_MEMFD, .draft_bytes = 1 << 20};
    int fds[3] = {memfd_create("short", MFD_CLOEXEC), open("/dev/zero", O_RDONLY | O_CLOEXEC),
                  memfd_create("zeroes", MFD_CLOEXEC)};
    struct client c;

    assert_int_equal(ftruncate(fds[2], 2 << 20), 0);
    for (int i = 0; i < 3; i++) {
        client_send(&r->c, &m, TC_MSG_STORE, sizeof m, fds[i]);
        assert_true(client_reply(&r->c).status < 0);
        close(fds[i]);
    }
    client_open(&r->p, &c);
    client_send(&c, &m, TC_MSG_STORE, sizeof m, -1);
    assert_true(client_is_closed(&c));
    client_close(&c);
    assert_int_equal(client_simple(&r->c, TC_MSG_PING).status, 0);
}

/* A memfd that shrinks while it is read is no SIGBUS. */
static void test_a_memfd_that_is_truncated_harms_nobody(void **state)
{
    struct running *r = *state;
    size_t bytes;
    unsigned char *draft =
        draft_make(&(struct draft_spec){.key = 1, .output_bytes = 64 << 20, .fill = 't'}, &bytes);
    struct tc_store_request m = {.flags = TC_STORE_MEMFD, .draft_bytes = bytes};
    int fd = memfd_create("draft", MFD_CLOEXEC);
    struct tc_reply reply;

    assert_int_equal(write(fd, draft, bytes), bytes);
    client_send(&r->c, &m, TC_MSG_STORE, sizeof m, fd);
    usleep(30000);
    assert_int_equal(ftruncate(fd, 100000), 0);
    reply = client_reply(&r->c);
    if (reply.status < 0)
        assert_int_equal(entries(&r->p, "chunks") + entries(&r->p, "records"), 0);
    else
        assert_true(has(&r->p, 1, 64 << 20, 't'));
    close(fd);
    free(draft);
}

static void test_removing_collecting_and_logging(void **state)
{
    struct running *r = *state;
    struct {
        struct tc_remove_request m;
        uint64_t key[4];
    } some = {.m.key_count = 2, .key = {2, ~2ull, 99, ~99ull}};
    struct tc_remove_request all = {.everything = 1};
    struct {
        struct tc_log_message m;
        char text[16];
    } line = {.m = {.level = TC_LOG_WARN, .reason = TC_R_OPAQUE, .pid = 77, .text_bytes = 11},
              .text = "hello\nworld"};
    char path[128], text[4096] = "";
    uint64_t i;
    int fd;

    for (i = 1; i <= 10; i++)
        store_ok(&r->c, i, 10, 'r', 0);
    client_send(&r->c, &some, TC_MSG_REMOVE, sizeof some, -1);
    assert_int_equal(client_reply(&r->c).value, 1);
    assert_false(has(&r->p, 2, 10, 'r'));
    client_store(
        &r->c, &(struct draft_spec){.key = 50, .output_bytes = 5, .fill = 'x', .expires_ns = 5}, 0);
    assert_int_equal(client_reply(&r->c).status, 0);
    assert_int_equal(client_simple(&r->c, TC_MSG_GC).value, 1);
    assert_int_equal(client_simple(&r->c, TC_MSG_GC).value, 0);
    client_send(&r->c, &all, TC_MSG_REMOVE, sizeof all, -1);
    assert_int_equal(client_reply(&r->c).value, 9);
    assert_int_equal(entries(&r->p, "records"), 0);
    client_send(&r->c, &line, TC_MSG_LOG, sizeof line, -1);
    assert_int_equal(client_reply(&r->c).status, 0);
    snprintf(path, sizeof path, "%s/log", r->p.cache);
    fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_non_null(strstr(text, " 77 WARN opaque-input hello world\n"));
}

static void test_the_limit_is_kept(void **state)
{
    struct running *r = *state;
    char config[128], text[400], line[512];
    const char *const arguments[] = {"--config", config, NULL};
    struct tc_shared_page *page;

    client_close(&r->c);
    service_quit(&r->p, r->pid);
    snprintf(config, sizeof config, "%s/limit.yaml", r->p.root);
    snprintf(text, sizeof text, "cache: { path: %s, max_size: 4MiB }\n", r->p.cache);
    write_file(config, text);
    r->pid = service_run(&r->p, arguments, line);
    assert_string_equal(line, "ok\n");
    client_open(&r->p, &r->c);
    page = page_map(&r->p);
    assert_int_equal(page->max_size_bytes, 4 << 20);
    for (uint64_t i = 1; i <= 2000; i++)
        store_ok(&r->c, i * 0x9e3779b97f4a7c15ull, 5000, 'e', 0);
    for (int i = 0; i < 200 && page->size_bytes > 4 << 20; i++)
        usleep(10000);
    assert_true(page->size_bytes <= 4 << 20);
    assert_true(page->evicted > 1000);
    client_store(&r->c, &(struct draft_spec){.key = 1, .output_bytes = 2 << 20}, 1);
    assert_int_equal(client_reply(&r->c).reason, TC_R_TOO_LARGE);
    /* An edit of this config holds at once. */
    snprintf(text, sizeof text, "cache: { path: %s, max_size: 16MiB }\n", r->p.cache);
    write_file(config, text);
    assert_int_equal(client_config(&r->c, config).status, 0);
    assert_int_equal(page->max_size_bytes, 16 << 20);
    munmap(page, sizeof *page);
}

static void test_counters_reach_the_store(void **state)
{
    struct running *r = *state;
    struct tc_shared_page *page = page_map(&r->p);
    struct tc_counters *c =
        tc_counters_claim(page->task, TC_PAGE_TASKS, &page->totals, 5, "task@object");
    struct tc_totals t = {0};

    __atomic_fetch_add(&c->hits, 11, __ATOMIC_RELAXED);
    for (int i = 0; i < 300 && t.hits == 0; i++) {
        usleep(10000);
        (void)look_into(&r->p, "tasks", "task@object", 11, &t, sizeof t);
    }
    assert_int_equal(t.hits, 11);
    assert_int_equal(c->hits, 0);
    munmap(page, sizeof *page);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_reply_to_a_store_means_that_it_is_seen),
        TEST(test_large_records_come_by_memfd_in_chunks),
        TEST(test_a_large_record_does_not_hold_up_others),
        TEST(test_a_greeting_comes_after_all_that_was_sent_before),
        TEST(test_what_a_killed_client_sent_is_kept),
        TEST(test_what_a_killed_client_sent_is_kept_behind_replies),
        TEST(test_a_stopped_client_stops_nobody),
        TEST(test_garbage_ends_the_connection_only),
        TEST(test_forged_requests_are_refused),
        TEST(test_forged_memfds_are_refused),
        TEST(test_a_memfd_that_is_truncated_harms_nobody),
        TEST(test_removing_collecting_and_logging),
        TEST(test_the_limit_is_kept),
        TEST(test_counters_reach_the_store),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
