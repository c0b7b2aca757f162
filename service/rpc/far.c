#include "service/rpc/far.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/remote/blob.h"
#include "service/remote/protocol.h"

static int got(void *ctx, struct tc_remote *from, struct tc_key key, const void *blob, size_t bytes,
               struct tc_pending *p)
{
    struct tc_service *s = ctx;
    struct tc_record_view v;
    const char *why;
    int r = tc_blob_check(blob, bytes, key, &v, &why);

    if (r < 0) {
        if (r != -ESTALE)
            tc_remote_complain(from, key, "what it gave for", why);
        tc_pending_ready(p, r == -ESTALE ? -ENOENT : r, r == -ESTALE ? 0 : TC_R_FAR_STORAGE, 0);
        return 0;
    }
    r = tc_blob_store(s->store, blob, bytes, &v, tc_remote_name(from));
    if (r < 0)
        tc_batch_failed(s, r, p);
    else
        tc_batch_add(s, p, tc_store_last_record(s->store));
    return r == 0;
}

/* Only memory is read or written: anything else could hang us. */
static int is_memory(int fd)
{
    return fd >= 0 && fcntl(fd, F_GET_SEALS) >= 0;
}

static void *load(void *ctx, struct tc_key key, size_t *ret_bytes)
{
    struct tc_service *s = ctx;
    struct tc_key own;
    unsigned char *blob;

    if (tc_store_read(s->store, key, TC_BLOB_MAX_BYTES, &blob, ret_bytes) < 0)
        return NULL;
    if (tc_blob_make(blob, *ret_bytes, &own) == 0)
        return blob;
    free(blob);
    return NULL;
}

void tc_far_init(struct tc_service *s)
{
    s->remotes.log = &s->log;
    s->remotes.got = got;
    s->remotes.load = load;
    s->remotes.ctx = s;
}

int tc_far_handle_fetch(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_fetch_request *m = (const void *)s->packet.data;
    struct tc_remote *remote;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    remote = tc_remote_of(&s->remotes, m->remote);
    if (remote == NULL)
        tc_pending_ready(p, -ENODEV, TC_R_FAR_STORAGE, 0);
    else
        tc_remote_fetch(remote, (struct tc_key){m->key_low, m->key_high}, p);
    return 0;
}

static int tell_numbers(struct tc_service *s, struct tc_pending *p)
{
    struct tc_far_numbers list[2 * TC_MAX_NAMED_STORAGES];
    size_t count = tc_remotes_numbers(&s->remotes, list, sizeof list / sizeof *list);
    size_t bytes = count * sizeof *list;

    if (!is_memory(s->packet.fd))
        return -EBADMSG;
    if (pwrite(s->packet.fd, list, bytes, 0) == (ssize_t)bytes)
        tc_pending_ready(p, 0, 0, count);
    else
        tc_pending_ready(p, -EIO, 0, 0);
    return 0;
}

static void ask(struct tc_service *s, const struct tc_far_request *m, uint32_t op, int fd,
                struct tc_pending *p)
{
    struct tc_remote *remote = tc_remote_of(&s->remotes, m->remote);

    if (remote != NULL) {
        tc_remote_ask(remote, op, (struct tc_key){m->key_low, m->key_high}, fd, p);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    tc_pending_ready(p, -ENODEV, TC_R_FAR_STORAGE, 0);
}

int tc_far_handle(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_far_request *m = (const void *)s->packet.data;
    int fd;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    switch (m->op) {
    case TC_FAR_NUMBERS:
        return tell_numbers(s, p);
    case TC_FAR_EXISTS:
        ask(s, m, TC_REMOTE_EXISTS, -1, p);
        return 0;
    case TC_FAR_REMOVE:
        ask(s, m, TC_REMOTE_REMOVE, -1, p);
        return 0;
    case TC_FAR_LIST:
        if (!is_memory(s->packet.fd))
            return -EBADMSG;
        fd = s->packet.fd;
        s->packet.fd = -1;
        ask(s, m, TC_REMOTE_LIST, fd, p);
        return 0;
    default:
        return -EBADMSG;
    }
}

void tc_far_greeted(struct tc_service *s, const char *path, const struct tc_file_id *id)
{
    struct tc_flat_file config;

    if (tc_compiled_open(&s->dirs, path, id, &config) < 0)
        return;
    tc_remotes_use(&s->remotes, &config.flat);
    tc_flat_file_close(&config);
}

static int read_draft(const struct tc_service *s, const struct tc_store_request *m, void *to)
{
    size_t done = 0;

    if ((m->flags & TC_STORE_MEMFD) == 0) {
        memcpy(to, s->packet.data + m->draft, (size_t)m->draft_bytes);
        return 0;
    }
    if (!is_memory(s->packet.fd))
        return -EBADMSG;
    while (done < m->draft_bytes) {
        ssize_t n =
            pread(s->packet.fd, (char *)to + done, (size_t)m->draft_bytes - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EBADMSG;
        done += (size_t)n;
    }
    return 0;
}

void tc_far_hand_on_later(struct tc_service *s, const struct tc_connection *c,
                          const struct tc_store_request *m)
{
    struct tc_record head;

    if (m->remote == 0 || m->draft_bytes < sizeof head)
        return;
    if ((m->flags & TC_STORE_MEMFD) == 0)
        memcpy(&head, s->packet.data + m->draft, sizeof head);
    else if (!is_memory(s->packet.fd) ||
             pread(s->packet.fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        return;
    tc_transaction_notes(s, c, m->transaction, (struct tc_key){head.key_low, head.key_high},
                         m->remote);
}

void tc_far_hand_on(struct tc_service *s, const struct tc_store_request *m)
{
    struct tc_remote *remote = m->remote != 0 ? tc_remote_of(&s->remotes, m->remote) : NULL;
    struct tc_key key = {0, 0};
    void *blob;

    if (remote == NULL)
        return;
    if (m->draft_bytes > TC_BLOB_MAX_BYTES) {
        tc_remote_refuse(remote, key);
        return;
    }
    blob = malloc((size_t)m->draft_bytes);
    if (blob == NULL || read_draft(s, m, blob) < 0 ||
        tc_blob_make(blob, (size_t)m->draft_bytes, &key) < 0) {
        free(blob);
        return;
    }
    tc_remote_put(remote, key, blob, (size_t)m->draft_bytes);
}
