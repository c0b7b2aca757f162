/*
 * x86-64: moves the first instructions of a function elsewhere (struct tc_arch's `move`). Every
 * operand relative to the instruction pointer becomes a fixup, short branches become near ones,
 * branches that stay inside the moved instructions are retargeted. What can't be moved without a
 * doubt is refused.
 */
#ifndef TC_SERVICE_RESOLVE_RELOCATE_X86_H
#define TC_SERVICE_RESOLVE_RELOCATE_X86_H

#include "service/resolve/arch.h"

void tc_x86_move(const struct tc_code *function, int is_short, struct tc_window *ret);
int tc_x86_is_pad(const unsigned char *front);

#endif
