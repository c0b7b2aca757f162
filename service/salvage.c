#include "service/salvage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/store/salvage.h"

#define CPU_S   600
#define WALL_MS (3600 * 1000)

struct work {
    char data_file[TC_PATH_BYTES + 64];
    char socket_path[TC_PATH_BYTES];
    uint64_t seed;
    int fd;
    uint64_t seq;
};

static int talk(struct work *w, const void *message, size_t bytes, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control;
    struct iovec v = {(void *)(uintptr_t)message, bytes};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    struct tc_reply reply;

    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    if (sendmsg(w->fd, &m, MSG_NOSIGNAL) < 0 ||
        recv(w->fd, &reply, sizeof reply, 0) != (ssize_t)sizeof reply)
        return -EPIPE;
    return reply.status;
}

static int keep(void *ctx, int fd, uint64_t bytes, const struct tc_details *details)
{
    struct work *w = ctx;
    struct tc_store_request m = {.head = {.magic = TC_WIRE_MAGIC,
                                          .version = TC_WIRE_VERSION,
                                          .type = TC_MSG_STORE,
                                          .bytes = sizeof m,
                                          .seq = ++w->seq},
                                 .draft_bytes = bytes,
                                 .flags = TC_STORE_MEMFD,
                                 .pid = details->pid,
                                 .found = details->found,
                                 .expired_ns = details->expired_ns};
    int r;

    memcpy(m.program, details->program, sizeof m.program);
    r = talk(w, &m, sizeof m, fd);
    return r == -EFBIG || r == -EBADMSG ? 0 : r;
}

static void report(struct work *w, const struct tc_salvage *s, int result)
{
    struct {
        struct tc_log_message m;
        char text[256];
    } line = {.m = {.level = TC_LOG_WARN, .reason = TC_R_STORE_DAMAGED, .pid = (uint32_t)getpid()}};
    int n;

    n = snprintf(line.text, sizeof line.text, "%s: %llu records salvaged, %llu lost%s%s",
                 w->data_file, (unsigned long long)s->kept, (unsigned long long)s->lost,
                 result < 0 ? ": " : "", result < 0 ? strerror(-result) : "");
    line.m.text_bytes = n < (int)sizeof line.text ? (uint32_t)n : sizeof line.text - 1;
    line.m.head = (struct tc_message){
        .magic = TC_WIRE_MAGIC, .version = TC_WIRE_VERSION, .type = TC_MSG_LOG, .seq = ++w->seq};
    line.m.head.bytes = (uint32_t)sizeof line.m + line.m.text_bytes;
    (void)talk(w, &line, line.m.head.bytes, -1);
}

/* In the child. */
static int run(void *arg)
{
    struct work *w = arg;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct tc_salvage s = {.data_file = w->data_file, .seed = w->seed, .keep = keep, .ctx = w};
    int r;

    if (tc_join(a.sun_path, sizeof a.sun_path, w->socket_path, NULL, NULL, NULL) < 0)
        return -ENAMETOOLONG;
    w->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&a, sizeof a) < 0)
        return -errno;
    r = tc_salvage(&s);
    report(w, &s, r);
    return r;
}

static void on_end(void *ctx, int status)
{
    struct tc_service *s = ctx;

    s->salvage_pid = 0;
    if (status == TC_JOB_CRASHED)
        tc_log_line(&s->log, TC_LOG_ERROR, TC_R_STORE_DAMAGED, "the salvage was given up");
}

void tc_salvage_start(struct tc_service *s)
{
    static struct work w;
    unsigned number = s->salvage_pid == 0 ? tc_store_take_aside(s->store) : 0;
    struct tc_job_spec spec = {.run = run,
                               .arg = &w,
                               .done = on_end,
                               .ctx = s,
                               .keep_fd = -1,
                               .cpu_s = CPU_S,
                               .wall_ms = WALL_MS,
                               .maps_files = 1,
                               .ret_pid = &s->salvage_pid};

    if (number == 0)
        return;
    w = (struct work){.seed = tc_store_page(s->store)->seed};
    (void)snprintf(w.data_file, sizeof w.data_file, "%s/store-%u.damaged/data.mdb", s->dirs.cache,
                   number);
    memcpy(w.socket_path, s->socket_path, sizeof w.socket_path);
    if (tc_job_start(&s->jobs, &spec) < 0)
        s->salvage_pid = 0;
}
