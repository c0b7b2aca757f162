/*
 * The sources of functions that pointers lead to, as they stand in the plans.
 *
 * A digest holds more than the code's: where two objects, or two files of a program, have static
 * functions of the same code whose callees have the same names, only their own names tell them
 * apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/plans_parts.h"
#include "service/resolve/source.h"

/* Its names, as far as they hold. */
struct naming {
    struct tc_hash_state *hash;
};

static void add_name(void *arg, const char *name, size_t bytes)
{
    struct naming *n = arg;
    uint64_t length = bytes;

    tc_hash_add(n->hash, &length, sizeof length);
    tc_hash_add(n->hash, name, bytes);
}

/* A pointer into the midst of a function, or to code of which nobody knows where it ends, means a
 * place in this very file. */
static int mix_source(struct tc_map *m, uint64_t vaddr, struct tc_hash_state *h)
{
    struct tc_piece code = {0};
    struct tc_source s;
    int r;

    if (!tc_map_code_range(m, vaddr, &code) || code.vaddr != vaddr || code.bytes == 0) {
        struct tc_hash128 file = tc_map_file(m);
        tc_hash_add(h, &file, sizeof file);
        tc_hash_add(h, &vaddr, sizeof vaddr);
        return 0;
    }
    r = tc_source_make(m, code, TC_SOURCE_OWN, &s);
    if (r < 0)
        return r;
    tc_hash_add(h, s.digest, sizeof s.digest);
    tc_source_free(&s);
    return 0;
}

static int make_one(const struct tc_plan_object *o, struct tc_map *m, struct tc_code_source *c)
{
    const char *object = o->soname != NULL ? o->soname : tc_basename(o->ref->path);
    const struct tc_region *region = tc_map_region(m, c->vaddr);
    struct tc_hash_state *h = NULL;
    struct tc_hash128 sum;
    char name[1024] = "";
    int r;

    c->state = TC_CODE_UNKNOWN;
    if (region == NULL || (region->flags & TC_REGION_CODE) == 0)
        return 0;
    h = aligned_alloc(64, sizeof *h);
    if (h == NULL)
        return -ENOMEM;
    tc_hash_begin(h, TC_SOURCE_RESOLVED);
    add_name(&(struct naming){h}, object, strlen(object));
    tc_map_all_names(m, c->vaddr, 1, add_name, &(struct naming){h});
    if (tc_map_function_name(m, c->vaddr, name, sizeof name))
        add_name(&(struct naming){h}, name, strlen(name)); /* with its file or version */
    r = mix_source(m, c->vaddr, h);
    sum = tc_hash_end128(h);
    free(h);
    if (r < 0)
        return r;
    memcpy(c->digest, &sum, sizeof c->digest);
    c->state = TC_CODE_KNOWN;
    return 0;
}

/* Of a file that is out of reach for now nothing is said. */
static int make_all(const struct tc_plans_ref *ref, struct tc_code_source *list, size_t n)
{
    struct tc_plan_object o = {.ref = ref, .reason = ref->refuse};
    struct tc_map map = {0};
    int r = ref->refuse == 0 ? tc_plans_open_image(&o) : 0, opened = 0;

    if (r == 0 && o.im.elf != NULL && o.reason == 0) {
        r = tc_map_open(&o.im, &map);
        opened = r == 0;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        if (list[i].state != TC_CODE_WANTED || o.reason == TC_R_FILE_MISMATCH)
            continue;
        if (opened)
            r = make_one(&o, &map, &list[i]);
        else
            list[i].state = TC_CODE_UNKNOWN;
    }
    tc_map_close(&map);
    tc_image_close(&o.im);
    return r;
}

static int same_file(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static size_t add_wanted(struct tc_code_source *list, size_t count, uint64_t vaddr)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].vaddr == vaddr)
            return count;
    if (vaddr == 0 || count == TC_MAX_CODE_SOURCES)
        return count;
    list[count] = (struct tc_code_source){.vaddr = vaddr, .state = TC_CODE_WANTED};
    return count + 1;
}

static int by_vaddr(const void *a, const void *b)
{
    const struct tc_code_source *x = a, *y = b;

    return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static size_t drop_unmade(struct tc_code_source *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (list[i].state != TC_CODE_WANTED)
            list[kept++] = list[i];
    return kept;
}

int tc_plans_functions(const struct tc_plans_ref *refs, size_t n, const struct tc_plans_ref *object,
                       const struct tc_code_source *old, uint32_t old_count, int keep,
                       struct tc_flat_builder *out, struct tc_span *ret)
{
    struct tc_code_source *list = calloc(old_count + n + 1, sizeof *list);
    size_t count = 0;
    int r = 0;

    if (list == NULL)
        return -ENOMEM;
    for (; old != NULL && count < old_count; count++) {
        list[count] = old[count];
        /* What couldn't be told may have crashed the resolver. */
        if (!keep && old[count].state == TC_CODE_KNOWN)
            list[count].state = TC_CODE_WANTED;
    }
    for (size_t i = 0; i < n; i++)
        if (same_file(&refs[i].id, &object->id))
            count = add_wanted(list, count, refs[i].function);
    if (count != 0)
        r = make_all(object, list, count);
    count = drop_unmade(list, count);
    qsort(list, count, sizeof *list, by_vaddr);
    *ret = tc_flat_add(out, list, count, sizeof *list);
    free(list);
    return r;
}
