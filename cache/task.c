#include "cache/task.h"

#include <errno.h>
#include <string.h>

#include "cache/bits.h"
#include "cache/hash.h"

#define MAX_CODE 65536u
#define MAX_SPAN 65536u /* of deps, problems, child names: nobody writes more by hand */

#define KNOWN_POLICY                                                                      \
    (TC_POLICY_INPUTS | TC_POLICY_SOURCE | TC_POLICY_RUN_ID | TC_POLICY_FLOW_PARAMETERS | \
     TC_POLICY_KEY | TC_POLICY_FUNCTION | TC_POLICY_SOURCE_DEEP | TC_POLICY_VOID)
#define KNOWN_FLAGS                                                                           \
    (TC_TASK_DISABLED | TC_TASK_POLICY_GIVEN | TC_TASK_NO_CACHE | TC_TASK_PERSIST_ON |        \
     TC_TASK_EXPIRES | TC_TASK_FLOAT | TC_TASK_NOT_YET | TC_TASK_STORE_ASYNC | TC_TASK_FLOW | \
     TC_TASK_THREADS | TC_TASK_HOOK_ENTRY | TC_TASK_HOOK_GOT | TC_TASK_PRIVATE)

void tc_config_name(const char *path, const struct tc_file_id *id, char ret_name[33])
{
    struct tc_hash_state state;
    size_t bytes = 0;

    while (path[bytes] != 0)
        bytes++;
    tc_hash_begin(&state, TC_FLAT_VERSION);
    tc_hash_add(&state, path, bytes + 1);
    tc_hash_add(&state, id, sizeof *id);
    tc_hash_hex(tc_hash_end128(&state), ret_name);
}

static int str_ok(const struct tc_flat *f, struct tc_str s)
{
    if (s.off == 0)
        return s.bytes == 0;
    if (s.off < sizeof(struct tc_flat_header) || s.off >= f->bytes || s.bytes >= f->bytes - s.off)
        return 0;
    return f->base[s.off + (size_t)s.bytes] == 0;
}

static const void *span_at(const struct tc_flat *f, struct tc_span s, uint32_t max,
                           size_t entry_bytes)
{
    return s.count > max ? NULL : tc_flat_at(f, s.off, s.count, entry_bytes);
}

static int is_float(uint8_t type)
{
    return type == TC_F32 || type == TC_F64;
}

static const struct tc_layout *layout_at(const struct tc_flat *f, const struct tc_task *task,
                                         uint32_t layout)
{
    const struct tc_layout *l = span_at(f, task->layouts, TC_MAX_LAYOUTS, sizeof *l);

    return l != NULL && layout >= 1 && layout <= task->layouts.count ? l + layout - 1 : NULL;
}

/* A value in members: one or two registers, or whole on the stack. */
static int members_loc_ok(const struct tc_flat *f, const struct tc_task *task,
                          const struct tc_param *p)
{
    const struct tc_layout *l = layout_at(f, task, p->layout);

    if (l == NULL)
        return 0;
    if (p->loc == TC_LOC_STACK)
        return p->second_loc == 0 && p->loc_index < task->stack_slots &&
               (l->bytes + 7) / 8 <= task->stack_slots - p->loc_index;
    if (l->bytes > (p->second_loc != 0 ? 16u : 8u))
        return 0;
    if (p->second_loc != 0 && ((p->second_loc != TC_LOC_INT && p->second_loc != TC_LOC_SSE) ||
                               p->second_index >= (p->second_loc == TC_LOC_INT ? 6 : 8)))
        return 0;
    return (p->loc == TC_LOC_INT && p->loc_index < 6) || (p->loc == TC_LOC_SSE && p->loc_index < 8);
}

