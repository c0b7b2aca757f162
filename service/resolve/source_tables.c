/* Rule 2: tables of a switch, whose entries are places in the function that jumps through them. */
#include <string.h>

#include "service/resolve/source_work.h"

#define MAX_ENTRIES 65536u
#define LOOK_AHEAD  16u

struct table {
    uint64_t at, end;
    unsigned entry_bytes;
    const struct tc_listing *code;
    uint64_t vaddr, bytes; /* of the function */
};

static int jumps_by_register(const struct tc_listing *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (l->insns[i].flow == TC_FLOW_JUMP_FAR_OFF)
            return 1;
    return 0;
}

/* Where an entry leads. 0: there is none. */
static uint64_t target_of(const struct tc_source_work *w, const struct table *t, uint64_t i)
{
    uint64_t place = t->at + i * t->entry_bytes;
    const unsigned char *at =
        place + t->entry_bytes <= t->end ? tc_elf_at(w->m->im->elf, place, t->entry_bytes) : NULL;
    uint64_t word = 0;
    int32_t offset;

    if (at == NULL)
        return 0;
    if (t->entry_bytes == 8) {
        memcpy(&word, at, 8);
        return word;
    }
    memcpy(&offset, at, 4);
    return t->at + (uint64_t)(int64_t)offset;
}

static int is_own(const struct table *t, uint64_t target)
{
    return target - t->vaddr < t->bytes && t->code->number[target - t->vaddr] != TC_NO_NUMBER;
}

/* A part that was split off, to which this function also jumps. */
static int is_part(const struct tc_source_work *w, const struct table *t, uint64_t target)
{
    struct tc_piece range;
    const struct tc_region *r = tc_map_region(w->m, target);

    if (r == NULL || !(r->flags & TC_REGION_CODE) || !tc_map_code_range(w->m, target, &range))
        return 0;
    for (uint32_t i = 0; i < t->code->count; i++) {
        const struct tc_instruction *n = &t->code->insns[i];
        if ((n->flow == TC_FLOW_BRANCH || n->flow == TC_FLOW_JUMP) &&
            n->target - range.vaddr < range.bytes)
            return 1;
    }
    return 0;
}

int tc_work_branch_table(struct tc_source_work *w, uint64_t table, unsigned entry_bytes)
{
    const struct tc_work_item *item = &w->items[w->at];
    const struct tc_region *r = tc_map_region(w->m, table);
    const struct tc_datum *next = tc_map_datum_from(w->m, table + 1);
    struct table t = {.at = table,
                      .entry_bytes = entry_bytes,
                      .code = &item->code,
                      .vaddr = item->item.begin,
                      .bytes = item->code.bytes};
    uint64_t taken, count = 0;

    if (r == NULL || (r->flags & (TC_REGION_WRITABLE | TC_REGION_EMPTY)) || table % 4 != 0 ||
        tc_map_datum(w->m, table) != NULL || (entry_bytes == 8 && !w->m->absolute) ||
        !jumps_by_register(t.code))
        return 0;
    t.end = r->end;
    if (next != NULL && next->begin < t.end)
        t.end = next->begin;
    if (!is_own(&t, target_of(w, &t, 0)))
        return 0;
    w->r = tc_map_taken_after(w->m, table, &taken);
    if (w->r < 0)
        return 1;
    if (taken < t.end)
        t.end = taken;
    tc_work_mark(w, TC_MARK_BRANCHES);
    for (; count < MAX_ENTRIES; count++) {
        uint64_t target = target_of(w, &t, count);
        if (target == 0 || (!is_own(&t, target) && !is_part(w, &t, target)))
            break;
        tc_work_code_ref(w, target);
        /* Items may have moved. */
        t.code = &w->items[w->at].code;
    }
    tc_work_number(w, count);
    /* Another entry behind one that isn't: this was read wrongly. */
    for (uint64_t i = count + 1; i < count + LOOK_AHEAD; i++)
        if (is_own(&t, target_of(w, &t, i))) {
            tc_work_give_up(w, "a table of branches that can't be read");
            break;
        }
    return 1;
}
