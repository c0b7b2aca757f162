/*
 * From plans to patched functions.
 */
#include <errno.h>
#include <string.h>

#include "cache/key.h"
#include "preload/arch/arch.h"
#include "preload/bind.h"
#include "preload/build_id.h"
#include "preload/deep.h"
#include "preload/log.h"
#include "preload/prepare.h"
#include "preload/state.h"

#define PAGE 4096ull

static uint64_t page_down(uint64_t a)
{
    return a & ~(PAGE - 1);
}

static uint64_t page_up(uint64_t a)
{
    return page_down(a + PAGE - 1);
}

/* Tries addresses on both sides of [low, high), further and further away. Below comes first: above
 * an executable lies the room into which its heap grows. */
int tc_slab_near(uint64_t low, uint64_t high, size_t bytes, struct tc_slab *ret)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

    bytes = page_up(bytes);
    low = page_down(low);
    high = page_up(high);
    for (uint64_t step = 0; step < TC_ARCH_REACH; step += step < (1u << 24) ? 1u << 16 : 1u << 24) {
        uint64_t side[2] = {low - step - bytes, high + step};
        for (int i = 0; i < 2; i++) {
            if (side[i] < 65536 || side[i] + bytes > high + step + bytes + TC_ARCH_REACH)
                continue;
            if (i == 1 ? side[i] + bytes - low > TC_ARCH_REACH
                       : side[i] > low || high - side[i] > TC_ARCH_REACH)
                continue;
            void *p =
                tc_sys_mmap((void *)(uintptr_t)side[i], bytes, PROT_READ | PROT_WRITE, flags, -1);
            if (p == NULL)
                continue;
            if ((uint64_t)(uintptr_t)p == side[i]) {
                *ret = (struct tc_slab){p, bytes, 0};
                return 0;
            }
            tc_sys_munmap(p, bytes); /* a kernel that takes the address as a hint */
        }
    }
    return -ENOMEM;
}

int tc_slab_seal(struct tc_slab *slab)
{
    return tc_sys_mprotect(slab->memory, slab->bytes, PROT_READ | PROT_EXEC);
}

int tc_code_again(void *pages, size_t bytes)
{
    void *own;

    if (tc_sys_mprotect(pages, bytes, PROT_READ | PROT_EXEC) == 0)
        return 0;
    own = tc_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (own == NULL)
        return -ENOMEM;
    memcpy(own, pages, bytes);
    if (tc_sys_mprotect(own, bytes, PROT_READ | PROT_EXEC) == 0 &&
        TC_SYS(SYS_mremap, own, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, pages, 0) ==
            (long)(uintptr_t)pages)
        return 0;
    tc_sys_munmap(own, bytes);
    return -EACCES;
}

static int write_by_mprotect(uint64_t address, const void *bytes, size_t n)
{
    uint64_t first = page_down(address), end = page_up(address + n);
    void *pages = (void *)(uintptr_t)first;

    if (tc_sys_mprotect(pages, end - first, PROT_READ | PROT_WRITE) < 0)
        return -EACCES;
    memcpy((void *)(uintptr_t)address, bytes, n);
    return tc_code_again(pages, end - first);
}

int tc_open_text(void)
{
    return tc_sys_open("/proc/self/mem", O_RDWR, 0);
}

int tc_write_text(int mem, uint64_t address, const void *bytes, size_t n)
{
    if (mem >= 0 && tc_sys_pwrite(mem, bytes, n, address) == (long)n)
        return 0;
    return write_by_mprotect(address, bytes, n);
}

void tc_close_text(int mem)
{
    if (mem >= 0)
        tc_sys_close(mem);
}

/* Of the object that is being hooked: one at a time, under the loader's lock. */

/* Off, but on inside a flow that persists. */
static void consider_flows(struct tc_hook *h)
{
    struct tc_switches inside = tc_state.switches;
    struct tc_active active;

    if (h->active.reason != TC_R_CACHING_OFF || !tc_state.flows_persist ||
        inside.default_persist_result != TC_UNSET)
        return;
    inside.default_persist_result = TC_TRUE;
    active = tc_activation(h->task, &inside);
    if (active.reason != 0)
        return;
    h->active = active;
    h->in_flow = 1;
}

/* The loader may choose an IFUNC's implementation in another thread. A hook that can't be prepared
 * has no key. */
