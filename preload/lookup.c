#include "preload/lookup.h"

#include <errno.h>
#include <string.h>

#include "preload/state.h"

/* Mappings are never undone: another thread may be reading. Each is at least twice as long as the
 * one before, and reaches beyond the file's end, which costs nothing: `data_bytes` of the shared
 * page says how far it may be read. */
struct mapping {
    const unsigned char *map;
    size_t bytes;
    uint64_t generation;
};

enum {
    MAPPINGS = 64,
    TRIES = 8,
    PATIENCE = 1000,
};

static struct {
    struct mapping made[MAPPINGS];
    uint32_t count;
    uint32_t lock;
    const struct mapping *current; /* atomic */
    char path[TC_PATH_BYTES];      /* under the lock: threads may have small stacks */
} store;

/* How long a mapping may be: as far as the next ones don't take the host's own address space. */
static size_t room_for(size_t bytes)
{
    struct rlimit limit;
    size_t mapped = 0;

    if (TC_SYS(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit, 0, 0) < 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return bytes * 2 > (1u << 20) ? bytes * 2 : 1u << 20;
    for (uint32_t i = 0; i < store.count; i++)
        mapped += store.made[i].bytes;
    return mapped + bytes <= limit.rlim_cur / 4 ? bytes : 0;
}

/* A host that locks its memory (mlockall) doesn't mean the store: what can't be read isn't brought
 * in, and is let off before it can be. */
static void *map_unlocked(size_t bytes, int fd)
{
    void *p = tc_sys_mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd);

    if (p == NULL)
        return NULL;
    TC_SYS(SYS_munlock, p, bytes, 0, 0, 0, 0);
    if (tc_sys_mprotect(p, bytes, PROT_READ) == 0)
        return p;
    tc_sys_munmap(p, bytes);
    return NULL;
}

static int map_data(const struct tc_shared_page *page, uint64_t generation, size_t bytes,
                    struct mapping *ret)
{
    char name[sizeof page->data_file];
    struct tc_file_id id;
    void *p = NULL;
    int fd;

