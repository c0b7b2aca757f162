#include "service/resolve/cxx_find.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CANDIDATES 32u
#define MAX_LINKAGE    4096u

struct candidate {
    char *linkage, *text;
    uint64_t vaddr;
};

struct search {
    const struct tc_cxx_name *name;
    const char *file;
    int copies; /* look at changed copies, `_Z1fi.isra.0` */
    struct candidate at[MAX_CANDIDATES];
    size_t count;
    int too_many, no_memory;
};

static int is_asked(const struct search *s, const struct tc_symbol *symbol)
{
    if (symbol->type != STT_FUNC && symbol->type != STT_GNU_IFUNC && symbol->type != STT_NOTYPE)
        return 0;
    return s->file[0] == 0 ||
           (symbol->file != NULL && strcmp(symbol->file, tc_basename(s->file)) == 0);
}

/* The deleting destructor only calls the one that is meant. */
static int is_deleting(const char *linkage)
{
    size_t bytes = strlen(linkage);
    return bytes > 4 && strcmp(linkage + bytes - 4, "D0Ev") == 0;
}

static int is_there(const struct search *s, const char *linkage, uint64_t vaddr)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->at[i].vaddr == vaddr || strcmp(s->at[i].linkage, linkage) == 0)
            return 1;
    return 0;
}

static void consider(struct search *s, const struct tc_symbol *symbol)
{
    const char *dot = memchr(symbol->name, '.', symbol->name_bytes);
    size_t bytes = dot != NULL ? (size_t)(dot - symbol->name) : symbol->name_bytes;
    struct candidate c = {.vaddr = symbol->vaddr};
    char linkage[MAX_LINKAGE + 1];

    if ((dot != NULL) != s->copies || bytes > MAX_LINKAGE || !is_asked(s, symbol) ||
        (dot != NULL && (memmem(dot, symbol->name_bytes - bytes, ".cold", 5) != NULL ||
                         memmem(dot, symbol->name_bytes - bytes, ".part.", 6) != NULL)))
        return;
    memcpy(linkage, symbol->name, bytes);
    linkage[bytes] = 0;
    if (is_there(s, linkage, symbol->vaddr) || is_deleting(linkage) ||
        !tc_cxx_matches(s->name, linkage, &c.text))
        return;
    if (s->count == MAX_CANDIDATES) {
        s->too_many = 1;
        free(c.text);
        return;
    }
    c.linkage = strdup(linkage);
    s->no_memory |= c.linkage == NULL;
    s->at[s->count++] = c;
}

/* Names in order: those of C++ stand together. */
static void look(struct search *s, const struct tc_symbols *all)
{
    for (size_t i = tc_symbols_lower(all, "_Z", 2); i < all->count && !s->no_memory; i++) {
        const struct tc_symbol *symbol = &all->all[all->by_name[i]];
        if (symbol->name_bytes < 2 || memcmp(symbol->name, "_Z", 2) != 0)
            return;
        consider(s, symbol);
    }
}

/* Where two have one name in the source (constructors), their linkage names tell them apart. */
static const char *shown(const struct search *s, size_t index)
{
    for (size_t i = 0; i < s->count; i++)
        if (i != index && strcmp(s->at[i].text, s->at[index].text) == 0)
            return s->at[index].linkage;
    return s->at[index].text;
}

static char *list(const struct search *s)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    if (f == NULL)
        return NULL;
    for (size_t i = 0; i < s->count; i++)
        (void)fprintf(f, "%s'%s'", i > 0 ? " or " : "", shown(s, i));
    if (s->too_many)
        (void)fputs(" or one of more", f);
    return fclose(f) == 0 ? text : NULL;
}

int tc_cxx_find(const struct tc_image *im, const struct tc_cxx_name *n, const char *file,
                struct tc_cxx_found *ret)
{
    struct search *s = calloc(1, sizeof *s);
    struct tc_cxx_found found = {0};
    int r;

    if (s == NULL)
        return -ENOMEM;
    s->name = n;
    s->file = file;
    look(s, &im->symbols);
    s->copies = s->count == 0;
    if (s->copies)
        look(s, &im->symbols);
    found.count = s->count;
    if (s->count > 1)
        found.list = list(s);
    r = s->no_memory || (s->count > 1 && found.list == NULL) ? -ENOMEM : 0;
    for (size_t i = 0; i < s->count; i++) {
        if (i == 0) {
            found.linkage = s->at[0].linkage;
            found.text = s->at[0].text;
            continue;
        }
        free(s->at[i].linkage);
        free(s->at[i].text);
    }
    free(s);
    if (r < 0)
        tc_cxx_found_free(&found);
    *ret = found;
    return r;
}

void tc_cxx_found_free(struct tc_cxx_found *f)
{
    free(f->linkage);
    free(f->text);
    free(f->list);
    *f = (struct tc_cxx_found){0};
}
