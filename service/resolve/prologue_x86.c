#include "service/resolve/prologue_x86.h"

#include <Zydis/Zydis.h>
#include <string.h>

#define MAX_INSNS 200

struct track {
    ZydisDecoder decoder;
    int64_t rsp;
    int has_rsp, has_rbp;     /* at this instruction */
    uint8_t gpr[16], xmm[16]; /* enum tc_origin of what they hold */
    struct tc_prologue *out;
};

static int decoder_init(ZydisDecoder *d)
{
    return ZYAN_SUCCESS(ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
}

/* Register number of a general register of any width, -1: it isn't one. */
static int gpr_of(ZydisRegister r)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);

    return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
               ? (int)(whole - ZYDIS_REGISTER_RAX)
               : -1;
}

static int xmm_of(ZydisRegister r)
{
    if (r >= ZYDIS_REGISTER_XMM0 && r <= ZYDIS_REGISTER_XMM15)
        return (int)(r - ZYDIS_REGISTER_XMM0);
    return r >= ZYDIS_REGISTER_YMM0 && r <= ZYDIS_REGISTER_YMM15 ? (int)(r - ZYDIS_REGISTER_YMM0)
                                                                 : -1;
}

static uint8_t *place_of(struct track *t, const ZydisDecodedOperand *o)
{
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return NULL;
    if (gpr_of(o->reg.value) >= 0)
        return &t->gpr[gpr_of(o->reg.value)];
    return xmm_of(o->reg.value) >= 0 ? &t->xmm[xmm_of(o->reg.value)] : NULL;
}

/* A place in the frame, counted from the CFA. */
static int frame_address(const struct track *t, const ZydisDecodedOperand *o, int64_t *ret)
{
    int64_t disp = o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.disp.has_displacement
                       ? o->mem.disp.value
                       : 0;

    if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
        o->mem.index != ZYDIS_REGISTER_NONE)
        return 0;
    if (o->mem.base == ZYDIS_REGISTER_RBP && t->has_rbp)
        *ret = t->out->rbp + disp;
    else if (o->mem.base == ZYDIS_REGISTER_RSP && t->has_rsp)
        *ret = t->rsp + disp;
    else
        return 0;
    return 1;
}

/* The first store is the one that fills a slot. */
static void note_store(struct track *t, int64_t address, uint8_t origin)
{
    struct tc_prologue *p = t->out;

    for (uint32_t i = 0; i < p->store_count; i++)
        if (p->stores[i].address == address)
            return;
    if (p->store_count < TC_PROLOGUE_STORES)
        p->stores[p->store_count++] = (struct tc_prologue_store){address, origin};
}

static void move_rsp(struct track *t, int64_t by)
{
    t->rsp += by;
    if (t->has_rsp && t->out->rsp_count < TC_PROLOGUE_RSP)
        t->out->rsp[t->out->rsp_count++] = t->rsp;
}

static uint8_t loaded(const struct track *t, const ZydisDecodedOperand *o)
{
    int64_t address;

    if (!frame_address(t, o, &address))
        return TC_ORIGIN_NONE;
    if (address >= 0)
        return address % 8 == 0 && address / 8 < TC_ORIGIN_SLOTS
                   ? (uint8_t)(TC_ORIGIN_STACK + address / 8)
                   : TC_ORIGIN_NONE;
    for (uint32_t i = 0; i < t->out->store_count; i++)
        if (t->out->stores[i].address == address)
            return t->out->stores[i].origin;
    return TC_ORIGIN_NONE;
}

static int is_move(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVQ:
    case ZYDIS_MNEMONIC_MOVD:
    case ZYDIS_MNEMONIC_VMOVSS:
    case ZYDIS_MNEMONIC_VMOVSD:
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVUPS:
    case ZYDIS_MNEMONIC_VMOVUPD:
        return 1;
    default:
        return 0;
    }
}

/* The first frame pointer is the function's; it is given back at the end. */
static void set_rbp(struct track *t, int is_frame)
{
    t->has_rbp = is_frame && (!t->out->has_rbp || t->out->rbp == t->rsp);
    if (t->has_rbp) {
        t->out->has_rbp = 1;
        t->out->rbp = t->rsp;
    }
}

