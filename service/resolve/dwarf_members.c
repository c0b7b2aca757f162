/* Structs of debug information, member by member. */
#include <dwarf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_record.h"
#include "service/resolve/dwarf_text.h"

#define MAX_DEPTH   24
#define MAX_MEMBERS 4096u
#define MAX_GAP     4096u

static int refuse(struct tc_dwarf_types *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct tc_dwarf_types *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(t->why, sizeof t->why, format, args);
    va_end(args);
    return 0;
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* ---- members ---- */

static uint64_t lower_bound(Dwarf_Die *dim)
{
    Dwarf_Sword bound = 0;
    Dwarf_Die unit;
    Dwarf_Attribute a;

    if (dwarf_attr_integrate(dim, DW_AT_lower_bound, &a) != NULL &&
        dwarf_formsdata(&a, &bound) == 0)
        return (uint64_t)bound;
    if (dwarf_diecu(dim, &unit, NULL, NULL) == NULL ||
        dwarf_default_lower_bound(dwarf_srclang(&unit), &bound) != 0)
        return 0;
    return (uint64_t)bound;
}

/* Elements of one dimension; 0: not known. */
static uint64_t dimension(Dwarf_Die *dim)
{
    uint64_t n = tc_dwarf_number(dim, DW_AT_count, UINT64_MAX), upper;

    if (n != UINT64_MAX)
        return n;
    upper = tc_dwarf_number(dim, DW_AT_upper_bound, UINT64_MAX);
    return upper == UINT64_MAX ? 0 : upper - lower_bound(dim) + 1;
}

static char *tell_array(struct tc_dwarf_types *t, Dwarf_Die *array, const char *inner, FILE *to,
                        int depth, struct tc_dwarf_size *ret)
{
    Dwarf_Die dim, type;
    char *text = strdup(inner), *more;
    uint64_t all = 1;
    int r = dwarf_child(array, &dim);

    if (dwarf_hasattr(array, DW_AT_data_location) || dwarf_hasattr(array, DW_AT_GNU_vector)) {
        free(text);
        (void)refuse(t, "'%.60s' is a vector or an array with a descriptor", inner);
        return NULL;
    }
    for (; text != NULL && r == 0; r = tc_dwarf_next(&dim) ? 0 : 1) {
        uint64_t n = dwarf_tag(&dim) == DW_TAG_subrange_type ? dimension(&dim) : 1;
        if (dwarf_tag(&dim) != DW_TAG_subrange_type)
            continue;
        if (n > TC_MAX_LAYOUT_BYTES)
            n = 0;
        all *= n != 0 ? n : 1;
        all = all > TC_MAX_LAYOUT_BYTES ? TC_MAX_LAYOUT_BYTES : all;
        more = n != 0 ? tc_dwarf_print("%s[%llu]", text, (unsigned long long)n)
                      : tc_dwarf_print("%s[]", text);
        all = n != 0 ? all : 0;
        free(text);
        text = more;
    }
    more = NULL;
    if (text != NULL && tc_dwarf_type(array, &type))
        more = tc_dwarf_tell_member(t, &type, text, to, depth + 1, ret);
    ret->bytes *= all;
    free(text);
    return more;
}

static char *tell_base(struct tc_dwarf_types *t, Dwarf_Die *base, const char *inner,
                       struct tc_dwarf_size *ret)
{
    uint64_t bytes = tc_dwarf_number(base, DW_AT_byte_size, 0);
    int halves = tc_dwarf_number(base, DW_AT_encoding, 0) == DW_ATE_complex_float;
    char *text = tc_dwarf_declare(base, 1, inner);

    if (text == NULL || strncmp(text, "unknown_type", 12) == 0 || bytes == 0) {
        free(text);
        (void)refuse(t, "'%.60s' has a type that isn't built yet", inner);
        return NULL;
    }
    *ret = (struct tc_dwarf_size){bytes, halves ? bytes / 2 : bytes, 0};
    return text;
}

static char *tell_named(struct tc_dwarf_types *t, Dwarf_Die *die, const char *inner, FILE *to,
                        int depth, struct tc_dwarf_size *ret)
{
    const struct tc_dwarf_told *told = tc_dwarf_tell_record(t, die, to, depth + 1);

    if (told == NULL)
        return NULL;
    *ret = told->size;
    return tc_dwarf_print("%s%s%s%s", told->is_typedef ? "" : "struct ", told->tag,
                          inner[0] != 0 ? " " : "", inner);
}

/* Which member counts, the program alone knows: what reads or writes it will be refused by the
 * rules of the language. */
static char *tell_union(Dwarf_Die *die, const char *inner, struct tc_dwarf_size *ret)
{
    uint64_t bytes = tc_dwarf_number(die, DW_AT_byte_size, 1);

    *ret = (struct tc_dwarf_size){bytes, bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : 1, 0};
    return tc_dwarf_print("union { char bytes[%llu]; } %s", (unsigned long long)bytes,
                          inner[0] != 0 ? inner : "unnamed_union");
}

char *tc_dwarf_tell_member(struct tc_dwarf_types *t, Dwarf_Die *type, const char *inner, FILE *to,
                           int depth, struct tc_dwarf_size *ret)
{
    struct tc_dwarf_peeled p;

    tc_dwarf_peel(type, 1, &p);
    if (depth > MAX_DEPTH || p.is_void) {
        (void)refuse(t, "'%.60s' has no type, or one too deep", inner);
        return NULL;
    }
    switch (p.tag) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        *ret = (struct tc_dwarf_size){8, 8, 0};
        return tc_dwarf_print("void *%s", inner);
    case DW_TAG_array_type:
        return tell_array(t, &p.die, inner, to, depth, ret);
    case DW_TAG_base_type:
    case DW_TAG_enumeration_type:
        return tell_base(t, &p.die, inner, ret);
    case DW_TAG_string_type: {
        uint64_t bytes = tc_dwarf_number(&p.die, DW_AT_byte_size, 0);
        *ret = (struct tc_dwarf_size){bytes, 1, 0};
        return bytes != 0 ? tc_dwarf_print("char %s[%llu]", inner, (unsigned long long)bytes)
                          : NULL;
    }
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        return tell_named(t, &p.die, inner, to, depth, ret);
    case DW_TAG_union_type:
        return tell_union(&p.die, inner, ret);
    default:
        (void)refuse(t, "'%.60s' has a type that C doesn't know", inner);
        return NULL;
    }
}

