/*
 * What differs between processors inside the target: the frame that the stub builds, where
 * arguments lie in it, what is written into near memory and over a function's entry, and how to ask
 * the kernel. One folder per processor implements it.
 *
 * Everything here may be called from any thread and signal context, allocates nothing, and calls no
 * libc.
 */
#ifndef TC_PRELOAD_ARCH_H
#define TC_PRELOAD_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"

#if defined(__x86_64__)
#include "preload/arch/x86_64/frame.h"
#else
#error "no support for this processor yet"
#endif

/* What the stub does after tc_enter(). */
enum tc_action {
    TC_ACTION_BYPASS = 0, /* go on in the original, as if nothing had happened: no frame is left */
    TC_ACTION_RETURN = 1, /* return to the caller with the frame's registers */
    TC_ACTION_CALL = 2, /* call the original with a copy of the stack arguments, then tc_leave() */
};

/* Called by the stub. `f` lies on the stack. */
uint32_t tc_enter(struct tc_frame *f);
void tc_leave(struct tc_frame *f);
void tc_notified(void);             /* the loader's notification */
uint64_t tc_choose(uint32_t index); /* the loader asks what to bind (bind.h) */

/* Near memory: one slab for the hooks of an object. */
struct tc_slab {
    unsigned char *memory; /* writable until tc_arch_seal */
    size_t bytes, used;
};

/* Bytes of slab for one hook with `moved_bytes` of displaced instructions. */
size_t tc_arch_slab_bytes(size_t moved_bytes);
/* How far from a function its slab may lie. */
#define TC_ARCH_REACH 0x7ff00000ull

/* Writes the near stub of hook `index` and the displaced instructions into the slab. `base`: the
 * object's load bias. Returns 0 and the addresses of both, or -ERANGE if something is out of reach,
 * -ENOSPC. */
int tc_arch_build(struct tc_slab *slab, uint32_t index, const struct tc_plan *plan,
                  const struct tc_fixup *fixups, uint32_t fixup_count, uint64_t base,
                  uint64_t *ret_stub, uint64_t *ret_original);
/* The same for the loader's notification function, which is a single return: the stub calls
 * tc_notified() and returns. */
int tc_arch_build_notifier(struct tc_slab *slab, uint64_t *ret_stub);

/* Instead of it, where calls come through pointers: a stub that may be called indirectly; and for
 * an IFUNC what the loader is to call as its resolver. -ENOSPC. */
int tc_arch_build_indirect(struct tc_slab *slab, uint32_t index, uint64_t *ret_stub);
int tc_arch_build_chooser(struct tc_slab *slab, uint32_t index, uint64_t *ret_chooser);

/* What a dynamic relocation puts into a slot. */
enum tc_arch_binding {
    TC_BINDING_NONE = 0, /* nothing of interest */
    TC_BINDING_SYMBOL,   /* a symbol's address: calls and pointers */
    TC_BINDING_CHOICE,   /* what the resolver at the addend chooses */
};
enum tc_arch_binding tc_arch_binding(uint32_t type);
/* Is this what an unbound slot leads to, the way to the loader? TC_ARCH_LAZY_BYTES are readable. */
#define TC_ARCH_LAZY_BYTES 16u
int tc_arch_is_lazy(const unsigned char *code);
/* Does the code at `at`, of which there is a copy in `code`, nothing but go on to where a slot in
 * memory says, as the entries of a procedure linkage table do? The slot's address, else 0. */
#define TC_ARCH_PASSES_BYTES 16u
uint64_t tc_arch_passes_on(uint64_t at, const unsigned char code[TC_ARCH_PASSES_BYTES]);

/* The bytes that make `from` jump to `to`; returns how many (at most 8) or -ERANGE. */
int tc_arch_jump(uint64_t from, uint64_t to, unsigned char ret_bytes[8]);

/* The same for a jump to just in front of the function; and is there padding, TC_PAD_BYTES of it?
 */
int tc_arch_short_jump(uint64_t from, uint64_t to, unsigned char ret_bytes[8]);
int tc_arch_is_pad(const unsigned char *code);

/* Is this the body of the loader's notification function, `bytes` long: a return and padding, room
 * for a jump? Says where the jump goes. */
int tc_arch_is_empty_function(const unsigned char *code, size_t bytes, size_t *ret_offset);

/*
 * A call of code that isn't ours, in the middle of a task's call: the host's malloc, a plugin. All
 * registers that the task's caller may care for (vectors in full, x87, their control words) are
 * saved and come back; the code starts with those of a fresh thread, on an aligned stack. It takes
 * about 3 KiB of stack beyond the code's own: not for the plain hit path. errno is the caller's
 * business.
 *
 * 0 and `result`; 1: it threw a C++ exception, `result` is the exception, which nobody has freed.
 * Such exceptions are only stopped once tc_host_unwinder() was given _Unwind_SetIP and
 * _Unwind_SetGR; otherwise they go on to whoever catches them.
 */
struct tc_host_call {
    uint64_t function;
    uint64_t argument[6];
    uint64_t result;
};
int tc_call_host(struct tc_host_call *c);
void tc_host_unwinder(void *set_ip, void *set_register);

/* The calling thread's data, which on this processor are one address for its whole life. */
uint64_t tc_arch_thread_pointer(void);

/* The control bits that change results of floating point. */
#define TC_FP_CONTROL_BYTES 6u
/* As the kernel starts a process (psABI 3.4.1): all exceptions masked, to nearest, x87 extended. */
#define TC_FP_CONTROL_AT_START    \
    {                             \
        0x80, 0x1f, 0, 0, 0x7f, 3 \
    }
void tc_arch_fp_control(unsigned char ret[TC_FP_CONTROL_BYTES]);

#endif
