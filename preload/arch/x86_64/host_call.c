/* The C side of host_call.S: what the processor saves, and the end of exceptions. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "preload/arch/arch.h"

_Static_assert(offsetof(struct tc_host_call, function) == 0, "host_call.S: C_FUNCTION");
_Static_assert(offsetof(struct tc_host_call, argument) == 8, "host_call.S: C_ARGUMENT");
_Static_assert(offsetof(struct tc_host_call, result) == 56, "host_call.S: C_RESULT");

extern uint32_t tc_arch_call_host(struct tc_host_call *c, uint64_t mask)
    __attribute__((visibility("hidden")));
extern char tc_call_host_thrown[] __attribute__((visibility("hidden")));

/* x87, SSE, AVX, and AVX-512's three (Intel SDM 1, 13.1). Not the protection keys, which are no
 * caller's state, nor AMX' tiles, which no caller may expect to keep. */
#define SAVED_STATE 0xe7u
#define UNKNOWN     UINT64_MAX

static uint64_t state_mask(void)
{
    static uint64_t known = UNKNOWN; /* atomic; all threads find the same */
    uint64_t mask = __atomic_load_n(&known, __ATOMIC_RELAXED);
    uint32_t a = 1, b, c = 0, d, high;

    if (mask != UNKNOWN)
        return mask;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    mask = 0;
    if (c >> 27 & 1) { /* OSXSAVE */
        __asm__ volatile("xgetbv" : "=a"(a), "=d"(high) : "c"(0));
        mask = a & SAVED_STATE;
    }
    __atomic_store_n(&known, mask, __ATOMIC_RELAXED);
    return mask;
}

int tc_call_host(struct tc_host_call *c)
{
    return (int)tc_arch_call_host(c, state_mask());
}

/* Of the unwinder, as far as this process has one (Itanium C++ ABI: Exception Handling, 1.5). */
static void (*set_ip)(void *context, uintptr_t ip);
static void (*set_register)(void *context, int number, uintptr_t value);

void tc_host_unwinder(void *ip, void *reg)
{
    memcpy(&set_register, &reg, sizeof reg);
    memcpy(&set_ip, &ip, sizeof ip);
}

enum {
    ACTION_FORCED = 8, /* a thread that ends: it goes on through us, as through the task */
    ACTION_HANDLER_FRAME = 4,
    ACTION_SEARCH = 1,
    HANDLER_FOUND = 6,
    INSTALL_CONTEXT = 7,
    CONTINUE_UNWIND = 8,
    REGISTER_RAX = 0, /* psABI, figure 3.36 */
};

/* Called by the unwinder with the thrower's registers free for use. */
__attribute__((visibility("hidden"))) int
tc_host_personality(int version, int actions, uint64_t class, void *exception, void *context);
int tc_host_personality(int version, int actions, uint64_t class, void *exception, void *context)
{
    (void)class;
    if (version != 1 || actions & ACTION_FORCED || set_ip == NULL || set_register == NULL)
        return CONTINUE_UNWIND;
    if (actions & ACTION_SEARCH)
        return HANDLER_FOUND;
    if (!(actions & ACTION_HANDLER_FRAME))
        return CONTINUE_UNWIND;
    set_register(context, REGISTER_RAX, (uintptr_t)exception);
    set_ip(context, (uintptr_t)tc_call_host_thrown);
    return INSTALL_CONTEXT;
}
