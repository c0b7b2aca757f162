#include "service/resolve/dwarf_proto.h"

#include <ctype.h>
#include <dwarf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/task_copy.h"
#include "service/resolve/arch.h"
#include "service/resolve/dwarf_check.h"
#include "service/resolve/dwarf_text.h"
#include "service/resolve/listed_codecs.h"
#include "service/resolve/proto.h"

/* Above this, counting inlined copies isn't worth the time. */
#define MAX_COUNTED (64u << 20)

/* One question at work. */
struct making {
    const struct tc_dwarf_question *q;
    const struct tc_task_texts *texts;
    const struct tc_param_text *config;
    struct tc_dwarf_function f;
    struct tc_dwarf_text params[TC_MAX_PARAMS];
    const char *result_config; /* what is said of `return` */
    struct tc_dwarf_types types;
    struct tc_dwarf_answer *a;
    struct tc_proto_global globals[TC_MAX_PARAMS];
    char *global_texts[TC_MAX_PARAMS]; /* NULL: as the config has them */
    uint32_t global_count;
    int no_memory;
};

void tc_dwarf_refuse(struct tc_dwarf_answer *a, enum tc_reason reason, const char *format, ...)
{
    va_list args;

    a->reason = reason;
    va_start(args, format);
    (void)vsnprintf(a->detail, sizeof a->detail, format, args);
    va_end(args);
}

static const char *text(const struct making *m, struct tc_str s)
{
    return tc_flat_str(m->q->config, s);
}

static const char *given(const struct making *m, struct tc_str s)
{
    return s.off != 0 ? text(m, s) : NULL;
}

static void find(struct making *m)
{
    const struct tc_dwarf_question *q = m->q;

    if (!tc_dwarf_function_at(q->dwarf, q->function->vaddr, q->symbol, &m->f))
        tc_dwarf_refuse(m->a, TC_R_PROTOTYPE_MISSING, "the debug information doesn't describe it");
    else
        m->a->reason = tc_dwarf_accept(&m->f, m->a->detail);
}

/* ---- what the config says ---- */

static int is_word_in(const char *word, const char *in)
{
    size_t bytes = strlen(word);

    for (const char *at = in; at != NULL && (at = strstr(at, word)) != NULL; at += bytes) {
        int before = at > in && (isalnum((unsigned char)at[-1]) || at[-1] == '_');
        int after = isalnum((unsigned char)at[bytes]) || at[bytes] == '_';
        if (!before && !after)
            return 1;
    }
    return 0;
}

/* The texts in which expressions stand. */
static int is_named_in_rules(const struct making *m, const char *word)
{
    for (uint32_t i = 0; i < m->texts->params.count; i++)
        if (is_word_in(word, text(m, m->config[i].text)))
            return 1;
    for (uint32_t i = 0; m->q->globals != NULL && i < m->q->globals->count; i++)
        if (is_word_in(word, m->q->globals->at[i].text))
            return 1;
    return is_word_in(word, text(m, m->texts->skip)) ||
           is_word_in(word, text(m, m->texts->success)) || is_word_in(word, text(m, m->texts->key));
}

static const char *config_of(const struct making *m, const char *name)
{
    for (uint32_t i = 0; i < m->texts->params.count; i++)
        if (strcmp(text(m, m->config[i].name), name) == 0)
            return text(m, m->config[i].text);
    return NULL;
}

/* Which argument register the parameter would come in, counting values and pointers alone. */
static uint8_t register_of(struct tc_dwarf_function *f, uint32_t index)
{
    unsigned ints = 0, sse = 0;

    for (uint32_t i = 0; i <= index; i++) {
        struct tc_dwarf_peeled p;
        tc_dwarf_peel(&f->params[i].type, f->params[i].has_type, &p);
        uint64_t bytes =
            p.tag == DW_TAG_base_type ? tc_dwarf_number(&p.die, DW_AT_byte_size, 0) : 8;
        int in_sse = p.tag == DW_TAG_base_type && !f->params[i].by_reference &&
                     tc_dwarf_number(&p.die, DW_AT_encoding, 0) == DW_ATE_float;
        if (bytes > 8 || p.tag == DW_TAG_structure_type || p.tag == DW_TAG_class_type ||
            p.tag == DW_TAG_union_type)
            return TC_ORIGIN_NONE;
        if (i == index && (in_sse ? sse >= 8 : ints >= 6))
            return TC_ORIGIN_NONE;
        if (i == index)
            return (uint8_t)(in_sse ? TC_ORIGIN_SSE + sse : TC_ORIGIN_INT + ints);
        sse += in_sse;
        ints += !in_sse;
    }
    return TC_ORIGIN_NONE;
}

