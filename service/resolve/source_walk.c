/* The source hash: the walk over code. */
#include <string.h>

#include "service/resolve/source_work.h"

/* A place in code. With -mcmodel=large all addresses are computed from one in the function itself,
 * by differences that say nothing. */
static void made_code(struct tc_source_work *w, uint64_t vaddr, unsigned fate)
{
    const struct tc_source_item *item = &w->items[w->at].item;
    unsigned computed = TC_FATE_COUNTED | TC_FATE_THROUGH | TC_FATE_OFFSETS | TC_FATE_ENTRIES;

    if (vaddr - item->begin < item->end - item->begin)
        computed |= TC_FATE_UNKNOWN;
    tc_work_address(w, vaddr, TC_BY_VALUE, 0);
    if (fate & computed)
        tc_work_give_up(w, "addresses that are computed from one of code");
}

/* How an address that an instruction puts into a register, or away, is to be read. */
static void made(struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    const struct tc_work_item *item = &w->items[w->at];
    const struct tc_instruction *n = &item->code.insns[at];
    const struct tc_region *region = tc_map_region(w->m, f->value);
    unsigned fate = TC_FATE_VALUE;
    struct tc_reach reach = {0, 0, 0};
    int has_entries = item->code.has_entries;

    if (n->dest != TC_NO_REGISTER)
        fate = tc_flow_fate(w->m, &item->code, item->item.begin, at, n->dest, &reach);
    else if (n->use == TC_USE_KEEP ||
             (n->use == TC_USE_OTHER && !(n->flow == TC_FLOW_NEXT && n->reads == 0)))
        fate = TC_FATE_UNKNOWN; /* a stack slot may be read again, and be computed with */
    w->access = reach.stores ? TC_SOURCE_WRITTEN : TC_SOURCE_NOT_SAID;
    if (region != NULL && (region->flags & TC_REGION_CODE) && !f->maybe) {
        made_code(w, f->value, fate);
        return;
    }
    if (fate & TC_FATE_THROUGH)
        tc_work_reach(w, f->value, &reach);
    item = &w->items[w->at]; /* it may have moved */
    if (tc_work_branch_table(w, f->value, 4))
        return;
    /* Tables of a switch have no symbol: one of pointers leads out of the function. */
    if (fate & TC_FATE_JUMPED)
        fate = (fate & ~(unsigned)TC_FATE_JUMPED) |
               (tc_map_datum(w->m, f->value) != NULL ? 0 : TC_FATE_UNKNOWN);
    if ((fate & ~(unsigned)(TC_FATE_ENTRIES | TC_FATE_COMPARED)) == TC_FATE_OFFSETS) {
        tc_work_offsets(w, f->value, 0);
        return;
    }
    if (fate == TC_FATE_COMPARED)
        tc_work_address(w, f->value, TC_BY_COMPARISON, 0);
    else if (fate != 0 && (fate & ~(unsigned)(TC_FATE_VALUE | TC_FATE_COMPARED)) == 0)
        tc_work_address(w, f->value, TC_BY_VALUE, 0);
    else
        tc_work_address(w, f->value, TC_BY_BASE, 0);
    if ((fate & TC_FATE_ENTRIES) || ((fate & TC_FATE_UNKNOWN) && has_entries))
        tc_work_offsets(w, f->value, 1);
}

static void thread_field(struct tc_source_work *w, const struct tc_field *f)
{
    const struct tc_elf *e = w->m->im->elf;
    uint64_t align = e->tls_align > 1 ? e->tls_align : 1;
    uint64_t block = (e->tls.bytes + align - 1) / align * align;

    tc_work_mark(w, TC_MARK_THREAD);
    /* Only a program knows where its own variables lie from the thread pointer. */
    if (!e->has_interpreter || e->tls.bytes == 0 || (int64_t)f->value > 0) {
        tc_work_number(w, f->value);
        return;
    }
    if (f->value == 0 || f->scale != 0 || block + f->value >= e->tls.bytes)
        tc_work_thread_layout(w);
    else
        tc_work_thread_offset(w, block + f->value);
    if (f->scale != 0)
        tc_work_number(w, f->value);
}

/* A slot holds an address: what is done through that counts. */
static uint8_t access_by(const struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    const struct tc_work_item *item = &w->items[w->at];
    const struct tc_instruction *n = &item->code.insns[at];
    struct tc_reach reach = {0, 0, 0};

    if (f->kind != TC_FIELD_ACCESS && f->kind != TC_FIELD_TABLE)
        return TC_SOURCE_NOT_SAID;
    if (f->writes)
        return TC_SOURCE_WRITTEN;
    if (tc_map_reloc_at(w->m, f->value) == NULL)
        return TC_SOURCE_READ;
    if (n->dest != TC_NO_REGISTER && n->flow == TC_FLOW_NEXT)
        (void)tc_flow_fate(w->m, &item->code, item->item.begin, at, n->dest, &reach);
    return reach.stores ? TC_SOURCE_WRITTEN : TC_SOURCE_NOT_SAID;
}

