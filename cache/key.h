/*
 * Key material and keys. The material is the canonical list of the components that a policy names,
 * sorted by name:
 *
 *   for each component: u16 name bytes | u8 form | u8 tag | u32 0 | u64 content bytes | name |
 * content or digest
 *
 * form 0: the content itself follows; form 1: the XXH3-128 of (tag, length, content) under the
 * storage's secret seed. A component's content goes in whole while the material stays within
 * TC_MATERIAL_BYTES, counting every later component as a digest (so that the rule depends on the
 * call's inputs alone); else as a digest. The key is the XXH3-128 of the material under the seed. A
 * record keeps its material, and a hit compares it.
 *
 * The content of an input: scalars: their bytes, by declared size; arrays: "pieces, piece bytes"
 * (two u64), then the elements without gaps; strings: bytes without the NUL; several strings:
 * count, then (u64 length, bytes) each; NULL: tag TC_TAG_NULL, no content.
 *
 * Component names: "=task" (identity and prototype digest, or the namespace), "=source", "=run_id",
 * "=flow", "=fpenv", and the parameters' names, which never begin with '='.
 *
 * Freestanding; any context. Memory is the caller's.
 */
#ifndef TC_CACHE_KEY_H
#define TC_CACHE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "cache/record.h"

enum tc_tag {
    TC_TAG_BYTES = 1, /* names, digests, ids */
    TC_TAG_NULL,
    TC_TAG_ARRAY,
    TC_TAG_STRING,
    TC_TAG_STRINGS,
    TC_TAG_SCALAR = 32, /* + enum tc_scalar */
};

struct tc_key {
    uint64_t low, high;
};

struct tc_component_head {
    uint16_t name_bytes;
    uint8_t form;
    uint8_t tag;
    uint32_t zero;
    uint64_t content_bytes;
};

/* One component while the material is read. */
struct tc_component {
    struct tc_component_head head;
    const char *name;
    const unsigned char *content; /* form 0: content_bytes; form 1: the 16 bytes of the digest */
};

/* Walks a record's material. `*offset` starts at 0. 1: a component, 0: the end, -EBADMSG. */
int tc_material_next(const unsigned char *material, size_t bytes, size_t *offset,
                     struct tc_component *ret);

#endif
