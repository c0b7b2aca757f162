/* Which functions, as debug information describes them, can have a prototype at all. */
#include <dwarf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service/resolve/dwarf_proto.h"
#include "service/resolve/dwarf_text.h"

/* Classes inside of classes. */
#define MAX_DEPTH 16

static enum tc_reason refuse(char detail[TC_DETAIL_BYTES], enum tc_reason reason,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum tc_reason refuse(char detail[TC_DETAIL_BYTES], enum tc_reason reason,
                             const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, TC_DETAIL_BYTES, format, args);
    va_end(args);
    return reason;
}

static int passes_doubles(struct tc_dwarf_function *f)
{
    for (uint32_t i = 0; i < f->param_count; i++) {
        struct tc_dwarf_peeled p;
        tc_dwarf_peel(&f->params[i].type, f->params[i].has_type, &p);
        if (p.tag == DW_TAG_base_type && tc_dwarf_number(&p.die, DW_AT_byte_size, 0) == 4 &&
            tc_dwarf_number(&p.die, DW_AT_encoding, 0) == DW_ATE_float)
            return 1;
    }
    return 0;
}

static int is_c(int language)
{
    return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
           language == DW_LANG_C11;
}

static int has_own_ways(Dwarf_Die *class, int depth);

static int member_has_own_ways(Dwarf_Die *member, int depth)
{
    struct tc_dwarf_peeled p;
    Dwarf_Die type;
    int has_type = tc_dwarf_type(member, &type);

    tc_dwarf_peel(&type, has_type, &p);
    for (int i = 0; i < 4 && p.tag == DW_TAG_array_type; i++) {
        has_type = tc_dwarf_type(&p.die, &type);
        tc_dwarf_peel(&type, has_type, &p);
    }
    return (p.tag == DW_TAG_structure_type || p.tag == DW_TAG_class_type) &&
           has_own_ways(&p.die, depth + 1);
}

/* Has the class a constructor, destructor or virtual function of its own, or of a base or member?
 */
static int has_own_ways(Dwarf_Die *class, int depth)
{
    const char *name = dwarf_diename(class), *own;
    Dwarf_Die die;

    if (depth > MAX_DEPTH)
        return 1;
    if (dwarf_child(class, &die) != 0)
        return 0;
    do {
        int tag = dwarf_tag(&die);
        own = dwarf_diename(&die);
        if ((tag == DW_TAG_member || tag == DW_TAG_inheritance) && member_has_own_ways(&die, depth))
            return 1;
        if (tag == DW_TAG_inheritance && tc_dwarf_number(&die, DW_AT_virtuality, 0) != 0)
            return 1;
        if (dwarf_hasattr(&die, DW_AT_vtable_elem_location))
            return 1;
        if (tag == DW_TAG_subprogram && own != NULL &&
            (own[0] == '~' || (name != NULL && strcmp(own, name) == 0)))
            return 1;
    } while (tc_dwarf_next(&die));
    return 0;
}

/* Objects that C++ copies by a constructor are passed by address, whatever the declaration says.
 * Compilers mark the ones and the others; older ones don't. */
static int is_by_hidden_address(Dwarf_Die *type, int has_type)
{
    struct tc_dwarf_peeled p;

    tc_dwarf_peel(type, has_type, &p);
    if (p.tag != DW_TAG_structure_type && p.tag != DW_TAG_class_type && p.tag != DW_TAG_union_type)
        return 0;
    switch (tc_dwarf_number(&p.die, DW_AT_calling_convention, 0)) {
    case DW_CC_pass_by_value:
        return 0;
    case DW_CC_pass_by_reference:
        return 1;
    default:
        return has_own_ways(&p.die, 0);
    }
}

/* Fortran's assumed shapes, and whatever else isn't the address of the first element. */
static int has_descriptor(const struct tc_dwarf_function *f, struct tc_dwarf_param *p)
{
    struct tc_dwarf_peeled t;

    tc_dwarf_peel(&p->type, p->has_type, &t);
    return t.tag == DW_TAG_array_type && (dwarf_hasattr(&t.die, DW_AT_data_location) ||
                                          (tc_dwarf_is_fortran(f->language) && !p->by_reference));
}

/* C's arrays are pointers when they are passed: what is left are vectors. */
static int is_vector(struct tc_dwarf_param *p)
{
    struct tc_dwarf_peeled t;

    tc_dwarf_peel(&p->type, p->has_type, &t);
    return t.tag == DW_TAG_array_type && !p->by_reference;
}

static enum tc_reason check_result(struct tc_dwarf_function *f, char detail[TC_DETAIL_BYTES])
{
    struct tc_dwarf_peeled t;

    tc_dwarf_peel(&f->result, f->has_result, &t);
    if (is_by_hidden_address(&f->result, f->has_result))
        return refuse(detail, TC_R_UNSUPPORTED_TYPE,
                      "the result is an object that is returned by address");
    if (t.tag == DW_TAG_array_type && !tc_dwarf_is_fortran(f->language))
        return refuse(detail, TC_R_VECTOR_TYPE, "the result");
    if (t.tag == DW_TAG_array_type || t.tag == DW_TAG_string_type)
        return refuse(detail, TC_R_UNSUPPORTED_TYPE, "the result is an array or text");
    return TC_R_NONE;
}

static enum tc_reason check_param(struct tc_dwarf_function *f, struct tc_dwarf_param *p,
                                  char detail[TC_DETAIL_BYTES])
{
    const char *name = p->name != NULL ? p->name : "a parameter";

    if (is_by_hidden_address(&p->type, p->has_type))
        return refuse(detail, TC_R_UNSUPPORTED_TYPE,
                      "'%.80s' is an object that is passed by address", name);
    if (has_descriptor(f, p))
        return refuse(detail, TC_R_UNSUPPORTED_TYPE, "'%.80s' is an array with a descriptor", name);
    return is_vector(p) ? refuse(detail, TC_R_VECTOR_TYPE, "'%.80s'", name) : TC_R_NONE;
}

enum tc_reason tc_dwarf_convention(const struct tc_dwarf_function *f, char detail[TC_DETAIL_BYTES])
{
    if (f->foreign)
        return refuse(detail, TC_R_PROTOTYPE_ABI_MISMATCH,
                      "it has a calling convention of its own");
    if (f->nested)
        return refuse(detail, TC_R_PROTOTYPE_ABI_MISMATCH,
                      "it reads variables of the function around it");
    return TC_R_NONE;
}

enum tc_reason tc_dwarf_accept(struct tc_dwarf_function *f, char detail[TC_DETAIL_BYTES])
{
    enum tc_reason r = tc_dwarf_convention(f, detail);

    if (f->meagre)
        return refuse(detail, TC_R_PROTOTYPE_MISSING,
                      "the debug information has lines only: build with -g");
    if (r != 0)
        return r;
    if (f->variadic)
        return refuse(detail, TC_R_VARIADIC, "%s", "");
    if (f->too_many)
        return refuse(detail, TC_R_TOO_MANY, "more than %u parameters", TC_MAX_PARAMS);
    if (is_c(f->language) && !f->prototyped && passes_doubles(f))
        return refuse(detail, TC_R_PROTOTYPE_ABI_MISMATCH,
                      "an old-style definition takes float as double");
    for (uint32_t i = 0; i < f->param_count && r == 0; i++)
        r = check_param(f, &f->params[i], detail);
    return r != 0 ? r : check_result(f, detail);
}