static void prepare_key(struct tc_hook *h)
{
    for (int i = 0; i < 100000; i++) {
        if (tc_preparing_begin()) {
            tc_prepare_key(h);
            tc_preparing_end();
            return;
        }
        TC_SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
}

/* Which codecs the task's values go through, and which version of their bytes. */
static void digest_codecs(struct tc_hook *h)
{
    static unsigned char text[TC_MAX_FUNCTIONS * 2 * 72]; /* one hook at a time is filled in */
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->task->functions.count; i++) {
        const struct tc_task_function *f = &h->functions[i];
        if (f->kind != TC_FUNCTION_CODEC || f->plugin.bytes > 63 || f->name.bytes > 63)
            continue;
        memcpy(text + n, tc_task_str(h, f->plugin), f->plugin.bytes + 1);
        n += f->plugin.bytes + 1;
        memcpy(text + n, tc_task_str(h, f->name), f->name.bytes + 1);
        n += f->name.bytes + 1;
        memcpy(text + n, &f->data_version, sizeof f->data_version);
        n += sizeof f->data_version;
    }
    h->has_codecs = n != 0;
    h->codecs = tc_hash128(text, n, 0);
}

static uint32_t gives_blocks(const struct tc_hook *h)
{
    for (uint32_t i = 0; i < h->param_count; i++)
        if (tc_is_owned(&h->params[i]))
            return 1;
    return (uint32_t)tc_is_owned(&h->task->owned);
}

static uint32_t count_globals(const struct tc_hook *h)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->param_count; i++)
        n += (uint32_t)tc_is_global(&h->params[i]);
    return n;
}

static void fill_hook(struct tc_hook *h, const struct tc_plan *plan, const struct tc_flat *plans,
                      uint64_t base)
{
    const struct tc_flat *in;
    const struct tc_task *t = tc_plan_task(plan, plans, tc_state.tasks, &tc_state.config_flat, &in);

    memset(h, 0, sizeof *h);
    h->flat = *in;
    h->index = (uint32_t)(h - tc_state.hooks);
    h->task = t;
    h->plan = plan;
    memcpy(h->source, plan->source, sizeof h->source);
    h->base = base;
    h->param_count = t->params.count;
    h->params = tc_flat_at(in, t->params.off, t->params.count, sizeof *h->params);
    h->sorted = tc_flat_at(in, t->sorted.off, t->sorted.count, 1);
    h->code_count = t->code.count;
    h->code = tc_flat_at(in, t->code.off, t->code.count, sizeof *h->code);
    h->old_count = t->olds.count;
    h->olds = tc_flat_at(in, t->olds.off, t->olds.count, sizeof *h->olds);
    h->layouts = tc_flat_at(in, t->layouts.off, t->layouts.count, sizeof *h->layouts);
    h->members = tc_flat_at(in, t->members.off, t->members.count, sizeof *h->members);
    h->globals = tc_flat_at(plans, plan->globals.off, plan->globals.count, sizeof *h->globals);
    h->key_parts = tc_flat_at(in, t->key_parts.off, t->key_parts.count, sizeof *h->key_parts);
    h->functions = tc_flat_at(in, t->functions.off, t->functions.count, sizeof *h->functions);
    h->identity = tc_flat_str(plans, plan->identity);
    h->identity_bytes = (uint32_t)strlen(h->identity);
    h->task_hash = tc_hash64(h->identity, h->identity_bytes);
    h->active = tc_activation(t, &tc_state.switches);
    consider_flows(h);
    if (h->active.reason == 0 && ((tc_page_of(t->storage) == NULL && t->storage != 0) ||
                                  (tc_page_of(t->key_storage) == NULL && t->key_storage != 0)))
        h->active.reason = TC_R_NO_STORAGE;
    h->probation = TC_PROBATION;
    h->gives_blocks = gives_blocks(h);
    tc_task_digest(t->space.off != 0 ? tc_task_str(h, t->space) : NULL, h->identity,
                   t->prototype_digest, h->task_digest);
    h->has_deep = (h->active.policy & TC_POLICY_SOURCE_DEEP) != 0 &&
                  tc_deep_digest(plan, plans, base, tc_task_str(h, t->deep_stop), &h->deep,
                                 &h->deep_bytes) == 0;
    if ((h->active.policy & TC_POLICY_SOURCE_DEEP) && !h->has_deep)
        h->active.reason = TC_R_NO_KEY;
    digest_codecs(h);
    prepare_key(h);
    if (t->flags & TC_TASK_FLOW)
        return; /* it isn't counted among the tasks */
    if (tc_state.page != NULL)
        h->counters = tc_counters_claim(tc_state.page->task, TC_PAGE_TASKS, &tc_state.page->totals,
                                        h->task_hash, h->identity);
    if (tc_state.run_page != NULL)
        h->run_counters = tc_counters_claim(tc_state.run_page->task, TC_RUN_TASKS,
                                            &tc_state.run_page->totals, h->task_hash, h->identity);
}

