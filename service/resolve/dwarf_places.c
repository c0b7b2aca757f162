#include "service/resolve/dwarf_places.h"

#include <dwarf.h>
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service/resolve/arch.h"

/* The function's own frame, as far as its first instructions show it. */
struct frame {
    struct tc_prologue prologue;
    int base;    /* DWARF register that DW_OP_fbreg counts from; BASE_CFA; BASE_NONE */
    int64_t add; /* to it */
};
#define BASE_NONE (-2)
#define BASE_CFA  (-1)
#define REG_RBP   6
#define REG_RSP   7

static enum tc_reason mismatch(char detail[TC_DETAIL_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum tc_reason mismatch(char detail[TC_DETAIL_BYTES], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, TC_DETAIL_BYTES, format, args);
    va_end(args);
    return TC_R_PROTOTYPE_ABI_MISMATCH;
}

/* psABI figure 3.36: DWARF's register numbers. */
static uint8_t origin_of_register(uint64_t number)
{
    static const int8_t ints[] = {[1] = 2, [2] = 3, [4] = 1, [5] = 0, [8] = 4, [9] = 5};

    if (number == 1 || number == 2 || number == 4 || number == 5 || number == 8 || number == 9)
        return (uint8_t)(TC_ORIGIN_INT + ints[number]);
    return number >= 17 && number < 25 ? (uint8_t)(TC_ORIGIN_SSE + number - 17) : TC_ORIGIN_NONE;
}

static uint8_t origin_of_place(uint8_t loc, uint16_t index)
{
    switch (loc) {
    case TC_LOC_INT:
        return (uint8_t)(TC_ORIGIN_INT + index);
    case TC_LOC_SSE:
        return (uint8_t)(TC_ORIGIN_SSE + index);
    case TC_LOC_STACK:
        return index < TC_ORIGIN_SLOTS ? (uint8_t)(TC_ORIGIN_STACK + index) : TC_ORIGIN_NONE;
    default:
        return TC_ORIGIN_NONE;
    }
}

/* DW_AT_frame_base: gcc says the CFA, clang a register. */
static void read_frame_base(struct tc_dwarf_function *d, uint64_t vaddr, struct frame *f)
{
    Dwarf_Attribute a;
    Dwarf_Op *ops;
    size_t count;

    f->base = BASE_NONE;
    if (dwarf_attr_integrate(&d->die, DW_AT_frame_base, &a) == NULL ||
        dwarf_getlocation_addr(&a, vaddr, &ops, &count, 1) != 1 || count != 1)
        return;
    if (ops[0].atom == DW_OP_call_frame_cfa) {
        f->base = BASE_CFA;
    } else if (ops[0].atom == DW_OP_reg6 || ops[0].atom == DW_OP_reg7) {
        f->base = (int)(ops[0].atom - DW_OP_reg0);
    } else if (ops[0].atom == DW_OP_breg6 || ops[0].atom == DW_OP_breg7) {
        f->base = (int)(ops[0].atom - DW_OP_breg0);
        f->add = (int64_t)ops[0].number;
    }
}

/* Is the argument of `origin` at this address, counted from the CFA: in its own stack slot, or in a
 * slot of the frame that the prologue fills from where it came? */
static int is_at(const struct frame *f, int64_t address, uint8_t origin)
{
    if (origin >= TC_ORIGIN_STACK && origin != TC_ORIGIN_NONE &&
        address == 8 * (int64_t)(origin - TC_ORIGIN_STACK))
        return 1;
    for (uint32_t i = 0; i < f->prologue.store_count; i++)
        if (f->prologue.stores[i].address == address)
            return f->prologue.stores[i].origin == origin && origin != TC_ORIGIN_NONE;
    return 0;
}

static int is_in_frame(const struct frame *f, int base, int64_t offset, uint8_t origin)
{
    const struct tc_prologue *p = &f->prologue;

    if (base == BASE_CFA)
        return is_at(f, offset, origin);
    if (base == REG_RBP)
        return p->has_rbp && is_at(f, p->rbp + offset, origin);
    /* The stack pointer goes down step by step: which of its places is meant, the slots tell. */
    for (uint32_t i = 0; base == REG_RSP && i < p->rsp_count; i++)
        if (is_at(f, p->rsp[i] + offset, origin))
            return 1;
    return 0;
}

/* A value of fewer bits, taken out of a register: clang's bool and short. */
static int is_narrowed(const Dwarf_Op *ops, size_t count)
{
    if (count < 3 || ops[0].atom < DW_OP_breg0 || ops[0].atom > DW_OP_breg31 ||
        ops[0].number != 0 || ops[count - 1].atom != DW_OP_stack_value)
        return 0;
    for (size_t i = 1; i + 1 < count; i++) {
        unsigned atom = ops[i].atom;
        int constant = (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) ||
                       (atom >= DW_OP_const1u && atom <= DW_OP_consts);
        if (!constant && atom != DW_OP_and && atom != DW_OP_convert && atom != DW_OP_GNU_convert)
            return 0;
    }
    return 1;
}

static int is_register(const Dwarf_Op *op, uint8_t origin)
{
    if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31)
        return origin_of_register(op->atom - DW_OP_reg0) == origin;
    return op->atom == DW_OP_regx && origin_of_register(op->number) == origin;
}

