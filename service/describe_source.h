/*
 * What enters source digests, for `cachectl source`: in a process of its own, as the file may be
 * anything. Answers requests until its input ends.
 */
#ifndef TC_SERVICE_DESCRIBE_SOURCE_H
#define TC_SERVICE_DESCRIBE_SOURCE_H

#include <stdio.h>

/*
 * Requests are lines of fields between tabs; MODE is "own" or "deep":
 *   library PATH          (no answer) where imports are looked for, in the loader's order
 *   stop GLOBS            (no answer) the task's deep_stop, from now on
 *   list MODE             "function NAME DIGEST NARROW" for each function that has a name; NARROW
 * is a digest without what is coarse, "" where there is no memory for it tree MODE [FILE.C:]NAME,
 * at MODE VADDR BYTES "digest HEX INDIRECT-CALLS WHOLE", "item KIND BEGIN END DIGEST LABEL" in
 *                         order, "ref FROM TO WHY LABEL" (TO -1: the name is all; WHY "": it isn't
 *                         coarse), with libraries "import NAME VERSION PATH ENDS" (PATH "": none
 * has it; ENDS 1: it is one at which following ends) effects [FILE.C:]NAME "reach INDIRECT-CALLS
 * WHOLE IFUNC", "effect REASON WHAT CALL-PATH" of what its closure in this file does beside its
 * arguments, and "import" as above or "refused REASON DETAIL". A line "end" ends each answer.
 *
 * The exit status: 1 if the file can't be read.
 */
int tc_describe_source(const char *path, FILE *from, FILE *to);

#endif
