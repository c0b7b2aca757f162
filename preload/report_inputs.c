/* The line at debug that says what a task was called with. */
#include <string.h>

#include "cache/f64.h"
#include "preload/log.h"
#include "preload/report.h"
#include "preload/template.h"

#define SHOWN_BYTES 32u /* of a string */

static void add_integer(struct tc_line *l, uint64_t v, uint8_t type)
{
    uint32_t unused = 64 - 8 * tc_scalar_bytes(type);
    int is_signed = type >= TC_I8 && type <= TC_I64;

    v <<= unused;
    if (is_signed && (int64_t)v < 0) {
        tc_line_text(l, "-");
        tc_line_number(l, 0 - (uint64_t)((int64_t)v >> unused));
    } else {
        tc_line_number(l, v >> unused);
    }
}

static void add_real(struct tc_line *l, uint64_t v, uint8_t type)
{
    char text[TC_REAL_TEXT];
    uint64_t bits = type == TC_F32 ? tc_f64_from_f32((uint32_t)v) : v;

    tc_line_textn(l, text, tc_template_real(bits, text));
}

/* It was read for the key: so it can be. What isn't plain text is left out. */
static void add_string(struct tc_line *l, const char *s)
{
    uint32_t n = 0;

    tc_line_text(l, "\"");
    for (; n < SHOWN_BYTES && s[n] != 0; n++)
        tc_line_textn(l, s[n] >= ' ' && s[n] <= '~' ? &s[n] : "?", 1);
    tc_line_text(l, n == SHOWN_BYTES ? "\"..." : "\"");
}

static int is_in_key(const struct tc_hook *h, uint32_t param)
{
    for (uint32_t i = 0; i < h->key_param_count; i++)
        if (h->key_params[i] == param)
            return 1;
    return 0;
}

static void add_value(struct tc_line *l, const struct tc_call *c, uint32_t param)
{
    const struct tc_param *p = &c->hook->params[param];
    uint64_t v = c->arg[param];

    if (p->shape == TC_SHAPE_SCALAR && (p->type == TC_F32 || p->type == TC_F64))
        add_real(l, v, p->type);
    else if (p->shape == TC_SHAPE_SCALAR && p->type < TC_PTR)
        add_integer(l, v, p->type);
    else if (p->shape != TC_SHAPE_MEMBERS && v == 0)
        tc_line_text(l, "NULL");
    else if ((p->shape == TC_SHAPE_STRING || p->shape == TC_SHAPE_FILE) &&
             is_in_key(c->hook, param))
        add_string(l, (const char *)(uintptr_t)v);
    else
        tc_line_textn(l, tc_task_str(c->hook, p->type_text), p->type_text.bytes);
}

void tc_report_inputs(const struct tc_call *c)
{
    const struct tc_hook *h = c->hook;
    const char *before = "inputs: ";
    struct tc_line l;

    if (!tc_log_wanted(TC_LOG_DEBUG) || h->task->flags & TC_TASK_PRIVATE)
        return;
    tc_report_begin(&l, TC_LOG_DEBUG, c);
    for (uint32_t i = 0; i < h->param_count; i++) {
        const struct tc_param *p = &h->params[i];
        if (p->dir != TC_IN && p->dir != TC_INOUT)
            continue;
        tc_line_text(&l, before);
        tc_line_textn(&l, tc_task_str(h, p->name), p->name.bytes);
        tc_line_text(&l, "=");
        add_value(&l, c, i);
        before = ", ";
    }
    if (*before != ',')
        tc_line_text(&l, "no inputs");
    tc_line_end(&l, TC_LOG_DEBUG);
}
