/* One parameter's text: from its type, and from what the config says of it. */
#include <ctype.h>
#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_proto.h"
#include "service/resolve/dwarf_text.h"

static int is_integer(struct tc_dwarf_peeled *p)
{
    if (p->tag == DW_TAG_enumeration_type)
        return 1;
    if (p->tag != DW_TAG_base_type)
        return 0;
    switch (tc_dwarf_number(&p->die, DW_AT_encoding, 0)) {
    case DW_ATE_signed:
    case DW_ATE_unsigned:
        return 1;
    default:
        return 0;
    }
}

static int is_char(struct tc_dwarf_peeled *p)
{
    uint64_t encoding =
        p->tag == DW_TAG_base_type ? tc_dwarf_number(&p->die, DW_AT_encoding, 0) : 0;
    const char *name = p->tag == DW_TAG_base_type ? dwarf_diename(&p->die) : NULL;

    return (encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char) && name != NULL &&
           strcmp(name, "char") == 0;
}

/* Can the parameter say how many elements another one has? As an expression, or NULL. */
static char *as_count(struct tc_dwarf_function *f, uint32_t index)
{
    struct tc_dwarf_param *p = &f->params[index];
    struct tc_dwarf_peeled t;
    char *name, *text;

    tc_dwarf_peel(&p->type, p->has_type, &t);
    if (!is_integer(&t) || p->artificial)
        return NULL;
    name = tc_dwarf_name(p->name, index);
    text = name != NULL ? tc_dwarf_print("%s%s", p->by_reference ? "*" : "", name) : NULL;
    free(name);
    return text;
}

