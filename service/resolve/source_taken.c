/* Addresses that code, words and relocations hold: where things begin that have no symbol. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/source_map.h"

#define MAX_TAKEN (1u << 24)

static uint64_t word_at(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int add_taken(struct tc_map *m, uint64_t vaddr, uint64_t by)
{
    const struct tc_region *r = tc_map_region(m, vaddr);

    if (r == NULL || (r->flags & (TC_REGION_CODE | TC_REGION_WRITABLE | TC_REGION_EMPTY)))
        return 0;
    if (m->taken_count == m->taken_allocated) {
        size_t allocated = m->taken_allocated != 0 ? 2 * m->taken_allocated : 1024;
        struct tc_taken *taken = reallocarray(m->taken, allocated, sizeof *taken);
        if (taken == NULL || allocated > MAX_TAKEN) {
            m->taken = taken != NULL ? taken : m->taken;
            return -ENOMEM;
        }
        m->taken = taken;
        m->taken_allocated = allocated;
    }
    m->taken[m->taken_count++] = (struct tc_taken){vaddr, by};
    return 0;
}

/* Where fields of 32 bits hold addresses, all code is decoded. */
static int read_all_code(struct tc_map *m, const struct tc_code *code)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < code->bytes;) {
        size_t bytes;
        uint64_t taken = m->arch->taken(code, at, 1, &bytes);
        if (taken != 0)
            r = add_taken(m, taken, 0);
        at += bytes;
    }
    return r;
}

/* Else what reads as such an instruction is noted. Whether it is one is looked at when it matters:
 * of most it never does, and decoding takes a hundred times as long. */
static int scan_code(struct tc_map *m, const struct tc_code *code)
{
    size_t at = 0;
    uint64_t taken;
    int r = 0;

    while (r == 0 && (taken = m->arch->maybe_taken(code, &at)) != 0)
        r = add_taken(m, taken, code->vaddr + at);
    return r;
}

static int read_taken_by_code(struct tc_map *m)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->region_count; i++) {
        const struct tc_region *region = &m->regions[i];
        struct tc_code code = {.vaddr = region->begin, .bytes = region->end - region->begin};
        if (!(region->flags & TC_REGION_CODE) || (region->flags & TC_REGION_EMPTY))
            continue;
        code.at = tc_elf_at(m->im->elf, code.vaddr, code.bytes);
        if (code.at != NULL)
            r = m->absolute ? read_all_code(m, &code) : scan_code(m, &code);
    }
    return r;
}

/* From the start of the function around it. What lies in no function that is known, takes nothing:
 * then more enters a digest, not less. */
static int is_taken(struct tc_map *m, struct tc_taken *t)
{
    const struct tc_range *around;
    struct tc_code code;
    size_t at = 0, bytes = 0;
    uint64_t taken = 0, end;

    if (t->by == 0 || t->by == TC_TAKEN_NOT)
        return t->by == 0;
    end = t->by;
    t->by = TC_TAKEN_NOT;
    around = tc_bounds_around(&m->im->bounds, end - 1);
    if (around == NULL)
        return 0;
    code = (struct tc_code){.at = tc_elf_at(m->im->elf, around->begin, end - around->begin),
                            .bytes = end - around->begin,
                            .vaddr = around->begin};
    for (; code.at != NULL && at < code.bytes; at += bytes)
        taken = m->arch->taken(&code, at, 0, &bytes);
    if (at == code.bytes && taken == t->vaddr)
        t->by = 0;
    return t->by == 0;
}

/* Without relocations, aligned words in data are addresses if they can be. */
static int read_taken_by_words(struct tc_map *m)
{
    int r = 0;

    for (size_t i = 0; m->absolute && r == 0 && i < m->region_count; i++) {
        const struct tc_region *region = &m->regions[i];
        uint64_t begin = (region->begin + 7) & ~7ull;
        const unsigned char *at = tc_elf_at(m->im->elf, begin, region->end - begin);
        if ((region->flags & (TC_REGION_CODE | TC_REGION_EMPTY)) || begin >= region->end)
            continue;
        for (uint64_t k = 0; at != NULL && r == 0 && k + 8 <= region->end - begin; k += 8)
            r = add_taken(m, word_at(at + k), 0);
    }
    return r;
}

