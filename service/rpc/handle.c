#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/rpc/far.h"

#define MAX_OBJECTS 4096u

/* A NUL-terminated text inside the packet, NULL. */
static const char *text_at(const struct tc_packet *p, uint32_t offset)
{
    const char *text = (const char *)p->data + offset;

    if (offset >= p->bytes || memchr(text, 0, p->bytes - offset) == NULL)
        return NULL;
    return text;
}

/* Room for `count` entries at an aligned offset? */
static int fits(const struct tc_packet *p, uint64_t offset, uint64_t count, size_t entry_bytes)
{
    return offset % 8 == 0 && offset <= p->bytes && count <= (p->bytes - offset) / entry_bytes;
}

static int handle_hello(struct tc_service *s, struct tc_connection *c, struct tc_pending *p)
{
    const struct tc_hello *m = (const void *)s->packet.data;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    memcpy(c->program, m->program, sizeof c->program - 1);
    c->own_pid = (pid_t)m->pid;
    if (m->config != 0) {
        const char *path = text_at(&s->packet, m->config);
        if (path == NULL)
            return -EBADMSG;
        tc_far_greeted(s, path, &m->id);
    }
    if (p == NULL)
        return 0;
    p->hello = ++s->hello_count;
    p->value = TC_WIRE_VERSION;
    p->batch_next = s->hellos;
    s->hellos = p;
    return 0;
}

static int handle_config(struct tc_service *s, struct tc_pending *p)
{
    const char *path = text_at(&s->packet, sizeof(struct tc_message));

    if (path == NULL)
        return -EBADMSG;
    if (path[0] != '/')
        tc_pending_ready(p, -EINVAL, TC_R_CONFIG_UNREADABLE, 0);
    else
        tc_compile(&s->compiler, path, tc_pending_done, p);
    return 0;
}

static int handle_plan(struct tc_service *s, struct tc_pending *p)
{
    static struct tc_wanted_object objects[MAX_OBJECTS];
    const struct tc_plan_request *m = (const void *)s->packet.data;
    const struct tc_object_ref *refs;
    const char *config;

    if (s->packet.bytes < sizeof *m || m->object_count > MAX_OBJECTS ||
        !fits(&s->packet, m->objects, m->object_count, sizeof *refs))
        return -EBADMSG;
    config = text_at(&s->packet, m->config_path);
    refs = (const void *)(s->packet.data + m->objects);
    for (uint32_t i = 0; i < m->object_count; i++) {
        objects[i] = (struct tc_wanted_object){text_at(&s->packet, refs[i].path), refs[i].id,
                                               refs[i].function};
        if (objects[i].path == NULL)
            return -EBADMSG;
    }
    if (config == NULL)
        return -EBADMSG;
    if (config[0] != '/')
        tc_pending_ready(p, -EINVAL, TC_R_CONFIG_UNREADABLE, 0);
    else
        tc_plan(&s->planner, config, &m->config_id, objects, m->object_count, tc_pending_done, p);
    return 0;
}

/* What isn't sound of them is left out: the record is worth more. */
static void add_heads(const struct tc_service *s, const struct tc_store_request *m,
                      struct tc_draft *d)
{
    if (m->head_bytes == 0 || m->head_bytes > TC_STRING_HEADS ||
        !fits(&s->packet, m->heads, m->head_bytes, 1))
        return;
    d->heads = s->packet.data + m->heads;
    d->head_bytes = m->head_bytes;
}

static void store_inline(struct tc_service *s, const struct tc_store_request *m,
                         struct tc_pending *p)
{
    struct tc_draft d = {.data = s->packet.data + m->draft,
                         .bytes = (size_t)m->draft_bytes,
                         .pid = m->pid,
                         .program = m->program,
                         .found = m->found,
                         .expired_ns = m->expired_ns,
                         .transaction = m->flags & TC_STORE_STAGE ? m->transaction : NULL};
    int r;

    add_heads(s, m, &d);
    r = tc_store_put(s->store, &d);

    if (r < 0)
        tc_batch_failed(s, r, p);
    else
        tc_batch_add(s, p, tc_store_last_record(s->store));
}

static void hand_on(struct tc_service *s, const struct tc_connection *c,
                    const struct tc_store_request *m)
{
    if ((m->flags & TC_STORE_STAGE) != 0)
        tc_far_hand_on_later(s, c, m);
    else
        tc_far_hand_on(s, m);
}

static int handle_store(struct tc_service *s, struct tc_connection *c, struct tc_pending *p)
{
    const struct tc_store_request *m = (const void *)s->packet.data;
    struct tc_draft d = {.only_if_missing = 0};
    int r;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    if ((m->flags & TC_STORE_STAGE) != 0) {
        r = tc_transaction_join(s, c, m);
        if (r < 0) {
            tc_pending_ready(p, r, TC_R_TRANSACTION_LOST, 0);
            return 0;
        }
    }
    if ((m->flags & TC_STORE_MEMFD) == 0) {
        if (m->draft < sizeof *m || !fits(&s->packet, m->draft, m->draft_bytes, 1))
            return -EBADMSG;
        hand_on(s, c, m);
        store_inline(s, m, p);
        return 0;
    }
    if (s->packet.fd < 0)
        return -EBADMSG;
    hand_on(s, c, m);
    d.only_if_missing = s->salvage_pid != 0 && c->pid == s->salvage_pid;
    add_heads(s, m, &d);
    r = tc_upload_begin(&s->uploads, c, s->packet.fd, m, &d, p);
    s->packet.fd = -1;
    if (r < 0)
        tc_pending_ready(p, r, TC_R_NOT_STORED, 0);
    return 0;
}

