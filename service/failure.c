#include "service/failure.h"

#include <stdarg.h>
#include <stdio.h>

int tc_fail(struct tc_failure *f, enum tc_reason reason, int error, const char *format, ...)
{
    va_list args;

    f->reason = reason;
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    for (char *p = f->text; *p != 0; p++) {
        if (*p == '\n')
            *p = ' ';
    }
    return -error;
}