static int loc_ok(const struct tc_flat *f, const struct tc_task *task, const struct tc_param *p)
{
    if (p->type == TC_MEMBERS)
        return members_loc_ok(f, task, p);
    switch (p->loc) {
    case TC_LOC_INT:
        return p->loc_index < 6 && !is_float(p->type);
    case TC_LOC_SSE:
        return p->loc_index < 8 && is_float(p->type);
    case TC_LOC_STACK:
        return p->loc_index < task->stack_slots;
    case TC_LOC_GLOBAL:
    case TC_LOC_GLOBAL_POINTER:
        return p->type == TC_PTR;
    case TC_LOC_PATH:
        return p->shape == TC_SHAPE_FILE && p->path.off != 0;
    default:
        return 0;
    }
}

/* Inside of the layout's bytes, and at most a handful of megabytes. */
static int member_ok(const struct tc_flat *f, const struct tc_member *m, const struct tc_layout *l)
{
    uint64_t bytes = tc_scalar_bytes(m->type);

    if (!str_ok(f, m->name) || m->type == TC_VOID || m->type > TC_F80 || m->count == 0)
        return 0;
    if (m->bits != 0) {
        if (!tc_bits_ok(m->bit, m->bits, m->type))
            return 0;
        bytes = (m->bit + m->bits + 7u) / 8;
    }
    return (uint64_t)m->offset + (uint64_t)(m->count - 1) * m->stride + bytes <= l->bytes;
}

static int layout_ok(const struct tc_flat *f, const struct tc_task *task, const struct tc_layout *l)
{
    const struct tc_member *m = span_at(f, task->members, TC_MAX_MEMBERS, sizeof *m);
    uint64_t packed = 0;
    int follows = 0;

    if (m == NULL || !str_ok(f, l->name) || l->bytes == 0 || l->bytes > TC_MAX_LAYOUT_BYTES ||
        l->first > task->members.count || l->count > task->members.count - l->first)
        return 0;
    for (uint32_t i = 0; i < l->count; i++) {
        if (!member_ok(f, &m[l->first + i], l))
            return 0;
        follows |= m[l->first + i].follow > TC_FOLLOW_IGNORED;
        if (m[l->first + i].follow == TC_FOLLOW_VALUE)
            packed += (uint64_t)m[l->first + i].count * tc_scalar_value_bytes(m[l->first + i].type);
    }
    return packed == l->packed_bytes && (packed != 0 || follows) && packed <= UINT32_MAX &&
           (!l->is_plain || packed == l->bytes) && follows == (l->follows != 0);
}

static int layouts_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_layout *l = span_at(f, task->layouts, TC_MAX_LAYOUTS, sizeof *l);

    for (uint32_t i = 0; l != NULL && i < task->layouts.count; i++)
        if (!layout_ok(f, task, &l[i]))
            return 0;
    return l != NULL;
}

/* Outputs have one packed form: nothing is followed there. */
static int is_followed(const struct tc_flat *f, const struct tc_task *task, uint32_t layout)
{
    const struct tc_layout *l = layout_at(f, task, layout);

    return l != NULL && l->follows != 0;
}

static int shape_ok(const struct tc_task *task, const struct tc_param *p)
{
    if (p->layout > task->layouts.count ||
        (p->elem == TC_MEMBERS) != (p->layout != 0 && p->type == TC_PTR))
        return 0;
    switch (p->shape) {
    case TC_SHAPE_MEMBERS:
        return p->type == TC_MEMBERS && p->layout != 0 && p->dir != TC_OUT && p->dir != TC_INOUT;
    case TC_SHAPE_SCALAR:
        return p->type != TC_VOID && p->type <= TC_PTR;
    case TC_SHAPE_ARRAY:
        return p->type == TC_PTR && p->elem != TC_VOID &&
               (p->elem <= TC_PTR || p->elem == TC_MEMBERS);
    case TC_SHAPE_STRINGS:
        return p->type == TC_PTR && p->dir != TC_OUT && p->dir != TC_INOUT;
    case TC_SHAPE_FILE:
    case TC_SHAPE_FUNCTION:
        return p->type == TC_PTR && p->dir == TC_IN;
    case TC_SHAPE_STRING:
        return p->type == TC_PTR && p->elem <= TC_PTR;
    case TC_SHAPE_BLOCK:
        return p->type == TC_PTR && p->dir == TC_OUT && p->elem != TC_VOID &&
               (p->elem < TC_PTR || p->elem == TC_MEMBERS);
    case TC_SHAPE_TEXT:
        return p->type == TC_PTR && p->dir == TC_OUT && tc_scalar_bytes(p->elem) == 1;
    case TC_SHAPE_CODEC:
        return p->type == TC_PTR && (p->dir == TC_IN || p->dir == TC_OUT) && p->codec != 0 &&
               p->codec <= task->functions.count;
    case TC_SHAPE_OPAQUE:
        return (p->type == TC_PTR && p->elem <= TC_PTR) ||
               (p->type == TC_MEMBERS && p->layout != 0);
    default:
        return 0;
    }
}

