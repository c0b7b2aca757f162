/*
 * One record for `show`: its value, its outputs piece by piece (chunked or not), and what the
 * config's prototype says about them. One thread.
 */
#ifndef TC_TOOLS_SHOWN_RECORD_H
#define TC_TOOLS_SHOWN_RECORD_H

#include "tools/catalog.h"

struct tc_shown_record {
    struct tc_reader *reader;
    unsigned char *value; /* a copy of the LMDB value */
    size_t bytes;
    struct tc_record_view view;
    char *identity;
    /* What has the record's prototype: a compiled config, or the plans of one. */
    struct tc_mapping config_map, plans_map;
    struct tc_flat config;
    const struct tc_task *task;    /* NULL: no prototype is at hand */
    const struct tc_param *params; /* the task's */
    uint32_t param_count;
};

/* -ENOENT: it has gone meanwhile; -EBADMSG: damaged; -EPROTONOSUPPORT: another version. */
int tc_shown_record_open(struct tc_shown_record *r, struct tc_reader *reader,
                         const struct tc_session *s, const struct tc_item *item);
void tc_shown_record_close(struct tc_shown_record *r);

/* The parameter of this index or name, NULL. */
const struct tc_param *tc_shown_param(const struct tc_shown_record *r, uint32_t index);
const struct tc_param *tc_shown_param_named(const struct tc_shown_record *r, const char *name,
                                            size_t bytes);

struct tc_shown_output {
    struct tc_extent extent;
    uint64_t offset, bytes; /* among the outputs */
};
/* Walks the outputs: `*index` starts at 0. 1: an output, 0: the end, -EBADMSG. */
int tc_shown_output_next(const struct tc_shown_record *r, uint32_t *index,
                         struct tc_shown_output *output);

/* Reads bytes of the outputs; a chunk that is missing or damaged is -EBADMSG. */
int tc_shown_output_read(const struct tc_shown_record *r, uint64_t offset, unsigned char *to,
                         size_t bytes);

#endif
