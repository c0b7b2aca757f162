/*
 * What becomes of an address in a register. Compilers compute with addresses that lie outside of
 * what is meant (gcc -O2 makes tab-4 for tab[i-1], also in position-independent code), but such a
 * one is never passed, stored or returned. So an address that is only handled as a value means
 * what it says.
 */
#include <stdlib.h>

#include "service/resolve/source_work.h"

#define MAX_STEPS 4000u
#define NEAR      16u /* instructions between the load of an offset and its use */

struct flow {
    const struct tc_map *m;
    const struct tc_listing *code;
    uint64_t vaddr;
    uint32_t *seen; /* an instruction's registers that were looked at */
    uint32_t *todo;
    uint32_t *live; /* beside `todo` */
    size_t count, allocated;
    uint32_t entries; /* registers that were loaded from what may be a table of offsets */
    uint32_t entry_at[32];
    unsigned fate;
    struct tc_reach reach;
};

static void visit(struct flow *f, uint32_t at, uint32_t live)
{
    if (at >= f->code->count || (live & ~f->seen[at]) == 0)
        return;
    if (f->count == f->allocated) {
        f->fate |= TC_FATE_UNKNOWN;
        return;
    }
    live |= f->seen[at];
    f->seen[at] = live;
    f->todo[f->count] = at;
    f->live[f->count++] = live;
}

static uint32_t bit(unsigned reg)
{
    return reg < 32 ? 1u << reg : 0;
}

static int is_fresh(const struct flow *f, uint32_t entries, uint32_t at)
{
    for (unsigned i = 0; i < 32; i++)
        if ((entries >> i & 1) && at > f->entry_at[i] && at - f->entry_at[i] <= NEAR)
            return 1;
    return 0;
}

/* Registers that hold the address after the instruction; notes what it did with them. */
static uint32_t use(struct flow *f, const struct tc_instruction *n, uint32_t at, uint32_t live)
{
    uint32_t after = live & ~n->writes, entries = f->entries;

    f->entries &= ~n->writes;
    if (n->use == TC_USE_ENTRY && (bit(n->base) & live) && n->dest < 32) {
        f->fate |= TC_FATE_ENTRIES;
        f->entries |= bit(n->dest);
        f->entry_at[n->dest] = at;
        /* An index that is an address, or was one, is something else. */
        f->fate |= (n->through & live & ~bit(n->base)) ? TC_FATE_THROUGH : 0;
        return after;
    }
    if (n->through & live) {
        if (n->disp < f->reach.lowest)
            f->reach.lowest = n->disp;
        if (n->disp > f->reach.highest)
            f->reach.highest = n->disp;
        f->reach.stores |= (n->stores & live) != 0;
        f->fate |= TC_FATE_THROUGH | (n->backward ? TC_FATE_BACKWARD : 0);
        return after;
    }
    if (!(n->reads & live))
        return after;
    switch (n->use) {
    case TC_USE_COPY:
    case TC_USE_SELECT:
        return after | bit(n->dest);
    case TC_USE_COMPARE:
        f->fate |= TC_FATE_COMPARED;
        return after;
    case TC_USE_STORE:
        f->fate |= TC_FATE_VALUE;
        return after;
    case TC_USE_ADD:
        if (is_fresh(f, n->reads & entries & ~live, at)) {
            f->fate |= TC_FATE_OFFSETS;
            return live & ~bit(n->dest);
        }
        f->fate |= TC_FATE_COUNTED;
        return after;
    default:
        f->fate |= TC_FATE_COUNTED;
        return after;
    }
}

static int is_inside(const struct flow *f, uint64_t target)
{
    return target - f->vaddr < f->code->bytes;
}

/* Control leaves the function with the address in a register. */
static void leave(struct flow *f, uint64_t target, uint32_t live)
{
    char name[512];

    if ((live & ~f->m->arch->call_registers.arguments) != 0 ||
        (tc_map_stub(f->m, target) == NULL &&
         !tc_map_function_name(f->m, target, name, sizeof name)))
        f->fate |= TC_FATE_UNKNOWN; /* a part of this function, perhaps */
    else
        f->fate |= TC_FATE_VALUE;
}

static void follow(struct flow *f, const struct tc_instruction *n, uint32_t at, uint32_t live)
{
    const struct tc_call_registers *r = &f->m->arch->call_registers;
    uint64_t offset = n->target - f->vaddr;

    switch (n->flow) {
    case TC_FLOW_BRANCH:
    case TC_FLOW_JUMP:
        if (is_inside(f, n->target))
            visit(f, f->code->number[offset], live);
        else
            leave(f, n->target, live);
        if (n->flow == TC_FLOW_BRANCH)
            visit(f, at + 1, live);
        return;
    case TC_FLOW_CALL:
    case TC_FLOW_CALL_FAR_OFF:
        /* Local callees may leave more registers alone than the rules say: none is forgotten but
         * the result. */
        f->fate |= (live & r->arguments) ? TC_FATE_VALUE : 0;
        visit(f, at + 1, live & ~r->overwritten);
        return;
    case TC_FLOW_RETURN:
        f->fate |= (live & r->results) ? TC_FATE_VALUE : 0;
        return;
    case TC_FLOW_JUMP_FAR_OFF:
        if (n->through & live)
            f->fate |= TC_FATE_JUMPED | ((live & r->arguments) ? TC_FATE_VALUE : 0);
        else if (n->field_count != 0 && n->through == 0 && (live & ~r->arguments) == 0)
            f->fate |= TC_FATE_VALUE;
        else
            f->fate |= TC_FATE_UNKNOWN;
        return;
    case TC_FLOW_STOP:
        return;
    default:
        visit(f, at + 1, live);
        return;
    }
}

unsigned tc_flow_fate(const struct tc_map *m, const struct tc_listing *code, uint64_t vaddr,
                      uint32_t at, unsigned reg, struct tc_reach *ret)
{
    struct flow f = {.m = m, .code = code, .vaddr = vaddr, .allocated = MAX_STEPS};
    uint32_t steps = 0;

    f.seen = calloc(code->count + 1u, sizeof *f.seen);
    f.todo = malloc(f.allocated * sizeof *f.todo);
    f.live = malloc(f.allocated * sizeof *f.live);
    if (f.seen == NULL || f.todo == NULL || f.live == NULL || code->broken || reg >= 32)
        f.fate = TC_FATE_UNKNOWN;
    else
        visit(&f, at + 1, bit(reg));
    while (f.count > 0 && !(f.fate & TC_FATE_UNKNOWN)) {
        uint32_t here = f.todo[--f.count], live = f.live[f.count];
        const struct tc_instruction *n = &code->insns[here];
        if (++steps == MAX_STEPS) {
            f.fate |= TC_FATE_UNKNOWN;
            break;
        }
        live = use(&f, n, here, live);
        if (live != 0)
            follow(&f, n, here, live);
    }
    free(f.seen);
    free(f.todo);
    free(f.live);
    *ret = f.reach;
    return f.fate;
}
