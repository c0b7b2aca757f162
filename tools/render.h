/*
 * Values as text: C-like for people, JSON for programs. Pure functions over byte buffers; nothing
 * is read beyond `bytes`.
 */
#ifndef TC_TOOLS_RENDER_H
#define TC_TOOLS_RENDER_H

#include "cache/expr.h"
#include "tools/base.h"
#include "tools/json.h"

#define TC_RENDER_ELEMENTS 8  /* of a long array, unless all are wanted */
#define TC_RENDER_CHARS    64 /* of a long string */

/* One scalar of type `type` (enum tc_scalar). */
void tc_render_scalar(struct tc_text *to, uint8_t type, const unsigned char *value);
void tc_render_json_scalar(struct tc_json *j, const char *key, uint8_t type,
                           const unsigned char *value);

/* A string in C's quotes; of `total` bytes the first `bytes` are here, "..." if there are more. */
void tc_render_string(struct tc_text *to, const unsigned char *s, size_t bytes, uint64_t total);

/* {1, 2, 3, ...}: of `total` elements those that lie whole in `bytes`. */
void tc_render_array(struct tc_text *to, uint8_t type, const unsigned char *values, size_t bytes,
                     uint64_t total);

/* Bytes as hex digits. */
void tc_render_hex(struct tc_text *to, const unsigned char *bytes, size_t count);
/* As hexdump -C has it, indented. */
void tc_render_dump(struct tc_text *to, const unsigned char *bytes, size_t count, uint64_t offset);

/* "int32_t", for values without a prototype. */
const char *tc_scalar_name(uint8_t type);

#endif
