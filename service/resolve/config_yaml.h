/*
 * A YAML file as a tree of texts, lists and maps in which every text knows its bytes in the file.
 * libfyaml parses; what YAML does silently to C text (aliases, tags, anchors) is reported here, as
 * are keys given twice.
 *
 * Host code; allocates, one thread. Nothing here fails but for memory: problems are reported.
 */
#ifndef TC_SERVICE_RESOLVE_CONFIG_YAML_H
#define TC_SERVICE_RESOLVE_CONFIG_YAML_H

#include <stddef.h>
#include <stdint.h>

#include "cache/diag.h"

enum tc_yaml_kind {
    TC_YAML_NULL = 1, /* nothing, `~` or `null`: as good as not written */
    TC_YAML_TEXT,
    TC_YAML_LIST,
    TC_YAML_MAP,
};

enum tc_yaml_style {
    TC_YAML_PLAIN,
    TC_YAML_SINGLE,
    TC_YAML_DOUBLE,
    TC_YAML_LITERAL,
    TC_YAML_FOLDED,
};

struct tc_yaml_node {
    uint8_t kind;        /* enum tc_yaml_kind */
    uint8_t style;       /* enum tc_yaml_style, texts only */
    uint8_t in_flow;     /* lies inside [ ] or { } */
    uint8_t spoilt;      /* an alias, tag or anchor was reported here */
    const char *text;    /* NUL-terminated, never NULL for texts and NULLs */
    size_t bytes;        /* of the text; no NUL among them */
    size_t start, end;   /* offsets in the file: the text's bytes, quotes left out */
    const char *foreign; /* not from this file: what to call the text itself in messages */
    const char *key;     /* in a map: the key ... */
    size_t key_at;       /* ... and where it stands */
    uint32_t count;      /* entries of a list or map */
    struct tc_yaml_node *first, *next;
};

struct tc_yaml {
    const char *text; /* the file's, borrowed */
    size_t bytes;
    struct tc_yaml_node *root; /* NULL: nothing there, or not YAML */
    struct tc_yaml_block *blocks;
};

/* `ret` comes zeroed, or with what tc_yaml_alloc() gave. Offsets in the errors are the file's. 0 or
 * -ENOMEM; free with tc_yaml_free() either way. */
int tc_yaml_parse(const char *text, size_t bytes,
                  void (*report)(void *ctx, const struct tc_text_error *e), void *ctx,
                  struct tc_yaml *ret);
void tc_yaml_free(struct tc_yaml *y);

/* Zeroed memory that lives as long as the tree; NULL if there is none. */
void *tc_yaml_alloc(struct tc_yaml *y, size_t bytes);

/* Where in the file byte `at` of the node's text stands. */
size_t tc_yaml_offset(const struct tc_yaml *y, const struct tc_yaml_node *n, size_t at);

/* Keys whose texts are C or nearly so: YAML's special characters in them need quotes. */
int tc_yaml_is_code_key(const char *key);

#endif
