#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "preload/arch/arch.h"

#define OFFSET_IS(field, n) \
    _Static_assert(offsetof(struct tc_frame, field) == (n), "stub.S: " #field)
OFFSET_IS(rax, 0);
OFFSET_IS(rdi, 32);
OFFSET_IS(r11, 64);
OFFSET_IS(hook, 72);
OFFSET_IS(entry, 80);
OFFSET_IS(original, 88);
OFFSET_IS(call_stack, 96);
OFFSET_IS(copy_eightbytes, 104);
OFFSET_IS(x87_count, 120);
OFFSET_IS(xmm, 128);
OFFSET_IS(result, 512);
_Static_assert(sizeof(struct tc_frame) == 576, "stub.S: F_BYTES");

extern void tc_common(void) __attribute__((visibility("hidden")));
extern void tc_notify_stub(void) __attribute__((visibility("hidden")));

static const unsigned char endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};

enum {
    NEAR_STUB_BYTES = 16, /* push imm32 (5), jmp *disp32(%rip) (6), padding */
    CELL_BYTES = 8,       /* the address that the jump reads */
    NOTIFIER_BYTES = 16,  /* endbr64, jmp *disp32(%rip), padding */
};

size_t tc_arch_slab_bytes(size_t moved_bytes)
{
    return NEAR_STUB_BYTES + CELL_BYTES + ((sizeof endbr64 + moved_bytes + 15) & ~(size_t)15) + 8;
}

static unsigned char *reserve(struct tc_slab *slab, size_t bytes)
{
    unsigned char *at;

    if (slab->bytes - slab->used < bytes)
        return NULL;
    at = slab->memory + slab->used;
    slab->used += bytes;
    return at;
}

static int rel32(uint64_t from_next, uint64_t to, int32_t *ret)
{
    int64_t d = (int64_t)(to - from_next);

    if (d < INT32_MIN || d > INT32_MAX)
        return -ERANGE;
    *ret = (int32_t)d;
    return 0;
}

/* The address to jump to, then `jmp *cell(%rip)` at `code`. */
static void jump_by_cell(unsigned char *code, unsigned char *cell, void (*target)(void))
{
    uint64_t address = (uint64_t)(uintptr_t)target;
    int32_t d = (int32_t)(cell - (code + 6));

    memcpy(cell, &address, sizeof address);
    code[0] = 0xff;
    code[1] = 0x25;
    memcpy(code + 2, &d, sizeof d);
}

static int apply_fixup(unsigned char *moved, const struct tc_fixup *f, uint64_t base)
{
    uint64_t next = (uint64_t)(uintptr_t)moved + f->at + 4u + f->tail;
    int32_t d;
    int r = f->kind == TC_FIX_REL32 ? rel32(next, base + f->target_vaddr, &d) : -ERANGE;

    if (r < 0)
        return r;
    memcpy(moved + f->at, &d, sizeof d);
    return 0;
}

int tc_arch_build(struct tc_slab *slab, uint32_t index, const struct tc_plan *plan,
                  const struct tc_fixup *fixups, uint32_t fixup_count, uint64_t base,
                  uint64_t *ret_stub, uint64_t *ret_original)
{
    unsigned char *stub = reserve(slab, tc_arch_slab_bytes(plan->moved_bytes)), *cell, *moved;

    if (stub == NULL)
        return -ENOSPC;
    cell = stub + NEAR_STUB_BYTES;
    stub[0] = 0x68; /* push imm32 */
    memcpy(stub + 1, &index, 4);
    jump_by_cell(stub + 5, cell, tc_common);

    moved = cell + CELL_BYTES;
    memcpy(moved, endbr64, sizeof endbr64); /* reached by indirect jumps */
    moved += sizeof endbr64;
    memcpy(moved, plan->moved, plan->moved_bytes);
    for (uint32_t i = 0; i < fixup_count; i++) {
        int r = apply_fixup(moved, &fixups[i], base);
        if (r < 0)
            return r;
    }
    *ret_stub = (uint64_t)(uintptr_t)stub;
    *ret_original = (uint64_t)(uintptr_t)(moved - sizeof endbr64);
    return 0;
}

int tc_arch_build_notifier(struct tc_slab *slab, uint64_t *ret_stub)
{
    unsigned char *stub = reserve(slab, NOTIFIER_BYTES + CELL_BYTES);

    if (stub == NULL)
        return -ENOSPC;
    memcpy(stub, endbr64, sizeof endbr64);
    jump_by_cell(stub + sizeof endbr64, stub + NOTIFIER_BYTES, tc_notify_stub);
    *ret_stub = (uint64_t)(uintptr_t)stub;
    return 0;
}

/* endbr64; push $index; jmp *common */
int tc_arch_build_indirect(struct tc_slab *slab, uint32_t index, uint64_t *ret_stub)
{
    unsigned char *stub = reserve(slab, NEAR_STUB_BYTES + CELL_BYTES);

    if (stub == NULL)
        return -ENOSPC;
    memcpy(stub, endbr64, sizeof endbr64);
    stub[4] = 0x68;
    memcpy(stub + 5, &index, 4);
    jump_by_cell(stub + 9, stub + NEAR_STUB_BYTES, tc_common);
    *ret_stub = (uint64_t)(uintptr_t)stub;
    return 0;
}

/* endbr64; mov $index, %edi; jmp *tc_choose: resolvers take no arguments (elf_ifunc_invoke() in
 * glibc's sysdeps/x86_64). */
