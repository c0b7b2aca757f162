/* taskcached's beginning and end: who serves, what is refused, what survives a kill. */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "cache/places.h"
#include "tests/unit/service_fixture.h"

static void store_ok(struct client *c, uint64_t key, size_t bytes, unsigned char fill)
{
    client_store(c, &(struct draft_spec){.key = key, .output_bytes = bytes, .fill = fill},
                 bytes > 50000);
    assert_int_equal(client_reply(c).status, 0);
}

static void kill_hard(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(service_wait(pid, 60000), 256 + SIGKILL);
}

static void test_kill_restart_adopt(void **state)
{
    struct tc_shared_page *mapped;
    struct place p;
    struct client c;
    struct stat st;
    ino_t inode;
    pid_t pid;

    (void)state;
    place_make(&p);
    pid = service_start(&p, 0);
    mapped = page_map(&p);
    assert_int_equal(stat(p.page, &st), 0);
    inode = st.st_ino;
    for (int round = 1; round <= 10; round++) {
        client_open(&p, &c);
        store_ok(&c, (uint64_t)round, 1000, 'a');
        /* Killed in the middle of a large one. */
        client_store(&c, &(struct draft_spec){.key = 99, .output_bytes = 32 << 20, .fill = 'b'}, 1);
        usleep((useconds_t)(round * 3000));
        kill_hard(pid);
        client_close(&c);
        assert_int_equal(client_try(&p, &c), -ECONNREFUSED);
        pid = service_start(&p, 0);
        for (int i = 1; i <= round; i++)
            assert_true(has(&p, (uint64_t)i, 1000, 'a'));
        assert_true(has(&p, 99, 32 << 20, 'b') || entries(&p, "chunks") == 0);
        assert_int_equal(mapped->service_pid, pid);
        assert_int_equal(mapped->generation, 2);
    }
    assert_int_equal(stat(p.page, &st), 0);
    assert_int_equal(st.st_ino, inode);
    munmap(mapped, sizeof *mapped);
    service_quit(&p, pid);
    place_remove(&p);
}

static void test_of_many_at_once_one_serves_and_all_say_ok(void **state)
{
    enum {
        COUNT = 8
    };
    const char *arguments[] = {"--cache", NULL, "--idle-exit", "0", NULL};
    struct place p;
    struct client c;
    pid_t starters[COUNT], server;
    char line[512];
    int status;

    (void)state;
    place_make(&p);
    arguments[1] = p.cache;
    service_outlives_starter = 1;
    for (int i = 0; i < COUNT; i++) {
        starters[i] = fork();
        if (starters[i] == 0) {
            pid_t pid = service_run(&p, arguments, line);

            if (strcmp(line, "ok\n") != 0)
                _exit(100);
            client_open(&p, &c);
            if ((pid_t)client_simple(&c, TC_MSG_PING).value == pid)
                _exit(50);
            _exit(service_wait(pid, 60000));
        }
    }
    for (int i = 0, serving = 0; i < COUNT; i++) {
        assert_int_equal(waitpid(starters[i], &status, 0), starters[i]);
        assert_true(status == 0 || WEXITSTATUS(status) == 50);
        serving += status != 0;
        assert_true(serving <= 1);
        assert_true(i < COUNT - 1 || serving == 1);
    }
    service_outlives_starter = 0;
    client_open(&p, &c);
    server = (pid_t)client_simple(&c, TC_MSG_PING).value;
    assert_int_equal(client_simple(&c, TC_MSG_QUIT).status, 0);
    client_close(&c);
    for (int i = 0; i < 500 && kill(server, 0) == 0; i++)
        usleep(10000);
    place_remove(&p);
}

static void test_idle_services_leave(void **state)
{
    struct tc_attach attach = {.pid = 0};
    struct place p;
    struct client c;
    pid_t pid, child;
    char path[200];
    int ends[2];

    (void)state;
    place_make(&p);
    pid = service_start(&p, 1);
    client_open(&p, &c);
    assert_int_equal(service_wait(pid, 2500), -1);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        char none;

        (void)close(ends[1]);
        (void)!read(ends[0], &none, 1);
        _exit(0);
    }
    (void)close(ends[0]);
    attach.pid = (uint32_t)child;
    client_send(&c, &attach, TC_MSG_ATTACH, sizeof attach, -1);
    assert_int_equal(client_reply(&c).status, 0);
    client_close(&c);
    assert_int_equal(service_wait(pid, 1800), -1);
    (void)close(ends[1]);
    assert_int_equal(service_wait(pid, 60000), 0);
    socket_path(&p, path, sizeof path);
    assert_int_equal(access(path, F_OK), -1);
    waitpid(child, NULL, 0);
    place_remove(&p);
}

