/* Where the System V psABI for x86-64 puts arguments and results (3.2.3). */
#include "service/resolve/proto_ast.h"

#define INT_REGISTERS 6u
#define SSE_REGISTERS 8u

static bool is_float(uint8_t scalar)
{
    return scalar == TC_F32 || scalar == TC_F64;
}

static void merge(struct proto_classes *c, uint64_t offset, uint8_t type)
{
    enum proto_class *half = &c->half[offset / 8];

    if (type == TC_F80)
        *half = CLASS_X87;
    else if (!is_float(type))
        *half = CLASS_INTEGER;
    else if (*half == CLASS_NONE)
        *half = CLASS_SSE;
    if (type == TC_I128 || type == TC_U128)
        c->half[1] = CLASS_INTEGER;
}

/* Every leaf in its eightbytes; false: one isn't aligned. */
static bool merge_member(struct proto_classes *c, const struct tc_member *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t at = m->offset + (uint64_t)i * m->stride;

        if (m->bits == 0 && at % tc_scalar_bytes(m->type) != 0)
            return false;
        merge(c, at, m->type);
        if (m->bits != 0)
            merge(c, at + (m->bit + m->bits - 1u) / 8, m->type);
    }
    return true;
}

static bool unnamed_bits(const struct proto_type *t)
{
    while (t->kind == K_ARRAY)
        t = t->to;
    if (t->kind != K_RECORD)
        return false;
    for (const struct proto_member *m = t->record->members; m != NULL; m = m->next)
        if (m->bits == NULL && unnamed_bits(m->type))
            return true;
    return t->record->has_unnamed_bits;
}

/* An array of structs, at any depth? */
static bool has_struct_array(const struct proto_type *t, bool in_array)
{
    for (; t->kind == K_ARRAY; t = t->to)
        in_array = true;
    if (t->kind != K_RECORD)
        return false;
    if (in_array)
        return true;
    for (const struct proto_member *m = t->record->members; m != NULL; m = m->next)
        if (has_struct_array(m->type, false))
            return true;
    return false;
}

/* A member that isn't aligned puts all in memory (3.2.3, 1). gcc looks at the first element of an
 * array only (struct { float x; char c; } __attribute__((packed)) a[3]), clang at all of them. */
static void check_unaligned(struct proto *p, const struct proto_type *t, proto_at at)
{
    if (has_struct_array(t, false))
        proto_fail(p, TC_R_PLACE_UNCERTAIN, at, NULL,
                   "'%.60s' passes a value with an array of packed structs, about whose place "
                   "compilers disagree",
                   p->fn->name);
}

/* Does a struct lie where its alignment doesn't allow it? `offset`: from the value's beginning, as
 * what holds it may be packed into something itself. */
static bool has_unaligned(struct proto *p, const struct proto_type *t, uint64_t offset, proto_at at)
{
    struct proto_size size = proto_size_of(p, t, at);

    if (t->kind == K_ARRAY) {
        uint64_t step = proto_size_of(p, t->to, at).bytes;
        for (uint64_t i = 0; step != 0 && i < size.bytes / step; i++)
            if (has_unaligned(p, t->to, offset + i * step, at))
                return true;
        return false;
    }
    if (t->kind != K_RECORD)
        return false;
    if (t->record->unaligned || (size.align != 0 && offset % size.align != 0))
        return true;
    for (const struct proto_member *m = t->record->members; m != NULL; m = m->next)
        if (m->bits == NULL && has_unaligned(p, m->type, offset + m->offset, at))
            return true;
    return false;
}

static struct proto_classes classify(struct proto *p, const struct proto_type *t, uint32_t layout,
                                     proto_at at)
{
    static const struct proto_classes memory = {{CLASS_MEMORY, CLASS_NONE}};
    const struct proto_layout *l = &p->layouts[layout - 1];
    struct proto_classes c = {{CLASS_NONE, CLASS_NONE}};

    if (t->kind == K_WIDE && t->scalar == TC_F80 && t->is_complex)
        return (struct proto_classes){{CLASS_COMPLEX_X87, CLASS_NONE}};
    if (l->bytes > 16)
        return memory;
    for (uint32_t i = 0; i < l->count; i++)
        if (!merge_member(&c, &p->members[l->first + i])) {
            check_unaligned(p, t, at);
            return memory;
        }
    /* All leaves are aligned, but what holds them isn't (a struct of bit-fields in a packed one, or
     * of a char with an alignment of its own): memory for clang, not for gcc. */
    if (has_unaligned(p, t, 0, at))
        proto_fail(p, TC_R_PLACE_UNCERTAIN, at, NULL,
                   "'%.60s' passes a value with a struct that isn't aligned, about whose place "
                   "compilers disagree",
                   p->fn->name);
    /* Compilers disagree about what nobody can name. */
    if (unnamed_bits(t) || c.half[0] == CLASS_NONE ||
        (l->bytes > 8 && c.half[0] != CLASS_X87 && c.half[1] == CLASS_NONE))
        proto_fail(p, TC_R_PLACE_UNCERTAIN, at, NULL,
                   "'%.60s' passes a value with an eightbyte that no member names, about whose "
                   "place compilers disagree",
                   p->fn->name);
    return c;
}

