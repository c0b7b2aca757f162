#include "tests/unit/service_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cache/places.h"

#define MAX_ARGUMENTS 16

int service_outlives_starter;

/* Beside us in the build tree. */
static void find_service(char *ret, size_t bytes)
{
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(n > 0);
    self[n] = 0;
    for (int i = 0; i < 3; i++)
        *strrchr(self, '/') = 0;
    snprintf(ret, bytes, "%s/service/taskcached", self);
}

/* TC_TEST_VALGRIND=1: a mistake in the service is an exit status of 9. */
static void become_valgrind(const char *path, char *const *argv, char **env)
{
    char *wrapped[MAX_ARGUMENTS + 16] = {(char *)(uintptr_t) "valgrind",
                                         (char *)(uintptr_t) "-q",
                                         (char *)(uintptr_t) "--error-exitcode=9",
                                         (char *)(uintptr_t) "--leak-check=full",
                                         (char *)(uintptr_t) "--errors-for-leak-kinds=definite",
                                         (char *)(uintptr_t) "--show-leak-kinds=definite",
                                         (char *)(uintptr_t)path};

    for (int i = 1; argv[i] != NULL; i++)
        wrapped[6 + i] = argv[i];
    execve("/usr/bin/valgrind", wrapped, env);
}

static void become_service(const struct place *p, const char *const *arguments, int ready)
{
    char path[600], number[16], home[100], run[100];
    char *argv[MAX_ARGUMENTS + 5] = {(char *)(uintptr_t) "taskcached",
                                     (char *)(uintptr_t) "--foreground",
                                     (char *)(uintptr_t) "--ready-fd", number};
    char clock[200] = "TASKCACHE_CLOCK_FILE=";
    char *env[] = {home, run, clock, NULL};
    int n = 4;

    /* A test that fails leaves nothing behind. */
    if (!service_outlives_starter)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    find_service(path, sizeof path);
    snprintf(number, sizeof number, "%d", ready);
    snprintf(home, sizeof home, "HOME=%s", p->root);
    snprintf(run, sizeof run, "XDG_RUNTIME_DIR=%s", p->run);
    snprintf(clock, sizeof clock, "TASKCACHE_CLOCK_FILE=%s/clock", p->root);
    for (int i = 0; arguments[i] != NULL; i++)
        argv[n++] = (char *)(uintptr_t)arguments[i];
    if (getenv("TC_TEST_STDERR") == NULL) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
    }
    if (getenv("TC_TEST_VALGRIND") != NULL)
        become_valgrind(path, argv, env);
    execve(path, argv, env);
    _exit(127);
}

pid_t service_run(const struct place *p, const char *const *arguments, char *ret_line)
{
    int ends[2];
    size_t n = 0;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_service(p, arguments, ends[1]);
    }
    close(ends[1]);
    while ((got = read(ends[0], ret_line + n, 511 - n)) > 0)
        n += (size_t)got;
    ret_line[n] = 0;
    close(ends[0]);
    return pid;
}

pid_t service_start(const struct place *p, int idle_exit)
{
    char seconds[16], line[512];
    const char *const arguments[] = {"--cache", p->cache, "--idle-exit", seconds, NULL};
    pid_t pid;

    snprintf(seconds, sizeof seconds, "%d", idle_exit);
    pid = service_run(p, arguments, line);
    assert_string_equal(line, "ok\n");
    return pid;
}

int service_wait(pid_t pid, int ms)
{
    int status;

    for (int i = 0; i <= ms / 10; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
        usleep(10000);
    }
    return -1;
}

void service_quit(const struct place *p, pid_t pid)
{
    struct client c;

    client_open(p, &c);
    assert_int_equal(client_simple(&c, TC_MSG_QUIT).status, 0);
    client_close(&c);
    assert_int_equal(service_wait(pid, 60000), 0);
}

void socket_path(const struct place *p, char *ret, size_t bytes)
{
    struct stat st;
    char id[64];

    assert_int_equal(stat(p->cache, &st), 0);
    assert_int_equal(tc_cache_id(st.st_dev, st.st_ino, id, sizeof id), 0);
    assert_int_equal(tc_socket_path(p->runtime, id, ret, bytes), 0);
}

int client_try(const struct place *p, struct client *c)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    socket_path(p, a.sun_path, sizeof a.sun_path);
    c->seq = 0;
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    if (connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0)
        return 0;
    close(c->fd);
    c->fd = -1;
    return -errno;
}

void client_open(const struct place *p, struct client *c)
{
    assert_int_equal(client_try(p, c), 0);
}

void client_close(struct client *c)
{
    close(c->fd);
    c->fd = -1;
}

