#include "preload/deep.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "cache/deep.h"
#include "preload/linked.h"
#include "preload/objects.h"

enum {
    MAX_OBJECTS = 1024,
    MAX_SEEN = 65536,   /* symbols of an object, by index; later ones may count several times */
    MAX_STEPS = 100000, /* of a list or chain, should it be broken */
    NOBODY = -1,
};

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

struct object {
    const struct link_map *map;
    const Elf64_Sym *symbols;
    const char *strings;
    const uint32_t *gnu_hash, *hash;
    const uint16_t *versions;
    const unsigned char *needs, *defines;
    const Elf64_Rela *rela[2];
    uint64_t rela_count[2];
    uint64_t relative_count; /* the first of `rela[0]`, which name no symbol */
    int symbolic;            /* it looks into itself first */
    const char *name;
    struct tc_hash128 identity;
    int has_identity; /* it takes system calls, and most objects are never asked for theirs */
    int entered;      /* in the digest, or about to be */
};

/* A symbol that is looked for. */
struct wanted {
    const char *name, *version; /* the latter NULL: any */
    uint32_t gnu;               /* hash */
};

static struct {
    struct object all[MAX_OBJECTS];
    uint32_t count;
    int listed; /* the objects are those that are there now */
    const struct link_map *last_at_start;
    uint32_t at_start; /* objects that every object searches first */
    uint16_t queue[MAX_OBJECTS];
    uint32_t queued;
    const char *stop;      /* where the task wants it to end */
    struct tc_hash128 sum; /* of what counts in no order */
    /* Tasks of one object mostly bind to the same ones: of the last set, what it came to. */
    struct tc_hash128 last_set, last_sum;
    struct tc_deep_object last_objects[TC_DEEP_OBJECTS];
    uint32_t last_object_count;
    struct tc_hash_state state;
} deep;

/* glibc relocates the addresses in the dynamic section, other loaders don't. */
static const void *at(const struct link_map *m, uint64_t value)
{
    return (const void *)(uintptr_t)(value < m->l_addr ? value + m->l_addr : value);
}

static void read_object(const struct link_map *m, struct object *o)
{
    *o = (struct object){.map = m, .name = tc_linked_name(m)};
    for (const Elf64_Dyn *d = m->l_ld; d != NULL && d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_SYMTAB:
            o->symbols = at(m, d->d_un.d_ptr);
            break;
        case DT_STRTAB:
            o->strings = at(m, d->d_un.d_ptr);
            break;
        case DT_GNU_HASH:
            o->gnu_hash = at(m, d->d_un.d_ptr);
            break;
        case DT_HASH:
            o->hash = at(m, d->d_un.d_ptr);
            break;
        case DT_VERSYM:
            o->versions = at(m, d->d_un.d_ptr);
            break;
        case DT_VERNEED:
            o->needs = at(m, d->d_un.d_ptr);
            break;
        case DT_VERDEF:
            o->defines = at(m, d->d_un.d_ptr);
            break;
        case DT_RELA:
            o->rela[0] = at(m, d->d_un.d_ptr);
            break;
        case DT_RELASZ:
            o->rela_count[0] = d->d_un.d_val / sizeof(Elf64_Rela);
            break;
        case DT_RELACOUNT:
            o->relative_count = d->d_un.d_val;
            break;
        case DT_JMPREL:
            o->rela[1] = at(m, d->d_un.d_ptr);
            break;
        case DT_PLTRELSZ:
            o->rela_count[1] = d->d_un.d_val / sizeof(Elf64_Rela);
            break;
        case DT_SYMBOLIC:
            o->symbolic = 1;
            break;
        case DT_FLAGS:
            o->symbolic |= (d->d_un.d_val & DF_SYMBOLIC) != 0;
            break;
        default:
            break;
        }
    }
}

static int same(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n == strlen(b) && memcmp(a, b, n) == 0;
}

/* The runtime itself isn't there: what it exports stands in front of the C library's own. */
static int list_objects(void)
{
    const struct r_debug *r = tc_loader();
    int steps = 0;

    if (deep.listed) {
        for (uint32_t i = 0; i < deep.count; i++)
            deep.all[i].entered = 0;
        return 0;
    }
    deep.count = 0;
    deep.at_start = 0;
    memset(&deep.last_set, 0, sizeof deep.last_set);
    for (const struct link_map *m = r != NULL ? r->r_map : NULL; m != NULL; m = m->l_next) {
        if (++steps > MAX_STEPS || deep.count == MAX_OBJECTS)
            return -1;
        if (m->l_ld != _DYNAMIC)
            read_object(m, &deep.all[deep.count++]);
        if (m == deep.last_at_start)
            deep.at_start = deep.count;
    }
    deep.listed = 1;
    return 0;
}

