#include "preload/function_source.h"

#include <string.h>

#include "preload/client.h"
#include "preload/in_handler.h"
#include "preload/state.h"

enum {
    TABLE = 1024, /* power of two */
    PROBES = 16,
    WAITING = 1024,
};
#define AGAIN_NS      1000000000ll  /* the service wasn't there, or took longer */
#define MUCH_LATER_NS 60000000000ll /* it can't tell */

enum state {
    FREE = 0,
    TAKEN, /* being written; for ever, if its thread left by a jump */
    READY,
};

static struct {
    uint32_t state; /* atomic */
    struct tc_hash128 name;
    unsigned char source[16];
} table[TABLE];

/* When the next try is due, of the functions that share a place here. Atomic. */
static int64_t next_try[WAITING];

/* Once a function in a process, and not for stacks of unknown size. */
struct work {
    char plans[TC_PATH_BYTES];
    unsigned char message[sizeof(struct tc_plan_request) + sizeof(struct tc_object_ref) +
                          2 * TC_PATH_BYTES] __attribute__((aligned(16)));
};

static struct tc_hash128 name_of(const struct tc_known_code *object, uint64_t vaddr)
{
    struct {
        struct tc_file_id id;
        unsigned char build_id[TC_MAX_BUILD_ID];
        uint64_t vaddr;
    } content;

    memset(&content, 0, sizeof content);
    content.id = object->id;
    memcpy(content.build_id, object->build_id, object->build_id_bytes);
    content.vaddr = vaddr;
    return tc_hash128(&content, sizeof content, 0);
}

static int look_up(struct tc_hash128 name, unsigned char ret[16])
{
    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t at = (uint32_t)(name.low + i) & (TABLE - 1);
        uint32_t state = __atomic_load_n(&table[at].state, __ATOMIC_ACQUIRE);
        if (state == FREE)
            return 0;
        if (state == READY && table[at].name.low == name.low && table[at].name.high == name.high) {
            memcpy(ret, table[at].source, 16);
            return 1;
        }
    }
    return 0;
}

/* Where there is no room, it is looked for in the plans each time. */
static void keep(struct tc_hash128 name, const unsigned char source[16])
{
    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t at = (uint32_t)(name.low + i) & (TABLE - 1), state = FREE;
        if (!__atomic_compare_exchange_n(&table[at].state, &state, TAKEN, 0, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED))
            continue;
        table[at].name = name;
        memcpy(table[at].source, source, 16);
        __atomic_store_n(&table[at].state, READY, __ATOMIC_RELEASE);
        return;
    }
}

/* Is the object in memory the one that was resolved? */
static int same_object(const struct tc_object *o, const struct tc_known_code *k)
{
    return k->build_id_bytes == o->build_id_bytes &&
           memcmp(k->build_id, o->build_id, k->build_id_bytes) == 0;
}

static size_t write_request(struct work *w, const struct tc_known_code *object, uint64_t vaddr,
                            const char *path)
{
    struct tc_plan_request *q = (struct tc_plan_request *)(void *)w->message;
    struct tc_object_ref *ref = (struct tc_object_ref *)(void *)(q + 1);
    size_t at = sizeof *q + sizeof *ref, config = strlen(tc_state.config_path) + 1,
           bytes = strlen(path) + 1;

    if (config > TC_PATH_BYTES || bytes > TC_PATH_BYTES)
        return 0;
    q->head.type = TC_MSG_PLAN;
    q->config_id = tc_state.config_id;
    q->objects = sizeof *q;
    q->object_count = 1;
    q->config_path = (uint32_t)at;
    memcpy(w->message + at, tc_state.config_path, config);
    *ref = (struct tc_object_ref){
        .id = object->id, .function = vaddr, .path = (uint32_t)(at + config)};
    memcpy(w->message + ref->path, path, bytes);
    return at + config + bytes;
}

enum found {
    NOT_THERE = 0, /* the message that asks for it is written, if that is possible */
    NEVER,         /* it can't be told */
    FOUND,
};

/* Looks into a mapping of its own: the process's belongs to the loader's notifier. */
static enum found look_into_plans(struct work *w, const struct tc_known_code *object,
                                  uint64_t vaddr, size_t *ret_message, unsigned char ret[16])
{
    const struct tc_code_source *code = NULL;
    const struct tc_object *o = NULL;
    enum found found = NOT_THERE;
    struct tc_flat flat;
    size_t bytes;
    void *map = tc_sys_map_file(w->plans, 0, tc_state.uid, &bytes);

    if (map == NULL)
        return NOT_THERE;
    if (tc_flat_check(map, bytes, TC_FLAT_PLANS, &flat) == 0 &&
        tc_plans_verify(&flat, tc_state.task_count) == 0)
        o = tc_plans_find(&flat, &object->id);
    if (o != NULL && !same_object(o, object)) {
        found = NEVER;
    } else if (o != NULL) {
        code = tc_plans_code(&flat, o, vaddr);
        *ret_message = write_request(w, object, vaddr, tc_flat_str(&flat, o->path));
    }
    if (code != NULL) {
        found = code->state == TC_CODE_KNOWN ? FOUND : NEVER;
        memcpy(ret, code->digest, 16);
    }
    tc_sys_munmap(map, bytes);
    return found;
}

static enum found ask(struct work *w, const struct tc_known_code *object, uint64_t vaddr,
                      unsigned char ret[16])
{
    struct tc_outgoing m = {
        .head = (struct tc_message *)(void *)w->message, .head_bytes = 0, .fd = -1};
    struct tc_reply reply;
    enum found found;

    if (tc_plans_path(tc_state.cache_dir, tc_state.config->resolve_digest, w->plans,
                      sizeof w->plans) < 0)
        return NEVER;
    found = look_into_plans(w, object, vaddr, &m.head_bytes, ret);
    if (found != NOT_THERE || m.head_bytes == 0 || tc_request(&m, TC_REPLY_NS, &reply) < 0 ||
        reply.status < 0)
        return found;
    found = look_into_plans(w, object, vaddr, &m.head_bytes, ret);
    return found == FOUND ? FOUND : NEVER;
}

uint32_t tc_function_source(const struct tc_known_code *object, uint64_t vaddr, uint64_t stack,
                            unsigned char ret[16])
{
    struct tc_hash128 name = name_of(object, vaddr);
    int64_t *due = &next_try[name.high % WAITING], now;
    enum found found;
    struct work *w;

    if (look_up(name, ret))
        return 0;
    now = tc_monotonic_ns();
    if (__atomic_load_n(due, __ATOMIC_RELAXED) > now || tc_in_handler(stack))
        return TC_R_SOURCE_UNKNOWN;
    w = tc_sys_mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (w == NULL)
        return TC_R_SOURCE_UNKNOWN;
    /* The other threads don't wait for this one's answer. */
    __atomic_store_n(due, now + AGAIN_NS, __ATOMIC_RELAXED);
    found = ask(w, object, vaddr, ret);
    tc_sys_munmap(w, sizeof *w);
    if (found == FOUND)
        keep(name, ret);
    __atomic_store_n(due, found == FOUND ? 0 : now + (found == NEVER ? MUCH_LATER_NS : AGAIN_NS),
                     __ATOMIC_RELAXED);
    return found == FOUND ? 0 : TC_R_SOURCE_UNKNOWN;
}
