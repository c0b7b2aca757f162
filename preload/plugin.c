#include "preload/plugin.h"

#include <errno.h>
#include <string.h>

#include "preload/in_handler.h"
#include "preload/plugin_load.h"

#define WAIT_NS 50000000ll
#define CANARY  0xa5

enum {
    MAX_TRIES = 3,
};

static struct tc_loaded_plugin *plugins[TC_MAX_PLUGINS]; /* atomic, by place in the config */

static struct tc_plugin_area *area_of(struct tc_context *x)
{
    if (x->plugin_area == NULL) {
        struct tc_plugin_area *a =
            tc_sys_mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (a != NULL)
            memset(a->room, CANARY, sizeof a->room);
        x->plugin_area = a;
    }
    return x->plugin_area;
}

static const struct tc_plugin_file *find_file(const char *name, uint32_t *ret_index)
{
    const struct tc_span s = tc_state.config->plugins;
    const struct tc_plugin_file *f = tc_flat_at(&tc_state.config_flat, s.off, s.count, sizeof *f);
    size_t n = strlen(name);

    for (uint32_t i = 0; f != NULL && i < s.count && i < TC_MAX_PLUGINS; i++) {
        *ret_index = i;
        if (f[i].name.bytes == n && memcmp(tc_config_str(f[i].name), name, n) == 0)
            return &f[i];
    }
    return NULL;
}

/* With its options behind it. Never unmapped. */
static struct tc_loaded_plugin *make(const struct tc_plugin_file *file, uint32_t index)
{
    size_t bytes =
        sizeof(struct tc_loaded_plugin) + file->options.count * sizeof(struct taskcache_option);
    struct tc_loaded_plugin *p = tc_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS, -1),
                            *other = NULL;

    if (p == NULL)
        return NULL;
    p->file = file;
    p->name = tc_config_str(file->name);
    p->options = (struct taskcache_option *)(void *)(p + 1);
    if (__atomic_compare_exchange_n(&plugins[index], &other, p, 0, __ATOMIC_RELEASE,
                                    __ATOMIC_ACQUIRE))
        return p;
    tc_sys_munmap(p, bytes);
    return other;
}

static void wait_a_little(uint32_t *word, uint32_t value)
{
    const struct timespec t = {0, 5000000};

    TC_SYS(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, &t, 0, 0);
}

static void wake(uint32_t *word)
{
    TC_SYS(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, 0, 0, 0);
}

static int is_gone(uint32_t tid)
{
    return TC_SYS(SYS_tgkill, tc_state.pid, tid, 0, 0, 0, 0) == -ESRCH;
}

static void set_state(struct tc_loaded_plugin *p, uint32_t state)
{
    __atomic_store_n(&p->state, state, __ATOMIC_RELEASE);
    wake(&p->state);
}

/* It did what can't be trusted any more. */
static uint32_t switch_off(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                           const char *what, const char *why)
{
    tc_plugin_say(p, what, why, x->plugin_area);
    c->bad_detail = x->plugin_area->why;
    set_state(p, TC_PLUGIN_OFF);
    return TC_R_PLUGIN_OFF;
}

/* One thread at a time, for no longer than WAIT_NS. A holder that ended in there, or left by a
 * jump, leaves the plugin in nobody knows what state. */
