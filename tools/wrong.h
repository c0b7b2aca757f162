/*
 * Records that a verification found wrong: what `stats` and `doctor` say of them. One thread.
 */
#ifndef TC_TOOLS_WRONG_H
#define TC_TOOLS_WRONG_H

#include "tools/json.h"
#include "tools/misses.h"
#include "tools/output.h"

/* The latest one of each task. */
int tc_wrong_read(struct tc_reader *r, struct tc_known_misses *ret);

/* The latest one of this task, NULL. */
const struct tc_known_miss *tc_wrong_of(const struct tc_known_misses *wrong, const char *identity);

/* "output 'out' differs from byte 8 on: ...; 12 s ago, in sweep (pid 4711)" */
void tc_wrong_text(struct tc_text *to, const struct tc_known_miss *m);

void tc_wrong_print(const struct tc_known_misses *wrong, FILE *to);
/* "wrong": [...] */
void tc_wrong_json(struct tc_json *j, const struct tc_known_misses *wrong);

#endif
