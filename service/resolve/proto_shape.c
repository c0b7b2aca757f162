/* What a parameter is: its direction, its shape and its extents, by the rules of the language. */
#include <string.h>

#include "service/resolve/proto_ast.h"

#define MAX_DIMS PROTO_MAX_TYPE

struct dims {
    const struct proto_dim *dim[MAX_DIMS];
    uint32_t count;
};

static const char *fn_name(const struct proto *p)
{
    return p->fn->name;
}

static bool is_integer(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->scalar != TC_F32 && t->scalar != TC_F64;
}

/* A parameter that may say how many there are: a value behind `x`, else in front of it. */
const char *proto_count_hint(const struct proto *p, const struct proto_param *x)
{
    const char *before = "COUNT";

    for (uint32_t i = 0; i < p->fn->param_count; i++) {
        const struct proto_param *y = &p->fn->params[i];

        if (y == x || y->name == NULL || !is_integer(y->type) || y->type->scalar == TC_BOOL ||
            y->type->is_char || y->dir == TC_HIDDEN)
            continue;
        if (y > x)
            return y->name;
        before = y->name;
    }
    return before;
}

/* Takes the type apart: dimensions, and the element behind them. */
static struct dims take_apart(struct proto *p, struct proto_param *x)
{
    struct dims d = {.count = 0};
    struct proto_type *t = x->type;
    bool is_const = false;

    for (; t->kind == K_ARRAY; t = t->to) {
        is_const = is_const || t->is_const;
        d.dim[d.count++] = &t->dim;
    }
    x->is_pointer = d.count > 0 || t->kind == K_POINTER || t->kind == K_FUNCTION;
    x->value = t;
    if (!x->is_pointer)
        return d;
    x->elem = d.count > 0 || t->kind == K_FUNCTION ? t : t->to;
    if (is_const && !x->elem->is_const) {
        struct proto_type *own = proto_new(p, sizeof *own);

        *own = *x->elem;
        own->is_const = true;
        x->elem = own;
    }
    x->value = proto_pointer_to(p, x->elem);
    return d;
}

_Noreturn static void bad(struct proto *p, const struct proto_param *x, proto_at at,
                          const char *remedy, const char *what)
{
    proto_fail(p, TC_R_BAD_PROTOTYPE, at, remedy, "parameter '%.50s' of '%.50s' %s", x->name,
               fn_name(p), what);
}

static const char *direction_word(uint8_t dir)
{
    return dir == TC_OUT ? "out " : dir == TC_INOUT ? "inout " : dir == TC_IN ? "in " : "";
}

_Noreturn static void extent_missing(struct proto *p, const struct proto_param *x)
{
    const char *word = x->elem->is_const ? "" : direction_word(x->dir);
    const char *remedy = proto_format(
        p, "%s%s[%s]", word, proto_type_text(p, x->elem, x->name, false), proto_count_hint(p, x));

    proto_fail(p, TC_R_EXTENT_MISSING, x->at, remedy, "parameter '%.60s' of '%.60s' has no extent",
               x->name, fn_name(p));
}

/* ---- values ---- */

static void refuse_value(struct proto *p, const struct proto_param *x)
{
    const struct proto_type *t = x->value;

    switch (t->kind) {
    case K_VECTOR:
        proto_fail(p, TC_R_VECTOR_TYPE, x->type_at, NULL,
                   "parameter '%.50s' of '%.50s' has a vector type", x->name, fn_name(p));
    case K_VA_LIST:
        proto_fail(p, TC_R_VARIADIC, x->type_at, NULL,
                   "parameter '%.50s' of '%.50s' is a list of arguments that nobody knows", x->name,
                   fn_name(p));
    case K_UNBUILT:
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, x->type_at, NULL,
                   "parameter '%.50s' of '%.50s' is a value of type %s, which can't be passed",
                   x->name, fn_name(p), t->spelled);
    case K_VOID:
        bad(p, x, x->type_at, "", "has the type void");
    case K_FILE:
        bad(p, x, x->type_at, "", "is a FILE; programs pass pointers to it");
    default:
        return;
    }
}

