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

static int add_taken(struct tc_map *m, uint64_t vaddr)
{
    const struct tc_region *r = tc_map_region(m, vaddr);

    if (r == NULL || (r->flags & (TC_REGION_CODE | TC_REGION_WRITABLE | TC_REGION_EMPTY)))
        return 0;
    if (m->taken_count == m->taken_allocated) {
        size_t allocated = m->taken_allocated != 0 ? 2 * m->taken_allocated : 1024;
        uint64_t *taken = reallocarray(m->taken, allocated, sizeof *taken);
        if (taken == NULL || allocated > MAX_TAKEN) {
            m->taken = taken != NULL ? taken : m->taken;
            return -ENOMEM;
        }
        m->taken = taken;
        m->taken_allocated = allocated;
    }
    m->taken[m->taken_count++] = vaddr;
    return 0;
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
        for (size_t at = 0; code.at != NULL && r == 0 && at < code.bytes;) {
            size_t bytes;
            uint64_t taken = m->arch->taken(&code, at, m->absolute, &bytes);
            if (taken != 0)
                r = add_taken(m, taken);
            at += bytes;
        }
    }
    return r;
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
            r = add_taken(m, word_at(at + k));
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
            r = add_taken(m, d->begin + (uint64_t)(int64_t)offset);
        }
    }
    return r;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int read_taken(struct tc_map *m)
{
    int r = add_taken(m, 0);

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
            r = add_taken(m, m->relocs[i].addend);
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
        if (m->taken[middle] <= vaddr)
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

    if (r == 0)
        *ret = at < m->taken_count ? m->taken[at] : UINT64_MAX;
    return r;
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
    for (; low < m->taken_count && m->taken[low] < end; low++) {
        const unsigned char *before = tc_elf_at(m->im->elf, m->taken[low] - 1, 1);
        if (before != NULL && *before == 0)
            end = m->taken[low]; /* and the loop ends */
    }
    *ret = end;
    return 0;
}
