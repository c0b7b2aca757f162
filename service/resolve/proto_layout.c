/* What types look like in memory (psABI 3.1.2), and the target's tables of their members. */
#include <string.h>

#include "service/resolve/proto_ast.h"

#define MAX_ALIGN 4096

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static const char *record_text(struct proto *p, const struct proto_record *r)
{
    if (r->tag != NULL && !r->tagged)
        return r->tag;
    return proto_format(p, "%s %s", r->is_union ? "union" : "struct",
                        r->tag != NULL ? r->tag : "{...}");
}

static uint64_t limited(struct proto *p, uint64_t bytes, proto_at at)
{
    if (bytes > TC_MAX_LAYOUT_BYTES)
        proto_fail(p, TC_R_TOO_MANY, at, NULL, "a type is larger than %u bytes",
                   TC_MAX_LAYOUT_BYTES);
    return bytes;
}

/* ---- sizes ---- */

static uint64_t dimension(struct proto *p, const struct proto_type *t)
{
    int64_t n;

    if (t->dim.count == NULL)
        proto_fail(p, TC_R_OPEN_LAYOUT, t->dim.at, NULL,
                   "a flexible array has no length that a declaration knows");
    n = proto_constant(p, t->dim.count);
    if (n < 0)
        proto_fail(p, TC_R_BAD_PROTOTYPE, t->dim.at, "", "the length of an array is negative");
    return limited(p, (uint64_t)n, t->dim.at);
}

static uint64_t alignment(struct proto *p, const struct proto_expr *e, uint64_t least)
{
    int64_t n = e == NULL ? 1 : proto_constant(p, e);

    if (n < 1 || n > MAX_ALIGN || (n & (n - 1)) != 0)
        proto_fail(p, TC_R_BAD_PROTOTYPE, e->first, "",
                   "an alignment is a power of two, %d at most", MAX_ALIGN);
    return (uint64_t)n > least ? (uint64_t)n : least;
}

/* Bit-fields are laid into units of their declared type, whose boundaries they don't cross; packed
 * ones follow each other. Unnamed ones don't align the struct. */
static uint64_t place_bits(struct proto *p, struct proto_record *r, struct proto_member *m,
                           uint64_t at)
{
    const struct proto_type *t = m->type;
    bool packed = r->packed || m->packed;
    int64_t width = proto_constant(p, m->bits);
    uint64_t unit;

    if (t->kind != K_SCALAR || t->scalar > TC_BOOL)
        proto_fail(p, TC_R_BAD_PROTOTYPE, m->at, "", "a bit-field is an integer");
    unit = 8ull * tc_scalar_bytes(t->scalar);
    if (width < 0 || (uint64_t)width > unit || (width == 0 && m->name != NULL))
        proto_fail(p, TC_R_BAD_PROTOTYPE, m->bits->first, "",
                   "no bit-field of its type is so wide");
    if (m->aligned != NULL || (packed && width == 0))
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, m->at, NULL,
                   "where a bit-field lies that has an alignment of its own, or ends a unit of a "
                   "packed struct, no rule of C says");
    if (width == 0)
        return round_up(at, unit);
    if (!packed && at / unit != (at + (uint64_t)width - 1) / unit)
        at = round_up(at, unit);
    m->offset = at / 8;
    m->bit = (uint8_t)(at % 8);
    m->width = (uint8_t)width;
    if (m->name == NULL)
        r->has_unnamed_bits = true;
    else if (!packed && unit / 8 > r->align)
        r->align = unit / 8;
    return at + (uint64_t)width;
}

static uint64_t place_member(struct proto *p, struct proto_record *r, struct proto_member *m,
                             uint64_t at)
{
    struct proto_size size = proto_size_of(p, m->type, m->at);
    uint64_t align = alignment(p, m->aligned, r->packed || m->packed ? 1 : size.align);

    at = round_up(at, 8 * align);
    m->offset = at / 8;
    r->unaligned |= size.align != 0 && m->offset % size.align != 0;
    if (align > r->align)
        r->align = align;
    limited(p, m->offset + size.bytes, m->at);
    return at + 8 * size.bytes;
}

