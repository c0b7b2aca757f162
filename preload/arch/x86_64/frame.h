/*
 * The registers at a task's entry, as the stub saves them, and what the stub needs back. Offsets
 * are repeated in stub.S and checked in arch.c. Registers that calls preserve by the psABI stay
 * where they are.
 */
#ifndef TC_PRELOAD_FRAME_H
#define TC_PRELOAD_FRAME_H

#include <stdint.h>

#define TC_IMAGE_WORDS 16u /* six general registers and eight vector ones */

struct tc_frame {
    /* rax and r10 are inputs too (psABI: count of vector registers; static chain). */
    uint64_t rax, rdx, rcx, rsi, rdi, r8, r9, r10, r11;
    uint64_t hook;            /* index, set by the stub */
    uint64_t entry;           /* stack pointer at the entry: it points at the return address */
    uint64_t original;        /* where to go on, set by tc_enter() */
    uint64_t call_stack;      /* TC_ACTION_CALL: stack pointer before the call */
    uint64_t copy_eightbytes; /* TC_ACTION_CALL: how many to copy from entry + 8 */
    uint64_t serial;          /* of the open call (context.h) */
    uint64_t x87_count;       /* TC_ACTION_RETURN: long doubles of `result` to load */
    uint64_t xmm[16][2];
    /* Arguments with members that came in registers, as they would be in memory. */
    uint64_t image[TC_IMAGE_WORDS];
    uint64_t result[4]; /* likewise; of x87's registers 16 bytes each */
    uint64_t pad[4];
};

/* What is in x87's registers, which stays there: `count` of st0 and st1, 16 bytes each. */
void tc_arch_x87_peek(uint64_t *ret, uint32_t count);

/* See tc_arch_fp_control(): the same in one word. */
static inline uint64_t tc_arch_fp_word(void)
{
    uint32_t mxcsr;
    uint16_t x87;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return (mxcsr & 0xffc0u) | (uint64_t)x87 << 32; /* no exception flags, which are results */
}

/* Puts `v` where 0 is, and says whether it was. One instruction: what interrupts it is a handler on
 * the same thread, never another thread, as nobody else writes there. So it needs no lock. */
static inline int tc_arch_claim(uint64_t *word, uint64_t v)
{
    uint64_t was = 0;

    if (__atomic_load_n(word, __ATOMIC_RELAXED) != 0)
        return 0;
    __asm__ volatile("cmpxchgq %2, %1" : "+a"(was), "+m"(*word) : "r"(v) : "memory", "cc");
    return was == 0;
}

#endif