static int sounds_like_count(const char *name)
{
    static const char *const beginnings[] = {"n", "len", "size", "count", "num", "cnt"};

    for (size_t i = 0; name != NULL && i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (strncasecmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return 1;
    return 0;
}

/* The count mostly follows its array, and mostly says what it is. */
static char *guess_count(struct tc_dwarf_function *f, uint32_t index)
{
    char *text = NULL;

    for (int named = 1; named >= 0 && text == NULL; named--) {
        for (uint32_t i = index + 1; text == NULL && i < f->param_count; i++)
            text = sounds_like_count(f->params[i].name) >= named ? as_count(f, i) : NULL;
        for (uint32_t i = 0; text == NULL && i < index; i++)
            text = sounds_like_count(f->params[i].name) >= named ? as_count(f, i) : NULL;
    }
    return text != NULL ? text : strdup("1");
}

static int is_one_thing(struct tc_dwarf_param *p, struct tc_dwarf_peeled *to)
{
    struct tc_dwarf_peeled own;

    tc_dwarf_peel(&p->type, p->has_type, &own);
    if (p->by_reference)
        return own.tag != DW_TAG_array_type && to->tag != DW_TAG_string_type;
    return own.tag == DW_TAG_reference_type || own.tag == DW_TAG_rvalue_reference_type;
}

/* Of a pointer to pointers: strings, or a block that the call makes. To ignore it would leave the
 * caller without the block. */
static char *propose_pointers(struct tc_dwarf_function *f, uint32_t index,
                              struct tc_dwarf_peeled *pointer)
{
    struct tc_dwarf_peeled to;
    Dwarf_Die next;
    char *count, *text;

    tc_dwarf_peel(&next, tc_dwarf_type(&pointer->die, &next), &to);
    if (is_char(&to) && to.is_const) {
        count = guess_count(f, index);
        text = count != NULL ? tc_dwarf_print("in [%s]", count) : NULL;
        free(count);
        return text;
    }
    if (pointer->is_const || to.is_void || to.tag == DW_TAG_pointer_type ||
        to.tag == DW_TAG_subroutine_type || to.tag == DW_TAG_union_type)
        return strdup("ignore");
    return strdup(to.tag == DW_TAG_base_type && !is_char(&to) ? "out malloc [1]" : "out malloc");
}

/* What the config could say of a pointer: a proposal, for a person to look at. */
static char *propose(struct tc_dwarf_function *f, uint32_t index, struct tc_dwarf_peeled *to)
{
    struct tc_dwarf_param *p = &f->params[index];
    const char *way = to->is_const || p->by_reference ? "in" : "inout";
    char *count, *text;

    if (to->tag == DW_TAG_subroutine_type)
        return strdup("in");
    if (to->tag == DW_TAG_pointer_type)
        return propose_pointers(f, index, to);
    if (to->tag == DW_TAG_union_type)
        return strdup("ignore");
    if (to->tag == DW_TAG_structure_type || to->tag == DW_TAG_class_type)
        return strdup(dwarf_hasattr(&to->die, DW_AT_declaration) ? "ignore" : way);
    if (is_char(to) && to->is_const)
        return strdup("in");
    if (is_one_thing(p, to))
        return tc_dwarf_print("%s [1]", way);
    count = guess_count(f, index);
    text = count != NULL ? tc_dwarf_print("%s [%s]", way, count) : NULL;
    free(count);
    return text;
}

/* "in [n]": words in front of the type, brackets behind the name. */
static int split(const char *config, char **ret_words, const char **ret_brackets)
{
    const char *open = strchr(config, '['), *end = open != NULL ? open : config + strlen(config);

    while (isspace((unsigned char)*config))
        config++;
    while (end > config && isspace((unsigned char)end[-1]))
        end--;
    *ret_brackets = open != NULL ? open : "";
    *ret_words = end > config ? strndup(config, (size_t)(end - config)) : strdup("");
    return *ret_words != NULL ? 0 : -ENOMEM;
}

static char *with_words(const char *words, char *declared)
{
    char *text = declared != NULL
                     ? tc_dwarf_print("%s%s%s", words, words[0] != 0 ? " " : "", declared)
                     : NULL;

    free(declared);
    return text;
}

static char *declare_pointer(struct tc_dwarf_param *p, const char *name, const char *brackets)
{
    struct tc_dwarf_peeled to;
    Dwarf_Die type;
    int has_type = 0, points = tc_dwarf_points_at(p, &to, &type, &has_type);
    char *inner, *text;

    if (!points)
        return tc_dwarf_declare(&p->type, p->has_type, name);
    if (brackets[0] == 0 && (to.tag == DW_TAG_subroutine_type || to.tag == DW_TAG_array_type))
        inner = tc_dwarf_print("(*%s)", name);
    else
        inner =
            brackets[0] == 0 ? tc_dwarf_print("*%s", name) : tc_dwarf_print("%s%s", name, brackets);
    text = inner != NULL ? tc_dwarf_declare(&type, has_type, inner) : NULL;
    free(inner);
    return text;
}

/* The length of a character argument, which only Fortran's callers pass. */
static int is_hidden(const struct tc_dwarf_function *f, uint32_t index)
{
    return tc_dwarf_is_fortran(f->language) && f->params[index].artificial;
}

/* Whose members nobody should have to name: of a method's object, and of the standard library's. */
static int is_opaque(const struct tc_dwarf_function *f, uint32_t index, struct tc_dwarf_peeled *to)
{
    int is_class = to->tag == DW_TAG_class_type || to->tag == DW_TAG_structure_type;

    return is_class && ((f->params[index].artificial && !tc_dwarf_is_fortran(f->language)) ||
                        tc_dwarf_is_in_std(&to->die));
}

/* A pointer without `const` and a direction says nothing about what is there. */
static char *without_const(char *declared)
{
    size_t bytes = strncmp(declared, "const ", 6) == 0 ? 6 : 0;
    return strdup(declared + bytes);
}

static char *write_param(struct tc_dwarf_function *f, uint32_t index, struct tc_dwarf_text *t)
{
    struct tc_dwarf_param *p = &f->params[index];
    const char *brackets = "";
    char *words = NULL, *text = NULL;

    if (is_hidden(f, index))
        return tc_dwarf_print("hidden %s", t->declared);
    if (t->unused)
        return with_words("ignore", strdup(t->declared));
    if (t->config == NULL)
        return strdup(t->declared);
    if (split(t->config, &words, &brackets) == 0)
        text = with_words(words, declare_pointer(p, t->name, brackets));
    free(words);
    return text;
}

int tc_dwarf_param_text(struct tc_dwarf_function *f, uint32_t index, const char *config, int unused,
                        struct tc_dwarf_text *ret)
{
    struct tc_dwarf_param *p = &f->params[index];
    struct tc_dwarf_text t = {.config = config, .unused = unused};
    struct tc_dwarf_peeled to;
    Dwarf_Die type;
    int has_type = 0, points = tc_dwarf_points_at(p, &to, &type, &has_type);

    t.name = tc_dwarf_name(p->name, index);
    t.declared = t.name != NULL ? declare_pointer(p, t.name, "") : NULL;
    if (t.declared != NULL && points && config == NULL && !unused && is_opaque(f, index, &to))
        t.written = without_const(t.declared);
    else if (t.declared != NULL && points && config == NULL && !unused)
        t.draft = propose(f, index, &to);
    else if (t.declared != NULL)
        t.written = write_param(f, index, &t);
    *ret = t;
    if (t.draft != NULL || t.written != NULL)
        return 0;
    tc_dwarf_param_text_free(ret);
    return -ENOMEM;
}

void tc_dwarf_param_text_free(struct tc_dwarf_text *t)
{
    free(t->name);
    free(t->declared);
    free(t->written);
    free(t->draft);
    *t = (struct tc_dwarf_text){0};
}
