#include "service/resolve/elf_function.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_CANDIDATES 64u

/* What compilers append to the name of a changed copy or a piece of a function. */
static const char *const clone_suffixes[] = {".isra.", ".constprop.", ".part.",
                                             ".cold",  ".lto_priv.",  ".llvm."};

/* Symbols of the asked name that could be the function, and what else was seen. */
struct candidates {
    const struct tc_symbol *at[MAX_CANDIDATES];
    size_t count;
    int not_function, other_file, too_many;
};

static void refuse(struct tc_function *f, enum tc_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct tc_function *f, enum tc_reason reason, const char *format, ...)
{
    va_list args;

    f->reason = reason;
    va_start(args, format);
    (void)vsnprintf(f->detail, sizeof f->detail, format, args);
    va_end(args);
}

/* Appends to a list in `text` as long as it fits whole. */
static void append(char *text, size_t bytes, const char *word, size_t word_bytes)
{
    size_t used = strlen(text), gap = used != 0 ? 2 : 0;

    if (word_bytes >= bytes - used - gap || bytes - used < gap + 1)
        return;
    memcpy(text + used, ", ", gap);
    memcpy(text + used + gap, word, word_bytes);
    text[used + gap + word_bytes] = 0;
}

static int prepare(struct tc_image *im, const char *path)
{
    int r = tc_debug_open(im->elf, path, &im->debug);

    if (r == 0)
        r = tc_symbols_read(im->elf, &im->debug, &im->symbols);
    if (r == 0)
        r = tc_bounds_read(im->elf, &im->symbols, &im->bounds);
    im->reason = im->elf->reason;
    if (im->reason == 0 && im->symbols.is_go)
        im->reason = TC_R_GO_RUNTIME;
    return r;
}

static int finish_open(int r, const char *path, struct tc_image *im, struct tc_image *ret)
{
    if (r == 0)
        r = prepare(im, path);
    if (r < 0)
        tc_image_close(im);
    else
        *ret = *im;
    return r;
}

int tc_image_open_fd(int fd, const char *path, struct tc_image *ret)
{
    struct tc_image im = {0};
    return finish_open(tc_elf_open_fd(fd, &im.elf), path, &im, ret);
}

int tc_image_open_memory(const void *data, size_t bytes, struct tc_image *ret)
{
    struct tc_image im = {0};
    return finish_open(tc_elf_open_memory(data, bytes, &im.elf), NULL, &im, ret);
}

void tc_image_close(struct tc_image *im)
{
    tc_symbols_free(&im->symbols);
    tc_bounds_free(&im->bounds);
    tc_debug_close(&im->debug);
    tc_elf_close(im->elf);
    *im = (struct tc_image){0};
}

static int is_code(const struct tc_elf *e, uint64_t vaddr)
{
    uint32_t flags = 0;
    return tc_elf_room(e, vaddr, &flags) != 0 && (flags & PF_X) != 0;
}

/* Assembly often leaves the type out: a label in code counts. */
static int is_function(const struct tc_elf *e, const struct tc_symbol *s)
{
    return (s->type == STT_FUNC || s->type == STT_GNU_IFUNC || s->type == STT_NOTYPE) &&
           is_code(e, s->vaddr);
}

static void consider(const struct tc_elf *e, const struct tc_symbol *s, const char *file,
                     struct candidates *c)
{
    if (!is_function(e, s)) {
        c->not_function |= !(s->flags & TC_SYMBOL_DEBUG);
        return;
    }
    if (file[0] != 0 && (s->file == NULL || strcmp(s->file, file) != 0)) {
        c->other_file = 1;
        return;
    }
    if (c->count == MAX_CANDIDATES)
        c->too_many = 1;
    else
        c->at[c->count++] = s;
}

/* Programs are linked against the default version; the old ones count only if there is nothing
 * else. */