/* Where a member begins, in bits; older debug information counts bit-fields from the other end. */
static int place_of(Dwarf_Die *die, const struct tc_dwarf_size *size, struct tc_dwarf_member *m)
{
    uint64_t bytes = tc_dwarf_number(die, DW_AT_data_member_location, 0);
    uint64_t back = tc_dwarf_number(die, DW_AT_bit_offset, UINT64_MAX);
    Dwarf_Attribute a;

    m->bits = tc_dwarf_number(die, DW_AT_bit_size, 0);
    if (bytes > TC_MAX_LAYOUT_BYTES || m->bits > 64)
        return 0;
    m->at = 8 * bytes;
    if (m->bits != 0 && back != UINT64_MAX) {
        uint64_t unit = 8 * tc_dwarf_number(die, DW_AT_byte_size, size->bytes);
        if (back + m->bits > unit)
            return 0;
        m->at += unit - back - m->bits;
    } else if (m->bits != 0) {
        m->at = tc_dwarf_number(die, DW_AT_data_bit_offset, m->at);
    }
    /* A virtual base's place is known at run time only. */
    return dwarf_attr(die, DW_AT_data_member_location, &a) == NULL ||
           dwarf_whatform(&a) != DW_FORM_exprloc;
}

/* A base without members takes no room. */
static int is_empty_base(struct tc_dwarf_types *t, Dwarf_Die *base)
{
    struct tc_dwarf_peeled p;
    Dwarf_Die type, die;

    if (dwarf_tag(base) != DW_TAG_inheritance || !tc_dwarf_type(base, &type))
        return 0;
    tc_dwarf_peel(&type, 1, &p);
    if (p.is_void || !tc_dwarf_type_defined(t, &p.die, &type) ||
        tc_dwarf_number(&type, DW_AT_byte_size, 0) != 1)
        return 0;
    if (dwarf_child(&type, &die) != 0)
        return 1;
    do {
        if (dwarf_tag(&die) == DW_TAG_member && !dwarf_hasattr(&die, DW_AT_external) &&
            !dwarf_hasattr(&die, DW_AT_declaration))
            return 0;
    } while (tc_dwarf_next(&die));
    return 1;
}

