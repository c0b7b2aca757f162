#include "preload/prepare.h"

#include <errno.h>
#include <string.h>

#include "cache/key.h"

#define FPENV "=fpenv"

enum {
    MAX_NAMED = 9 + TC_MAX_KEY_FUNCTIONS,
};

/* Stands for the content of "=fpenv" until a call fills it in. */
static const unsigned char fp_place[TC_FP_CONTROL_BYTES];

struct named {
    const char *name;
    const void *content;
    size_t bytes;
    uint8_t tag; /* 0: TC_TAG_BYTES */
};

/* What RUN_ID, FLOW_PARAMETERS and a template are. */
struct scope {
    const char *run_id;
    uint32_t run_id_bytes;
    const uint8_t *parameters;     /* 16 bytes, or NULL */
    const struct tc_key_text *key; /* or NULL */
    const struct tc_key_member *members;
    uint32_t member_count;
};

static struct scope process_run(uint64_t seed)
{
    return (struct scope){
        tc_state.run_id,
        tc_state.run_id_bytes,
        tc_state.has_flow_parameters ? tc_state.flow_parameters[tc_flow_seed_of(seed)] : NULL,
        NULL,
        NULL,
        0};
}

/* The components whose names begin with '=', in order: they come before any parameter. */
static int list_named(const struct tc_hook *h, const struct scope *s, struct named ret[MAX_NAMED])
{
    uint32_t policy = h->active.policy;
    int n = 0;

    if (h->has_codecs)
        ret[n++] = (struct named){"=codec", &h->codecs, sizeof h->codecs, 0};
    if (policy & TC_POLICY_SOURCE_DEEP)
        ret[n++] = (struct named){"=deep", &h->deep, h->deep_bytes, 0};
    if (h->plan->has_depends)
        ret[n++] = (struct named){"=depends", h->plan->depends, sizeof h->plan->depends, 0};
    if (policy & TC_POLICY_FLOW_PARAMETERS && s->parameters != NULL)
        ret[n++] = (struct named){"=flow", s->parameters, 16, 0};
    if (h->task->flags & TC_TASK_FLOAT)
        ret[n++] = (struct named){FPENV, fp_place, sizeof fp_place, 0};
    if (s->key != NULL)
        ret[n++] = (struct named){"=key", s->key->content, s->key->bytes, s->key->tag};
    for (uint32_t i = 0; i < s->member_count; i++)
        ret[n++] = (struct named){s->members[i].component, s->members[i].key.content,
                                  s->members[i].key.bytes, s->members[i].key.tag};
    if (policy & TC_POLICY_RUN_ID)
        ret[n++] = (struct named){"=run_id", s->run_id, s->run_id_bytes, 0};
    if (policy & TC_POLICY_SOURCE)
        ret[n++] = (struct named){"=source", h->source, sizeof h->source, 0};
    ret[n++] = (struct named){"=task", h->task_digest, sizeof h->task_digest, 0};
    return n;
}

static int add_named(struct tc_material *m, const struct named *n)
{
    int r = tc_material_begin(m, n->name, strlen(n->name), n->tag != 0 ? n->tag : TC_TAG_BYTES,
                              n->bytes);

    if (r < 0)
        return r;
    tc_material_content(m, n->content, n->bytes);
    return tc_material_end(m);
}

static int is_input(const struct tc_param *p)
{
    return p->dir == TC_IN || p->dir == TC_INOUT;
}

/* Does any member of the policy give a key? INPUTS of a task without inputs doesn't; with all of
 * them excluded it does. FLOW_PARAMETERS without arguments doesn't. */
static int policy_gives_key(const struct tc_hook *h, const struct scope *s)
{
    uint32_t members =
        h->active.policy & (TC_POLICY_SOURCE | TC_POLICY_SOURCE_DEEP | TC_POLICY_RUN_ID);
    int inputs = 0;

    if (s->key != NULL || s->member_count != 0)
        return 1;
    if (s->parameters != NULL)
        members |= h->active.policy & TC_POLICY_FLOW_PARAMETERS;

    for (uint32_t i = 0; i < h->param_count; i++)
        inputs |= is_input(&h->params[i]);
    return members != 0 || ((h->active.policy & TC_POLICY_INPUTS) && inputs);
}

/* An `out` pointer counts when it is NULL: a record of one shape can't serve the other. */
static int may_enter_key(const struct tc_param *p)
{
    return is_input(p) || p->dir == TC_OUT;
}

/* What stands under `depends:` counts whatever the policy says, but for a key of the task's own. */
static int is_wanted_anyway(const struct tc_hook *h, uint8_t param)
{
    return !(h->active.policy & TC_POLICY_KEY) && h->params[param].is_depend;
}

