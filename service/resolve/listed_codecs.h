/*
 * The codecs of a task whose prototype is made when its object is there: those that the config
 * found in the task's texts, which is compiled without the object (struct tc_task, functions).
 */
#ifndef TC_SERVICE_RESOLVE_LISTED_CODECS_H
#define TC_SERVICE_RESOLVE_LISTED_CODECS_H

#include "service/resolve/proto.h"

struct tc_listed_codecs {
    const struct tc_flat *flat;
    const struct tc_task *task;
    char full[600]; /* the name of the last one that was found */
};

/* As tc_proto_text's `codec`, of a struct tc_listed_codecs. */
int tc_listed_codec(void *ctx, const char *name, int is_input, struct tc_proto_codec *ret,
                    struct tc_text_error *e);

#endif
