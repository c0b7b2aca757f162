/*
 * Key material and keys. The material is the canonical list of the components that a policy names,
 * sorted by name:
 *
 *   for each component: u16 name bytes | u8 form | u8 tag | u32 0 | u64 content bytes | name |
 * content or digest
 *
 * form 0: the content itself follows; form 1: the XXH3-128 of (u64 tag, u64 length, content) under
 * the storage's secret seed. A component's content goes in whole while the material stays within
 * TC_MATERIAL_BYTES, counting every later component as a digest (so that the rule depends on the
 * call's inputs alone); else as a digest. The key is the XXH3-128 of the material under the seed. A
 * record keeps its material, and a hit compares it.
 *
 * The content of an input: scalars: their bytes, by declared size; arrays: "pieces, piece bytes"
 * (two u64), then the elements without gaps; strings: bytes without the NUL; several strings:
 * count, then (u64 length, bytes) each; values with a layout, and elements of such arrays: their
 * members in packed form (struct tc_layout, cache/task.h); files: u64 size, then the XXH3-128 of
 * the content under the seed, nothing if there is no such file;
 * in structs whose pointers are followed, in the pointer's place: u64 count of elements, or bytes
 * of a string, UINT64_MAX for NULL, then these; such an array's shape counts elements instead of
 * bytes; functions: 16 bytes that stand for their code (preload/function_input.h); NULL (of an
 * output too): tag TC_TAG_NULL, no content.
 *
 * What a codec reads: u64 bytes, then the XXH3-128 of them under the seed (TC_TAG_CODEC).
 *
 * Component names: "=codec" (which codecs, and their data versions), "=task" (identity and
 * prototype digest, or the namespace), "=source", "=deep" (TASK_SOURCE_DEEP: deep.h), "=depends"
 * (functions under `depends:`),
 * "=run_id",
 * "=flow", "=fpenv", "=key" (a template's text: its bytes with TC_TAG_STRING, a digest of them with
 * TC_TAG_BYTES), "=key.PLUGIN.FUNCTION" (what a key function gave, likewise), and the parameters'
 * names, which never begin with '='. Behind these, of a task without a floating
 * type, "=fpenv" if it isn't as a process begins; and where arguments of the call lie in each
 * other's memory, "=overlap" (preload/overlap.h).
 *
 * Freestanding; any context. Memory is the caller's.
 */
#ifndef TC_CACHE_KEY_H
#define TC_CACHE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "cache/hash.h"
#include "cache/record.h"

enum tc_tag {
    TC_TAG_BYTES = 1, /* names, digests, ids */
    TC_TAG_NULL,
    TC_TAG_ARRAY,
    TC_TAG_STRING,
    TC_TAG_STRINGS,
    TC_TAG_MEMBERS,
    TC_TAG_FILE,
    TC_TAG_FUNCTION,
    TC_TAG_CODEC,
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

/*
 * Making material. Announce every component's name, then add them in order (bytewise by name):
 * begin, content in any number of pieces, end. `memory` has room for TC_MATERIAL_BYTES. -ENOSPC:
 * names and digests alone don't fit. -EAGAIN: less content came than was said.
 */
struct tc_material {
    unsigned char *memory;
    size_t bytes;    /* so far */
    size_t reserved; /* for components that haven't come yet, as digests */
    uint64_t seed;
    struct tc_hash_state *state; /* scratch for contents that are digested */
    uint64_t left;
    size_t name_bytes;
    int digesting;
};

void tc_material_init(struct tc_material *m, unsigned char *memory, struct tc_hash_state *scratch,
                      uint64_t seed);
void tc_material_announce(struct tc_material *m, size_t name_bytes);
int tc_material_begin(struct tc_material *m, const char *name, size_t name_bytes, uint8_t tag,
                      uint64_t content_bytes);
void tc_material_content(struct tc_material *m, const void *data, size_t bytes);
int tc_material_end(struct tc_material *m);
/* What is kept of the material of a `private:` task, and compared on a hit: one component
 * "=private" whose content is the BLAKE2s-256 of all of it, keyed by the seed. `ret` has room for
 * TC_PRIVATE_BYTES; returns how many it is. */
#define TC_PRIVATE       "=private"
#define TC_PRIVATE_BYTES (sizeof(struct tc_component_head) + sizeof TC_PRIVATE - 1 + 32)
size_t tc_material_private(const struct tc_material *m, unsigned char *ret);

struct tc_key tc_material_key(const struct tc_material *m);

/* The content of "=task": what every key holds. A namespace (else NULL) stands for identity and
 * prototype, and shares on purpose. */
void tc_task_digest(const char *space, const char *identity, const uint8_t prototype_digest[16],
                    unsigned char ret[16]);

/* Walks a record's material. `*offset` starts at 0. 1: a component, 0: the end, -EBADMSG. */
int tc_material_next(const unsigned char *material, size_t bytes, size_t *offset,
                     struct tc_component *ret);

#endif
