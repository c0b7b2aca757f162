/* Which names hold: they tell one function or datum from all others, in this build and the next. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_map.h"

/* Copies and parts that compilers make: their callers' constants may be inside. */
static const char *const changed[] = {".isra.", ".constprop.",   ".part.",     ".cold",
                                      ".llvm.", ".specialized.", ".simdclone."};

/* How gcc's front ends call their files. Other compilers' languages may be LLVM's. */
static const char endings[] = " c i C cc cp cxx cpp CPP c++ ii f F for FOR ftn FTN fpp FPP f90 F90 "
                              "f95 F95 f03 F03 f08 F08 m mi mm mii ads adb s S sx ";

static int contains(const struct tc_symbol *s, const char *word)
{
    return memmem(s->name, s->name_bytes, word, strlen(word)) != NULL;
}

/* All words of the section are gcc's, or its linkers'. */
static int is_said_by_gcc(const struct tc_elf *e, const struct tc_section *s)
{
    const unsigned char *text = s->type != SHT_NOBITS ? tc_elf_bytes(e, s->offset, s->bytes) : NULL;
    size_t at = 0, words = 0;

    while (text != NULL && at < s->bytes) {
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

/* Names that LLVM gives to what it makes: gcc's have numbers behind the dot. */
static int is_made_by_llvm(const struct tc_symbol *s)
{
    const char *dot = memchr(s->name, '.', s->name_bytes);

    if (!(s->flags & TC_SYMBOL_LOCAL))
        return 0;
    return contains(s, ".llvm.") || (s->name_bytes > 9 && memcmp(s->name, "reltable.", 9) == 0) ||
           /* a function's own static variable, `f.counter`, where gcc has `counter.0` */
           (s->type == STT_OBJECT && dot != NULL && dot != s->name &&
            dot + 1 < s->name + s->name_bytes && (dot[1] == '_' || (dot[1] | 32) >= 'a') &&
            (dot[1] | 32) <= 'z' && !contains(s, ".lto_priv."));
}

static int has_text(const struct tc_elf *e, const char *section, const char *text)
{
    const struct tc_section *s = tc_elf_section(e, section, SHT_PROGBITS);
    const unsigned char *at = s != NULL ? tc_elf_bytes(e, s->offset, s->bytes) : NULL;

    return at != NULL && memmem(at, s->bytes, text, strlen(text)) != NULL;
}

/* Debug information names its compilers, unless they were told to be silent; then gcc's name is
 * missing, or there are tables that gcc makes for split files alone. Compressed it says nothing. */
static int is_debugged_by_llvm(const struct tc_elf *e)
{
    static const char *const sections[] = {".debug_str", ".debug_line_str"};
    static const char *const words[] = {"clang version", "rustc version", "LLVM"};
    int gnu = 0;

    if (tc_elf_section(e, ".debug_info", SHT_PROGBITS) == NULL ||
        tc_elf_section(e, ".debug_str", SHT_PROGBITS) == NULL)
        return 0;
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
            if (has_text(e, sections[i], words[k]))
                return 1;
        gnu |= has_text(e, sections[i], "GNU ");
    }
    /* A producer that is no other's stands among the entries, which may be large. */
    gnu = gnu || has_text(e, ".debug_info", "GNU ");
    return !gnu || tc_elf_section(e, ".debug_addr", 0) != NULL ||
           tc_elf_section(e, ".debug_str_offsets", 0) != NULL;
}

/*
 * gcc renames a function before it moves a caller's constant into it; LLVM doesn't: with one
 * caller `g(x, 5)`, the 5 is in `g` alone, and `g` is still called `g`. So a local name stands for
 * a local function only where all says that the object is gcc's. What .comment says isn't enough:
 * start files are gcc's, and other compilers may say nothing.
 */
int tc_map_names_hold(const struct tc_image *im)
{
    const struct tc_elf *e = im->elf;
    const struct tc_section *s = tc_elf_section(e, ".comment", 0);

    if (s == NULL && im->debug.file != NULL) {
        e = im->debug.file;
        s = tc_elf_section(e, ".comment", 0);
    }
    if (s == NULL || !is_said_by_gcc(e, s) || is_debugged_by_llvm(im->elf) ||
        (im->debug.file != NULL && is_debugged_by_llvm(im->debug.file)))
        return 0;
    for (size_t i = 0; i < im->symbols.count; i++)
        if (is_made_by_llvm(&im->symbols.all[i]))
            return 0;
    return 1;
}

/* A file of gcc's languages. What is in no file may be anybody's, or what link-time optimization
 * made of several. */
static int is_gcc_file(const char *file)
{
    const char *dot = file != NULL ? strrchr(file, '.') : NULL;
    char ending[16];

    return dot != NULL && dot[1] != 0 && strchr(dot, ' ') == NULL &&
           snprintf(ending, sizeof ending, " %s ", dot + 1) < (int)sizeof ending &&
           strstr(endings, ending) != NULL;
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

static int is_data(const struct tc_symbol *s)
{
    return s->type != STT_FUNC && s->type != STT_GNU_IFUNC;
}

/* 3: the loader's name, 2: one in the whole object, 1: local; 0: it doesn't hold. */
static int rank_of(const struct tc_symbols *all, const struct tc_symbol *s, int locals)
{
    if (s->flags & TC_SYMBOL_DYNAMIC)
        return (s->flags & TC_SYMBOL_EXPORTED) && !is_inner(s) ? 3 : 0;
    if (!(s->flags & TC_SYMBOL_LOCAL))
        return is_changed(s) || is_inner(s) ? 0 : 2;
    return locals && !is_changed(s) && !is_inner(s) && !is_ambiguous(all, s) &&
                   (is_data(s) || is_gcc_file(s->file))
               ? 1
               : 0;
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
