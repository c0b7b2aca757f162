/* The source hash: contents of data, with what they point at. */
#include <errno.h>
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_OFFSETS 65536u

static uint64_t load(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static void number(struct tc_source_work *w, uint64_t n)
{
    tc_work_mark(w, TC_MARK_NUMBER);
    tc_work_number(w, n);
}

/* At a fixed address, a word that falls into the image, or on the end of something, may be an
 * address. */
static int may_be_address(const struct tc_source_work *w, uint64_t word)
{
    if (word < w->m->regions[0].begin || word > w->m->regions[w->m->region_count - 1].end)
        return 0;
    return tc_map_region(w->m, word) != NULL ||
           (word != 0 && tc_map_region(w->m, word - 1) != NULL &&
            tc_map_datum_before(w->m, word) != NULL);
}

/* Where it isn't aligned, as in packed structs, most words that could be are halves of numbers: it
 * must be the start of a datum. */
static int may_be_packed_address(const struct tc_source_work *w, uint64_t word)
{
    const struct tc_datum *d = tc_map_datum(w->m, word);
    const struct tc_region *r = tc_map_region(w->m, word);
    const unsigned char *before = tc_elf_at(w->m->im->elf, word - 1, 2);

    return (d != NULL && d->begin == word) || (r != NULL && !(r->flags & TC_REGION_CODE) &&
                                               before != NULL && before[0] == 0 && before[1] != 0);
}

/* Bytes without relocations. At a fixed address, words that fall into the image may be addresses;
 * as they may be numbers, too, what isn't a name counts by its value where its contents say
 * nothing. One that isn't aligned (of a packed struct) counts as bytes, too. */
static void plain(struct tc_source_work *w, const unsigned char *at, uint64_t begin, uint64_t end)
{
    uint64_t from = begin, step = 1;

    if (!w->m->absolute || w->m->region_count == 0) {
        tc_work_bytes(w, at, end - begin);
        return;
    }
    for (uint64_t v = begin; v + 8 <= end; v += step) {
        uint64_t word = load(at + (v - begin), 8);
        step = 1;
        if (!may_be_address(w, word) || (v % 8 != 0 && !may_be_packed_address(w, word)))
            continue;
        if (v % 8 == 0) {
            tc_work_bytes(w, at + (from - begin), v - from);
            from = v + 8;
            step = 8;
        }
        number(w, v - begin);
        tc_work_address(w, word, TC_BY_VALUE, 0);
        if (w->r < 0)
            return;
    }
    tc_work_bytes(w, at + (from - begin), end - from);
}

static void stretch(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    const unsigned char *at;
    uint32_t flags;

    if (begin >= end)
        return;
    at = tc_elf_at(w->m->im->elf, begin, end - begin);
    if (at != NULL) {
        plain(w, at, begin, end);
        return;
    }
    /* Memory that starts as zeros, or a file that ends before its segment. */
    number(w, end - begin);
    at = tc_elf_at(w->m->im->elf, begin, tc_elf_room(w->m->im->elf, begin, &flags));
    if (at != NULL)
        tc_work_bytes(w, at, tc_elf_room(w->m->im->elf, begin, &flags));
}

void tc_work_contents(struct tc_source_work *w, uint64_t begin, uint64_t end)
{
    size_t at = tc_map_reloc(w->m, begin >= 16 ? begin - 16 : 0);
    uint64_t from = begin;

    number(w, end - begin);
    for (; at < w->m->reloc_count && w->m->relocs[at].at < end && w->r == 0; at++) {
        struct tc_reloc r = w->m->relocs[at];
        if (r.at + r.bytes <= begin)
            continue;
        if (r.at > from)
            stretch(w, from, r.at);
        number(w, r.at - begin);
        tc_work_reloc(w, &r);
        if (r.at + r.bytes > from)
            from = r.at + r.bytes;
    }
    stretch(w, from, end);
}

/* From `from` to the end of its region; the same place is one at the same distance from the end. */
static void rest(struct tc_source_work *w, uint64_t from, uint64_t vaddr, const char *why)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr);

    if (r == NULL) {
        tc_work_give_up(w, why);
        return;
    }
    if (!tc_work_extend(w, from, vaddr, why))
        return;
    tc_work_mark(w, TC_MARK_REST);
    tc_work_number(w, r->end - vaddr);
}

void tc_work_rest(struct tc_source_work *w, uint64_t vaddr, const char *why)
{
    rest(w, vaddr, vaddr, why);
}

/* What is meant may lie in front of the address, too, in the end in the section before. */
void tc_work_region(struct tc_source_work *w, uint64_t vaddr, const char *why)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr), *before = NULL;

    for (uint64_t back = 1; back <= TC_NEAR_BYTES && back < vaddr && before == NULL; back++) {
        before = tc_map_region(w->m, vaddr - back);
        before = before == r ? NULL : before;
    }
    if (r == NULL || (r->flags & TC_REGION_CODE) ||
        (before != NULL && (before->flags & (TC_REGION_CODE | TC_REGION_WRITABLE)))) {
        tc_work_give_up(w, why);
        return;
    }
    rest(w, r->begin, vaddr, why);
    if (before != NULL)
        rest(w, before->begin, before->begin, why);
}

