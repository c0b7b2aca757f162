/* From texts to tables: the steps in order, and what they leave in the flat file. */
#include "service/resolve/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"
#include "service/resolve/proto_ast.h"

static bool given(const char *text)
{
    return text != NULL && text[strspn(text, " \t\r\n")] != '\0';
}

/* An optional rule; a text of spaces alone is none. */
static struct proto_expr *rule(struct proto *p, enum tc_proto_field field, const char *text)
{
    struct proto_expr *e;

    if (!given(text))
        return NULL;
    p->tok = proto_lex(p, field, text);
    p->in_expression = true;
    e = proto_expression(p);
    if (!proto_is(p, TOK_END))
        proto_unexpected(p, "the end of the expression");
    p->in_expression = false;
    return e;
}

static void parse(struct proto *p)
{
    if (given(p->text->types)) {
        p->tok = proto_lex(p, TC_PROTO_TYPES, p->text->types);
        proto_parse_types(p);
    }
    p->tok = proto_lex(p, TC_PROTO_PROTOTYPE, p->text->prototype);
    proto_parse_prototype(p);
    proto_parse_globals(p);
}

static void compile(struct proto *p)
{
    struct proto_expr *skip, *success;

    parse(p);
    proto_check(p);
    skip = rule(p, TC_PROTO_SKIP, p->text->skip);
    success = rule(p, TC_PROTO_SUCCESS, p->text->success);
    proto_compile_all(p, skip, success);
    proto_compile_template(p);
}

/* ---- tables ---- */

static uint8_t element_of(const struct proto_param *x)
{
    if (!x->is_pointer)
        return TC_VOID;
    if (x->shape == TC_SHAPE_CODEC)
        return TC_U8; /* its encoding */
    if (x->layout != 0)
        return TC_MEMBERS;
    if (x->elem->kind == K_POINTER)
        return TC_PTR;
    if (x->elem->kind == K_VOID && (x->shape == TC_SHAPE_ARRAY || x->shape == TC_SHAPE_BLOCK))
        return TC_U8;
    return x->elem->kind == K_SCALAR ? x->elem->scalar : TC_VOID;
}

static bool holds_text(const struct proto_param *x)
{
    return x->shape == TC_SHAPE_STRINGS || (x->is_pointer && x->elem->is_char);
}

static struct tc_param param_entry(struct proto *p, struct tc_flat_builder *b,
                                   const struct proto_param *x)
{
    struct tc_param t;

    memset(&t, 0, sizeof t);
    t.name = tc_flat_add_str(b, x->name);
    t.type_text = tc_flat_add_str(b, proto_param_type_text(p, x));
    t.dir = x->direction;
    t.shape = x->shape;
    t.type = x->is_pointer ? TC_PTR : x->layout != 0 ? TC_MEMBERS : x->value->scalar;
    t.elem = element_of(x);
    t.loc = x->loc;
    t.is_char = holds_text(x);
    t.loc_index = x->loc_index;
    t.pieces = x->code_pieces;
    t.length = x->code_length;
    t.stride = x->code_stride;
    t.capacity = x->code_capacity;
    t.extent_uses_after = x->after;
    t.layout = x->layout;
    t.second_loc = x->second_loc;
    t.second_index = x->second_index;
    t.codec = x->codec_number;
    t.is_depend = x->is_depend;
    t.path = tc_flat_add_str(b, x->path);
    return t;
}