/* What the programs of one task are checked against. */
struct code {
    const struct tc_insn *insns;
    uint32_t count, args, olds;
};

static int expr_ok(const struct code *c, uint32_t first)
{
    return first == TC_NO_EXPR ||
           (first < c->count && tc_expr_verify(c->insns, c->count, first, c->args, c->olds) == 0);
}

static int follow_ok(const struct tc_task *task, const struct code *c, const struct tc_member *m)
{
    struct code alone = {.insns = c->insns, .count = c->count, .args = 1, .olds = 0};

    if (m->follow <= TC_FOLLOW_IGNORED)
        return 1;
    if (m->type != TC_PTR || m->bits != 0 || m->follow > TC_FOLLOW_FUNCTION ||
        !expr_ok(m->owner == TC_OWNER_CALL ? c : &alone, m->length))
        return 0;
    return m->follow != TC_FOLLOW_ARRAY ||
           (m->elem == TC_MEMBERS ? m->layout != 0 && m->layout <= task->layouts.count
                                  : m->elem != TC_VOID && m->elem < TC_PTR);
}

static int follows_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c)
{
    const struct tc_member *m = span_at(f, task->members, TC_MAX_MEMBERS, sizeof *m);

    for (uint32_t i = 0; m != NULL && i < task->members.count; i++)
        if (!follow_ok(task, c, &m[i]))
            return 0;
    return m != NULL && !is_followed(f, task, task->result_layout);
}

static int param_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c,
                    const struct tc_param *p)
{
    return str_ok(f, p->name) && str_ok(f, p->type_text) && str_ok(f, p->path) && p->dir >= TC_IN &&
           p->dir <= TC_HIDDEN && shape_ok(task, p) &&
           (p->dir == TC_IN || p->dir >= TC_IGNORE || !is_followed(f, task, p->layout)) &&
           expr_ok(c, p->pieces) && expr_ok(c, p->length) && expr_ok(c, p->stride) &&
           expr_ok(c, p->capacity);
}

static int owned_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c)
{
    if (task->result_kind != TC_RESULT_MALLOC && task->result_kind != TC_RESULT_STATIC &&
        task->result_kind != TC_RESULT_CODEC)
        return task->owned.shape == 0;
    return tc_is_owned(&task->owned) && param_ok(f, task, c, &task->owned);
}

/* Globals are numbered as they come, behind the function's parameters, files behind them. */
static int places_in_order(const struct tc_task *task, const struct tc_param *p)
{
    uint32_t own = tc_own_params(p, task->params.count);

    for (uint32_t i = 0; i < own; i++)
        if (p[i].loc >= TC_LOC_GLOBAL)
            return 0;
    for (uint32_t i = own; i < task->params.count; i++)
        if (tc_is_global(&p[i]) && p[i].loc_index != i - own)
            return 0;
    return 1;
}

static int params_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c)
{
    const struct tc_param *p = span_at(f, task->params, TC_MAX_PARAMS, sizeof *p);

    for (uint32_t i = 0; p != NULL && i < task->params.count; i++, p++) {
        if (!param_ok(f, task, c, p) || !loc_ok(f, task, p))
            return 0;
    }
    return p != NULL && places_in_order(task, p - task->params.count);
}

