#include "service/rpc/far.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/remote/blob.h"

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

void tc_far_init(struct tc_service *s)
{
    s->remotes.log = &s->log;
    s->remotes.got = got;
    s->remotes.ctx = s;
}

int tc_far_handle(struct tc_service *s, struct tc_pending *p)
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
    /* As in upload.c: anything but memory could hang us. */
    if (fcntl(s->packet.fd, F_GET_SEALS) < 0)
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

void tc_far_hand_on(struct tc_service *s, const struct tc_store_request *m)
{
    struct tc_remote *remote = m->remote != 0 ? tc_remote_of(&s->remotes, m->remote) : NULL;
    struct tc_key key = {0, 0};
    void *blob;

    if (remote == NULL || (m->flags & TC_STORE_STAGE) != 0)
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
