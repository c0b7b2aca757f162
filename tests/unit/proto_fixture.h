/*
 * Compiles a prototype and shows what came out of it as text, for the tests of the prototype
 * language. Fails the running test where a prototype that must compile doesn't.
 */
#ifndef TC_TESTS_UNIT_PROTO_FIXTURE_H
#define TC_TESTS_UNIT_PROTO_FIXTURE_H

#include "service/resolve/proto.h"

struct compiled {
    struct tc_flat_builder builder;
    struct tc_flat flat;
    struct tc_task task;
    struct tc_text_error error;
    enum tc_proto_field field;
    int status;
};

void compile_text(struct compiled *c, const struct tc_proto_text *text);
void compiled_free(struct compiled *c);

const struct tc_param *compiled_param(const struct compiled *c, const char *name);
const char *compiled_prototype(const struct compiled *c);

/* One line: "in scalar u64 int0; out array f64 sse1 after cap; ...". Valid until the next call. */
const char *compiled_shapes(const struct compiled *c);

/* The values that a program is evaluated with. */
struct values {
    const uint64_t *args;
    uint64_t result;
    int returned;
    int64_t old[TC_EXPR_MAX_OLD];
};
int compiled_eval(const struct compiled *c, uint32_t program, const struct values *v, int64_t *ret);

/* Evaluates all olds, as a call does before its body. */
void compiled_olds(const struct compiled *c, struct values *v);

#endif
