#include "service/resolve/globals.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cache/object_glob.h"
#include "service/resolve/source_map.h"

static void refuse(struct tc_found_globals *g, enum tc_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct tc_found_globals *g, enum tc_reason reason, const char *format, ...)
{
    va_list args;

    if (g->reason != 0)
        return;
    g->reason = reason;
    va_start(args, format);
    (void)vsnprintf(g->detail, sizeof g->detail, format, args);
    va_end(args);
}

static int is_data(const struct tc_symbol *s)
{
    return s->type == STT_OBJECT || s->type == STT_COMMON || s->type == STT_TLS ||
           s->type == STT_NOTYPE;
}

/* The one symbol of this name, in this file; several at one address are one. How many there are. */
static uint32_t find_symbol(const struct tc_symbols *s, const char *name, const char *file,
                            const struct tc_symbol **ret)
{
    size_t bytes = strlen(name);
    uint32_t count = 0;

    *ret = NULL;
    for (size_t i = tc_symbols_lower(s, name, bytes);
         i < s->count && tc_symbol_is(&s->all[s->by_name[i]], name, bytes); i++) {
        const struct tc_symbol *one = &s->all[s->by_name[i]];
        if (!is_data(one) || (file[0] != 0 && (one->file == NULL || strcmp(one->file, file) != 0)))
            continue;
        count += *ret == NULL || (*ret)->vaddr != one->vaddr;
        /* Only the dynamic table knows that the loader may bind it elsewhere. */
        if (*ret == NULL || (one->flags & TC_SYMBOL_DYNAMIC))
            *ret = one;
    }
    return count;
}

/* The slot through which code reaches what the loader binds to this name; NULL. */
static const struct tc_reloc *find_slot(const struct tc_map *m, const char *name, uint64_t vaddr,
                                        int *ret_elsewhere)
{
    const struct tc_reloc *slot = NULL;

    *ret_elsewhere = 0;
    for (size_t i = 0; i < m->reloc_count; i++) {
        const struct tc_reloc *r = &m->relocs[i];
        struct tc_dynamic_symbol s;
        if ((r->kind != TC_REL_SLOT && r->kind != TC_REL_SYMBOL) ||
            !tc_map_symbol(m, r->symbol, &s) || strcmp(s.name, name) != 0 || s.is_function ||
            s.is_tls || (s.defined && s.vaddr != vaddr) || (!s.defined && vaddr != 0))
            continue;
        if (r->kind == TC_REL_SLOT && r->addend == 0)
            slot = r;
        else
            *ret_elsewhere = 1;
    }
    return slot;
}

static int is_program(const struct tc_elf *e)
{
    return e->type == ET_EXEC || e->has_interpreter;
}

static int is_writable(const struct tc_elf *e, uint64_t vaddr)
{
    for (size_t i = 0; i < e->load_count; i++)
        if (vaddr - e->loads[i].vaddr < e->loads[i].bytes)
            return (e->loads[i].flags & PF_W) != 0 &&
                   (e->relro_bytes == 0 || vaddr - e->relro >= e->relro_bytes);
    return 0;
}

static int is_inside(const struct tc_elf *e, uint64_t vaddr, uint64_t bytes)
{
    for (size_t i = 0; i < e->load_count; i++)
        if (vaddr - e->loads[i].vaddr < e->loads[i].bytes)
            return bytes <= e->loads[i].bytes - (vaddr - e->loads[i].vaddr);
    return 0;
}

/* Another object's, which this one reaches through a slot. */
static void place_import(const struct tc_map *m, const char *name, struct tc_found_global *one,
                         struct tc_found_globals *g)
{
    int elsewhere;
    const struct tc_reloc *slot = find_slot(m, name, 0, &elsewhere);

    if (slot == NULL || !is_inside(m->im->elf, slot->at, 8)) {
        refuse(g, TC_R_GLOBAL_NOT_FOUND, "'%.80s'%s", name,
               m->im->symbols.has_symtab ? "" : ": the object's symbols are stripped");
        return;
    }
    one->place = (struct tc_plan_global){.vaddr = slot->at, .kind = TC_GLOBAL_IN_SLOT};
    one->writable = 1; /* whose it is, its own object knows */
}

static void place_own(const struct tc_map *m, const struct tc_symbol *s, const char *name,
                      struct tc_found_global *one, struct tc_found_globals *g)
{
    const struct tc_elf *e = m->im->elf;
    const struct tc_reloc *slot = NULL;
    int elsewhere = 0;

