#include "preload/flow.h"

#include <errno.h>
#include <string.h>

#include "preload/context.h"
#include "preload/state.h"
#include "preload/threads.h"
#include "preload/transaction.h"

static uint32_t seen;           /* atomic: a flow function was called in this process */
static uint32_t forked;         /* this process is a fork: its first thread needn't be main's */
static int64_t process_started; /* on the clock for durations; 0: couldn't be asked */
static uint64_t last_number;    /* atomic */

/* The entry of a flow call that couldn't be opened, 0: none. Threads without a context have it too.
 */
static __thread uint64_t missed __attribute__((tls_model("initial-exec")));

/* Threads that were made in it see it. */
static void end(struct tc_flow *f)
{
    __atomic_store_n(&f->number, 0, __ATOMIC_RELEASE);
}

/* The flow that a thread was made in lies below all that it opens itself, and above its stack. */
static void find_origin(struct tc_flows *f)
{
    enum tc_thread_origin origin = tc_threads_origin(&f->at[0]);

    f->outside = origin == TC_THREAD_OUTSIDE;
    if (origin != TC_THREAD_IN_FLOW)
        return;
    f->at[0].entry = UINT64_MAX;
    f->at[0].taken_in = (uint32_t)tc_state.pid;
    f->count = 1;
}

void tc_flows_begin(struct tc_flows *f, int first_thread)
{
    for (uint32_t i = 0; i < f->count; i++)
        tc_transaction_abandon(&f->at[i]); /* of a thread that ended in them */
    for (uint32_t i = 0; i < f->count; i++)
        end(&f->at[i]);
    memset(f, 0, offsetof(struct tc_flows, at));
    f->main = first_thread && !forked;
    f->outside = f->main || !tc_flow_was_seen();
    if (!f->outside)
        find_origin(f);
}

void tc_flows_move(struct tc_flows *from, struct tc_flows *to)
{
    *to = *from;
    for (uint32_t i = 0; i < from->count; i++)
        end(&from->at[i]);
    from->count = 0; /* nobody who takes that context over ends them */
}

int tc_flow_was_seen(void)
{
    return __atomic_load_n(&seen, __ATOMIC_ACQUIRE) != 0;
}

void tc_flows_start(void)
{
    process_started = tc_monotonic_ns();
}

void tc_flows_after_fork(void)
{
    forked = 1;
    process_started = tc_is_sandboxed() ? 0 : tc_monotonic_ns();
}

void tc_flow_seen(void)
{
    if (__atomic_load_n(&seen, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&seen, 1, __ATOMIC_RELEASE);
}

void tc_flow_missed(uint64_t entry)
{
    if (entry > missed)
        missed = entry;
}

/* A mapping of the process, as the kernel lists it. */
struct mapping {
    uint64_t start, end;
    int is_stack; /* the first thread's */
};

static int hex(const char **p, const char *end, uint64_t *ret)
{
    const char *s = *p;
    uint64_t v = 0;

    for (; s < end && ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'f')); s++)
        v = v << 4 | (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
    if (s == *p)
        return 0;
    *p = s;
    *ret = v;
    return 1;
}

/* "START-END perms offset dev inode   path" */
static int read_line(const char *line, const char *end, struct mapping *ret)
{
    static const char stack[] = "[stack]";
    const size_t n = sizeof stack - 1;
    const char *p = line;

    if (!hex(&p, end, &ret->start) || p == end || *p++ != '-' || !hex(&p, end, &ret->end))
        return 0;
    ret->is_stack = (size_t)(end - p) > n && memcmp(end - n, stack, n) == 0;
    return 1;
}

static int find_in(const char *text, size_t bytes, uint64_t address, size_t *ret_used,
                   struct mapping *ret)
{
    size_t start = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '\n')
            continue;
        if (read_line(text + start, text + i, ret) && address >= ret->start && address < ret->end)
            return 1;
        start = i + 1;
    }
    *ret_used = start;
    return 0;
}

static int find_mapping(struct tc_context *x, uint64_t address, struct mapping *ret)
{
    char *text = (char *)x->scratch;
    size_t have = 0, used = 0;
    int fd = tc_sys_open("/proc/thread-self/maps", O_RDONLY, 0), found = 0;

    while (fd >= 0 && !found && have < TC_SCRATCH_BYTES) {
        long n = TC_SYS(SYS_read, fd, text + have, TC_SCRATCH_BYTES - have, 0, 0, 0);
        if (n <= 0)
            break;
        have += (size_t)n;
        found = find_in(text, have, address, &used, ret);
        memmove(text, text + used, have - used);
        have -= used;
        used = 0;
    }
    if (fd >= 0)
        tc_sys_close(fd);
    return found;
}

/* The thread's own stack: the kernel's for the first thread; for others what lies below the thread
 * pointer, in one mapping with it (libraries of threads put the thread's data on top of its stack).
 */
static int find_own_stack(struct tc_context *x, uint64_t entry)
{
    struct tc_flows *f = &x->flows;
    uint64_t thread = tc_arch_thread_pointer();
    struct mapping m;

    f->other = f->end = 0;
    if (tc_is_sandboxed() || !find_mapping(x, entry, &m))
        return 0;
    if (f->main ? m.is_stack : thread >= m.start && thread < m.end && entry < thread) {
        f->low = m.start;
        f->high = f->main ? m.end : thread;
        return 1;
    }
    f->other = !f->main && thread >= m.start && thread < m.end ? thread : m.start;
    f->end = m.end;
    return 0;
}

