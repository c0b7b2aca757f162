/*
 * TASK_SOURCE: the digest of what a function's machine code means: its instructions, and what they
 * refer to. docs/source.md has the rules. The plan carries the algorithm beside the digest, so that
 * another rule never meets records of this one.
 *
 * Where the rules can't tell what is meant, more enters the digest than may be needed, in the end
 * the whole file: rather a false miss than a false hit. Such places are marked coarse.
 *
 * Fails with -ENOMEM only. Host code (the service's child processes, cachectl); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_H
#define TC_SERVICE_RESOLVE_SOURCE_H

#include "service/resolve/source_map.h"

enum tc_source_mode {
    TC_SOURCE_OWN = 0, /* TASK_SOURCE: functions that have a name enter by it */
    TC_SOURCE_DEEP,    /* TASK_SOURCE_DEEP: functions of the object enter with their code */
};

enum tc_item_kind {
    TC_ITEM_CODE = 1,
    TC_ITEM_DATA,
    TC_ITEM_REST, /* of a region, from the first place that is meant on */
};

/* What the digest is made of: the function itself first, then what had to be looked into. */
struct tc_source_item {
    uint8_t kind; /* enum tc_item_kind */
    uint8_t coarse;
    uint64_t begin, end; /* in the object's own addresses */
    uint8_t digest[16];  /* of its own contents, with references by their kinds and names */
    const char *label;
};

/* What becomes of data that is referred to, as far as single instructions tell. */
enum tc_source_access {
    TC_SOURCE_NOT_SAID = 0, /* its address is taken, or it is mentioned by other data */
    TC_SOURCE_READ,
    TC_SOURCE_WRITTEN,
};

/* A reference, in the order in which they were met. */
struct tc_source_ref {
    uint32_t from, to;  /* items; `to` TC_NO_ITEM: the name is all that enters */
    uint64_t place;     /* inside of `to`: an instruction's number, or an offset */
    const char *coarse; /* why the place is coarse; NULL: it isn't */
    const char *label;
    uint8_t access; /* enum tc_source_access; it isn't part of the digest */
};
#define TC_NO_ITEM 0xffffffffu

/* A function or datum that the loader binds. */
struct tc_source_import {
    const char *name, *version, *library; /* the last two may be NULL */
    uint64_t vaddr;                       /* of the object's own definition; 0: it has none */
    int is_function;
};

struct tc_source {
    uint8_t digest[16];
    struct tc_source_item *items;
    struct tc_source_ref *refs;
    struct tc_source_import *imports; /* sorted by name and version, each once */
    size_t item_count, ref_count, import_count;
    size_t coarse_count;   /* references that are */
    size_t indirect_calls; /* by register or memory that isn't a slot: not followed */
    size_t functions;      /* items of code that are whole functions */
    int whole; /* more functions than are followed: the whole file, and all it imports */
    struct tc_labels *labels; /* which hold the texts */
};

/* So many functions of an object are followed by TC_SOURCE_DEEP. */
#define TC_SOURCE_MAX_CLOSURE 512u

/* Of the code at `vaddr`. `m` stays the caller's, and remembers what it was asked before, which
 * changes nothing but the time. */
int tc_source_make(struct tc_map *m, struct tc_piece function, enum tc_source_mode mode,
                   struct tc_source *ret);
void tc_source_free(struct tc_source *s);

#endif
