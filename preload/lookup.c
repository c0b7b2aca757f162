#include "preload/lookup.h"

#include <errno.h>
#include <string.h>

#include "cache/record.h"
#include "preload/state.h"

/* Mappings are never undone once they are current: another thread may be reading. Each is at least
 * twice as long as the one before, and reaches beyond the file's end, which costs nothing:
 * `data_bytes` of the shared page says how far it may be read. There is no lock: whoever needs a
 * longer mapping makes one, and takes it back if another was faster. So nothing is held when a
 * signal handler jumps out of here. */
struct mapping {
    const unsigned char *map;
    size_t bytes;
    uint64_t generation;
    const struct mapping *previous;
    char path[TC_PATH_BYTES]; /* here because threads may have small stacks */
};

enum {
    TRIES = 8,
};

static const struct mapping *current[TC_MAX_STORAGES]; /* atomic */

/* How long a mapping may be: as far as the next ones don't take the host's own address space. */
static size_t room_for(size_t bytes)
{
    struct rlimit limit;
    size_t mapped = 0;

    if (TC_SYS(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit, 0, 0) < 0 ||
        limit.rlim_cur == RLIM_INFINITY)
        return bytes * 2 > (1u << 20) ? bytes * 2 : 1u << 20;
    for (uint32_t i = 0; i < TC_MAX_STORAGES; i++)
        for (const struct mapping *m = __atomic_load_n(&current[i], __ATOMIC_ACQUIRE); m != NULL;
             m = m->previous)
            mapped += m->bytes;
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

static int map_data(uint32_t storage, uint64_t generation, size_t bytes, struct mapping *ret)
{
    const struct tc_shared_page *page = tc_page_of(storage);
    char name[sizeof page->data_file];
    struct tc_file_id id;
    void *p = NULL;
    int fd;

    memcpy(name, page->data_file, sizeof name);
    name[sizeof name - 1] = 0;
    if (tc_join(ret->path, sizeof ret->path, tc_cache_dir_of(storage), "/", name, NULL) < 0)
        return -ENAMETOOLONG;
    fd = tc_sys_open(ret->path, O_RDONLY, 0);
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
        ret->map = p;
        ret->bytes = room;
        ret->generation = generation;
    }
    tc_sys_close(fd);
    return p == NULL ? -ENODEV : 0;
}

static int reaches(const struct mapping *m, uint64_t generation, size_t bytes)
{
    return m != NULL && m->generation == generation && m->bytes >= bytes;
}

static void undo(struct mapping *m)
{
    if (m->map != NULL)
        tc_sys_munmap((void *)(uintptr_t)m->map, m->bytes);
    tc_sys_munmap(m, sizeof *m);
}

static const struct mapping *remap(uint32_t storage, uint64_t generation, size_t bytes)
{
    const struct mapping *before = __atomic_load_n(&current[storage], __ATOMIC_ACQUIRE);
    struct mapping *m;
    struct tc_lmdb db;

    if (tc_is_sandboxed())
        return NULL;
    m = tc_sys_mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (m == NULL)
        return NULL;
    if (map_data(storage, generation, bytes, m) < 0) {
        undo(m);
        return NULL;
    }
    db = (struct tc_lmdb){m->map, bytes};
    m->previous = before;
    if (tc_lmdb_check(&db) == 0 && __atomic_compare_exchange_n(&current[storage], &before, m, 0,
                                                               __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return m;
    undo(m);
    return reaches(before, generation, bytes) ? before : NULL;
}

static int map_current(uint32_t storage, uint64_t generation, struct tc_lmdb *ret)
{
    const struct tc_shared_page *page = tc_page_of(storage);
    const struct mapping *m = __atomic_load_n(&current[storage], __ATOMIC_ACQUIRE);
    uint64_t bytes = __atomic_load_n(&page->data_bytes, __ATOMIC_ACQUIRE);

    if (generation & 1 || bytes == 0)
        return -EAGAIN;
    if (!reaches(m, generation, bytes))
        m = remap(storage, generation, bytes);
    if (m == NULL || __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE) != generation)
        return -ENODEV;
    *ret = (struct tc_lmdb){m->map, bytes};
    return 0;
}

int tc_store_open(uint32_t storage, const struct tc_store_view *last, struct tc_store_view *ret)
{
    const struct tc_shared_page *page = tc_page_of(storage);

    for (int i = 0; i < TRIES; i++) {
        uint64_t generation = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
        uint64_t ceiling = __atomic_load_n(&page->ceiling, __ATOMIC_ACQUIRE);
        int r;

        if (last->db.map != NULL && last->storage == storage && last->ceiling == ceiling &&
            last->generation == generation) {
            *ret = *last;
            return 0;
        }
        r = map_current(storage, generation, &ret->db);
        if (r < 0)
            return r;
        r = tc_lmdb_snapshot(&ret->db, ceiling, &ret->snapshot);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        /* Any change means that the meta page may have been overwritten while it was read. */
        if (__atomic_load_n(&page->ceiling, __ATOMIC_ACQUIRE) != ceiling)
            continue;
        ret->storage = storage;
        ret->generation = generation;
        ret->ceiling = ceiling;
        ret->has_records = 0;
        return r;
    }
    return -EAGAIN;
}

void tc_store_remember(struct tc_store_view *last, const struct tc_store_view *v)
{
    if (last->db.map != v->db.map || last->storage != v->storage || last->ceiling != v->ceiling ||
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

int tc_store_find_staged(const struct tc_store_view *v, const uint64_t transaction[2],
                         uint64_t key_low, const void **ret_value, size_t *ret_bytes)
{
    struct tc_staged_key key = {{transaction[0], transaction[1]}, key_low};
    struct tc_lmdb_table staged;
    int r = tc_lmdb_table(&v->db, &v->snapshot, "staged", 6, &staged);

    return r < 0 ? r
                 : tc_lmdb_get_bytes(&v->db, &v->snapshot, &staged, &key, sizeof key, ret_value,
                                     ret_bytes);
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
    return __atomic_load_n(&tc_page_of(v->storage)->floor, __ATOMIC_ACQUIRE) <= v->snapshot.txnid;
}

void tc_store_warm(uint32_t storage, uint64_t key_low)
{
    struct tc_shared_page *page = tc_page_of(storage);
    uint8_t *heat = &page->heat[key_low % TC_PAGE_HEAT];
    uint8_t now = __atomic_load_n(&page->heat_epoch, __ATOMIC_RELAXED);

    if (__atomic_load_n(heat, __ATOMIC_RELAXED) != now)
        __atomic_store_n(heat, now, __ATOMIC_RELAXED);
}