static void choose_params(struct tc_hook *h)
{
    h->key_param_count = 0;
    for (uint32_t i = 0; i < h->param_count; i++) {
        uint8_t param = h->sorted[i];
        if (!(h->active.policy & TC_POLICY_INPUTS) && !is_wanted_anyway(h, param))
            continue;
        if (may_enter_key(&h->params[param]) && !(h->task->excluded >> param & 1))
            h->key_params[h->key_param_count++] = param;
    }
}

/* Begins `m` and adds what isn't a parameter. `*ret_fpenv_at`: where the content of "=fpenv" goes,
 * 0: nowhere. */
static int begin(const struct tc_hook *h, const struct scope *s, struct tc_material *m,
                 uint32_t *ret_fpenv_at)
{
    struct named named[MAX_NAMED];
    int count = list_named(h, s, named), r = policy_gives_key(h, s) ? 0 : -ENOENT;

    *ret_fpenv_at = 0;
    for (int i = 0; i < count; i++)
        tc_material_announce(m, strlen(named[i].name));
    for (uint32_t i = 0; i < h->key_param_count; i++)
        tc_material_announce(m, h->params[h->key_params[i]].name.bytes);
    for (int i = 0; r == 0 && i < count; i++) {
        if (named[i].content == fp_place)
            *ret_fpenv_at =
                (uint32_t)m->bytes + sizeof(struct tc_component_head) + sizeof FPENV - 1;
        r = add_named(m, &named[i]);
    }
    return r;
}

void tc_prepare_key(struct tc_hook *h)
{
    static unsigned char memory[TC_MATERIAL_BYTES];
    static struct tc_hash_state state;
    const uint64_t seed = tc_seed_of(h->task->storage);
    const struct scope scope = process_run(seed);
    struct tc_material m;
    int r;

    choose_params(h);
    tc_material_init(&m, memory, &state, seed);
    r = begin(h, &scope, &m, &h->fpenv_at);
    h->prefix_bytes = 0;
    h->simple.stamp = 0;
    if (r < 0 || m.bytes > sizeof h->prefix)
        return;
    memcpy(h->prefix, memory, m.bytes);
    h->prefix_bytes = (uint32_t)m.bytes;
    h->reserved = (uint32_t)m.reserved;
    tc_table_prepare(h);
}

static uint32_t begin_call(const struct tc_hook *h, const struct scope *s, struct tc_material *m)
{
    uint32_t fpenv_at;

    if (begin(h, s, m, &fpenv_at) < 0)
        return TC_R_NO_KEY;
    if (fpenv_at != 0)
        tc_arch_fp_control(m->memory + fpenv_at);
    return 0;
}

uint32_t tc_prepare_with_key(const struct tc_hook *h, const struct tc_key_text *key,
                             struct tc_material *m)
{
    const struct scope scope = {.key = key};

    return begin_call(h, &scope, m);
}

uint32_t tc_prepare_with_functions(const struct tc_hook *h, const struct tc_flow *flow,
                                   const struct tc_key_member *members, uint32_t count,
                                   struct tc_material *m)
{
    char id[TC_FLOW_ID_BYTES];
    struct scope scope = process_run(m->seed);

    if (flow != NULL) {
        if ((h->active.policy & TC_POLICY_FLOW_PARAMETERS) && flow->parameters == TC_FLOW_UNKNOWN)
            return TC_R_NO_FLOW;
        scope.run_id = id;
        scope.run_id_bytes = tc_flow_id(flow, id);
        scope.parameters =
            flow->parameters == TC_FLOW_DIGEST ? flow->digest[tc_flow_seed_of(m->seed)] : NULL;
    }
    scope.members = members;
    scope.member_count = count;
    return begin_call(h, &scope, m);
}

uint32_t tc_prepare_in_flow(const struct tc_hook *h, const struct tc_flow *flow,
                            struct tc_material *m)
{
    return tc_prepare_with_functions(h, flow, NULL, 0, m);
}

uint32_t tc_prepare_odd_fp(const struct tc_hook *h, struct tc_material *m)
{
    static const unsigned char usual[TC_FP_CONTROL_BYTES] = TC_FP_CONTROL_AT_START;
    unsigned char now[TC_FP_CONTROL_BYTES];

    if (h->task->flags & TC_TASK_FLOAT)
        return 0; /* it is there */
    tc_arch_fp_control(now);
    if (memcmp(now, usual, sizeof now) == 0)
        return 0;
    tc_material_announce(m, sizeof FPENV - 1);
    return add_named(m, &(struct named){FPENV, now, sizeof now, 0}) < 0 ? TC_R_NO_KEY : 0;
}
