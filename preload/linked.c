#include "preload/linked.h"

#include <elf.h>
#include <string.h>

#include "preload/build_id.h"
#include "preload/objects.h"
#include "preload/state.h"

enum {
    MAX_OBJECTS = 512,
    MAX_STEPS = 100000, /* of a list, should it be broken */
};

/* What the loader notes of an object that is of use here, out of its dynamic section. */
struct dynamic {
    const Elf64_Dyn *entries;
    const char *strings;
    uint64_t soname; /* offset; 0: none */
};

static struct {
    const struct link_map *found[MAX_OBJECTS];
    uint32_t count;
} closure;

/* glibc relocates the addresses in the dynamic section, other loaders don't
 * (elf/get-dynamic-info.h). */
static struct dynamic dynamic_of(const struct link_map *m)
{
    struct dynamic d = {.entries = m->l_ld};

    for (const Elf64_Dyn *e = d.entries; e != NULL && e->d_tag != DT_NULL; e++) {
        if (e->d_tag == DT_STRTAB)
            d.strings =
                (const char *)(uintptr_t)(e->d_un.d_ptr < m->l_addr ? e->d_un.d_ptr + m->l_addr
                                                                    : e->d_un.d_ptr);
        else if (e->d_tag == DT_SONAME)
            d.soname = e->d_un.d_val;
    }
    return d;
}

static int same(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n == strlen(b) && memcmp(a, b, n) == 0;
}

static const char *name_of(const struct link_map *m)
{
    struct dynamic d = dynamic_of(m);
    const char *base = m->l_name;

    if (d.strings != NULL && d.soname != 0)
        return d.strings + d.soname;
    for (const char *p = m->l_name; *p != 0; p++)
        if (*p == '/')
            base = p + 1;
    return base;
}

static const struct link_map *first_of(const struct link_map *m)
{
    for (int i = 0; m->l_prev != NULL && i < MAX_STEPS; i++)
        m = m->l_prev;
    return m;
}

static void add(const struct link_map *m)
{
    for (uint32_t i = 0; i < closure.count; i++)
        if (closure.found[i] == m)
            return;
    if (closure.count < MAX_OBJECTS)
        closure.found[closure.count++] = m;
}

static void add_needed(const struct link_map *m)
{
    struct dynamic d = dynamic_of(m);
    int steps = 0;

    for (const Elf64_Dyn *e = d.entries; d.strings != NULL && e != NULL && e->d_tag != DT_NULL;
         e++) {
        if (e->d_tag != DT_NEEDED)
            continue;
        for (const struct link_map *o = first_of(m); o != NULL && steps < MAX_STEPS;
             o = o->l_next) {
            steps++;
            if (same(name_of(o), d.strings + e->d_un.d_val)) {
                add(o);
                break;
            }
        }
    }
}

/* An object as itself: its name and build-id; without one, its file's size and time. */
static struct tc_hash128 digest_of(const struct link_map *m)
{
    struct {
        struct tc_hash128 name;
        unsigned char build_id[TC_MAX_BUILD_ID];
        uint64_t size;
        int64_t mtime_ns;
    } content = {0};
    struct tc_file_id id;
    const char *name = name_of(m);

    content.name = tc_hash128(name, strlen(name), 0);
    if (tc_build_id(m->l_addr, content.build_id) == 0 && tc_sys_file_id(m->l_name, &id) == 0) {
        content.size = id.size;
        content.mtime_ns = id.mtime_ns;
    }
    return tc_hash128(&content, sizeof content, 0);
}

struct tc_hash128 tc_linked_digest(uint64_t base)
{
    const struct r_debug *r = tc_loader();
    const struct link_map *m = r != NULL ? r->r_map : NULL;
    struct tc_hash128 sum = {0, 0};

    closure.count = 0;
    for (int i = 0; m != NULL && m->l_addr != base && i < MAX_STEPS; i++)
        m = m->l_next;
    if (m == NULL)
        return sum;
    add(m);
    for (uint32_t i = 0; i < closure.count; i++)
        add_needed(closure.found[i]);
    for (uint32_t i = 1; i < closure.count; i++) { /* the object itself is the source hash's */
        struct tc_hash128 h = digest_of(closure.found[i]);
        sum.low += h.low;
        sum.high += h.high;
    }
    return sum;
}