static int handle_log(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_log_message *m = (const void *)s->packet.data;
    enum tc_log_level level;

    if (s->packet.bytes < sizeof *m || m->text_bytes > s->packet.bytes - sizeof *m)
        return -EBADMSG;
    level = m->level <= TC_LOG_DEBUG ? (enum tc_log_level)m->level : TC_LOG_DEBUG;
    tc_log_text(&s->log, level, m->reason, m->pid, (const char *)(m + 1), m->text_bytes);
    tc_pending_ready(p, 0, 0, 0);
    return 0;
}

static int handle_remove(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_remove_request *m = (const void *)s->packet.data;
    const struct tc_key *keys = (const void *)(m + 1);
    uint64_t removed = 0;
    int r = 0;

    if (s->packet.bytes < sizeof *m || !fits(&s->packet, sizeof *m, m->key_count, sizeof *keys))
        return -EBADMSG;
    if (m->everything)
        r = tc_store_remove_all(s->store, &removed);
    for (uint32_t i = 0; i < m->key_count && r >= 0 && !m->everything; i++) {
        r = tc_store_remove(s->store, keys[i]);
        removed += r > 0;
    }
    if (r < 0)
        tc_batch_failed(s, r, p);
    else
        tc_batch_add(s, p, removed);
    return 0;
}

static int handle_miss(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_miss_message *m = (const void *)s->packet.data;
    size_t left = s->packet.bytes;
    int r;

    if (left < sizeof *m || m->miss.identity_bytes > TC_PATH_BYTES ||
        m->miss.material_bytes > TC_MATERIAL_BYTES || m->miss.text_bytes > TC_MISS_TEXT ||
        left - sizeof *m <
            (size_t)m->miss.identity_bytes + m->miss.material_bytes + m->miss.text_bytes)
        return -EBADMSG;
    r = tc_store_note_miss(s->store, &m->miss, m + 1);
    if (m->miss.record_id != 0)
        tc_remotes_remove(&s->remotes, (struct tc_key){m->miss.key_low, m->miss.key_high});
    if (r < 0)
        tc_batch_failed(s, r, p);
    else
        tc_batch_add(s, p, 0);
    return 0;
}

static int handle_attach(struct tc_service *s, struct tc_pending *p)
{
    const struct tc_attach *m = (const void *)s->packet.data;
    int r;

    if (s->packet.bytes < sizeof *m)
        return -EBADMSG;
    r = tc_server_attach(s, (pid_t)m->pid);
    if (r == 0 && m->max_size_bytes != 0 && s->config[0] == 0)
        tc_store_set_limit(s->store, m->max_size_bytes);
    tc_pending_ready(p, r, 0, 0);
    return 0;
}

static void handle_gc(struct tc_service *s, struct tc_pending *p)
{
    if (p == NULL) {
        s->more_to_evict = 1;
        return;
    }
    p->batch_next = s->collecting;
    s->collecting = p;
}

/* No lock is waited for here: who has to wait asks again. */
static int handle_lock(struct tc_service *s, const struct tc_connection *c, struct tc_pending *p)
{
    const struct tc_lock_request *m = (const void *)s->packet.data;
    const struct tc_lock_manager *manager;
    uint64_t again_ns = 0;
    int r;

    if (s->packet.bytes < sizeof *m || m->hold_ns <= 0)
        return -EBADMSG;
    manager = tc_lock_manager_of(s->locks, m->manager);
    if (manager == NULL)
        r = -ENOTSUP;
    else if (m->head.type == TC_MSG_LOCK)
        r = manager->ops->ask(manager->state, c, m, &again_ns);
    else
        r = manager->ops->release(manager->state, c, m);
    tc_pending_ready(p, r, r < 0 ? TC_R_NO_LOCK : 0, again_ns);
    return 0;
}

static int dispatch(struct tc_service *s, struct tc_connection *c, unsigned type,
                    struct tc_pending *p)
{
    switch (type) {
    case TC_MSG_HELLO:
        return handle_hello(s, c, p);
    case TC_MSG_CONFIG:
        return handle_config(s, p);
    case TC_MSG_PLAN:
        return handle_plan(s, p);
    case TC_MSG_STORE:
        return handle_store(s, c, p);
    case TC_MSG_LOG:
        return handle_log(s, p);
    case TC_MSG_REMOVE:
        return handle_remove(s, p);
    case TC_MSG_GC:
        handle_gc(s, p);
        return 0;
    case TC_MSG_PING:
        tc_pending_ready(p, 0, 0, (uint64_t)getpid());
        return 0;
    case TC_MSG_QUIT:
        s->leaving = c->asked_to_end = 1;
        tc_batch_add(s, p, 0);
        return 0;
    case TC_MSG_ATTACH:
        return handle_attach(s, p);
    case TC_MSG_MISS:
        return handle_miss(s, p);
    case TC_MSG_TRANSACTION:
        return tc_transaction_handle(s, c, p);
    case TC_MSG_FETCH:
        return tc_far_handle_fetch(s, p);
    case TC_MSG_FAR:
        return tc_far_handle(s, p);
    case TC_MSG_LOCK:
    case TC_MSG_UNLOCK:
        return handle_lock(s, c, p);
    default:
        tc_pending_ready(p, -ENOSYS, 0, 0);
        return 0;
    }
}

int tc_handle(struct tc_service *s, struct tc_connection *c)
{
    const struct tc_message *m = (const void *)s->packet.data;
    struct tc_pending *p = tc_pending_new(c, m->seq);
    int r = dispatch(s, c, m->type, p);

    if (r < 0)
        tc_pending_ready(p, r, 0, 0);
    return r;
}
