#include "preload/objects.h"

#include <errno.h>
#include <string.h>

#include "preload/build_id.h"
#include "preload/client.h"
#include "preload/log.h"
#include "preload/state.h"

/* By the loader, for debuggers (link.h). glibc 2.35 made room for further namespaces behind it:
 * r_version 2. */
extern struct r_debug _r_debug __attribute__((weak));
extern const char *tc_program_path(void);
extern uint64_t tc_program_header(void);
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

struct r_debug_chained {
    struct r_debug base;
    struct r_debug_chained *next;
};

enum {
    TABLE = 8192, /* power of two; programs have a few hundred objects */
    MAX_REFS = 512,
    MAX_NAMESPACES = 64,
};

/* An object that was seen. A slot is free while `map` is NULL. */
struct seen {
    const struct link_map *map;
    uint64_t base, dynamic;
    uint32_t scan; /* the last one that saw it */
    uint32_t gone;
};

static struct {
    struct seen *table;
    uint32_t scan, used;
    uint32_t loaded, met; /* objects in the table that aren't gone; those that this scan saw */
    /* New objects whose plans are missing. */
    struct {
        struct tc_file_id id;
        const char *path;
        uint64_t base;
    } missing[MAX_REFS];
    uint32_t missing_count;
    size_t missing_path_bytes; /* at most, made absolute */
    unsigned char message[TC_WIRE_MAX_BYTES] __attribute__((aligned(16)));
} objects;

/* Written under the loader's lock, read without: `base` is UNUSED while an entry is written, and
 * afterwards if its object was unloaded. */
#define UNUSED UINT64_MAX
static struct {
    struct tc_known_object entry[TABLE / 2];
    uint32_t count;  /* atomic */
    uint32_t missed; /* atomic */
} known;

void tc_objects_missed(void)
{
    __atomic_store_n(&known.missed, 1, __ATOMIC_RELAXED);
}

int tc_objects_are_sure(void)
{
    return !__atomic_load_n(&known.missed, __ATOMIC_RELAXED);
}

static void remember(const struct link_map *m, const struct tc_file_id *id)
{
    uint32_t i = 0, count = known.count;
    struct tc_known_object *k;

    while (i < count && known.entry[i].base != UNUSED)
        i++;
    if (i == TABLE / 2)
        return;
    k = &known.entry[i];
    __atomic_store_n(&k->base, UNUSED, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    k->header = m->l_addr != 0 ? m->l_addr : tc_program_header();
    k->id = *id;
    k->stays = objects.scan == 1;
    __atomic_store_n(&k->base, m->l_addr, __ATOMIC_RELEASE);
    if (i == count)
        __atomic_store_n(&known.count, count + 1, __ATOMIC_RELEASE);
}

static void forget(uint64_t base)
{
    for (uint32_t i = 0; i < known.count; i++)
        if (known.entry[i].base == base)
            __atomic_store_n(&known.entry[i].base, UNUSED, __ATOMIC_RELEASE);
}

int tc_object_below(uint64_t address, struct tc_known_object *ret)
{
    uint32_t count = __atomic_load_n(&known.count, __ATOMIC_ACQUIRE), best = UINT32_MAX;
    uint64_t base = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t b = __atomic_load_n(&known.entry[i].base, __ATOMIC_RELAXED);
        if (b == UNUSED || b > address || (best != UINT32_MAX && b <= base))
            continue;
        best = i;
        base = b;
    }
    if (best == UINT32_MAX)
        return 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    *ret = known.entry[best];
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    ret->base = base;
    return __atomic_load_n(&known.entry[best].base, __ATOMIC_RELAXED) == base;
}

/* An object without a file, such as the kernel's, is known by its build-id. */
static int add_object(const struct tc_known_object *o, uint64_t base, struct tc_hash128 *h)
{
    struct {
        struct tc_hash128 before;
        struct tc_file_id id;
        unsigned char build_id[TC_MAX_BUILD_ID];
    } content;

    memset(&content, 0, sizeof content);
    content.before = *h;
    content.id = o->id;
    if (o->id.ino == 0 && tc_build_id_at(o->header, base, content.build_id) == 0)
        return 0;
    *h = tc_hash128(&content, sizeof content, 0);
    return 1;
}