    if (s->type == STT_TLS) {
        refuse(g, TC_R_GLOBAL_UNUSABLE, "'%.80s' is a thread's own variable", name);
        return;
    }
    if (!is_inside(e, s->vaddr, s->bytes) || s->vaddr == 0) {
        refuse(g, TC_R_GLOBAL_UNUSABLE, "'%.80s' isn't in the object's memory", name);
        return;
    }
    if ((s->flags & TC_SYMBOL_DYNAMIC) && !is_program(e))
        slot = find_slot(m, name, s->vaddr, &elsewhere);
    if (slot == NULL && elsewhere) {
        refuse(g, TC_R_GLOBAL_UNUSABLE,
               "'%.80s' may be bound to another object's, and only data says to which", name);
        return;
    }
    one->vaddr = s->vaddr;
    one->writable = is_writable(e, s->vaddr);
    one->place = (struct tc_plan_global){.vaddr = slot != NULL ? slot->at : s->vaddr,
                                         .bytes = s->bytes,
                                         .kind = slot != NULL ? TC_GLOBAL_IN_SLOT : TC_GLOBAL_HERE};
}

static void candidates(const struct tc_symbols *s, const char *name, char *ret, size_t bytes)
{
    size_t at = 0;

    ret[0] = 0;
    for (size_t i = tc_symbols_lower(s, name, strlen(name));
         i < s->count && tc_symbol_is(&s->all[s->by_name[i]], name, strlen(name)); i++) {
        const struct tc_symbol *one = &s->all[s->by_name[i]];
        if (is_data(one) && at < bytes)
            at += (size_t)snprintf(ret + at, bytes - at, "%s%.60s:%.60s", at > 0 ? ", " : "",
                                   one->file != NULL ? one->file : "?", name);
    }
}

static void find_one(const struct tc_map *m, const char *name, const char *file,
                     struct tc_found_global *one, struct tc_found_globals *g)
{
    const struct tc_symbol *s;
    uint32_t count = find_symbol(&m->im->symbols, name, file, &s);
    char list[160];

    if (count == 1)
        place_own(m, s, name, one, g);
    else if (count == 0 && file[0] == 0)
        place_import(m, name, one, g);
    else if (count == 0)
        refuse(g, TC_R_GLOBAL_NOT_FOUND, "'%.80s' of %.80s", name, file);
    else {
        candidates(&m->im->symbols, name, list, sizeof list);
        refuse(g, TC_R_GLOBAL_UNUSABLE, "%u have the name: write one of %s", count, list);
    }
}

static int is_of_object(const struct tc_map *m, const char *object, const char *globs)
{
    const char *soname = m->im->elf->soname;

    return globs[0] == 0 || tc_object_glob(globs, object) ||
           (soname != NULL && tc_object_glob(globs, soname));
}

/* Debug information may know the type; else its bytes count as they are. */
static void add_variable(const struct tc_map *m, const char *name, const char *file,
                         struct tc_found_globals *g)
{
    struct tc_found_global *one = &g->at[g->count];

    if (g->count == TC_MAX_PARAMS) {
        refuse(g, TC_R_TOO_MANY, "'%.80s'", name);
        return;
    }
    g->count++;
    *one = (struct tc_found_global){.name = name, .text = "in", .is_depend = 1};
    find_one(m, name, file, one, g);
    if (one->place.bytes == 0)
        refuse(g, TC_R_DEPENDS_NOT_FOUND, "'%.80s': its size isn't known here", name);
}

static void find_depend(const struct tc_map *m, const char *object, const struct tc_flat *config,
                        const struct tc_depend *d, struct tc_found_globals *g)
{
    const char *text = tc_flat_str(config, d->text), *name = tc_flat_str(config, d->name);
    const char *file = tc_flat_str(config, d->file);
    struct tc_function *f = &g->depends[g->depend_count].function;
    const struct tc_symbol *s;

    if (!is_of_object(m, object, tc_flat_str(config, d->object)))
        refuse(g, TC_R_DEPENDS_NOT_FOUND, "'%.80s' is of another object than the task", text);
    else if (find_symbol(&m->im->symbols, name, file, &s) != 0 && s->type != STT_NOTYPE)
        add_variable(m, name, file, g);
    else if (!tc_function_find(m->im, name, file, f))
        refuse(g, TC_R_DEPENDS_NOT_FOUND, "'%.80s'%s", text,
               m->im->symbols.has_symtab ? "" : ": the object's symbols are stripped");
    else if (f->reason != 0 || f->bytes == 0)
        refuse(g, TC_R_DEPENDS_NOT_FOUND, "'%.80s': %s%s%.80s", text,
               tc_reason_info(f->reason != 0 ? f->reason : TC_R_NO_BOUNDS)->sentence,
               f->detail[0] != 0 ? ": " : "", f->detail);
    else
        g->depends[g->depend_count++].text = text;
}

/* Which files there are, the config knows. */
static void add_files(const struct tc_flat *config, const struct tc_global_text *text,
                      uint32_t count, struct tc_found_globals *g)
{
    if (g->count + count > TC_MAX_PARAMS)
        refuse(g, TC_R_TOO_MANY, "globals and files");
    for (uint32_t i = 0; g->reason == 0 && i < count; i++)
        g->at[g->count + g->files++] =
            (struct tc_found_global){.name = tc_flat_str(config, text[i].name),
                                     .text = "",
                                     .path = tc_flat_str(config, text[i].path)};
}

