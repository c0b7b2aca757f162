/* cachectl log: what the service and its targets had to say. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/json.h"
#include "tools/options.h"
#include "tools/session.h"

#define LINES_SHOWN 20

struct log {
    bool json, follow;
    long count;
    char path[TC_PATH_BYTES * 2], older[TC_PATH_BYTES * 2];
};

/* "TIME PID LEVEL REASON-ID text": the text may hold anything but control characters. */
static void json_line(struct tc_json *j, const char *line, size_t bytes)
{
    static const char *const names[] = {"time", "pid", "level", "reason"};
    tc_json_object(j, NULL);
    for (size_t i = 0; i < 4; i++) {
        const char *space = memchr(line, ' ', bytes);
        size_t n = space ? (size_t)(space - line) : bytes;
        if (i == 1) {
            TC_CLEANUP(tc_free_text) char *number = tc_copyn(line, n);
            tc_json_u64(j, names[i], strtoull(number, NULL, 10));
        } else {
            tc_json_textn(j, names[i], line, n);
        }
        n += space != NULL;
        line += n;
        bytes -= n;
    }
    tc_json_textn(j, "text", line, bytes);
    tc_json_close_object(j);
}

static enum tc_style style_of(const char *line, size_t bytes)
{
    if (memmem(line, bytes, " ERROR ", 7))
        return TC_BAD;
    return memmem(line, bytes, " WARN ", 6) ? TC_WARN : TC_PLAIN;
}

static void text_line(const char *line, size_t bytes)
{
    enum tc_style style = style_of(line, bytes);
    if (style != TC_PLAIN)
        fputs(tc_style(stdout, style), stdout);
    /* Not everybody who may write into the log filters what a terminal obeys. */
    for (size_t i = 0; i < bytes; i++)
        putchar((unsigned char)line[i] < 0x20 || line[i] == 0x7f ? ' ' : line[i]);
    if (style != TC_PLAIN)
        fputs(tc_style(stdout, TC_PLAIN), stdout);
    putchar('\n');
}

static void read_into(struct tc_text *to, int fd)
{
    char part[16384];
    ssize_t n;
    while ((n = read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            tc_text_addn(to, part, (size_t)n);
}

static void print_lines(const struct tc_text *t, size_t from, struct tc_json *j)
{
    while (from < t->bytes) {
        const char *line = t->data + from;
        const char *end = memchr(line, '\n', t->bytes - from);
        size_t n = end ? (size_t)(end - line) : t->bytes - from;
        if (j)
            json_line(j, line, n);
        else
            text_line(line, n);
        from += n + 1;
    }
}

/* Where the last `count` lines begin. */
static size_t tail_of(const struct tc_text *t, long count)
{
    size_t at = t->bytes;
    if (count <= 0)
        return at;
    if (at && t->data[at - 1] == '\n')
        at--;
    for (; at > 0; at--)
        if (t->data[at - 1] == '\n' && --count == 0)
            return at;
    return 0;
}

/* The file that was followed has become log.1: its rest, then the new one from its start. */
static int follow_rotation(const struct log *l, int fd, struct tc_text *part)
{
    struct stat here, named;
    int next;
    if (fstat(fd, &here) < 0 || stat(l->path, &named) < 0 || here.st_ino == named.st_ino ||
        (next = open(l->path, O_RDONLY | O_CLOEXEC)) < 0)
        return fd;
    read_into(part, fd);
    (void)close(fd);
    read_into(part, next);
    return next;
}

static void wait_for_news(int watch)
{
    char events[4096];
    struct pollfd p = {.fd = watch, .events = POLLIN};
    /* The time-out serves where inotify doesn't. */
    if (poll(&p, watch >= 0, 500) > 0 && read(watch, events, sizeof events) < 0)
        return;
}

/* Until we are interrupted, or nobody reads what we print. */
static void follow(const struct log *l, int fd, const char *dir)
{
    TC_CLEANUP(tc_close_fd) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch >= 0)
        (void)inotify_add_watch(watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    while (!ferror(stdout)) {
        struct tc_text part = {0};
        if (fd < 0)
            fd = open(l->path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            read_into(&part, fd);
            fd = follow_rotation(l, fd, &part);
        }
        print_lines(&part, 0, NULL);
        (void)fflush(stdout);
        tc_text_free(&part);
        wait_for_news(watch);
    }
}

static void show_log(const struct log *l, const char *dir)
{
    struct tc_text text = {0};
    struct tc_json j;
    int older = open(l->older, O_RDONLY | O_CLOEXEC), fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (older >= 0)
        read_into(&text, older);
    if (fd >= 0)
        read_into(&text, fd);
    tc_close_fd(&older);
    if (l->json) {
        tc_json_begin(&j, stdout);
        tc_json_array(&j, NULL);
    }
    print_lines(&text, tail_of(&text, l->count), l->json ? &j : NULL);
    if (l->json) {
        tc_json_close_array(&j);
        tc_json_end(&j);
    }
    tc_text_free(&text);
    (void)fflush(stdout);
    if (l->follow)
        follow(l, fd, dir);
    else
        tc_close_fd(&fd);
}

static int run_log(const struct tc_command *self, int argc, char **argv)
{
    struct log l = {.count = LINES_SHOWN};
    const char *count = NULL;
    const struct tc_option options[] = {{'f', "follow", TC_OPTION_FLAG, &l.follow},
                                        {'n', "lines", TC_OPTION_VALUE, &count},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    TC_CLEANUP(tc_parsed_free) struct tc_parsed parsed;
    struct tc_session session;
    int status;
    if (!tc_options_parse(self, options, TC_OPTIONS_ANYWHERE, argc, argv, &parsed, &status))
        return status;
    char *end = NULL;
    if (count)
        l.count = strtol(count, &end, 10);
    if ((end && (*end || end == count)) || l.count < 0)
        return tc_usage(self, "-n %s: how many lines?", count);
    l.json = parsed.common.json;
    if (parsed.words.count || (l.json && l.follow))
        return tc_usage(self, l.json ? "--json goes without -f" : "it takes no arguments");
    status = TC_EXIT_USAGE;
    if (tc_session_inspect(&session, parsed.common.config, parsed.common.storage, 0)) {
        (void)snprintf(l.path, sizeof l.path, "%s/log", session.cache);
        (void)snprintf(l.older, sizeof l.older, "%s/log.1", session.cache);
        show_log(&l, session.cache);
        status = TC_EXIT_DONE;
    }
    tc_session_close(&session);
    return status;
}

const struct tc_command tc_command_log = {
    .storage = true,
    .name = "log",
    .summary = "Show the log of the service and its targets",
    .usage = "log [OPTION...]",
    .help = "  -n, --lines N              the last N lines (20)\n"
            "  -f, --follow               and what comes, until interrupted\n",
    .run = run_log,
};