/* clang passes what it likes to an exported function that doesn't use a parameter. That the code
 * doesn't read its register must be so in any case; that callees don't is known from the debug
 * information if it gives the parameter no place, else from there being none. */
static int is_unused(const struct making *m, uint32_t index)
{
    const struct tc_function *f = m->q->function;
    const struct tc_arch *arch = tc_arch_for(m->q->im->elf->machine);
    struct tc_dwarf_function d = m->f;
    struct tc_code code = {
        .at = tc_elf_at(m->q->im->elf, f->vaddr, f->bytes), .bytes = f->bytes, .vaddr = f->vaddr};
    uint8_t origin = register_of(&d, index);

    if (!f->exported || origin == TC_ORIGIN_NONE || arch == NULL || code.at == NULL ||
        arch->reads_argument(&code, origin, d.params[index].has_location))
        return 0;
    /* gcc's callers do set it, so that extents may read it. */
    return d.by_clang || d.params[index].name == NULL ||
           !is_named_in_rules(m, d.params[index].name);
}

static void read_params(struct making *m)
{
    for (uint32_t i = 0; i < m->f.param_count && !m->no_memory; i++) {
        char *name = tc_dwarf_name(m->f.params[i].name, i);
        if (name == NULL ||
            tc_dwarf_param_text(&m->f, i, config_of(m, name), is_unused(m, i), &m->params[i]) < 0)
            m->no_memory = 1;
        free(name);
    }
    m->result_config = config_of(m, "return");
}

static int has_param(const struct making *m, const char *name)
{
    for (uint32_t i = 0; i < m->f.param_count; i++)
        if (strcmp(m->params[i].name, name) == 0)
            return 1;
    return 0;
}

static void check_config(struct making *m)
{
    for (uint32_t i = 0; i < m->texts->params.count && m->a->reason == 0; i++) {
        const char *name = text(m, m->config[i].name);
        if (strcmp(name, "return") != 0 && !has_param(m, name))
            tc_dwarf_refuse(m->a, TC_R_UNKNOWN_PARAMETER, "`params` names '%.80s'", name);
    }
    for (uint32_t i = 0; i < m->f.param_count && m->a->reason == 0; i++)
        if (m->params[i].unused && is_named_in_rules(m, m->params[i].name))
            tc_dwarf_refuse(
                m->a, TC_R_PROTOTYPE_ABI_MISMATCH,
                "the compiled function doesn't use '%.80s', which callers may leave unset, and "
                "the config reads it",
                m->params[i].name);
}

/* ---- texts ---- */

/* "double f(const double *x, int n)"; `whole`: with what the config says. */
static char *declare(struct making *m, int whole)
{
    char *inner = NULL, *result = NULL,
         *name = tc_dwarf_name(m->q->shown != NULL ? m->q->shown : m->q->symbol, 0);
    size_t bytes;
    FILE *f = name != NULL ? open_memstream(&inner, &bytes) : NULL;

    if (f != NULL) {
        (void)fprintf(f, "%s(", name);
        for (uint32_t i = 0; i < m->f.param_count; i++)
            (void)fprintf(f, "%s%s", i > 0 ? ", " : "",
                          whole ? m->params[i].written : m->params[i].declared);
        (void)fputs(m->f.param_count == 0 ? "void)" : ")", f);
        if (fclose(f) == 0)
            result = tc_dwarf_declare(&m->f.result, m->f.has_result, inner);
    }
    if (whole && result != NULL && m->result_config != NULL) {
        char *more = NULL;
        if (asprintf(&more, "%s %s", m->result_config, result) < 0)
            more = NULL;
        free(result);
        result = more;
    }
    free(inner);
    free(name);
    m->no_memory |= result == NULL;
    return result;
}