/* Indexes by name; insertion keeps it simple for the few there are. */
static void sort_names(const struct proto_function *f, uint8_t *sorted)
{
    for (uint32_t i = 0; i < f->param_count; i++) {
        uint32_t at = i;

        for (; at > 0 && strcmp(f->params[sorted[at - 1]].name, f->params[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = (uint8_t)i;
    }
}

/* What members' extents say, by their programs: a program's place says nothing. */
static struct tc_hash128 digest_extents(const struct proto *p, const struct proto_layout *l,
                                        struct tc_hash128 h)
{
    for (uint32_t i = l->first; i < l->first + l->count; i++) {
        uint32_t first = p->members[i].length, end = first;

        if (p->members[i].follow <= TC_FOLLOW_IGNORED || first == TC_NO_EXPR)
            continue;
        while (p->code[end].op != TC_OP_END)
            end++;
        h = tc_hash128(p->code + first, (end - first) * sizeof *p->code, h.low ^ h.high);
    }
    return h;
}

/* A struct's name says nothing about its members: they count too, by place and type. */
static void digest(const struct proto *p, const char *canonical, uint8_t ret[16])
{
    struct tc_hash128 h = tc_hash128(canonical, strlen(canonical), 0);

    for (uint32_t i = 0; i < p->layout_count; i++) {
        const struct proto_layout *l = &p->layouts[i];
        uint64_t frame[] = {h.low, h.high, l->bytes, l->count};

        h = tc_hash128(frame, sizeof frame, 0);
        frame[0] = h.low;
        frame[1] = h.high;
        h = tc_hash128(p->members + l->first, l->count * sizeof *p->members, h.low ^ h.high);
        h = digest_extents(p, l, h);
    }
    memcpy(ret, &h.low, 8);
    memcpy(ret + 8, &h.high, 8);
}

static bool is_plain(const struct proto *p, const struct proto_layout *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (p->members[l->first + i].bits != 0 ||
            p->members[l->first + i].follow != TC_FOLLOW_VALUE)
            return false;
    return l->bytes == l->packed_bytes;
}

static void layout_tables(struct proto *p, struct tc_flat_builder *b, struct tc_task *task)
{
    struct tc_layout layouts[TC_MAX_LAYOUTS];

    memset(layouts, 0, sizeof layouts);
    for (uint32_t i = 0; i < p->layout_count; i++) {
        const struct proto_layout *l = &p->layouts[i];

        layouts[i] = (struct tc_layout){.follows = l->follows,
                                        .name = tc_flat_add_str(b, l->name),
                                        .bytes = (uint32_t)l->bytes,
                                        .packed_bytes = (uint32_t)l->packed_bytes,
                                        .first = l->first,
                                        .count = l->count,
                                        .is_plain = is_plain(p, l)};
    }
    for (uint32_t i = 0; i < p->member_count; i++)
        p->members[i].name = tc_flat_add_str(b, p->member_names[i]);
    task->layouts = tc_flat_add(b, layouts, p->layout_count, sizeof layouts[0]);
    task->members = tc_flat_add(b, p->members, p->member_count, sizeof *p->members);
}

static struct tc_span key_parts(const struct proto *p, struct tc_flat_builder *b)
{
    struct tc_key_part parts[TC_MAX_KEY_PARTS];

    for (uint32_t i = 0; i < p->key_part_count; i++)
        parts[i] = (struct tc_key_part){.text = tc_flat_add_str(b, p->key_parts[i].text),
                                        .program = p->key_parts[i].program,
                                        .kind = p->key_parts[i].kind};
    return tc_flat_add(b, parts, p->key_part_count, sizeof parts[0]);
}

static void tables(struct proto *p, struct tc_flat_builder *b, struct tc_task *task)
{
    const struct proto_function *f = p->fn;
    const char *canonical = proto_canonical(p);
    struct tc_param params[TC_MAX_PARAMS];
    uint8_t sorted[TC_MAX_PARAMS];

    for (uint32_t i = 0; i < f->param_count; i++)
        params[i] = param_entry(p, b, &f->params[i]);
    sort_names(f, sorted);
    task->prototype = tc_flat_add_str(b, canonical);
    digest(p, canonical, task->prototype_digest);
    task->result_kind = f->result_kind;
    task->result_type = f->result_kind == TC_RESULT_VOID ? TC_VOID
                        : f->result->kind == K_POINTER   ? TC_PTR
                        : f->result_layout != 0          ? TC_MEMBERS
                                                         : f->result->scalar;
    task->result_layout = f->result_layout;
    memset(&task->owned, 0, sizeof task->owned);
    if (f->owned.shape != 0)
        task->owned = param_entry(p, b, &f->owned);
    memcpy(task->result_place, f->result_place, sizeof task->result_place);
    layout_tables(p, b, task);
    task->params = tc_flat_add(b, params, f->param_count, sizeof params[0]);
    task->sorted = tc_flat_add(b, sorted, f->param_count, sizeof sorted[0]);
    task->code = tc_flat_add(b, p->code, p->code_count, sizeof p->code[0]);
    task->olds = tc_flat_add(b, p->old_program, p->old_count, sizeof p->old_program[0]);
    task->stack_slots = p->stack_slots;
    task->skip = p->skip;
    task->success = p->success;
    task->key_parts = key_parts(p, b);
    task->flags = (task->flags & ~(uint32_t)TC_TASK_FLOAT) | (p->floats ? TC_TASK_FLOAT : 0);
}

/* All texts are made before the first one is appended: a failure leaves the builder alone. */
static void dry_run(struct proto *p)
{
    (void)proto_canonical(p);
    for (uint32_t i = 0; i < p->fn->param_count; i++)
        (void)proto_param_type_text(p, &p->fn->params[i]);
    if (p->fn->owned.shape != 0)
        (void)proto_param_type_text(p, &p->fn->owned);
}

/* What is changed between setjmp() and longjmp() lies on the heap: locals would be indeterminate.
 */
static int run(struct proto *p, struct tc_flat_builder *b, struct tc_task *task)
{
    switch (setjmp(p->unwind)) {
    case 0:
        compile(p);
        dry_run(p);
        tables(p, b, task);
        return 0;
    case 1:
        return -EINVAL;
    default:
        return -ENOMEM;
    }
}

int tc_proto_compile(struct tc_flat_builder *b, const struct tc_proto_text *text,
                     struct tc_task *task, struct tc_text_error *e, enum tc_proto_field *ret_field)
{
    struct proto *p = calloc(1, sizeof *p);
    int r;

    if (p == NULL)
        return -ENOMEM;
    p->text = text;
    p->error = e;
    p->error_field = ret_field;
    r = run(p, b, task);
    proto_free(p);
    free(p);
    return r;
}
