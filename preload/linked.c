#include "preload/linked.h"

#include <elf.h>
#include <string.h>

#include "preload/build_id.h"
#include "preload/objects.h"
#include "preload/state.h"

/* What the loader notes of an object that is of use here, out of its dynamic section. */
struct dynamic {
    const char *strings;
    uint64_t soname; /* offset; 0: none */
};

/* glibc relocates the addresses in the dynamic section, other loaders don't
 * (elf/get-dynamic-info.h). */
static struct dynamic dynamic_of(const struct link_map *m)
{
    struct dynamic d = {0};

    for (const Elf64_Dyn *e = m->l_ld; e != NULL && e->d_tag != DT_NULL; e++) {
        if (e->d_tag == DT_STRTAB)
            d.strings =
                (const char *)(uintptr_t)(e->d_un.d_ptr < m->l_addr ? e->d_un.d_ptr + m->l_addr
                                                                    : e->d_un.d_ptr);
        else if (e->d_tag == DT_SONAME)
            d.soname = e->d_un.d_val;
    }
    return d;
}

const char *tc_linked_name(const struct link_map *m)
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

struct tc_hash128 tc_linked_identity(const struct link_map *m)
{
    struct {
        struct tc_hash128 name;
        unsigned char build_id[TC_MAX_BUILD_ID];
        uint64_t size;
        int64_t mtime_ns;
    } content = {0};
    struct tc_file_id id;
    const char *name = tc_linked_name(m);

    content.name = tc_hash128(name, strlen(name), 0);
    if (tc_build_id(m->l_addr, content.build_id) == 0 && tc_sys_file_id(m->l_name, &id) == 0) {
        content.size = id.size;
        content.mtime_ns = id.mtime_ns;
    }
    return tc_hash128(&content, sizeof content, 0);
}