/* The lines to write into the config for what is missing. */
static void propose(struct making *m)
{
    struct tc_dwarf_answer *a = m->a;
    char *remedy = NULL;
    size_t bytes;
    FILE *f = open_memstream(&remedy, &bytes);

    if (f == NULL) {
        m->no_memory = 1;
        return;
    }
    (void)fputs("params: { ", f);
    for (uint32_t i = 0; i < m->f.param_count; i++) {
        struct tc_dwarf_text *p = &m->params[i];
        if (p->draft == NULL)
            continue;
        (void)fprintf(f, "%s%s: '%s'", a->draft_count > 0 ? ", " : "", p->name, p->draft);
        if (a->reason == 0)
            tc_dwarf_refuse(a, TC_R_EXTENT_MISSING, "parameter '%.80s'", p->name);
        a->drafts[a->draft_count].name = strdup(p->name);
        a->drafts[a->draft_count].text = strdup(p->draft);
        a->draft_count++;
    }
    (void)fputs(" }", f);
    m->no_memory |= fclose(f) != 0;
    if (a->draft_count > 0)
        a->remedy = remedy;
    else
        free(remedy);
}

static void note(struct making *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct making *m, const char *format, ...)
{
    char *one = NULL, *all = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&one, format, args) < 0)
        one = NULL;
    va_end(args);
    if (one != NULL && asprintf(&all, "%s%s%s", m->a->note != NULL ? m->a->note : "",
                                m->a->note != NULL ? "; " : "", one) < 0)
        all = NULL;
    free(one);
    free(m->a->note);
    m->a->note = all;
    m->no_memory |= all == NULL;
}

/* ---- the task ---- */

/* What a message of the prototype compiler is about, as a line for the config. */
static char *remedy_for(const struct making *m, const struct tc_text_error *e)
{
    char quoted[300], *remedy = NULL;

    if (e->reason == TC_R_UNKNOWN_TYPE) {
        const char *more = m->q->dwarf->dwarf == NULL ? ", or build with -g" : "";
        int r = strcmp(e->remedy, tc_reason_info(e->reason)->remedy) != 0
                    ? asprintf(&remedy, "%s, or declare it under `types:`", e->remedy)
                    : asprintf(&remedy, "declare it under `types:`%s", more);
        return r < 0 ? NULL : remedy;
    }

    for (uint32_t i = 0; i < m->f.param_count && e->reason == TC_R_EXTENT_MISSING; i++) {
        (void)snprintf(quoted, sizeof quoted, "'%.200s'", m->params[i].name);
        if (strstr(e->sentence, quoted) == NULL || m->params[i].config == NULL)
            continue;
        if (asprintf(&remedy, "params: { %s: '%s [n]' }", m->params[i].name, m->params[i].config) <
            0)
            return NULL;
        return remedy;
    }
    return e->remedy[0] != 0 ? strdup(e->remedy) : NULL;
}

static const char *param_name(struct tc_flat_builder *out, const struct tc_task *task,
                              uint32_t index)
{
    const struct tc_param *params = tc_flat_builder_at(out, task->params.off);
    const char *name = tc_flat_builder_at(out, params[index].name.off);

    return name != NULL ? name : "";
}

static void exclude(struct making *m, struct tc_flat_builder *out, const struct tc_str *names,
                    uint32_t count)
{
    struct tc_task *own = &m->a->own;

    for (uint32_t i = 0; i < count; i++) {
        const char *name = text(m, names[i]);
        uint32_t k = 0;
        while (k < own->params.count && strcmp(param_name(out, own, k), name) != 0)
            k++;
        if (k < own->params.count)
            own->excluded |= 1u << k;
        else
            note(m, "the policy excludes '%.80s', which it doesn't have", name);
    }
}

/* Whose a returned pointer is, nothing tells but its type, and that not for sure: for a person to
 * look at. */
static void propose_result(struct making *m)
{
    struct tc_dwarf_answer *a = m->a;
    struct tc_dwarf_peeled pointer, to;
    Dwarf_Die next;
    const char *draft = "malloc(COUNT)";
    const char *name;

    tc_dwarf_peel(&m->f.result, m->f.has_result, &pointer);
    if (pointer.tag != DW_TAG_pointer_type || m->result_config != NULL)
        return;
    tc_dwarf_peel(&next, tc_dwarf_type(&pointer.die, &next), &to);
    name = to.tag == DW_TAG_base_type ? dwarf_diename(&to.die) : NULL;
    if (name != NULL && strcmp(name, "char") == 0)
        draft = to.is_const ? "static" : "malloc";
    else if (to.tag == DW_TAG_structure_type)
        draft = "malloc";
    a->drafts[a->draft_count].name = strdup("return");
    a->drafts[a->draft_count].text = strdup(draft);
    a->draft_count++;
    free(a->remedy);
    a->remedy = NULL;
    m->no_memory |= asprintf(&a->remedy, "params: { return: '%s' }", draft) < 0;
}