static int on_own_stack(struct tc_context *x, uint64_t entry)
{
    const struct tc_flows *f = &x->flows;

    if (entry >= f->low && entry < f->high)
        return 1;
    return !(entry >= f->other && entry < f->end) && find_own_stack(x, entry);
}

/* Calls that an exception or a jump has left: where we are, their frames can't be. */
static void drop_dead(struct tc_flows *f, uint64_t entry)
{
    while (f->count > 0 && f->at[f->count - 1].entry <= entry) {
        tc_transaction_abandon(&f->at[--f->count]);
        end(&f->at[f->count]);
    }
    if (entry > missed)
        missed = 0;
}

/* In a forked child nobody is left who could end it. */
static int is_open_elsewhere(const struct tc_flow *f)
{
    if (f->taken_in != (uint32_t)tc_state.pid)
        return 1;
    return __atomic_load_n(&f->original->number, __ATOMIC_ACQUIRE) == f->number &&
           (tc_is_sandboxed() || TC_SYS(SYS_tgkill, tc_state.pid, f->owner, 0, 0, 0, 0) != -ESRCH);
}

/* A frame that was left may lie above us, too, when its caller went on into another function. What
 * that one wrote shows it; then it isn't known where we are. */
static int is_there(const struct tc_flow *f)
{
    if (f->original != NULL)
        return is_open_elsewhere(f);
    return !f->lost && *(const volatile uint64_t *)(uintptr_t)f->entry == f->return_to &&
           __atomic_load_n(&f->frame->serial, __ATOMIC_RELAXED) == f->serial;
}

struct tc_flow *tc_flow_open(struct tc_context *x, const struct tc_frame *frame, uint64_t serial)
{
    struct tc_flows *s = &x->flows;
    struct tc_flow *f;
    uint8_t persist = TC_UNSET, not_yet = 0;
    uint32_t storage = 0;

    if (!on_own_stack(x, frame->entry))
        return NULL;
    drop_dead(s, frame->entry);
    if (process_started == 0) {
        tc_flow_missed(frame->entry); /* a fork that can't tell itself from its parent */
        return NULL;
    }
    if (s->count > 0) {
        f = &s->at[s->count - 1];
        if (s->count == TC_MAX_FLOWS)
            return NULL;
        persist = f->persist;
        not_yet = f->not_yet;
        storage = f->storage;
    }
    f = &s->at[s->count];
    *f = (struct tc_flow){
        .entry = frame->entry,
        .return_to = *(const uint64_t *)(uintptr_t)frame->entry,
        .frame = frame,
        .serial = serial,
        .number = __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED),
        .started_ns = process_started,
        .pid = (uint32_t)tc_state.pid,
        .lost = s->count == TC_MAX_FLOWS - 1,
        .persist = persist,
        .not_yet = not_yet,
        .storage = storage,
    };
    s->count++;
    return f;
}

void tc_flow_close(struct tc_context *x, uint64_t entry, uint64_t serial)
{
    struct tc_flows *s = &x->flows;

    if (tc_flow_at(x, entry, serial) == NULL)
        return;
    for (int own = 0; !own;) {
        struct tc_flow *f = &s->at[--s->count];
        own = f->entry == entry && f->serial == serial;
        tc_transaction_abandon(f);
        end(f);
    }
}

struct tc_flow *tc_flow_at(struct tc_context *x, uint64_t entry, uint64_t serial)
{
    struct tc_flows *s = &x->flows;

    for (uint32_t i = s->count; i > 0; i--)
        if (s->at[i - 1].entry == entry && s->at[i - 1].serial == serial)
            return &s->at[i - 1];
    return NULL;
}

struct tc_flow *tc_flow_around(struct tc_context *x, const struct tc_flow *f)
{
    return f > x->flows.at ? &x->flows.at[f - x->flows.at - 1] : NULL;
}

uint32_t tc_flow_of(struct tc_context *x, uint64_t entry, const struct tc_flow **ret)
{
    struct tc_flows *s = &x->flows;
    const struct tc_flow *f;

    *ret = NULL;
    if (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) == 0)
        return 0;
    if (!on_own_stack(x, entry))
        return TC_R_NO_FLOW;
    drop_dead(s, entry);
    if (missed != 0)
        return TC_R_NO_FLOW;
    if (s->count == 0)
        return s->outside ? 0 : TC_R_NO_FLOW;
    f = &s->at[s->count - 1];
    if (!is_there(f))
        return TC_R_NO_FLOW;
    *ret = f;
    return 0;
}

static char *put_hex(char *p, char before, uint64_t v)
{
    int shift = 60;

    *p++ = before;
    while (shift > 0 && v >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *p++ = "0123456789abcdef"[v >> shift & 15];
    return p;
}

uint32_t tc_flow_id(const struct tc_flow *f, char ret[TC_FLOW_ID_BYTES])
{
    char *p = ret + tc_state.run_id_bytes;

    memcpy(ret, tc_state.run_id, tc_state.run_id_bytes);
    p = put_hex(p, '/', f->pid);
    p = put_hex(p, '-', (uint64_t)f->started_ns);
    p = put_hex(p, '-', f->number);
    return (uint32_t)(p - ret);
}
