#include "service/describe_source.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/resolve/purity.h"
#include "service/resolve/source.h"

#define MAX_LIBRARIES 512u

/* Where imports are looked for. */
struct library {
    char *path;
    struct tc_elf *elf;
    struct tc_symbols symbols;
};

struct description {
    const struct tc_image *im;
    struct tc_map m;
    struct library libraries[MAX_LIBRARIES];
    size_t library_count;
    char *stop; /* the task's deep_stop; NULL: the usual ones */
    FILE *to;
};

/* Labels are names and strings of the object: no tab or newline of theirs ends a field. */
static void print_text(FILE *to, const char *text)
{
    for (; *text != 0; text++) {
        if (*text == '\n')
            (void)fputs("\\n", to);
        else if (*text == '\t')
            (void)fputs("\\t", to);
        else
            (void)fputc((unsigned char)*text < 32 || *text == 127 ? '?' : *text, to);
    }
}

static void print_digest(FILE *to, const uint8_t digest[16])
{
    for (int i = 0; i < 16; i++)
        (void)fprintf(to, "%02x", digest[i]);
}

static void print_source(const struct tc_source *s, FILE *to)
{
    static const char *const kinds[] = {"", "code", "data", "rest"};

    (void)fputs("digest\t", to);
    print_digest(to, s->digest);
    (void)fprintf(to, "\t%zu\t%d\n", s->indirect_calls, s->whole);
    for (size_t i = 0; i < s->item_count; i++) {
        const struct tc_source_item *item = &s->items[i];
        (void)fprintf(to, "item\t%s\t%llu\t%llu\t", kinds[item->kind],
                      (unsigned long long)item->begin, (unsigned long long)item->end);
        print_digest(to, item->digest);
        (void)fputc('\t', to);
        print_text(to, item->label);
        (void)fputc('\n', to);
    }
    for (size_t i = 0; i < s->ref_count; i++) {
        const struct tc_source_ref *ref = &s->refs[i];
        if (ref->from == ref->to)
            continue;
        (void)fprintf(to, "ref\t%u\t%d\t%s\t", ref->from, ref->to == TC_NO_ITEM ? -1 : (int)ref->to,
                      ref->coarse != NULL ? ref->coarse : "");
        print_text(to, ref->label);
        (void)fputc('\n', to);
    }
}

static void refuse(FILE *to, uint32_t reason, const char *detail)
{
    (void)fprintf(to, "refused\t%s\t", tc_reason_info(reason)->id);
    print_text(to, detail);
    (void)fputc('\n', to);
}

/* What can't be opened binds nothing. */
static void add_library(struct description *d, const char *path)
{
    struct library *l = &d->libraries[d->library_count];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd >= 0 && d->library_count < MAX_LIBRARIES && tc_elf_open_fd(fd, &l->elf) == 0) {
        l->path = strdup(path);
        if (l->path != NULL && tc_symbols_read(l->elf, NULL, &l->symbols) == 0)
            d->library_count++;
        else
            tc_elf_close(l->elf);
    }
    if (fd >= 0)
        (void)close(fd);
}

static int defines(const struct library *l, const char *name)
{
    const struct tc_symbols *s = &l->symbols;
    size_t bytes = strlen(name);

    for (size_t i = tc_symbols_lower(s, name, bytes); i < s->count; i++) {
        const struct tc_symbol *one = &s->all[s->by_name[i]];
        if (!tc_symbol_is(one, name, bytes))
            break;
        if ((one->flags & TC_SYMBOL_DYNAMIC) && (one->flags & TC_SYMBOL_EXPORTED))
            return 1;
    }
    return 0;
}

static const char *name_of(const struct library *l)
{
    return l->elf->soname != NULL ? l->elf->soname : tc_basename(l->path);
}

/* As the loader does it at the start of a program, as far as the files tell: by names, in the
 * order of the objects. */
static void print_imports(const struct description *d, const struct tc_source *s)
{
    const char *stop = d->stop != NULL ? d->stop : "";

    for (size_t i = 0; i < s->import_count && d->library_count != 0; i++) {
        const struct tc_source_import *one = &s->imports[i];
        const struct library *found = NULL;
        if (one->library != NULL && tc_deep_stops(one->library, stop))
            continue;
        for (size_t k = d->library_count; k > 0; k--)
            if (defines(&d->libraries[k - 1], one->name))
                found = &d->libraries[k - 1];
        (void)fputs("import\t", d->to);
        print_text(d->to, one->name);
        (void)fputc('\t', d->to);
        print_text(d->to, one->version != NULL ? one->version : "");
        (void)fprintf(d->to, "\t%s\t%d\n", found != NULL ? found->path : "",
                      found != NULL && tc_deep_stops(name_of(found), stop));
    }
}

static void describe(struct description *d, struct tc_piece code, enum tc_source_mode mode)
{
    struct tc_source s;
    int r = tc_source_make(&d->m, code, mode, &s);

    if (r < 0) {
        refuse(d->to, TC_R_RESOLVER_FAILED, strerror(-r));
        return;
    }
    print_source(&s, d->to);
    if (mode == TC_SOURCE_DEEP)
        print_imports(d, &s);
    tc_source_free(&s);
}

