#include "cache/expr.h"

#include <errno.h>

#include "cache/bits.h"
#include "cache/f64.h"

/* Nothing is ever mapped below (vm.mmap_min_addr): an index behind NULL stays here. */
#define LOWEST_ADDRESS 4096u
#define PAGE_BYTES     4096u

/* Jumps whose targets the verifier's walk has yet to reach; they nest, so that only a program that
 * nobody's compiler wrote has more. */
#define OPEN_JUMPS     160u

int64_t tc_widen(uint64_t raw, uint8_t type)
{
    switch (type) {
    case TC_I8:
        return (int8_t)raw;
    case TC_I16:
        return (int16_t)raw;
    case TC_I32:
        return (int32_t)raw;
    case TC_U8:
        return (uint8_t)raw;
    case TC_U16:
        return (uint16_t)raw;
    case TC_U32:
        return (uint32_t)raw;
    case TC_BOOL:
        return (uint8_t)raw != 0;
    default:
        return (int64_t)raw;
    }
}

/* A value of `type` at an address that may be unaligned. */
static int load(const struct tc_expr_env *env, uint64_t address, uint8_t type, int64_t *ret)
{
    uint32_t bytes = tc_scalar_bytes(type);
    uint64_t raw = 0;

    if (address < LOWEST_ADDRESS || bytes == 0 || bytes > sizeof raw)
        return -EFAULT;
    if (env->readable != NULL && env->readable(env->ctx, address, bytes) != 0)
        return -EFAULT;
    /* Little-endian: the low bytes of the image are the value's. */
    __builtin_memcpy(&raw, (const void *)(uintptr_t)address, bytes);
    *ret = tc_widen(raw, type);
    return 0;
}

static int load_bits(const struct tc_expr_env *env, uint64_t address, const struct tc_insn *in,
                     int64_t *ret)
{
    uint32_t first = in->arg & 7, bits = in->arg >> 8;
    uint32_t bytes = (first + bits + 7) / 8;

    if (!tc_bits_ok(first, bits, in->type))
        return -EBADMSG;
    if (address < LOWEST_ADDRESS)
        return -EFAULT;
    if (env->readable != NULL && env->readable(env->ctx, address, bytes) != 0)
        return -EFAULT;
    *ret = tc_widen(tc_bits_get((const unsigned char *)(uintptr_t)address, first, bits, in->type),
                    in->type);
    return 0;
}

static int string_length(const struct tc_expr_env *env, uint64_t address, int64_t *ret)
{
    /* volatile: a compiler that recognised the loop would call libc's strlen. */
    const volatile char *s = (const volatile char *)(uintptr_t)address;
    uint64_t known = 0; /* bytes that may be read */

    if (address < LOWEST_ADDRESS)
        return -EFAULT;
    for (uint64_t i = 0;; i++) {
        if (env->readable != NULL && i == known) {
            uint64_t rest = PAGE_BYTES - (address + i) % PAGE_BYTES;

            if (env->readable(env->ctx, address + i, rest) != 0)
                return -EFAULT;
            known += rest;
        }
        if (s[i] == 0) {
            *ret = (int64_t)i;
            return 0;
        }
    }
}

static int arithmetic(uint8_t op, int64_t a, int64_t b, int64_t *ret)
{
    switch (op) {
    case TC_OP_ADD:
        return __builtin_add_overflow(a, b, ret) ? -ERANGE : 0;
    case TC_OP_SUB:
        return __builtin_sub_overflow(a, b, ret) ? -ERANGE : 0;
    case TC_OP_MUL:
        return __builtin_mul_overflow(a, b, ret) ? -ERANGE : 0;
    default:
        break;
    }
    if (b == 0)
        return -EDOM;
    if (a == INT64_MIN && b == -1)
        return -ERANGE;
    *ret = op == TC_OP_DIV ? a / b : a % b;
    return 0;
}

static int64_t compare(uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case TC_OP_EQ:
        return a == b;
    case TC_OP_NE:
        return a != b;
    case TC_OP_LT:
        return a < b;
    case TC_OP_LE:
        return a <= b;
    case TC_OP_GT:
        return a > b;
    case TC_OP_GE:
        return a >= b;
    case TC_OP_MIN:
        return a < b ? a : b;
    default:
        return a > b ? a : b;
    }
}

