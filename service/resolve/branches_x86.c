/*
 * x86-64: finds direct branches (struct tc_arch's `branches` and `is_branch`). First every byte
 * that could be one, which is fast, then, for the few that matter, whether decoding the function
 * around it really meets an instruction there.
 */
#include "service/resolve/arch.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>

#include "service/resolve/insn_x86.h"
#include "service/resolve/prologue_x86.h"
#include "service/resolve/relocate_x86.h"

/* If the bytes at `at` read as a direct branch: the offset of its displacement, else 0. SDM volume
 * 2, opcode maps: e8 e9 and 0f 80..8f take rel32, as does c7 f8 (xbegin); 70..7f eb e0..e3 take
 * rel8. */
static unsigned field_of(const unsigned char *at, size_t left, unsigned *ret_bytes)
{
    unsigned op = at[0];

    *ret_bytes = 4;
    if ((op & 0xfe) == 0xe8)
        return left >= 5 ? 1 : 0;
    if (op == 0x0f)
        return left >= 6 && (at[1] & 0xf0) == 0x80 ? 2 : 0;
    *ret_bytes = 1;
    if ((op & 0xf0) == 0x70 || op == 0xeb || (op & 0xfc) == 0xe0)
        return left >= 2 ? 1 : 0;
    *ret_bytes = 4;
    return op == 0xc7 && left >= 6 && at[1] == 0xf8 ? 2 : 0;
}

static uint64_t displacement(const unsigned char *field, unsigned bytes)
{
    int32_t value;

    if (bytes == 1)
        return (uint64_t)(int64_t)(int8_t)field[0];
    memcpy(&value, field, sizeof value);
    return (uint64_t)(int64_t)value;
}

static void branches(const struct tc_code *code, uint64_t low, uint64_t high, tc_branch_seen *seen,
                     void *arg)
{
    for (size_t i = 0; i < code->bytes; i++) {
        unsigned bytes, field = field_of(code->at + i, code->bytes - i, &bytes);
        if (field == 0)
            continue;
        struct tc_branch b = {.field = code->vaddr + i + field, .is_call = code->at[i] == 0xe8};
        b.target = b.field + bytes + displacement(code->at + i + field, bytes);
        if (b.target - low < high - low)
            seen(arg, &b);
    }
}

static int is_branch(const struct tc_code *code, uint64_t field)
{
    ZydisDecoder decoder;
    uint64_t at = 0, offset = field - code->vaddr;

    if (!ZYAN_SUCCESS(
            ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
        !ZYAN_SUCCESS(ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE)))
        return 1;
    while (at <= offset && at < code->bytes) {
        ZydisDecodedInstruction i;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, code->at + at, code->bytes - at, &i)))
            return 1;
        if (offset < at + i.length)
            return i.raw.imm[0].is_relative && at + i.raw.imm[0].offset == offset;
        at += i.length;
    }
    return 1;
}

const struct tc_arch tc_arch_x86_64 = {
    .machine = EM_X86_64,
    .move = tc_x86_move,
    .is_pad = tc_x86_is_pad,
    .branches = branches,
    .is_branch = is_branch,
    .prologue = tc_x86_prologue,
    .reads_argument = tc_x86_reads_argument,
    .reads_result = tc_x86_reads_result,
    .takes_address = tc_x86_takes_address,
    .decode = tc_x86_decode,
    .linkage_slot = tc_x86_linkage_slot,
    .taken = tc_x86_taken,
    .maybe_taken = tc_x86_maybe_taken,
    .relocation = tc_x86_relocation,
    /* rdi rsi rdx rcx r8 r9, r10 (static chain); rax rdx */
    .call_registers = {.arguments =
                           1u << 7 | 1u << 6 | 1u << 2 | 1u << 1 | 1u << 8 | 1u << 9 | 1u << 10,
                       .results = 1u << 0 | 1u << 2,
                       .overwritten = 1u << 0},
};
