#include "preload/bind.h"

#include <elf.h>
#include <string.h>

#include "preload/arch/arch.h"
#include "preload/log.h"
#include "preload/objects.h"
#include "preload/prepare.h"

/* What the loader needs of an object to bind it. */
struct tables {
    const struct link_map *map;
    const Elf64_Sym *symbols;
    const char *strings;
    const Elf64_Rela *rela[2]; /* DT_RELA, DT_JMPREL */
    uint64_t count[2];
};

struct binding {
    uint32_t first, count; /* hooks */
    uint64_t low, high;    /* code of their object */
    struct tables object;  /* that defines them */
    int mem;
};

static uint32_t preparing;

int tc_preparing_begin(void)
{
    return __atomic_exchange_n(&preparing, 1, __ATOMIC_ACQUIRE) == 0;
}

void tc_preparing_end(void)
{
    __atomic_store_n(&preparing, 0, __ATOMIC_RELEASE);
}

/* Most loaders put addresses into the dynamic table; some leave it as the file has it. */
static const void *dynamic_address(const struct link_map *m, uint64_t value)
{
    return (const void *)(uintptr_t)(value < m->l_addr ? value + m->l_addr : value);
}

static void read_tables(const struct link_map *m, struct tables *ret)
{
    *ret = (struct tables){.map = m};
    for (const ElfW(Dyn) *d = m->l_ld; d != NULL && d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_SYMTAB:
            ret->symbols = dynamic_address(m, d->d_un.d_ptr);
            break;
        case DT_STRTAB:
            ret->strings = dynamic_address(m, d->d_un.d_ptr);
            break;
        case DT_RELA:
            ret->rela[0] = dynamic_address(m, d->d_un.d_ptr);
            break;
        case DT_JMPREL:
            ret->rela[1] = dynamic_address(m, d->d_un.d_ptr);
            break;
        case DT_RELASZ:
            ret->count[0] = d->d_un.d_val / sizeof(Elf64_Rela);
            break;
        case DT_PLTRELSZ:
            ret->count[1] = d->d_un.d_val / sizeof(Elf64_Rela);
            break;
        default:
            break;
        }
    }
}

/* One aligned word: the loader may read it in another thread. Where /proc isn't mounted, pages are
 * made writable; slots stay so, as which of them were writable before isn't known. */
static int write_word(int mem, uint64_t at, uint64_t value, int is_slot)
{
    uint64_t page = at & ~4095ull;

    if (at % sizeof value != 0)
        return -1;
    if (mem >= 0 && tc_sys_pwrite(mem, &value, sizeof value, at) == (long)sizeof value)
        return 0;
    if (tc_sys_mprotect((void *)(uintptr_t)page, 4096, PROT_READ | PROT_WRITE) < 0)
        return -1;
    __atomic_store_n((uint64_t *)(uintptr_t)at, value, __ATOMIC_RELEASE);
    if (!is_slot)
        (void)tc_code_again((void *)(uintptr_t)page, 4096);
    return 0;
}

/* The chosen implementation is known: 1 if calls of `address` can be taken. Keys tell
 * implementations apart as they do functions. */
static int adopt(struct tc_hook *h, uint64_t address)
{
    uint64_t known = __atomic_load_n(&h->original, __ATOMIC_ACQUIRE), part[3];

    if (known != 0 || !tc_preparing_begin())
        return known == address;
    known = h->original;
    if (known == 0) {
        memcpy(part, h->plan->source, sizeof h->plan->source);
        part[2] = address - h->base;
        part[0] = tc_hash64(part, sizeof part);
        memcpy(h->source, part, sizeof part[0]);
        memcpy(part, h->deep.digest, sizeof h->deep.digest);
        part[2] = address - h->base;
        part[0] = tc_hash64(part, sizeof part);
        memcpy(h->deep.digest, part, sizeof part[0]);
        tc_prepare_key(h);
        __atomic_store_n(&h->original, known = address, __ATOMIC_RELEASE);
    }
    tc_preparing_end();
    return known == address;
}

/* Called by the loader in place of the function's own resolver, at the moment at which the loader
 * would call that: so its object is relocated as far as it needs. */
uint64_t tc_choose(uint32_t index)
{
    struct tc_hook *h = &tc_state.hooks[index];
    uint64_t (*resolver)(void) = (uint64_t(*)(void))(uintptr_t)(h->base + h->plan->entry_vaddr);
    uint64_t chosen = resolver();

    return adopt(h, chosen) ? h->stub : chosen;
}

static const uint32_t *names_of(const struct tc_hook *h)
{
    return tc_flat_at(&tc_state.plans_flat, h->plan->dynamic.off, h->plan->dynamic.count, 4);
}

/* The names under which the loader finds the function. */
static void bind_symbols(struct tc_hook *h, const struct binding *b)
{
    const uint32_t *names = names_of(h);
    uint64_t target = h->plan->hook == TC_HOOK_IFUNC ? h->chooser : h->stub;

    for (uint32_t i = 0; names != NULL && i < h->plan->dynamic.count; i++) {
        const Elf64_Sym *s = &b->object.symbols[names[i]];
        if (s->st_value == h->plan->entry_vaddr)
            h->patched |=
                write_word(b->mem, (uint64_t)(uintptr_t)&s->st_value, target - h->base, 0) == 0;
    }
}