uint64_t client_send(struct client *c, void *message, enum tc_message_type type, size_t bytes,
                     int fd)
{
    struct tc_message head = {.magic = TC_WIRE_MAGIC,
                              .version = TC_WIRE_VERSION,
                              .type = (uint8_t)type,
                              .bytes = (uint32_t)bytes,
                              .seq = ++c->seq};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control;
    struct iovec v = {message, bytes};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    memcpy(message, &head, sizeof head);
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    assert_int_equal(sendmsg(c->fd, &m, MSG_NOSIGNAL), bytes);
    return c->seq;
}

int client_has_reply(struct client *c, int ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

struct tc_reply client_reply(struct client *c)
{
    struct tc_reply r;

    assert_true(client_has_reply(c, 60000));
    assert_int_equal(recv(c->fd, &r, sizeof r, 0), sizeof r);
    assert_int_equal(r.head.type, TC_MSG_REPLY);
    assert_int_equal(r.head.bytes, sizeof r);
    return r;
}

int client_is_closed(struct client *c)
{
    struct tc_reply r;
    ssize_t n;

    while (client_has_reply(c, 60000)) {
        n = recv(c->fd, &r, sizeof r, 0);
        if (n <= 0)
            return 1;
    }
    return 0;
}

struct tc_reply client_simple(struct client *c, enum tc_message_type type)
{
    struct tc_message m;
    uint64_t seq = client_send(c, &m, type, sizeof m, -1);
    struct tc_reply r = client_reply(c);

    assert_int_equal(r.head.seq, seq);
    return r;
}

struct tc_reply client_hello(struct client *c)
{
    struct tc_hello m = {.pid = (uint32_t)getpid(), .program = "test"};

    client_send(c, &m, TC_MSG_HELLO, sizeof m, -1);
    return client_reply(c);
}

uint64_t client_store(struct client *c, const struct draft_spec *spec, int by_memfd)
{
    size_t bytes;
    unsigned char *draft = draft_make(spec, &bytes);
    struct tc_store_request m = {.draft_bytes = bytes, .pid = 99, .program = "test"};
    unsigned char *packet;
    uint64_t seq;
    int fd;

    if (by_memfd) {
        m.flags = TC_STORE_MEMFD;
        fd = memfd_create("draft", MFD_CLOEXEC);
        assert_int_equal(write(fd, draft, bytes), bytes);
        seq = client_send(c, &m, TC_MSG_STORE, sizeof m, fd);
        close(fd);
    } else {
        m.draft = sizeof m;
        packet = malloc(sizeof m + bytes);
        memcpy(packet, &m, sizeof m);
        memcpy(packet + sizeof m, draft, bytes);
        seq = client_send(c, packet, TC_MSG_STORE, sizeof m + bytes, -1);
        free(packet);
    }
    free(draft);
    return seq;
}

struct tc_reply client_config(struct client *c, const char *path)
{
    unsigned char packet[1024] = {0};
    size_t n = sizeof(struct tc_message) + strlen(path) + 1;

    memcpy(packet + sizeof(struct tc_message), path, strlen(path));
    client_send(c, packet, TC_MSG_CONFIG, n, -1);
    return client_reply(c);
}

long file_id(const char *path, struct tc_file_id *ret)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    *ret = (struct tc_file_id){.dev = st.st_dev,
                               .ino = st.st_ino,
                               .size = (uint64_t)st.st_size,
                               .mtime_ns = st.st_mtim.tv_sec * 1000000000L + st.st_mtim.tv_nsec,
                               .ctime_ns = st.st_ctim.tv_sec * 1000000000L + st.st_ctim.tv_nsec};
    return st.st_size;
}

static uint32_t append(unsigned char *packet, uint32_t at, const char *text)
{
    memcpy(packet + at, text, strlen(text) + 1);
    return at + (uint32_t)strlen(text) + 1;
}

struct tc_reply client_plan(struct client *c, const char *config, const char *const *objects,
                            size_t count)
{
    static _Alignas(8) unsigned char packet[65536];
    struct tc_plan_request *m = (void *)packet;
    struct tc_object_ref *refs = (void *)(m + 1);
    uint32_t at = (uint32_t)(sizeof *m + count * sizeof *refs);

    memset(packet, 0, sizeof packet);
    m->objects = sizeof *m;
    m->object_count = (uint32_t)count;
    m->config_path = at;
    file_id(config, &m->config_id);
    at = append(packet, at, config);
    for (size_t i = 0; i < count; i++) {
        file_id(objects[i], &refs[i].id);
        refs[i].path = at;
        at = append(packet, at, objects[i]);
    }
    client_send(c, packet, TC_MSG_PLAN, at, -1);
    return client_reply(c);
}

void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}