struct places {
    uint32_t ints, sse, slots;
};

static void on_stack(struct proto *p, struct proto_param *x, struct places *at,
                     struct proto_size size)
{
    /* From where the arguments begin, which callers align for the greatest of them. */
    if (size.align > 8)
        at->slots = (at->slots + (uint32_t)size.align / 8 - 1) / ((uint32_t)size.align / 8) *
                    ((uint32_t)size.align / 8);
    x->loc = TC_LOC_STACK;
    x->loc_index = (uint16_t)at->slots;
    at->slots += (uint32_t)((size.bytes + 7) / 8);
    if (at->slots > TC_MAX_STACK_SLOTS)
        proto_fail(p, TC_R_TOO_MANY, x->type_at, NULL,
                   "'%.60s' takes more than %u bytes of arguments on the stack", p->fn->name,
                   8 * TC_MAX_STACK_SLOTS);
}

static void in_register(enum proto_class class, struct places *at, uint8_t *ret_loc,
                        uint16_t *ret_index)
{
    *ret_loc = class == CLASS_SSE ? TC_LOC_SSE : TC_LOC_INT;
    *ret_index = (uint16_t)(class == CLASS_SSE ? at->sse++ : at->ints++);
}

/* In registers whole or not at all. */
static void place_members(struct proto *p, struct proto_param *x, struct places *at)
{
    struct proto_classes c = classify(p, x->value, x->layout, x->type_at);
    uint32_t ints = (c.half[0] == CLASS_INTEGER) + (c.half[1] == CLASS_INTEGER);
    uint32_t sse = (c.half[0] == CLASS_SSE) + (c.half[1] == CLASS_SSE);

    if (c.half[0] > CLASS_SSE || at->ints + ints > INT_REGISTERS || at->sse + sse > SSE_REGISTERS) {
        /* clang up to 17 splits it between register and stack, and aligns it by 8 there. */
        if (x->value->kind == K_WIDE && c.half[0] == CLASS_INTEGER)
            proto_fail(p, TC_R_PLACE_UNCERTAIN, x->type_at, NULL,
                       "parameter '%.50s' of '%.50s': an __int128 on the stack, about whose place "
                       "compilers disagree",
                       x->name, p->fn->name);
        on_stack(p, x, at, proto_size_of(p, x->value, x->type_at));
        return;
    }
    in_register(c.half[0], at, &x->loc, &x->loc_index);
    if (c.half[1] != CLASS_NONE)
        in_register(c.half[1], at, &x->second_loc, &x->second_index);
}

static void place_scalar(struct proto *p, struct proto_param *x, struct places *at)
{
    bool sse = !x->is_pointer && is_float(x->value->scalar);

    if (sse ? at->sse < SSE_REGISTERS : at->ints < INT_REGISTERS)
        in_register(sse ? CLASS_SSE : CLASS_INTEGER, at, &x->loc, &x->loc_index);
    else
        on_stack(p, x, at, (struct proto_size){8, 8});
}

static void place_result(struct proto *p)
{
    static const uint8_t places[2][2] = {{TC_PLACE_RAX, TC_PLACE_RDX},
                                         {TC_PLACE_XMM0, TC_PLACE_XMM1}};
    struct proto_function *f = p->fn;
    struct proto_classes c = classify(p, f->result, f->result_layout, f->result_at);
    uint32_t used[2] = {0, 0};

    f->result_place[0] = c.half[0] == CLASS_MEMORY ? TC_PLACE_MEMORY : TC_PLACE_ST0;
    f->result_place[1] = c.half[0] == CLASS_COMPLEX_X87 ? TC_PLACE_ST1 : TC_PLACE_NONE;
    for (int i = 0; i < 2 && c.half[0] <= CLASS_SSE && c.half[i] != CLASS_NONE; i++) {
        int sse = c.half[i] == CLASS_SSE;

        f->result_place[i] = places[sse][used[sse]++];
    }
}

/* INTEGER in rdi, rsi, rdx, rcx, r8, r9; SSE in xmm0-7; the rest in eightbytes on the stack, from
 * left to right. A result in memory has its address in rdi. */
void proto_assign_places(struct proto *p)
{
    struct places at = {0, 0, 0};

    if (p->fn->result_layout != 0)
        place_result(p);
    at.ints = p->fn->result_place[0] == TC_PLACE_MEMORY;
    for (uint32_t i = 0; i < p->fn->param_count; i++) {
        struct proto_param *x = &p->fn->params[i];

        if (x->is_global)
            continue;
        if (!x->is_pointer && x->layout != 0)
            place_members(p, x, &at);
        else
            place_scalar(p, x, &at);
    }
    p->stack_slots = at.slots;
}
