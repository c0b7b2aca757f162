/* Expressions to programs. One struct gen is one program; each finished one is appended to the
 * task's code. */
#include <string.h>

#include "service/resolve/proto_gen.h"

#define LONGEST_PROGRAM 4096u

const struct proto_type proto_integer = {.kind = K_SCALAR, .scalar = TC_I64, .plain = "long"};
/* float is widened where it is read: on the stack there are doubles only. */
const struct proto_type proto_floating = {.kind = K_SCALAR, .scalar = TC_F64, .plain = "double"};
static struct proto_type nothing = {.kind = K_VOID, .plain = "void"};
const struct proto_type proto_null_pointer = {.kind = K_POINTER, .to = &nothing};

static const char *fn_name(const struct gen *g)
{
    return g->p->fn->name;
}

/* ---- instructions ---- */

static void append(struct proto *p, struct tc_insn **code, uint32_t *count, uint32_t *allocated,
                   const struct tc_insn *in)
{
    if (*count == *allocated) {
        uint32_t more = 2 * *allocated + 32;
        struct tc_insn *grown = proto_new(p, more * sizeof *grown);

        if (*count > 0)
            memcpy(grown, *code, *count * sizeof *grown);
        *code = grown;
        *allocated = more;
    }
    (*code)[(*count)++] = *in;
}

/* Returns the instruction's index. `effect` is what it does to the stack's depth. */
uint32_t proto_emit(struct gen *g, const struct proto_expr *e, struct tc_insn in, int effect)
{
    if (g->count == LONGEST_PROGRAM)
        proto_fail(g->p, TC_R_BAD_EXPRESSION, e->first, "", "the expression is too long");
    append(g->p, &g->code, &g->count, &g->allocated, &in);
    g->depth = (uint32_t)((int)g->depth + effect);
    if (g->depth > TC_EXPR_STACK)
        proto_fail(g->p, TC_R_BAD_EXPRESSION, e->first, "", "the expression is nested too deep");
    return g->count - 1;
}

void proto_emit_op(struct gen *g, const struct proto_expr *e, enum tc_op op, int effect)
{
    (void)proto_emit(g, e, (struct tc_insn){.op = (uint8_t)op}, effect);
}

void proto_emit_push(struct gen *g, const struct proto_expr *e, int64_t value)
{
    (void)proto_emit(g, e, (struct tc_insn){.op = TC_OP_PUSH, .imm = value}, 1);
}

uint32_t proto_emit_jump(struct gen *g, const struct proto_expr *e, enum tc_op op)
{
    return proto_emit(g, e, (struct tc_insn){.op = (uint8_t)op}, op == TC_OP_JUMP ? 0 : -1);
}

void proto_land(struct gen *g, uint32_t jump)
{
    g->code[jump].arg = (uint16_t)(g->count - jump - 1);
}

static void emit_load(struct gen *g, const struct proto_expr *e, uint8_t type)
{
    (void)proto_emit(g, e, (struct tc_insn){.op = TC_OP_LOAD, .type = type}, 0);
}

/* ---- operands ---- */

static void check_time(struct gen *g, const struct proto_expr *pointer);
static const struct proto_type *load(struct gen *g, const struct proto_expr *e,
                                     const struct proto_type *to);

_Noreturn void proto_bad_expression(struct gen *g, const struct proto_expr *e, const char *what)
{
    proto_fail(g->p, TC_R_BAD_EXPRESSION, e->at, "", "an expression of '%.60s' %s", fn_name(g),
               what);
}

bool proto_is_integer(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->scalar != TC_F32 && t->scalar != TC_F64;
}

bool proto_is_floating(const struct proto_type *t)
{
    return t->kind == K_SCALAR && !proto_is_integer(t);
}

void proto_gen_integer(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *t = proto_gen(g, e);

    if (proto_is_floating(t))
        proto_bad_expression(
            g, e, "computes with a floating value: they can only be compared and tested");
    if (!proto_is_integer(t))
        proto_bad_expression(
            g, e, "computes with a pointer: pointers can only be compared and read through");
}