/* Offsets of all members; the table below is made of them. */
static void lay_out(struct proto *p, struct proto_record *r, proto_at at)
{
    uint64_t bits = 0;

    if (r->laid_out && r->bytes == 0)
        proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "'%.60s' contains itself", record_text(p, r));
    if (r->laid_out)
        return;
    if (!proto_complete(p, r))
        proto_fail(p, TC_R_UNKNOWN_TYPE, at, NULL, "the members of '%.60s' aren't declared",
                   record_text(p, r));
    if (r->is_union)
        proto_fail(p, TC_R_OPEN_LAYOUT, at, NULL,
                   "'%.60s' is a union: only the program knows which "
                   "member counts",
                   record_text(p, r));
    r->laid_out = true;
    r->align = 1;
    proto_enter(p);
    for (struct proto_member *m = r->members; m != NULL; m = m->next)
        bits = m->bits != NULL ? place_bits(p, r, m, bits) : place_member(p, r, m, bits);
    proto_leave(p);
    r->align = alignment(p, r->aligned, r->align);
    r->bytes = limited(p, round_up((bits + 7) / 8, r->align), at);
    if (r->bytes == 0)
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, at, NULL,
                   "'%.60s' is empty: nothing of it can be read, and C and C++ pass it differently",
                   record_text(p, r));
}

struct proto_size proto_size_of(struct proto *p, const struct proto_type *t, proto_at at)
{
    struct proto_size s = {8, 8};

    switch (t->kind) {
    case K_SCALAR:
        s.bytes = s.align = tc_scalar_bytes(t->scalar);
        return s;
    case K_WIDE:
        s.align = tc_scalar_bytes(t->scalar);
        s.bytes = t->is_complex ? 2 * s.align : s.align;
        return s;
    case K_POINTER:
        return s;
    case K_ARRAY:
        s = proto_size_of(p, t->to, at);
        s.bytes = limited(p, s.bytes * dimension(p, t), at);
        return s;
    case K_RECORD:
        lay_out(p, t->record, at);
        return (struct proto_size){t->record->bytes, t->record->align};
    case K_VECTOR:
        proto_fail(p, TC_R_VECTOR_TYPE, at, NULL, "a struct of '%.60s' holds vectors", p->fn->name);
    case K_UNBUILT:
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, at, NULL, "values of type %s can't be read",
                   t->spelled);
    default:
        proto_fail(p, TC_R_BAD_PROTOTYPE, at, "", "a member has a type without a size");
    }
}

struct proto_member *proto_find_member(struct proto *p, struct proto_record *r, const char *name,
                                       uint64_t *ret_offset)
{
    for (struct proto_member *m = r->members; m != NULL; m = m->next) {
        struct proto_member *inner = NULL;

        if (m->name != NULL && strcmp(m->name, name) == 0) {
            *ret_offset = m->offset;
            return m;
        }
        if (m->name == NULL && m->type->kind == K_RECORD)
            inner = proto_find_member(p, m->type->record, name, ret_offset);
        if (inner != NULL) {
            *ret_offset += m->offset;
            return inner;
        }
    }
    return NULL;
}

/* ---- tables ---- */

struct leaves {
    struct proto *p;
    struct proto_layout *layout;
    proto_at at;
    const struct proto_member *member; /* NULL: the type itself */
    struct proto_record *record;       /* that the member is in, at this offset */
    uint64_t record_offset;
    bool ignored;
};

/* So many of them, so far apart. */
struct run {
    uint64_t offset, count, stride;
};

static void add_leaf(const struct leaves *l, const char *name, uint8_t type, struct run run,
                     struct tc_member leaf)
{
    struct proto *p = l->p;

