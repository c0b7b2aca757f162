/*
 * What enters a function's source digest, for `cachectl source`: in a process of its own, as the
 * file may be anything.
 */
#ifndef TC_SERVICE_DESCRIBE_SOURCE_H
#define TC_SERVICE_DESCRIBE_SOURCE_H

#include <stdio.h>

/* Lines of fields between tabs: "digest HEX INDIRECT-CALLS WHOLE", "item KIND BEGIN END DIGEST
 * LABEL" in order, "ref FROM TO WHY LABEL" (TO -1: the name is all; WHY "": it isn't coarse), or
 * "refused REASON DETAIL". The exit status. */
int tc_describe_source(const char *path, const char *symbol, int deep, FILE *to);

#endif