static int same_text(const char *a, const char *b)
{
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

static int same_name(const struct tables *t, const Elf64_Rela *r, const struct tc_hook *h,
                     const struct binding *b)
{
    const uint32_t *names = names_of(h);
    const char *name = t->strings + t->symbols[ELF64_R_SYM(r->r_info)].st_name;

    for (uint32_t i = 0; names != NULL && i < h->plan->dynamic.count; i++)
        if (same_text(b->object.strings + b->object.symbols[names[i]].st_name, name))
            return 1;
    return 0;
}

/* Was this slot bound to the function? Of an IFUNC that is known by the slot's own name, and by
 * what is in it: code of the object, not the way to the loader. */
static int is_bound(const struct binding *b, const struct tables *t, const Elf64_Rela *r,
                    struct tc_hook *h, enum tc_arch_binding kind)
{
    uint64_t value = *(const uint64_t *)(uintptr_t)(t->map->l_addr + r->r_offset);

    if (h->plan->hook == TC_HOOK_GOT)
        return kind == TC_BINDING_SYMBOL && value == h->base + h->plan->entry_vaddr;
    if (kind == TC_BINDING_CHOICE
            ? t->map->l_addr != h->base || (uint64_t)r->r_addend != h->plan->entry_vaddr
            : !same_name(t, r, h, b))
        return 0;
    return value >= b->low && value < b->high && b->high - value >= TC_ARCH_LAZY_BYTES &&
           !tc_arch_is_lazy((const unsigned char *)(uintptr_t)value) && adopt(h, value);
}

/* A choice inside the object that isn't made yet: the loader will call what the addend says. */
static void bind_choice(const struct binding *b, const struct tables *t, const Elf64_Rela *r,
                        const struct tc_hook *h)
{
    if (h->plan->hook == TC_HOOK_IFUNC && t->map->l_addr == h->base &&
        (uint64_t)r->r_addend == h->plan->entry_vaddr)
        (void)write_word(b->mem, (uint64_t)(uintptr_t)&r->r_addend, h->chooser - h->base, 0);
}

static void bind_slot(const struct binding *b, const struct tables *t, const Elf64_Rela *r)
{
    enum tc_arch_binding kind = tc_arch_binding(ELF64_R_TYPE(r->r_info));

    if (kind == TC_BINDING_NONE)
        return;
    for (uint32_t i = b->first; i < b->first + b->count; i++) {
        struct tc_hook *h = &tc_state.hooks[i];
        if (tc_is_at_entry(h->plan))
            continue;
        if (is_bound(b, t, r, h, kind))
            h->patched |= write_word(b->mem, t->map->l_addr + r->r_offset, h->stub, 1) == 0;
        else if (kind == TC_BINDING_CHOICE)
            bind_choice(b, t, r, h);
    }
}

static void bind_object(const struct link_map *m, void *arg)
{
    const struct binding *b = arg;
    struct tables t;

    read_tables(m, &t);
    if (t.symbols == NULL || t.strings == NULL)
        return;
    for (int k = 0; k < 2; k++)
        for (uint64_t i = 0; t.rela[k] != NULL && i < t.count[k]; i++)
            bind_slot(b, &t, &t.rela[k][i]);
}

static void find_definer(const struct link_map *m, void *arg)
{
    struct binding *b = arg;

    if (m->l_addr == tc_state.hooks[b->first].base && b->object.map == NULL)
        read_tables(m, &b->object);
}

/* The span of its executable segments. */
static void find_code(struct binding *b, uint64_t header)
{
    uint64_t base = tc_state.hooks[b->first].base;
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)(uintptr_t)header;
    const Elf64_Phdr *p = (const Elf64_Phdr *)(uintptr_t)(header + e->e_phoff);

    b->low = UINT64_MAX;
    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type != PT_LOAD || !(p[i].p_flags & PF_X))
            continue;
        b->low = base + p[i].p_vaddr < b->low ? base + p[i].p_vaddr : b->low;
        b->high = base + p[i].p_vaddr + p[i].p_filesz > b->high
                      ? base + p[i].p_vaddr + p[i].p_filesz
                      : b->high;
    }
}

void tc_bind_hooks(uint32_t first, uint64_t header_vaddr, int mem)
{
    struct binding b = {.first = first, .count = tc_state.hook_count - first, .mem = mem};
    uint32_t wanted = 0;

    for (uint32_t i = first; i < tc_state.hook_count; i++)
        wanted += !tc_is_at_entry(tc_state.hooks[i].plan);
    if (wanted == 0)
        return;
    tc_each_object(find_definer, &b);
    if (b.object.symbols == NULL || b.object.strings == NULL)
        return;
    find_code(&b, tc_state.hooks[first].base + header_vaddr);
    for (uint32_t i = first; i < tc_state.hook_count; i++)
        if (!tc_is_at_entry(tc_state.hooks[i].plan))
            bind_symbols(&tc_state.hooks[i], &b);
    tc_each_object(bind_object, &b);
    for (uint32_t i = first; i < tc_state.hook_count; i++)
        if (!tc_is_at_entry(tc_state.hooks[i].plan) && !tc_state.hooks[i].patched)
            tc_log_reason(TC_LOG_WARN, tc_state.hooks[i].identity, TC_R_TEXT_WRITE_DENIED, "");
}