static int add_member(struct tc_dwarf_record *r, Dwarf_Die *die, FILE *to, int depth)
{
    int is_base = dwarf_tag(die) == DW_TAG_inheritance;
    const char *own = dwarf_diename(die);
    struct tc_dwarf_member m = {.align = tc_dwarf_number(die, DW_AT_alignment, 0)};
    Dwarf_Die type;
    char *name;
    size_t at = r->count;

    /* Static members are elsewhere. */
    if (dwarf_tag(die) == DW_TAG_member &&
        (dwarf_hasattr(die, DW_AT_external) || dwarf_hasattr(die, DW_AT_declaration)))
        return 1;
    if (r->count == MAX_MEMBERS || !tc_dwarf_type(die, &type))
        return refuse(r->t, "a member has no type");
    name = is_base       ? tc_dwarf_print("base%zu", r->count)
           : own != NULL ? tc_dwarf_name(own, 0)
                         : strdup("");
    if (name != NULL)
        m.text = tc_dwarf_tell_member(r->t, &type, name, to, depth, &m.size);
    free(name);
    if (m.text == NULL)
        return 0;
    if (!place_of(die, &m.size, &m)) {
        free(m.text);
        return refuse(r->t, "the place of '%.60s' isn't known", own != NULL ? own : "a base");
    }
    if (r->count == r->allocated) {
        size_t allocated = 2 * r->allocated + 16;
        struct tc_dwarf_member *all = reallocarray(r->member, allocated, sizeof *all);
        if (all == NULL) {
            free(m.text);
            return 0;
        }
        r->member = all;
        r->allocated = allocated;
    }
    /* In order of their places: Rust's aren't in order of the source. */
    for (; at > 0 && r->member[at - 1].at > m.at; at--)
        r->member[at] = r->member[at - 1];
    r->member[at] = m;
    r->count++;
    return 1;
}

static int read_members(struct tc_dwarf_record *r, FILE *to, int depth)
{
    Dwarf_Die die;

    if (dwarf_child(r->die, &die) != 0)
        return 1;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_variant_part)
            return refuse(r->t, "'%.60s' has variants: the program alone knows which one counts",
                          dwarf_diename(r->die));
        if ((tag == DW_TAG_member || tag == DW_TAG_inheritance) && !is_empty_base(r->t, &die) &&
            !add_member(r, &die, to, depth))
            return 0;
    } while (tc_dwarf_next(&die));
    return 1;
}

/* ---- the same layout by C's rules ---- */

static void pad(FILE *to, uint64_t from, uint64_t until)
{
    while (from < until) {
        uint64_t bits = 8 - from % 8;
        bits = bits < until - from ? bits : until - from;
        (void)fprintf(to, "  unsigned char : %llu;\n", (unsigned long long)bits);
        from += bits;
    }
}

/* Where C would put it, at `at` or behind. */
static uint64_t natural(const struct tc_dwarf_member *m, uint64_t at, int packed)
{
    uint64_t unit = 8 * (m->size.bytes != 0 ? m->size.bytes : 1);

    if (m->bits != 0)
        return !packed && at / unit != (at + m->bits - 1) / unit ? round_up(at, unit) : at;
    return round_up(at, 8 * (packed ? 1 : m->size.align != 0 ? m->size.align : 1));
}

/* Can the alignment that was given be written down, with the place that it has? */
static int is_aligned(const struct tc_dwarf_member *m, uint64_t at, int packed)
{
    uint64_t own = packed || m->size.align == 0 ? 1 : m->size.align;
    uint64_t align = m->align > own ? m->align : own;

    return m->align > 1 && m->bits == 0 && round_up(at, 8 * align) == m->at;
}

/* `*align` becomes that of the struct with this member. */
static int write_member(const struct tc_dwarf_member *m, FILE *to, uint64_t *at, uint64_t *align,
                        int packed)
{
    int aligned = is_aligned(m, *at, packed);
    uint64_t own = packed ? 1 : m->size.align;

    if (!aligned && natural(m, *at, packed) != m->at) {
        if (m->at < *at || m->at - *at > 8 * MAX_GAP || natural(m, m->at, packed) != m->at)
            return 0;
        pad(to, *at, m->at);
    }
    (void)fprintf(to, "  %s", m->text);
    if (m->bits != 0)
        (void)fprintf(to, " : %llu", (unsigned long long)m->bits);
    if (aligned)
        (void)fprintf(to, " __attribute__((aligned(%llu)))", (unsigned long long)m->align);
    (void)fputs(";\n", to);
    own = aligned && m->align > own ? m->align : own;
    *align = own > *align ? own : *align;
    *at = m->at + (m->bits != 0 ? m->bits : 8 * m->size.bytes);
    return 1;
}

/* Up to the struct's size: by its alignment, else by bits that nobody names. 0: it is smaller. */
static int close_record(const struct tc_dwarf_record *r, FILE *to, uint64_t at, uint64_t align)
{
    if (round_up((at + 7) / 8, align) == r->bytes)
        return 1;
    if (at > 8 * r->bytes || r->bytes % align != 0 || 8 * r->bytes - at > 8 * MAX_GAP)
        return 0;
    pad(to, at, 8 * r->bytes);
    return 1;
}