void tc_deep_forget(void)
{
    deep.listed = 0;
}

static struct tc_hash128 identity_of(int index)
{
    struct object *o = &deep.all[index];

    if (!o->has_identity) {
        o->identity = tc_linked_identity(o->map);
        o->has_identity = 1;
    }
    return o->identity;
}

void tc_deep_begin(void)
{
    const struct r_debug *r = tc_loader();
    const struct link_map *m = r != NULL ? r->r_map : NULL;

    for (int i = 0; m != NULL && m->l_next != NULL && i < MAX_STEPS; i++)
        m = m->l_next;
    deep.last_at_start = m;
}

static struct wanted want(const char *name, const char *version)
{
    struct wanted w = {.name = name, .version = version, .gnu = 5381};

    for (const unsigned char *p = (const unsigned char *)name; *p != 0; p++)
        w.gnu = w.gnu * 33 + *p;
    return w;
}

/* gABI, "Hash Table". Few objects have nothing else. */
static uint32_t sysv_hash(const char *name)
{
    uint32_t h = 0;

    for (const unsigned char *p = (const unsigned char *)name; *p != 0; p++) {
        uint32_t high;
        h = (h << 4) + *p;
        high = h & 0xf0000000u;
        h = (h ^ (high >> 24)) & ~high;
    }
    return h;
}

/* LSB, "Symbol Versioning": the name of a defined version; NULL. */
static const char *defined_version(const struct object *o, uint16_t index)
{
    const unsigned char *p = o->defines;

    for (int i = 0; p != NULL && i < MAX_STEPS; i++) {
        const Elf64_Verdef *d = (const void *)p;
        if ((d->vd_ndx & 0x7fff) == index)
            return o->strings + ((const Elf64_Verdaux *)(const void *)(p + d->vd_aux))->vda_name;
        p = d->vd_next != 0 ? p + d->vd_next : NULL;
    }
    return NULL;
}

/* The version that an import asks for, and of which library. 0: none. */
static int needed_version(const struct object *o, uint16_t index, const char **ret_version,
                          const char **ret_library)
{
    const unsigned char *p = o->needs;

    for (int i = 0; p != NULL && index >= 2 && i < MAX_STEPS; i++) {
        const Elf64_Verneed *n = (const void *)p;
        const unsigned char *q = p + n->vn_aux;
        for (int k = 0; k < n->vn_cnt; k++) {
            const Elf64_Vernaux *a = (const void *)q;
            if ((a->vna_other & 0x7fff) == index) {
                *ret_version = o->strings + a->vna_name;
                *ret_library = o->strings + n->vn_file;
                return 1;
            }
            q += a->vna_next;
        }
        p = n->vn_next != 0 ? p + n->vn_next : NULL;
    }
    return 0;
}

static int fits(const struct object *o, uint32_t i, const struct wanted *w)
{
    const Elf64_Sym *s = &o->symbols[i];
    const char *version;
    uint16_t index;

    if (s->st_shndx == SHN_UNDEF || ELF64_ST_BIND(s->st_info) == STB_LOCAL ||
        !same(o->strings + s->st_name, w->name))
        return 0;
    if (w->version == NULL || o->versions == NULL || o->defines == NULL)
        return 1;
    index = o->versions[i] & 0x7fff;
    version = index >= 2 ? defined_version(o, index) : NULL;
    return version == NULL || same(version, w->version);
}

/* 0: there is no symbol of this hash. */
static int may_have(const struct object *o, uint32_t hash)
{
    const uint32_t *h = o->gnu_hash, words = h[2];
    const uint64_t *bloom = (const void *)(h + 4);
    uint64_t word;

    if (h[0] == 0 || words == 0)
        return 0;
    word = bloom[hash / 64 & (words - 1)];
    return (word >> (hash % 64) & 1) && (word >> ((hash >> h[3]) % 64) & 1);
}

static int in_gnu_hash(const struct object *o, const struct wanted *w)
{
    const uint32_t *h = o->gnu_hash, buckets = h[0], first = h[1], words = h[2];
    const uint64_t *bloom = (const void *)(h + 4);
    const uint32_t *bucket = (const uint32_t *)(const void *)(bloom + words);
    uint32_t i;

    if (!may_have(o, w->gnu))
        return 0;
    i = bucket[w->gnu % buckets];
    for (int steps = 0; i >= first && i != 0 && steps < MAX_STEPS; steps++, i++) {
        uint32_t hash = bucket[buckets + (i - first)];
        if (((hash ^ w->gnu) >> 1) == 0 && fits(o, i, w))
            return 1;
        if (hash & 1)
            break;
    }
    return 0;
}