/* LLVM's own tables of offsets, which have names. */
static int read_taken_by_offsets(struct tc_map *m)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->data_count; i++) {
        const struct tc_datum *d = &m->data[i];
        const unsigned char *at = tc_elf_at(m->im->elf, d->begin, d->end - d->begin);
        if (at == NULL || strncmp(m->im->symbols.all[d->symbol].name, "reltable.", 9) != 0)
            continue;
        for (uint64_t k = 0; r == 0 && k + 4 <= d->end - d->begin; k += 4) {
            int32_t offset;
            memcpy(&offset, at + k, sizeof offset);
            r = add_taken(m, d->begin + (uint64_t)(int64_t)offset, 0);
        }
    }
    return r;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = ((const struct tc_taken *)a)->vaddr, y = ((const struct tc_taken *)b)->vaddr;
    return x < y ? -1 : x > y;
}

static int read_taken(struct tc_map *m)
{
    int r = add_taken(m, 0, 0);

    m->taken = m->taken != NULL ? m->taken : calloc(1, sizeof *m->taken);
    if (m->taken == NULL)
        return -ENOMEM;
    if (m->taken_allocated == 0)
        m->taken_allocated = 1;
    if (r == 0)
        r = read_taken_by_code(m);
    if (r == 0)
        r = read_taken_by_words(m);
    if (r == 0)
        r = read_taken_by_offsets(m);
    for (size_t i = 0; r == 0 && i < m->reloc_count; i++)
        if (m->relocs[i].kind == TC_REL_BASE)
            r = add_taken(m, m->relocs[i].addend, 0);
    if (m->taken_count != 0)
        qsort(m->taken, m->taken_count, sizeof *m->taken, by_value);
    return r;
}

/* Where in `taken` the addresses behind `vaddr` begin. */
static int taken_after(struct tc_map *m, uint64_t vaddr, size_t *ret)
{
    size_t low = 0, high;
    int r = m->taken == NULL ? read_taken(m) : 0;

    for (high = m->taken_count; r == 0 && low < high;) {
        size_t middle = low + (high - low) / 2;
        if (m->taken[middle].vaddr <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return r;
}

int tc_map_taken_after(struct tc_map *m, uint64_t vaddr, uint64_t *ret)
{
    size_t at;
    int r = taken_after(m, vaddr, &at);

    if (r < 0)
        return r;
    while (at < m->taken_count && !is_taken(m, &m->taken[at]))
        at++;
    *ret = at < m->taken_count ? m->taken[at].vaddr : UINT64_MAX;
    return 0;
}

/* A string begins where something was taken and the one before it has ended: a place in the middle
 * of a string, which another function takes, ends none. */
int tc_map_text_end(struct tc_map *m, uint64_t vaddr, uint64_t *ret)
{
    const struct tc_region *region = tc_map_region(m, vaddr);
    const struct tc_datum *next = tc_map_datum_from(m, vaddr + 1);
    uint64_t end = region != NULL ? region->end : vaddr;
    size_t low;
    int r = taken_after(m, vaddr, &low);

    if (r < 0)
        return r;
    if (next != NULL && next->begin < end)
        end = next->begin;
    for (; low < m->taken_count && m->taken[low].vaddr < end; low++) {
        const unsigned char *before = tc_elf_at(m->im->elf, m->taken[low].vaddr - 1, 1);
        if (before != NULL && *before == 0 && is_taken(m, &m->taken[low]))
            end = m->taken[low].vaddr; /* and the loop ends */
    }
    *ret = end;
    return 0;
}