static int64_t compare_f64(uint16_t asked, int64_t a, int64_t b)
{
    /* The relation of b to a, as one of a to b. */
    static const uint8_t mirrored[] = {
        [TC_REL_LESS] = TC_REL_GREATER,
        [TC_REL_EQUAL] = TC_REL_EQUAL,
        [TC_REL_GREATER] = TC_REL_LESS,
        [TC_REL_UNORDERED] = TC_REL_UNORDERED,
    };
    uint32_t is = asked & TC_REL_LEFT_INTEGER ? tc_f64_relation_int(a, (uint64_t)b)
                  : asked & TC_REL_RIGHT_INTEGER
                      ? mirrored[tc_f64_relation_int(b, (uint64_t)a)]
                      : (uint32_t)tc_f64_relation((uint64_t)a, (uint64_t)b);

    return (asked & is) != 0;
}

static int binary(const struct tc_insn *in, int64_t a, int64_t b, int64_t *ret)
{
    if (in->op >= TC_OP_ADD && in->op <= TC_OP_MOD)
        return arithmetic(in->op, a, b, ret);
    *ret = in->op == TC_OP_F64_COMPARE ? compare_f64(in->arg, a, b) : compare(in->op, a, b);
    return 0;
}

static int unary(const struct tc_expr_env *env, const struct tc_insn *in, int64_t *top)
{
    switch (in->op) {
    case TC_OP_LOAD:
        return load(env, (uint64_t)*top, in->type, top);
    case TC_OP_BITS:
        return load_bits(env, (uint64_t)*top, in, top);
    case TC_OP_STRLEN:
        return string_length(env, (uint64_t)*top, top);
    case TC_OP_NEG:
        return __builtin_sub_overflow((int64_t)0, *top, top) ? -ERANGE : 0;
    case TC_OP_NOT:
        *top = *top == 0;
        return 0;
    case TC_OP_F32_TO_F64:
        *top = (int64_t)tc_f64_from_f32((uint32_t)*top);
        return 0;
    case TC_OP_F64_BOOL:
        *top = tc_f64_is_true((uint64_t)*top);
        return 0;
    default:
        *top = *top != 0;
        return 0;
    }
}

static int push(const struct tc_expr_env *env, const struct tc_insn *in, int64_t *ret)
{
    switch (in->op) {
    case TC_OP_PUSH:
        *ret = in->imm;
        return 0;
    case TC_OP_ARG:
        if (in->arg >= env->arg_count)
            return -EBADMSG;
        *ret = tc_widen(env->arg[in->arg], env->arg_type[in->arg]);
        return 0;
    case TC_OP_RETURN:
        if (env->result_type == TC_VOID)
            return -EBADMSG;
        *ret = tc_widen(env->result, env->result_type);
        return 0;
    default:
        if (in->arg >= env->old_count)
            return -EBADMSG;
        *ret = env->old[in->arg];
        return 0;
    }
}

enum form {
    FORM_BAD = 0,
    FORM_PUSH,
    FORM_UNARY,
    FORM_BINARY,
    FORM_BRANCH, /* pops */
    FORM_JUMP,
    FORM_END,
};

static enum form form_of(uint8_t op)
{
    if (op >= TC_OP_PUSH && op <= TC_OP_OLD)
        return FORM_PUSH;
    if ((op >= TC_OP_LOAD && op <= TC_OP_NOT) || op == TC_OP_BOOL || op == TC_OP_F32_TO_F64 ||
        op == TC_OP_F64_BOOL || op == TC_OP_BITS)
        return FORM_UNARY;
    if ((op >= TC_OP_ADD && op <= TC_OP_MAX) || op == TC_OP_F64_COMPARE)
        return FORM_BINARY;
    if (op == TC_OP_JZ || op == TC_OP_JNZ)
        return FORM_BRANCH;
    if (op == TC_OP_JUMP)
        return FORM_JUMP;
    return op == TC_OP_END ? FORM_END : FORM_BAD;
}

/* Values that an instruction of this form takes from the stack, and leaves there. */
static const uint8_t takes[] = {0, 0, 1, 2, 1, 0, 1};
static const uint8_t leaves[] = {0, 1, 1, 1, 0, 0, 1};

/* The verifier has seen to it that no check in here ever strikes; they cost little, and keep a
 * program that was never verified from reading outside of its tables. */