/* The text of one, with its type where debug information knows it. */
static void complete_global(struct making *m, const struct tc_found_global *g, char **ret)
{
    *ret = NULL;
    if (g->path != NULL || tc_global_has_type(g->text))
        return;
    if (m->q->dwarf->dwarf != NULL &&
        tc_dwarf_global_text(m->q->dwarf, g->name, g->vaddr, g->text, ret) < 0)
        m->no_memory = 1;
    if (*ret == NULL && g->is_depend &&
        asprintf(ret, "in void [%llu]", (unsigned long long)g->place.bytes) < 0) {
        *ret = NULL;
        m->no_memory = 1;
    }
}

static void complete_globals(struct making *m)
{
    const struct tc_found_globals *all = m->q->globals;

    for (uint32_t i = m->global_count; all != NULL && i < all->count + all->files; i++) {
        const struct tc_found_global *g = &all->at[i];
        complete_global(m, g, &m->global_texts[i]);
        m->globals[i] = (struct tc_proto_global){
            g->name, m->global_texts[i] != NULL ? m->global_texts[i] : g->text, g->path,
            g->is_depend};
        m->global_count++;
    }
}

static void compile(struct making *m, struct tc_flat_builder *out)
{
    const struct tc_dwarf_question *q = m->q;
    const char *written = given(m, m->texts->prototype);
    char *prototype = written != NULL ? strdup(written) : declare(m, 1);
    struct tc_listed_codecs codecs = {.flat = q->config, .task = q->task};
    struct tc_proto_text t = {.prototype = prototype,
                              .find_type = q->dwarf->dwarf != NULL ? tc_dwarf_type_text : NULL,
                              .find_arg = &m->types,
                              .types = given(m, m->texts->types),
                              .globals = m->globals,
                              .skip = given(m, m->texts->skip),
                              .success = given(m, m->texts->success),
                              .key = given(m, m->texts->key),
                              .codec = tc_listed_codec,
                              .codec_ctx = &codecs};
    struct tc_text_error e = {.reason = TC_R_NONE};
    enum tc_proto_field field;
    int r;

    if (prototype == NULL)
        return;
    complete_globals(m);
    t.global_count = m->global_count;
    tc_task_copy_head(q->config, q->task, out, &m->a->own);
    r = tc_proto_compile(out, &t, &m->a->own, &e, &field);
    if (r == -ENOMEM) {
        m->no_memory = 1;
    } else if (r < 0) {
        const char *why = e.reason == TC_R_UNKNOWN_TYPE && m->types.why[0] != 0 ? m->types.why : "";
        tc_dwarf_refuse(m->a, e.reason, "%s%s%s", e.sentence, why[0] != 0 ? ": " : "", why);
        m->a->remedy = remedy_for(m, &e);
        if (e.reason == TC_R_OWNERSHIP_MISSING)
            propose_result(m);
    } else {
        exclude(m, out,
                tc_flat_at(q->config, m->texts->excluded.off, m->texts->excluded.count,
                           sizeof(struct tc_str)),
                m->texts->excluded.count);
    }
    free(prototype);
}

/* ---- what the compiled function does ---- */

static void tell(struct making *m)
{
    const struct tc_elf *info = tc_debug_info(m->q->im->elf, &m->q->im->debug);
    const struct tc_section *s = info != NULL ? tc_elf_section(info, ".debug_info", 0) : NULL;

    for (uint32_t i = 0; i < m->f.param_count; i++)
        if (m->params[i].unused)
            note(m, "'%.80s' is unused in the compiled code: it is left out of INPUTS",
                 m->params[i].name);
    if (s == NULL || s->bytes > MAX_COUNTED)
        return;
    m->a->inlined = tc_dwarf_inlined(m->q->dwarf, m->q->symbol, NULL, NULL);
    if (m->a->inlined > 0)
        note(m, "%u inlined %s of it: calls there aren't seen", m->a->inlined,
             m->a->inlined == 1 ? "copy" : "copies");
}

/* With what is proposed in place of what is missing: does the function take its parameters at all?
 * Nobody should look for extents of one that can't be taken. */
