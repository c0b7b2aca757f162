#include "tools/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum tc_color_mode color_mode;

void tc_color_set(enum tc_color_mode mode)
{
    color_mode = mode;
}

static bool colored(FILE *to)
{
    if (color_mode != TC_COLOR_AUTO)
        return color_mode == TC_COLOR_ALWAYS;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no_color && *no_color) || !term || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(to)) == 1;
}

const char *tc_style(FILE *to, enum tc_style style)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                        "\033[32m", "\033[33m", "\033[31m"};
    return colored(to) ? codes[style] : "";
}

/* "SUBJECT: reason-id: ", each part if there is one. */
static void print_head(const struct tc_cause *c)
{
    fprintf(stderr, "%s%s", c->subject, *c->subject ? ": " : "");
    if (c->reason)
        fprintf(stderr, "%s%s%s: ", tc_style(stderr, TC_BOLD), tc_reason_info(c->reason)->id,
                tc_style(stderr, TC_PLAIN));
}

void tc_problem(const struct tc_cause *c)
{
    fputs("cachectl: ", stderr);
    print_head(c);
    fprintf(stderr, "%s\n", c->sentence);
    if (*c->remedy)
        fprintf(stderr, "  try: %s\n", c->remedy);
}

void tc_warning(const struct tc_cause *c)
{
    fprintf(stderr, "cachectl: %swarning%s: ", tc_style(stderr, TC_WARN),
            tc_style(stderr, TC_PLAIN));
    print_head(c);
    fprintf(stderr, "%s%s%s\n", c->sentence, *c->remedy ? "; try: " : "", c->remedy);
}

void tc_table_begin(struct tc_table *t, unsigned columns, uint32_t right)
{
    *t = (struct tc_table){.columns = columns, .right = right};
}

void tc_table_cell(struct tc_table *t, const char *text)
{
    t->cells = tc_grow(t->cells, t->count, &t->allocated, sizeof *t->cells);
    char *cell = tc_copy(text);
    for (char *p = cell; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    t->cells[t->count++] = cell;
}

void tc_table_cellf(struct tc_table *t, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    tc_table_cell(t, n < 0 ? "" : text);
    free(text);
}

/* Characters, not bytes: UTF-8's continuation bytes take no room. */
static int width_of(const char *s)
{
    int width = 0;
    for (; *s; s++)
        width += (*s & 0xc0) != 0x80;
    return width;
}

static void print_row(const struct tc_table *t, size_t row, const int *width, FILE *to)
{
    bool heading = row == 0;
    fputs(heading ? tc_style(to, TC_BOLD) : "", to);
    for (unsigned c = 0; c < t->columns; c++) {
        const char *cell = t->cells[row * t->columns + c];
        int padding = width[c] - width_of(cell);
        bool right = t->right >> c & 1, last = c + 1 == t->columns;
        fprintf(to, "%*s%s%*s", right ? padding : 0, "", cell, right || last ? 0 : padding, "");
        fputs(last ? "" : "  ", to);
    }
    fputs(heading ? tc_style(to, TC_PLAIN) : "", to);
    fputc('\n', to);
}

void tc_table_print(const struct tc_table *t, FILE *to)
{
    int width[32] = {0};
    if (t->columns == 0 || t->columns > 32)
        return;
    for (size_t i = 0; i < t->count; i++) {
        int w = width_of(t->cells[i]);
        if (w > width[i % t->columns])
            width[i % t->columns] = w;
    }
    for (size_t row = 0; row < t->count / t->columns; row++)
        print_row(t, row, width, to);
}

void tc_table_free(struct tc_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct tc_table){0};
}
