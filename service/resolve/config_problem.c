#include "service/resolve/config_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int told_already(const struct tc_load *l, const char *text, size_t bytes)
{
    for (unsigned i = 0; i < l->problem_count; i++) {
        struct tc_str told = l->problems[i].text;
        const void *at = tc_flat_builder_at(l->out, told.off);

        if (told.bytes == bytes && at != NULL && memcmp(at, text, bytes) == 0)
            return 1;
    }
    return 0;
}

/* Takes over `rendered`. */
static void add(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                const char *subject, char *rendered, unsigned line, unsigned column)
{
    struct tc_problem *p = &l->problems[l->problem_count];

    if (rendered == NULL) {
        l->no_memory = 1;
        return;
    }
    if (l->problem_count < TC_MAX_PROBLEMS && !told_already(l, rendered, strlen(rendered))) {
        p->severity = (uint32_t)severity;
        p->reason = (uint32_t)reason;
        p->subject = tc_flat_add_str(l->out, subject);
        p->text = tc_flat_add_str(l->out, rendered);
        p->line = line;
        p->column = column;
        l->problem_count++;
        l->errors += severity == TC_SEV_ERROR;
        l->warnings += severity == TC_SEV_WARNING;
    }
    free(rendered);
}

/* About byte `at` of a text. */
static void add_at(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                   const char *subject, const char *text, size_t bytes, size_t at,
                   const char *remedy, const char *sentence)
{
    unsigned line, column;

    tc_text_position(text, bytes, at, &line, &column);
    add(l, severity, reason, subject,
        tc_diag_render(subject, text, bytes, at, reason, sentence, remedy), line, column);
}

/* A long sentence is cut: it holds what people wrote. */
#define FORMAT(sentence, format)                                   \
    do {                                                           \
        va_list list;                                              \
        va_start(list, format);                                    \
        (void)vsnprintf(sentence, sizeof(sentence), format, list); \
        va_end(list);                                              \
    } while (0)

void tc_problem_at(struct tc_load *l, enum tc_severity severity, enum tc_reason reason, size_t at,
                   const char *remedy, const char *format, ...)
{
    char sentence[400];

    FORMAT(sentence, format);
    add_at(l, severity, reason, l->subject, l->shown, l->yaml.bytes, at, remedy, sentence);
}

void tc_problem_in(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                   const struct tc_yaml_node *n, size_t at, const char *remedy, const char *format,
                   ...)
{
    char sentence[400];

    FORMAT(sentence, format);
    if (n->foreign != NULL)
        add_at(l, severity, reason, n->foreign, n->text, n->bytes, at, remedy, sentence);
    else
        add_at(l, severity, reason, l->subject, l->shown, l->yaml.bytes,
               tc_yaml_offset(&l->yaml, n, at), remedy, sentence);
}

void tc_problem_found(struct tc_load *l, enum tc_severity severity, const struct tc_yaml_node *n,
                      const struct tc_text_error *e)
{
    tc_problem_in(l, severity, e->reason, n, e->at, e->remedy, "%s", e->sentence);
}

void tc_problem_file(struct tc_load *l, enum tc_severity severity, enum tc_reason reason,
                     const char *subject, const char *remedy, const char *format, ...)
{
    char sentence[400];

    FORMAT(sentence, format);
    add(l, severity, reason, subject, tc_diag_render(subject, NULL, 0, 0, reason, sentence, remedy),
        0, 0);
}