static void find_all(const struct tc_map *m, const char *object, const struct tc_flat *config,
                     const struct tc_task *task, struct tc_found_globals *g)
{
    const struct tc_global_text *text =
        tc_flat_at(config, task->globals.off, task->globals.count, sizeof *text);
    const struct tc_depend *d =
        tc_flat_at(config, task->depends.off, task->depends.count, sizeof *d);
    uint32_t i = 0;

    for (; text != NULL && i < task->globals.count && text[i].path.off == 0; i++) {
        struct tc_found_global *one = &g->at[g->count++];
        one->name = tc_flat_str(config, text[i].name);
        one->text = tc_flat_str(config, text[i].text);
        find_one(m, one->name, tc_flat_str(config, text[i].file), one, g);
    }
    for (uint32_t k = 0; d != NULL && k < task->depends.count && g->reason == 0; k++)
        find_depend(m, object, config, &d[k], g);
    if (text != NULL)
        add_files(config, text + i, task->globals.count - i, g);
}

int tc_globals_find(const struct tc_image *im, const char *object, const struct tc_flat *config,
                    const struct tc_task *task, struct tc_found_globals *ret)
{
    struct tc_map map;
    int r;

    memset(ret, 0, sizeof *ret);
    if (task->globals.count > TC_MAX_PARAMS || task->depends.count > TC_MAX_DEPENDS)
        return 0;
    r = tc_map_open(im, &map);
    if (r < 0)
        return r;
    find_all(&map, object, config, task, ret);
    tc_map_close(&map);
    return 0;
}

/* ---- what the task says of them ---- */

static int is_constant(const struct tc_insn *code, uint32_t program, uint64_t *ret)
{
    if (program == TC_NO_EXPR) {
        *ret = 1;
        return 1;
    }
    *ret = (uint64_t)code[program].imm;
    return code[program].op == TC_OP_PUSH && code[program + 1].op == TC_OP_END;
}

/* How many bytes are described, if that doesn't depend on the call. */
static int is_fixed(const struct tc_param *p, const struct tc_layout *layouts,
                    const struct tc_insn *code, uint64_t *ret)
{
    uint64_t element = p->layout != 0 ? layouts[p->layout - 1].bytes : tc_scalar_bytes(p->elem);
    uint64_t pieces, length, stride;

    if (!is_constant(code, p->pieces, &pieces) || !is_constant(code, p->length, &length) ||
        !is_constant(code, p->stride, &stride))
        return 0;
    stride = p->stride == TC_NO_EXPR ? length : stride;
    if (pieces == 0 || length == 0)
        *ret = 0;
    else if (__builtin_mul_overflow(pieces - 1, stride, ret) ||
             __builtin_add_overflow(*ret, length, ret) ||
             __builtin_mul_overflow(*ret, element, ret))
        *ret = UINT64_MAX;
    return 1;
}

static void check_one(struct tc_found_globals *g, const struct tc_param *p,
                      const struct tc_layout *layouts, const struct tc_insn *code)
{
    const struct tc_found_global *one = &g->at[p->loc_index];
    const char *name = one->name;
    uint64_t known = one->place.bytes, said = 0;
    int whole = strchr(one->text, '[') == NULL; /* one thing, which is all there is */

    if (p->loc == TC_LOC_GLOBAL_POINTER) {
        if (known != 0 && known != 8)
            refuse(g, TC_R_GLOBAL_UNUSABLE, "'%.80s' has %llu bytes and is no pointer", name,
                   (unsigned long long)known);
        return;
    }
    if ((p->dir == TC_OUT || p->dir == TC_INOUT) && !one->writable)
        refuse(g, TC_R_GLOBAL_UNUSABLE, "'%.80s' can't be written", name);
    if (known == 0 || p->shape != TC_SHAPE_ARRAY || !is_fixed(p, layouts, code, &said))
        return;
    if (said > known || (whole && said != known))
        refuse(g, TC_R_GLOBAL_UNUSABLE, "'%.80s' has %llu bytes, and is said to have %llu", name,
               (unsigned long long)known, (unsigned long long)said);
}

void tc_globals_check(struct tc_found_globals *g, const struct tc_param *params, uint32_t count,
                      const struct tc_layout *layouts, const struct tc_insn *code)
{
    uint32_t described = 0;

    for (uint32_t i = 0; params != NULL && i < count; i++)
        described += (uint32_t)tc_is_global(&params[i]);
    if (described != g->count)
        refuse(
            g, TC_R_GLOBAL_UNUSABLE,
            "variables under `depends:` don't go with codecs: write `globals: { %.80s: in TYPE }`",
            g->at[g->count - 1].name);
    for (uint32_t i = 0; params != NULL && i < count; i++)
        if (tc_is_global(&params[i]) && params[i].loc_index < g->count)
            check_one(g, &params[i], layouts, code);
}
