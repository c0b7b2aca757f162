/*
 * Why something failed, for the one line that a person reads: a reason id and a sentence. Functions
 * that take a `struct tc_failure *` fill it in whenever they return a negative errno.
 */
#ifndef TC_SERVICE_FAILURE_H
#define TC_SERVICE_FAILURE_H

#include "cache/reason.h"

struct tc_failure {
    enum tc_reason reason;
    char text[512];
};

/* Returns -error (`error` positive). */
int tc_fail(struct tc_failure *f, enum tc_reason reason, int error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
