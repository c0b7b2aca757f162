/*
 * Reading a call: its arguments, the extents of what they point at, and the inputs that make its
 * key.
 *
 * Works on the context's struct tc_call; reads the caller's memory; allocates nothing. All return 0
 * or an enum tc_reason that makes the call a bypass.
 */
#ifndef TC_PRELOAD_CAPTURE_H
#define TC_PRELOAD_CAPTURE_H

#include "preload/context.h"

/* Arguments out of the registers and the stack. */
void tc_capture_arguments(struct tc_call *c);
/* Where the frame has the argument in a register that `loc` names. */
uint32_t tc_capture_offset(uint8_t loc, uint16_t index);

/* A task is new for so many calls: its memory is probed before it is read. One more; and for as
 * long as that finds something, it goes on. */
void tc_capture_probation(struct tc_call *c);
void tc_capture_failed(struct tc_call *c, uint32_t reason);

/* Evaluates one program of the task. */
uint32_t tc_evaluate(struct tc_call *c, uint32_t program, int64_t *ret);

/* `skip:` holds? */
uint32_t tc_capture_skip(struct tc_call *c);
/* old(e): what the rules want to know of the state before the call. */
uint32_t tc_capture_olds(struct tc_call *c);

/* The extents of all outputs, by this call's arguments: before the call (those known only
 * afterwards get their capacity) or after. */
uint32_t tc_capture_outputs(struct tc_call *c, int after);

/* How much of the caller's memory a piece of this output takes, without the gap behind it. */
uint64_t tc_capture_piece(const struct tc_call *c, const struct tc_extent *e);

/* strlen() that asks first while the task is new. */
uint32_t tc_string_bytes(const struct tc_call *c, uint64_t address, uint64_t *ret);

/* The digest of a flow's arguments. */
uint32_t tc_capture_flow(struct tc_context *x, struct tc_call *c, uint8_t ret[16]);

/* The key material under the task's policy, and the key. */
uint32_t tc_capture_key(struct tc_context *x, struct tc_call *c);

/* After the body: do the task's globals still lead where they led? A replay couldn't make them lead
 * elsewhere. */
uint32_t tc_capture_globals(const struct tc_call *c);

/* After the body: are the read-only inputs that entered `material` still what they were? 0,
 * TC_R_INPUTS_CHANGED, or another reason. */
uint32_t tc_capture_compare(struct tc_context *x, struct tc_call *c, const unsigned char *material,
                            size_t bytes);

#endif