static int in_sysv_hash(const struct object *o, const struct wanted *w)
{
    uint32_t buckets = o->hash[0], i;

    if (buckets == 0)
        return 0;
    i = o->hash[2 + sysv_hash(w->name) % buckets];
    for (int steps = 0; i != 0 && steps < MAX_STEPS; steps++) {
        if (fits(o, i, w))
            return 1;
        i = o->hash[2 + buckets + i];
    }
    return 0;
}

static int defines(const struct object *o, const struct wanted *w)
{
    if (o->symbols == NULL || o->strings == NULL)
        return 0;
    if (o->gnu_hash != NULL)
        return in_gnu_hash(o, w);
    return o->hash != NULL && in_sysv_hash(o, w);
}

static void enter(int index)
{
    struct object *o = &deep.all[index];

    if (o->entered)
        return;
    o->entered = 1;
    deep.queue[deep.queued++] = (uint16_t)index;
}

/*
 * Which object a symbol binds to. What was loaded at the start is searched first by every object,
 * in the loader's order. Of several that came later, how they were opened decides, which can't be
 * seen: then all of them count, in their order, and `*ret_several` is set. NOBODY: none has it
 * (yet).
 */
static int bind(int from, const struct wanted *w, struct tc_hash_state *all, int *ret_several)
{
    int first = NOBODY;

    *ret_several = 0;
    if (from != NOBODY && deep.all[from].symbolic && defines(&deep.all[from], w))
        return from;
    for (uint32_t i = 0; i < deep.count; i++) {
        struct tc_hash128 h;
        if (!defines(&deep.all[i], w))
            continue;
        if (i < deep.at_start)
            return (int)i;
        h = identity_of((int)i);
        tc_hash_add(all, &h, sizeof h);
        *ret_several |= first != NOBODY;
        first = first == NOBODY ? (int)i : first;
    }
    return first;
}

static const char *name_of(int index)
{
    return deep.all[index].name;
}

/* One import, as the digest has it. Of where following ends, the name alone. `self`: the task's
 * object, whose own code is in the plan. 1: it is its own. */
static int add_binding(int from, int self, const struct wanted *w, struct tc_hash_state *state)
{
    static struct tc_hash_state all;
    struct tc_hash128 identity = {0, 0};
    int several, to, stops;

    tc_hash_begin(&all, 0);
    to = bind(from, w, &all, &several);
    stops = to != NOBODY && to != self && tc_deep_stops(name_of(to), deep.stop);
    if (several)
        identity = tc_hash_end128(&all);
    else if (to == self)
        identity.low = 1;
    else if (stops)
        identity = tc_hash128(name_of(to), strlen(name_of(to)), 0);
    else if (to != NOBODY)
        identity = identity_of(to);
    tc_hash_add(state, w->name, strlen(w->name) + 1);
    tc_hash_add(state, &identity, sizeof identity);
    for (uint32_t i = deep.at_start; several && i < deep.count; i++)
        if ((int)i != self && defines(&deep.all[i], w))
            enter((int)i);
    if (to != NOBODY && to != self && !stops)
        enter(to);
    return to == self && !several;
}

/* A symbol that an object defines itself, and that no other in front of it can have: told by the
 * hashes in its own table (of which bit 0 has another meaning), without its name. 0: perhaps. */
static int is_own(int from, uint32_t index)
{
    const struct object *o = &deep.all[from];
    const uint32_t *h = o->gnu_hash, *chain;
    uint32_t hash;

    if (h == NULL || o->symbols[index].st_shndx == SHN_UNDEF || index < h[1])
        return 0;
    chain = (const uint32_t *)(const void *)((const uint64_t *)(const void *)(h + 4) + h[2]) + h[0];
    hash = chain[index - h[1]] & ~1u;
    for (uint32_t i = 0; i < deep.count && !o->symbolic; i++) {
        const struct object *other = &deep.all[i];
        if ((int)i == from && i < deep.at_start)
            return 1;
        if ((int)i != from && other->symbols != NULL &&
            (other->gnu_hash != NULL ? may_have(other, hash) || may_have(other, hash | 1)
                                     : other->hash != NULL))
            return 0;
    }
    return 1;
}

/* All symbols of an object that enters as a whole. Those that it defines itself and that nothing
 * stands in front of are its own matter. */
static void add_symbol(int from, uint32_t index)
{
    static struct tc_hash_state state;
    const struct object *o = &deep.all[from];
    const char *version = NULL, *library = NULL;
    struct tc_hash128 h;
    struct wanted w;

    if (index == 0 || o->symbols == NULL || o->strings == NULL ||
        ELF64_ST_BIND(o->symbols[index].st_info) == STB_LOCAL || is_own(from, index))
        return;
    if (o->versions != NULL && o->symbols[index].st_shndx == SHN_UNDEF &&
        needed_version(o, o->versions[index] & 0x7fff, &version, &library) &&
        tc_deep_stops(library, deep.stop))
        return;
    w = want(o->strings + o->symbols[index].st_name, version);
    tc_hash_begin(&state, 1);
    if (add_binding(from, from, &w, &state))
        return;
    h = tc_hash_end128(&state);
    deep.sum.low += h.low;
    deep.sum.high += h.high;
}