static void value_shape(struct proto *p, struct proto_param *x)
{
    if (x->file || x->is_malloc)
        bad(p, x, x->qualifier_at, "",
            x->file ? "is a value: `file` needs a path, `file const char *`"
                    : "is a value: `malloc` needs `out malloc T *p[EXTENT]`");
    refuse_value(p, x);
    if (x->dir == TC_OUT || x->dir == TC_INOUT)
        bad(p, x, x->qualifier_at,
            proto_format(p, "%s%s[1]", direction_word(x->dir),
                         proto_type_text(p, x->value, x->name, false)),
            "is a value: only memory behind a pointer can be written");
    if (x->dir == TC_HIDDEN && !is_integer(x->value))
        bad(p, x, x->qualifier_at, "", "isn't a length: `hidden` is for integers");
    x->shape = TC_SHAPE_SCALAR;
    x->direction = x->dir != 0 ? x->dir : TC_IN;
    if (x->value->kind != K_RECORD && x->value->kind != K_WIDE)
        return;
    x->layout = proto_layout_of(p, x->value, x->type_at);
    x->shape = x->direction == TC_IN && p->layouts[x->layout - 1].has_pointers ? TC_SHAPE_OPAQUE
                                                                               : TC_SHAPE_MEMBERS;
}

/* ---- extents ---- */

struct proto_expr *proto_product(struct proto *p, struct proto_expr *a, struct proto_expr *b)
{
    struct proto_expr *e = proto_new(p, sizeof *e);

    e->kind = E_MUL;
    e->at = a->at;
    e->first = a->first;
    e->a = a;
    e->b = b;
    return e;
}

static void check_capacity(struct proto *p, const struct proto_param *x, const struct dims *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->dim[i]->capacity == NULL)
            continue;
        if (x->direction == TC_IN)
            bad(p, x, d->dim[i]->capacity->first, "", "is an input: a capacity is for outputs");
        if (x->direction == TC_INOUT)
            bad(p, x, d->dim[i]->capacity->first, "",
                "is `inout`, whose extent is known before the call: a capacity is for what is "
                "known only after it");
        if (x->stride != NULL)
            bad(p, x, d->dim[i]->capacity->first, "",
                "has a stride and a capacity: an extent that is known only after the call lies "
                "together");
    }
}

/* Known only after the call, they lie together: one row of all of them. */
static void join_dimensions(struct proto *p, struct proto_param *x, const struct dims *d)
{
    struct proto_expr *length = d->dim[0]->count, *capacity = NULL;

    if (d->count == 1)
        return;
    for (uint32_t i = 0; i < d->count; i++) {
        struct proto_expr *room =
            d->dim[i]->capacity != NULL ? d->dim[i]->capacity : d->dim[i]->count;

        length = i == 0 ? length : proto_product(p, length, d->dim[i]->count);
        capacity = capacity == NULL ? room : proto_product(p, capacity, room);
    }
    x->pieces = NULL;
    x->length = length;
    x->capacity = capacity;
}

/* Dimensions become pieces of a length, a stride apart: all but the last are contiguous counts. */
static void take_extents(struct proto *p, struct proto_param *x, const struct dims *d)
{
    uint32_t last = d->count - 1;

    for (uint32_t i = 0; i < last; i++) {
        if (d->dim[i]->stride != NULL)
            bad(p, x, d->dim[i]->stride->first, "",
                "has a stride in another dimension than its last: it says how far the pieces that "
                "lie together are apart");
        x->pieces = i == 0 ? d->dim[0]->count : proto_product(p, x->pieces, d->dim[i]->count);
    }
    if (last == 0 && d->dim[0]->stride != NULL)
        bad(p, x, d->dim[0]->stride->first, proto_format(p, "%s[COUNT][1 : STRIDE]", x->name),
            "has a stride, but one dimension: say how many pieces there are");
    x->length = d->dim[last]->count;
    x->stride = d->dim[last]->stride;
    x->capacity = d->dim[last]->capacity;
    check_capacity(p, x, d);
    for (uint32_t i = 0; i < d->count; i++)
        if (d->dim[i]->capacity != NULL) {
            join_dimensions(p, x, d);
            return;
        }
}

/* ---- pointers ---- */

static void refuse_qualifiers(struct proto *p, const struct proto_param *x)
{
    if (x->dir == TC_HIDDEN)
        bad(p, x, x->qualifier_at, "", "isn't a length: `hidden` is for integers");
}

static bool incomplete(struct proto *p, const struct proto_type *t, bool wanted)
{
    return t->kind == K_FILE || t->kind == K_VA_LIST ||
           (t->kind == K_RECORD && !(wanted ? proto_complete(p, t->record) : t->record->complete));
}