/* 0 or another number, for what only asks which. */
void proto_gen_truth(struct gen *g, const struct proto_expr *e)
{
    if (proto_is_floating(proto_gen(g, e)))
        proto_emit_op(g, e, TC_OP_F64_BOOL, 0);
}

/* The type that a scalar's image on the stack is then of. */
static const struct proto_type *widen(struct gen *g, const struct proto_expr *e, uint8_t scalar)
{
    if (scalar == TC_F32)
        proto_emit_op(g, e, TC_OP_F32_TO_F64, 0);
    return scalar == TC_F32 || scalar == TC_F64 ? &proto_floating : &proto_integer;
}

static const struct proto_type *gen_name(struct gen *g, const struct proto_expr *e)
{
    int64_t constant = 0;
    const struct proto_param *x = proto_name(g->p, e, &constant);

    if (x == NULL) {
        proto_emit_push(g, e, constant);
        return &proto_integer;
    }
    if (x->direction == TC_HIDDEN)
        proto_fail(g->p, TC_R_BAD_EXPRESSION, e->at, "",
                   "'%.50s' of '%.50s' is hidden: callers may leave it out, so nothing can depend "
                   "on it",
                   x->name, fn_name(g));
    (void)proto_emit(g, e,
                     (struct tc_insn){.op = TC_OP_ARG, .arg = (uint16_t)(x - g->p->fn->params)}, 1);
    if (x->is_object) {
        check_time(g, e);
        return load(g, e, x->elem);
    }
    if (x->layout != 0 && !x->is_pointer)
        proto_bad_expression(g, e, "uses a value that isn't a number: name a member of it");
    return x->is_pointer ? x->value : widen(g, e, x->value->scalar);
}

static const struct proto_type *gen_return(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *t = g->p->fn->result;

    if (g->when != WHEN_AFTER || g->in_old)
        proto_bad_expression(g, e, "uses `return` where the call hasn't returned yet");
    if (t->kind == K_VOID)
        proto_bad_expression(g, e, "uses `return`, but the function returns void");
    if (t->kind == K_RECORD || t->kind == K_WIDE)
        proto_bad_expression(g, e, "uses `return`, which isn't a number");
    proto_emit_op(g, e, TC_OP_RETURN, 1);
    return t->kind == K_POINTER ? t : widen(g, e, t->scalar);
}

static const struct proto_type *gen_self(struct gen *g, const struct proto_expr *e)
{
    struct proto_type *t = proto_new(g->p, sizeof *t);

    t->kind = K_RECORD;
    t->record = e->self;
    (void)proto_emit(g, e, (struct tc_insn){.op = TC_OP_ARG}, 1);
    return proto_pointer_to(g->p, t);
}

/* ---- memory ---- */

/* May the memory behind this pointer be read at this time? */
static void check_time(struct gen *g, const struct proto_expr *pointer)
{
    const struct proto_param *x = proto_written(g->p, pointer);
    bool before = g->when != WHEN_AFTER || g->in_old;

    if (pointer->kind == E_RETURN)
        proto_bad_expression(g, pointer, "reads through `return`, which can only be compared");
    if (x == NULL || !before)
        return;
    if (x->direction == TC_OUT)
        proto_fail(g->p, TC_R_BAD_EXPRESSION, pointer->at, "",
                   "'%.50s' of '%.50s' is read before the call, but written by the call", x->name,
                   fn_name(g));
    if (g->when == WHEN_CAPACITY && !g->in_old)
        proto_fail(g->p, TC_R_BAD_EXPRESSION, pointer->at, proto_format(g->p, "old(*%s)", x->name),
                   "a capacity of '%.50s' reads '%.50s', which the call changes", fn_name(g),
                   x->name);
}

/* The address is on the stack. */
static const struct proto_type *load(struct gen *g, const struct proto_expr *e,
                                     const struct proto_type *to)
{
    if (to->kind == K_ARRAY) /* the address is what it means */
        return proto_pointer_to(g->p, to->to);
    if (to->kind == K_POINTER) {
        emit_load(g, e, TC_PTR);
        return to;
    }
    if (to->kind == K_VOID)
        proto_bad_expression(g, e, "reads through a pointer to void");
    if (to->kind == K_RECORD)
        proto_bad_expression(g, e, "reads a whole struct: name a member of it");
    if (to->kind != K_SCALAR)
        proto_bad_expression(g, e, "reads something that isn't a number");
    /* Floating values are loaded as the bits they are. */
    emit_load(g, e, to->scalar == TC_F32 ? TC_U32 : to->scalar == TC_F64 ? TC_I64 : to->scalar);
    return widen(g, e, to->scalar);
}

