/*
 * Is this thread in a signal handler? Code of plugins, and the loader, take locks and allocate: the
 * handler may have interrupted just that. Nobody says so directly; this tells by what the kernel
 * leaves: another stack in use, or a signal that is blocked, has a handler, and whose way back
 * (sa_restorer) lies on the stack above us.
 *
 * Handlers with SA_NODEFER and an empty mask aren't seen, nor frames further away than 256 KiB. A
 * frame's remains look like a frame: then it says yes. Two system calls, more if signals are
 * blocked; any context.
 */
#ifndef TC_PRELOAD_IN_HANDLER_H
#define TC_PRELOAD_IN_HANDLER_H

#include <stdint.h>

/* `stack`: the stack pointer at the task's entry. */
int tc_in_handler(uint64_t stack);

#endif
