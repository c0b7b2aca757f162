/* x86-64: instructions for the source hash. See arch.h. */
#ifndef TC_SERVICE_RESOLVE_INSN_X86_H
#define TC_SERVICE_RESOLVE_INSN_X86_H

#include "service/resolve/arch.h"

int tc_x86_decode(const struct tc_code *code, size_t offset, int absolute,
                  struct tc_instruction *ret);
uint64_t tc_x86_linkage_slot(const struct tc_code *code);
uint64_t tc_x86_maybe_taken(const struct tc_code *code, size_t *offset);
uint64_t tc_x86_taken(const struct tc_code *code, size_t offset, int absolute, size_t *ret_bytes);
uint8_t tc_x86_relocation(uint32_t type, uint16_t *ret_bytes);

#endif