/* 0: these rules give another layout. */
static int write_record(const struct tc_dwarf_record *r, struct tc_dwarf_told *told, int packed,
                        FILE *to)
{
    uint64_t at = 0, align = 1, whole;

    if (told->is_typedef)
        (void)fputs("typedef struct {\n", to);
    else
        (void)fprintf(to, "struct %s {\n", told->tag);
    for (size_t i = 0; i < r->count; i++)
        if (!write_member(&r->member[i], to, &at, &align, packed))
            return 0;
    whole = r->align > align ? r->align : align;
    if (!close_record(r, to, at, whole))
        return 0;
    (void)fputs("}", to);
    if (packed)
        (void)fputs(" __attribute__((packed))", to);
    if (whole != align)
        (void)fprintf(to, " __attribute__((aligned(%llu)))", (unsigned long long)whole);
    (void)fprintf(to, "%s%s;\n", told->is_typedef ? " " : "", told->is_typedef ? told->tag : "");
    told->size = (struct tc_dwarf_size){r->bytes, whole, tc_dwarf_is_unsure(r, whole)};
    return 1;
}

static void forget_alignments(struct tc_dwarf_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        r->forgot |= r->member[i].align > 8;
        r->member[i].align = 0;
    }
}

static int write_either(struct tc_dwarf_record *r, struct tc_dwarf_told *told, FILE *to)
{
    /* Packed if need be. clang tells alignments of members that `packed` has taken away. */
    for (int way = 0; way < 4; way++) {
        int packed = way & 1;
        char *text = NULL;
        size_t bytes;
        FILE *f = open_memstream(&text, &bytes);
        if (f == NULL)
            return 0;
        if (way == 2)
            forget_alignments(r);
        int ok = write_record(r, told, packed, f);
        if (fclose(f) != 0)
            ok = 0;
        if (ok)
            (void)fputs(text, to);
        free(text);
        if (ok)
            return 1;
    }
    return refuse(r->t, "C's rules don't lay '%.60s' out as it is", told->tag);
}

/* ---- names ---- */

static struct tc_dwarf_told *find_told(struct tc_dwarf_types *t, const Dwarf_Die *die)
{
    for (uint32_t i = 0; i < t->told_count; i++)
        if (t->told[i].addr == die->addr)
            return &t->told[i];
    return NULL;
}

static int is_taken(const struct tc_dwarf_types *t, const char *tag)
{
    for (uint32_t i = 0; i < t->told_count; i++)
        if (strcmp(t->told[i].tag, tag) == 0)
            return 1;
    return 0;
}

/* Two scopes may have types of one name. */
static char *make_tag(const struct tc_dwarf_types *t, Dwarf_Die *die)
{
    const char *own = t->wanted != NULL ? t->wanted : dwarf_diename(die);
    char *tag;

    if (t->wanted != NULL)
        return strdup(own);
    tag = own != NULL ? tc_dwarf_name(own, 0) : tc_dwarf_print("unnamed%u", t->told_count);
    while (tag != NULL && is_taken(t, tag)) {
        char *more = tc_dwarf_print("%s_", tag);
        free(tag);
        tag = more;
    }
    return tag;
}

static int tell_new(struct tc_dwarf_types *t, Dwarf_Die *die, FILE *to, int depth,
                    struct tc_dwarf_told *told)
{
    struct tc_dwarf_record r = {.t = t,
                                .die = die,
                                .bytes = tc_dwarf_number(die, DW_AT_byte_size, 0),
                                .align = tc_dwarf_number(die, DW_AT_alignment, 1)};
    int ok = r.bytes <= TC_MAX_LAYOUT_BYTES && r.align <= 4096 && read_members(&r, to, depth) &&
             write_either(&r, told, to);

    for (size_t i = 0; i < r.count; i++)
        free(r.member[i].text);
    free(r.member);
    return ok;
}

const struct tc_dwarf_told *tc_dwarf_tell_record(struct tc_dwarf_types *t, Dwarf_Die *record,
                                                 FILE *to, int depth)
{
    struct tc_dwarf_told *told;
    Dwarf_Die die;

    if (!tc_dwarf_type_defined(t, record, &die)) {
        (void)refuse(t, "'%.60s' is declared, and defined nowhere",
                     dwarf_diename(record) != NULL ? dwarf_diename(record) : "a struct");
        return NULL;
    }
    told = find_told(t, &die);
    if (told != NULL && told->open)
        (void)refuse(t, "'%.60s' contains itself", told->tag);
    if (told != NULL)
        return told->open ? NULL : told;
    if (t->told_count == TC_DWARF_MAX_TYPES || depth > MAX_DEPTH) {
        (void)refuse(t, "there are too many types in it");
        return NULL;
    }
    told = &t->told[t->told_count];
    *told = (struct tc_dwarf_told){.addr = die.addr, .tag = make_tag(t, &die), .open = 1};
    told->is_typedef = depth == 0 && t->wanted != NULL && dwarf_diename(&die) == NULL;
    if (told->tag == NULL) {
        t->no_memory = 1;
        return NULL;
    }
    t->told_count++;
    t->wanted = NULL;
    told->open = !tell_new(t, &die, to, depth, told);
    return told->open ? NULL : told;
}