/* A struct of two eightbytes in registers: piece by piece, or both in one slot of the frame. */
static int is_in_two_places(const struct frame *f, const Dwarf_Op *ops, size_t count,
                            uint8_t origin, uint8_t second)
{
    int64_t offset = (int64_t)ops[0].number;

    if (count == 4 && ops[1].atom == DW_OP_piece && ops[1].number == 8 &&
        ops[3].atom == DW_OP_piece)
        return is_register(&ops[0], origin) && is_register(&ops[2], second);
    return count == 1 && ops[0].atom == DW_OP_fbreg &&
           is_in_frame(f, f->base, f->add + offset, origin) &&
           is_in_frame(f, f->base, f->add + offset + 8, second);
}

static int is_in_place(const struct frame *f, struct tc_dwarf_param *p, uint64_t vaddr,
                       const struct tc_param *declared)
{
    uint8_t origin = origin_of_place(declared->loc, declared->loc_index);
    Dwarf_Op *ops;
    size_t count;

    if (!tc_dwarf_location(p, vaddr, &ops, &count))
        return 0;
    if (declared->second_loc != 0)
        return is_in_two_places(f, ops, count, origin,
                                origin_of_place(declared->second_loc, declared->second_index));
    if (p->by_reference && count > 1 && ops[count - 1].atom == DW_OP_deref)
        count--;
    if (is_narrowed(ops, count))
        return origin_of_register(ops[0].atom - DW_OP_breg0) == origin;
    if (count != 1)
        return 0;
    unsigned atom = ops[0].atom;
    if (is_register(&ops[0], origin))
        return 1;
    if (atom == DW_OP_fbreg)
        return is_in_frame(f, f->base, f->add + (int64_t)ops[0].number, origin);
    if (atom == DW_OP_breg6 || atom == DW_OP_breg7)
        return is_in_frame(f, (int)(atom - DW_OP_breg0), (int64_t)ops[0].number, origin);
    /* Behind a reference: what the register points at. */
    return p->by_reference && atom >= DW_OP_breg0 && atom <= DW_OP_breg31 && ops[0].number == 0 &&
           origin_of_register(atom - DW_OP_breg0) == origin;
}

/* Has it no place at the entry, but at most a known value? */
static int is_removed(struct tc_dwarf_param *p, uint64_t vaddr)
{
    Dwarf_Op *ops;
    size_t count;

    return !tc_dwarf_location(p, vaddr, &ops, &count) || ops[count - 1].atom == DW_OP_stack_value ||
           ops[0].atom == DW_OP_implicit_value;
}

static enum tc_reason check_from(const struct tc_image *im, const struct tc_function *f,
                                 struct tc_dwarf_function *d, const struct tc_param *params,
                                 uint32_t count, uint32_t first, int stack_only,
                                 char ret_detail[TC_DETAIL_BYTES])
{
    const struct tc_arch *arch = tc_arch_for(im->elf->machine);
    struct tc_code code = {
        .at = tc_elf_at(im->elf, f->vaddr, f->bytes), .bytes = f->bytes, .vaddr = f->vaddr};
    struct frame frame = {.base = BASE_NONE};

    if (arch == NULL || code.at == NULL)
        return mismatch(ret_detail, "its code can't be read");
    while (count > d->param_count && params[count - 1].dir == TC_HIDDEN)
        count--;
    if (count != d->param_count)
        return mismatch(ret_detail, "the source declares %u parameters, the prototype %u",
                        d->param_count, count);
    arch->prologue(&code, &frame.prologue);
    read_frame_base(d, f->vaddr, &frame);
    for (uint32_t i = first; i < count; i++) {
        struct tc_dwarf_param *p = &d->params[i];
        if ((stack_only && params[i].loc != TC_LOC_STACK) ||
            is_in_place(&frame, p, f->vaddr, &params[i]))
            continue;
        return mismatch(ret_detail,
                        is_removed(p, f->vaddr) ? "the compiler removed '%.80s'"
                                                : "'%.80s' isn't passed where its type says",
                        p->name != NULL ? p->name : "a parameter");
    }
    return TC_R_NONE;
}