static uint32_t take(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p)
{
    int64_t until = 0;
    uint32_t owner = 0;

    while (!__atomic_compare_exchange_n(&p->owner, &owner, x->owner, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        int64_t now = tc_monotonic_ns();

        if (owner == x->owner || is_gone(owner))
            return switch_off(x, c, p, "its code", "was left by a jump");
        until = until == 0 ? now + tc_patient(WAIT_NS) : until;
        if (now > until)
            return TC_R_PLUGIN_BUSY;
        __atomic_fetch_add(&p->waiters, 1, __ATOMIC_RELAXED);
        wait_a_little(&p->owner, owner);
        __atomic_fetch_sub(&p->waiters, 1, __ATOMIC_RELAXED);
        owner = 0;
    }
    return 0;
}

void tc_plugin_end(struct tc_loaded_plugin *p)
{
    if (p->file->claims & TASKCACHE_THREAD_SAFE)
        return;
    __atomic_store_n(&p->owner, 0, __ATOMIC_RELEASE);
    if (__atomic_load_n(&p->waiters, __ATOMIC_RELAXED) != 0)
        wake(&p->owner);
}

/* The host's errno is not the plugin's. */
static int call_keeping_errno(const struct tc_context *x, struct tc_host_call *call)
{
    int err = x->errno_place != NULL ? *x->errno_place : 0, thrown = tc_call_host(call);

    if (thrown)
        tc_plugin_end_exception(call->result);
    if (x->errno_place != NULL)
        *x->errno_place = err;
    return thrown;
}

static uint32_t load(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p)
{
    int err = x->errno_place != NULL ? *x->errno_place : 0;
    uint32_t r;

    p->pid = (uint32_t)tc_state.pid;
    r = tc_plugin_load(p, x->plugin_area);
    if (x->errno_place != NULL)
        *x->errno_place = err;
    if (r != 0)
        c->bad_detail = x->plugin_area->why;
    set_state(p, r == 0 ? TC_PLUGIN_READY : TC_PLUGIN_REFUSED);
    return r;
}

/* Loaded by us, or by another thread meanwhile. */
static uint32_t ready(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p)
{
    uint32_t state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
    int64_t until;

    if (state == TC_PLUGIN_READY)
        return 0;
    until = tc_monotonic_ns() + tc_patient(WAIT_NS);
    state = TC_PLUGIN_NEW;

    if (__atomic_compare_exchange_n(&p->state, &state, TC_PLUGIN_LOADING, 0, __ATOMIC_ACQUIRE,
                                    __ATOMIC_ACQUIRE))
        return load(x, c, p);
    while (state == TC_PLUGIN_LOADING) {
        if (p->pid != (uint32_t)tc_state.pid)
            return TC_R_PLUGIN_AFTER_FORK; /* the thread that loads it isn't in this process */
        if (tc_monotonic_ns() > until)
            return TC_R_PLUGIN_BUSY;
        wait_a_little(&p->state, TC_PLUGIN_LOADING);
        state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);
    }
    return state == TC_PLUGIN_READY ? 0
           : state == TC_PLUGIN_OFF ? TC_R_PLUGIN_OFF
                                    : TC_R_PLUGIN_UNAVAILABLE;
}

uint32_t tc_plugin_begin(struct tc_context *x, struct tc_call *c, const char *plugin,
                         struct tc_loaded_plugin **ret)
{
    struct tc_loaded_plugin *p = NULL;
    const struct tc_plugin_file *file;
    uint32_t index = 0, r;

    if (tc_is_sandboxed())
        return TC_R_SANDBOXED;
    if (tc_sys_getpid() != tc_state.pid)
        return TC_R_VFORK_CHILD;
    if (tc_in_handler(c->frame->entry))
        return TC_R_PLUGIN_CONTEXT;
    file = find_file(plugin, &index);
    if (file == NULL)
        return TC_R_PLUGIN_UNAVAILABLE;
    p = __atomic_load_n(&plugins[index], __ATOMIC_ACQUIRE);
    if (p == NULL)
        p = make(file, index);
    if (p == NULL || area_of(x) == NULL)
        return TC_R_NO_MEMORY;
    r = ready(x, c, p);
    if (r != 0)
        return r;
    if (p->pid != (uint32_t)tc_state.pid) {
        if (!(file->claims & TASKCACHE_FORK_SAFE))
            return TC_R_PLUGIN_AFTER_FORK;
        p->pid = (uint32_t)tc_state.pid;
        __atomic_store_n(&p->owner, 0, __ATOMIC_RELAXED); /* whose thread isn't in this process */
    }
    *ret = p;
    return file->claims & TASKCACHE_THREAD_SAFE ? 0 : take(x, c, p);
}

static void put_number(char *ret, int v)
{
    char digits[12];
    unsigned n = 0, magnitude = v < 0 ? 0u - (unsigned)v : (unsigned)v;

    do
        digits[n++] = (char)('0' + magnitude % 10);
    while ((magnitude /= 10) != 0);
    if (v < 0)
        *ret++ = '-';
    while (n > 0)
        *ret++ = digits[--n];
    *ret = 0;
}

