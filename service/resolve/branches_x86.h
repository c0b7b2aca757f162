/*
 * x86-64: finds direct branches (struct tc_arch's `branches` and `is_branch`). First every byte
 * that could be one, which is fast, then, for the few that matter, whether decoding the function
 * around it really meets an instruction there.
 */
#ifndef TC_SERVICE_RESOLVE_BRANCHES_X86_H
#define TC_SERVICE_RESOLVE_BRANCHES_X86_H

#include "service/resolve/arch.h"

void tc_x86_branches(const struct tc_code *code, uint64_t low, uint64_t high, tc_branch_seen *seen,
                     void *arg);
int tc_x86_is_branch(const struct tc_code *code, uint64_t field);

#endif