static const struct proto_type *gen_pointer(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *t;

    check_time(g, e);
    t = proto_gen(g, e);
    if (t->kind != K_POINTER)
        proto_bad_expression(g, e, "reads through something that isn't a pointer");
    return t->to;
}

/* NULL plus an index is an address that the evaluator couldn't tell from a good one: look at the
 * pointer first, and fail by reading through it. */
static void fail_if_null(struct gen *g, const struct proto_expr *e)
{
    uint32_t good = proto_emit_jump(g, e, TC_OP_JNZ);

    proto_emit_push(g, e, 0);
    emit_load(g, e, TC_U8);
    proto_land(g, proto_emit_jump(g, e, TC_OP_JZ));
    proto_land(g, good);
}

/* The address of an element. */
static const struct proto_type *gen_element(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *to;
    bool sized;

    (void)gen_pointer(g, e->a);
    fail_if_null(g, e);
    to = gen_pointer(g, e->a);
    proto_gen_integer(g, e->b);
    sized = to->kind != K_VOID && to->kind != K_FUNCTION; /* else load() says what is wrong */
    proto_emit_push(g, e, sized ? (int64_t)proto_size_of(g->p, to, e->at).bytes : 0);
    proto_emit_op(g, e, TC_OP_MUL, -1);
    proto_emit_op(g, e, TC_OP_ADD, -1);
    return to;
}

static const struct proto_type *gen_index(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *to = gen_element(g, e);

    return load(g, e, to);
}

static const struct proto_type *gen_strlen(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *to = gen_pointer(g, e->a);

    if (to->kind != K_SCALAR || tc_scalar_bytes(to->scalar) != 1)
        proto_bad_expression(g, e, "takes the length of something that isn't a string");
    proto_emit_op(g, e, TC_OP_STRLEN, 0);
    return &proto_integer;
}

static const struct proto_type *gen_place(struct gen *g, const struct proto_expr *e,
                                          const struct proto_expr *member);

/* The address of a struct whose member is asked for. */
static const struct proto_type *gen_struct(struct gen *g, const struct proto_expr *e)
{
    const struct proto_type *to;

    if (!e->arrow)
        return gen_place(g, e->a, e);
    to = gen_pointer(g, e->a);
    if (to->kind != K_RECORD)
        return to;
    fail_if_null(g, e);
    return gen_pointer(g, e->a);
}

_Noreturn static void unknown_member(struct gen *g, const struct proto_expr *e,
                                     const struct proto_type *t)
{
    struct proto_nearest n = {0};

    for (const struct proto_member *m = t->record->members; m != NULL; m = m->next)
        if (m->name != NULL)
            proto_near(&n, e->name, m->name);
    proto_fail(g->p, TC_R_UNKNOWN_MEMBER, e->at, n.best == NULL ? "" : n.best,
               "'%.60s' has no member '%.60s'", proto_type_text(g->p, t, "", true), e->name);
}

/* The address of a member; `*ret` says which. */
static const struct proto_type *gen_member_place(struct gen *g, const struct proto_expr *e,
                                                 const struct proto_member **ret)
{
    const struct proto_type *to = gen_struct(g, e);
    uint64_t offset = 0;

    if (to->kind != K_RECORD)
        proto_bad_expression(g, e,
                             e->arrow
                                 ? "reads a member of something that isn't a pointer to a struct"
                                 : "reads a member of something that isn't a struct");
    (void)proto_size_of(g->p, to, e->at);
    *ret = proto_find_member(g->p, to->record, e->name, &offset);
    if (*ret == NULL)
        unknown_member(g, e, to);
    if (offset != 0) {
        proto_emit_push(g, e, (int64_t)offset);
        proto_emit_op(g, e, TC_OP_ADD, -1);
    }
    return (*ret)->type;
}

