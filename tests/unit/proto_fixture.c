#include "tests/unit/proto_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void verify_program(const struct compiled *c, uint32_t first)
{
    const struct tc_insn *code =
        tc_flat_at(&c->flat, c->task.code.off, c->task.code.count, sizeof *code);

    if (first == TC_NO_EXPR)
        return;
    assert_true(first < c->task.code.count);
    assert_int_equal(
        tc_expr_verify(code, c->task.code.count, first, c->task.params.count, c->task.olds.count),
        0);
}

static const struct tc_param *params_of(const struct compiled *c)
{
    return tc_flat_at(&c->flat, c->task.params.off, c->task.params.count, sizeof(struct tc_param));
}

static const uint32_t *olds_of(const struct compiled *c)
{
    return tc_flat_at(&c->flat, c->task.olds.off, c->task.olds.count, sizeof(uint32_t));
}

/* What the compiler emits is what the target's verifier accepts. */
static void verify(const struct compiled *c)
{
    const struct tc_param *params = params_of(c);
    const uint32_t *olds = olds_of(c);

    for (uint32_t i = 0; i < c->task.params.count; i++) {
        verify_program(c, params[i].pieces);
        verify_program(c, params[i].length);
        verify_program(c, params[i].stride);
        verify_program(c, params[i].capacity);
    }
    for (uint32_t i = 0; i < c->task.olds.count; i++)
        verify_program(c, olds[i]);
    verify_program(c, c->task.skip);
    verify_program(c, c->task.success);
}

void compile_text(struct compiled *c, const struct tc_proto_text *text)
{
    memset(c, 0, sizeof *c);
    tc_flat_builder_init(&c->builder, TC_FLAT_CONFIG, sizeof(struct tc_config));
    c->field = TC_PROTO_FIELDS;
    c->status = tc_proto_compile(&c->builder, text, &c->task, &c->error, &c->field);
    c->flat.base = c->builder.data;
    c->flat.bytes = c->builder.bytes;
    if (c->status == 0)
        verify(c);
}

void compiled_free(struct compiled *c)
{
    tc_flat_builder_free(&c->builder);
}

const struct tc_param *compiled_param(const struct compiled *c, const char *name)
{
    const struct tc_param *params = params_of(c);

    for (uint32_t i = 0; i < c->task.params.count; i++)
        if (strcmp(tc_flat_str(&c->flat, params[i].name), name) == 0)
            return &params[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

const char *compiled_prototype(const struct compiled *c)
{
    return tc_flat_str(&c->flat, c->task.prototype);
}

static const char *const scalars[] = {"void", "i8",  "i16",  "i32", "i64", "u8", "u16",
                                      "u32",  "u64", "bool", "f32", "f64", "ptr"};

static void show_param(FILE *out, const struct tc_param *x)
{
    static const char *const dirs[] = {"?", "in", "out", "inout", "ignore", "hidden"};
    static const char *const shapes[] = {"?",       "scalar", "array",   "string",
                                         "strings", "opaque", "members", "file",
                                         "block",   "text",   "function"};
    static const char *const places[] = {"?", "int", "sse", "stack", "global", "pointer"};

    fprintf(out, "%s %s %s %s%u", dirs[x->dir], shapes[x->shape],
            scalars[x->shape == TC_SHAPE_SCALAR ? x->type : x->elem], places[x->loc], x->loc_index);
    fputs(x->is_char ? " char" : "", out);
    fputs(x->pieces != TC_NO_EXPR ? " pieces" : "", out);
    fputs(x->length != TC_NO_EXPR ? " length" : "", out);
    fputs(x->stride != TC_NO_EXPR ? " stride" : "", out);
    fputs(x->capacity != TC_NO_EXPR ? " cap" : "", out);
    fputs(x->extent_uses_after ? " after" : "", out);
}

const char *compiled_shapes(const struct compiled *c)
{
    static char text[2048];
    const struct tc_param *params = params_of(c);
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    for (uint32_t i = 0; i < c->task.params.count; i++) {
        fputs(i > 0 ? "; " : "", out);
        show_param(out, &params[i]);
    }
    fprintf(out, " -> %s",
            c->task.result_kind == TC_RESULT_INTO_ARG ? "into"
            : c->task.result_kind == TC_RESULT_MALLOC ? "malloc "
            : c->task.result_kind == TC_RESULT_STATIC ? "static "
                                                      : scalars[c->task.result_type]);
    if (tc_is_owned(&c->task.owned))
        show_param(out, &c->task.owned);
    fputs(c->task.flags & TC_TASK_FLOAT ? " float" : "", out);
    fclose(out);
    return text;
}

int compiled_eval(const struct compiled *c, uint32_t program, const struct values *v, int64_t *ret)
{
    const struct tc_param *params = params_of(c);
    uint8_t types[TC_MAX_PARAMS];
    struct tc_expr_env env = {
        .code = tc_flat_at(&c->flat, c->task.code.off, c->task.code.count, sizeof *env.code),
        .code_count = c->task.code.count,
        .arg = v->args,
        .arg_type = types,
        .arg_count = c->task.params.count,
        .result = v->result,
        .result_type = v->returned ? c->task.result_type : TC_VOID,
        .old = v->old,
        .old_count = c->task.olds.count,
    };

    for (uint32_t i = 0; i < c->task.params.count; i++)
        types[i] = params[i].type;
    return tc_expr_eval(&env, program, ret);
}

void compiled_olds(const struct compiled *c, struct values *v)
{
    const uint32_t *olds = olds_of(c);

    for (uint32_t i = 0; i < c->task.olds.count; i++)
        assert_int_equal(compiled_eval(c, olds[i], v, &v->old[i]), 0);
}
