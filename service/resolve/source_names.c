/* Which names hold: they tell one function or datum from all others, in this build and the next. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_map.h"

/* Copies and parts that compilers make: their callers' constants may be inside. */
static const char *const changed[] = {".isra.", ".constprop.",   ".part.",     ".cold",
                                      ".llvm.", ".specialized.", ".simdclone."};

/*
 * gcc renames a function before it moves a caller's constant into it; LLVM doesn't: with one
 * caller `g(x, 5)`, the 5 is in `g` alone, and `g` is still called `g`. So a local name stands for
 * a local function only where all of the object is known to be gcc's.
 */
int tc_map_names_hold(const struct tc_image *im)
{
    const struct tc_elf *e = im->elf;
    const struct tc_section *s = tc_elf_section(e, ".comment", 0);
    const unsigned char *text;
    size_t at = 0, words = 0;

    if (s == NULL && im->debug.file != NULL) {
        e = im->debug.file;
        s = tc_elf_section(e, ".comment", 0);
    }
    text = s != NULL ? tc_elf_bytes(e, s->offset, s->bytes) : NULL;
    if (text == NULL || s->type == SHT_NOBITS)
        return 0;
    while (at < s->bytes) {
        size_t bytes = strnlen((const char *)text + at, s->bytes - at);
        const char *word = (const char *)text + at;
        int linker = bytes > 8 && memcmp(word, "Linker: ", 8) == 0;
        if (bytes != 0 && !linker && (bytes < 5 || memcmp(word, "GCC: ", 5) != 0))
            return 0;
        words += bytes != 0 && !linker;
        at += bytes + 1;
    }
    return words != 0;
}

static int contains(const struct tc_symbol *s, const char *word)
{
    return memmem(s->name, s->name_bytes, word, strlen(word)) != NULL;
}

static int is_changed(const struct tc_symbol *s)
{
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++)
        if (contains(s, changed[i]))
            return 1;
    return 0;
}

/* A part of another function's source that became one of its own: a loop of OpenMP
 * (`f._omp_fn.0`), a nested function (`inner.0`), a lambda or a member of a local class (`_ZZ...`).
 * C has no dots in names. */
static int is_inner(const struct tc_symbol *s)
{
    return (s->type == STT_FUNC || s->type == STT_GNU_IFUNC) &&
           (memchr(s->name, '.', s->name_bytes) != NULL ||
            (s->name_bytes > 3 && memcmp(s->name, "_ZZ", 3) == 0));
}

static int same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Another local symbol that would be called the same, elsewhere. Without a file it could be any. */
static int is_ambiguous(const struct tc_symbols *all, const struct tc_symbol *s)
{
    for (size_t i = tc_symbols_lower(all, s->name, s->name_bytes); i < all->count; i++) {
        const struct tc_symbol *other = &all->all[all->by_name[i]];
        if (!tc_symbol_is(other, s->name, s->name_bytes))
            return 0;
        if ((other->flags & TC_SYMBOL_LOCAL) && other->vaddr != s->vaddr &&
            (same_text(other->file, s->file) || other->file == NULL || s->file == NULL))
            return 1;
    }
    return 0;
}

/* 3: the loader's name, 2: one in the whole object, 1: local; 0: it doesn't hold. */
static int rank_of(const struct tc_symbols *all, const struct tc_symbol *s, int locals)
{
    if (s->flags & TC_SYMBOL_DYNAMIC)
        return (s->flags & TC_SYMBOL_EXPORTED) && !is_inner(s) ? 3 : 0;
    if (!(s->flags & TC_SYMBOL_LOCAL))
        return is_changed(s) || is_inner(s) ? 0 : 2;
    return locals && !is_changed(s) && !is_inner(s) && !is_ambiguous(all, s) ? 1 : 0;
}

static void print_name(const struct tc_map *m, const struct tc_symbol *s, int rank, char *ret,
                       size_t bytes)
{
    struct tc_dynamic_symbol d;

    if (rank == 3 && tc_map_symbol(m, s->index, &d) && d.version != NULL)
        (void)snprintf(ret, bytes, "%s@%s", d.name, d.version);
    else if (rank == 1 && s->file != NULL)
        (void)snprintf(ret, bytes, "%s:%.*s", s->file, (int)s->name_bytes, s->name);
    else
        (void)snprintf(ret, bytes, "%.*s", (int)s->name_bytes, s->name);
}

