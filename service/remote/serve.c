/* The child process of a far storage. What happens in here is nobody else's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/remote/blob.h"
#include "service/remote/protocol.h"

#define FIRST_ROOM (256u << 10)

struct serving {
    const struct taskcache_storage *storage;
    const struct taskcache_lock_manager *locks; /* instead */
    struct taskcache_error error;
    int fd;
    char key[33];
    unsigned char *buffer;
    uint64_t room;
};

static int transfer(int fd, void *data, uint64_t bytes, int out)
{
    char *p = data;

    while (bytes > 0) {
        ssize_t n = out ? write(fd, p, bytes) : read(fd, p, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EPIPE;
        p += n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

static int make_room(struct serving *s, uint64_t bytes)
{
    unsigned char *grown;

    if (bytes <= s->room)
        return 0;
    if (bytes > TC_BLOB_MAX_BYTES)
        return -EFBIG;
    grown = realloc(s->buffer, bytes);
    if (grown == NULL)
        return -ENOMEM;
    s->buffer = grown;
    s->room = bytes;
    return 0;
}

static int get(struct serving *s, uint64_t *ret_bytes)
{
    int r = make_room(s, FIRST_ROOM);

    for (int attempt = 0; attempt < 2 && r == 0; attempt++) {
        struct taskcache_cursor to = {.bytes = s->buffer, .room = s->room};

        r = s->storage->get(s->storage->data, s->key, &to, &s->error);
        if (r != 0 || to.used <= s->room) {
            *ret_bytes = to.used;
            return r;
        }
        r = make_room(s, to.used);
    }
    return r < 0 ? r : -EOVERFLOW;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_key(const char *text, struct tc_key *ret)
{
    uint64_t half[2] = {0, 0};

    for (unsigned i = 0; i < 32; i++) {
        int n = nibble(text[i]); /* a NUL isn't one */

        if (n < 0)
            return -EINVAL;
        half[i / 16] = half[i / 16] << 4 | (uint64_t)n;
    }
    if (text[32] != 0)
        return -EINVAL;
    *ret = (struct tc_key){.low = half[1], .high = half[0]};
    return 0;
}

struct listing {
    struct serving *s;
    uint64_t used;
    int error;
};

/* What isn't a key is none of ours: a place may hold other things, too. */
static void add_key(void *to, const char *text)
{
    struct listing *l = to;
    struct tc_key key;

    if (l->error < 0 || text == NULL || parse_key(text, &key) < 0)
        return;
    if (l->used + sizeof key > l->s->room)
        l->error = make_room(l->s, l->s->room < FIRST_ROOM ? FIRST_ROOM : 2 * l->s->room);
    if (l->error < 0)
        return;
    memcpy(l->s->buffer + l->used, &key, sizeof key);
    l->used += sizeof key;
}

static int list(struct serving *s, uint64_t *ret_bytes)
{
    struct listing l = {.s = s};
    int r = s->storage->list(s->storage->data, add_key, &l, &s->error);

    *ret_bytes = l.used;
    return r != 0 ? r : l.error;
}

static int lock(struct serving *s, const struct tc_remote_head *q)
{
    const struct taskcache_lock_manager *to = s->locks;
    struct tc_remote_lock m;

    if (q->bytes != sizeof m)
        return -EBADMSG;
    memcpy(&m, s->buffer, sizeof m);
    switch (q->op) {
    case TC_REMOTE_ACQUIRE:
        return to->acquire(to->data, s->key, m.owner, m.ttl_ns, &s->error);
    case TC_REMOTE_RENEW:
        return to->renew(to->data, s->key, m.owner, m.ttl_ns, &s->error);
    case TC_REMOTE_RELEASE:
        return to->release(to->data, s->key, m.owner, &s->error);
    default:
        return -ENOSYS;
    }
}

static int carry_out(struct serving *s, const struct tc_remote_head *q, uint64_t *ret_bytes)
{
    const struct taskcache_storage *to = s->storage;

    if (s->locks != NULL)
        return lock(s, q);
    switch (q->op) {
    case TC_REMOTE_GET:
        return get(s, ret_bytes);
    case TC_REMOTE_PUT:
        return to->put == NULL ? -ENOTSUP
                               : to->put(to->data, s->key, s->buffer, q->bytes, &s->error);
    case TC_REMOTE_REMOVE:
        return to->remove == NULL ? -ENOTSUP : to->remove(to->data, s->key, &s->error);
    case TC_REMOTE_EXISTS:
        return to->exists == NULL ? -ENOTSUP : to->exists(to->data, s->key, &s->error);
    case TC_REMOTE_LIST:
        return to->list == NULL ? -ENOTSUP : list(s, ret_bytes);
    default:
        return -ENOSYS;
    }
}

static int answer(struct serving *s, const struct tc_remote_head *q, int status, uint64_t bytes)
{
    struct tc_remote_head a = *q;
    char text[TC_REMOTE_TEXT_BYTES] = "";
    const void *data = s->buffer;

    a.status = status <= 0 && status >= -TC_REMOTE_MAX_ERRNO ? status : -EPROTO;
    a.bytes = bytes;
    if (a.status < 0) {
        tc_plugin_causes(&s->error, text, sizeof text);
        data = text;
        a.bytes = strlen(text);
    }
    status = transfer(s->fd, &a, sizeof a, 1);
    return status < 0 ? status : transfer(s->fd, (void *)(uintptr_t)data, a.bytes, 1);
}

static int open_locks(struct serving *s, struct tc_plugin_host *host, const char *path,
                      const char *function)
{
    int r = tc_plugin_host_load(host, path, &s->error);

    s->locks = r == 0 ? tc_plugin_lock_manager(&host->table, function) : NULL;
    if (r == 0 && s->locks == NULL)
        r = -ENOENT;
    if (r == 0 && s->locks->open != NULL)
        r = s->locks->open(s->locks->data, &s->error);
    return r;
}

static int open_storage(struct serving *s, struct tc_plugin_host *host, const char *path,
                        const char *function)
{
    int r = tc_plugin_host_load(host, path, &s->error);

    s->storage = r == 0 ? tc_plugin_storage(&host->table, function) : NULL;
    if (r == 0 && s->storage == NULL)
        r = -ENOENT;
    if (r == 0 && s->storage->open != NULL)
        r = s->storage->open(s->storage->data, &s->error);
    return r;
}

int tc_remote_serve(struct tc_plugin_host *host, const char *path, const char *function, int fd)
{
    struct serving s = {.fd = fd};
    struct tc_remote_head q = {.op = 0};
    int opened = 0;

    while (transfer(fd, &q, sizeof q, 0) == 0) {
        uint64_t bytes = 0;
        int status;

        if (q.magic != TC_REMOTE_MAGIC || make_room(&s, q.bytes) < 0 ||
            transfer(fd, s.buffer, q.bytes, 0) < 0)
            return -EPIPE;
        (void)snprintf(s.key, sizeof s.key, "%016llx%016llx", (unsigned long long)q.key_high,
                       (unsigned long long)q.key_low);
        s.error.count = 0;
        if (q.op == TC_REMOTE_OPEN)
            opened =
                (status = q.kind == TC_STORAGE_LOCKS ? open_locks(&s, host, path, function)
                                                     : open_storage(&s, host, path, function)) == 0;
        else
            status = opened ? carry_out(&s, &q, &bytes) : -EBADF;
        if (answer(&s, &q, status, bytes) < 0)
            return -EPIPE;
    }
    if (opened && s.locks != NULL && s.locks->close != NULL)
        s.locks->close(s.locks->data);
    return 0;
}
