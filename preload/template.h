/*
 * The text of a task's key template at a call.
 *
 * Works in the context's memory; reads the caller's strings; allocates nothing.
 */
#ifndef TC_PRELOAD_TEMPLATE_H
#define TC_PRELOAD_TEMPLATE_H

#include "preload/context.h"

/* The content of the component "=key". */
struct tc_key_text {
    const unsigned char *content; /* in the context */
    uint32_t bytes;
    uint8_t tag; /* TC_TAG_STRING: the text; TC_TAG_BYTES: its digest */
};

/* A double's bits as a template writes them; returns the bytes. */
#define TC_REAL_TEXT 32u
uint32_t tc_template_real(uint64_t bits, char to[TC_REAL_TEXT]);

/* 0 or an enum tc_reason that makes the call a bypass. */
uint32_t tc_template_text(struct tc_context *x, struct tc_call *c, struct tc_key_text *ret);

#endif
