#include "service/resolve/dwarf_text.h"

#include <ctype.h>
#include <dwarf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 24

static char *declare(Dwarf_Die *type, int has_type, const char *inner, int depth);

char *tc_dwarf_print(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return text;
}

char *tc_dwarf_name(const char *name, uint32_t number)
{
    char *copy = name != NULL && name[0] != 0 ? strndup(name, 200) : NULL;

    if (copy == NULL)
        return tc_dwarf_print("arg%u", number + 1);
    for (char *c = copy; *c != 0; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    if (isdigit((unsigned char)copy[0]))
        copy[0] = '_';
    return copy;
}

static int is_qualifier(int tag)
{
    return tag == DW_TAG_const_type || tag == DW_TAG_volatile_type || tag == DW_TAG_restrict_type ||
           tag == DW_TAG_atomic_type || tag == DW_TAG_typedef;
}

void tc_dwarf_peel(Dwarf_Die *type, int has_type, struct tc_dwarf_peeled *ret)
{
    *ret = (struct tc_dwarf_peeled){.is_void = !has_type};
    if (!has_type)
        return;
    ret->die = *type;
    for (int i = 0; i < MAX_DEPTH; i++) {
        Dwarf_Die next;
        ret->tag = dwarf_tag(&ret->die);
        if (!is_qualifier(ret->tag))
            return;
        ret->is_const |= ret->tag == DW_TAG_const_type;
        if (!tc_dwarf_type(&ret->die, &next))
            break;
        ret->die = next;
    }
    ret->is_void = 1;
    ret->tag = 0;
}

static int is_pointer(int tag)
{
    return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
           tag == DW_TAG_rvalue_reference_type;
}

/* The names that prototypes know without a declaration. */
static int is_known(const char *name)
{
    static const char *const known[] = {
        "size_t",  "ssize_t", "ptrdiff_t", "intptr_t", "uintptr_t", "int8_t", "int16_t", "int32_t",
        "int64_t", "uint8_t", "uint16_t",  "uint32_t", "uint64_t",  "off_t",  "time_t",  "FILE",
    };

    for (size_t i = 0; name != NULL && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return 1;
    return 0;
}

/* 16 bytes are also those of __float128, which goes another way. */
static int is_x87(const char *name)
{
    return name != NULL && (strcmp(name, "long double") == 0 || strcmp(name, "real(kind=10)") == 0);
}

/* By encoding and size, as languages have other names for the same. */
static const char *base_name(Dwarf_Die *die)
{
    static const char *const sized[] = {"signed char", "short", "int", "long"};
    static const char *const unsized[] = {"unsigned char", "unsigned short", "unsigned int",
                                          "unsigned long"};
    uint64_t bytes = tc_dwarf_number(die, DW_AT_byte_size, 0);
    int log = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : bytes == 8 ? 3 : -1;
    const char *name = dwarf_diename(die);

    switch (tc_dwarf_number(die, DW_AT_encoding, 0)) {
    case DW_ATE_signed:
        if (name != NULL && strcmp(name, "long long int") == 0)
            return "long long";
        return log >= 0 ? sized[log] : bytes == 16 ? "__int128" : NULL;
    case DW_ATE_unsigned:
    case DW_ATE_UTF:
    case DW_ATE_address:
        if (name != NULL && strcmp(name, "long long unsigned int") == 0)
            return "unsigned long long";
        return log >= 0 ? unsized[log] : bytes == 16 ? "unsigned __int128" : NULL;
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
        if (bytes == 1 && name != NULL && strcmp(name, "unsigned char") == 0)
            return "unsigned char";
        return bytes == 1 ? "char" : NULL;
    case DW_ATE_boolean:
        return bytes == 1 ? "bool" : log >= 0 ? sized[log] : NULL;
    case DW_ATE_float:
        return bytes == 4                    ? "float"
               : bytes == 8                  ? "double"
               : bytes == 16 && is_x87(name) ? "long double"
                                             : NULL;
    case DW_ATE_complex_float:
        return bytes == 8    ? "float _Complex"
               : bytes == 16 ? "double _Complex"
               : bytes == 32 ? "long double _Complex"
                             : NULL;
    default:
        return NULL;
    }
}

static const char *enum_name(Dwarf_Die *die)
{
    static const char *const names[] = {"signed char", "short", "int", "long"};
    uint64_t bytes = tc_dwarf_number(die, DW_AT_byte_size, 4);
    Dwarf_Die under;

    if (tc_dwarf_type(die, &under)) {
        struct tc_dwarf_peeled p;
        tc_dwarf_peel(&under, 1, &p);
        if (p.tag == DW_TAG_base_type)
            return base_name(&p.die);
    }
    return bytes == 1 ? names[0] : bytes == 2 ? names[1] : bytes == 8 ? names[3] : names[2];
}

static char *declare_array(Dwarf_Die *die, const char *inner, int depth)
{
    Dwarf_Die dim, to;
    char *text = strdup(inner), *more;
    int r = dwarf_child(die, &dim), count = 0;

    for (; text != NULL && r == 0 && count < 8; r = tc_dwarf_next(&dim) ? 0 : 1) {
        uint64_t n = tc_dwarf_number(&dim, DW_AT_count, UINT64_MAX);
        if (dwarf_tag(&dim) != DW_TAG_subrange_type)
            continue;
        if (n == UINT64_MAX)
            n = tc_dwarf_number(&dim, DW_AT_upper_bound, UINT64_MAX) + 1;
        more = n != 0 ? tc_dwarf_print("%s[%llu]", text, (unsigned long long)n)
                      : tc_dwarf_print("%s[]", text);
        free(text);
        text = more;
        count++;
    }
    int has_type = tc_dwarf_type(die, &to);
    more = text != NULL ? declare(&to, has_type, text, depth + 1) : NULL;
    free(text);
    return more;
}

static char *declare_params(Dwarf_Die *die, int depth)
{
    Dwarf_Die param, type;
    char *list = strdup(""), *more;
    int r = dwarf_child(die, &param), count = 0;

    for (; list != NULL && r == 0 && count < 32; r = tc_dwarf_next(&param) ? 0 : 1) {
        if (dwarf_tag(&param) != DW_TAG_formal_parameter)
            continue;
        int has_type = tc_dwarf_type(&param, &type);
        /* Functions that take functions fan out: few levels of them are told. */
        char *one = declare(&type, has_type, "", depth + 8);
        more = one != NULL ? tc_dwarf_print("%s%s%s", list, count++ > 0 ? ", " : "", one) : NULL;
        free(one);
        free(list);
        list = more;
    }
    if (list != NULL && count == 0) {
        free(list);
        list = strdup("void");
    }
    return list;
}

static char *declare_pointer(Dwarf_Die *die, const char *inner, int depth)
{
    struct tc_dwarf_peeled p;
    Dwarf_Die to;
    int has_type = tc_dwarf_type(die, &to);
    char *star, *text;

    tc_dwarf_peel(&to, has_type, &p);
    star = p.tag == DW_TAG_array_type || p.tag == DW_TAG_subroutine_type
               ? tc_dwarf_print("(*%s)", inner)
               : tc_dwarf_print("*%s", inner);
    text = star != NULL ? declare(&to, has_type, star, depth + 1) : NULL;
    free(star);
    return text;
}

static char *declare_function(Dwarf_Die *die, const char *inner, int depth)
{
    Dwarf_Die result;
    int has_type = tc_dwarf_type(die, &result);
    char *params = declare_params(die, depth);
    char *head = params != NULL ? tc_dwarf_print("%s(%s)", inner, params) : NULL;
    char *text = head != NULL ? declare(&result, has_type, head, depth + 1) : NULL;

    free(params);
    free(head);
    return text;
}

static char *word(const char *type, const char *inner)
{
    return tc_dwarf_print("%s%s%s", type, inner[0] != 0 && inner[0] != '[' ? " " : "", inner);
}

static char *declare_record(Dwarf_Die *die, int tag, const char *inner)
{
    char *name = tc_dwarf_name(dwarf_diename(die), 0), *text;

    if (dwarf_diename(die) == NULL && name != NULL) {
        free(name);
        name = strdup("unnamed");
    }
    text = name != NULL ? tc_dwarf_print("%s %s%s%s", tag == DW_TAG_union_type ? "union" : "struct",
                                         name, inner[0] != 0 ? " " : "", inner)
                        : NULL;
    free(name);
    return text;
}

/* const says something where it stands before the thing itself; a const pointer is but a value. */
static char *declare_const(Dwarf_Die *die, const char *inner, int depth)
{
    struct tc_dwarf_peeled p;
    Dwarf_Die to;
    int has_type = tc_dwarf_type(die, &to);
    char *text = declare(&to, has_type, inner, depth + 1), *whole;

    tc_dwarf_peel(&to, has_type, &p);
    if (text == NULL || is_pointer(p.tag) || strncmp(text, "const ", 6) == 0)
        return text;
    whole = tc_dwarf_print("const %s", text);
    free(text);
    return whole;
}

/* Of a struct without a tag the typedef is all that a config's `types:` can declare. */
static int is_its_only_name(Dwarf_Die *definition)
{
    struct tc_dwarf_peeled p;

    tc_dwarf_peel(definition, 1, &p);
    return (p.tag == DW_TAG_structure_type || p.tag == DW_TAG_union_type) &&
           dwarf_diename(&p.die) == NULL && dwarf_diename(definition) != NULL;
}

static char *declare(Dwarf_Die *type, int has_type, const char *inner, int depth)
{
    Dwarf_Die to;
    int tag = has_type ? dwarf_tag(type) : 0;

    if (!has_type || depth > MAX_DEPTH)
        return word("void", inner);
    switch (tag) {
    case DW_TAG_const_type:
        return declare_const(type, inner, depth);
    case DW_TAG_typedef:
        if (is_known(dwarf_diename(type)) || is_its_only_name(type))
            return word(dwarf_diename(type), inner);
        __attribute__((fallthrough));
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
        has_type = tc_dwarf_type(type, &to);
        return declare(&to, has_type, inner, depth + 1);
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        return declare_pointer(type, inner, depth);
    case DW_TAG_array_type:
        return declare_array(type, inner, depth);
    case DW_TAG_subroutine_type:
        return declare_function(type, inner, depth);
    case DW_TAG_base_type:
        return word(base_name(type) != NULL ? base_name(type) : "unknown_type", inner);
    case DW_TAG_enumeration_type:
        return word(enum_name(type) != NULL ? enum_name(type) : "int", inner);
    case DW_TAG_string_type: /* Fortran's character */
        return word("char", inner);
    default:
        return declare_record(type, tag, inner);
    }
}

char *tc_dwarf_declare(Dwarf_Die *type, int has_type, const char *inner)
{
    return declare(type, has_type, inner, 0);
}

int tc_dwarf_points_at(struct tc_dwarf_param *p, struct tc_dwarf_peeled *ret, Dwarf_Die *ret_type,
                       int *ret_has_type)
{
    struct tc_dwarf_peeled own;
    Dwarf_Die next;

    tc_dwarf_peel(&p->type, p->has_type, &own);
    if (p->by_reference) {
        *ret_type = p->type;
        *ret_has_type = p->has_type;
        /* Of an array the elements count; the config says how many. */
        if (own.tag == DW_TAG_array_type && tc_dwarf_type(&own.die, &next))
            *ret_type = next;
    } else if (is_pointer(own.tag)) {
        *ret_has_type = tc_dwarf_type(&own.die, ret_type);
    } else {
        return 0;
    }
    tc_dwarf_peel(ret_type, *ret_has_type, ret);
    return 1;
}