static void prefer_default(struct candidates *c)
{
    size_t kept = 0;
    int has_default = 0;

    for (size_t i = 0; i < c->count; i++)
        has_default |= !(c->at[i]->flags & TC_SYMBOL_OLD_VERSION);
    for (size_t i = 0; has_default && i < c->count; i++) {
        if (!(c->at[i]->flags & TC_SYMBOL_OLD_VERSION))
            c->at[kept++] = c->at[i];
    }
    c->count = has_default ? kept : c->count;
}

/* What the object itself says goes first: a debug file that was installed makes no name ambiguous.
 */
static void prefer_own(struct candidates *c)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (!(c->at[i]->flags & TC_SYMBOL_DEBUG))
            c->at[kept++] = c->at[i];
    }
    c->count = kept != 0 ? kept : c->count;
}

static void collect(const struct tc_image *im, const char *name, const char *file,
                    struct candidates *c)
{
    const struct tc_symbols *s = &im->symbols;
    size_t bytes = strlen(name);

    for (size_t i = tc_symbols_lower(s, name, bytes); i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_name[i]];
        if (!tc_symbol_is(symbol, name, bytes))
            break;
        consider(im->elf, symbol, tc_basename(file), c);
    }
    prefer_default(c);
    prefer_own(c);
}

/* Names such as `f.isra.0`; 0 if there are none. */
static int list_clones(const struct tc_symbols *s, const char *name, char *ret, size_t ret_bytes)
{
    size_t bytes = strlen(name);
    char prefix[1024];

    ret[0] = 0;
    if (bytes == 0 || bytes + 2 > sizeof prefix)
        return 0;
    (void)snprintf(prefix, sizeof prefix, "%s.", name);
    for (size_t i = tc_symbols_lower(s, prefix, bytes + 1); i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_name[i]];
        if (symbol->name_bytes <= bytes || memcmp(symbol->name, prefix, bytes + 1) != 0)
            break;
        for (size_t k = 0; k < sizeof clone_suffixes / sizeof clone_suffixes[0]; k++) {
            size_t length = strlen(clone_suffixes[k]);
            if (symbol->type == STT_FUNC && symbol->name_bytes >= bytes + length &&
                memcmp(symbol->name + bytes, clone_suffixes[k], length) == 0)
                append(ret, ret_bytes, symbol->name, symbol->name_bytes);
        }
    }
    return ret[0] != 0;
}

static int has_word(const struct tc_symbol *s, const char *word)
{
    return memmem(s->name, s->name_bytes, word, strlen(word)) != NULL;
}

/* The one changed copy that the compiler left of a function: not a part of one. */
static void collect_clone(const struct tc_image *im, const char *name, const char *file,
                          struct candidates *c)
{
    size_t bytes = strlen(name);
    char prefix[1024];

    if (bytes == 0 || bytes + 2 > sizeof prefix || c->count != 0)
        return;
    (void)snprintf(prefix, sizeof prefix, "%s.", name);
    for (size_t i = tc_symbols_lower(&im->symbols, prefix, bytes + 1); i < im->symbols.count; i++) {
        const struct tc_symbol *s = &im->symbols.all[im->symbols.by_name[i]];
        if (s->name_bytes <= bytes || memcmp(s->name, prefix, bytes + 1) != 0)
            break;
        if (s->type != STT_FUNC || has_word(s, ".part.") || has_word(s, ".cold"))
            continue;
        for (size_t k = 0; k < sizeof clone_suffixes / sizeof clone_suffixes[0]; k++) {
            size_t length = strlen(clone_suffixes[k]);
            if (s->name_bytes >= bytes + length &&
                memcmp(s->name + bytes, clone_suffixes[k], length) == 0)
                consider(im->elf, s, tc_basename(file), c);
        }
    }
    if (c->count != 1)
        c->count = 0;
}

