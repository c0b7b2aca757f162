/*
 * The source hash: addresses from which others are computed. Compilers put them in front of what is
 * meant (tab-4 for tab[i-1]) or behind it (tab+36 for tab[9-i]), so that by the place alone it
 * would be another datum.
 */
#include <elf.h>

#include "service/resolve/source_work.h"

static void other(struct tc_source_work *w, const struct tc_region *r, const struct tc_datum *d)
{
    if (d->begin >= r->begin && d->begin < r->end)
        tc_work_address(w, d->begin, TC_BY_VALUE, 0);
}

void tc_work_near(struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr)
{
    const struct tc_map *m = w->m;
    const struct tc_datum *next = tc_map_datum_from(m, vaddr + 1);
    const struct tc_datum *before = next != NULL ? next : m->data + m->data_count;

    for (; next != NULL && next < m->data + m->data_count && next->begin < vaddr + TC_NEAR_BYTES;
         next++)
        other(w, r, next);
    if (w->items[w->at].item.kind != TC_ITEM_CODE || !w->items[w->at].code.has_downward)
        return;
    for (; before > m->data && before[-1].highest_end + TC_NEAR_BYTES > vaddr; before--)
        if (before[-1].begin < vaddr && before[-1].end < vaddr &&
            before[-1].end + TC_NEAR_BYTES > vaddr)
            other(w, r, &before[-1]);
}

void tc_work_reach(struct tc_source_work *w, uint64_t vaddr, const struct tc_reach *reach)
{
    const struct tc_region *r = tc_map_region(w->m, vaddr);
    const struct tc_datum *d = tc_map_datum(w->m, vaddr);
    uint64_t lowest = vaddr + (uint64_t)reach->lowest, highest = vaddr + (uint64_t)reach->highest;

    if (d == NULL || r == NULL || (lowest >= d->begin && highest < d->end))
        return;
    if (r->flags & TC_REGION_WRITABLE)
        tc_work_give_up(w, "memory beyond a datum is reached through its address");
    else
        tc_work_region(w, vaddr, "memory beyond a datum is reached through its address");
}

/* A symbol without a size at the beginning of something with a size is the mark of a list. */
static int is_mark(const struct tc_map *m, uint64_t vaddr)
{
    const struct tc_symbols *s = &m->im->symbols;

    for (size_t i = tc_symbols_at(s, vaddr); i < s->count; i++) {
        const struct tc_symbol *one = &s->all[s->by_vaddr[i]];
        if (one->vaddr != vaddr)
            return 0;
        if (one->bytes == 0 && (one->type == STT_NOTYPE || one->type == STT_OBJECT))
            return 1;
    }
    return 0;
}

int tc_work_is_listed(const struct tc_source_work *w, const struct tc_region *r, uint64_t vaddr)
{
    return (r->flags & TC_REGION_LISTED) ||
           (!(r->flags & TC_REGION_WRITABLE) && is_mark(w->m, vaddr) &&
            tc_map_datum(w->m, vaddr) != NULL);
}
