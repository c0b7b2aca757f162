/* service/remote/serve.c, the other side: a child process that gets requests as no service sends
 * them, and a plugin's functions that return what they mustn't. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/remote/blob.h"
#include "service/remote/protocol.h"

/* Keys say what the functions do. */
#define KEY(n) ((struct tc_key){.low = (n), .high = 0})
enum {
    GIVES = 1,
    LACKS,
    WANTS_ROOM,
    WANTS_MORE,
    WANTS_TOO_MUCH,
    POSITIVE,
    NO_ERRNO,
    CAUSES
};

static int what(const char *key, struct taskcache_error *error)
{
    unsigned long n = strtoul(key + 16, NULL, 16);

    if (strlen(key) != 32)
        abort();
    if (n == CAUSES) {
        tc_plugin_cause(error, "inner");
        tc_plugin_cause(error, "outer");
        return -EIO;
    }
    return n == LACKS ? -ENOENT : n == POSITIVE ? 7 : n == NO_ERRNO ? INT32_MIN : 0;
}

static int get(void *data, const char *key, struct taskcache_cursor *to,
               struct taskcache_error *error)
{
    static unsigned char big[1 << 20];
    int r = what(key, error);

    (void)data;
    if (r != 0)
        return r;
    switch (strtoul(key + 16, NULL, 16)) {
    case WANTS_ROOM:
        taskcache_put(to, big, sizeof big);
        return 0;
    case WANTS_MORE:
        to->used = to->room + 1;
        return 0;
    case WANTS_TOO_MUCH:
        to->used = UINT64_MAX;
        return 0;
    default:
        taskcache_put(to, "bytes", 5);
        return 0;
    }
}

static int put(void *data, const char *key, const void *bytes, uint64_t count,
               struct taskcache_error *error)
{
    uint64_t sum = 0;

    (void)data;
    for (uint64_t i = 0; i < count; i++)
        sum += ((const unsigned char *)bytes)[i];
    return sum == count * 5 ? what(key, error) : -EBADMSG;
}

static int look(void *data, const char *key, struct taskcache_error *error)
{
    (void)data;
    return what(key, error);
}

static unsigned long listed;

static int list(void *data, void (*each)(void *to, const char *key), void *to,
                struct taskcache_error *error)
{
    static const char *const odd[] = {
        "",
        "x",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789abcdef0123456789abcdeg",
        "0123456789ABCDEF0123456789abcdef",
        "../../../etc/passwd",
    };
    char key[33];

    (void)data, (void)error;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        each(to, odd[i]);
    each(to, NULL);
    for (unsigned long i = 0; i < listed; i++) {
        (void)snprintf(key, sizeof key, "%016lx%016lx", i + 1, i);
        each(to, key);
    }
    return 0;
}

static int lock(void *data, const char *key, const char *owner, uint64_t ttl_ns,
                struct taskcache_error *error)
{
    (void)data;
    return strcmp(owner, "me") != 0 || ttl_ns != 3 ? -EBADMSG : what(key, error);
}

static int unlock(void *data, const char *key, const char *owner, struct taskcache_error *error)
{
    return lock(data, key, owner, 3, error);
}

static void closed(void *data)
{
    (void)data;
    _exit(77);
}

int tc_plugin_host_load(struct tc_plugin_host *h, const char *path, struct taskcache_error *error)
{
    const struct taskcache_storage s = {sizeof s, 0,   "place", NULL, NULL,
                                        get,      put, look,    look, list};
    const struct taskcache_storage bare = {sizeof bare, 0,    "bare", NULL, NULL,
                                           get,         NULL, NULL,   NULL, NULL};
    const struct taskcache_lock_manager m = {sizeof m, 0,    "locks", NULL,  NULL,
                                             lock,     lock, unlock,  closed};

    if (strcmp(path, "refused") == 0) {
        tc_plugin_cause(error, "no licence");
        return -EPROTO;
    }
    (void)tc_plugin_add_storage(&h->table, &s);
    (void)tc_plugin_add_storage(&h->table, &bare);
    return tc_plugin_add_lock_manager(&h->table, &m);
}

struct child {
    int fd;
    pid_t pid;
};

static struct child begin(const char *path, const char *function)
{
    static struct tc_plugin_host host;
    int ends[2];
    struct child c;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    c.pid = fork();
    if (c.pid == 0) {
        close(ends[0]);
        _exit(tc_remote_serve(&host, path, function, ends[1]) == 0 ? 0 : 1);
    }
    close(ends[1]);
    c.fd = ends[0];
    return c;
}

