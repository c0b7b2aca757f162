#include "tools/far.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/output.h"

#define FAR_MS    20000 /* the service answers within 10 s */
#define OPEN_MS   6000  /* a child has 5 s to open */
#define MAX_BYTES (64u << 20)

void tc_far_greet(struct tc_session *s)
{
    size_t path = s->config_path ? strlen(s->config_path) + 1 : 0;
    struct tc_reply reply;
    if (!path || !s->config || s->is_storage)
        return;
    struct tc_hello *hello = tc_alloc(sizeof *hello + path);
    hello->pid = (uint32_t)getpid();
    hello->config = sizeof *hello;
    (void)snprintf(hello->program, sizeof hello->program, "cachectl");
    hello->id = s->config_id;
    memcpy(hello + 1, s->config_path, path);
    (void)tc_client_request(&s->client, &hello->head, TC_MSG_HELLO, sizeof *hello + path, FAR_MS,
                            &reply);
    free(hello);
}

static int ask(struct tc_session *s, enum tc_far_op op, uint64_t remote, struct tc_key key, int fd,
               uint64_t *ret_value)
{
    struct tc_far_request m = {
        .remote = remote, .key_low = key.low, .key_high = key.high, .op = op};
    struct tc_reply reply = {0};
    int e = tc_client_request_with(&s->client, &m.head, TC_MSG_FAR, sizeof m, fd, FAR_MS, &reply);
    *ret_value = reply.value;
    return e;
}

/* What the service wrote into our memory: `count` entries. */
static int take(int fd, uint64_t count, size_t entry_bytes, void **ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (count > MAX_BYTES / entry_bytes || (uint64_t)st.st_size < count * entry_bytes)
        return -EPROTO;
    size_t bytes = count * entry_bytes;
    char *to = tc_alloc(bytes + 1);
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, to + done, bytes - done, (off_t)done);
        if (n <= 0) {
            free(to);
            return -EIO;
        }
        done += (size_t)n;
    }
    *ret = to;
    return 0;
}

static int fetch(struct tc_session *s, enum tc_far_op op, uint64_t remote, size_t entry_bytes,
                 void **ret, size_t *ret_count)
{
    TC_CLEANUP(tc_close_fd)
    int fd = memfd_create("taskcache", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint64_t count = 0;
    if (fd < 0)
        return -errno;
    int e = ask(s, op, remote, (struct tc_key){0, 0}, fd, &count);
    if (e == 0)
        e = take(fd, count, entry_bytes, ret);
    if (e == 0)
        *ret_count = count;
    return e;
}

int tc_far_numbers(struct tc_session *s, struct tc_far_numbers **ret, size_t *ret_count)
{
    void *list = NULL;
    int e = fetch(s, TC_FAR_NUMBERS, 0, sizeof **ret, &list, ret_count);
    if (e < 0)
        return e;
    *ret = list;
    for (size_t i = 0; i < *ret_count; i++) {
        (*ret)[i].name[sizeof(*ret)->name - 1] = 0;
        (*ret)[i].trouble[sizeof(*ret)->trouble - 1] = 0;
    }
    return 0;
}

static int find(struct tc_session *s, uint64_t remote, struct tc_far_numbers *ret)
{
    struct tc_far_numbers *list = NULL;
    size_t count = 0;
    int e = tc_far_numbers(s, &list, &count);
    if (e == 0)
        e = -ENODEV;
    for (size_t i = 0; i < count && e == -ENODEV; i++) {
        if (list[i].remote != remote)
            continue;
        *ret = list[i];
        e = 0;
    }
    free(list);
    return e;
}

int tc_far_wait(struct tc_session *s, uint64_t remote, struct tc_far_numbers *ret)
{
    int64_t end = tc_monotonic_ms() + OPEN_MS;
    int e;
    while ((e = find(s, remote, ret)) == 0 && ret->state == TC_FAR_OPENING &&
           tc_monotonic_ms() < end)
        (void)usleep(5000);
    return e;
}

static int by_key(const void *a, const void *b)
{
    const struct tc_key *x = a, *y = b;
    if (x->high != y->high)
        return x->high < y->high ? -1 : 1;
    return x->low < y->low ? -1 : x->low > y->low;
}

int tc_far_list(struct tc_session *s, uint64_t remote, struct tc_key **ret, size_t *ret_count)
{
    void *keys = NULL;
    size_t count = 0, kept = 0;
    int e = fetch(s, TC_FAR_LIST, remote, sizeof **ret, &keys, &count);
    if (e < 0)
        return e;
    *ret = keys;
    qsort(*ret, count, sizeof **ret, by_key);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || by_key(&(*ret)[kept - 1], &(*ret)[i]) != 0)
            (*ret)[kept++] = (*ret)[i];
    *ret_count = kept;
    return 0;
}

int tc_far_exists(struct tc_session *s, uint64_t remote, struct tc_key key)
{
    uint64_t value;
    return ask(s, TC_FAR_EXISTS, remote, key, -1, &value);
}

int tc_far_remove(struct tc_session *s, uint64_t remote, struct tc_key key)
{
    uint64_t value;
    return ask(s, TC_FAR_REMOVE, remote, key, -1, &value);
}

int tc_far_remove_all(struct tc_session *s, uint64_t remote, const struct tc_key *key, size_t count,
                      uint64_t *ret_removed)
{
    int first = 0;
    *ret_removed = 0;
    for (size_t i = 0; i < count; i++) {
        int e = tc_far_remove(s, remote, key[i]);
        *ret_removed += e == 0;
        if (e < 0 && e != -ENOENT && first == 0)
            first = e;
        /* Nobody is there any more, or does such a thing. */
        if (e == -EAGAIN || e == -ETIMEDOUT || e == -ENOTSUP || e == -ECONNRESET)
            break;
    }
    return first;
}

int tc_far_cause(int error, const char *name, struct tc_cause *ret)
{
    const char *sentence = strerror(-error);
    if (error == -ENOTSUP)
        sentence = "the plugin doesn't support this";
    else if (error == -EAGAIN)
        sentence = "its code isn't there now, or it is at something else";
    else if (error == -ENODEV)
        sentence = "the service doesn't know it";
    return tc_cause_set(ret, -error, TC_R_FAR_STORAGE, name, "%s", sentence);
}