int tc_arch_build_chooser(struct tc_slab *slab, uint32_t index, uint64_t *ret_chooser)
{
    unsigned char *code = reserve(slab, NEAR_STUB_BYTES + CELL_BYTES);

    if (code == NULL)
        return -ENOSPC;
    memcpy(code, endbr64, sizeof endbr64);
    code[4] = 0xbf;
    memcpy(code + 5, &index, 4);
    jump_by_cell(code + 9, code + NEAR_STUB_BYTES, (void (*)(void))tc_choose);
    *ret_chooser = (uint64_t)(uintptr_t)code;
    return 0;
}

enum tc_arch_binding tc_arch_binding(uint32_t type)
{
    switch (type) {
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_64:
        return TC_BINDING_SYMBOL;
    case R_X86_64_IRELATIVE:
        return TC_BINDING_CHOICE;
    default:
        return TC_BINDING_NONE;
    }
}

/* A procedure linkage table's entry: [endbr64] push imm32; [bnd] jmp rel32 (psABI, 5.2). */
int tc_arch_is_lazy(const unsigned char *code)
{
    if (memcmp(code, endbr64, sizeof endbr64) == 0)
        code += sizeof endbr64;
    return code[0] == 0x68 && (code[5] == 0xe9 || (code[5] == 0xf2 && code[6] == 0xe9));
}

/* [endbr64] [bnd] jmp *disp32(%rip) (psABI, 5.2). */
uint64_t tc_arch_passes_on(uint64_t at, const unsigned char code[TC_ARCH_PASSES_BYTES])
{
    uint32_t n = 0;
    int32_t disp;

    if (memcmp(code, endbr64, sizeof endbr64) == 0)
        n += sizeof endbr64;
    n += code[n] == 0xf2;
    if (code[n] != 0xff || code[n + 1] != 0x25)
        return 0;
    memcpy(&disp, code + n + 2, sizeof disp);
    return at + n + 6 + (uint64_t)(int64_t)disp;
}

int tc_arch_jump(uint64_t from, uint64_t to, unsigned char ret_bytes[8])
{
    int32_t d;
    int r = rel32(from + 5, to, &d);

    if (r < 0)
        return r;
    ret_bytes[0] = 0xe9;
    memcpy(ret_bytes + 1, &d, sizeof d);
    return 5;
}

int tc_arch_short_jump(uint64_t from, uint64_t to, unsigned char ret_bytes[8])
{
    int64_t d = (int64_t)(to - (from + 2));

    if (d < INT8_MIN || d > INT8_MAX)
        return -ERANGE;
    ret_bytes[0] = 0xeb;
    ret_bytes[1] = (unsigned char)d;
    return 2;
}

int tc_arch_is_pad(const unsigned char *code)
{
    for (unsigned i = 0; i < TC_PAD_BYTES; i++)
        if (code[i] != 0x90)
            return 0;
    return 1;
}

/* Length of the NOP at `p` (Intel SDM, NOP: recommended multi-byte sequences, with the operand-size
 * prefixes and the cs override that assemblers put in front), or 0. int3 pads too. */
static size_t nop_bytes(const unsigned char *p, size_t left)
{
    size_t prefixes = 0;

    if (left >= 1 && (p[0] == 0x90 || p[0] == 0xcc))
        return 1;
    while (prefixes < left && (p[prefixes] == 0x66 || p[prefixes] == 0x2e))
        prefixes++;
    p += prefixes;
    left -= prefixes;
    if (left >= 1 && p[0] == 0x90)
        return prefixes + 1;
    if (left < 3 || p[0] != 0x0f || p[1] != 0x1f)
        return 0;
    switch (p[2]) {
    case 0x00:
        return prefixes + 3;
    case 0x40:
        return left >= 4 ? prefixes + 4 : 0;
    case 0x44:
        return left >= 5 ? prefixes + 5 : 0;
    case 0x80:
        return left >= 7 ? prefixes + 7 : 0;
    case 0x84:
        return left >= 8 ? prefixes + 8 : 0;
    default:
        return 0;
    }
}

int tc_arch_is_empty_function(const unsigned char *code, size_t bytes, size_t *ret_offset)
{
    size_t at = 0, jump = 5, end;

    if (bytes >= sizeof endbr64 && memcmp(code, endbr64, sizeof endbr64) == 0)
        at = sizeof endbr64;
    if (at >= bytes || code[at] != 0xc3)
        return 0;
    end = at + 1;
    while (end < at + jump) {
        size_t n = end < bytes ? nop_bytes(code + end, bytes - end) : 0;
        if (n == 0)
            return 0;
        end += n;
    }
    *ret_offset = at;
    return 1;
}

/* Nothing else in here touches these registers: the compiler is told not to (meson.build). A
 * store of ten bytes and a load change no value, a signalling NaN neither. */
__attribute__((noinline)) void tc_arch_x87_peek(uint64_t *ret, uint32_t count)
{
    memset(ret, 0, count * 16u);
    if (count == 2)
        __asm__ volatile("fstpt (%0)\n\tfstpt 16(%0)\n\tfldt 16(%0)\n\tfldt (%0)"
                         :
                         : "r"(ret)
                         : "memory");
    else
        __asm__ volatile("fstpt (%0)\n\tfldt (%0)" : : "r"(ret) : "memory");
}

void tc_arch_fp_control(unsigned char ret[TC_FP_CONTROL_BYTES])
{
    uint64_t word = tc_arch_fp_word();

    memcpy(ret, &word, TC_FP_CONTROL_BYTES);
}

uint64_t tc_arch_thread_pointer(void)
{
    uint64_t p;

    __asm__("movq %%fs:0, %0" : "=r"(p)); /* variant II of thread-local storage: points at itself */
    return p;
}