static void refuse(const struct tc_plan *plan, const struct tc_flat *plans, uint32_t reason)
{
    tc_log_reason(TC_LOG_WARN, tc_flat_str(plans, plan->identity), reason, "");
}

static int build_entry(struct tc_slab *slab, struct tc_hook *h, const struct tc_flat *plans)
{
    const struct tc_plan *plan = h->plan;
    const struct tc_fixup *fixups =
        tc_flat_at(plans, plan->fixups.off, plan->fixups.count, sizeof *fixups);

    return tc_arch_build(slab, h->index, plan, fixups, plan->fixups.count, h->base, &h->stub,
                         &h->original);
}

static int build_indirect(struct tc_slab *slab, struct tc_hook *h)
{
    int r = tc_arch_build_indirect(slab, h->index, &h->stub);

    if (r == 0 && h->plan->hook == TC_HOOK_IFUNC)
        return tc_arch_build_chooser(slab, h->index, &h->chooser);
    h->original = h->base + h->plan->entry_vaddr;
    return r;
}

/* One task: near code first, then the jump to it. The hook counts from the moment when its jump is
 * there. */
static void hook_task(const struct tc_plan *plan, const struct tc_flat *plans, uint64_t base,
                      struct tc_slab *slab)
{
    uint64_t patch = base + plan->patch_vaddr;
    struct tc_hook *h = &tc_state.hooks[tc_state.hook_count];
    int r;

    /* A task of the plans file was verified with it, one of the config is verified here. */
    if (plan->own.count == 0 && !tc_task_ok(&tc_state.config_flat, &tc_state.tasks[plan->task]))
        return;
    if (tc_sys_readable(patch, plan->window_bytes + 1) < 0) {
        refuse(plan, plans, TC_R_FILE_MISMATCH);
        return;
    }
    if (memcmp((const void *)(uintptr_t)patch, plan->window, plan->window_bytes) != 0) {
        refuse(plan, plans, TC_R_ALREADY_PATCHED);
        return;
    }
    if (plan->hook == TC_HOOK_PAD &&
        !tc_arch_is_pad((const unsigned char *)(uintptr_t)(base + plan->entry_vaddr) -
                        TC_PAD_BYTES)) {
        refuse(plan, plans, TC_R_ALREADY_PATCHED);
        return;
    }
    fill_hook(h, plan, plans, base);
    if (h->globals == NULL || count_globals(h) != plan->globals.count) {
        refuse(plan, plans, TC_R_GLOBAL_UNUSABLE);
        return;
    }
    r = tc_is_at_entry(plan) ? build_entry(slab, h, plans) : build_indirect(slab, h);
    if (r < 0) {
        refuse(plan, plans, TC_R_NO_NEAR_MEMORY);
        return;
    }
    tc_state.hook_count++;
    tc_state.plans_in_use = 1;
    /* Who wrote `persist_result: false` knows. */
    if (h->active.reason == TC_R_CACHING_OFF && h->task->persist != TC_FALSE)
        tc_log_reason(TC_LOG_WARN, h->identity, TC_R_CACHING_OFF, "");
    if (h->active.reason == TC_R_NO_STORAGE)
        tc_log_reason(TC_LOG_WARN, h->identity, TC_R_NO_STORAGE,
                      tc_cache_dir_of(tc_page_of(h->task->storage) == NULL ? h->task->storage
                                                                           : h->task->key_storage));
}