/* The address of what `member` is a member of. */
static const struct proto_type *gen_place(struct gen *g, const struct proto_expr *e,
                                          const struct proto_expr *member)
{
    const struct proto_member *m = NULL;
    const struct proto_param *x;
    int64_t constant;

    switch (e->kind) {
    case E_DEREF:
        return gen_pointer(g, e->a);
    case E_INDEX:
        return gen_element(g, e);
    case E_MEMBER:
        return gen_member_place(g, e, &m);
    case E_NAME:
        x = proto_name(g->p, e, &constant);
        if (x != NULL && x->is_object)
            check_time(g, e);
        if (x != NULL && (x->is_object || (x->layout != 0 && !x->is_pointer))) {
            (void)proto_emit(
                g, e, (struct tc_insn){.op = TC_OP_ARG, .arg = (uint16_t)(x - g->p->fn->params)},
                1);
            return x->is_object ? x->elem : x->value;
        }
        break;
    default:
        break;
    }
    proto_bad_expression(g, member, "reads a member of something that isn't a struct");
}

static const struct proto_type *gen_member(struct gen *g, const struct proto_expr *e)
{
    const struct proto_member *m = NULL;
    const struct proto_type *t = gen_member_place(g, e, &m);

    if (m->bits == NULL)
        return load(g, e, t);
    (void)proto_emit(g, e,
                     (struct tc_insn){.op = TC_OP_BITS,
                                      .type = t->scalar,
                                      .arg = (uint16_t)(m->bit | m->width << 8)},
                     0);
    return &proto_integer;
}

/* ---- operators ---- */

/* A floating literal with signs in front. */
static bool floating_constant(const struct proto_expr *e, int64_t *ret_bits)
{
    if (e->kind == E_FLOAT) {
        *ret_bits = e->value;
        return true;
    }
    if (e->kind != E_NEG || !floating_constant(e->a, ret_bits))
        return false;
    *ret_bits ^= INT64_MIN;
    return true;
}

static const struct proto_type *gen_unary(struct gen *g, const struct proto_expr *e)
{
    int64_t bits;

    if (e->kind == E_DEREF)
        return load(g, e, gen_pointer(g, e->a));
    if (floating_constant(e, &bits)) {
        proto_emit_push(g, e, bits);
        return &proto_floating;
    }
    if (e->kind == E_NEG)
        proto_gen_integer(g, e->a);
    else
        proto_gen_truth(g, e->a);
    proto_emit_op(g, e, e->kind == E_NEG ? TC_OP_NEG : TC_OP_NOT, 0);
    return &proto_integer;
}

/* ---- old(e) ---- */

static uint32_t finish(struct gen *g, const struct proto_expr *e)
{
    struct proto *p = g->p;
    uint32_t first = p->code_count;

    proto_emit_op(g, e, TC_OP_END, -1);
    if (p->code_count + g->count > PROTO_MAX_CODE)
        proto_fail(p, TC_R_BAD_EXPRESSION, e->first, "",
                   "the prototype's expressions are too long");
    for (uint32_t i = 0; i < g->count; i++)
        append(p, &p->code, &p->code_count, &p->code_allocated, &g->code[i]);
    return first;
}

/* The value that `e` has before the call. Programs with one text are one. */
static const struct proto_type *gen_saved(struct gen *g, const struct proto_expr *e, bool whole)
{
    struct proto *p = g->p;
    struct gen own = {.p = p, .when = WHEN_BEFORE, .in_old = true, .old_is_now = whole};
    struct proto_buffer text = {0};
    const struct proto_type *t = proto_gen(&own, e);
    uint32_t i = 0;

    proto_print_expr(p, &text, e);
    while (i < p->old_count && strcmp(p->old_text[i], text.data) != 0)
        i++;
    if (i == TC_EXPR_MAX_OLD)
        proto_fail(p, TC_R_TOO_MANY, e->at, "", "a prototype has at most %d old()",
                   TC_EXPR_MAX_OLD);
    if (i == p->old_count) {
        p->old_text[p->old_count] = text.data;
        p->old_program[p->old_count++] = finish(&own, e);
    }
    (void)proto_emit(g, e, (struct tc_insn){.op = TC_OP_OLD, .arg = (uint16_t)i}, 1);
    return t;
}

