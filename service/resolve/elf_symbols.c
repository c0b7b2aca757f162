#include "service/resolve/elf_symbols.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SYMBOLS (1u << 26)

/* One table of Elf64_Sym. */
struct table {
    const unsigned char *symbols, *strings, *versions;
    uint64_t count, strings_bytes;
    int dynamic;
    uint8_t flags; /* of all its symbols */
};

int tc_symbols_add(struct tc_symbols *s, const struct tc_symbol *symbol)
{
    if (s->count == s->allocated) {
        size_t allocated = s->allocated != 0 ? 2 * s->allocated : 256;
        struct tc_symbol *all = reallocarray(s->all, allocated, sizeof *all);
        if (all == NULL || allocated > MAX_SYMBOLS) {
            s->all = all != NULL ? all : s->all;
            return -ENOMEM;
        }
        s->all = all;
        s->allocated = allocated;
    }
    s->all[s->count++] = *symbol;
    return 0;
}

static uint32_t load32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int is_exported(const Elf64_Sym *sym)
{
    unsigned bind = ELF64_ST_BIND(sym->st_info), visibility = ELF64_ST_VISIBILITY(sym->st_other);

    return bind != STB_LOCAL && (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* In .symtab, ld appends versions to the names themselves. */
static void split_version(struct tc_symbol *s)
{
    const char *at = memchr(s->name, '@', s->name_bytes);

    if (at == NULL || at == s->name)
        return;
    if (s->name_bytes - (size_t)(at - s->name) < 2 || at[1] != '@')
        s->flags |= TC_SYMBOL_OLD_VERSION;
    s->name_bytes = (uint32_t)(at - s->name);
}

static int is_kept(const Elf64_Sym *sym)
{
    unsigned type = ELF64_ST_TYPE(sym->st_info);

    return sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS && sym->st_shndx != SHN_COMMON &&
           type != STT_SECTION && type != STT_FILE;
}

static int add_one(struct tc_symbols *into, const struct table *t, uint64_t index,
                   const Elf64_Sym *sym, const char *file)
{
    struct tc_symbol s = {.type = ELF64_ST_TYPE(sym->st_info),
                          .flags = t->flags,
                          .index = (uint32_t)index,
                          .vaddr = sym->st_value,
                          .bytes = sym->st_size};
    size_t bytes = 0;

    s.name = tc_elf_string(t->strings, t->strings_bytes, sym->st_name, &bytes);
    if (s.name == NULL || bytes == 0 || bytes > 65535)
        return 0;
    s.name_bytes = (uint32_t)bytes;
    if (is_exported(sym))
        s.flags |= TC_SYMBOL_EXPORTED;
    if (ELF64_ST_BIND(sym->st_info) == STB_LOCAL) {
        s.flags |= TC_SYMBOL_LOCAL;
        s.file = file;
    }
    if (!t->dynamic)
        split_version(&s);
    /* Bit 15 of a version index: hidden, only bound by programs linked against that version. */
    else if (t->versions != NULL && t->versions[2 * index + 1] & 0x80)
        s.flags |= TC_SYMBOL_OLD_VERSION;
    if (strncmp(s.name, "runtime.morestack", 17) == 0)
        into->is_go = 1;
    return tc_symbols_add(into, &s);
}

static int add_table(struct tc_symbols *into, const struct table *t)
{
    const char *file = NULL;

    for (uint64_t i = 1; i < t->count; i++) {
        Elf64_Sym sym;
        memcpy(&sym, t->symbols + i * sizeof sym, sizeof sym);
        if (ELF64_ST_TYPE(sym.st_info) == STT_FILE) {
            file = tc_elf_string(t->strings, t->strings_bytes, sym.st_name, NULL);
            /* ld ends the files' own symbols with a nameless one. */
            file = file != NULL && file[0] != 0 ? tc_basename(file) : NULL;
        } else if (is_kept(&sym)) {
            int r = add_one(into, t, i, &sym, file);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* How many symbols the loader can find: the last chain of the GNU hash table ends with an odd
 * word. */
static uint64_t count_by_gnu_hash(const struct tc_elf *e, uint64_t vaddr)
{
    const unsigned char *head = tc_elf_at(e, vaddr, 16);
    uint64_t buckets_at, chains_at;
    uint32_t buckets, first, last = 0;

    if (head == NULL)
        return 0;
    buckets = load32(head);
    first = load32(head + 4);
    buckets_at = vaddr + 16 + 8ull * load32(head + 8);
    chains_at = buckets_at + 4ull * buckets;
    const unsigned char *bucket = tc_elf_at(e, buckets_at, 4ull * buckets);
    for (uint32_t i = 0; bucket != NULL && i < buckets; i++) {
        uint32_t start = load32(bucket + 4ull * i);
        last = start > last ? start : last;
    }
    if (last < first || last == 0)
        return first;
    for (;; last++) {
        const unsigned char *chain = tc_elf_at(e, chains_at + 4ull * (last - first), 4);
        if (chain == NULL || last == MAX_SYMBOLS)
            return 0;
        if (load32(chain) & 1)
            return (uint64_t)last + 1;
    }
}

static uint64_t count_dynamic(const struct tc_elf *e)
{
    const struct tc_section *s = tc_elf_section(e, NULL, SHT_DYNSYM);
    const unsigned char *hash = NULL;
    uint64_t count = 0;

    if (e->dynamic.gnu_hash != 0)
        count = count_by_gnu_hash(e, e->dynamic.gnu_hash);
    if (count == 0 && e->dynamic.hash != 0 && (hash = tc_elf_at(e, e->dynamic.hash, 8)) != NULL)
        count = load32(hash + 4);
    if (count == 0 && s != NULL && s->vaddr == e->dynamic.symtab)
        count = s->bytes / sizeof(Elf64_Sym);
    return count;
}

static int read_dynamic(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *into)
{
    struct table t = {
        .dynamic = 1, .flags = TC_SYMBOL_DYNAMIC, .strings_bytes = e->dynamic.strtab_bytes};

    (void)d;
    if (!e->dynamic.found || e->dynamic.symtab == 0)
        return 0;
    t.count = count_dynamic(e);
    t.symbols = tc_elf_at(e, e->dynamic.symtab, t.count * sizeof(Elf64_Sym));
    t.strings = tc_elf_at(e, e->dynamic.strtab, t.strings_bytes);
    if (e->dynamic.versym != 0)
        t.versions = tc_elf_at(e, e->dynamic.versym, 2 * t.count);
    return t.symbols != NULL && t.strings != NULL ? add_table(into, &t) : 0;
}

static int add_symtab(const struct tc_elf *e, uint8_t flags, struct tc_symbols *into)
{
    const struct tc_section *s = tc_elf_section(e, NULL, SHT_SYMTAB), *names = NULL;
    struct table t = {.flags = flags};

    if (s == NULL || s->link >= e->section_count)
        return 0;
    names = &e->sections[s->link];
    t.count = s->bytes / sizeof(Elf64_Sym);
    t.strings_bytes = names->bytes;
    t.symbols = tc_elf_bytes(e, s->offset, s->bytes);
    t.strings = tc_elf_bytes(e, names->offset, names->bytes);
    if (t.symbols == NULL || t.strings == NULL || names->type != SHT_STRTAB)
        return 0;
    into->has_symtab = 1;
    return add_table(into, &t);
}

static int read_symtab(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *into)
{
    (void)d;
    return add_symtab(e, 0, into);
}

static int read_debug_file(const struct tc_elf *e, const struct tc_debug *d,
                           struct tc_symbols *into)
{
    (void)e;
    if (d == NULL || d->file == NULL || into->has_symtab)
        return 0;
    return add_symtab(d->file, TC_SYMBOL_DEBUG, into);
}

static int read_mini(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *into)
{
    (void)e;
    if (d == NULL || d->mini == NULL || into->has_symtab)
        return 0;
    return add_symtab(d->mini, TC_SYMBOL_DEBUG, into);
}

static const struct tc_symbol_source sources[] = {
    {"dynamic symbols", read_dynamic},
    {".symtab", read_symtab},
    {"debug file", read_debug_file},
    {".gnu_debugdata", read_mini},
};

static int compare_name(const struct tc_symbol *s, const char *name, size_t bytes)
{
    size_t shorter = s->name_bytes < bytes ? s->name_bytes : bytes;
    int order = memcmp(s->name, name, shorter);

    return order != 0 ? order : (s->name_bytes > bytes) - (s->name_bytes < bytes);
}

static int order_names(const void *a, const void *b, void *arg)
{
    const struct tc_symbol *all = arg, *x = &all[*(const uint32_t *)a],
                           *y = &all[*(const uint32_t *)b];
    int order = compare_name(x, y->name, y->name_bytes);

    return order != 0 ? order : x < y ? -1 : x > y;
}

static int order_vaddrs(const void *a, const void *b, void *arg)
{
    const struct tc_symbol *all = arg, *x = &all[*(const uint32_t *)a],
                           *y = &all[*(const uint32_t *)b];

    if (x->vaddr != y->vaddr)
        return x->vaddr < y->vaddr ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int sort_all(struct tc_symbols *s)
{
    s->by_name = calloc(s->count + 1, sizeof *s->by_name);
    s->by_vaddr = calloc(s->count + 1, sizeof *s->by_vaddr);
    if (s->by_name == NULL || s->by_vaddr == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < s->count; i++)
        s->by_name[i] = s->by_vaddr[i] = (uint32_t)i;
    qsort_r(s->by_name, s->count, sizeof *s->by_name, order_names, s->all);
    qsort_r(s->by_vaddr, s->count, sizeof *s->by_vaddr, order_vaddrs, s->all);
    return 0;
}

int tc_symbols_read(const struct tc_elf *e, const struct tc_debug *d, struct tc_symbols *ret)
{
    struct tc_symbols s = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof sources / sizeof sources[0]; i++)
        r = sources[i].read(e, d, &s);
    if (r == 0)
        r = sort_all(&s);
    if (r < 0)
        tc_symbols_free(&s);
    else
        *ret = s;
    return r;
}

void tc_symbols_free(struct tc_symbols *s)
{
    free(s->all);
    free(s->by_name);
    free(s->by_vaddr);
    *s = (struct tc_symbols){0};
}

size_t tc_symbols_lower(const struct tc_symbols *s, const char *name, size_t bytes)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_name(&s->all[s->by_name[middle]], name, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t tc_symbols_at(const struct tc_symbols *s, uint64_t vaddr)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->all[s->by_vaddr[middle]].vaddr < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int tc_symbol_is(const struct tc_symbol *s, const char *name, size_t bytes)
{
    return compare_name(s, name, bytes) == 0;
}
