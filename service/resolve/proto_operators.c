/* Operators of expressions: arithmetic, comparisons, what is evaluated only where it counts. */
#include "cache/f64.h"
#include "service/resolve/proto_gen.h"

const struct proto_type *proto_gen_arithmetic(struct gen *g, const struct proto_expr *e)
{
    static const uint8_t ops[] = {
        [E_MIN] = TC_OP_MIN, [E_MAX] = TC_OP_MAX, [E_MUL] = TC_OP_MUL, [E_DIV] = TC_OP_DIV,
        [E_MOD] = TC_OP_MOD, [E_ADD] = TC_OP_ADD, [E_SUB] = TC_OP_SUB,
    };

    proto_gen_integer(g, e->a);
    proto_gen_integer(g, e->b);
    proto_emit_op(g, e, (enum tc_op)ops[e->kind], -1);
    return &proto_integer;
}

static bool is_zero(const struct proto_expr *e)
{
    return e->kind == E_INT && e->value == 0;
}

/* As in C a NaN is unequal to everything, itself included, and in no order with it. */
static void compare_floating(struct gen *g, const struct proto_expr *e, const struct proto_type *a,
                             const struct proto_type *b)
{
    static const uint8_t relations[] = {
        [E_LT] = TC_REL_LESS,    [E_LE] = TC_REL_LESS | TC_REL_EQUAL,
        [E_GT] = TC_REL_GREATER, [E_GE] = TC_REL_GREATER | TC_REL_EQUAL,
        [E_EQ] = TC_REL_EQUAL,   [E_NE] = TC_REL_LESS | TC_REL_GREATER | TC_REL_UNORDERED,
    };
    uint32_t asked = relations[e->kind];

    if (a->kind == K_POINTER || b->kind == K_POINTER)
        proto_bad_expression(g, e, "compares a pointer with a floating value");
    if (proto_is_integer(a))
        asked |= TC_REL_LEFT_INTEGER;
    if (proto_is_integer(b))
        asked |= TC_REL_RIGHT_INTEGER;
    (void)proto_emit(g, e, (struct tc_insn){.op = TC_OP_F64_COMPARE, .arg = (uint16_t)asked}, -1);
}

const struct proto_type *proto_gen_comparison(struct gen *g, const struct proto_expr *e)
{
    static const uint8_t ops[] = {
        [E_LT] = TC_OP_LT, [E_LE] = TC_OP_LE, [E_GT] = TC_OP_GT,
        [E_GE] = TC_OP_GE, [E_EQ] = TC_OP_EQ, [E_NE] = TC_OP_NE,
    };
    const struct proto_type *a = proto_gen(g, e->a), *b = proto_gen(g, e->b);

    if (proto_is_floating(a) || proto_is_floating(b)) {
        compare_floating(g, e, a, b);
        return &proto_integer;
    }
    if (proto_is_integer(a) != proto_is_integer(b) && !is_zero(proto_is_integer(a) ? e->a : e->b))
        proto_bad_expression(g, e, "compares a pointer with an integer that isn't 0");
    proto_emit_op(g, e, (enum tc_op)ops[e->kind], -1);
    return &proto_integer;
}

/* The right side is evaluated only where the left one doesn't decide. */
const struct proto_type *proto_gen_logical(struct gen *g, const struct proto_expr *e)
{
    uint32_t decided, end;

    proto_gen_truth(g, e->a);
    decided = proto_emit_jump(g, e, e->kind == E_AND ? TC_OP_JZ : TC_OP_JNZ);
    proto_gen_truth(g, e->b);
    proto_emit_op(g, e, TC_OP_BOOL, 0);
    end = proto_emit_jump(g, e, TC_OP_JUMP);
    proto_land(g, decided);
    g->depth--;
    proto_emit_push(g, e, e->kind == E_OR);
    proto_land(g, end);
    return &proto_integer;
}

static bool same_pointee(const struct proto_type *a, const struct proto_type *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == K_POINTER)
        return same_pointee(a->to, b->to);
    return a->kind == K_SCALAR && a->scalar == b->scalar;
}

const struct proto_type *proto_gen_cond(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *b, *c;
    uint32_t otherwise, end;

    proto_gen_truth(g, e->a);
    otherwise = proto_emit_jump(g, e, TC_OP_JZ);
    b = proto_gen(g, e->b);
    end = proto_emit_jump(g, e, TC_OP_JUMP);
    proto_land(g, otherwise);
    g->depth--;
    c = proto_gen(g, e->c);
    proto_land(g, end);
    if (proto_is_integer(b) && proto_is_integer(c))
        return &proto_integer;
    if (b == &proto_null_pointer || c == &proto_null_pointer) {
        if (b->kind == K_POINTER && c->kind == K_POINTER)
            return b == &proto_null_pointer ? c : b;
    } else if (same_pointee(b, c)) {
        return b;
    }
    proto_bad_expression(g, e, "chooses between things of different types");
}