static const struct proto_type *gen_old(struct gen *g, const struct proto_expr *e)
{
    if (g->old_is_now)
        return proto_gen(g, e->a);
    if (g->in_old)
        proto_bad_expression(g, e, "nests old() in old()");
    return gen_saved(g, e->a, false);
}

const struct proto_type *proto_gen(struct gen *g, const struct proto_expr *e)
{
    if (e->at >> 24 == TC_PROTO_TYPES && g->when != WHEN_MEMBER) {
        proto_emit_push(g, e, proto_constant(g->p, e));
        return &proto_integer;
    }
    switch (e->kind) {
    case E_INT:
    case E_CHAR:
        proto_emit_push(g, e, e->value);
        return &proto_integer;
    case E_FLOAT:
        proto_emit_push(g, e, e->value);
        return &proto_floating;
    case E_NULL:
        proto_emit_push(g, e, 0);
        return &proto_null_pointer;
    case E_NAME:
        return gen_name(g, e);
    case E_RETURN:
        return gen_return(g, e);
    case E_SELF:
        return gen_self(g, e);
    case E_OLD:
        return gen_old(g, e);
    case E_STRLEN:
        return gen_strlen(g, e);
    case E_INDEX:
        return gen_index(g, e);
    case E_MEMBER:
        return gen_member(g, e);
    case E_COND:
        return proto_gen_cond(g, e);
    case E_AND:
    case E_OR:
        return proto_gen_logical(g, e);
    case E_NEG:
    case E_NOT:
    case E_DEREF:
        return gen_unary(g, e);
    default:
        return e->kind >= E_LT && e->kind <= E_NE ? proto_gen_comparison(g, e)
                                                  : proto_gen_arithmetic(g, e);
    }
}

uint32_t proto_program(struct proto *p, const struct proto_expr *e, enum proto_when when,
                       bool extent)
{
    struct gen g = {.p = p, .when = when, .old_is_now = when == WHEN_SKIP};
    const struct proto_type *t = when == WHEN_SAVED ? gen_saved(&g, e, true) : proto_gen(&g, e);

    if (extent && proto_is_floating(t))
        proto_bad_expression(&g, e, "is a floating value where an integer is needed");
    if (extent && !proto_is_integer(t))
        proto_bad_expression(&g, e, "is a pointer where a number is needed");
    if (proto_is_floating(t))
        proto_emit_op(&g, e, TC_OP_F64_BOOL, 0);
    return finish(&g, e);
}

/* Of a text that is known to end: not of an array's elements. */
static bool is_string(struct gen *g, const struct proto_expr *e, const struct proto_type *t)
{
    const struct proto_param *x;
    int64_t constant;

    if (t->kind != K_POINTER || !t->to->is_char)
        return false;
    x = e->kind == E_NAME ? proto_name(g->p, e, &constant) : NULL;
    return x == NULL || x->shape == TC_SHAPE_STRING;
}

static bool is_wide_unsigned(struct gen *g, const struct proto_expr *e)
{
    const struct proto_param *x;
    int64_t constant;

    x = e->kind == E_NAME ? proto_name(g->p, e, &constant) : NULL;
    return x != NULL && !x->is_pointer && x->value->scalar == TC_U64;
}

uint32_t proto_value_program(struct proto *p, const struct proto_expr *e, uint32_t *ret_kind)
{
    struct gen g = {.p = p, .when = WHEN_SKIP, .old_is_now = true};
    const struct proto_type *t = proto_gen(&g, e);

    if (proto_is_floating(t))
        *ret_kind = TC_PART_FLOAT;
    else if (proto_is_integer(t))
        *ret_kind = is_wide_unsigned(&g, e) ? TC_PART_UNSIGNED : TC_PART_SIGNED;
    else if (is_string(&g, e, t))
        *ret_kind = TC_PART_STRING;
    else
        proto_bad_expression(&g, e,
                             "is neither a number nor a string: name an element or a member");
    return finish(&g, e);
}
