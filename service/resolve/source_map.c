#include "service/resolve/source_memo.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RELOCS   (1u << 24)
#define MAX_VERSIONS 32768u
#define MEMO_BYTES   (128u << 20)

static int is_memory_of_threads(const struct tc_section *s)
{
    return (s->flags & SHF_TLS) && s->type == SHT_NOBITS;
}

static uint32_t segment_flags(const struct tc_elf *e, uint64_t vaddr)
{
    for (size_t i = 0; i < e->load_count; i++)
        if (vaddr >= e->loads[i].vaddr && vaddr - e->loads[i].vaddr < e->loads[i].bytes)
            return e->loads[i].flags;
    return PF_W;
}

static uint32_t region_flags(const struct tc_elf *e, uint64_t begin, uint64_t end, int writable)
{
    uint32_t segment = segment_flags(e, begin), flags = 0;
    int sealed = begin >= e->relro && end <= e->relro + e->relro_bytes;

    if (segment & PF_X)
        flags |= TC_REGION_CODE;
    if ((writable || (segment & PF_W)) && !sealed)
        flags |= TC_REGION_WRITABLE;
    return flags;
}

static int by_begin(const void *a, const void *b)
{
    const struct tc_region *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* The linker makes __start_NAME and __stop_NAME for sections with a name that C can write. */
static int is_listed(const char *name)
{
    size_t letters =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return letters != 0 && name[letters] == 0;
}

/* Sections say more than segments; a file without them has only those. */
static int read_regions(struct tc_map *m)
{
    const struct tc_elf *e = m->im->elf;
    size_t most = e->section_count + 2 * e->load_count + 1;

    m->regions = calloc(most, sizeof *m->regions);
    if (m->regions == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < e->section_count; i++) {
        const struct tc_section *s = &e->sections[i];
        if (!(s->flags & SHF_ALLOC) || s->bytes == 0 || s->vaddr == 0 || is_memory_of_threads(s) ||
            s->bytes > UINT64_MAX - s->vaddr)
            continue;
        struct tc_region *r = &m->regions[m->region_count++];
        *r = (struct tc_region){s->vaddr, s->vaddr + s->bytes, 0};
        r->flags = region_flags(e, r->begin, r->end, (s->flags & SHF_WRITE) != 0);
        if (!(s->flags & SHF_EXECINSTR))
            r->flags &= ~(uint32_t)TC_REGION_CODE;
        if (s->type == SHT_NOBITS)
            r->flags |= TC_REGION_EMPTY;
        if (strcmp(s->name, ".got") == 0 || strcmp(s->name, ".got.plt") == 0)
            r->flags |= TC_REGION_SLOTS;
        if (!(r->flags & TC_REGION_CODE) && is_listed(s->name))
            r->flags |= TC_REGION_LISTED;
    }
    for (size_t i = 0, none = m->region_count == 0; none && i < e->load_count; i++) {
        const struct tc_segment *s = &e->loads[i];
        uint64_t middle = s->vaddr + s->file_bytes, end = s->vaddr + s->bytes;
        m->regions[m->region_count++] =
            (struct tc_region){s->vaddr, middle, region_flags(e, s->vaddr, middle, 0)};
        if (end > middle)
            m->regions[m->region_count++] =
                (struct tc_region){middle, end, region_flags(e, middle, end, 1) | TC_REGION_EMPTY};
    }
    if (m->region_count != 0)
        qsort(m->regions, m->region_count, sizeof *m->regions, by_begin);
    return 0;
}

const struct tc_region *tc_map_region(const struct tc_map *m, uint64_t vaddr)
{
    size_t low = 0, high = m->region_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->regions[middle].begin <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && vaddr < m->regions[low - 1].end ? &m->regions[low - 1] : NULL;
}

static int add_reloc(struct tc_map *m, const struct tc_reloc *r)
{
    if (m->reloc_count == m->relocs_allocated) {
        size_t allocated = m->relocs_allocated != 0 ? 2 * m->relocs_allocated : 256;
        struct tc_reloc *relocs = reallocarray(m->relocs, allocated, sizeof *relocs);
        if (relocs == NULL || allocated > MAX_RELOCS) {
            m->relocs = relocs != NULL ? relocs : m->relocs;
            return -ENOMEM;
        }
        m->relocs = relocs;
        m->relocs_allocated = allocated;
    }
    m->relocs[m->reloc_count++] = *r;
    return 0;
}

static int read_rela(struct tc_map *m, uint64_t vaddr, uint64_t bytes)
{
    const unsigned char *at = tc_elf_at(m->im->elf, vaddr, bytes);
    int r = 0;

    for (uint64_t i = 0; at != NULL && r == 0 && i < bytes / sizeof(Elf64_Rela); i++) {
        Elf64_Rela rela;
        memcpy(&rela, at + i * sizeof rela, sizeof rela);
        struct tc_reloc reloc = {.at = rela.r_offset,
                                 .addend = (uint64_t)rela.r_addend,
                                 .symbol = (uint32_t)ELF64_R_SYM(rela.r_info),
                                 .raw = (uint8_t)ELF64_R_TYPE(rela.r_info)};
        reloc.kind = m->arch->relocation((uint32_t)ELF64_R_TYPE(rela.r_info), &reloc.bytes);
        if (ELF64_R_TYPE(rela.r_info) != 0)
            r = add_reloc(m, &reloc);
    }
    return r;
}

static uint64_t load64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int add_packed(struct tc_map *m, uint64_t vaddr)
{
    const unsigned char *at = tc_elf_at(m->im->elf, vaddr, 8);
    struct tc_reloc reloc = {.at = vaddr, .kind = TC_REL_BASE, .bytes = 8};

    if (at == NULL)
        return 0;
    reloc.addend = load64(at);
    return add_reloc(m, &reloc);
}

/* gABI, "Relative relocation table": an even word is a place; an odd one says which of the next 63
 * words are. The addend is what the place holds. */
static int read_relr(struct tc_map *m, uint64_t vaddr, uint64_t bytes)
{
    const unsigned char *at = tc_elf_at(m->im->elf, vaddr, bytes);
    uint64_t next = 0;
    int r = 0;

    for (uint64_t i = 0; at != NULL && r == 0 && i < bytes / 8; i++) {
        uint64_t word = load64(at + 8 * i);
        if (!(word & 1)) {
            r = add_packed(m, word);
            next = word + 8;
            continue;
        }
        for (unsigned bit = 1; r == 0 && bit < 64; bit++)
            if (word >> bit & 1)
                r = add_packed(m, next + 8ull * (bit - 1));
        next += 63 * 8;
    }
    return r;
}

static int by_place(const void *a, const void *b)
{
    const struct tc_reloc *x = a, *y = b;

    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1)
                              : (x->symbol > y->symbol) - (x->symbol < y->symbol);
}

