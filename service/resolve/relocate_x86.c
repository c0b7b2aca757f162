#include "service/resolve/relocate_x86.h"

#include <Zydis/Zydis.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JUMP_BYTES     5u /* e9 rel32 */
#define SHORT_BYTES    2u /* eb rel8 */
#define ENDBR_BYTES    4u
#define MAX_INSNS      JUMP_BYTES
#define LONGEST_WIDENS 4u /* 7x rel8 -> 0f 8x rel32, eb rel8 -> e9 rel32 is shorter */
#define RETURN_BYTES   12u

_Static_assert(JUMP_BYTES - 1 + ZYDIS_MAX_INSTRUCTION_LENGTH <= TC_MAX_WINDOW, "windows fit");
_Static_assert(TC_MAX_WINDOW + (MAX_INSNS * LONGEST_WIDENS) + RETURN_BYTES + JUMP_BYTES <=
                   TC_MAX_MOVED,
               "moved code fits");
_Static_assert(MAX_INSNS + 2 <= TC_WINDOW_FIXUPS, "one fixup an instruction, return and jump back");

/* A call would leave a return address in the moved code, where no unwinder knows its way. So the
 * original's is pushed, without a change of any register or flag, and the call becomes a jump:
 * push %rax; lea disp32(%rip), %rax; xchg %rax, (%rsp). */
static const unsigned char push_return[RETURN_BYTES] = {0x50, 0x48, 0x8d, 0x05, 0,    0,
                                                        0,    0,    0x48, 0x87, 0x04, 0x24};
#define RETURN_FIELD 4u

enum kind {
    KIND_PLAIN,
    KIND_DATA,   /* an operand relative to rip */
    KIND_CALL,   /* call rel32; the others may be calls by a pointer */
    KIND_JUMP,   /* jmp */
    KIND_BRANCH, /* jcc */
};

/* One instruction of the window. Offsets are relative to the window or, moved, to the moved code.
 */
struct insn {
    enum kind kind;
    uint32_t at, bytes;
    uint32_t field; /* of the displacement, inside the instruction */
    uint32_t modrm; /* of a call by a pointer, inside the instruction; 0: no such call */
    uint32_t new_at, new_bytes;
    uint64_t target; /* not KIND_PLAIN */
};

struct work {
    struct tc_window *w;
    const unsigned char *code; /* from the patch address on */
    uint64_t bytes;            /* to the function's end */
    uint64_t after;            /* padding behind it, if it is that */
    uint32_t jump_bytes;
    struct insn insns[MAX_INSNS];
    uint32_t count;
};

static int refuse(struct work *k, enum tc_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct work *k, enum tc_reason reason, const char *format, ...)
{
    va_list args;

    k->w->reason = reason;
    va_start(args, format);
    (void)vsnprintf(k->w->detail, sizeof k->w->detail, format, args);
    va_end(args);
    return -1;
}

static int cant_move(struct work *k, uint32_t at, const char *what)
{
    return refuse(k, TC_R_UNSUPPORTED_INSN, "at +%u: %s", at, what);
}

/* Instructions that are tied to their place or say that this isn't an ordinary function. */
static int is_refused(const ZydisDecodedInstruction *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
    case ZYDIS_MNEMONIC_XBEGIN:
    case ZYDIS_MNEMONIC_SYSCALL:
    case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        return 1;
    default:
        break;
    }
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_UINTR:
        return 1;
    default:
        return i->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

static int ends_flow(const ZydisDecodedInstruction *i)
{
    return i->meta.category == ZYDIS_CATEGORY_RET ||
           (i->mnemonic == ZYDIS_MNEMONIC_JMP && !i->raw.imm[0].is_relative);
}

