/*
 * The values of a record on stdout: as text, or as members of the JSON array that is open. One
 * thread.
 */
#ifndef TC_TOOLS_SHOW_VALUES_H
#define TC_TOOLS_SHOW_VALUES_H

#include "tools/json.h"
#include "tools/shown_record.h"

struct tc_show_to {
    bool json, all, raw; /* `all`: whole arrays and strings; `raw`: a dump of the bytes too */
    struct tc_json j;
};

/* A value with what is known about it. */
struct tc_shown_value {
    const char *name;
    size_t name_bytes;
    const struct tc_param *param; /* NULL */
    uint8_t type;                 /* enum tc_scalar of the elements; TC_VOID: unknown */
    bool is_char, is_array;
    uint64_t pieces, piece_bytes;
    const unsigned char *data; /* the first `bytes` of `total` */
    size_t bytes;
    uint64_t total;
    /* Of type TC_MEMBERS, else NULL; their names are in `flat`. */
    const struct tc_layout *layout;
    const struct tc_member *members;
    const struct tc_flat *flat;
};

/* How many of its bytes are going to be shown. */
size_t tc_shown_bytes(const struct tc_show_to *to, const struct tc_shown_value *v);

/* Values with a layout, whole elements of them: show_members.c. */
void tc_show_members(const struct tc_show_to *to, struct tc_text *t,
                     const struct tc_shown_value *v);
void tc_show_json_members(struct tc_json *j, const struct tc_shown_value *v);

void tc_show_value(struct tc_show_to *to, struct tc_shown_value *v);

/* A value that is no run of elements: NULL (`kind` ""), a digest, a place in an argument. */
void tc_show_word(struct tc_show_to *to, const char *name, size_t name_bytes, const char *kind,
                  const char *text);

#endif