int tc_objects_digest(struct tc_hash128 *ret)
{
    uint32_t count = __atomic_load_n(&known.count, __ATOMIC_ACQUIRE);
    struct tc_hash128 h = {0, 0};

    if (count == TABLE / 2 || !tc_objects_are_sure())
        return 0; /* there may be more, or others */
    for (uint32_t i = 0; i < count; i++) {
        struct tc_known_object o;
        uint64_t base = __atomic_load_n(&known.entry[i].base, __ATOMIC_ACQUIRE);
        if (base == UNUSED)
            continue;
        o = known.entry[i];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&known.entry[i].base, __ATOMIC_RELAXED) != base ||
            !add_object(&o, base, &h))
            return 0;
    }
    *ret = h;
    return 1;
}

const struct r_debug *tc_loader(void)
{
    return &_r_debug;
}

const char *tc_own_path(void)
{
    const struct r_debug *r = tc_loader();

    for (const struct link_map *m = r != NULL ? r->r_map : NULL; m != NULL; m = m->l_next)
        if (m->l_ld == _DYNAMIC)
            return m->l_name;
    return "";
}

static struct seen *find_slot(const struct link_map *m)
{
    uint64_t hash = ((uint64_t)(uintptr_t)m >> 4) * 0x9e3779b97f4a7c15ull;

    for (uint32_t i = 0; i < TABLE; i++) {
        struct seen *s = &objects.table[((hash >> 40) + i) & (TABLE - 1)];
        if (s->map == NULL ||
            (s->map == m && s->base == m->l_addr && s->dynamic == (uint64_t)(uintptr_t)m->l_ld))
            return s;
        if (s->gone && s->map == m)
            return s; /* the loader reuses its memory for another object */
    }
    return NULL;
}

/* The executable has no name in the list; the kernel says it. What it says to the program itself is
 * a script's name if that was what was executed. */