static int classify_branch(struct work *k, const ZydisDecodedInstruction *i, struct insn *n)
{
    /* Without REX.W, AMD's processors take 66 for a 16-bit target, Intel's ignore it. */
    if ((i->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !i->raw.rex.W)
        return cant_move(k, n->at, "a branch with an operand size");
    if (i->raw.imm[0].size != 8 && i->raw.imm[0].size != 32)
        return cant_move(k, n->at, "a branch of 16 bits");
    n->field = i->raw.imm[0].offset;
    n->target = k->w->patch_vaddr + n->at + n->bytes + (uint64_t)i->raw.imm[0].value.s;
    if (i->meta.category == ZYDIS_CATEGORY_CALL)
        n->kind = KIND_CALL;
    else if (i->meta.category == ZYDIS_CATEGORY_UNCOND_BR)
        n->kind = KIND_JUMP;
    else if (i->meta.category == ZYDIS_CATEGORY_COND_BR)
        n->kind = KIND_BRANCH;
    else
        return cant_move(k, n->at, "an unknown branch");
    if (i->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT && i->raw.imm[0].size == 8)
        return cant_move(k, n->at, "an unknown branch");
    return 0;
}

/* Operands relative to the instruction pointer: ModRM mod 00, rm 101 in 64-bit mode, in all
 * encodings (SDM volume 2, 2.2.1.6). */
static int classify_operands(struct work *k, const ZydisDecodedInstruction *i,
                             const ZydisDecodedOperand *operands, struct insn *n)
{
    for (unsigned o = 0; o < i->operand_count; o++) {
        if (operands[o].type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        if (operands[o].mem.base == ZYDIS_REGISTER_EIP)
            return cant_move(k, n->at, "an address relative to eip");
        if (operands[o].mem.base != ZYDIS_REGISTER_RIP)
            continue;
        if (i->raw.disp.size != 32 || i->raw.disp.offset + 4u > n->bytes)
            return cant_move(k, n->at, "an unknown form of address");
        n->kind = KIND_DATA;
        n->field = i->raw.disp.offset;
        n->target = k->w->patch_vaddr + n->at + n->bytes + (uint64_t)i->raw.disp.value;
    }
    if ((i->attributes & ZYDIS_ATTRIB_IS_RELATIVE) && n->kind == KIND_PLAIN)
        return cant_move(k, n->at, "an unknown relative operand");
    return 0;
}

/* call r/m64, which becomes a jump by the same operand when the stack is 8 bytes lower: no operand
 * may be on it. */
static int classify_call(struct work *k, const ZydisDecodedInstruction *i,
                         const ZydisDecodedOperand *operand, struct insn *n)
{
    ZydisRegister r =
        operand->type == ZYDIS_OPERAND_TYPE_MEMORY ? operand->mem.base : operand->reg.value;

    if (i->raw.modrm.offset == 0 || i->raw.modrm.reg != 2)
        return cant_move(k, n->at, "an unknown form of call");
    if (r == ZYDIS_REGISTER_RSP || r == ZYDIS_REGISTER_ESP)
        return cant_move(k, n->at, "a call by a pointer on the stack");
    n->modrm = i->raw.modrm.offset;
    return 0;
}

static int decode_one(struct work *k, const ZydisDecoder *decoder, struct insn *n, int *ret_ends)
{
    ZydisDecodedInstruction i;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZyanStatus status =
        ZydisDecoderDecodeFull(decoder, k->code + n->at, k->bytes - n->at, &i, operands);

    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return cant_move(k, n->at, "an instruction is cut by the function's end");
    if (!ZYAN_SUCCESS(status))
        return cant_move(k, n->at, "no known instruction");
    n->bytes = i.length;
    if (is_refused(&i))
        return cant_move(k, n->at, ZydisMnemonicGetString(i.mnemonic));
    *ret_ends = ends_flow(&i);
    if (i.raw.imm[0].is_relative)
        return classify_branch(k, &i, n);
    if (i.meta.category == ZYDIS_CATEGORY_CALL && classify_call(k, &i, &operands[0], n) < 0)
        return -1;
    return classify_operands(k, &i, operands, n);
}

static int too_short(struct work *k)
{
    return refuse(k, TC_R_TOO_SHORT, "%llu bytes",
                  (unsigned long long)(k->bytes + k->w->patch_vaddr - k->w->entry_vaddr));
}

/* The function has ended: the rest of the jump goes over what assemblers pad with. */
static int take_padding(struct work *k, const ZydisDecoder *decoder)
{
    uint64_t at = k->bytes, end = k->bytes + k->after;

    while (at < k->jump_bytes) {
        ZydisDecodedInstruction i;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, k->code + at, end - at, &i)))
            return too_short(k);
        if (i.mnemonic != ZYDIS_MNEMONIC_NOP && i.mnemonic != ZYDIS_MNEMONIC_INT3)
            return too_short(k);
        at += i.length;
    }
    k->w->window_bytes = k->jump_bytes;
    return 0;
}

