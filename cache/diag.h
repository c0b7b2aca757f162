/*
 * What to tell a person: {subject, reason id, sentence, remedy}, and for texts the place with line,
 * column and caret. Parsers report a tc_text_error about the text they were given; whoever knows
 * the file turns it into a message. Only tools print.
 *
 * Host code. tc_diag_render() allocates its result.
 */
#ifndef TC_CACHE_DIAG_H
#define TC_CACHE_DIAG_H

#include <stddef.h>

#include "cache/reason.h"

struct tc_text_error {
    enum tc_reason reason;
    size_t at;          /* offset in the text that was parsed */
    char sentence[200]; /* what is wrong there: "parameter 'x' of 'mean' has no extent" */
    char remedy[200];   /* what to write: "const double x[n]"; "" if there is none */
};

/* Fills in an error; sentence and remedy by printf formats (remedy NULL: the reason's own). Returns
 * -EINVAL. */
int tc_text_fail(struct tc_text_error *e, enum tc_reason reason, size_t at, const char *remedy,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Line and column (from 1; columns count bytes) of an offset in a text. */
void tc_text_position(const char *text, size_t bytes, size_t at, unsigned *ret_line,
                      unsigned *ret_column);

/* The whole message, several lines, no newline at the end; free() it:
 *
 *     taskcache.yaml:7:15: extent-missing: parameter 'x' of 'mean' has no extent
 *           double mean(const double *x, int n)
 *                                     ^
 *       try: const double x[n]
 *
 * `text` is the file's whole text (NULL: no source line and caret), `subject` the file's name as
 * the person gave it. */
char *tc_diag_render(const char *subject, const char *text, size_t bytes, size_t at,
                     enum tc_reason reason, const char *sentence, const char *remedy);

#endif