/* The jump in front of the function first; `jump` gets the short one to it. */
static int write_pad(const struct tc_hook *h, int mem, unsigned char jump[8])
{
    uint64_t pad = h->base + h->plan->entry_vaddr - TC_PAD_BYTES;
    int n = tc_arch_jump(pad, h->stub, jump);

    if (n < 0)
        return n;
    if (n > (int)TC_PAD_BYTES || tc_write_text(mem, pad, jump, (size_t)n) < 0)
        return -EACCES;
    return tc_arch_short_jump(h->base + h->plan->patch_vaddr, pad, jump);
}

static void patch_entries(uint32_t first, int mem)
{
    for (uint32_t i = first; i < tc_state.hook_count; i++) {
        struct tc_hook *h = &tc_state.hooks[i];
        uint64_t at = h->base + h->plan->patch_vaddr;
        unsigned char jump[8];
        int n;

        if (!tc_is_at_entry(h->plan))
            continue;
        if (h->plan->hook == TC_HOOK_PAD)
            n = write_pad(h, mem, jump);
        else
            n = tc_arch_jump(at, h->stub, jump);
        if (n < 0 || tc_write_text(mem, at, jump, (size_t)n) < 0) {
            tc_log_reason(TC_LOG_WARN, h->identity,
                          n < 0 ? TC_R_NO_NEAR_MEMORY : TC_R_TEXT_WRITE_DENIED, "");
            continue;
        }
        h->patched = 1;
    }
}

static int hookable(const struct tc_plan *p)
{
    return p->reason == 0 && !(tc_state.tasks[p->task].flags & TC_TASK_DISABLED);
}

/* What nobody could know before the program ran. */
static void tell_refused(uint32_t reason, const struct tc_plan *p, uint32_t count,
                         const struct tc_flat *plans)
{
    for (uint32_t i = 0;
         i < count && (reason == TC_R_FILE_MISMATCH || reason == TC_R_RESOLVER_FAILED); i++)
        refuse(&p[i], plans, reason);
}

void tc_hook_object(const struct tc_object *object, uint64_t base, const struct tc_flat *plans)
{
    const struct tc_plan *p = tc_flat_at(plans, object->plans.off, object->plans.count, sizeof *p);
    uint64_t low = UINT64_MAX, high = 0;
    size_t bytes = 0;
    uint32_t first = tc_state.hook_count, wanted = 0;
    struct tc_slab slab;
    int mem;

    if (p == NULL)
        return;
    if (object->reason != 0) {
        tell_refused(object->reason, p, object->plans.count, plans);
        return;
    }
    for (uint32_t i = 0; i < object->plans.count; i++) {
        if (!hookable(&p[i]))
            continue;
        wanted++;
        bytes += tc_arch_slab_bytes(p[i].moved_bytes);
        low = p[i].patch_vaddr + base < low ? p[i].patch_vaddr + base : low;
        high = p[i].patch_vaddr + base + PAGE > high ? p[i].patch_vaddr + base + PAGE : high;
    }
    if (wanted == 0 || wanted > TC_MAX_HOOKS - first || !tc_same_build(object, base))
        return;
    if (tc_slab_near(low, high, bytes, &slab) < 0) {
        tc_log_reason(TC_LOG_WARN, tc_flat_str(plans, object->path), TC_R_NO_NEAR_MEMORY, "");
        return;
    }
    tc_deep_forget();
    for (uint32_t i = 0; i < object->plans.count; i++)
        if (hookable(&p[i]))
            hook_task(&p[i], plans, base, &slab);
    if (tc_slab_seal(&slab) < 0) {
        for (uint32_t i = first; i < tc_state.hook_count; i++)
            tc_log_reason(TC_LOG_WARN, tc_state.hooks[i].identity, TC_R_TEXT_WRITE_DENIED, "");
        tc_state.hook_count = first;
        tc_sys_munmap(slab.memory, slab.bytes);
        return;
    }
    mem = tc_open_text();
    patch_entries(first, mem);
    tc_bind_hooks(first, object->header_vaddr, mem);
    tc_close_text(mem);
}

/* The text is gone, or going: it isn't touched. The slab stays, as a call may still be on its way
 * through it. */
void tc_forget_object(uint64_t base)
{
    for (uint32_t i = 0; i < tc_state.hook_count; i++)
        if (tc_state.hooks[i].base == base)
            tc_state.hooks[i].patched = 0;
}
