/*
 * Libraries that come later: the loader calls an empty function (r_brk, for debuggers) after it has
 * mapped objects and before it runs their constructors. That function is patched under the window
 * rule of any task: memory must equal the file over the return and the padding behind it. A
 * debugger that started the program has a breakpoint there; then it is left alone.
 */
#include <elf.h>
#include <string.h>

#include "preload/arch/arch.h"
#include "preload/context.h"
#include "preload/log.h"
#include "preload/objects.h"
#include "preload/state.h"

enum {
    LOOK = 24, /* bytes of the function and its padding */
};

static const char *loader_path(const struct r_debug *r)
{
    for (const struct link_map *m = r->r_map; m != NULL; m = m->l_next)
        if (m->l_addr == r->r_ldbase && m->l_name[0] == '/')
            return m->l_name;
    return NULL;
}

/* What the loader's file holds at `vaddr`. */
static int read_file_at(const char *path, uint64_t vaddr, unsigned char ret[LOOK])
{
    int fd = tc_sys_open(path, O_RDONLY, 0), ok = 0;
    Elf64_Ehdr e;
    Elf64_Phdr p;

    if (fd < 0)
        return 0;
    if (tc_sys_pread(fd, &e, sizeof e, 0) == sizeof e && e.e_phentsize == sizeof p) {
        for (int i = 0; i < e.e_phnum && !ok; i++) {
            if (tc_sys_pread(fd, &p, sizeof p, e.e_phoff + (uint64_t)i * sizeof p) != sizeof p)
                break;
            if (p.p_type == PT_LOAD && vaddr >= p.p_vaddr && vaddr - p.p_vaddr + LOOK <= p.p_filesz)
                ok = tc_sys_pread(fd, ret, LOOK, p.p_offset + (vaddr - p.p_vaddr)) == LOOK;
        }
    }
    tc_sys_close(fd);
    return ok;
}

static int patch_notification(const struct r_debug *r, const char *path)
{
    const unsigned char *code = (const void *)(uintptr_t)r->r_brk;
    unsigned char on_disk[LOOK], jump[8];
    struct tc_slab slab;
    uint64_t stub, at;
    size_t offset;
    int n, mem;

    if (!read_file_at(path, r->r_brk - r->r_ldbase, on_disk) || memcmp(code, on_disk, LOOK) != 0 ||
        !tc_arch_is_empty_function(code, LOOK, &offset))
        return 0;
    at = r->r_brk + offset;
    if (tc_slab_near(at, at + LOOK, 256, &slab) < 0 || tc_arch_build_notifier(&slab, &stub) < 0 ||
        tc_slab_seal(&slab) < 0)
        return 0;
    n = tc_arch_jump(at, stub, jump);
    if (n < 0)
        return 0;
    mem = tc_open_text();
    n = tc_write_text(mem, at, jump, (size_t)n);
    tc_close_text(mem);
    return n == 0;
}

void tc_watch_loader(void)
{
    const struct r_debug *r = tc_loader();
    const char *path = r != NULL ? loader_path(r) : NULL;

    if (path != NULL && r->r_brk != 0 && patch_notification(r, path))
        return;
    tc_objects_missed();
    tc_log_reason(TC_LOG_WARN, tc_state.program, TC_R_DEBUGGER, "");
}

/* As a task's call would, so that a signal handler that calls one goes by, and doesn't take the
 * reply that is waited for here. Without hooks there is no such handler. */
static int enter(struct tc_context **ret)
{
    uint32_t reason = 0;

    *ret = NULL;
    if (tc_state.hook_count == 0)
        return tc_settle_after_fork();
    *ret = tc_context_enter((uint64_t)(uintptr_t)__builtin_frame_address(0), &reason);
    return *ret != NULL || reason == TC_R_NO_MEMORY;
}

void tc_notified(void)
{
    const struct r_debug *r = tc_loader();
    struct tc_context *x;

    if (r->r_state != RT_CONSISTENT)
        return;
    if (tc_is_sandboxed() || !enter(&x)) {
        tc_objects_missed();
        return;
    }
    tc_scan_objects();
    if (x != NULL)
        tc_context_exit(x);
}