    if (p->member_count == TC_MAX_MEMBERS)
        proto_fail(p, TC_R_TOO_MANY, l->at, NULL, "the structs of '%.60s' have too many members",
                   p->fn->name);
    if (p->member_count == p->member_allocated) {
        uint32_t more = 2 * p->member_allocated + 32;
        struct tc_member *members = proto_new(p, more * sizeof *members);
        const char **names = proto_new(p, more * sizeof *names);
        struct proto_follow *follows = proto_new(p, more * sizeof *follows);

        if (p->member_count > 0) {
            memcpy(members, p->members, p->member_count * sizeof *members);
            memcpy(names, p->member_names, p->member_count * sizeof *names);
            memcpy(follows, p->follows, p->member_count * sizeof *follows);
        }
        p->members = members;
        p->follows = follows;
        p->member_names = names;
        p->member_allocated = more;
    }
    leaf.type = type;
    leaf.offset = (uint32_t)run.offset;
    leaf.count = (uint32_t)run.count;
    leaf.stride = run.count == 1 ? tc_scalar_bytes(type) : (uint32_t)run.stride;
    if (l->ignored)
        leaf.follow = TC_FOLLOW_IGNORED;
    leaf.owner = (uint32_t)l->record_offset;
    p->member_names[p->member_count] = name;
    p->members[p->member_count++] = leaf;
    l->layout->count++;
    if (leaf.follow == TC_FOLLOW_VALUE)
        l->layout->packed_bytes += run.count * tc_scalar_value_bytes(type);
    l->layout->follows = l->layout->follows || leaf.follow > TC_FOLLOW_IGNORED;
    l->layout->has_pointers =
        l->layout->has_pointers || (type == TC_PTR && leaf.follow == TC_FOLLOW_VALUE);
}

static void add_leaves(const struct leaves *l, const char *name, const struct proto_type *t,
                       struct run run);
static void add_pointer(const struct leaves *l, const char *name, const struct proto_type *t,
                        struct run run);

/* Pointers whose extent is a member's beside them: a table's entry for several goes from struct to
 * struct. */
static bool asks_owner(const struct leaves *l, const struct proto_type *t)
{
    while (t->kind == K_ARRAY)
        t = t->to;
    return t->kind == K_POINTER && l->member != NULL && l->member->follows &&
           (l->member->extent != NULL || t->to->kind == K_POINTER);
}

/* An array of structs is kept as an array of each of their members; an array inside an array as one
 * where they lie without gaps, else one by one. */
static void add_array(const struct leaves *l, const char *name, const struct proto_type *t,
                      struct run run)
{
    uint64_t n = dimension(l->p, t), bytes = proto_size_of(l->p, t->to, l->at).bytes;

    if (n == 0)
        return;
    if (!asks_owner(l, t) && (run.count == 1 || run.stride == n * bytes)) {
        add_leaves(l, name, t->to, (struct run){run.offset, run.count * n, bytes});
        return;
    }
    for (uint64_t i = 0; i < n; i++, run.offset += bytes)
        add_leaves(l, n == 1 ? name : proto_format(l->p, "%s[%u]", name, (unsigned)i), t->to, run);
}

static const char *part_name(struct proto *p, const char *whole, const char *part)
{
    return whole[0] == '\0' ? part : proto_format(p, "%s.%s", whole, part);
}

static void add_members(const struct leaves *l, const char *name, struct proto_record *r,
                        struct run run)
{
    for (const struct proto_member *m = r->members; m != NULL; m = m->next) {
        struct run inner = {run.offset + m->offset, run.count, run.stride};
        const char *full = m->name == NULL ? name : part_name(l->p, name, m->name);
        struct leaves own = *l;

        own.member = m;
        own.record = r;
        own.record_offset = run.offset;
        own.ignored = l->ignored || m->dir == TC_IGNORE;
        if (m->bits == NULL)
            add_leaves(&own, full, m->type, inner);
        else if (m->name != NULL)
            add_leaf(&own, full, m->type->scalar, inner,
                     (struct tc_member){.bit = m->bit, .bits = m->width});
    }
}

