/* One task: its prototype, or the texts that the resolver makes one of. */
#include "service/resolve/config_making.h"

#include <errno.h>
#include <string.h>

#include "service/resolve/config_problem.h"

/* Types that nothing can be done with, and functions that can't be hooked: the
 * program runs without the task. What is wrong in the text stops it. */
static enum tc_severity severity_of(enum tc_reason reason)
{
    return reason == TC_R_NOT_YET || reason == TC_R_VARIADIC || reason == TC_R_VECTOR_TYPE ||
                   reason == TC_R_RECURSIVE_TYPE || reason == TC_R_UNSUPPORTED_TYPE ||
                   reason == TC_R_PLACE_UNCERTAIN || reason == TC_R_PLUGIN_INIT
               ? TC_SEV_WARNING
               : TC_SEV_ERROR;
}

static void tell_prototype(struct tc_making *m, struct tc_text_error *e, enum tc_proto_field field)
{
    static const enum tc_task_key keys[TC_PROTO_FIELDS] = {
        [TC_PROTO_PROTOTYPE] = TC_KEY_PROTOTYPE,
        [TC_PROTO_TYPES] = TC_KEY_TYPES,
        [TC_PROTO_SKIP] = TC_KEY_SKIP,
        [TC_PROTO_SUCCESS] = TC_KEY_SUCCESS,
    };
    const struct tc_yaml_node *n = field == TC_PROTO_KEY ? m->key : tc_making_given(m, keys[field]);
    const struct tc_yaml_node *top = m->l->types;

    if (field == TC_PROTO_TYPES && top != NULL) {
        if (n == NULL || e->at <= top->bytes)
            n = top;
        else
            e->at -= top->bytes + 1;
    }
    if (field >= TC_PROTO_GLOBAL)
        n = m->globals.node[field - TC_PROTO_GLOBAL];
    if (n != NULL)
        tc_problem_found(m->l, severity_of(e->reason), n, e);
}

static struct tc_str keep_text(struct tc_making *m, enum tc_task_key key)
{
    return tc_flat_add_str(m->l->out, tc_making_text(m, key));
}

/* `x: in [n]`: names and texts as they are written; the resolver makes sense of them. */
static int keep_params(struct tc_making *m, struct tc_span *ret)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_PARAMS);
    struct tc_param_text params[TC_MAX_PARAMS + 1];
    uint32_t count = 0;

    for (n = n != NULL ? n->first : NULL; n != NULL; n = n->next) {
        if (n->kind != TC_YAML_TEXT || n->bytes == 0) {
            tc_problem_at(m->l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->key_at, "in [n]",
                          "'%.60s' under `params` takes a text, not %s", n->key, tc_kind_name(n));
            return -EINVAL;
        }
        if (count == sizeof params / sizeof params[0]) {
            tc_problem_at(m->l, TC_SEV_ERROR, TC_R_TOO_MANY, n->key_at, "",
                          "a function has at most %u parameters", TC_MAX_PARAMS);
            return -EINVAL;
        }
        params[count++] =
            (struct tc_param_text){.name = tc_flat_add_str(m->l->out, n->key),
                                   .text = tc_flat_add_strn(m->l->out, n->text, n->bytes)};
    }
    *ret = tc_flat_add(m->l->out, params, count, sizeof params[0]);
    return 0;
}

/* The codecs that a text names: which there are, the resolver doesn't know. */
static void list_codecs(struct tc_codecs *c, const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

    for (const char *at = text; at != NULL && (at = strstr(at, "codec")) != NULL;) {
        struct tc_text_error e;
        struct tc_proto_codec found;
        char name[256];
        size_t bytes;

        at += strlen("codec");
        at += strspn(at, " \t\r\n");
        at += *at == '(';
        at += strspn(at, " \t\r\n");
        bytes = strspn(at, letters);
        if (bytes == 0 || bytes >= sizeof name)
            continue;
        memcpy(name, at, bytes);
        name[bytes] = 0;
        (void)tc_find_codec(c, name, -1, &found, &e); /* what isn't there is told by its task */
    }
}