/* Whoever asked for the end has the last connection: when it closes, all that was taken on is done,
 * and nobody finds the service any more. */
static void test_who_asks_for_the_end_sees_it(void **state)
{
    struct place p;
    struct client asking, other;
    struct tc_reply none;
    char path[200];
    pid_t pid;

    (void)state;
    for (int round = 0; round < 5; round++) {
        place_make(&p);
        pid = service_start(&p, 0);
        client_open(&p, &other);
        client_open(&p, &asking);
        (void)client_hello(&other);
        client_store(&other, &(struct draft_spec){.key = 7, .output_bytes = 9 << 20, .fill = 'z'},
                     1);
        assert_int_equal(client_simple(&asking, TC_MSG_QUIT).status, 0);
        assert_int_equal(recv(asking.fd, &none, sizeof none, 0), 0);
        assert_int_equal(client_reply(&other).status, 0);
        assert_int_equal(recv(other.fd, &none, sizeof none, MSG_DONTWAIT), 0);
        assert_true(has(&p, 7, 9 << 20, 'z'));
        socket_path(&p, path, sizeof path);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(service_wait(pid, 30000), 0);
        client_close(&asking);
        client_close(&other);
        place_remove(&p);
    }
}

/* A forked child keeps the socket open, but isn't the client. */
static void test_a_dead_client_does_not_keep_the_service(void **state)
{
    struct place p;
    pid_t pid, child, grandchild = 0;
    int ends[2];

    (void)state;
    place_make(&p);
    assert_int_equal(pipe(ends), 0);
    pid = service_start(&p, 1);
    child = fork();
    if (child == 0) {
        struct client c;

        client_open(&p, &c);
        (void)client_hello(&c);
        grandchild = fork();
        if (grandchild == 0) {
            sleep(20);
            _exit(0);
        }
        (void)!write(ends[1], &grandchild, sizeof grandchild);
        _exit(0);
    }
    assert_int_equal(read(ends[0], &grandchild, sizeof grandchild), sizeof grandchild);
    waitpid(child, NULL, 0);
    assert_int_equal(service_wait(pid, 19000), 0);
    kill(grandchild, SIGKILL);
    close(ends[0]);
    close(ends[1]);
    place_remove(&p);
}

static void test_it_leaves_when_its_directory_is_gone(void **state)
{
    struct place p;
    struct client c;
    char away[128];
    pid_t pid;

    (void)state;
    place_make(&p);
    pid = service_start(&p, 0);
    client_open(&p, &c);
    snprintf(away, sizeof away, "%s.away", p.cache);
    assert_int_equal(rename(p.cache, away), 0);
    assert_int_equal(service_wait(pid, 60000), 0);
    client_close(&c);
    place_remove(&p);
}

static void test_it_leaves_when_the_lock_is_replaced(void **state)
{
    struct place p;
    pid_t pid;

    (void)state;
    place_make(&p);
    pid = service_start(&p, 0);
    assert_int_equal(unlinkat(p.cache_fd, "lock", 0), 0);
    close(openat(p.cache_fd, "lock", O_CREAT | O_RDWR, 0600));
    assert_int_equal(service_wait(pid, 60000), 0);
    place_remove(&p);
}

static void expect_refusal(const struct place *p, const char *const *arguments, const char *reason)
{
    char line[512], start[64];
    pid_t pid = service_run(p, arguments, line);

    snprintf(start, sizeof start, "error %s ", reason);
    if (strncmp(line, start, strlen(start)) != 0)
        fail_msg("said: %s", line);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_int_equal(service_wait(pid, 60000), 1);
}

static void test_refusals(void **state)
{
    struct place p;
    char path[128];
    const char *arguments[] = {"--cache", path, NULL};

    (void)state;
    place_make(&p);
    snprintf(path, sizeof path, "%s", p.cache);
    assert_int_equal(chmod(p.cache, 0777), 0);
    expect_refusal(&p, arguments, "untrusted");
    assert_int_equal(chmod(p.cache, 0755), 0);
    assert_int_equal(chmod(p.root, 0777), 0);
    expect_refusal(&p, arguments, "untrusted");
    assert_int_equal(chmod(p.root, 0700), 0);
    snprintf(path, sizeof path, "%s/file", p.root);
    write_file(path, "x");
    expect_refusal(&p, arguments, "no-cache-dir");
    snprintf(path, sizeof path, "/proc/nowhere/cache");
    expect_refusal(&p, arguments, "no-cache-dir");
    arguments[0] = "--config";
    snprintf(path, sizeof path, "%s/none.yaml", p.root);
    expect_refusal(&p, arguments, "config-unreadable");
    arguments[0] = "--cache";
    snprintf(path, sizeof path, "%s", p.cache);
    assert_int_equal(rmdir(p.runtime), 0);
    assert_int_equal(symlink(p.root, p.runtime), 0);
    expect_refusal(&p, arguments, "untrusted");
    place_remove(&p);
}