static int end(struct child *c)
{
    int status;

    close(c->fd);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void read_all(int fd, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, (char *)to + done, bytes - done);

        assert_true(n > 0);
        done += (size_t)n;
    }
}

static unsigned char data[TC_BLOB_MAX_BYTES];

/* Its status; the answer's bytes are in `data`. */
static int ask(struct child *c, uint32_t op, struct tc_key key, const void *bytes, size_t count,
               uint64_t *ret_bytes)
{
    static uint64_t serial;
    struct tc_remote_head q = {.magic = TC_REMOTE_MAGIC,
                               .op = op,
                               .serial = ++serial,
                               .kind = strcmp((const char *)bytes, "me") == 0 ? 0 : TC_STORAGE_FAR,
                               .key_low = key.low,
                               .key_high = key.high,
                               .bytes = count},
                          a;

    assert_int_equal(write(c->fd, &q, sizeof q), sizeof q);
    assert_int_equal(write(c->fd, bytes, count), count);
    read_all(c->fd, &a, sizeof a);
    assert_int_equal(a.magic, TC_REMOTE_MAGIC);
    assert_int_equal(a.op, op);
    assert_int_equal(a.serial, q.serial);
    assert_int_equal(a.key_low, key.low);
    assert_in_range(a.bytes, 0, sizeof data);
    read_all(c->fd, data, a.bytes);
    data[a.bytes < sizeof data ? a.bytes : 0] = 0;
    *ret_bytes = a.bytes;
    return a.status;
}

static int simple(struct child *c, uint32_t op, unsigned key)
{
    uint64_t n;

    return ask(c, op, KEY(key), "", 0, &n);
}

static void what_functions_return(void **state)
{
    struct child c = begin("", "place");
    uint64_t n;

    (void)state;
    assert_int_equal(simple(&c, TC_REMOTE_GET, GIVES), -EBADF); /* not open yet */
    assert_int_equal(simple(&c, TC_REMOTE_OPEN, 0), 0);
    assert_int_equal(ask(&c, TC_REMOTE_GET, KEY(GIVES), "", 0, &n), 0);
    assert_int_equal(n, 5);
    assert_int_equal(simple(&c, TC_REMOTE_GET, LACKS), -ENOENT);
    assert_int_equal(ask(&c, TC_REMOTE_GET, KEY(WANTS_ROOM), "", 0, &n), 0);
    assert_int_equal(n, 1 << 20);
    assert_int_equal(simple(&c, TC_REMOTE_GET, WANTS_MORE), -EOVERFLOW);
    assert_int_equal(simple(&c, TC_REMOTE_GET, WANTS_TOO_MUCH), -EFBIG);
    assert_int_equal(simple(&c, TC_REMOTE_GET, POSITIVE), -EPROTO);
    assert_int_equal(simple(&c, TC_REMOTE_EXISTS, NO_ERRNO), -EPROTO);
    assert_int_equal(ask(&c, TC_REMOTE_REMOVE, KEY(CAUSES), "", 0, &n), -EIO);
    assert_string_equal((char *)data, "outer: inner");
    assert_int_equal(simple(&c, TC_REMOTE_GET, GIVES), 0); /* the causes are gone */
    assert_int_equal(simple(&c, TC_REMOTE_EXISTS, LACKS), -ENOENT);
    assert_int_equal(simple(&c, 4711, GIVES), -ENOSYS);
    assert_int_equal(simple(&c, TC_REMOTE_RENEW, GIVES), -ENOSYS);
    assert_int_equal(end(&c), 0);
}

static void bytes_go_in(void **state)
{
    struct child c = begin("", "place");
    unsigned char *fives = malloc(100000);
    uint64_t n;

    (void)state;
    memset(fives, 5, 100000);
    assert_int_equal(simple(&c, TC_REMOTE_OPEN, 0), 0);
    assert_int_equal(ask(&c, TC_REMOTE_PUT, KEY(GIVES), fives, 100000, &n), 0);
    assert_int_equal(simple(&c, TC_REMOTE_PUT, GIVES), 0); /* none at all */
    fives[99999] = 4;
    assert_int_equal(ask(&c, TC_REMOTE_PUT, KEY(GIVES), fives, 100000, &n), -EBADMSG);
    free(fives);
    assert_int_equal(end(&c), 0);
}