static void list_all_codecs(struct tc_making *m, struct tc_codecs *c)
{
    const struct tc_yaml_node *n = tc_making_given(m, TC_KEY_PARAMS);

    list_codecs(c, tc_making_text(m, TC_KEY_PROTOTYPE));
    for (n = n != NULL ? n->first : NULL; n != NULL; n = n->next)
        list_codecs(c, n->kind == TC_YAML_TEXT ? n->text : NULL);
    tc_keep_codecs(c, &m->task);
}

/* The prototype, or types in it, will come from debug information, which only the resolver sees: it
 * gets all that compiling it takes. */
static int keep_texts(struct tc_making *m, struct tc_codecs *codecs)
{
    struct tc_task_texts t = {.prototype = keep_text(m, TC_KEY_PROTOTYPE),
                              .skip = keep_text(m, TC_KEY_SKIP),
                              .success = keep_text(m, TC_KEY_SUCCESS),
                              .key = m->key != NULL ? tc_flat_add_str(m->l->out, m->key->text)
                                                    : (struct tc_str){0, 0},
                              .types = tc_flat_add_str(m->l->out, tc_making_types(m))};
    struct tc_str excluded[TC_POLICY_MAX_NAMES];

    if (keep_params(m, &t.params) < 0)
        return -EINVAL;
    list_all_codecs(m, codecs);
    for (unsigned i = 0; i < m->policy.excluded_count; i++)
        excluded[i] =
            tc_flat_add_strn(m->l->out, m->policy.excluded[i].text, m->policy.excluded[i].bytes);
    t.excluded = tc_flat_add(m->l->out, excluded, m->policy.excluded_count, sizeof excluded[0]);
    m->task.texts = tc_flat_add(m->l->out, &t, 1, sizeof t);
    return 0;
}

/* What else the function reads and writes. */
static int make_globals(struct tc_making *m)
{
    int r = tc_config_globals(m->l, tc_making_given(m, TC_KEY_GLOBALS), &m->globals);

    if (r == 0)
        r = tc_config_list_depends(m->l, tc_making_given(m, TC_KEY_DEPENDS), &m->globals,
                                   &m->task.depends);
    if (r == 0)
        r = tc_config_deep_stop(m->l, tc_making_given(m, TC_KEY_DEEP_STOP), &m->task.deep_stop);
    m->task.globals = tc_config_keep_globals(m->l, &m->globals);
    return r;
}

int tc_make_prototype(struct tc_making *m)
{
    struct tc_codecs codecs = {.l = m->l, .keys = m->task.functions.count};
    struct tc_proto_text text = {
        .prototype = tc_making_text(m, TC_KEY_PROTOTYPE),
        .types = tc_making_types(m),
        .skip = tc_making_text(m, TC_KEY_SKIP),
        .success = tc_making_text(m, TC_KEY_SUCCESS),
        .key = m->key ? m->key->text : NULL,
        .globals = m->globals.at,
        .codec = tc_find_codec,
        .codec_ctx = &codecs,
        .strict = m->key == NULL,
    };
    struct tc_text_error e = {.reason = TC_R_NONE};
    enum tc_proto_field field = TC_PROTO_PROTOTYPE;
    const struct tc_yaml_node *params = tc_making_given(m, TC_KEY_PARAMS);
    int r = make_globals(m);

    if (r < 0)
        return r;
    text.global_count = m->globals.count;
    if (text.prototype == NULL)
        return keep_texts(m, &codecs);
    if (params != NULL && params != m->l->defaults.at[TC_KEY_PARAMS]) {
        tc_problem_at(m->l, TC_SEV_ERROR, TC_R_BAD_VALUE, params->key_at,
                      "write directions and extents into the prototype",
                      "`params` adds to debug information, and '%.80s' has a `prototype`",
                      tc_making_called(m));
        return -EINVAL;
    }
    r = tc_proto_compile(m->l->out, &text, &m->task, &e, &field);
    if (r == -ENOMEM)
        m->l->no_memory = 1;
    else if (r < 0 && e.reason == TC_R_UNKNOWN_TYPE && field != TC_PROTO_TYPES)
        return keep_texts(m, &codecs);
    else if (r < 0)
        tell_prototype(m, &e, field);
    /* Which of the names are variables, which become inputs, the resolver finds out. */
    if (r == 0 && m->task.depends.count != 0)
        return keep_texts(m, &codecs);
    if (r == 0)
        tc_keep_codecs(&codecs, &m->task);
    return r;
}