static bool is_text(const struct proto_type *t)
{
    return t->kind == K_SCALAR && t->is_char;
}

static bool points_at_text(const struct proto_type *t)
{
    return t->kind == K_POINTER && is_text(t->to);
}

static bool points_at_const(const struct proto_type *t)
{
    const struct proto_type *to = t->kind == K_POINTER ? t->to : t;

    for (; to->kind == K_ARRAY && !to->is_const; to = to->to)
        ;
    return t->kind == K_POINTER && to->is_const;
}

static void opaque(struct proto_param *x, enum tc_dir dir)
{
    x->shape = TC_SHAPE_OPAQUE;
    x->direction = (uint8_t)dir;
}

/* Which of the pointers the call sets, and who owns what they lead to, no declaration says. */
_Noreturn static void refuse_pointers(struct proto *p, const struct proto_param *x)
{
    const char *block = NULL;

    if (x->direction == TC_OUT && x->length == NULL && x->elem->to->kind != K_POINTER)
        block = proto_format(
            p, "out malloc %s",
            proto_type_text(p, x->elem,
                            proto_format(p, is_text(x->elem->to) ? "*%s" : "%s[COUNT]", x->name),
                            false));
    proto_fail(p, TC_R_OWNERSHIP_MISSING, x->at, block == NULL ? "ignore, or codec(NAME)" : block,
               "parameter '%.40s' of '%.40s' receives pointers, and nothing says who owns what "
               "they point at",
               x->name, fn_name(p));
}

/* Elements that can be read or written: scalars, bytes behind void, pointers of inputs. */
static void refuse_element(struct proto *p, const struct proto_param *x)
{
    const struct proto_type *t = x->elem;

    switch (t->kind) {
    case K_VECTOR:
        proto_fail(p, TC_R_VECTOR_TYPE, x->type_at, NULL,
                   "parameter '%.50s' of '%.50s' points at vectors", x->name, fn_name(p));
    case K_UNBUILT:
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, x->type_at, NULL,
                   "parameter '%.50s' of '%.50s' has elements of type %s, which can't be read",
                   x->name, fn_name(p), t->spelled);
    case K_POINTER:
        if (x->direction != TC_IN)
            refuse_pointers(p, x);
        return;
    default:
        break;
    }
    if (incomplete(p, t, true))
        proto_fail(p, TC_R_UNKNOWN_TYPE, x->type_at, NULL,
                   "parameter '%.40s' of '%.40s' has a direction, but the members of '%.40s' "
                   "aren't declared",
                   x->name, fn_name(p), t->spelled);
}

/* An array. Pointers inside the elements: nobody knows what they lead to. */
static void array_shape(struct proto *p, struct proto_param *x)
{
    x->shape = TC_SHAPE_ARRAY;
    if (x->elem->kind == K_POINTER)
        x->layout = proto_layout_of_pointers(p, x);
    if (x->elem->kind != K_RECORD && x->elem->kind != K_WIDE)
        return;
    x->layout = proto_layout_of(p, x->elem, x->type_at);
    if (p->layouts[x->layout - 1].follows && x->direction != TC_IN)
        proto_fail(
            p, TC_R_OWNERSHIP_MISSING, x->type_at, "",
            "parameter '%.40s' of '%.40s' receives structs whose pointers have extents, or lead to "
            "functions: only inputs are followed, and nothing says who owns what an output points "
            "at",
            x->name, fn_name(p));
    if (!p->layouts[x->layout - 1].has_pointers)
        return;
    if (x->direction != TC_IN)
        proto_fail(p, TC_R_OWNERSHIP_MISSING, x->type_at, "",
                   "parameter '%.40s' of '%.40s' receives structs with pointers inside, and "
                   "nothing says who owns what they point at",
                   x->name, fn_name(p));
    x->layout = 0;
    x->pieces = x->length = x->stride = x->capacity = NULL;
    opaque(x, TC_IN);
}