int tc_expr_eval(const struct tc_expr_env *env, uint32_t first, int64_t *ret)
{
    int64_t stack[TC_EXPR_STACK];
    uint32_t depth = 0;

    for (uint64_t pc = first; pc < env->code_count; pc++) {
        const struct tc_insn *in = &env->code[pc];
        enum form form = form_of(in->op);
        int r = 0;

        if (form == FORM_BAD || depth < takes[form] ||
            depth - takes[form] + leaves[form] > TC_EXPR_STACK)
            return -EBADMSG;
        depth = depth - takes[form] + leaves[form];
        if (form == FORM_PUSH)
            r = push(env, in, &stack[depth - 1]);
        else if (form == FORM_UNARY)
            r = unary(env, in, &stack[depth - 1]);
        else if (form == FORM_BINARY)
            r = binary(in, stack[depth - 1], stack[depth], &stack[depth - 1]);
        else if (form == FORM_JUMP ||
                 (form == FORM_BRANCH && (stack[depth] == 0) == (in->op == TC_OP_JZ)))
            pc += in->arg;
        else if (form == FORM_END) {
            *ret = stack[depth - 1];
            return 0;
        }
        if (r != 0)
            return r;
    }
    return -EBADMSG;
}

/* The verifier's walk: once over the program, in order. As jumps go forward only, all ways to an
 * instruction are known when the walk gets there, and they must agree about the stack's depth. */
struct walk {
    uint32_t depth;
    uint32_t reached; /* is there a way to the current instruction? */
    uint32_t open;
    struct {
        uint32_t target, depth;
    } jump[OPEN_JUMPS];
};

static int open_jump(struct walk *w, uint64_t target, uint32_t count)
{
    if (target >= count)
        return -EBADMSG;
    for (uint32_t i = 0; i < w->open; i++)
        if (w->jump[i].target == target)
            return w->jump[i].depth == w->depth ? 0 : -EBADMSG;
    if (w->open == OPEN_JUMPS)
        return -EBADMSG;
    w->jump[w->open].target = (uint32_t)target;
    w->jump[w->open++].depth = w->depth;
    return 0;
}

static int arrive(struct walk *w, uint32_t pc)
{
    for (uint32_t i = 0; i < w->open; i++) {
        if (w->jump[i].target != pc)
            continue;
        if (w->reached && w->depth != w->jump[i].depth)
            return -EBADMSG;
        w->depth = w->jump[i].depth;
        w->reached = 1;
        w->jump[i] = w->jump[--w->open];
        break;
    }
    return w->reached ? 0 : -EBADMSG;
}

static int relations_ok(uint16_t r)
{
    const uint16_t integers = TC_REL_LEFT_INTEGER | TC_REL_RIGHT_INTEGER;

    return r >> 6 == 0 && (r & integers) != integers;
}

static int operands_ok(const struct tc_insn *in, uint32_t arg_count, uint32_t old_count)
{
    switch (in->op) {
    case TC_OP_ARG:
        return in->arg < arg_count;
    case TC_OP_OLD:
        return in->arg < old_count;
    case TC_OP_LOAD:
        return in->type != TC_VOID && in->type <= TC_PTR && in->type != TC_F32 &&
               in->type != TC_F64;
    case TC_OP_BITS:
        return tc_bits_ok(in->arg & 0xff, in->arg >> 8, in->type);
    case TC_OP_F64_COMPARE:
        return relations_ok(in->arg);
    default:
        return 1;
    }
}

static int step(struct walk *w, const struct tc_insn *in, uint32_t pc, uint32_t count)
{
    enum form form = form_of(in->op);

    if (form == FORM_BAD || w->depth < takes[form])
        return -EBADMSG;
    w->depth = w->depth - takes[form] + leaves[form];
    if (w->depth > TC_EXPR_STACK)
        return -EBADMSG;
    if (form == FORM_BRANCH || form == FORM_JUMP) {
        w->reached = form == FORM_BRANCH;
        return open_jump(w, (uint64_t)pc + 1 + in->arg, count);
    }
    return 0;
}

/* An END stands last: no jump may go beyond it, and it leaves nothing below the result. */
int tc_expr_verify(const struct tc_insn *code, uint32_t count, uint32_t first, uint32_t arg_count,
                   uint32_t old_count)
{
    struct walk w;

    w.depth = 0;
    w.reached = 1;
    w.open = 0;
    for (uint32_t pc = first; pc < count; pc++) {
        int r = arrive(&w, pc);

        if (r == 0 && !operands_ok(&code[pc], arg_count, old_count))
            r = -EBADMSG;
        if (r == 0)
            r = step(&w, &code[pc], pc, count);
        if (r != 0)
            return r;
        if (code[pc].op == TC_OP_END)
            return w.open == 0 && w.depth == 1 ? 0 : -EBADMSG;
    }
    return -EBADMSG;
}
