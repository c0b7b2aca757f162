/* Functions by name alone: those that have no code, and C++'s by the name in the source. */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/cxx_text.h"
#include "service/resolve/dwarf_find.h"

#define MAX_DEPTH TC_DWARF_MAX_DEPTH
#define MAX_STEPS TC_DWARF_MAX_STEPS

int tc_dwarf_is_in_std(Dwarf_Die *die)
{
    Dwarf_Die *scopes = NULL;
    int count = dwarf_getscopes_die(die, &scopes), found = 0;

    for (int i = 0; i < count; i++) {
        const char *name =
            dwarf_tag(&scopes[i]) == DW_TAG_namespace ? dwarf_diename(&scopes[i]) : NULL;
        found |= name != NULL && strcmp(name, "std") == 0;
    }
    free(scopes);
    return found;
}

/* What is looked for, and what was found of it. */
struct names {
    const char *name;
    const struct tc_cxx_name *cxx; /* NULL: by `name` */
    uint32_t steps, copies;
    int defined;
    uint64_t entry; /* of the first one that has code */
    uint32_t entries;
};

static void put_scope(FILE *f, Dwarf_Die *scope)
{
    const char *name = dwarf_diename(scope);

    if (dwarf_tag(scope) == DW_TAG_namespace && name == NULL)
        (void)fputs(TC_CXX_ANONYMOUS "::", f);
    else if (tc_dwarf_has_scopes(dwarf_tag(scope)))
        (void)fprintf(f, "%s::", name != NULL ? name : "?");
}

/* Of a function without a linkage name, "ns::f": what is local to a unit needs none, nor has
 * `extern "C"`. */
static int is_scoped(const struct tc_cxx_name *n, Dwarf_Die *die)
{
    const char *own = dwarf_diename(die);
    Dwarf_Die *scopes = NULL, declared = *die;
    char *text = NULL;
    size_t bytes;
    int found = 0, count;
    FILE *f;

    /* The definition may stand outside of the namespace that declares it. */
    if (tc_dwarf_follow(die, DW_AT_specification, &declared) && own == NULL)
        own = dwarf_diename(&declared);
    if (own == NULL || strcmp(own, n->function) != 0)
        return 0;
    f = open_memstream(&text, &bytes);
    if (f == NULL)
        return 0;
    count = dwarf_getscopes_die(&declared, &scopes);
    for (int i = count - 1; i > 0; i--)
        put_scope(f, &scopes[i]);
    (void)fputs(own, f);
    if (fclose(f) == 0)
        found = tc_cxx_is_called(n, text);
    free(scopes);
    free(text);
    return found;
}

static int is_meant(const struct names *w, Dwarf_Die *die)
{
    const char *linkage = tc_dwarf_linkage_name(die);

    if (w->cxx == NULL)
        return linkage != NULL && strcmp(linkage, w->name) == 0;
    return linkage != NULL && strncmp(linkage, "_Z", 2) == 0 ? tc_cxx_matches(w->cxx, linkage, NULL)
                                                             : is_scoped(w->cxx, die);
}

static void see_function(struct names *w, Dwarf_Die *die)
{
    Dwarf_Addr entry = 0;

    if (dwarf_hasattr(die, DW_AT_declaration) || !is_meant(w, die))
        return;
    w->defined = 1;
    if (dwarf_entrypc(die, &entry) == 0 && (w->entries == 0 || entry != w->entry)) {
        w->entry = w->entries == 0 ? entry : w->entry;
        w->entries++;
    }
}

/* Inlined copies may be in every block of every function. */
static void look(struct names *w, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die, origin;

    if (depth == MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (++w->steps > MAX_STEPS)
            return;
        if (tag == DW_TAG_inlined_subroutine) {
            origin = die;
            tc_dwarf_origin(&origin);
            w->copies += is_meant(w, &origin);
        } else if (tag == DW_TAG_subprogram) {
            see_function(w, &die);
        }
        if (tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
            tag == DW_TAG_inlined_subroutine || tc_dwarf_has_scopes(tag))
            look(w, &die, depth + 1);
    } while (tc_dwarf_next(&die));
}

static void look_everywhere(const struct tc_dwarf *d, struct names *w)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die, sub;
    uint8_t type;

    while (dwarf_get_units(d->dwarf, unit, &unit, NULL, &type, &die, &sub) == 0)
        if (type == DW_UT_compile || type == DW_UT_partial)
            look(w, &die, 0);
}

uint32_t tc_dwarf_inlined(const struct tc_dwarf *d, const char *name, const struct tc_cxx_name *cxx,
                          int *ret_defined)
{
    struct names w = {.name = name, .cxx = cxx};

    look_everywhere(d, &w);
    if (ret_defined != NULL)
        *ret_defined = w.defined;
    return w.copies;
}

uint32_t tc_dwarf_entries(const struct tc_dwarf *d, const struct tc_cxx_name *cxx,
                          uint64_t *ret_vaddr)
{
    struct names w = {.cxx = cxx};

    look_everywhere(d, &w);
    if (w.entries > 0)
        *ret_vaddr = w.entry;
    return w.entries;
}