/* Nothing usable has the name. 1 if there is still something to say about this object. */
static int explain_absence(const struct tc_image *im, const char *name, const char *file,
                           const struct candidates *c, struct tc_function *ret)
{
    char clones[TC_DETAIL_BYTES / 2];

    if (c->other_file) {
        refuse(ret, TC_R_NOT_FOUND, "the one here isn't known to come from %.64s", file);
        return 1;
    }
    if (c->not_function) {
        refuse(ret, TC_R_NOT_A_FUNCTION, "%s", "");
        return 1;
    }
    if (list_clones(&im->symbols, name, clones, sizeof clones)) {
        ret->from_debug = tc_elf_section(im->elf, NULL, SHT_SYMTAB) == NULL;
        refuse(ret, TC_R_NOT_FOUND, "the compiler left only %s", clones);
        return 1;
    }
    refuse(ret, im->symbols.has_symtab ? TC_R_NOT_FOUND : TC_R_STRIPPED, "%s", "");
    return 0;
}

static size_t distinct_places(const struct candidates *c, struct tc_function *ret)
{
    char list[TC_DETAIL_BYTES / 2] = "";
    size_t count = 0;

    for (size_t i = 0; i < c->count; i++) {
        const struct tc_symbol *s = c->at[i];
        size_t k = 0;
        while (k < i && c->at[k]->vaddr != s->vaddr)
            k++;
        if (k < i)
            continue;
        char where[160];
        (void)snprintf(where, sizeof where, "%.100s at 0x%llx",
                       s->file != NULL                    ? s->file
                       : s->flags & TC_SYMBOL_OLD_VERSION ? "an old version"
                       : s->flags & TC_SYMBOL_LOCAL       ? "a static one"
                                                          : "a global one",
                       (unsigned long long)s->vaddr);
        append(list, sizeof list, where, strlen(where));
        count++;
    }
    if (count > 1 || c->too_many)
        refuse(ret, TC_R_AMBIGUOUS_NAME, "%zu%s candidates: %s", count,
               c->too_many ? " or more" : "", list);
    return count;
}

/* Does the loader know several functions by this name: versions? */
static int has_versions(const struct tc_symbols *s, const struct tc_symbol *symbol)
{
    for (size_t i = tc_symbols_lower(s, symbol->name, symbol->name_bytes); i < s->count; i++) {
        const struct tc_symbol *other = &s->all[s->by_name[i]];
        if (!tc_symbol_is(other, symbol->name, symbol->name_bytes))
            break;
        if ((other->flags & TC_SYMBOL_DYNAMIC) && other->vaddr != symbol->vaddr)
            return 1;
    }
    return 0;
}

/* What a slot of an IFUNC was bound to is told by its symbol's name alone. */
static void add_dynamic(const struct tc_symbols *all, struct tc_function *f,
                        const struct tc_symbol *s)
{
    if (!(s->flags & TC_SYMBOL_DYNAMIC) || !(s->flags & TC_SYMBOL_EXPORTED))
        return;
    if (f->is_ifunc && has_versions(all, s))
        f->has_versions = 1;
    else if (f->dynamic_count < TC_MAX_NAMES)
        f->dynamic[f->dynamic_count++] = s->index;
}

/* Several symbols may share an address: versions, aliases, .dynsym and .symtab. */
static void gather_names(const struct tc_symbols *s, const char *name, struct tc_function *f)
{
    size_t bytes = strlen(name), first = tc_symbols_at(s, f->vaddr);
    uint64_t alias_bytes = 0;

    append(f->names, sizeof f->names, name, bytes);
    for (size_t i = first; i < s->count && s->all[s->by_vaddr[i]].vaddr == f->vaddr; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_vaddr[i]];
        size_t k = first;
        if (f->is_ifunc ? symbol->type != STT_GNU_IFUNC
                        : symbol->type != STT_FUNC && symbol->type != STT_NOTYPE)
            continue;
        f->exported |= (symbol->flags & TC_SYMBOL_EXPORTED) != 0;
        add_dynamic(s, f, symbol);
        if (tc_symbol_is(symbol, name, bytes) && symbol->bytes > f->bytes)
            f->bytes = symbol->bytes;
        alias_bytes = symbol->bytes > alias_bytes ? symbol->bytes : alias_bytes;
        if (i - first >= MAX_CANDIDATES)
            continue;
        while (k < i && !tc_symbol_is(&s->all[s->by_vaddr[k]], symbol->name, symbol->name_bytes))
            k++;
        if (k == i && !tc_symbol_is(symbol, name, bytes))
            append(f->names, sizeof f->names, symbol->name, symbol->name_bytes);
    }
    if (f->bytes == 0)
        f->bytes = alias_bytes;
}

