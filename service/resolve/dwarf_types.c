#include "service/resolve/dwarf_types.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_text.h"

#define MAX_ENUMERATORS 4096

/* The name that was asked for, as C puts it in front of a tag. */
static const char *without_keyword(const char *name)
{
    return strncmp(name, "struct ", 7) == 0 ? name + 7
           : strncmp(name, "enum ", 5) == 0 ? name + 5
                                            : name;
}

static int tell_struct(struct tc_dwarf_types *t, Dwarf_Die *die, const char *name, FILE *to)
{
    const char *own = without_keyword(name);
    const struct tc_dwarf_told *told;

    t->wanted = own;
    told = tc_dwarf_tell_record(t, die, to, 0);
    t->wanted = NULL;
    if (told == NULL)
        return 0;
    if (own == name && !told->is_typedef)
        (void)fprintf(to, "typedef struct %s %s;\n", told->tag, own);
    /* It was told before, by another name. */
    return own == name || strcmp(told->tag, own) == 0;
}

static int tell_enum(Dwarf_Die *die, const char *name, FILE *to)
{
    const char *own = without_keyword(name);
    uint64_t bytes = tc_dwarf_number(die, DW_AT_byte_size, 4);
    Dwarf_Die e;
    int r = dwarf_child(die, &e), count = 0;

    /* A class enum, or one of another size, is but an integer here. */
    if (own == name || r != 0 || bytes > 4) {
        char *text = tc_dwarf_declare(die, 1, own);
        if (text != NULL && own == name)
            (void)fprintf(to, "typedef %s;\n", text);
        free(text);
        return own == name && text != NULL;
    }
    (void)fprintf(to, "enum %s {", own);
    for (; r == 0 && count < MAX_ENUMERATORS; r = tc_dwarf_next(&e) ? 0 : 1) {
        Dwarf_Attribute a;
        Dwarf_Sword value;
        char *one = tc_dwarf_name(dwarf_diename(&e), 0);
        if (one != NULL && dwarf_tag(&e) == DW_TAG_enumerator &&
            dwarf_attr(&e, DW_AT_const_value, &a) != NULL && dwarf_formsdata(&a, &value) == 0) {
            (void)fprintf(to, " %s = %lld,", one, (long long)value);
            count++;
        }
        free(one);
    }
    (void)fprintf(to, " }%s;\n", bytes < 4 ? " __attribute__((packed))" : "");
    return count > 0;
}

static int tell_typedef(struct tc_dwarf_types *t, Dwarf_Die *die, const char *name, FILE *to)
{
    struct tc_dwarf_peeled p;
    struct tc_dwarf_size size;
    char *text;

    tc_dwarf_peel(die, 1, &p);
    if ((p.tag == DW_TAG_structure_type || p.tag == DW_TAG_class_type) &&
        dwarf_diename(&p.die) == NULL)
        return tell_struct(t, &p.die, name, to);
    /* Pointers, and what they point at, stay what they are. */
    text = p.tag == DW_TAG_pointer_type || p.is_void
               ? tc_dwarf_declare(&p.die, !p.is_void, name)
               : tc_dwarf_tell_member(t, &p.die, name, to, 0, &size);
    if (text != NULL)
        (void)fprintf(to, "typedef %s;\n", text);
    free(text);
    return text != NULL;
}

static int tell(struct tc_dwarf_types *t, Dwarf_Die *die, const char *name, FILE *to)
{
    switch (dwarf_tag(die)) {
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        return tell_struct(t, die, name, to);
    case DW_TAG_union_type:
        (void)snprintf(t->why, sizeof t->why, "'%.60s' is a union", name);
        return 0;
    case DW_TAG_enumeration_type:
        return tell_enum(die, name, to);
    default:
        return tell_typedef(t, die, name, to);
    }
}

const char *tc_dwarf_type_text(void *arg, const char *name)
{
    struct tc_dwarf_types *t = arg;
    char *text = NULL;
    size_t bytes;
    Dwarf_Die die;
    FILE *f;
    int ok;

    if (t->text_count == TC_DWARF_MAX_TYPES || !tc_dwarf_type_named(t, name, &die))
        return NULL;
    f = open_memstream(&text, &bytes);
    if (f == NULL)
        return NULL;
    ok = tell(t, &die, name, f);
    if (fclose(f) != 0 || !ok) {
        free(text);
        return NULL;
    }
    t->texts[t->text_count++] = text;
    return text;
}

void tc_dwarf_types_free(struct tc_dwarf_types *t)
{
    for (uint32_t i = 0; i < t->told_count; i++)
        free(t->told[i].tag);
    for (uint32_t i = 0; i < t->text_count; i++)
        free(t->texts[i]);
    t->told_count = t->text_count = 0;
}
