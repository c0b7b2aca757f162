/*
 * The prototype language (docs/prototypes.md): from a person's text to what the target executes.
 *
 * Parses the whole language; what can't be read, passed or made anew is refused with a sentence
 * that names the construct. Any bytes are fine as input: nesting, lengths and counts are limited.
 * Host code; allocates with malloc and frees all of it; any thread.
 */
#ifndef TC_SERVICE_RESOLVE_PROTO_H
#define TC_SERVICE_RESOLVE_PROTO_H

#include "cache/diag.h"
#include "cache/flat_build.h"
#include "cache/task.h"

/* A codec that was found: what to call it, and its number from 1 on (struct tc_param, codec). */
struct tc_proto_codec {
    const char *name;
    uint32_t number;
};

/* A global of the function's object that calls read or write: "out double", "in double [n]",
 * "in double (*)[n]" of a pointer. */
struct tc_proto_global {
    const char *name, *text;
    const char *path; /* a file: absolute; then `text` doesn't count */
    int is_depend;    /* a variable under `depends:` */
};

struct tc_proto_text {
    const char *prototype;
    const char *types;                     /* C declarations, or NULL */
    const char *skip;                      /* expression, or NULL */
    const char *success;                   /* expression, or NULL */
    const char *key;                       /* template with {expression}, or NULL */
    const struct tc_proto_global *globals; /* they become parameters behind the function's own */
    uint32_t global_count;
    /* Finds codec(name); -EINVAL with `e`. NULL: there are none. */
    int (*codec)(void *ctx, const char *name, int is_input, struct tc_proto_codec *ret,
                 struct tc_text_error *e);
    void *codec_ctx;
    /* Who knows types that nobody declared: "struct stats", "enum mode", "Vec3" -> declarations as
     * in `types`, which stay valid until the end; NULL: unknown. NULL: nobody. */
    const char *(*find_type)(void *arg, const char *name);
    void *find_arg;
    int strict; /* `in T *p` needs T's members: TC_R_UNKNOWN_TYPE instead of an opaque pointer */
};

/* Which of the texts an error is about. */
enum tc_proto_field {
    TC_PROTO_PROTOTYPE = 0,
    TC_PROTO_TYPES,
    TC_PROTO_SKIP,
    TC_PROTO_SUCCESS,
    TC_PROTO_KEY,
    TC_PROTO_FOUND,  /* what `find_type` gave */
    TC_PROTO_GLOBAL, /* the first one's text; the others' follow */
    TC_PROTO_FIELDS = TC_PROTO_GLOBAL + TC_MAX_PARAMS,
};

/* Appends the prototype's tables to `b` and fills in what they are to `task`: prototype,
 * prototype_digest, result_kind, result_type, params, sorted, code, olds, stack_slots, skip,
 * success, key_parts and the flag TC_TASK_FLOAT (other fields and flags stay).
 *
 * 0; -EINVAL with `e` filled in and `*ret_field` saying which text `e->at` points into; -ENOMEM.
 * After a failure neither `b` nor `task` has changed. */
int tc_proto_compile(struct tc_flat_builder *b, const struct tc_proto_text *text,
                     struct tc_task *task, struct tc_text_error *e, enum tc_proto_field *ret_field);

#endif