/* OpenBLAS has 14,000 words of tables that hold 2,000 symbols: each counts once. */
static void add_object(int index)
{
    static uint64_t seen[MAX_SEEN / 64];
    const struct object *o = &deep.all[index];
    struct tc_hash128 h = identity_of(index);

    deep.sum.low += h.low;
    deep.sum.high += h.high;
    memset(seen, 0, sizeof seen);
    for (int k = 0; k < 2; k++) {
        for (uint64_t i = k == 0 ? o->relative_count : 0;
             o->rela[k] != NULL && i < o->rela_count[k]; i++) {
            uint32_t symbol = (uint32_t)ELF64_R_SYM(o->rela[k][i].r_info);
            if (symbol < MAX_SEEN && seen[symbol / 64] >> symbol % 64 & 1)
                continue;
            if (symbol < MAX_SEEN)
                seen[symbol / 64] |= 1ull << symbol % 64;
            add_symbol(index, symbol);
        }
    }
}

/* The objects that entered, by their names, as many as there is room for. */
static void note_objects(void)
{
    memset(deep.last_objects, 0, sizeof deep.last_objects);
    deep.last_object_count = 0;
    for (uint32_t i = 0; i < deep.queued && i < TC_DEEP_OBJECTS; i++) {
        struct tc_deep_object *o = &deep.last_objects[deep.last_object_count++];
        struct tc_hash128 identity = identity_of(deep.queue[i]);
        const char *name = name_of(deep.queue[i]);
        size_t bytes = strlen(name);
        memcpy(o->identity, &identity.low, sizeof o->identity);
        memcpy(o->name, name, bytes < sizeof o->name ? bytes : sizeof o->name);
    }
}

static void add_closure(void)
{
    static struct tc_hash_state state;
    struct tc_hash128 set;

    tc_hash_begin(&state, deep.count);
    tc_hash_add(&state, deep.stop, strlen(deep.stop) + 1);
    for (uint32_t i = 0; i < deep.count; i++) {
        /* By what it is: where an object was closed, another one may have been opened. */
        struct tc_hash128 identity = tc_linked_identity(deep.all[i].map);
        tc_hash_add(&state, &identity, sizeof identity);
        tc_hash_add(&state, &deep.all[i].entered, sizeof deep.all[i].entered);
    }
    set = tc_hash_end128(&state);
    if (memcmp(&set, &deep.last_set, sizeof set) != 0) {
        for (uint32_t i = 0; i < deep.queued; i++)
            add_object(deep.queue[i]);
        note_objects();
        deep.last_set = set;
        deep.last_sum = deep.sum;
    }
    deep.sum = deep.last_sum;
}

int tc_deep_digest(const struct tc_plan *plan, const struct tc_flat *plans, uint64_t base,
                   const char *stop, struct tc_deep_content *ret, uint32_t *ret_bytes)
{
    const struct tc_deep_import *imports =
        tc_flat_at(plans, plan->imports.off, plan->imports.count, sizeof *imports);
    struct tc_hash128 h;
    int self = NOBODY;

    if (!plan->has_deep || imports == NULL || list_objects() < 0)
        return -1;
    for (uint32_t i = 0; i < deep.count && self == NOBODY; i++)
        if (deep.all[i].map->l_addr == base)
            self = (int)i;
    if (self == NOBODY)
        return -1;
    deep.queued = 0;
    deep.stop = stop;
    deep.sum = (struct tc_hash128){0, 0};
    tc_hash_begin(&deep.state, 2);
    tc_hash_add(&deep.state, plan->deep, sizeof plan->deep);
    if (plan->deep_whole)
        enter(self);
    for (uint32_t i = 0; i < plan->imports.count; i++) {
        struct wanted w =
            want(tc_flat_str(plans, imports[i].name),
                 imports[i].version.off != 0 ? tc_flat_str(plans, imports[i].version) : NULL);
        (void)add_binding(self, self, &w, &deep.state);
    }
    add_closure();
    tc_hash_add(&deep.state, &deep.sum, sizeof deep.sum);
    h = tc_hash_end128(&deep.state);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->digest, &h, sizeof ret->digest);
    memcpy(ret->inside, plan->deep, sizeof ret->inside);
    memcpy(ret->objects, deep.last_objects, sizeof ret->objects);
    *ret_bytes = (uint32_t)(offsetof(struct tc_deep_content, objects) +
                            deep.last_object_count * sizeof ret->objects[0]);
    return 0;
}
