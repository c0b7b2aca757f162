#include "cache/plugin_table.h"

#include <errno.h>
#include <string.h>

/* What a struct must have to be of any use. */
#define LEAST_KEY      (offsetof(struct taskcache_key_function, compute) + sizeof(void *))
#define LEAST_OBSERVER (offsetof(struct taskcache_observer, notify) + sizeof(void *))
#define LEAST_STORAGE  (offsetof(struct taskcache_storage, get) + sizeof(void *))
#define LEAST_LOCKS    (offsetof(struct taskcache_lock_manager, release) + sizeof(void *))
#define LEAST_CODEC    (offsetof(struct taskcache_codec, digest) + sizeof(void *))

static int same_text(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

/* 1 to 63 of A-Z a-z 0-9 _ */
static int name_ok(const char *name)
{
    uint32_t n = 0;

    if (name == NULL)
        return 0;
    for (; name[n] != 0 && n <= TC_PLUGIN_NAME_BYTES; n++) {
        char c = name[n];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return 0;
    }
    return n > 0 && n <= TC_PLUGIN_NAME_BYTES;
}

const struct taskcache_key_function *tc_plugin_key(const struct tc_plugin_table *t,
                                                   const char *name)
{
    for (uint32_t i = 0; i < t->key_count; i++)
        if (same_text(t->key[i].name, name))
            return &t->key[i];
    return NULL;
}

const struct taskcache_codec *tc_plugin_codec(const struct tc_plugin_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->codec_count; i++)
        if (same_text(t->codec[i].name, name))
            return &t->codec[i];
    return NULL;
}

int tc_plugin_add_key(struct tc_plugin_table *t, const struct taskcache_key_function *f)
{
    struct taskcache_key_function own;

    memset(&own, 0, sizeof own);
    if (f == NULL || f->struct_size < LEAST_KEY)
        return -EINVAL;
    memcpy(&own, f, f->struct_size < sizeof own ? f->struct_size : sizeof own);
    if (own.compute == NULL || !name_ok(own.name))
        return -EINVAL;
    if (tc_plugin_key(t, own.name) != NULL)
        return -EEXIST;
    if (t->key_count == TC_PLUGIN_FUNCTIONS)
        return -ENOSPC;
    t->key[t->key_count++] = own;
    return 0;
}

int tc_plugin_add_codec(struct tc_plugin_table *t, const struct taskcache_codec *c)
{
    struct taskcache_codec own;

    memset(&own, 0, sizeof own);
    if (c == NULL || c->struct_size < LEAST_CODEC)
        return -EINVAL;
    memcpy(&own, c, c->struct_size < sizeof own ? c->struct_size : sizeof own);
    if (!name_ok(own.name))
        return -EINVAL;
    if (tc_plugin_codec(t, own.name) != NULL)
        return -EEXIST;
    if (t->codec_count == TC_PLUGIN_FUNCTIONS)
        return -ENOSPC;
    t->codec[t->codec_count++] = own;
    return 0;
}

int tc_plugin_add_observer(struct tc_plugin_table *t, const struct taskcache_observer *o)
{
    struct taskcache_observer own;

    memset(&own, 0, sizeof own);
    if (o == NULL || o->struct_size < LEAST_OBSERVER)
        return -EINVAL;
    memcpy(&own, o, o->struct_size < sizeof own ? o->struct_size : sizeof own);
    if (own.notify == NULL || !name_ok(own.name))
        return -EINVAL;
    for (uint32_t i = 0; i < t->observer_count; i++)
        if (same_text(t->observer[i].name, own.name))
            return -EEXIST;
    if (t->observer_count == TC_PLUGIN_FUNCTIONS)
        return -ENOSPC;
    t->observer[t->observer_count++] = own;
    return 0;
}

const struct taskcache_storage *tc_plugin_storage(const struct tc_plugin_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->storage_count; i++)
        if (same_text(t->storage[i].name, name))
            return &t->storage[i];
    return NULL;
}

int tc_plugin_add_storage(struct tc_plugin_table *t, const struct taskcache_storage *s)
{
    struct taskcache_storage own;

    memset(&own, 0, sizeof own);
    if (s == NULL || s->struct_size < LEAST_STORAGE)
        return -EINVAL;
    memcpy(&own, s, s->struct_size < sizeof own ? s->struct_size : sizeof own);
    if (own.get == NULL || !name_ok(own.name))
        return -EINVAL;
    if (tc_plugin_storage(t, own.name) != NULL)
        return -EEXIST;
    if (t->storage_count == TC_PLUGIN_FUNCTIONS)
        return -ENOSPC;
    t->storage[t->storage_count++] = own;
    return 0;
}

const struct taskcache_lock_manager *tc_plugin_lock_manager(const struct tc_plugin_table *t,
                                                            const char *name)
{
    for (uint32_t i = 0; i < t->lock_manager_count; i++)
        if (same_text(t->lock_manager[i].name, name))
            return &t->lock_manager[i];
    return NULL;
}

int tc_plugin_add_lock_manager(struct tc_plugin_table *t, const struct taskcache_lock_manager *m)
{
    struct taskcache_lock_manager own;

    memset(&own, 0, sizeof own);
    if (m == NULL || m->struct_size < LEAST_LOCKS)
        return -EINVAL;
    memcpy(&own, m, m->struct_size < sizeof own ? m->struct_size : sizeof own);
    if (own.acquire == NULL || own.renew == NULL || own.release == NULL || !name_ok(own.name))
        return -EINVAL;
    if (tc_plugin_lock_manager(t, own.name) != NULL)
        return -EEXIST;
    if (t->lock_manager_count == TC_PLUGIN_FUNCTIONS)
        return -ENOSPC;
    t->lock_manager[t->lock_manager_count++] = own;
    return 0;
}

void tc_plugin_cause(struct taskcache_error *e, const char *text)
{
    uint32_t n = 0;

    if (e == NULL || text == NULL || e->count >= TC_CAUSES)
        return;
    for (; text[n] != 0 && n < TC_CAUSE_BYTES; n++)
        e->text[e->count][n] = text[n];
    e->text[e->count++][n] = 0;
}

void tc_plugin_causes(const struct taskcache_error *e, char *ret, size_t bytes)
{
    uint32_t count = e->count <= TC_CAUSES ? e->count : TC_CAUSES;
    size_t at = 0;

    for (uint32_t i = count; i-- > 0;) {
        for (const char *p = e->text[i]; *p != 0 && p < e->text[i] + TC_CAUSE_BYTES; p++)
            if ((unsigned char)*p >= 0x20 && *p != 0x7f && at + 1 < bytes)
                ret[at++] = *p;
        if (i > 0 && at + 3 < bytes) {
            ret[at++] = ':';
            ret[at++] = ' ';
        }
    }
    if (bytes > 0)
        ret[at] = 0;
}