static void add_leaves(const struct leaves *l, const char *name, const struct proto_type *t,
                       struct run run)
{
    struct tc_member leaf = {.is_char = t->kind == K_SCALAR && t->is_char};

    switch (t->kind) {
    case K_ARRAY:
        add_array(l, name, t, run);
        return;
    case K_RECORD:
        add_members(l, name, t->record, run);
        return;
    case K_POINTER:
        add_pointer(l, name, t, run);
        return;
    default:
        break;
    }
    add_leaf(l, t->kind == K_WIDE && t->is_complex ? part_name(l->p, name, "re") : name, t->scalar,
             run, leaf);
    if (t->kind != K_WIDE || !t->is_complex)
        return;
    run.offset += tc_scalar_bytes(t->scalar);
    add_leaf(l, part_name(l->p, name, "im"), t->scalar, run, leaf);
}

static void add_pointer(const struct leaves *l, const char *name, const struct proto_type *t,
                        struct run run)
{
    struct tc_member leaf = {.length = 0};
    struct proto_follow follow = {.owner = l->record, .member = l->member, .at = l->at};

    if (l->member != NULL && !l->ignored && (l->member->follows || t->to->kind == K_FUNCTION))
        proto_follow_leaf(l->p, l->member, t->to, &leaf, &follow);
    add_leaf(l, name, TC_PTR, run, leaf);
    l->p->follows[l->p->member_count - 1] = follow;
}

static bool same_type(const struct proto_type *a, const struct proto_type *b)
{
    return a->kind == b->kind &&
           (a->kind == K_RECORD ? a->record == b->record : strcmp(a->plain, b->plain) == 0);
}

static struct proto_layout *new_layout(struct proto *p, const struct proto_type *t,
                                       const char *name, proto_at at)
{
    struct proto_layout *layout = &p->layouts[p->layout_count];

    if (p->layout_count == TC_MAX_LAYOUTS)
        proto_fail(p, TC_R_TOO_MANY, at, NULL, "'%.60s' has more than %u types with members",
                   p->fn->name, TC_MAX_LAYOUTS);
    layout->type = t;
    layout->name = name;
    layout->bytes = proto_size_of(p, t, at).bytes;
    layout->first = p->member_count;
    return layout;
}

uint32_t proto_layout_of(struct proto *p, const struct proto_type *t, proto_at at)
{
    struct proto_layout *layout;
    struct leaves l = {.p = p, .at = at};
    uint32_t number;

    for (uint32_t i = 0; i < p->layout_count; i++)
        if (same_type(p->layouts[i].type, t))
            return i + 1;
    layout = l.layout =
        new_layout(p, t, t->kind == K_RECORD ? record_text(p, t->record) : t->plain, at);
    add_leaves(&l, "", t, (struct run){0, 1, layout->bytes});
    if (layout->packed_bytes == 0 && !layout->follows)
        proto_fail(p, TC_R_UNSUPPORTED_TYPE, at, "ignore", "'%.60s' has no member that counts",
                   layout->name);
    limited(p, layout->packed_bytes, at);
    number = ++p->layout_count;
    if (layout->follows)
        proto_follow_members(p, number);
    return number;
}

uint32_t proto_layout_of_pointer(struct proto *p, const struct proto_type *pointer,
                                 struct tc_member leaf, struct proto_follow follow)
{
    struct leaves l = {.p = p, .at = follow.at};
    uint32_t number;

    l.layout = new_layout(p, pointer, proto_type_text(p, pointer, "", true), follow.at);
    add_leaf(&l, "", TC_PTR, (struct run){0, 1, l.layout->bytes}, leaf);
    p->members[l.layout->first].owner = follow.owner != NULL ? TC_OWNER_OUTER : TC_OWNER_CALL;
    p->follows[l.layout->first] = follow;
    number = ++p->layout_count;
    proto_follow_members(p, number);
    return number;
}