/* "NAME" or "file.c:NAME". */
static int find_named(struct description *d, char *name, struct tc_function *ret)
{
    char *colon = strchr(name, ':');
    const char *file = "";

    if (colon != NULL && colon[1] != ':' && colon != name) {
        *colon = 0;
        file = name;
        name = colon + 1;
    }
    (void)tc_function_find(d->im, name, file, ret);
    if (ret->reason != 0)
        refuse(d->to, ret->reason, ret->detail);
    return ret->reason == 0;
}

static void describe_name(struct description *d, char *name, enum tc_source_mode mode)
{
    struct tc_function f;

    if (find_named(d, name, &f))
        describe(d, (struct tc_piece){f.vaddr, f.bytes}, mode);
}

static void print_effects(const struct description *d, const struct tc_source *s)
{
    struct tc_effect list[TC_MAX_PURITY];
    uint32_t count = tc_purity_find(s, list);
    char path[1024];

    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(d->to, "effect\t%s\t", tc_reason_info(list[i].reason)->id);
        for (size_t k = 0; k < list[i].bytes; k++)
            (void)fputc((unsigned char)list[i].what[k] < 32 ? '?' : list[i].what[k], d->to);
        (void)fputc('\t', d->to);
        tc_purity_path(s, list[i].item, path, sizeof path);
        print_text(d->to, path);
        (void)fputc('\n', d->to);
    }
}

/* Variables that may be written, of which nobody knows. */
static size_t count_unnamed(const struct tc_source *s)
{
    size_t count = 0;

    for (size_t i = 0; i < s->ref_count; i++)
        count += s->refs[i].coarse != NULL && strncmp(s->refs[i].coarse, "a variable", 10) == 0;
    return count;
}

static void describe_effects(struct description *d, char *name)
{
    struct tc_function f;
    struct tc_source s;

    if (!find_named(d, name, &f))
        return;
    if (tc_source_make(&d->m, (struct tc_piece){f.vaddr, f.bytes}, TC_SOURCE_DEEP, &s) < 0) {
        refuse(d->to, TC_R_RESOLVER_FAILED, "");
        return;
    }
    (void)fprintf(d->to, "reach\t%zu\t%d\t%d\t%zu\n", s.indirect_calls, s.whole, f.is_ifunc,
                  count_unnamed(&s));
    print_effects(d, &s);
    print_imports(d, &s);
    tc_source_free(&s);
}

/* Of what is damaged nothing is followed: the range must be code. */
static void describe_range(struct description *d, const char *vaddr, const char *bytes,
                           enum tc_source_mode mode)
{
    struct tc_piece code = {strtoull(vaddr, NULL, 10), strtoull(bytes, NULL, 10)};

    if (code.bytes == 0 || tc_elf_at(d->im->elf, code.vaddr, code.bytes) == NULL)
        refuse(d->to, TC_R_FILE_MISMATCH, "");
    else
        describe(d, code, mode);
}

/* Of what the function is made of without coarse parts, and what those lead to: reached from the
 * first item alone, in the order of references. */
static int narrow_digest(const struct tc_source *s, uint8_t ret[16])
{
    unsigned char *reached = calloc(s->item_count + 1, 1);
    struct tc_hash_state *h = aligned_alloc(64, sizeof *h);
    struct tc_hash128 sum;

    if (reached == NULL || h == NULL) {
        free(reached);
        free(h);
        return -ENOMEM;
    }
    reached[0] = 1;
    /* An item's references come after the first one to it. */
    for (size_t i = 0; i < s->ref_count; i++) {
        const struct tc_source_ref *r = &s->refs[i];
        if (r->to != TC_NO_ITEM && reached[r->from] && s->items[r->from].kind != TC_ITEM_REST)
            reached[r->to] = 1;
    }
    tc_hash_begin(h, 0);
    for (size_t i = 0; i < s->item_count; i++)
        if (reached[i] && s->items[i].kind != TC_ITEM_REST)
            tc_hash_add(h, s->items[i].digest, sizeof s->items[i].digest);
    sum = tc_hash_end128(h);
    memcpy(ret, &sum, 16);
    free(reached);
    free(h);
    return 0;
}

static void list_one(struct description *d, const char *name, const char *file,
                     enum tc_source_mode mode)
{
    struct tc_function f;
    struct tc_source s;
    uint8_t narrow[16];

    (void)tc_function_find(d->im, name, file, &f);
    if (f.reason != 0 || tc_source_make(&d->m, (struct tc_piece){f.vaddr, f.bytes}, mode, &s) < 0)
        return;
    (void)fputs("function\t", d->to);
    print_text(d->to, file);
    if (*file != 0)
        (void)fputc(':', d->to);
    print_text(d->to, name);
    (void)fputc('\t', d->to);
    print_digest(d->to, s.digest);
    (void)fputc('\t', d->to);
    if (narrow_digest(&s, narrow) == 0)
        print_digest(d->to, narrow);
    (void)fputc('\n', d->to);
    tc_source_free(&s);
}