static void walk_field(struct tc_source_work *w, uint32_t at, const struct tc_field *f)
{
    w->access = access_by(w, at, f);
    switch (f->kind) {
    case TC_FIELD_THREAD:
        thread_field(w, f);
        break;
    case TC_FIELD_MADE:
        made(w, at, f);
        break;
    case TC_FIELD_COMPARED:
        tc_work_address(w, f->value, TC_BY_COMPARISON, 0);
        break;
    case TC_FIELD_ACCESS:
        tc_work_address(w, f->value, TC_BY_ACCESS, f->width);
        break;
    default:
        if (!tc_work_branch_table(w, f->value, 8))
            tc_work_address(w, f->value, TC_BY_BASE, 0);
        break;
    }
    w->access = TC_SOURCE_NOT_SAID;
}

/* The bytes of the instruction without the fields that are addresses, and what those mean. */
static void walk_insn(struct tc_source_work *w, uint32_t at)
{
    /* Items may move when one is added: nothing of them is kept over that. */
    struct tc_instruction n = w->items[w->at].code.insns[at];
    uint64_t vaddr = w->items[w->at].item.begin + w->items[w->at].code.offsets[at];
    const unsigned char *code = tc_elf_at(w->m->im->elf, vaddr, n.bytes);
    unsigned char bytes[TC_INSN_LONGEST] = {0};

    if (code == NULL)
        return;
    memcpy(bytes, code, n.bytes);
    for (unsigned i = 0; i < n.field_count; i++) {
        struct tc_field *f = &n.fields[i];
        if (f->maybe && !tc_work_in_image(w, f->value))
            f->kind = 0;
        else
            memset(bytes + f->at, 0, f->bytes);
    }
    tc_work_mark(w, TC_MARK_INSN);
    tc_work_number(w, n.bytes);
    tc_work_bytes(w, bytes, n.bytes);
    for (unsigned i = 0; i < n.field_count; i++) {
        tc_work_number(w, n.fields[i].kind);
        if (n.fields[i].kind != 0)
            walk_field(w, at, &n.fields[i]);
    }
    if (n.flow == TC_FLOW_CALL_FAR_OFF && n.field_count == 0)
        w->indirect_calls++;
}

static void walk_branch(struct tc_source_work *w, const struct tc_instruction *n)
{
    tc_work_mark(w, TC_MARK_BRANCH);
    tc_work_number(w, n->mnemonic);
    tc_work_code_ref(w, n->target);
}

static int is_direct(const struct tc_instruction *n)
{
    return n->flow == TC_FLOW_BRANCH || n->flow == TC_FLOW_JUMP || n->flow == TC_FLOW_CALL;
}

/* A jump by a register goes to places that a table names, which may not have been understood: then
 * it counts where instructions lie. */
static void walk_places(struct tc_source_work *w, const struct tc_listing *l)
{
    tc_work_mark(w, TC_MARK_PLACES);
    tc_work_bytes(w, l->offsets, l->count * sizeof l->offsets[0]);
}

/* Assembly may go on into what follows. (Compilers' functions end without a jump only behind a call
 * that doesn't return.) */
static void walk_end(struct tc_source_work *w)
{
    const struct tc_work_item *item = &w->items[w->at];
    uint64_t end = item->item.end;
    const struct tc_region *r = tc_map_region(w->m, end);
    unsigned flow = item->code.count != 0 ? item->code.insns[item->code.count - 1].flow : 0;

    if ((flow != TC_FLOW_NEXT && flow != TC_FLOW_BRANCH) || r == NULL ||
        !(r->flags & TC_REGION_CODE))
        return;
    tc_work_mark(w, TC_MARK_ONWARD);
    tc_work_code_ref(w, end);
}

void tc_work_code(struct tc_source_work *w)
{
    struct tc_work_item *item = &w->items[w->at];
    uint64_t begin = item->item.begin, bytes = item->item.end - begin;
    int jumps = 0;
    int r = tc_work_list(w->m, begin, bytes, &item->code);

    if (r < 0) {
        w->r = r;
        return;
    }
    tc_work_number(w, item->code.count);
    if (item->code.broken) {
        tc_work_mark(w, TC_MARK_UNREADABLE);
        tc_work_give_up(w, "not all of its code can be decoded");
        return;
    }
    for (uint32_t i = 0; i < w->items[w->at].code.count && w->r == 0 && !w->too_many; i++) {
        struct tc_instruction n = w->items[w->at].code.insns[i];
        jumps |= n.flow == TC_FLOW_JUMP_FAR_OFF && n.field_count == 0;
        if (is_direct(&n))
            walk_branch(w, &n);
        else
            walk_insn(w, i);
    }
    walk_end(w);
    tc_work_handlers(w, w->items[w->at].item.begin, w->items[w->at].item.end);
    if (jumps)
        walk_places(w, &w->items[w->at].code);
}
