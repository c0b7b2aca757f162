/*
 * Expressions of the prototype language, compiled: extents, `skip:`, `success:`. The service
 * compiles, the target evaluates.
 *
 * A program is a run of instructions in the config's code table. It works on a stack of 64-bit
 * values; jumps go forward only, so that every program ends. Values are signed; addresses are
 * values too, and so are the bits of doubles, which TC_OP_F32_TO_F64, _F64_BOOL and _F64_COMPARE
 * know: a program's result is never one. Any of overflow, division by zero, an address that is NULL
 * or (while a task is on probation) unreadable ends it with -ERANGE / -EDOM / -EFAULT: the call is
 * a bypass, `bad-extent`.
 *
 * Evaluation is freestanding and async-signal-safe; it reads the host's memory where TC_OP_LOAD
 * says so.
 */
#ifndef TC_CACHE_EXPR_H
#define TC_CACHE_EXPR_H

#include <stddef.h>
#include <stdint.h>

#define TC_NO_EXPR      0xffffffffu
#define TC_EXPR_STACK   24 /* deepest stack that the compiler may emit */
#define TC_EXPR_MAX_OLD 16 /* old(e) of one task */

enum tc_op {
    TC_OP_PUSH = 1, /* imm */
    TC_OP_ARG,      /* parameter `arg`, widened by its declared type (a pointer: its address) */
    TC_OP_RETURN,   /* the result, widened by its declared type */
    TC_OP_OLD,      /* the value saved before the call by old-program `arg` */
    TC_OP_LOAD,     /* pop address; push the value there, of scalar type `type` */
    TC_OP_STRLEN,   /* pop address; push the string's length */
    TC_OP_NEG,
    TC_OP_NOT, /* logical */
    TC_OP_ADD,
    TC_OP_SUB,
    TC_OP_MUL,
    TC_OP_DIV,
    TC_OP_MOD,
    TC_OP_EQ,
    TC_OP_NE,
    TC_OP_LT,
    TC_OP_LE,
    TC_OP_GT,
    TC_OP_GE,
    TC_OP_MIN,
    TC_OP_MAX,
    TC_OP_BOOL, /* pop; push 0 or 1 */
    TC_OP_JZ,   /* pop; if zero skip the next `arg` instructions */
    TC_OP_JNZ,  /* pop; if not zero skip the next `arg` instructions */
    TC_OP_JUMP, /* skip the next `arg` instructions */
    TC_OP_END,  /* the top of the stack is the result */
    /* Behind the others: numbers are part of the flat file. */
    TC_OP_F32_TO_F64,  /* pop a float's bits (the low 32); push the same double's */
    TC_OP_F64_BOOL,    /* pop a double; push 0 or 1 */
    TC_OP_F64_COMPARE, /* pop two, doubles but for what `arg` says; push 0 or 1: is their relation
                          among those of `arg` (enum tc_relation, cache/f64.h)? */
    TC_OP_BITS, /* pop address; push the bit-field there of scalar type `type`: `arg` is its first
                   bit (0..7) and, from bit 8 on, its width (1..64) */
};

/* Scalar types, of parameters, elements, results and loads. */
enum tc_scalar {
    TC_VOID = 0,
    TC_I8,
    TC_I16,
    TC_I32,
    TC_I64,
    TC_U8,
    TC_U16,
    TC_U32,
    TC_U64,
    TC_BOOL,
    TC_F32,
    TC_F64,
    TC_PTR,
    /* No register holds one: parameters and results of these types have a layout (cache/task.h). */
    TC_I128,
    TC_U128,
    TC_F80,     /* 10 bytes in a place of 16 */
    TC_MEMBERS, /* a struct, a complex number, or one of the three above */
};

static inline uint32_t tc_scalar_bytes(uint8_t t)
{
    static const uint8_t bytes[] = {0, 1, 2, 4, 8, 1, 2, 4, 8, 1, 4, 8, 8, 16, 16, 16};
    return t < sizeof bytes ? bytes[t] : 0;
}

/* Those that count: the padding of a long double doesn't. */
static inline uint32_t tc_scalar_value_bytes(uint8_t t)
{
    return t == TC_F80 ? 10 : tc_scalar_bytes(t);
}

struct tc_insn {
    uint8_t op;   /* enum tc_op */
    uint8_t type; /* enum tc_scalar, TC_OP_LOAD */
    uint16_t arg; /* parameter, old-program, jump or relations */
    uint32_t pad;
    int64_t imm;
};

/* What a program may see. `arg` and `result` are raw 64-bit register images; `arg_type[i]` says how
 * to widen them. */
struct tc_expr_env {
    const struct tc_insn *code; /* the task's code table */
    uint32_t code_count;
    const uint64_t *arg;
    const uint8_t *arg_type;
    uint32_t arg_count;
    uint64_t result;
    uint8_t result_type; /* TC_VOID: none, or not known yet */
    const int64_t *old;
    uint32_t old_count;
    /* Says whether `bytes` at `address` may be read, 0 or -EFAULT. NULL: read without asking. */
    int (*readable)(void *ctx, uint64_t address, uint64_t bytes);
    void *ctx;
};

/* Runs the program that starts at instruction `first`. */
int tc_expr_eval(const struct tc_expr_env *env, uint32_t first, int64_t *ret);

/* Widens a raw register image. */
int64_t tc_widen(uint64_t raw, uint8_t type);

/* Is every program in the table well-formed: known ops, jumps inside and forward, stack never below
 * 0 or above TC_EXPR_STACK? Done once when a config is mapped, so that evaluation needs no checks
 * of its own. 0 or -EBADMSG. */
int tc_expr_verify(const struct tc_insn *code, uint32_t count, uint32_t first, uint32_t arg_count,
                   uint32_t old_count);

#endif
