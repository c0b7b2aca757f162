#include "preload/function_input.h"

#include <elf.h>
#include <string.h>
#include <sys/uio.h>

#include "preload/build_id.h"
#include "preload/objects.h"
#include "preload/state.h"

/* The object's code segment that `address` is in, by its program headers, which may be gone. */
static int holds_code(const struct tc_known_object *o, uint64_t address, struct tc_known_code *ret)
{
    const Elf64_Ehdr *e = (const void *)(uintptr_t)o->header;
    const Elf64_Phdr *ph;

    if (tc_sys_readable(o->header, sizeof *e) < 0 || memcmp(e, ELFMAG, SELFMAG) != 0 ||
        e->e_phentsize != sizeof *ph)
        return 0;
    ph = (const void *)(uintptr_t)(o->header + e->e_phoff);
    if (tc_sys_readable((uint64_t)(uintptr_t)ph, e->e_phnum * sizeof *ph) < 0)
        return 0;
    for (int i = 0; i < e->e_phnum; i++) {
        ret->low = o->base + ph[i].p_vaddr;
        ret->high = ret->low + ph[i].p_memsz;
        if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X && address - ret->low < ph[i].p_memsz)
            return 1;
    }
    return 0;
}

/* Is what was seen there still there? The loader may have put another object in its place without
 * our knowing. One system call, where looking anew takes half a dozen. */
static int still_there(const struct tc_known_code *k)
{
    unsigned char now[TC_MAX_BUILD_ID];
    struct iovec there = {(void *)(uintptr_t)k->build_id_at, k->build_id_bytes};
    struct iovec here = {now, k->build_id_bytes};

    return TC_SYS(SYS_process_vm_readv, tc_sys_getpid(), &here, 1, &there, 1, 0) ==
               (long)k->build_id_bytes &&
           memcmp(now, k->build_id, k->build_id_bytes) == 0;
}

static const struct tc_known_code *find_known(struct tc_context *x, uint64_t pointer)
{
    for (uint32_t i = 0; i < TC_KNOWN_CODE; i++) {
        struct tc_known_code *k = &x->code[i];
        if (pointer < k->low || pointer >= k->high)
            continue;
        if (still_there(k))
            return k;
        k->high = 0;
    }
    return NULL;
}

/* A pointer to a function whose symbol is hooked leads to our stub: what it stands for counts. */
static uint64_t behind_stub(uint64_t pointer)
{
    for (uint32_t i = 0; i < tc_state.hook_count; i++)
        if (tc_state.hooks[i].stub == pointer && !tc_is_at_entry(tc_state.hooks[i].plan))
            return __atomic_load_n(&tc_state.hooks[i].original, __ATOMIC_ACQUIRE);
    return pointer;
}

/* Remembered by its build-id, which alone can be looked at again. */
static int look(struct tc_context *x, uint64_t pointer, struct tc_known_code *ret,
                struct tc_file_id *ret_id)
{
    const unsigned char *build_id = NULL;
    struct tc_known_object o;

    if (!tc_object_below(pointer, &o) || !holds_code(&o, pointer, ret))
        return 0;
    ret->base = o.base;
    ret->build_id_bytes = tc_build_id_place(o.header, o.base, &build_id);
    if (ret->build_id_bytes == 0) {
        *ret_id = o.id;
        return o.id.ino != 0;
    }
    ret->build_id_at = (uint64_t)(uintptr_t)build_id;
    memcpy(ret->build_id, build_id, ret->build_id_bytes);
    x->code[x->next_code++ % TC_KNOWN_CODE] = *ret;
    return 1;
}

uint32_t tc_function_input(struct tc_context *x, uint64_t pointer,
                           unsigned char ret[TC_FUNCTION_DIGEST])
{
    struct {
        unsigned char build_id[TC_MAX_BUILD_ID];
        struct tc_file_id id; /* of an object without one */
        uint64_t build_id_bytes, offset;
    } content;
    const struct tc_known_code *known;
    struct tc_known_code fresh;
    struct tc_hash128 digest;

    if (tc_is_sandboxed())
        return TC_R_SANDBOXED; /* nothing can be probed */
    memset(&content, 0, sizeof content);
    memset(&fresh, 0, sizeof fresh);
    known = find_known(x, pointer);
    if (known == NULL && !look(x, pointer, &fresh, &content.id)) {
        pointer = behind_stub(pointer);
        if (!look(x, pointer, &fresh, &content.id))
            return TC_R_UNKNOWN_CODE;
    }
    known = known != NULL ? known : &fresh;
    memcpy(content.build_id, known->build_id, known->build_id_bytes);
    content.build_id_bytes = known->build_id_bytes;
    content.offset = pointer - known->base;
    digest = tc_hash128(&content, sizeof content, tc_state.page->seed);
    memcpy(ret, &digest, sizeof digest);
    return 0;
}