uint32_t tc_plugin_complain(struct tc_context *x, struct tc_call *c,
                            const struct tc_loaded_plugin *p, const char *what, const char *why)
{
    tc_plugin_say(p, what, why, x->plugin_area);
    c->bad_detail = x->plugin_area->why;
    return TC_R_PLUGIN_ERROR;
}

uint32_t tc_plugin_call(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                        const char *what, struct tc_host_call *call)
{
    struct tc_plugin_area *a = x->plugin_area;
    char causes[300], number[16];
    int status;

    a->error.count = 0;
    if (call_keeping_errno(x, call))
        return switch_off(x, c, p, what, "threw an exception");
    status = (int)call->result;
    if (status == 0)
        return 0;
    tc_plugin_causes(&a->error, causes, sizeof causes);
    if (causes[0] == 0) {
        put_number(number, status);
        tc_join(causes, sizeof causes, "returned ", number, NULL, NULL);
    }
    return tc_plugin_complain(x, c, p, what, causes);
}

static int is_intact(const unsigned char *guard)
{
    uint64_t all = CANARY * 0x0101010101010101ull, differs = 0, word;

    for (uint32_t i = 0; i < TC_PLUGIN_GUARD; i += sizeof word) {
        memcpy(&word, guard + i, sizeof word);
        differs |= word ^ all;
    }
    return differs == 0;
}

void tc_plugin_filled_free(struct tc_filled *f)
{
    if (f->map != NULL)
        tc_sys_munmap(f->map, f->map_bytes);
    f->map = NULL;
}

/* A larger room, with a guard of its own. */
static int grow(struct tc_filled *f, uint64_t room)
{
    tc_plugin_filled_free(f);
    f->map_bytes = room + TC_PLUGIN_GUARD;
    f->map =
        tc_sys_mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (f->map == NULL)
        return -ENOMEM;
    memset((unsigned char *)f->map + room, CANARY, TC_PLUGIN_GUARD);
    return 0;
}

/* With `room` bytes at `memory`: 0 and how many it has, or needs. */
static uint32_t fill_once(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                          const char *what, struct tc_host_call *call, unsigned cursor_at,
                          unsigned char *memory, uint64_t room, uint64_t *ret_used)
{
    struct taskcache_cursor *cursor = &x->plugin_area->cursor;
    uint32_t r;

    *cursor = (struct taskcache_cursor){memory, room, 0};
    call->argument[cursor_at] = (uint64_t)(uintptr_t)cursor;
    r = tc_plugin_call(x, c, p, what, call);
    if (!is_intact(memory + room)) {
        memset(memory + room, CANARY, TC_PLUGIN_GUARD);
        return switch_off(x, c, p, what, "wrote beyond its cursor's room");
    }
    /* It put its bytes elsewhere, and what lies in `memory` is from another call. */
    if (r == 0 && (cursor->bytes != memory || cursor->room != room))
        return tc_plugin_complain(x, c, p, what, "moved its cursor");
    *ret_used = cursor->used;
    return r;
}

uint32_t tc_plugin_fill(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                        const char *what, struct tc_host_call *call, unsigned cursor_at,
                        uint64_t max, struct tc_filled *ret)
{
    unsigned char *memory = x->plugin_area->room;
    uint64_t room = TC_PLUGIN_ROOM, used = 0;
    uint32_t r = 0;

    memset(ret, 0, sizeof *ret);
    for (int i = 0;; i++) {
        r = fill_once(x, c, p, what, call, cursor_at, memory, room, &used);
        if (r != 0 || used <= room)
            break;
        /* What it makes may have grown in between: a few times. */
        if (used > max || i == MAX_TRIES) {
            r = tc_plugin_complain(x, c, p, what,
                                   used > max ? "asked for more room than there is"
                                              : "never had enough room");
            break;
        }
        room = used;
        if (grow(ret, room) < 0)
            return TC_R_NO_MEMORY;
        memory = ret->map;
    }
    if (r != 0) {
        tc_plugin_filled_free(ret);
        return r;
    }
    ret->bytes = memory;
    ret->count = used;
    return 0;
}