static int choose(struct work *k)
{
    ZydisDecoder decoder;
    int ends = 0;

    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return cant_move(k, 0, "no decoder");
    while (k->w->window_bytes < k->jump_bytes) {
        struct insn *n = &k->insns[k->count];
        *n = (struct insn){.at = k->w->window_bytes};
        if (n->at == k->bytes) {
            if (!ends && (k->count == 0 || k->insns[k->count - 1].kind != KIND_JUMP))
                return too_short(k);
            if (take_padding(k, &decoder) < 0)
                return -1;
            break;
        }
        /* What follows in the window could only be reached by a branch that nobody sees. */
        if (ends)
            return cant_move(k, k->insns[k->count - 1].at, "the function ends inside the window");
        if (decode_one(k, &decoder, n, &ends) < 0)
            return -1;
        k->w->window_bytes += n->bytes;
        k->count++;
    }
    memcpy(k->w->window, k->code, k->w->window_bytes);
    return 0;
}

static int inside(const struct work *k, uint64_t target)
{
    return target - k->w->patch_vaddr < k->w->window_bytes;
}

static int check_target(struct work *k, const struct insn *n)
{
    uint64_t next = k->w->patch_vaddr + n->at + n->bytes;

    if (n->kind == KIND_CALL) {
        /* `call next; pop` reads its own address. A call of the entry is recursion. */
        if (n->target == next || (inside(k, n->target) && n->target != k->w->patch_vaddr))
            return cant_move(k, n->at, "call of an instruction nearby");
        return 0;
    }
    if (n->target == k->w->patch_vaddr || n->target == k->w->entry_vaddr)
        return refuse(k, TC_R_BRANCH_TO_ENTRY, "from +%u", n->at);
    if (!inside(k, n->target))
        return 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->w->patch_vaddr + k->insns[i].at == n->target)
            return 0;
    }
    return refuse(k, TC_R_BRANCH_INTO_WINDOW, "from +%u into the middle of an instruction", n->at);
}

static int is_call(const struct insn *n)
{
    return n->kind == KIND_CALL || n->modrm != 0;
}

/* Where each instruction goes, and how long it becomes: all branches get 32-bit displacements. */
static int lay_out(struct work *k)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < k->count; i++) {
        struct insn *n = &k->insns[i];
        int is_branch = n->kind == KIND_JUMP || n->kind == KIND_BRANCH || n->kind == KIND_CALL;
        if (is_branch && check_target(k, n) < 0)
            return -1;
        /* It would return into the patch. */
        if (is_call(n) && n->at + n->bytes != k->w->window_bytes)
            return cant_move(k, n->at, "a call that returns into the window");
        n->new_at = at;
        n->new_bytes = n->bytes;
        if (is_call(n))
            n->new_bytes = RETURN_BYTES + (n->kind == KIND_CALL ? JUMP_BYTES : n->bytes);
        else if (is_branch && n->bytes - n->field == 1)
            n->new_bytes = n->field - 1 + (n->kind == KIND_JUMP ? 1u : 2u) + 4;
        at += n->new_bytes;
    }
    k->w->moved_bytes = at;
    return 0;
}

static void put32(unsigned char *at, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    memcpy(at, &low, sizeof low);
}

static void add_fixup(struct tc_window *w, uint32_t at, uint32_t tail, uint64_t target)
{
    w->fixups[w->fixup_count++] = (struct tc_fixup){
        .at = (uint16_t)at, .kind = TC_FIX_REL32, .tail = (uint8_t)tail, .target_vaddr = target};
    put32(w->moved + at, 0);
}