static int order(const struct tc_symbol *a, const struct tc_symbol *b)
{
    size_t shorter = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int r = memcmp(a->name, b->name, shorter);

    return r != 0 ? r : (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

/* Of several names the best known, then the first in the alphabet. */
static const struct tc_symbol *best_at(const struct tc_map *m, uint64_t vaddr, int code,
                                       int *ret_rank)
{
    const struct tc_symbols *all = &m->im->symbols;
    const struct tc_symbol *best = NULL;

    *ret_rank = 0;
    for (size_t i = tc_symbols_at(all, vaddr); i < all->count; i++) {
        const struct tc_symbol *s = &all->all[all->by_vaddr[i]];
        int function = s->type == STT_FUNC || s->type == STT_GNU_IFUNC;
        int rank;
        if (s->vaddr != vaddr)
            break;
        if (s->type == STT_TLS || (code ? !function && s->type != STT_NOTYPE : function))
            continue;
        rank = rank_of(all, s, m->names_hold || !code);
        /* A label may be in the middle of something. */
        if (code && !function && rank < 3)
            rank = 0;
        if (rank > *ret_rank || (rank != 0 && rank == *ret_rank && order(s, best) < 0)) {
            best = s;
            *ret_rank = rank;
        }
    }
    return best;
}

/* Numbers that compilers add to names of local data change with what is in front of them. */
static size_t without_number(const struct tc_symbol *s)
{
    size_t n = s->name_bytes;

    while (n > 0 && s->name[n - 1] >= '0' && s->name[n - 1] <= '9')
        n--;
    return n > 1 && n < s->name_bytes && s->name[n - 1] == '.' ? n - 1 : s->name_bytes;
}

static int by_text(const void *a, const void *b)
{
    return order(*(const struct tc_symbol *const *)a, *(const struct tc_symbol *const *)b);
}

/* One name of several could pass from one thing to another while the reference follows. */
void tc_map_all_names(const struct tc_map *m, uint64_t vaddr, int code, tc_map_name_seen *seen,
                      void *arg)
{
    const struct tc_symbols *all = &m->im->symbols;
    const struct tc_symbol *names[32];
    size_t count = 0;

    for (size_t i = tc_symbols_at(all, vaddr); i < all->count && count < 32; i++) {
        const struct tc_symbol *s = &all->all[all->by_vaddr[i]];
        int function = s->type == STT_FUNC || s->type == STT_GNU_IFUNC;
        if (s->vaddr != vaddr)
            break;
        if (s->type == STT_TLS || function != code || (!function && s->bytes == 0) ||
            contains(s, ".localalias") || rank_of(all, s, m->names_hold || !code) == 0)
            continue;
        names[count++] = s;
    }
    qsort(names, count, sizeof names[0], by_text);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || order(names[i - 1], names[i]) != 0)
            seen(arg, names[i]->name, code ? names[i]->name_bytes : without_number(names[i]));
}

int tc_map_function_name(const struct tc_map *m, uint64_t vaddr, char *ret, size_t bytes)
{
    int rank;
    const struct tc_symbol *s = best_at(m, vaddr, 1, &rank);

    if (s == NULL)
        return 0;
    print_name(m, s, rank, ret, bytes);
    return 1;
}

int tc_map_datum_name(const struct tc_map *m, const struct tc_datum *d, char *ret, size_t bytes)
{
    const struct tc_symbols *all = &m->im->symbols;
    const struct tc_symbol *s = &all->all[d->symbol];
    int rank;

    if (s->type != STT_TLS) {
        s = best_at(m, d->begin, 0, &rank);
    } else {
        rank = rank_of(all, s, 1);
        s = rank != 0 ? s : NULL;
    }
    if (s == NULL)
        return 0;
    print_name(m, s, rank, ret, bytes);
    return 1;
}

void tc_map_code_label(const struct tc_map *m, uint64_t vaddr, char *ret, size_t bytes)
{
    const struct tc_symbols *all = &m->im->symbols;
    size_t at = tc_symbols_at(all, vaddr);

    if (tc_map_function_name(m, vaddr, ret, bytes))
        return;
    for (; at < all->count && all->all[all->by_vaddr[at]].vaddr == vaddr; at++) {
        const struct tc_symbol *s = &all->all[all->by_vaddr[at]];
        if (s->type == STT_FUNC || s->type == STT_NOTYPE) {
            (void)snprintf(ret, bytes, "%.*s", (int)s->name_bytes, s->name);
            return;
        }
    }
    (void)snprintf(ret, bytes, "code at 0x%llx", (unsigned long long)vaddr);
}

int tc_map_code_range(const struct tc_map *m, uint64_t vaddr, struct tc_piece *ret)
{
    const struct tc_symbols *all = &m->im->symbols;
    const struct tc_range *around;
    uint32_t flags = 0;
    uint64_t bytes = 0, room = tc_elf_room(m->im->elf, vaddr, &flags);

    if (!(flags & PF_X))
        return 0;
    for (size_t i = tc_symbols_at(all, vaddr); i < all->count; i++) {
        const struct tc_symbol *s = &all->all[all->by_vaddr[i]];
        if (s->vaddr != vaddr)
            break;
        if ((s->type == STT_FUNC || s->type == STT_GNU_IFUNC) && s->bytes > bytes)
            bytes = s->bytes;
    }
    *ret = (struct tc_piece){vaddr, bytes};
    if (bytes == 0) {
        around = tc_bounds_around(&m->im->bounds, vaddr);
        if (around == NULL)
            return 0;
        *ret = (struct tc_piece){around->begin, around->end - around->begin};
        room = tc_elf_room(m->im->elf, around->begin, &flags);
    }
    return ret->bytes <= room;
}

const struct tc_reloc *tc_map_stub(const struct tc_map *m, uint64_t vaddr)
{
    uint32_t flags = 0;
    uint64_t room = tc_elf_room(m->im->elf, vaddr, &flags), slot;
    struct tc_code code = {.vaddr = vaddr, .bytes = room < 32 ? room : 32};
    size_t at;

    code.at = tc_elf_at(m->im->elf, vaddr, code.bytes);
    slot = code.at != NULL && code.bytes != 0 ? m->arch->linkage_slot(&code) : 0;
    at = slot != 0 ? tc_map_reloc(m, slot) : 0;
    if (slot == 0 || at == m->reloc_count || m->relocs[at].at != slot)
        return NULL;
    return m->relocs[at].kind == TC_REL_SLOT || m->relocs[at].kind == TC_REL_CHOSEN ? &m->relocs[at]
                                                                                    : NULL;
}
