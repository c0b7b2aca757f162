/*
 * From a finished call to a record at the service: encoded, sent, acknowledged.
 */
#ifndef TC_PRELOAD_SEND_H
#define TC_PRELOAD_SEND_H

#include "preload/context.h"

struct tc_result {
    const struct tc_flight *flight;
    const unsigned char *material;
    const unsigned char *kept; /* of it, in the record */
    int64_t duration_ns;
    int32_t errno_after;
    struct tc_flow *transaction; /* it is staged for, NULL: for everybody */
};

/* 0 when the service has committed the record (`store: async`: when it was sent); else an enum
 * tc_reason. c->out holds the extents after the call. */
uint32_t tc_send_result(struct tc_context *x, struct tc_call *c, const struct tc_result *result);

/* The call's outputs as the record has them, run by run, into `sink`. 0, or TC_R_RESULT_OUTSIDE. */
uint32_t tc_send_outputs(const struct tc_call *c,
                         void (*sink)(void *ctx, const void *data, uint64_t bytes), void *ctx);

/* Can all outputs be read? 0 or an enum tc_reason. */
uint32_t tc_send_probe(struct tc_call *c);

#endif