/* Copies the instruction, widened where it is short; returns where its displacement lies now. */
static uint32_t copy_insn(const struct work *k, const struct insn *n)
{
    unsigned char *to = k->w->moved + n->new_at;
    const unsigned char *from = k->code + n->at;

    if (n->new_bytes == n->bytes) {
        memcpy(to, from, n->bytes);
        return n->field;
    }
    uint32_t prefixes = n->field - 1;
    memcpy(to, from, prefixes);
    if (n->kind == KIND_JUMP) {
        to[prefixes] = 0xe9;
    } else {
        to[prefixes] = 0x0f;
        to[prefixes + 1] = (unsigned char)(0x80 | (from[prefixes] & 0x0f));
    }
    return n->new_bytes - 4;
}

/* A call, as the original's return address and a jump. Returns where the displacement lies now. */
static uint32_t copy_call(struct work *k, const struct insn *n)
{
    struct tc_window *w = k->w;
    unsigned char *to = w->moved + n->new_at;

    memcpy(to, push_return, RETURN_BYTES);
    add_fixup(w, n->new_at + RETURN_FIELD, 0, w->patch_vaddr + n->at + n->bytes);
    if (n->kind == KIND_CALL) {
        to[RETURN_BYTES] = 0xe9;
        return RETURN_BYTES + 1;
    }
    memcpy(to + RETURN_BYTES, k->code + n->at, n->bytes);
    /* ff /2, a call, becomes ff /4, a jump: 2 and 4 differ by 6. */
    to[RETURN_BYTES + n->modrm] ^= 6 << 3;
    return RETURN_BYTES + n->field;
}

static uint32_t moved_offset(const struct work *k, uint64_t target)
{
    for (uint32_t i = 0; i < k->count; i++) {
        if (k->w->patch_vaddr + k->insns[i].at == target)
            return k->insns[i].new_at;
    }
    return k->w->moved_bytes;
}

static void emit(struct work *k)
{
    struct tc_window *w = k->w;

    for (uint32_t i = 0; i < k->count; i++) {
        const struct insn *n = &k->insns[i];
        uint32_t field = is_call(n) ? copy_call(k, n) : copy_insn(k, n);
        uint32_t end = n->new_at + n->new_bytes;
        if (n->kind == KIND_PLAIN)
            continue;
        if ((n->kind == KIND_JUMP || n->kind == KIND_BRANCH) && inside(k, n->target))
            put32(w->moved + n->new_at + field, moved_offset(k, n->target) - (uint64_t)end);
        else
            add_fixup(w, n->new_at + field, n->new_bytes - field - 4, n->target);
    }
    w->moved[w->moved_bytes] = 0xe9;
    add_fixup(w, w->moved_bytes + 1, 0, w->patch_vaddr + w->window_bytes);
    w->moved_bytes += JUMP_BYTES;
}

int tc_x86_is_pad(const unsigned char *front)
{
    for (unsigned i = 0; i < TC_PAD_NEEDED; i++)
        if (front[i] != 0x90)
            return 0;
    return 1;
}

void tc_x86_move(const struct tc_code *function, int is_short, struct tc_window *ret)
{
    static const unsigned char endbr64[ENDBR_BYTES] = {0xf3, 0x0f, 0x1e, 0xfa};
    struct work k = {.w = ret,
                     .code = function->at,
                     .bytes = function->bytes,
                     .after = function->after,
                     .jump_bytes = is_short ? SHORT_BYTES : JUMP_BYTES};

    *ret = (struct tc_window){.entry_vaddr = function->vaddr, .patch_vaddr = function->vaddr};
    if (k.bytes >= ENDBR_BYTES && memcmp(k.code, endbr64, ENDBR_BYTES) == 0) {
        k.code += ENDBR_BYTES;
        k.bytes -= ENDBR_BYTES;
        ret->patch_vaddr += ENDBR_BYTES;
    }
    if (choose(&k) == 0 && lay_out(&k) == 0)
        emit(&k);
}
