/*
 * How cachectl talks to people: colours, tables, problem lines. Results go to stdout, problems and
 * progress to stderr. One thread.
 */
#ifndef TC_TOOLS_OUTPUT_H
#define TC_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/base.h"

enum tc_color_mode {
    TC_COLOR_AUTO = 0, /* on a terminal, unless NO_COLOR is set and not empty, or TERM=dumb */
    TC_COLOR_ALWAYS,
    TC_COLOR_NEVER,
};
void tc_color_set(enum tc_color_mode mode);

enum tc_style {
    TC_PLAIN = 0,
    TC_BOLD,
    TC_DIM,
    TC_GOOD,
    TC_WARN,
    TC_BAD,
};
/* The escape sequence that begins a style on this stream, "" without colours; TC_PLAIN ends it. */
const char *tc_style(FILE *to, enum tc_style style);

/* "cachectl: SUBJECT: reason-id: sentence" and below it "  try: remedy". */
void tc_problem(const struct tc_cause *c);
/* The same as one line, for `run`: "cachectl: warning: SUBJECT: reason-id: sentence; try: ...". */
void tc_warning(const struct tc_cause *c);

/* A table: the first row is the heading; columns marked in `right` (bit i) are aligned right. Cells
 * are copied. Control characters of cells are shown as '?'. */
struct tc_table {
    unsigned columns;
    uint32_t right;
    char **cells;
    size_t count, allocated;
};
void tc_table_begin(struct tc_table *t, unsigned columns, uint32_t right);
void tc_table_cell(struct tc_table *t, const char *text);
void tc_table_cellf(struct tc_table *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void tc_table_print(const struct tc_table *t, FILE *to);
void tc_table_free(struct tc_table *t);

#endif
