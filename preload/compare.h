/*
 * What a call gave, beside what its record holds.
 */
#ifndef TC_PRELOAD_COMPARE_H
#define TC_PRELOAD_COMPARE_H

#include "preload/context.h"

enum tc_differs {
    TC_DIFFERS_NOT = 0,
    TC_DIFFERS_BYTE,
    TC_DIFFERS_EXTENT,
    TC_DIFFERS_PLACE, /* of a returned pointer */
};

struct tc_compared {
    enum tc_differs differs;
    uint32_t param; /* of the first output that does, UINT32_MAX: the result */
    uint64_t byte;  /* its first one, in the packed form */
    uint8_t was, is;
};

/* After the body: compares the call's outputs, extents included, with those of the record of this
 * id. 0 and *ret, or a negative errno: that record can't be read any more. */
int tc_compare_outputs(struct tc_context *x, struct tc_call *c, uint64_t record_id,
                       struct tc_compared *ret);

#endif