    memcpy(name, page->data_file, sizeof name);
    name[sizeof name - 1] = 0;
    if (tc_join(store.path, sizeof store.path, tc_state.cache_dir, "/", name, NULL) < 0)
        return -ENAMETOOLONG;
    fd = tc_sys_open(store.path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    if (tc_sys_fd_id(fd, &id, NULL, NULL) == 0 && id.dev == page->data_dev &&
        id.ino == page->data_ino && id.size >= bytes) {
        size_t room = room_for(bytes);
        p = room != 0 ? map_unlocked(room, fd) : NULL;
        if (p == NULL && room > bytes) {
            room = bytes;
            p = map_unlocked(room, fd);
        }
        *ret = (struct mapping){p, room, generation};
    }
    tc_sys_close(fd);
    return p == NULL ? -ENODEV : 0;
}

/* Under the lock. */
static const struct mapping *map_more(const struct tc_shared_page *page, uint64_t generation,
                                      size_t bytes)
{
    struct mapping *m = &store.made[store.count];
    struct tc_lmdb db;

    if (store.count == MAPPINGS || map_data(page, generation, bytes, m) < 0)
        return NULL;
    db = (struct tc_lmdb){m->map, bytes};
    if (tc_lmdb_check(&db) < 0) {
        tc_sys_munmap((void *)(uintptr_t)m->map, m->bytes);
        return NULL;
    }
    store.count++;
    __atomic_store_n(&store.current, m, __ATOMIC_RELEASE);
    return m;
}

static int reaches(const struct mapping *m, uint64_t generation, size_t bytes)
{
    return m != NULL && m->generation == generation && m->bytes >= bytes;
}

/* One thread maps, the others wait for it, though not for ever: it may have been stopped. */
static const struct mapping *remap(const struct tc_shared_page *page, uint64_t generation,
                                   size_t bytes)
{
    const struct mapping *m;

    if (tc_is_sandboxed())
        return NULL;
    for (int i = 0; i < PATIENCE; i++) {
        uint32_t free_lock = 0;
        if (__atomic_compare_exchange_n(&store.lock, &free_lock, 1, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            m = __atomic_load_n(&store.current, __ATOMIC_ACQUIRE);
            if (!reaches(m, generation, bytes))
                m = map_more(page, generation, bytes);
            __atomic_store_n(&store.lock, 0, __ATOMIC_RELEASE);
            return m;
        }
        TC_SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        m = __atomic_load_n(&store.current, __ATOMIC_ACQUIRE);
        if (reaches(m, generation, bytes))
            return m;
    }
    return NULL;
}

static int map_current(const struct tc_shared_page *page, uint64_t generation, struct tc_lmdb *ret)
{
    const struct mapping *m = __atomic_load_n(&store.current, __ATOMIC_ACQUIRE);
    uint64_t bytes = __atomic_load_n(&page->data_bytes, __ATOMIC_ACQUIRE);

    if (generation & 1 || bytes == 0)
        return -EAGAIN;
    if (!reaches(m, generation, bytes))
        m = remap(page, generation, bytes);
    if (m == NULL || __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE) != generation)
        return -ENODEV;
    *ret = (struct tc_lmdb){m->map, bytes};
    return 0;
}

void tc_store_after_fork(void)
{
    store.lock = 0; /* a thread that isn't here may have held it */
}

int tc_store_open(const struct tc_store_view *last, struct tc_store_view *ret)
{
    const struct tc_shared_page *page = tc_state.page;

    for (int i = 0; i < TRIES; i++) {
        uint64_t generation = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
        uint64_t ceiling = __atomic_load_n(&page->ceiling, __ATOMIC_ACQUIRE);
        int r;

        if (last->db.map != NULL && last->ceiling == ceiling && last->generation == generation) {
            *ret = *last;
            return 0;
        }
        r = map_current(page, generation, &ret->db);
        if (r < 0)
            return r;
        r = tc_lmdb_snapshot(&ret->db, ceiling, &ret->snapshot);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        /* Any change means that the meta page may have been overwritten while it was read. */
        if (__atomic_load_n(&page->ceiling, __ATOMIC_ACQUIRE) != ceiling)
            continue;
        ret->generation = generation;
        ret->ceiling = ceiling;
        ret->has_records = 0;
        return r;
    }
    return -EAGAIN;
}

void tc_store_remember(struct tc_store_view *last, const struct tc_store_view *v)
{
    if (last->db.map != v->db.map || last->ceiling != v->ceiling ||
        last->generation != v->generation)
        *last = *v;
}

int tc_store_find(struct tc_store_view *v, uint64_t key_low, const void **ret_value,
                  size_t *ret_bytes)
{
    int r = v->has_records ? 0 : tc_lmdb_table(&v->db, &v->snapshot, "records", 7, &v->records);

    if (r < 0)
        return r;
    v->has_records = 1;
    return tc_lmdb_get(&v->db, &v->snapshot, &v->records, key_low, ret_value, ret_bytes);
}

int tc_store_chunk(const struct tc_store_view *v, uint64_t number, const void **ret_value,
                   size_t *ret_bytes)
{
    struct tc_lmdb_table chunks;
    int r = tc_lmdb_table(&v->db, &v->snapshot, "chunks", 6, &chunks);

    return r < 0 ? r : tc_lmdb_get(&v->db, &v->snapshot, &chunks, number, ret_value, ret_bytes);
}

int tc_store_was_protected(const struct tc_store_view *v)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&tc_state.page->floor, __ATOMIC_ACQUIRE) <= v->snapshot.txnid;
}

void tc_store_warm(uint64_t key_low)
{
    struct tc_shared_page *page = tc_state.page;
    uint8_t *heat = &page->heat[key_low % TC_PAGE_HEAT];
    uint8_t now = __atomic_load_n(&page->heat_epoch, __ATOMIC_RELAXED);

    if (__atomic_load_n(heat, __ATOMIC_RELAXED) != now)
        __atomic_store_n(heat, now, __ATOMIC_RELAXED);
}