static int name_compare(const struct tc_flat *f, struct tc_str a, struct tc_str b)
{
    size_t least = a.bytes < b.bytes ? a.bytes : b.bytes;
    int r = memcmp(tc_flat_str(f, a), tc_flat_str(f, b), least);

    return r != 0 ? r : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* A permutation of the parameters, ordered by name; params_ok() has looked at the names. */
static int sorted_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_param *params = span_at(f, task->params, TC_MAX_PARAMS, sizeof *params);
    const uint8_t *sorted = span_at(f, task->sorted, TC_MAX_PARAMS, sizeof *sorted);
    uint32_t seen = 0;

    if (params == NULL || sorted == NULL || task->sorted.count != task->params.count)
        return 0;
    for (uint32_t i = 0; i < task->sorted.count; i++) {
        if (sorted[i] >= task->params.count || (seen >> sorted[i] & 1))
            return 0;
        seen |= 1u << sorted[i];
        if (i > 0 && name_compare(f, params[sorted[i - 1]].name, params[sorted[i]].name) > 0)
            return 0;
    }
    return 1;
}

static int programs_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c)
{
    const uint32_t *olds = span_at(f, task->olds, TC_EXPR_MAX_OLD, sizeof *olds);
    /* Values before the call can't depend on each other. */
    struct code before = {.insns = c->insns, .count = c->count, .args = c->args, .olds = 0};

    if (olds == NULL || !expr_ok(c, task->skip) || !expr_ok(c, task->success))
        return 0;
    for (uint32_t i = 0; i < task->olds.count; i++)
        if (olds[i] == TC_NO_EXPR || !expr_ok(&before, olds[i]))
            return 0;
    return 1;
}

/* Two registers at most, and one of each; x87's hold long doubles. */
static int places_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_layout *l = layout_at(f, task, task->result_layout);
    uint8_t a = task->result_place[0], b = task->result_place[1];

    if (l == NULL)
        return 0;
    if (a == TC_PLACE_MEMORY)
        return b == TC_PLACE_NONE;
    if (a == TC_PLACE_ST0)
        return b == TC_PLACE_NONE ? l->bytes == 16 : b == TC_PLACE_ST1 && l->bytes == 32;
    return a >= TC_PLACE_RAX && a <= TC_PLACE_XMM1 && b <= TC_PLACE_XMM1 &&
           l->bytes <= (b != TC_PLACE_NONE ? 16u : 8u);
}

static int key_parts_ok(const struct tc_flat *f, const struct tc_task *task, const struct code *c)
{
    const struct tc_key_part *p = span_at(f, task->key_parts, TC_MAX_KEY_PARTS, sizeof *p);
    struct code before = {.insns = c->insns, .count = c->count, .args = c->args, .olds = 0};

    int is_key = (task->policy & TC_POLICY_KEY) != 0, has_parts = task->key_parts.count != 0;

    /* What is compiled when its object is there has none yet. */
    if (p == NULL || (is_key != has_parts && !(is_key && task->texts.count != 0)))
        return 0;
    for (uint32_t i = 0; i < task->key_parts.count; i++)
        if (!str_ok(f, p[i].text) || p[i].kind > TC_PART_FLOAT ||
            (p[i].kind != TC_PART_TEXT &&
             (p[i].program == TC_NO_EXPR || !expr_ok(&before, p[i].program))))
            return 0;
    return 1;
}

static int functions_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_task_function *fn = span_at(f, task->functions, TC_MAX_FUNCTIONS, sizeof *fn);
    uint32_t keys = 0;

    if (fn == NULL)
        return 0;
    for (uint32_t i = 0; i < task->functions.count; i++) {
        int is_key = fn[i].kind == TC_FUNCTION_KEY;
        if (!str_ok(f, fn[i].plugin) || !str_ok(f, fn[i].name) || !str_ok(f, fn[i].component) ||
            (!is_key && fn[i].kind != TC_FUNCTION_CODEC) || (is_key && keys != i))
            return 0;
        keys += is_key;
    }
    return keys <= TC_MAX_KEY_FUNCTIONS && ((task->policy & TC_POLICY_FUNCTION) == 0 || keys > 0);
}