static int find_bounds(const struct tc_image *im, struct tc_function *f)
{
    uint32_t flags = 0;

    if (f->bytes == 0)
        f->bytes = tc_bounds_fde_bytes(&im->bounds, f->vaddr);
    if (f->bytes == 0) {
        refuse(f, TC_R_NO_BOUNDS, "%s", "");
        return -1;
    }
    if (f->bytes > tc_elf_room(im->elf, f->vaddr, &flags)) {
        refuse(f, TC_R_MALFORMED_ELF, "the function reaches beyond the code in the file");
        return -1;
    }
    return 0;
}

/* `f.cold`, `f.cold.0`: of a static function, from its own file as far as files are known. */
static int is_cold_of(const struct tc_symbol *s, const char *name, const struct tc_function *f)
{
    size_t bytes = strlen(name);

    return s->type == STT_FUNC && s->bytes != 0 && s->name_bytes >= bytes + 5 &&
           memcmp(s->name, name, bytes) == 0 && memcmp(s->name + bytes, ".cold", 5) == 0 &&
           (s->name_bytes == bytes + 5 || s->name[bytes + 5] == '.') &&
           (f->file == NULL || s->file == NULL || strcmp(s->file, f->file) == 0);
}

static void gather_pieces(const struct tc_image *im, const char *name, struct tc_function *f)
{
    const struct tc_symbols *s = &im->symbols;
    size_t bytes = strlen(name);

    f->pieces[f->piece_count++] = (struct tc_piece){f->vaddr, f->bytes};
    for (size_t i = tc_symbols_lower(s, name, bytes); i < s->count; i++) {
        const struct tc_symbol *symbol = &s->all[s->by_name[i]];
        if (symbol->name_bytes < bytes || memcmp(symbol->name, name, bytes) != 0 ||
            f->piece_count == TC_MAX_PIECES)
            break;
        if (is_cold_of(symbol, name, f) && is_code(im->elf, symbol->vaddr) &&
            tc_elf_at(im->elf, symbol->vaddr, symbol->bytes) != NULL)
            f->pieces[f->piece_count++] = (struct tc_piece){symbol->vaddr, symbol->bytes};
    }
}

int tc_function_find(const struct tc_image *im, const char *name, const char *file,
                     struct tc_function *ret)
{
    struct candidates c = {0};

    *ret = (struct tc_function){0};
    collect(im, name, file, &c);
    if (c.count == 0 && !c.other_file && tc_debug_info(im->elf, &im->debug) != NULL) {
        collect_clone(im, name, file, &c);
        ret->is_clone = c.count != 0;
    }
    if (c.count == 0)
        return explain_absence(im, name, file, &c, ret);
    ret->from_debug = (c.at[0]->flags & TC_SYMBOL_DEBUG) != 0;
    if (distinct_places(&c, ret) > 1 || c.too_many)
        return 1;
    ret->vaddr = c.at[0]->vaddr;
    ret->is_static = 1;
    for (size_t i = 0; i < c.count; i++) {
        ret->is_ifunc |= c.at[i]->type == STT_GNU_IFUNC;
        ret->is_static &= (c.at[i]->flags & TC_SYMBOL_LOCAL) != 0;
        ret->file = ret->file != NULL ? ret->file : c.at[i]->file;
    }
    if (!ret->is_static)
        ret->file = NULL;
    gather_names(&im->symbols, name, ret);
    if (find_bounds(im, ret) == 0)
        gather_pieces(im, ret->is_clone ? c.at[0]->name : name, ret);
    return 1;
}