static void try_drafts(struct making *m)
{
    struct tc_dwarf_answer trial = {0}, *real = m->a;
    struct tc_flat_builder scratch;

    tc_flat_builder_init(&scratch, TC_FLAT_PLANS, sizeof(struct tc_plans));
    m->a = &trial;
    for (uint32_t i = 0; i < m->f.param_count && !m->no_memory; i++) {
        struct tc_dwarf_text t, *p = &m->params[i];
        if (p->draft == NULL)
            continue;
        m->no_memory |= tc_dwarf_param_text(&m->f, i, p->draft, 0, &t) < 0;
        p->written = m->no_memory ? NULL : strdup(t.written);
        m->no_memory |= p->written == NULL;
        tc_dwarf_param_text_free(&t);
    }
    if (!m->no_memory)
        compile(m, &scratch);
    if (trial.reason == 0 && !m->no_memory)
        tc_dwarf_check_made(m->q, &m->f, &m->types, &scratch, &trial);
    m->a = real;
    if (trial.draft_count > 0) {
        real->drafts[real->draft_count++] = trial.drafts[0];
        trial.draft_count = 0;
    }
    if (trial.reason == TC_R_PROTOTYPE_ABI_MISMATCH) {
        tc_dwarf_refuse(real, trial.reason, "%s", trial.detail);
        free(real->remedy);
        real->remedy = NULL;
    }
    tc_dwarf_answer_free(&trial);
    tc_flat_builder_free(&scratch);
}

/* The task is made: does the compiled function go with it? */
static void check_made(struct making *m, struct tc_flat_builder *out)
{
    if (m->a->reason == 0 && !m->no_memory)
        tc_dwarf_check_made(m->q, &m->f, &m->types, out, m->a);
}

/* A prototype that somebody wrote, with types that only debug information knows. */
static void make_written(struct making *m, struct tc_flat_builder *out)
{
    if (m->a->reason == 0)
        compile(m, out);
    check_made(m, out);
}

static void make(struct making *m, struct tc_flat_builder *out)
{
    find(m);
    m->a->known = m->a->reason == 0;
    if (given(m, m->texts->prototype) != NULL) {
        make_written(m, out);
        return;
    }
    if (m->a->reason == 0)
        read_params(m);
    if (m->a->reason != 0 || m->no_memory)
        return;
    m->a->declaration = declare(m, 0);
    check_config(m);
    if (m->a->reason == 0)
        propose(m);
    if (m->a->reason == TC_R_EXTENT_MISSING && !m->no_memory)
        try_drafts(m);
    if (m->a->reason == 0 && !m->no_memory)
        compile(m, out);
    check_made(m, out);
    tell(m);
}

static void make_without(struct making *m, struct tc_flat_builder *out)
{
    if (given(m, m->texts->prototype) != NULL)
        compile(m, out);
    else
        tc_dwarf_refuse(m->a, TC_R_PROTOTYPE_MISSING, "%s", "");
}

static int answer(const struct tc_dwarf_question *q, struct tc_flat_builder *out,
                  void (*make_it)(struct making *, struct tc_flat_builder *),
                  struct tc_dwarf_answer *ret)
{
    struct making *m = calloc(1, sizeof *m);
    int r;

    *ret = (struct tc_dwarf_answer){0};
    if (m == NULL)
        return -ENOMEM;
    m->q = q;
    m->a = ret;
    m->texts = tc_flat_at(q->config, q->task->texts.off, 1, sizeof *m->texts);
    m->config =
        tc_flat_at(q->config, m->texts->params.off, m->texts->params.count, sizeof *m->config);
    m->types.dwarf = q->dwarf;
    m->types.function = &m->f;
    make_it(m, out);
    tc_dwarf_types_free(&m->types);
    for (uint32_t i = 0; i < TC_MAX_PARAMS; i++) {
        tc_dwarf_param_text_free(&m->params[i]);
        free(m->global_texts[i]);
    }
    r = m->no_memory || m->types.no_memory ? -ENOMEM : 0;
    free(m);
    return r;
}

int tc_dwarf_prototype(const struct tc_dwarf_question *q, struct tc_flat_builder *out,
                       struct tc_dwarf_answer *ret)
{
    return answer(q, out, make, ret);
}

int tc_dwarf_without(const struct tc_dwarf_question *q, struct tc_flat_builder *out,
                     struct tc_dwarf_answer *ret)
{
    return answer(q, out, make_without, ret);
}

void tc_dwarf_answer_free(struct tc_dwarf_answer *a)
{
    free(a->remedy);
    free(a->note);
    free(a->declaration);
    for (uint32_t i = 0; i < a->draft_count; i++) {
        free(a->drafts[i].name);
        free(a->drafts[i].text);
    }
    *a = (struct tc_dwarf_answer){0};
}
