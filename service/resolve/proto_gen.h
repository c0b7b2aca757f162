/*
 * One program of the prototype compiler while it is made, for proto_compile.c and
 * proto_operators.c.
 */
#ifndef TC_SERVICE_RESOLVE_PROTO_GEN_H
#define TC_SERVICE_RESOLVE_PROTO_GEN_H

#include "service/resolve/proto_ast.h"

struct gen {
    struct proto *p;
    enum proto_when when;
    bool in_old;
    bool old_is_now; /* old(e) is e: the whole program runs before the call */
    struct tc_insn *code;
    uint32_t count, allocated, depth;
};

/* What values on the stack are of. */
extern const struct proto_type proto_integer, proto_floating, proto_null_pointer;
bool proto_is_integer(const struct proto_type *t);
bool proto_is_floating(const struct proto_type *t);

/* The expression's value on the stack, and its type. */
const struct proto_type *proto_gen(struct gen *g, const struct proto_expr *e);
void proto_gen_integer(struct gen *g, const struct proto_expr *e);
/* 0 or another number, for what only asks which. */
void proto_gen_truth(struct gen *g, const struct proto_expr *e);

/* Returns the instruction's index. `effect` is what it does to the stack's depth. */
uint32_t proto_emit(struct gen *g, const struct proto_expr *e, struct tc_insn in, int effect);
void proto_emit_op(struct gen *g, const struct proto_expr *e, enum tc_op op, int effect);
void proto_emit_push(struct gen *g, const struct proto_expr *e, int64_t value);
uint32_t proto_emit_jump(struct gen *g, const struct proto_expr *e, enum tc_op op);
void proto_land(struct gen *g, uint32_t jump);
_Noreturn void proto_bad_expression(struct gen *g, const struct proto_expr *e, const char *what);

/* proto_operators.c */
const struct proto_type *proto_gen_arithmetic(struct gen *g, const struct proto_expr *e);
const struct proto_type *proto_gen_comparison(struct gen *g, const struct proto_expr *e);
const struct proto_type *proto_gen_logical(struct gen *g, const struct proto_expr *e);
const struct proto_type *proto_gen_cond(struct gen *g, const struct proto_expr *e);

#endif