/* Copies and parts that the compiler made, which have a dot in their names, enter with what uses
 * them. */
static int is_listed(const struct tc_symbol *s)
{
    return (s->type == STT_FUNC || s->type == STT_GNU_IFUNC) && s->name_bytes != 0 &&
           memchr(s->name, '.', s->name_bytes) == NULL;
}

/* All symbols of one name, by_name[from] to before `to`: one function, or several of different
 * files. */
static void list_name(struct description *d, size_t from, size_t to, enum tc_source_mode mode)
{
    const struct tc_symbols *all = &d->im->symbols;
    const struct tc_symbol *first = &all->all[all->by_name[from]];
    char name[1024];
    struct tc_function f;

    if (!is_listed(first) || first->name_bytes >= sizeof name)
        return;
    memcpy(name, first->name, first->name_bytes);
    name[first->name_bytes] = 0;
    (void)tc_function_find(d->im, name, "", &f);
    if (f.reason == 0)
        list_one(d, name, "", mode);
    for (size_t i = from; f.reason == TC_R_AMBIGUOUS_NAME && i < to; i++) {
        const char *file = all->all[all->by_name[i]].file;
        int known = file == NULL;
        for (size_t k = from; k < i && !known; k++)
            known = all->all[all->by_name[k]].file != NULL &&
                    strcmp(all->all[all->by_name[k]].file, file) == 0;
        if (!known)
            list_one(d, name, file, mode);
    }
}

static void list(struct description *d, enum tc_source_mode mode)
{
    const struct tc_symbols *s = &d->im->symbols;

    for (size_t from = 0, to; from < s->count; from = to) {
        const struct tc_symbol *first = &s->all[s->by_name[from]];
        for (to = from + 1; to < s->count &&
                            tc_symbol_is(&s->all[s->by_name[to]], first->name, first->name_bytes);)
            to++;
        list_name(d, from, to, mode);
    }
}

static void answer(struct description *d, char *line)
{
    char *field[4] = {NULL}, *rest = line;
    enum tc_source_mode mode;

    for (int i = 0; i < 4 && rest != NULL; i++)
        field[i] = strsep(&rest, "\t");
    if (field[1] != NULL && strcmp(field[0], "library") == 0) {
        add_library(d, field[1]);
        return;
    }
    if (field[1] != NULL && strcmp(field[0], "stop") == 0) {
        free(d->stop);
        d->stop = strdup(field[1]);
        return;
    }
    mode = field[1] != NULL && strcmp(field[1], "deep") == 0 ? TC_SOURCE_DEEP : TC_SOURCE_OWN;
    if (d->im->reason != 0)
        refuse(d->to, d->im->reason, "");
    else if (strcmp(field[0], "list") == 0)
        list(d, mode);
    else if (strcmp(field[0], "tree") == 0 && field[2] != NULL)
        describe_name(d, field[2], mode);
    else if (strcmp(field[0], "effects") == 0 && field[1] != NULL)
        describe_effects(d, field[1]);
    else if (strcmp(field[0], "at") == 0 && field[3] != NULL)
        describe_range(d, field[2], field[3], mode);
    (void)fputs("end\n", d->to);
    (void)fflush(d->to);
}

static int answer_all(const struct tc_image *im, FILE *from, FILE *to)
{
    struct description *d = calloc(1, sizeof *d);
    char *line = NULL;
    size_t allocated = 0;
    int r = d == NULL ? -ENOMEM : 0;

    if (r == 0) {
        d->im = im;
        d->to = to;
        /* Of a refused object nothing is asked, and it may be damaged. */
        r = im->reason == 0 ? tc_map_open(im, &d->m) : 0;
    }
    while (r == 0 && getline(&line, &allocated, from) > 0) {
        line[strcspn(line, "\n")] = 0;
        answer(d, line);
    }
    for (size_t i = 0; d != NULL && i < d->library_count; i++) {
        tc_symbols_free(&d->libraries[i].symbols);
        tc_elf_close(d->libraries[i].elf);
        free(d->libraries[i].path);
    }
    if (d != NULL && d->m.im != NULL)
        tc_map_close(&d->m);
    if (d != NULL)
        free(d->stop);
    free(d);
    free(line);
    return r;
}

int tc_describe_source(const char *path, FILE *from, FILE *to)
{
    struct tc_image im;
    int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    r = fd >= 0 ? tc_image_open_fd(fd, path, &im) : -errno;
    if (fd >= 0)
        (void)close(fd);
    if (r == 0) {
        r = answer_all(&im, from, to);
        tc_image_close(&im);
    }
    if (r == 0)
        return 0;
    refuse(to, r == -ENOMEM ? TC_R_RESOLVER_FAILED : TC_R_FILE_MISMATCH, strerror(-r));
    (void)fputs("end\n", to);
    return 1;
}