static int result_ok(const struct tc_flat *f, const struct tc_task *task)
{
    if ((task->result_type == TC_MEMBERS) != (task->result_layout != 0))
        return 0;
    switch (task->result_kind) {
    case TC_RESULT_VOID:
        return task->result_type == TC_VOID;
    case TC_RESULT_VALUE:
        return task->result_type == TC_MEMBERS
                   ? places_ok(f, task)
                   : task->result_type != TC_VOID && task->result_type <= TC_PTR;
    case TC_RESULT_INTO_ARG:
    case TC_RESULT_MALLOC:
    case TC_RESULT_STATIC:
    case TC_RESULT_CODEC:
        return task->result_type == TC_PTR;
    default:
        return 0;
    }
}

static int texts_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_task_texts *t = span_at(f, task->texts, 1, sizeof *t);
    const struct tc_param_text *p;
    const struct tc_str *excluded;

    if (t == NULL || task->texts.count == 0)
        return t != NULL;
    p = span_at(f, t->params, MAX_SPAN, sizeof *p);
    excluded = span_at(f, t->excluded, MAX_SPAN, sizeof *excluded);
    if (p == NULL || excluded == NULL || !str_ok(f, t->prototype) || !str_ok(f, t->types) ||
        !str_ok(f, t->skip) || !str_ok(f, t->success) || !str_ok(f, t->key))
        return 0;
    for (uint32_t i = 0; i < t->params.count; i++)
        if (!str_ok(f, p[i].name) || !str_ok(f, p[i].text))
            return 0;
    for (uint32_t i = 0; i < t->excluded.count; i++)
        if (!str_ok(f, excluded[i]))
            return 0;
    return 1;
}

static int globals_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_global_text *g = span_at(f, task->globals, TC_MAX_PARAMS, sizeof *g);

    for (uint32_t i = 0; g != NULL && i < task->globals.count; i++)
        if (!str_ok(f, g[i].name) || !str_ok(f, g[i].file) || !str_ok(f, g[i].text) ||
            !str_ok(f, g[i].path))
            return 0;
    return g != NULL;
}

static int depends_ok(const struct tc_flat *f, const struct tc_task *task)
{
    const struct tc_depend *d = span_at(f, task->depends, TC_MAX_DEPENDS, sizeof *d);

    for (uint32_t i = 0; d != NULL && i < task->depends.count; i++)
        if (!str_ok(f, d[i].text) || !str_ok(f, d[i].name) || !str_ok(f, d[i].file) ||
            !str_ok(f, d[i].object))
            return 0;
    return d != NULL && str_ok(f, task->deep_stop);
}

int tc_task_ok(const struct tc_flat *f, const struct tc_task *task)
{
    struct code c = {
        .insns = span_at(f, task->code, MAX_CODE, sizeof *c.insns),
        .count = task->code.count,
        .args = task->params.count,
        .olds = task->olds.count,
    };

    if (!str_ok(f, task->symbol) || !str_ok(f, task->object) || !str_ok(f, task->file) ||
        !str_ok(f, task->name) || !str_ok(f, task->space) || !str_ok(f, task->prototype) ||
        !str_ok(f, task->origin))
        return 0;
    if (!layouts_ok(f, task) || !result_ok(f, task) || task->persist > TC_TRUE ||
        task->refresh > TC_TRUE || task->commit_mode > TC_COMMIT_OFF ||
        task->storage > TC_MAX_NAMED_STORAGES || task->key_storage > TC_MAX_NAMED_STORAGES ||
        task->isolation > TC_SERIALIZABLE || task->lock_manager >= TC_LOCK_MANAGERS ||
        (task->lock_manager == TC_LOCKS_OF_PLUGIN) != (task->far_locks != 0) ||
        task->far_locks > TC_MAX_NAMED_STORAGES || task->lock_timeout_ns < 0 ||
        (task->flags & ~(uint32_t)KNOWN_FLAGS) != 0 ||
        (task->policy & ~(uint32_t)KNOWN_POLICY) != 0 || task->stack_slots > TC_MAX_STACK_SLOTS)
        return 0;
    if (task->params.count > TC_MAX_PARAMS ||
        (task->params.count < 32 && task->excluded >> task->params.count != 0))
        return 0;
    return c.insns != NULL && params_ok(f, task, &c) && owned_ok(f, task, &c) &&
           follows_ok(f, task, &c) && sorted_ok(f, task) && programs_ok(f, task, &c) &&
           key_parts_ok(f, task, &c) && functions_ok(f, task) && texts_ok(f, task) &&
           globals_ok(f, task) && depends_ok(f, task);
}