enum tc_reason tc_dwarf_check_places(const struct tc_image *im, const struct tc_function *f,
                                     struct tc_dwarf_function *d, const struct tc_param *params,
                                     uint32_t count, char ret_detail[TC_DETAIL_BYTES])
{
    return check_from(im, f, d, params, count, 0, 0, ret_detail);
}

enum tc_reason tc_dwarf_check_stack(const struct tc_image *im, const struct tc_function *f,
                                    struct tc_dwarf_function *d, const struct tc_param *params,
                                    uint32_t count, uint32_t first,
                                    char ret_detail[TC_DETAIL_BYTES])
{
    return check_from(im, f, d, params, count, first, 1, ret_detail);
}

/* ---- is the result there? ---- */

struct callers {
    const struct tc_image *im;
    const struct tc_arch *arch;
    int in_sse, reads;
};

static void look_behind_call(void *arg, const struct tc_branch *b)
{
    struct callers *c = arg;
    const struct tc_range *around = tc_bounds_around(&c->im->bounds, b->field);
    uint64_t next = b->field + 4;
    struct tc_code code;

    if (c->reads || !b->is_call || around == NULL || next >= around->end)
        return;
    code = (struct tc_code){.at = tc_elf_at(c->im->elf, around->begin, around->end - around->begin),
                            .bytes = around->end - around->begin,
                            .vaddr = around->begin};
    if (code.at == NULL || !c->arch->is_branch(&code, b->field))
        return;
    code.at += next - code.vaddr;
    code.bytes -= next - code.vaddr;
    code.vaddr = next;
    c->reads = c->arch->reads_result(&code, c->in_sse);
}

static int holds_address(const unsigned char *data, uint64_t bytes, uint64_t step, uint64_t vaddr)
{
    for (uint64_t i = 0; i + 8 <= bytes; i += step) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        if (word == vaddr)
            return 1;
    }
    return 0;
}

/* Tables of pointers: relocations by addend, or in a program at fixed addresses the words. */
static int is_in_data(const struct tc_elf *e, uint64_t vaddr)
{
    for (size_t i = 0; i < e->section_count; i++) {
        const struct tc_section *s = &e->sections[i];
        const unsigned char *data =
            s->type == SHT_NOBITS ? NULL : tc_elf_bytes(e, s->offset, s->bytes);
        if (data == NULL || s->bytes < 8)
            continue;
        if (s->type == SHT_RELA && s->bytes >= sizeof(Elf64_Rela) &&
            holds_address(data + 16, s->bytes - 16, sizeof(Elf64_Rela), vaddr))
            return 1;
        if (e->type == ET_EXEC && s->type == SHT_PROGBITS && (s->flags & SHF_ALLOC) &&
            !(s->flags & SHF_EXECINSTR) && holds_address(data, s->bytes, 8, vaddr))
            return 1;
    }
    return 0;
}

int tc_dwarf_returns(const struct tc_image *im, const struct tc_function *f,
                     const struct tc_dwarf_function *d, int in_sse)
{
    const struct tc_elf *e = im->elf;
    struct callers c = {.im = im, .arch = tc_arch_for(e->machine), .in_sse = in_sse};

    if (f->exported || d->unoptimized)
        return 1;
    if (c.arch == NULL || is_in_data(e, f->vaddr))
        return c.arch != NULL;
    for (size_t i = 0; i < e->load_count && !c.reads; i++) {
        const struct tc_segment *s = &e->loads[i];
        struct tc_code code = {
            .at = e->data + s->offset, .bytes = s->file_bytes, .vaddr = s->vaddr};
        if (!(s->flags & PF_X))
            continue;
        if (c.arch->takes_address(&code, f->vaddr, e->type == ET_EXEC))
            return 1;
        c.arch->branches(&code, f->vaddr, f->vaddr + 1, look_behind_call, &c);
    }
    return c.reads;
}
