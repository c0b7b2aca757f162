/*
 * What the resolver needs to know of a processor's machine code: how to take the entry of a
 * function out of the way, and where branches go. One struct of operations per processor; nothing
 * else in the resolver looks at instructions.
 *
 * Host code; pure functions of the bytes they are given; any thread.
 */
#ifndef TC_SERVICE_RESOLVE_ARCH_H
#define TC_SERVICE_RESOLVE_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"
#include "cache/reason.h"
#include "service/resolve/insn.h"

#define TC_WINDOW_FIXUPS 16u
#define TC_PAD_NEEDED \
    (TC_PAD_BYTES + 4u) /* the function in front may need 4 bytes of the same padding */

/* Code of the object at its own address. */
struct tc_code {
    const unsigned char *at;
    size_t bytes;
    uint64_t vaddr;
    size_t after; /* bytes behind them, up to 16, in which no other code is known to begin */
};

/* The bytes at a function's entry that the jump to the runtime replaces, and what runs instead of
 * them when the function itself is wanted. With a `reason` only `detail` and what was found before
 * is valid. */
struct tc_window {
    uint32_t reason; /* enum tc_reason, 0: hookable */
    char detail[96];
    uint64_t entry_vaddr; /* of the function; the patch lies here or behind a landing pad */
    uint64_t patch_vaddr;
    uint32_t window_bytes, moved_bytes, fixup_count;
    unsigned char window[TC_MAX_WINDOW];
    unsigned char moved[TC_MAX_MOVED];
    struct tc_fixup fixups[TC_WINDOW_FIXUPS];
};

/* A place that reads as a direct branch, whether or not an instruction begins there. */
struct tc_branch {
    uint64_t field; /* address of the displacement */
    uint64_t target;
    unsigned is_call; /* pushes a return address: a call of the entry is a call, not a loop */
};

typedef void tc_branch_seen(void *arg, const struct tc_branch *b);

/* Where an argument came from: a register of the calling convention, or a stack slot. */
enum tc_origin {
    TC_ORIGIN_INT = 0, /* + number of the integer register */
    TC_ORIGIN_SSE = 16,
    TC_ORIGIN_STACK = 32, /* + eightbyte above the return address */
    TC_ORIGIN_NONE = 255,
};
#define TC_ORIGIN_SLOTS    64

/* What a function does before its first branch or call. Addresses count from the CFA, which is the
 * address of stack slot 0. */
#define TC_PROLOGUE_STORES 96u
#define TC_PROLOGUE_RSP    32u
struct tc_prologue_store {
    int64_t address;
    uint8_t origin; /* enum tc_origin of what is put there first */
};
struct tc_prologue {
    struct tc_prologue_store stores[TC_PROLOGUE_STORES];
    uint32_t store_count, rsp_count;
    int64_t rsp[TC_PROLOGUE_RSP]; /* all values that the stack pointer takes */
    int64_t rbp;
    int has_rbp; /* it is a frame pointer */
};

struct tc_arch {
    uint16_t machine; /* e_machine */
    /* Chooses and moves the window of the function whose code is `function`, for a jump to anywhere
     * near, or for a short one into the padding in front of it. */
    void (*move)(const struct tc_code *function, int is_short, struct tc_window *ret);
    /* Can the bytes in front of an entry, TC_PAD_NEEDED of them, take a jump? */
    int (*is_pad)(const unsigned char *front);
    /* Calls `seen` for every place in `code`, aligned to instructions or not, that as a branch
     * would go to [low, high). */
    void (*branches)(const struct tc_code *code, uint64_t low, uint64_t high, tc_branch_seen *seen,
                     void *arg);
    /* Decoding from the start of `code`, is `field` the displacement of a branch? 1, 0; 1 also when
     * that can't be told. */
    int (*is_branch)(const struct tc_code *code, uint64_t field);
    void (*prologue)(const struct tc_code *function, struct tc_prologue *ret);
    /* Does the function read the register of an argument (enum tc_origin) before it writes it? 1
     * also when that can't be told. A callee may read what is left in it: `calls` says whether that
     * counts. */
    int (*reads_argument)(const struct tc_code *function, uint8_t origin, int calls);
    /* Does the code behind a call read the result before it writes the register? 0: it doesn't, or
     * that can't be told. */
    int (*reads_result)(const struct tc_code *after, int in_sse);
    /* Does an instruction in `code` make the address, other than to call it? */
    int (*takes_address)(const struct tc_code *code, uint64_t vaddr, int absolute);
    /* For the source hash. `absolute`: fields of 32 bits may hold addresses (ET_EXEC). -1: no
     * instruction. */
    int (*decode)(const struct tc_code *code, size_t offset, int absolute,
                  struct tc_instruction *ret);
    /* Where a stub of the procedure linkage table jumps through; 0: that isn't one. */
    uint64_t (*linkage_slot)(const struct tc_code *code);
    /* The address that an instruction makes, other than to branch to it or to load from it; 0. */
    uint64_t (*taken)(const struct tc_code *code, size_t offset, int absolute, size_t *ret_bytes);
    /* The same of the next place behind `*offset`, aligned to instructions or not, that as one
     * would do so in position-independent code; `*offset` is then its end. 0: there are no more. */
    uint64_t (*maybe_taken)(const struct tc_code *code, size_t *offset);
    /* enum tc_relocation (source_map.h) of the processor's number, and how many bytes it is about.
     */
    uint8_t (*relocation)(uint32_t type, uint16_t *ret_bytes);
    struct tc_call_registers call_registers;
};

extern const struct tc_arch tc_arch_x86_64;

/* The operations for an e_machine; NULL. */
const struct tc_arch *tc_arch_for(uint16_t machine);

#endif
