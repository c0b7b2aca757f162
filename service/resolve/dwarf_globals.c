/* Variables in debug information: the type that goes with what a config says of a global. */
#include <ctype.h>
#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_text.h"
#include "service/resolve/globals.h"

#define MAX_DIMENSIONS 8

struct search {
    const char *name;
    uint64_t vaddr; /* 0: where it is declared */
    uint32_t steps;
    int found;
    Dwarf_Die type;
};

/* A fixed address and nothing else. */
static int is_at(Dwarf_Die *die, uint64_t vaddr)
{
    Dwarf_Attribute a;
    Dwarf_Op *ops;
    size_t count;

    return dwarf_attr(die, DW_AT_location, &a) != NULL &&
           dwarf_getlocation(&a, &ops, &count) == 0 && count == 1 && ops[0].atom == DW_OP_addr &&
           ops[0].number == vaddr;
}

static void see_variable(struct search *s, Dwarf_Die *die)
{
    const char *name = tc_dwarf_linkage_name(die);
    int declared = dwarf_hasattr(die, DW_AT_declaration) != 0;

    if (s->vaddr != 0 ? !is_at(die, s->vaddr)
                      : !declared || name == NULL || strcmp(name, s->name) != 0)
        return;
    s->found = tc_dwarf_type(die, &s->type);
}

/* Variables of functions are found as well: statics have fixed addresses. */
static void look(struct search *s, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die;

    if (depth == TC_DWARF_MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (++s->steps > TC_DWARF_MAX_STEPS)
            return;
        if (tag == DW_TAG_variable)
            see_variable(s, &die);
        else if (tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
                 tc_dwarf_has_scopes(tag))
            look(s, &die, depth + 1);
    } while (!s->found && tc_dwarf_next(&die));
}

static void look_in_units(struct search *s, const struct tc_dwarf *d)
{
    Dwarf_Off offset = 0, next;
    size_t header;

    while (!s->found && dwarf_nextcu(d->dwarf, offset, &next, &header, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;
        if (dwarf_offdie(d->dwarf, offset + header, &unit) != NULL)
            look(s, &unit, 0);
        if (next <= offset)
            return;
        offset = next;
    }
}

/* In front of the type: in, out, inout ... */
static size_t words_bytes(const char *config)
{
    static const char *const words[] = {"in", "out", "inout", "file", "ignore", "malloc", NULL};
    size_t at = 0, end = 0;

    for (;;) {
        size_t begin, bytes = 0;
        int known = 0;
        while (isspace((unsigned char)config[at]))
            at++;
        begin = at;
        while (isalnum((unsigned char)config[at]) || config[at] == '_')
            at++;
        bytes = at - begin;
        for (int i = 0; words[i] != NULL; i++)
            known |= bytes == strlen(words[i]) && memcmp(config + begin, words[i], bytes) == 0;
        if (!known)
            return end;
        end = at;
    }
}

int tc_global_has_type(const char *config)
{
    const char *rest = config + words_bytes(config);

    while (isspace((unsigned char)*rest))
        rest++;
    return *rest != 0 && *rest != '[';
}

/* "[3][4]" of an array whose length is known; 0: it isn't. */
static int dimensions(Dwarf_Die *array, char *ret, size_t bytes)
{
    Dwarf_Die die;
    size_t at = 0;
    int count = 0;

    ret[0] = 0;
    if (dwarf_child(array, &die) != 0)
        return 0;
    do {
        uint64_t upper, n;
        if (dwarf_tag(&die) != DW_TAG_subrange_type)
            return 0;
        upper = tc_dwarf_number(&die, DW_AT_upper_bound, UINT64_MAX);
        n = tc_dwarf_number(&die, DW_AT_count, upper == UINT64_MAX ? 0 : upper + 1);
        if (n == 0 || ++count > MAX_DIMENSIONS || at + 24 > bytes)
            return 0;
        at += (size_t)snprintf(ret + at, bytes - at, "[%llu]", (unsigned long long)n);
    } while (tc_dwarf_next(&die));
    return count;
}

/* What is declared, as the inner part of a declaration: the brackets that the config gives, else
 * those of the type. */
static char *complete(Dwarf_Die *type, const char *brackets)
{
    struct tc_dwarf_peeled p;
    char dims[24 * MAX_DIMENSIONS + 1], inner[512];
    Dwarf_Die to;

    tc_dwarf_peel(type, 1, &p);
    if (p.tag == DW_TAG_array_type) {
        if (!tc_dwarf_type(&p.die, &to))
            return NULL;
        if (brackets[0] == 0 && !dimensions(&p.die, dims, sizeof dims))
            return NULL;
        return tc_dwarf_declare(&to, 1, brackets[0] != 0 ? brackets : dims);
    }
    if (brackets[0] == 0)
        return tc_dwarf_declare(type, 1, "");
    if (p.tag != DW_TAG_pointer_type || strlen(brackets) + 4 > sizeof inner)
        return tc_dwarf_declare(type, 1, brackets);
    (void)snprintf(inner, sizeof inner, "(*)%s", brackets);
    return tc_dwarf_declare(&to, tc_dwarf_type(&p.die, &to), inner);
}

int tc_dwarf_global_text(const struct tc_dwarf *d, const char *name, uint64_t vaddr,
                         const char *config, char **ret)
{
    struct search s = {.name = name, .vaddr = vaddr};
    const char *brackets = strchr(config, '[');
    size_t words = words_bytes(config);
    char *declared;

    *ret = NULL;
    look_in_units(&s, d);
    if (!s.found && vaddr != 0) {
        s = (struct search){.name = name}; /* a copy of another object's, declared only */
        look_in_units(&s, d);
    }
    if (!s.found)
        return 0;
    declared = complete(&s.type, brackets != NULL ? brackets : "");
    if (declared == NULL)
        return 0;
    if (asprintf(ret, "%.*s %s", (int)words, config, declared) < 0)
        *ret = NULL;
    free(declared);
    return *ret != NULL ? 0 : -ENOMEM;
}
