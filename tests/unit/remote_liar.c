/*
 * The child process of test_remote.c: answers as the service's own would, or lies, as the storage's
 * function says.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/remote/blob.h"
#include "service/remote/internal.h"

static int take(int fd, void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, (char *)to + done, bytes - done);

        if (n <= 0)
            _exit(0);
        done += (size_t)n;
    }
    return 0;
}

static void give(int fd, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)from + done, bytes - done);

        if (n <= 0)
            _exit(0);
        done += (size_t)n;
    }
}

static void answer(int fd, const struct tc_remote_head *q, int status, const void *data,
                   size_t bytes)
{
    struct tc_remote_head a = *q;

    a.status = status;
    a.bytes = bytes;
    give(fd, &a, sizeof a);
    give(fd, data, bytes);
}

/* As it should be: what is under key 1. */
static void well(int fd, const struct tc_remote_head *q)
{
    static const struct tc_key keys[] = {{1, 2}, {3, 4}};

    switch (q->op) {
    case TC_REMOTE_GET:
        answer(fd, q, q->key_low == 1 ? 0 : -ENOENT, "one", q->key_low == 1 ? 3 : 0);
        return;
    case TC_REMOTE_EXISTS:
        answer(fd, q, q->key_low == 1 ? 0 : -ENOENT, "", 0);
        return;
    case TC_REMOTE_LIST:
        answer(fd, q, 0, keys, sizeof keys);
        return;
    default:
        answer(fd, q, 0, "", 0);
    }
}

static int is(const char *function, const char *name)
{
    return strcmp(function, name) == 0;
}

/* What is wrong about an answer's head. */
static int lie(int fd, const char *how, const struct tc_remote_head *q)
{
    struct tc_remote_head a = *q;

    a.status = 0;
    a.bytes = 0;
    if (is(how, "magic"))
        a.magic++;
    else if (is(how, "op"))
        a.op = TC_REMOTE_OPEN;
    else if (is(how, "serial"))
        a.serial--;
    else if (is(how, "key"))
        a.key_high ^= 1u << 31;
    else if (is(how, "positive"))
        a.status = 1;
    else if (is(how, "no_errno"))
        a.status = INT32_MIN;
    else if (is(how, "too_long"))
        a.bytes = TC_BLOB_MAX_BYTES + 1;
    else if (is(how, "huge"))
        a.bytes = UINT64_MAX;
    else if (is(how, "wraps"))
        a.bytes = UINT64_MAX - sizeof a + 1;
    else if (is(how, "long_text"))
        a.status = -EIO, a.bytes = TC_REMOTE_TEXT_BYTES + 1;
    else
        return 0;
    give(fd, &a, sizeof a);
    pause();
    return 1;
}

static void misbehave(int fd, const char *how, const struct tc_remote_head *q)
{
    struct tc_remote_head a = *q;
    char text[TC_REMOTE_TEXT_BYTES];

    a.status = 0;
    a.bytes = 10;
    if (is(how, "exit") || is(how, "close")) {
        if (is(how, "close"))
            close(fd), pause();
        _exit(3);
    } else if (is(how, "abort")) {
        abort();
    } else if (is(how, "mute")) {
        pause();
    } else if (is(how, "half_head")) {
        give(fd, &a, 20);
        _exit(0);
    } else if (is(how, "half_head_mute")) {
        give(fd, &a, 20);
        pause();
    } else if (is(how, "half_body")) {
        give(fd, &a, sizeof a);
        give(fd, "12345", 5);
        _exit(0);
    } else if (is(how, "half_body_mute")) {
        give(fd, &a, sizeof a);
        give(fd, "12345", 5);
        pause();
    } else if (is(how, "error")) {
        memset(text, '\x1b', sizeof text); /* no NUL, and not for a terminal */
        answer(fd, q, -EIO, text, sizeof text);
    } else if (is(how, "twice")) {
        well(fd, q);
        well(fd, q);
    } else if (is(how, "garbage_after")) {
        well(fd, q);
        give(fd, text, 100);
    } else if (is(how, "odd_list")) {
        answer(fd, q, 0, "12345678901234567", 17);
    } else if (is(how, "bytes_for_nothing")) {
        answer(fd, q, 0, "123", 3);
    } else if (is(how, "dribble")) {
        a.bytes = 3;
        for (size_t i = 0; i < sizeof a; i++)
            give(fd, (char *)&a + i, 1), usleep(200);
        for (size_t i = 0; i < 3; i++)
            give(fd, &"one"[i], 1), usleep(200);
    } else {
        well(fd, q);
    }
}

/* Once a file says that it has misbehaved, it is good. `path`: of the file. */
int tc_remote_serve(struct tc_plugin_host *host, const char *path, const char *function, int fd)
{
    static char blob[4 << 20];
    const char *how = access(path, F_OK) == 0 ? "good" : function;
    struct tc_remote_head q;

    (void)host;
    for (;;) {
        take(fd, &q, sizeof q);
        if (q.magic != TC_REMOTE_MAGIC || q.bytes > sizeof blob)
            _exit(4);
        if (q.op == TC_REMOTE_OPEN && strncmp(how, "open_", 5) != 0) {
            answer(fd, &q, 0, "", 0);
            continue;
        }
        if (!is(how, "good"))
            close(open(path, O_CREAT | O_WRONLY, 0600));
        if (is(how, "early"))
            answer(fd, &q, 0, "", 0), pause();
        if (is(how, "reads_half"))
            take(fd, blob, q.bytes / 2), _exit(0);
        take(fd, blob, q.bytes);
        if (is(how, "late")) {
            usleep(300000);
            well(fd, &q);
        } else if (strncmp(how, "open_", 5) == 0) {
            if (lie(fd, how + 5, &q) == 0)
                misbehave(fd, how + 5, &q);
        } else if (lie(fd, how, &q) == 0) {
            misbehave(fd, how, &q);
        }
    }
}