/* Wide strings, and tables of numbers, have a NUL in the middle: there a place that was taken
 * behind one ends nothing. They are aligned, and not UTF-8 or short as bytes. */
static int may_be_wide(const unsigned char *at, uint64_t vaddr, uint64_t bytes, uint64_t first)
{
    if (vaddr % 2 != 0)
        return 0;
    /* Characters of 4 bytes end at 0x10ffff. */
    if (first == 1 || (vaddr % 4 == 0 && first <= 3 && bytes > 3 && at[3] == 0 && at[2] <= 0x10))
        return 1;
    for (uint64_t i = 0; i < first; i++) {
        unsigned more = at[i] < 0x80 ? 0 : at[i] >> 5 == 6 ? 1 : at[i] >> 4 == 14 ? 2 : 3;
        if (more == 3 && at[i] >> 3 != 30)
            return 1;
        for (; more > 0; more--)
            if (++i >= first || at[i] >> 6 != 2)
                return 1;
    }
    return 0;
}

/* Rule 5: the compiler's own, between what has names. */
void tc_work_text_at(struct tc_source_work *w, uint64_t vaddr, int is_text)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr);
    const struct tc_datum *next = tc_map_datum_from(w->m, vaddr + 1);
    const unsigned char *at;
    uint64_t end = r->end, first = 0, limit;

    if (next != NULL && next->begin < end)
        end = next->begin;
    limit = end;
    at = tc_elf_at(w->m->im->elf, vaddr, end - vaddr);
    if (at == NULL) {
        tc_work_rest(w, vaddr, "not all of it is in the file");
        return;
    }
    first = strnlen((const char *)at, end - vaddr);
    if (is_text && first < end - vaddr && !may_be_wide(at, vaddr, end - vaddr, first)) {
        int error = tc_map_text_end(w->m, vaddr, &end);
        if (error < 0) {
            w->r = error;
            return;
        }
        /* A string that ends with another one isn't cut where that begins. */
        if (end < vaddr + first + 1)
            end = vaddr + first + 1;
        if (end > limit)
            end = limit;
        while (end > vaddr + first + 1 && at[end - 1 - vaddr] == 0)
            end--;
    } else {
        while (end - vaddr > 8 && load(at + (end - vaddr - 8), 8) == 0)
            end -= 8;
    }
    tc_work_mark(w, TC_MARK_TEXT);
    tc_work_ref(w, tc_work_item(w, TC_ITEM_DATA, vaddr, end), 0, NULL, "%.40s",
                is_text ? (const char *)at : "a constant");
}

/* Rule 3: a table of 32-bit offsets from itself. `also_bytes`: it isn't sure that it is one. */
void tc_work_offsets(struct tc_source_work *w, uint64_t table, int also_bytes)
{
    const struct tc_region *r = tc_map_region(w->m, table);
    const struct tc_datum *d = tc_map_datum(w->m, table),
                          *next = tc_map_datum_from(w->m, table + 1);
    uint64_t end = r != NULL ? r->end : table, count = 0;
    int sure_end = 1; /* a real table without a size ends before the first that leads nowhere */

    if (r == NULL || (r->flags & (TC_REGION_WRITABLE | TC_REGION_EMPTY)))
        return;
    if (d != NULL && d->end < end)
        end = d->end;
    if (d == NULL && next != NULL && next->begin < end)
        end = next->begin;
    if (!also_bytes && d == NULL && tc_work_knows_data(w)) {
        sure_end = 0;
    } else if (!also_bytes && (d == NULL || d->begin != table || (d->end - table) % 4 != 0)) {
        also_bytes = 1;
        tc_work_address(w, table, TC_BY_BASE, 0);
    }
    tc_work_mark(w, TC_MARK_OFFSETS);
    for (; table + 4 * count + 4 <= end && w->r == 0; count++) {
        const unsigned char *at = tc_elf_at(w->m->im->elf, table + 4 * count, 4);
        uint64_t target = at != NULL ? table + (uint64_t)(int64_t)(int32_t)load(at, 4) : 0;
        int known = at != NULL && tc_map_region(w->m, target) != NULL;
        if (!known && (also_bytes || !sure_end))
            break;
        if (count == MAX_OFFSETS || at == NULL) {
            tc_work_give_up(w, "a very long table");
            break;
        }
        if (!known)
            number(w, load(at, 4)); /* what it leads to isn't in the file: as it is */
        else if (!also_bytes || target - table >= end - table) /* not into itself */
            tc_work_address(w, target, TC_BY_VALUE, 0);
    }
    number(w, count);
}
