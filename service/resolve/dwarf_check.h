/*
 * What the compiled function does, beside what the debug information says of the source: a task
 * that was made (`a->own`, whose tables are in `out`) is refused in `a` where both don't go
 * together.
 *
 * Host code (the service's child processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DWARF_CHECK_H
#define TC_SERVICE_RESOLVE_DWARF_CHECK_H

#include "service/resolve/dwarf_proto.h"
#include "service/resolve/dwarf_types.h"

void tc_dwarf_check_made(const struct tc_dwarf_question *q, struct tc_dwarf_function *f,
                         const struct tc_dwarf_types *types, struct tc_flat_builder *out,
                         struct tc_dwarf_answer *a);

/* Sets the reason and its detail. */
void tc_dwarf_refuse(struct tc_dwarf_answer *a, enum tc_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