/* `T *p` or `T p[]`: no extent was written. */
static void without_extent(struct proto *p, struct proto_param *x, bool brackets)
{
    const struct proto_type *t = x->elem;
    bool input = x->dir == TC_IN || (x->dir == 0 && t->is_const);

    if (incomplete(p, t, x->dir != 0) && x->dir != TC_OUT && x->dir != TC_INOUT) {
        if (p->text->strict && x->dir == TC_IN && t->kind == K_RECORD)
            refuse_element(p, x);
        opaque(x, TC_IN);
        return;
    }
    if (x->dir == 0 && !t->is_const && !(brackets && points_at_text(t) && t->to->is_const)) {
        opaque(x, TC_IN);
        return;
    }
    x->direction = input ? TC_IN : x->dir;
    if (input && is_text(t)) {
        x->shape = TC_SHAPE_STRING;
        return;
    }
    if (x->dir == 0 || brackets || t->kind == K_VOID || t->kind == K_ARRAY)
        extent_missing(p, x);
    refuse_element(p, x);
    array_shape(p, x);
}

static void with_extent(struct proto *p, struct proto_param *x, const struct dims *d)
{
    const struct proto_type *t = x->elem;
    bool strings =
        points_at_text(t) && (x->dir == TC_IN || (x->dir == 0 && (t->is_const || t->to->is_const)));
    bool pointers_at_const = points_at_const(t);

    if (x->dir == 0 && !t->is_const && !pointers_at_const) {
        opaque(x, TC_IN);
        return;
    }
    x->direction = x->dir != 0 ? x->dir : TC_IN;
    take_extents(p, x, d);
    if (!strings)
        refuse_element(p, x);
    if (strings && d->count == 1)
        x->shape = TC_SHAPE_STRINGS;
    else
        array_shape(p, x);
}

static bool has_extent(struct proto *p, const struct proto_param *x, const struct dims *d)
{
    for (uint32_t i = 1; i < d->count; i++)
        if (d->dim[i]->count == NULL)
            bad(p, x, d->dim[i]->at, "", "has an empty extent inside");
    return d->count > 0 && d->dim[0]->count != NULL;
}

static void file_shape(struct proto *p, struct proto_param *x, const struct dims *d)
{
    if (!is_text(x->elem) || d->count > 0)
        bad(p, x, x->at, "file const char *path", "isn't a path: `file` needs a string");
    if (x->dir == TC_OUT || x->dir == TC_INOUT || x->dir == TC_HIDDEN)
        bad(p, x, x->qualifier_at, "",
            "is a file that would be written: only inputs can be `file`");
    x->shape = TC_SHAPE_FILE;
    x->direction = TC_IN;
}

/* The code that it points at is the input. */
static void function_shape(struct proto *p, struct proto_param *x)
{
    if (x->dir == TC_OUT || x->dir == TC_INOUT)
        bad(p, x, x->qualifier_at, "", "points at code, which nobody writes");
    x->shape = TC_SHAPE_FUNCTION;
    x->direction = TC_IN;
}

static void pointer_shape(struct proto *p, struct proto_param *x, const struct dims *d)
{
    refuse_qualifiers(p, x);
    if (x->file && x->dir != TC_IGNORE) {
        file_shape(p, x, d);
        return;
    }
    if (x->dir == TC_IGNORE) {
        opaque(x, TC_IGNORE);
        return;
    }
    if (x->is_malloc) {
        proto_check_block(p, x);
        return;
    }
    if (x->elem->kind == K_FUNCTION) {
        function_shape(p, x);
        return;
    }
    if ((x->dir == TC_OUT || x->dir == TC_INOUT) && x->elem->is_const)
        bad(p, x, x->at, "", "points at const: nothing can be written there");
    if (has_extent(p, x, d))
        with_extent(p, x, d);
    else
        without_extent(p, x, d->count > 0);
}

void proto_check_shape(struct proto *p, struct proto_param *x)
{
    struct dims d = take_apart(p, x);

    if (x->name == NULL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, x->type_at,
                   proto_type_text(p, x->is_pointer ? x->value : x->type, "NAME", false),
                   "parameter %u of '%.60s' has no name", (unsigned)(x - p->fn->params) + 1,
                   fn_name(p));
    if (x->value->kind == K_VA_LIST && x->dir == TC_IGNORE) {
        /* An array of one struct in C: its address is passed. */
        x->is_pointer = true;
        x->elem = x->value;
        x->value = proto_pointer_to(p, x->elem);
    }
    if (x->codec != NULL && x->dir != TC_IGNORE)
        proto_check_codec(p, x);
    else if (x->is_pointer)
        pointer_shape(p, x, &d);
    else
        value_shape(p, x);
}
