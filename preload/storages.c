#include "preload/storages.h"

#include <errno.h>

#include "preload/client.h"
#include "preload/state.h"

static int service_lives(const struct tc_shared_page *p)
{
    uint32_t pid = __atomic_load_n(&p->service_pid, __ATOMIC_RELAXED);

    return pid != 0 && TC_SYS(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH;
}

/* -ENOENT, -EPROTONOSUPPORT; -ECONNREFUSED: there is one, and no service. */
static int map_page_of(const char *cache_id, struct tc_shared_page **page)
{
    char path[TC_PATH_BYTES];
    struct tc_shared_page *p;
    size_t bytes;

    if (tc_page_path(tc_state.runtime_dir, cache_id, path, sizeof path) < 0)
        return -ENAMETOOLONG;
    p = tc_sys_map_file(path, 1, tc_state.uid, &bytes);
    if (p == NULL)
        return -ENOENT;
    if (bytes < sizeof *p || p->magic != TC_PAGE_MAGIC || p->version != TC_PAGE_VERSION ||
        !__atomic_load_n(&p->ready, __ATOMIC_ACQUIRE)) {
        tc_sys_munmap(p, bytes);
        return -EPROTONOSUPPORT;
    }
    if (*page != NULL)
        tc_sys_munmap(*page, sizeof **page);
    *page = p;
    return service_lives(p) ? 0 : -ECONNREFUSED;
}

int tc_map_page(void)
{
    return map_page_of(tc_state.cache_id, &tc_state.page);
}

static int map_storage(struct tc_named_storage *s)
{
    struct tc_file_id id;
    int r = tc_sys_file_id(s->cache_dir, &id);

    if (r == 0)
        r = tc_cache_id(id.dev, id.ino, s->cache_id, sizeof s->cache_id);
    return r == 0 ? map_page_of(s->cache_id, &s->page) : r;
}

/* As for the cache itself: what has no service gets one, if that is allowed. */
static void open_storage(struct tc_named_storage *s, const char *path, uint64_t max_size_bytes)
{
    int64_t until = tc_monotonic_ns() + TC_FIRST_PLAN_NS;
    int r;

    if (tc_join(s->cache_dir, sizeof s->cache_dir, path, NULL, NULL, NULL) < 0 ||
        map_storage(s) == 0 ||
        tc_boolean(tc_env(tc_state.env, "TASKCACHE_AUTOSTART")) == TC_FALSE ||
        tc_start_service(s->cache_dir, max_size_bytes) < 0)
        return;
    do {
        tc_sleep_ns(2000000);
        r = map_storage(s);
    } while (r < 0 && tc_monotonic_ns() < until);
}

static void open_far(struct tc_named_storage *s, const struct tc_storage *far)
{
    s->page = tc_state.page;
    s->far = far;
    tc_state.has_far = 1;
    (void)tc_join(s->cache_dir, sizeof s->cache_dir, tc_state.cache_dir, NULL, NULL, NULL);
    (void)tc_join(s->cache_id, sizeof s->cache_id, tc_state.cache_id, NULL, NULL, NULL);
}

static int same_id(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

/* Several names may lead to one directory, that of the cache, too. */
static uint32_t place_of(uint32_t index)
{
    const char *id = tc_state.storages[index].cache_id;

    if (same_id(id, tc_state.cache_id))
        return 0;
    for (uint32_t i = 0; i < index && *id != 0; i++)
        if (same_id(id, tc_state.storages[i].cache_id))
            return i + 1;
    return index + 1;
}

void tc_open_storages(void)
{
    const struct tc_config *c = tc_state.config;
    const struct tc_storage *list =
        tc_flat_at(&tc_state.config_flat, c->storages.off, c->storages.count, sizeof *list);

    for (uint32_t i = 0; list != NULL && i < c->storages.count; i++)
        if (list[i].kind == TC_STORAGE_LMDB && list[i].used)
            open_storage(&tc_state.storages[i], tc_config_str(list[i].path),
                         list[i].max_size_bytes);
        else if (list[i].kind == TC_STORAGE_FAR && list[i].used)
            open_far(&tc_state.storages[i], &list[i]);
    if (c->lock_managers.count != 0)
        tc_state.has_far = 1;
    for (uint32_t i = 0; i < TC_MAX_NAMED_STORAGES; i++)
        tc_state.storages[i].place = place_of(i);
}