static void test_a_store_of_another_format_is_refused(void **state)
{
    struct place p;
    char path[128];
    const char *arguments[] = {"--cache", NULL, NULL};
    MDB_val k = {1, (void *)(uintptr_t) "k"};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    (void)state;
    place_make(&p);
    snprintf(path, sizeof path, "%s/store-4", p.cache);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &k, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    arguments[1] = p.cache;
    expect_refusal(&p, arguments, "store-format");
    place_remove(&p);
}

/* Somebody empties the data file under a running service: it crashes, and the next one begins anew.
 */
static void test_a_truncated_store_heals(void **state)
{
    struct place p;
    struct client c;
    pid_t pid;
    int fd, end;

    (void)state;
    place_make(&p);
    pid = service_start(&p, 0);
    client_open(&p, &c);
    for (uint64_t i = 0; i < 500; i++)
        store_ok(&c, i << 50, 3000, 't');
    fd = openat(p.cache_fd, "store-1/data.mdb", O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    close(fd);
    end = service_wait(pid, 50);
    if (end == -1)
        client_store(&c, &(struct draft_spec){.key = 77ull << 50, .output_bytes = 10}, 0);
    if (end == -1)
        end = service_wait(pid, 60000);
    client_close(&c);
    if (end == -1) /* it noticed without a crash */
        service_quit(&p, pid);
    pid = service_start(&p, 0);
    assert_int_equal(faccessat(p.cache_fd, "store-2/data.mdb", F_OK, 0), 0);
    client_open(&p, &c);
    store_ok(&c, 5, 100, 'n');
    assert_true(has(&p, 5, 100, 'n'));
    client_close(&c);
    service_quit(&p, pid);
    place_remove(&p);
}

/* The limit on a file's size stands in for a full disk. */
static void test_a_full_disk_loses_new_records_only(void **state)
{
    struct rlimit small = {4 << 20, 4 << 20};
    unsigned stored = 0, refused = 0;
    struct place p;
    struct client c;
    pid_t pid;

    (void)state;
    place_make(&p);
    pid = fork();
    if (pid == 0) {
        char line[512];
        const char *const arguments[] = {"--cache", p.cache, "--idle-exit", "0", NULL};
        pid_t server;

        setrlimit(RLIMIT_FSIZE, &small);
        server = service_run(&p, arguments, line);
        _exit(strcmp(line, "ok\n") == 0 ? service_wait(server, 60000) : 99);
    }
    while (client_try(&p, &c) < 0)
        usleep(10000);
    for (uint64_t i = 1; i <= 600; i++) {
        struct tc_reply r;

        client_store(&c, &(struct draft_spec){.key = i, .output_bytes = 20000, .fill = 'd'},
                     i % 7 == 0);
        r = client_reply(&c);
        stored += r.status == 0;
        refused += r.status == -ENOSPC || r.status == -EIO;
        assert_int_equal(has(&p, i, 20000, 'd'), r.status == 0);
        assert_true(r.status == 0 || r.reason == TC_R_STORE_FULL || r.reason == TC_R_NOT_STORED);
    }
    assert_int_equal(stored + refused, 600);
    if (stored < 50 || refused < 50)
        fail_msg("%u stored, %u refused", stored, refused);
    client_store(&c, &(struct draft_spec){.key = 9, .output_bytes = 3 << 20, .fill = 'd'}, 1);
    assert_true(client_reply(&c).status < 0);
    assert_true(has(&p, 1, 20000, 'd'));
    assert_int_equal(client_simple(&c, TC_MSG_QUIT).status, 0);
    client_close(&c);
    assert_int_equal(service_wait(pid, 60000), 0);
    place_remove(&p);
}

/* As after a power cut: another boot's id in "boot" (service/store/internal.h), no runtime
 * directory; and one record's bytes aren't what they were. */
static void cut_the_power(const struct place *p)
{
    struct {
        char id[40];
        uint64_t clean;
    } boot = {"00000000-1111-2222-3333-444444444444", 0};
    MDB_val key = {4, (void *)(uintptr_t) "boot"}, value = {sizeof boot, &boot};
    uint64_t damaged = 3;
    unsigned char bytes[4096];
    char path[128];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta, records;

    snprintf(path, sizeof path, "%s/store-1", p->cache);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 1 << 30), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    assert_int_equal(mdb_dbi_open(txn, "records", MDB_INTEGERKEY, &records), 0);
    assert_int_equal(mdb_put(txn, meta, &key, &value, 0), 0);
    key = (MDB_val){sizeof damaged, &damaged};
    assert_int_equal(mdb_get(txn, records, &key, &value), 0);
    assert_true(value.mv_size <= sizeof bytes);
    memcpy(bytes, value.mv_data, value.mv_size);
    bytes[value.mv_size - 1] ^= 1;
    value.mv_data = bytes;
    assert_int_equal(mdb_put(txn, records, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(unlink(p->page), 0);
}

static void test_after_an_unclean_reboot_good_records_are_salvaged(void **state)
{
    struct place p;
    struct client c;
    char path[128], text[2000] = "";
    pid_t pid;
    int fd;

    (void)state;
    place_make(&p);
    pid = service_start(&p, 0);
    client_open(&p, &c);
    for (uint64_t i = 1; i <= 20; i++)
        store_ok(&c, i, 100 * i, (unsigned char)i);
    store_ok(&c, 50, 900000, 'L');
    client_close(&c);
    service_quit(&p, pid);
    cut_the_power(&p);
    pid = service_start(&p, 0);
    snprintf(path, sizeof path, "%s/log", p.cache);
    for (int i = 0; i < 500 && strstr(text, "20 records salvaged, 1 lost") == NULL; i++) {
        usleep(10000);
        fd = open(path, O_RDONLY);
        (void)!read(fd, text, sizeof text - 1);
        close(fd);
    }
    assert_non_null(strstr(text, "20 records salvaged, 1 lost"));
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(has(&p, i, 100 * i, (unsigned char)i), i != 3);
    assert_true(has(&p, 50, 900000, 'L'));
    service_quit(&p, pid);
    place_remove(&p);
}

#ifdef TC_SANITIZED /* its library wants to be the first one */
#define PRELOAD ""
#else
#define PRELOAD "LD_PRELOAD=libcmocka.so.0 "
#endif

/* Started by hand it goes into the background, without what it was started with. */
static void test_the_background_service_keeps_nothing_of_its_starter(void **state)
{
    struct place p;
    struct client c;
    char command[1200], path[64], text[4096] = "", self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    pid_t server;
    int fd;

    (void)state;
    assert_true(n > 0);
    self[n] = 0;
    for (int i = 0; i < 3; i++)
        *strrchr(self, '/') = 0;
    place_make(&p);
    snprintf(command, sizeof command,
             "cd %s; trap '' TERM; exec 7</etc/passwd; " PRELOAD "LEAK=1 HOME=%s "
             "XDG_RUNTIME_DIR=%s %s/service/taskcached --cache cache --idle-exit 30",
             p.root, p.root, p.run, self);
    assert_int_equal(system(command), 0);
    client_open(&p, &c);
    server = (pid_t)client_simple(&c, TC_MSG_PING).value;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)server);
    assert_true(getsid(server) == server || getsid(server) != getsid(0));
    snprintf(path, sizeof path, "/proc/%d/maps", (int)server);
    fd = open(path, O_RDONLY);
    for (n = 1; n > 0;) {
        n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        assert_null(strstr(text, "libcmocka.so"));
    }
    close(fd);
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)server);
    n = readlink(path, text, sizeof text - 1);
    assert_int_equal(n, 1);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)server, i);
        n = readlink(path, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        assert_string_equal(text, "/dev/null");
    }
    for (int i = 3; i < 40; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)server, i);
        n = readlink(path, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        assert_null(strstr(text, "passwd"));
    }
    client_close(&c);
    assert_int_equal(kill(server, SIGTERM), 0);
    for (int i = 0; i < 500 && client_try(&p, &c) == 0; i++) {
        client_close(&c);
        usleep(10000);
    }
    assert_true(c.fd < 0);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_restart_adopt),
        cmocka_unit_test(test_of_many_at_once_one_serves_and_all_say_ok),
        cmocka_unit_test(test_idle_services_leave),
        cmocka_unit_test(test_who_asks_for_the_end_sees_it),
        cmocka_unit_test(test_a_dead_client_does_not_keep_the_service),
        cmocka_unit_test(test_it_leaves_when_its_directory_is_gone),
        cmocka_unit_test(test_it_leaves_when_the_lock_is_replaced),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_store_of_another_format_is_refused),
        cmocka_unit_test(test_a_truncated_store_heals),
        cmocka_unit_test(test_a_full_disk_loses_new_records_only),
        cmocka_unit_test(test_after_an_unclean_reboot_good_records_are_salvaged),
        cmocka_unit_test(test_the_background_service_keeps_nothing_of_its_starter),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
