/* Which type a name means: in the unit of the function first, then in all others. */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_text.h"
#include "service/resolve/dwarf_types.h"

#define MAX_DEPTH 40
#define MAX_SCOPE 512u

/* Which kinds of types an asked name may mean. */
enum kinds {
    RECORDS = 1,
    ENUMS = 2,
    TYPEDEFS = 4,
};

struct asked {
    struct tc_dwarf_types *t;
    const char *name;
    unsigned kinds;
    int tags_are_names; /* not in C, where `struct` belongs to the name */
    Dwarf_Die found;
    int is_found;
};

static int has_kind(const struct asked *a, int tag)
{
    switch (tag) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        return (a->kinds & RECORDS) && ((a->kinds & TYPEDEFS) == 0 || a->tags_are_names);
    case DW_TAG_enumeration_type:
        return (a->kinds & ENUMS) && ((a->kinds & TYPEDEFS) == 0 || a->tags_are_names);
    case DW_TAG_typedef:
    case DW_TAG_base_type:
        return (a->kinds & TYPEDEFS) != 0;
    default:
        return 0;
    }
}

/* "ns::Vec3" in its scope; "Vec3" in any; and what became of names that C can't say. */
static int is_called(const struct asked *a, const char *scope, const char *own)
{
    size_t bytes = strlen(scope);
    char *plain;
    int same;

    if (own == NULL)
        return 0;
    if (strcmp(own, a->name) == 0 ||
        (bytes > 0 && strncmp(a->name, scope, bytes) == 0 && strcmp(a->name + bytes, own) == 0))
        return 1;
    if (strchr(own, '<') == NULL)
        return 0;
    plain = tc_dwarf_name(own, 0);
    same = plain != NULL && strcmp(plain, a->name) == 0;
    free(plain);
    return same;
}

static int is_definition(Dwarf_Die *die)
{
    return !dwarf_hasattr(die, DW_AT_declaration);
}

static void look(struct asked *a, Dwarf_Die *parent, const char *scope, int depth)
{
    Dwarf_Die die;

    if (depth == MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        const char *own = dwarf_diename(&die);
        if (++a->t->steps > TC_DWARF_MAX_STEPS || a->is_found)
            return;
        if (has_kind(a, tag) && is_definition(&die) && is_called(a, scope, own)) {
            a->found = die;
            a->is_found = 1;
            return;
        }
        if (tc_dwarf_has_scopes(tag)) {
            char inner[MAX_SCOPE];
            int bytes = snprintf(inner, sizeof inner, "%s%s%s", scope, own != NULL ? own : "",
                                 own != NULL ? "::" : "");
            if (bytes >= 0 && (size_t)bytes < sizeof inner)
                look(a, &die, inner, depth + 1);
        }
    } while (tc_dwarf_next(&die));
}

static void look_everywhere(struct asked *a)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die, sub;
    uint8_t type;

    while (!a->is_found &&
           dwarf_get_units(a->t->dwarf->dwarf, unit, &unit, NULL, &type, &die, &sub) == 0) {
        int is_split = type == DW_UT_skeleton && dwarf_tag(&sub) == DW_TAG_compile_unit;
        look(a, is_split ? &sub : &die, "", 0);
    }
}

/* Types of parameters are known exactly, whatever else has their names. */
static int look_at_type(struct asked *a, Dwarf_Die *type, int has_type)
{
    struct tc_dwarf_peeled p;
    Dwarf_Die next;

    for (int i = 0; i < 8 && has_type; i++) {
        tc_dwarf_peel(type, has_type, &p);
        if (p.tag == DW_TAG_structure_type || p.tag == DW_TAG_class_type) {
            char *tag = tc_dwarf_name(dwarf_diename(&p.die), 0);
            int same = tag != NULL && dwarf_diename(&p.die) != NULL && strcmp(tag, a->name) == 0;
            free(tag);
            a->found = p.die;
            return same;
        }
        if (p.is_void)
            return 0;
        has_type = tc_dwarf_type(&p.die, &next);
        type = &next;
    }
    return 0;
}

static int look_at_parameters(struct asked *a)
{
    struct tc_dwarf_function *f = a->t->function;

    for (uint32_t i = 0; i < f->param_count; i++)
        if (look_at_type(a, &f->params[i].type, f->params[i].has_type))
            return 1;
    return look_at_type(a, &f->result, f->has_result);
}

static int is_c(int language)
{
    return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
           language == DW_LANG_C11;
}

int tc_dwarf_type_named(struct tc_dwarf_types *t, const char *name, Dwarf_Die *ret)
{
    struct asked a = {.t = t,
                      .name = name,
                      .kinds = RECORDS | ENUMS | TYPEDEFS,
                      .tags_are_names = !is_c(t->function->language)};
    Dwarf_Die unit;

    if (strncmp(name, "struct ", 7) == 0) {
        a.kinds = RECORDS;
        a.name += 7;
    } else if (strncmp(name, "enum ", 5) == 0) {
        a.kinds = ENUMS;
        a.name += 5;
    }
    if (a.kinds == RECORDS && look_at_parameters(&a)) {
        *ret = a.found;
        return 1;
    }
    a.is_found = 0;
    if (dwarf_diecu(&t->function->source, &unit, NULL, NULL) != NULL)
        look(&a, &unit, "", 0);
    if (!a.is_found)
        look_everywhere(&a);
    if (a.is_found)
        *ret = a.found;
    return a.is_found;
}

int tc_dwarf_type_defined(struct tc_dwarf_types *t, Dwarf_Die *die, Dwarf_Die *ret)
{
    struct asked a = {.t = t, .name = dwarf_diename(die), .kinds = RECORDS};
    Dwarf_Die to;

    *ret = *die;
    if (is_definition(die))
        return 1;
    if (tc_dwarf_follow(die, DW_AT_signature, &to)) {
        *ret = to;
        return is_definition(&to);
    }
    if (a.name != NULL)
        look_everywhere(&a);
    *ret = a.found;
    return a.is_found;
}
