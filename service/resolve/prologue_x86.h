/*
 * x86-64: what the first instructions of a function do with its arguments, and whether a caller
 * reads a result (struct tc_arch's `prologue`, `reads_argument`, `reads_result` and
 * `takes_address`).
 */
#ifndef TC_SERVICE_RESOLVE_PROLOGUE_X86_H
#define TC_SERVICE_RESOLVE_PROLOGUE_X86_H

#include "service/resolve/arch.h"

void tc_x86_prologue(const struct tc_code *function, struct tc_prologue *ret);
int tc_x86_reads_result(const struct tc_code *after, int in_sse);
int tc_x86_reads_argument(const struct tc_code *function, uint8_t origin, int calls);
int tc_x86_takes_address(const struct tc_code *code, uint64_t vaddr, int absolute);

#endif