static int storages_ok(const struct tc_flat *f, struct tc_span places)
{
    const struct tc_storage *s = span_at(f, places, TC_MAX_NAMED_STORAGES, sizeof *s);

    for (uint32_t i = 0; s != NULL && i < places.count; i++)
        if (!str_ok(f, s[i].name) || !str_ok(f, s[i].path) || !str_ok(f, s[i].function))
            return 0;
    return s != NULL;
}

static int strings_ok(const struct tc_flat *f, const struct tc_config *config)
{
    const struct tc_dep *dep = span_at(f, config->deps, MAX_SPAN, sizeof *dep);
    const struct tc_problem *problem = span_at(f, config->problems, MAX_SPAN, sizeof *problem);
    const struct tc_str *child = span_at(f, config->child_names, MAX_SPAN, sizeof *child);

    if (dep == NULL || problem == NULL || child == NULL || !storages_ok(f, config->storages) ||
        !storages_ok(f, config->lock_managers))
        return 0;
    for (uint32_t i = 0; i < config->deps.count; i++)
        if (!str_ok(f, dep[i].path))
            return 0;
    for (uint32_t i = 0; i < config->problems.count; i++)
        if (!str_ok(f, problem[i].subject) || !str_ok(f, problem[i].text))
            return 0;
    for (uint32_t i = 0; i < config->child_names.count; i++)
        if (!str_ok(f, child[i]))
            return 0;
    return str_ok(f, config->path) && str_ok(f, config->cache_path) && str_ok(f, config->log_file);
}

static int plugins_ok(const struct tc_flat *f, const struct tc_config *config)
{
    const struct tc_plugin_file *p = span_at(f, config->plugins, TC_MAX_PLUGINS, sizeof *p);

    for (uint32_t i = 0; p != NULL && i < config->plugins.count; i++) {
        const struct tc_plugin_option *o = span_at(f, p[i].options, TC_MAX_OPTIONS, sizeof *o);
        if (o == NULL || !str_ok(f, p[i].name) || !str_ok(f, p[i].path))
            return 0;
        for (uint32_t k = 0; k < p[i].options.count; k++)
            if (!str_ok(f, o[k].name) || !str_ok(f, o[k].text))
                return 0;
    }
    return p != NULL;
}

int tc_config_verify_frame(const struct tc_flat *f)
{
    const struct tc_config *config = tc_flat_root(f, sizeof *config);

    if (config == NULL || config->children > TC_CHILDREN_NAMED || config->log_level > 4 ||
        !strings_ok(f, config) || !plugins_ok(f, config) ||
        span_at(f, config->tasks, TC_MAX_TASKS, sizeof(struct tc_task)) == NULL)
        return -EBADMSG;
    return 0;
}

int tc_config_verify(const struct tc_flat *f)
{
    const struct tc_config *config = tc_flat_root(f, sizeof *config);
    const struct tc_task *tasks;

    if (tc_config_verify_frame(f) < 0)
        return -EBADMSG;
    tasks = span_at(f, config->tasks, TC_MAX_TASKS, sizeof *tasks);
    for (uint32_t i = 0; i < config->tasks.count; i++)
        if (!tc_task_ok(f, &tasks[i]))
            return -EBADMSG;
    return 0;
}