/* Only what is a key; as many as there are, however many. */
static void lists(void **state)
{
    static const unsigned long counts[] = {0, 1, 100000, TC_BLOB_MAX_BYTES / 16,
                                           TC_BLOB_MAX_BYTES / 16 + 1};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct child c;
        uint64_t n;
        int r;

        listed = counts[i];
        c = begin("", "place");
        assert_int_equal(simple(&c, TC_REMOTE_OPEN, 0), 0);
        r = ask(&c, TC_REMOTE_LIST, KEY(0), "", 0, &n);
        assert_int_equal(r, i == 4 ? -EFBIG : 0);
        if (r == 0)
            assert_int_equal(n, counts[i] * sizeof(struct tc_key));
        if (counts[i] == 100000) {
            struct tc_key last;

            memcpy(&last, data + n - sizeof last, sizeof last);
            assert_int_equal(last.low, 99999);
            assert_int_equal(last.high, 100000);
        }
        assert_int_equal(end(&c), 0);
    }
}

static void methods_that_are_missing(void **state)
{
    static const uint32_t ops[] = {TC_REMOTE_PUT, TC_REMOTE_REMOVE, TC_REMOTE_EXISTS,
                                   TC_REMOTE_LIST};
    struct child c = begin("", "bare");

    (void)state;
    assert_int_equal(simple(&c, TC_REMOTE_OPEN, 0), 0);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        assert_int_equal(simple(&c, ops[i], GIVES), -ENOTSUP);
    assert_int_equal(end(&c), 0);
}

static void what_cant_be_opened(void **state)
{
    struct child c = begin("refused", "place");
    uint64_t n;

    (void)state;
    assert_int_equal(ask(&c, TC_REMOTE_OPEN, KEY(0), "", 0, &n), -EPROTO);
    assert_string_equal((char *)data, "no licence");
    assert_int_equal(simple(&c, TC_REMOTE_GET, GIVES), -EBADF);
    assert_int_equal(end(&c), 0);
    c = begin("", "nothing");
    assert_int_equal(simple(&c, TC_REMOTE_OPEN, 0), -ENOENT);
    assert_int_equal(simple(&c, TC_REMOTE_LIST, 0), -EBADF);
    assert_int_equal(end(&c), 0);
}

static void lock_managers(void **state)
{
    const struct tc_remote_lock me = {.owner = "me", .ttl_ns = 3};
    struct child c = begin("", "locks");
    struct tc_remote_head q = {
        .magic = TC_REMOTE_MAGIC, .op = TC_REMOTE_OPEN, .kind = TC_STORAGE_LOCKS};
    uint64_t n;

    (void)state;
    assert_int_equal(write(c.fd, &q, sizeof q), sizeof q);
    read_all(c.fd, &q, sizeof q);
    assert_int_equal(q.status, 0);
    assert_int_equal(ask(&c, TC_REMOTE_ACQUIRE, KEY(GIVES), &me, sizeof me, &n), 0);
    assert_int_equal(ask(&c, TC_REMOTE_RENEW, KEY(LACKS), &me, sizeof me, &n), -ENOENT);
    assert_int_equal(ask(&c, TC_REMOTE_RELEASE, KEY(POSITIVE), &me, sizeof me, &n), -EPROTO);
    assert_int_equal(ask(&c, TC_REMOTE_ACQUIRE, KEY(GIVES), &me, sizeof me - 1, &n), -EBADMSG);
    assert_int_equal(simple(&c, TC_REMOTE_GET, GIVES), -EBADMSG);
    assert_int_equal(end(&c), 77); /* it was closed */
}

/* What no service sends ends it. */
static void heads_that_lie(void **state)
{
    const struct tc_remote_head heads[] = {
        {.magic = 1, .op = TC_REMOTE_OPEN},
        {.magic = TC_REMOTE_MAGIC, .op = TC_REMOTE_PUT, .bytes = TC_BLOB_MAX_BYTES + 1},
        {.magic = TC_REMOTE_MAGIC, .op = TC_REMOTE_PUT, .bytes = UINT64_MAX},
    };
    char byte;

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct child c = begin("", "place");

        assert_int_equal(write(c.fd, &heads[i], sizeof heads[i]), sizeof heads[i]);
        assert_int_equal(read(c.fd, &byte, 1), 0);
        assert_int_equal(end(&c), 1);
        c = begin("", "place"); /* half of one, and half of its bytes */
        assert_int_equal(write(c.fd, &heads[1], 10), 10);
        assert_int_equal(end(&c), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_functions_return),
        cmocka_unit_test(bytes_go_in),
        cmocka_unit_test(lists),
        cmocka_unit_test(methods_that_are_missing),
        cmocka_unit_test(what_cant_be_opened),
        cmocka_unit_test(lock_managers),
        cmocka_unit_test(heads_that_lie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
