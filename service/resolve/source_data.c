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

/* Bytes without relocations. At a fixed address, aligned words that fall into the image may be
 * addresses; as they may be numbers, too, what isn't a name counts by its value where its contents
 * say nothing. */
static void plain(struct tc_source_work *w, const unsigned char *at, uint64_t begin, uint64_t end)
{
    uint64_t from = begin;

    for (uint64_t v = (begin + 7) & ~7ull; w->m->absolute && v + 8 <= end; v += 8) {
        uint64_t word = load(at + (v - begin), 8);
        const struct tc_region *r = tc_map_region(w->m, word);
        if (r == NULL && (word == 0 || tc_map_region(w->m, word - 1) == NULL ||
                          tc_map_datum_before(w->m, word) == NULL))
            continue;
        tc_work_bytes(w, at + (from - begin), v - from);
        number(w, v - begin);
        tc_work_address(w, word, TC_BY_VALUE, 0);
        if (w->r < 0)
            return;
        from = v + 8;
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

/* From an address to the end of its region: what lies at the same distance from the end. */
void tc_work_rest(struct tc_source_work *w, uint64_t vaddr, const char *why)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr);
    struct tc_work_item *item = NULL;
    uint32_t index = 0;

    if (r == NULL) {
        tc_work_give_up(w, why);
        return;
    }
    for (size_t i = 0; i < w->count && item == NULL; i++)
        if (w->items[i].item.kind == TC_ITEM_REST && w->items[i].item.end == r->end) {
            item = &w->items[i];
            index = (uint32_t)i;
        }
    if (item == NULL) {
        index = tc_work_item(w, TC_ITEM_REST, vaddr, r->end);
        if (index == TC_NO_ITEM)
            return;
        item = &w->items[index];
        item->done = r->end;
    }
    if (vaddr < item->item.begin)
        item->item.begin = vaddr;
    tc_work_check_crowd(w, vaddr, r->end);
    item->item.coarse = 1;
    tc_work_mark(w, TC_MARK_REST);
    tc_work_number(w, r->end - vaddr);
    tc_work_ref(w, index, r->end - vaddr, why, "all from 0x%llx to the end of its section",
                (unsigned long long)vaddr);
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
    if (is_text && first < end - vaddr) {
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
        tc_work_address(w, table, TC_BY_ANY_BASE, 0);
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