static void follow_move(struct track *t, const ZydisDecodedInstruction *i,
                        const ZydisDecodedOperand *o)
{
    uint8_t *to = place_of(t, &o[0]), *from = place_of(t, &o[1]);
    uint8_t origin = from != NULL ? *from : loaded(t, &o[1]);
    int64_t address;

    if (frame_address(t, &o[0], &address)) {
        note_store(t, address, origin);
        return;
    }
    if (to == NULL)
        return;
    *to = i->operand_count_visible == 2 ? origin : TC_ORIGIN_NONE;
    if (o[0].reg.value == ZYDIS_REGISTER_RBP)
        set_rbp(t, o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                       o[1].reg.value == ZYDIS_REGISTER_RSP && t->has_rsp);
    if (o[0].reg.value == ZYDIS_REGISTER_RSP)
        t->has_rsp = 0;
}

/* Whatever is written holds no argument any more. `and reg, imm` narrows one (bool). */
static void forget_written(struct track *t, const ZydisDecodedInstruction *i,
                           const ZydisDecodedOperand *o)
{
    int narrows = i->mnemonic == ZYDIS_MNEMONIC_AND && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    int64_t address;

    for (unsigned k = 0; k < i->operand_count; k++) {
        uint8_t *place = place_of(t, &o[k]);
        if (!(o[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        if (place != NULL && !narrows)
            *place = TC_ORIGIN_NONE;
        if (frame_address(t, &o[k], &address))
            note_store(t, address, TC_ORIGIN_NONE);
        if (o[k].type == ZYDIS_OPERAND_TYPE_REGISTER && o[k].reg.value == ZYDIS_REGISTER_RBP)
            t->has_rbp = 0;
        if (o[k].type == ZYDIS_OPERAND_TYPE_REGISTER && o[k].reg.value == ZYDIS_REGISTER_RSP)
            t->has_rsp = 0;
    }
}

static int is_rsp_by_constant(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o)
{
    return (i->mnemonic == ZYDIS_MNEMONIC_SUB || i->mnemonic == ZYDIS_MNEMONIC_ADD) &&
           o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == ZYDIS_REGISTER_RSP &&
           o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static void follow(struct track *t, const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o)
{
    uint8_t *place = place_of(t, &o[0]);

    if (i->mnemonic == ZYDIS_MNEMONIC_PUSH && t->has_rsp) {
        move_rsp(t, -8);
        note_store(t, t->rsp, place != NULL ? *place : TC_ORIGIN_NONE);
    } else if (i->mnemonic == ZYDIS_MNEMONIC_POP && t->has_rsp && place != NULL) {
        *place = TC_ORIGIN_NONE;
        t->has_rbp &= o[0].reg.value != ZYDIS_REGISTER_RBP;
        move_rsp(t, 8);
    } else if (is_rsp_by_constant(i, o)) {
        move_rsp(t, i->mnemonic == ZYDIS_MNEMONIC_SUB ? -o[1].imm.value.s : o[1].imm.value.s);
    } else if (is_move(i->mnemonic)) {
        follow_move(t, i, o);
    } else {
        forget_written(t, i, o);
    }
}

static int ends(const ZydisDecodedInstruction *i)
{
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_INTERRUPT:
        return 1;
    default:
        return 0;
    }
}

void tc_x86_prologue(const struct tc_code *function, struct tc_prologue *ret)
{
    static const uint8_t ints[6] = {7, 6, 2, 1, 8, 9}; /* rdi rsi rdx rcx r8 r9 */
    struct track t = {.rsp = -8, .has_rsp = 1, .out = ret};
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction insn;
    uint64_t at = 0;

    *ret = (struct tc_prologue){.rsp = {-8}, .rsp_count = 1};
    memset(t.gpr, TC_ORIGIN_NONE, sizeof t.gpr);
    memset(t.xmm, TC_ORIGIN_NONE, sizeof t.xmm);
    for (uint8_t i = 0; i < 6; i++)
        t.gpr[ints[i]] = TC_ORIGIN_INT + i;
    for (uint8_t i = 0; i < 8; i++)
        t.xmm[i] = TC_ORIGIN_SSE + i;
    if (!decoder_init(&t.decoder))
        return;
    for (int n = 0; n < MAX_INSNS && at < function->bytes; n++, at += insn.length) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&t.decoder, function->at + at,
                                                 function->bytes - at, &insn, o)) ||
            ends(&insn))
            return;
        follow(&t, &insn, o);
    }
}

