#include "preload/in_handler.h"

#include <string.h>

#include "preload/sys.h"

#define SCAN_BYTES (256u * 1024u)

/* As the kernel has it (x86-64: arch/x86/include/uapi/asm/signal.h; the order is the generic one's,
 * too, where there is a restorer). */
struct kernel_sigaction {
    uint64_t handler, flags, restorer, mask;
};
#define HAS_RESTORER 0x04000000u

static uint64_t blocked_signals(void)
{
    uint64_t mask = 0;

    TC_SYS(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask, 0, 0);
    return mask;
}

static int on_signal_stack(void)
{
    stack_t s;

    memset(&s, 0, sizeof s);
    return TC_SYS(SYS_sigaltstack, NULL, &s, 0, 0, 0, 0) == 0 && (s.ss_flags & SS_ONSTACK);
}

/* The way back from the handler of one of these signals; 0: none has one. libc's is the same for
 * all. */
static uint64_t way_back(uint64_t blocked)
{
    for (int n = 1; n <= 64; n++) {
        struct kernel_sigaction a = {0, 0, 0, 0};
        if (!(blocked >> (n - 1) & 1) ||
            TC_SYS(SYS_rt_sigaction, n, NULL, &a, sizeof a.mask, 0, 0) < 0)
            continue;
        if (a.handler > 1 && a.flags & HAS_RESTORER)
            return a.restorer;
    }
    return 0;
}

static int lies_above(uint64_t stack, uint64_t value)
{
    for (uint64_t at = stack; at - stack < SCAN_BYTES; at += 8) {
        if ((at == stack || (at & 4095) == 0) && tc_sys_readable(at, 8) < 0)
            return 0;
        if (*(const uint64_t *)(uintptr_t)at == value)
            return 1;
    }
    return 0;
}

int tc_in_handler(uint64_t stack)
{
    uint64_t blocked, back;

    if (on_signal_stack())
        return 1;
    blocked = blocked_signals();
    back = blocked != 0 ? way_back(blocked) : 0;
    return back != 0 && lies_above((stack + 7) & ~7ull, back);
}