static int read_relocs(struct tc_map *m)
{
    const struct tc_dynamic *d = &m->im->elf->dynamic;
    size_t kept = 0;
    int r = read_rela(m, d->rela, d->rela_bytes);

    if (r == 0)
        r = read_rela(m, d->jmprel, d->jmprel_bytes);
    if (r == 0)
        r = read_relr(m, d->relr, d->relr_bytes);
    if (r < 0)
        return r;
    if (m->reloc_count != 0)
        qsort(m->relocs, m->reloc_count, sizeof *m->relocs, by_place);
    for (size_t i = 0; i < m->reloc_count; i++)
        if (kept == 0 || by_place(&m->relocs[kept - 1], &m->relocs[i]) != 0)
            m->relocs[kept++] = m->relocs[i];
    m->reloc_count = kept;
    return 0;
}

size_t tc_map_reloc(const struct tc_map *m, uint64_t vaddr)
{
    size_t low = 0, high = m->reloc_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->relocs[middle].at < vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct tc_reloc *tc_map_reloc_at(const struct tc_map *m, uint64_t vaddr)
{
    size_t at = tc_map_reloc(m, vaddr);
    return at < m->reloc_count && m->relocs[at].at == vaddr ? &m->relocs[at] : NULL;
}

static const char *string_at(const struct tc_map *m, uint64_t offset)
{
    return tc_elf_string(m->strings, m->strings_bytes, offset, NULL);
}

static void note_version(struct tc_map *m, uint32_t index, const char *name, const char *library)
{
    index &= 0x7fff;
    if (index >= 2 && index < m->version_count && name != NULL)
        m->versions[index] = (struct tc_map_version){name, library};
}

/* LSB, "Symbol Versioning". */
static void read_needed_versions(struct tc_map *m)
{
    const struct tc_dynamic *d = &m->im->elf->dynamic;
    uint64_t at = d->verneed;

    for (uint64_t i = 0; i < d->verneed_count && i < MAX_VERSIONS && at != 0; i++) {
        const unsigned char *bytes = tc_elf_at(m->im->elf, at, sizeof(Elf64_Verneed));
        Elf64_Verneed need;
        if (bytes == NULL)
            return;
        memcpy(&need, bytes, sizeof need);
        uint64_t aux = at + need.vn_aux;
        for (unsigned k = 0; k < need.vn_cnt; k++) {
            const unsigned char *more = tc_elf_at(m->im->elf, aux, sizeof(Elf64_Vernaux));
            Elf64_Vernaux one;
            if (more == NULL)
                return;
            memcpy(&one, more, sizeof one);
            note_version(m, one.vna_other, string_at(m, one.vna_name), string_at(m, need.vn_file));
            if (one.vna_next == 0)
                break;
            aux += one.vna_next;
        }
        if (need.vn_next == 0)
            return;
        at += need.vn_next;
    }
}

static void read_defined_versions(struct tc_map *m)
{
    const struct tc_dynamic *d = &m->im->elf->dynamic;
    uint64_t at = d->verdef;

    for (uint64_t i = 0; i < d->verdef_count && i < MAX_VERSIONS && at != 0; i++) {
        const unsigned char *bytes = tc_elf_at(m->im->elf, at, sizeof(Elf64_Verdef)), *more;
        Elf64_Verdef def;
        Elf64_Verdaux aux;
        if (bytes == NULL)
            return;
        memcpy(&def, bytes, sizeof def);
        more = tc_elf_at(m->im->elf, at + def.vd_aux, sizeof aux);
        if (more == NULL)
            return;
        memcpy(&aux, more, sizeof aux);
        note_version(m, def.vd_ndx, string_at(m, aux.vda_name), NULL);
        if (def.vd_next == 0)
            return;
        at += def.vd_next;
    }
}

static int read_dynamic_symbols(struct tc_map *m)
{
    const struct tc_elf *e = m->im->elf;
    uint32_t flags = 0;
    uint64_t room = tc_elf_room(e, e->dynamic.symtab, &flags);

    if (!e->dynamic.found || e->dynamic.symtab == 0)
        return 0;
    /* How many there are, imports count, isn't said anywhere: each use is checked against the file.
     */
    m->symbol_count = room / sizeof(Elf64_Sym);
    m->symbols = tc_elf_at(e, e->dynamic.symtab, m->symbol_count * sizeof(Elf64_Sym));
    m->strings_bytes = e->dynamic.strtab_bytes;
    m->strings = tc_elf_at(e, e->dynamic.strtab, m->strings_bytes);
    if (m->symbols == NULL || m->strings == NULL)
        m->symbol_count = 0;
    m->versions = calloc(MAX_VERSIONS, sizeof *m->versions);
    if (m->versions == NULL)
        return -ENOMEM;
    m->version_count = MAX_VERSIONS;
    if (m->strings != NULL && e->dynamic.versym != 0) {
        read_needed_versions(m);
        read_defined_versions(m);
    }
    return 0;
}

int tc_map_symbol(const struct tc_map *m, uint32_t index, struct tc_dynamic_symbol *ret)
{
    const struct tc_elf *e = m->im->elf;
    const unsigned char *version = NULL;
    const char *name;
    Elf64_Sym sym;

    if (index == 0 || index >= m->symbol_count)
        return 0;
    memcpy(&sym, m->symbols + index * sizeof sym, sizeof sym);
    name = string_at(m, sym.st_name);
    if (name == NULL)
        return 0;
    *ret = (struct tc_dynamic_symbol){.name = name,
                                      .vaddr = sym.st_value,
                                      .bytes = sym.st_size,
                                      .defined = sym.st_shndx != SHN_UNDEF,
                                      .is_function = ELF64_ST_TYPE(sym.st_info) == STT_FUNC ||
                                                     ELF64_ST_TYPE(sym.st_info) == STT_GNU_IFUNC,
                                      .is_tls = ELF64_ST_TYPE(sym.st_info) == STT_TLS};
    if (e->dynamic.versym != 0)
        version = tc_elf_at(e, e->dynamic.versym + 2ull * index, 2);
    if (version != NULL) {
        size_t at = (size_t)(version[0] | version[1] << 8) & 0x7fff;
        if (at < m->version_count) {
            ret->version = m->versions[at].name;
            ret->library = m->versions[at].library;
        }
    }
    return 1;
}

static int by_datum(const void *a, const void *b)
{
    const struct tc_datum *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return x->symbol < y->symbol ? -1 : x->symbol > y->symbol;
}

static void finish_data(struct tc_datum *data, size_t count)
{
    uint64_t highest = 0;

    if (count != 0)
        qsort(data, count, sizeof *data, by_datum);
    for (size_t i = 0; i < count; i++) {
        highest = data[i].end > highest ? data[i].end : highest;
        data[i].highest_end = highest;
    }
}

static int read_data(struct tc_map *m)
{
    const struct tc_symbols *s = &m->im->symbols;

    m->data = calloc(s->count + 1, sizeof *m->data);
    m->tls = calloc(s->count + 1, sizeof *m->tls);
    if (m->data == NULL || m->tls == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[i];
        struct tc_datum d = {
            .begin = symbol->vaddr, .end = symbol->vaddr + symbol->bytes, .symbol = (uint32_t)i};
        const struct tc_region *r;
        /* The C library's own mark at the start of programs' data: no code refers to it. */
        if (symbol->bytes == 0 || d.end < d.begin ||
            tc_symbol_is(symbol, "_IO_stdin_used", strlen("_IO_stdin_used")))
            continue;
        if (symbol->type == STT_TLS) {
            m->tls[m->tls_count++] = d;
            continue;
        }
        r = symbol->type == STT_OBJECT || symbol->type == STT_NOTYPE || symbol->type == STT_COMMON
                ? tc_map_region(m, d.begin)
                : NULL;
        if (r == NULL || d.end > r->end)
            continue;
        m->data[m->data_count++] = d;
    }
    finish_data(m->data, m->data_count);
    finish_data(m->tls, m->tls_count);
    return 0;
}

/* How many begin at or before `vaddr`. */
static size_t begun(const struct tc_datum *data, size_t count, uint64_t vaddr)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (data[middle].begin <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The largest in [.., at) that reaches `vaddr`, or with `beyond` a byte less. */
static const struct tc_datum *reaching(const struct tc_datum *data, size_t at, uint64_t vaddr,
                                       int ends)
{
    const struct tc_datum *best = NULL;

    for (; at > 0 && data[at - 1].highest_end >= vaddr; at--) {
        const struct tc_datum *d = &data[at - 1];
        int fits = ends ? d->end == vaddr : d->end > vaddr;
        if (fits && (best == NULL || d->end - d->begin >= best->end - best->begin))
            best = d;
    }
    return best;
}

const struct tc_datum *tc_map_datum(const struct tc_map *m, uint64_t vaddr)
{
    return reaching(m->data, begun(m->data, m->data_count, vaddr), vaddr, 0);
}

const struct tc_datum *tc_map_datum_before(const struct tc_map *m, uint64_t vaddr)
{
    return reaching(m->data, begun(m->data, m->data_count, vaddr), vaddr, 1);
}

const struct tc_datum *tc_map_datum_from(const struct tc_map *m, uint64_t vaddr)
{
    size_t at = vaddr != 0 ? begun(m->data, m->data_count, vaddr - 1) : 0;
    return at < m->data_count ? &m->data[at] : NULL;
}

const struct tc_datum *tc_map_tls(const struct tc_map *m, uint64_t offset)
{
    return reaching(m->tls, begun(m->tls, m->tls_count, offset), offset, 0);
}

struct tc_hash128 tc_map_file(struct tc_map *m)
{
    if (!m->has_file)
        m->file = tc_hash128(m->im->elf->data, m->im->elf->bytes, 0);
    m->has_file = 1;
    return m->file;
}

int tc_map_open(const struct tc_image *im, struct tc_map *ret)
{
    struct tc_map m = {.im = im, .arch = tc_arch_for(im->elf->machine), .memo_bytes = MEMO_BYTES};
    int r = m.arch != NULL ? 0 : -ENOTSUP;

    m.absolute = im->elf->type == ET_EXEC;
    if (r == 0)
        r = read_regions(&m);
    if (r == 0)
        r = read_relocs(&m);
    if (r == 0)
        r = read_dynamic_symbols(&m);
    if (r == 0)
        r = read_data(&m);
    if (r == 0)
        m.names_hold = tc_map_names_hold(im);
    if (r < 0)
        tc_map_close(&m);
    else
        *ret = m;
    return r;
}

void tc_map_close(struct tc_map *m)
{
    free(m->relocs);
    free(m->regions);
    free(m->data);
    free(m->tls);
    free(m->taken);
    free(m->versions);
    tc_memo_free(m->memo[0]);
    tc_memo_free(m->memo[1]);
    *m = (struct tc_map){0};
}