static int is_zeroing(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o)
{
    int clears = i->mnemonic == ZYDIS_MNEMONIC_XOR || i->mnemonic == ZYDIS_MNEMONIC_SUB ||
                 i->mnemonic == ZYDIS_MNEMONIC_PXOR || i->mnemonic == ZYDIS_MNEMONIC_XORPS ||
                 i->mnemonic == ZYDIS_MNEMONIC_XORPD;

    return clears && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == o[1].reg.value;
}

/* 1: reads, -1: overwrites, 0: neither. A push may be for the sake of the alignment only. */
static int touches(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, int in_sse)
{
    int written = 0;

    if (i->mnemonic == ZYDIS_MNEMONIC_PUSH || i->mnemonic == ZYDIS_MNEMONIC_NOP)
        return 0;
    for (unsigned k = 0; k < i->operand_count; k++) {
        int is_it = o[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                    (in_sse ? xmm_of(o[k].reg.value) : gpr_of(o[k].reg.value)) == 0;
        int addressed = !in_sse && o[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
                        (gpr_of(o[k].mem.base) == 0 || gpr_of(o[k].mem.index) == 0);
        if (addressed)
            return 1;
        if (is_it && (o[k].actions & ZYDIS_OPERAND_ACTION_MASK_READ) && !is_zeroing(i, o))
            return 1;
        written |= is_it && (o[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
    }
    return written ? -1 : 0;
}

/* Before a call of a variadic function al counts the arguments in xmm registers (psABI 3.2.3). */
static int counts_sse(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o)
{
    return i->mnemonic == ZYDIS_MNEMONIC_MOV && o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           gpr_of(o[0].reg.value) == 0 && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
           o[1].imm.value.u >= 1 && o[1].imm.value.u <= 8;
}

int tc_x86_reads_result(const struct tc_code *after, int in_sse)
{
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction insn;
    ZydisDecoder decoder;
    uint64_t at = 0;
    int passed_on = 0;

    if (!decoder_init(&decoder))
        return 0;
    for (int n = 0; n < MAX_INSNS && at < after->bytes; n++, at += insn.length) {
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder, after->at + at, after->bytes - at, &insn, o)))
            return 0;
        int r = insn.meta.category == ZYDIS_CATEGORY_COND_BR ? 0 : touches(&insn, o, in_sse);
        if (r != 0)
            return r > 0;
        passed_on |= in_sse && counts_sse(&insn, o);
        if (passed_on && insn.meta.category == ZYDIS_CATEGORY_CALL)
            return 1;
        if (ends(&insn) && insn.meta.category != ZYDIS_CATEGORY_COND_BR)
            return 0;
    }
    return 0;
}

static int32_t load(const unsigned char *at)
{
    int32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

/* lea reg, [rip + d]; where addresses are fixed also mov reg, imm32. */
int tc_x86_takes_address(const struct tc_code *code, uint64_t vaddr, int absolute)
{
    const unsigned char *at = code->at;

    for (size_t i = 2; i + 4 <= code->bytes; i++) {
        if (at[i - 2] == 0x8d && (at[i - 1] & 0xc7) == 0x05 &&
            code->vaddr + i + 4 + (uint64_t)(int64_t)load(at + i) == vaddr)
            return 1;
        if (absolute && ((at[i - 1] & 0xf8) == 0xb8 || at[i - 2] == 0xc7 || at[i - 1] == 0x68) &&
            (uint64_t)(int64_t)load(at + i) == vaddr)
            return 1;
    }
    return 0;
}
