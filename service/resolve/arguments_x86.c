/* x86-64: does a function read an argument's register before it writes it, on any path? */
#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/prologue_x86.h"

#define MAX_BYTES (1u << 20)

struct paths {
    const struct tc_code *code;
    ZydisDecoder decoder;
    ZydisRegister whole; /* 64 bits, or the xmm register */
    unsigned char *seen; /* a byte an offset */
    uint32_t *todo;
    int calls; /* count as reading */
    size_t count;
};

static int is_it(const struct paths *p, ZydisRegister r)
{
    if (r == ZYDIS_REGISTER_NONE)
        return 0;
    if (p->whole >= ZYDIS_REGISTER_XMM0 && p->whole <= ZYDIS_REGISTER_XMM15)
        return r == p->whole || r == p->whole - ZYDIS_REGISTER_XMM0 + ZYDIS_REGISTER_YMM0 ||
               r == p->whole - ZYDIS_REGISTER_XMM0 + ZYDIS_REGISTER_ZMM0;
    return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r) == p->whole;
}

/* 1: reads, -1: overwrites as a whole, 0: neither. Writes of a part leave the rest. */
static int touches(const struct paths *p, const ZydisDecodedInstruction *i,
                   const ZydisDecodedOperand *o)
{
    int written = 0;
    int zeroing = (i->mnemonic == ZYDIS_MNEMONIC_XOR || i->mnemonic == ZYDIS_MNEMONIC_PXOR ||
                   i->mnemonic == ZYDIS_MNEMONIC_XORPS) &&
                  o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                  o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == o[1].reg.value;

    for (unsigned k = 0; k < i->operand_count; k++) {
        if (o[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (is_it(p, o[k].mem.base) || is_it(p, o[k].mem.index)))
            return 1;
        if (o[k].type != ZYDIS_OPERAND_TYPE_REGISTER || !is_it(p, o[k].reg.value))
            continue;
        if ((o[k].actions & ZYDIS_OPERAND_ACTION_MASK_READ) && !zeroing)
            return 1;
        written |= (o[k].actions & ZYDIS_OPERAND_ACTION_WRITE) && o[k].size >= 32;
    }
    return written ? -1 : 0;
}

static void add(struct paths *p, uint64_t offset)
{
    if (offset >= p->code->bytes || p->seen[offset])
        return;
    p->seen[offset] = 1;
    p->todo[p->count++] = (uint32_t)offset;
}

/* One instruction; 1: the register is read, or that can't be told. */
static int step(struct paths *p, uint64_t at)
{
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT] = {0};
    ZydisDecodedInstruction i;
    ZyanU64 target = 0;
    int r;

    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&p->decoder, p->code->at + at, p->code->bytes - at, &i, o)))
        return 1;
    r = touches(p, &i, o);
    if (r > 0)
        return 1;
    switch (i.meta.category) {
    case ZYDIS_CATEGORY_CALL: /* argument registers don't live beyond it */
        return p->calls;
    case ZYDIS_CATEGORY_RET:
        return 0;
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
        if (!i.raw.imm[0].is_relative ||
            !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&i, &o[0], p->code->vaddr + at, &target)))
            return 1;
        if (target - p->code->vaddr >= p->code->bytes)
            return 1;
        add(p, target - p->code->vaddr);
        if (i.meta.category == ZYDIS_CATEGORY_COND_BR)
            add(p, at + i.length);
        return 0;
    default:
        if (r == 0)
            add(p, at + i.length);
        return 0;
    }
}

int tc_x86_reads_argument(const struct tc_code *function, uint8_t origin, int calls)
{
    static const ZydisRegister ints[6] = {ZYDIS_REGISTER_RDI, ZYDIS_REGISTER_RSI,
                                          ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RCX,
                                          ZYDIS_REGISTER_R8,  ZYDIS_REGISTER_R9};
    struct paths p = {.code = function, .calls = calls};
    int r = 0;

    if (origin >= TC_ORIGIN_STACK || function->bytes > MAX_BYTES ||
        (origin < TC_ORIGIN_SSE && origin >= 6) ||
        !ZYAN_SUCCESS(
            ZydisDecoderInit(&p.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return 1;
    p.whole = origin < TC_ORIGIN_SSE
                  ? ints[origin]
                  : ZYDIS_REGISTER_XMM0 + (ZydisRegister)(origin - TC_ORIGIN_SSE);
    p.seen = calloc(function->bytes + 1, 1);
    p.todo = calloc(function->bytes + 1, sizeof *p.todo);
    if (p.seen == NULL || p.todo == NULL)
        r = 1;
    else
        add(&p, 0);
    while (r == 0 && p.count > 0)
        r = step(&p, p.todo[--p.count]);
    free(p.seen);
    free(p.todo);
    return r;
}
