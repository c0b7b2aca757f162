#include "cache/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A longer source line is cut around the caret. */
#define SHOWN_BYTES 160u

int tc_text_fail(struct tc_text_error *e, enum tc_reason reason, size_t at, const char *remedy,
                 const char *format, ...)
{
    va_list list;

    e->reason = reason;
    e->at = at;
    va_start(list, format);
    (void)vsnprintf(e->sentence, sizeof e->sentence, format, list);
    va_end(list);
    (void)snprintf(e->remedy, sizeof e->remedy, "%s",
                   remedy != NULL ? remedy : tc_reason_info(reason)->remedy);
    return -EINVAL;
}

void tc_text_position(const char *text, size_t bytes, size_t at, unsigned *ret_line,
                      unsigned *ret_column)
{
    unsigned line = 1;
    size_t start = 0;

    if (at > bytes)
        at = bytes;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    *ret_line = line;
    *ret_column = (unsigned)(at - start) + 1;
}

static int continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The source line around `at` and a line with the caret below it. What isn't text is shown as '?',
 * so that a file can't steer a terminal; tabs are kept in both lines, to keep them aligned. */
static void source_line(FILE *out, const char *text, size_t bytes, size_t at)
{
    size_t start = at, end = at;

    while (start > 0 && text[start - 1] != '\n')
        start--;
    while (end < bytes && text[end] != '\n')
        end++;
    if (end > start && text[end - 1] == '\r')
        end--;
    if (at - start > SHOWN_BYTES / 2)
        start = at - SHOWN_BYTES / 2;
    while (start < at && continues(text[start]))
        start++;
    if (end > start + SHOWN_BYTES)
        end = start + SHOWN_BYTES;
    while (end > at && end < bytes && continues(text[end]))
        end--;
    fputc('\n', out);
    for (size_t i = start; i < end; i++)
        fputc(((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f ? '?' : text[i],
              out);
    fputc('\n', out);
    for (size_t i = start; i < at; i++)
        if (!continues(text[i]))
            fputc(text[i] == '\t' ? '\t' : ' ', out);
    fputc('^', out);
}

char *tc_diag_render(const char *subject, const char *text, size_t bytes, size_t at,
                     enum tc_reason reason, const char *sentence, const char *remedy)
{
    const struct tc_reason_info *info = tc_reason_info(reason);
    char *rendered = NULL;
    size_t rendered_bytes = 0;
    FILE *out = open_memstream(&rendered, &rendered_bytes);

    if (out == NULL)
        return NULL;
    fputs(subject, out);
    if (text != NULL) {
        unsigned line, column;

        if (at > bytes)
            at = bytes;
        tc_text_position(text, bytes, at, &line, &column);
        fprintf(out, ":%u:%u", line, column);
    }
    fprintf(out, ": %s: %s", info->id, sentence != NULL ? sentence : info->sentence);
    if (text != NULL)
        source_line(out, text, bytes, at);
    if (remedy == NULL)
        remedy = info->remedy;
    if (remedy[0] != 0)
        fprintf(out, "\n  try: %s", remedy);
    if (fclose(out) != 0) {
        free(rendered);
        return NULL;
    }
    return rendered;
}