static const char *path_of(const struct link_map *m)
{
    static char executable[TC_PATH_BYTES];
    long n;

    if (m->l_name != NULL && m->l_name[0] != 0)
        return m->l_name;
    if (m->l_prev != NULL)
        return NULL;
    n = TC_SYS(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", executable, sizeof executable - 1, 0, 0);
    if (n <= 0)
        return tc_program_path();
    executable[n] = 0;
    return executable;
}

/* The room that the paths of one message have. */
static int is_full(const char *path)
{
    return objects.missing_count == MAX_REFS ||
           strlen(path) + 1 + TC_PATH_BYTES > sizeof objects.message -
                                                  sizeof(struct tc_plan_request) -
                                                  MAX_REFS * sizeof(struct tc_object_ref) -
                                                  TC_PATH_BYTES - objects.missing_path_bytes;
}

/* The service has another working directory. */
static int absolute(const char *path, char *ret, size_t bytes)
{
    char cwd[TC_PATH_BYTES];

    if (path[0] == '/')
        return tc_join(ret, bytes, path, NULL, NULL, NULL);
    if (TC_SYS(SYS_getcwd, cwd, sizeof cwd, 0, 0, 0, 0) < 0 || cwd[0] != '/')
        return -ENAMETOOLONG;
    return tc_join(ret, bytes, cwd, "/", path, NULL);
}

/* One message for all missing objects, so that the loader waits once. */
static int ask_for_plans(void)
{
    struct tc_plan_request *q = (struct tc_plan_request *)(void *)objects.message;
    struct tc_object_ref *refs;
    struct tc_reply reply;
    struct tc_outgoing m = {.head = &q->head, .fd = -1};
    size_t at = sizeof *q + objects.missing_count * sizeof *refs, n;
    int r;

    memset(q, 0, sizeof *q);
    q->head.type = TC_MSG_PLAN;
    q->config_id = tc_state.config_id;
    q->objects = sizeof *q;
    refs = (struct tc_object_ref *)(void *)(objects.message + q->objects);
    n = strlen(tc_state.config_path) + 1;
    memcpy(objects.message + at, tc_state.config_path, n);
    q->config_path = (uint32_t)at;
    at += n;
    for (uint32_t i = 0; i < objects.missing_count; i++) {
        char *room = (char *)objects.message + at;
        if (absolute(objects.missing[i].path, room, sizeof objects.message - at) < 0) {
            objects.missing[i--] = objects.missing[--objects.missing_count];
            continue;
        }
        n = strlen(room) + 1;
        refs[i] = (struct tc_object_ref){.id = objects.missing[i].id, .path = (uint32_t)at};
        at += n;
    }
    q->object_count = objects.missing_count;
    m.head_bytes = at;
    r = tc_request(&m, TC_FIRST_PLAN_NS, &reply);
    return r < 0 ? r : reply.status;
}

static void hook_missing(void)
{
    int r;

    if (objects.missing_count == 0)
        return;
    r = ask_for_plans();
    if (r == 0)
        r = tc_map_plans();
    if (r < 0)
        tc_log_reason(TC_LOG_WARN, tc_state.program, TC_R_NO_SERVICE,
                      "plans of new objects are missing: they aren't hooked");
    for (uint32_t i = 0; r == 0 && i < objects.missing_count; i++) {
        const struct tc_object *o = tc_plans_find(&tc_state.plans_flat, &objects.missing[i].id);
        if (o != NULL)
            tc_hook_object(o, objects.missing[i].base, &tc_state.plans_flat);
    }
    objects.missing_count = 0;
    objects.missing_path_bytes = 0;
}

static void new_object(const struct link_map *m)
{
    const char *path = path_of(m);
    const struct tc_object *o;
    struct tc_file_id id = {0};
    int has_file = path != NULL && tc_sys_file_id(path, &id) == 0;

    if (m->l_ld == _DYNAMIC)
        return;
    remember(m, &id);
    if (!has_file)
        return;
    o = tc_state.plans != NULL ? tc_plans_find(&tc_state.plans_flat, &id) : NULL;
    if (o != NULL) {
        tc_hook_object(o, m->l_addr, &tc_state.plans_flat);
    } else {
        if (is_full(path))
            hook_missing();
        uint32_t i = objects.missing_count++;
        objects.missing[i].id = id;
        objects.missing[i].path = path;
        objects.missing[i].base = m->l_addr;
        objects.missing_path_bytes += strlen(path) + 1 + (path[0] != '/' ? TC_PATH_BYTES : 0);
    }
}

static void scan_namespace(const struct r_debug *r)
{
    for (const struct link_map *m = r->r_map; m != NULL; m = m->l_next) {
        struct seen *s = find_slot(m);
        if (s == NULL)
            return;
        if (s->map != NULL && !s->gone && s->base == m->l_addr &&
            s->dynamic == (uint64_t)(uintptr_t)m->l_ld) {
            objects.met += s->scan != objects.scan;
            s->scan = objects.scan;
            continue;
        }
        if (s->map == NULL && ++objects.used > TABLE / 2)
            return;
        objects.loaded += s->map == NULL || s->gone;
        objects.met++;
        *s = (struct seen){m, m->l_addr, (uint64_t)(uintptr_t)m->l_ld, objects.scan, 0};
        new_object(m);
    }
}

void tc_each_object(void (*visit)(const struct link_map *m, void *arg), void *arg)
{
    const struct r_debug *r = tc_loader();
    const struct r_debug_chained *c = (const void *)r;

    for (int i = 0; c != NULL && i < MAX_NAMESPACES; i++) {
        for (const struct link_map *m = c->base.r_map; m != NULL; m = m->l_next)
            if (m->l_ld != _DYNAMIC)
                visit(m, arg);
        c = r->r_version >= 2 ? c->next : NULL;
    }
}

/* The table is mostly untouched memory: it is walked only if there is something to find. */
static void forget_unloaded(void)
{
    if (objects.met == objects.loaded)
        return;
    for (uint32_t i = 0; i < TABLE; i++) {
        struct seen *s = &objects.table[i];
        if (s->map == NULL || s->gone || s->scan == objects.scan)
            continue;
        s->gone = 1;
        objects.loaded--;
        forget(s->base);
        tc_forget_object(s->base);
    }
}

void tc_scan_objects(void)
{
    const struct r_debug *r = tc_loader();
    const struct r_debug_chained *c = (const void *)r;

    if (r == NULL)
        return;
    if (objects.table == NULL)
        objects.table = tc_sys_mmap(NULL, TABLE * sizeof *objects.table, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (objects.table == NULL)
        return;
    objects.scan++;
    objects.met = 0;
    for (int i = 0; c != NULL && i < MAX_NAMESPACES; i++) {
        scan_namespace(&c->base);
        c = r->r_version >= 2 ? c->next : NULL;
    }
    forget_unloaded();
    hook_missing();
}
