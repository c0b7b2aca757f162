#include "cache/shared_page.h"

#include <stddef.h>

static void write_identity(struct tc_counters *slot, const char *identity)
{
    size_t i = 0;

    for (; identity[i] != 0 && i + 1 < sizeof slot->identity; i++)
        slot->identity[i] = identity[i];
    slot->identity[i] = 0;
    __atomic_store_n(&slot->identity_ready, 1, __ATOMIC_RELEASE);
}

struct tc_counters *tc_counters_claim(struct tc_counters *table, uint32_t count,
                                      struct tc_counters *overflow, uint64_t task,
                                      const char *identity)
{
    if (task == 0)
        return overflow;
    for (uint32_t i = 0; i < count; i++) {
        struct tc_counters *slot = &table[(task + i) & (count - 1)];
        uint64_t owner = __atomic_load_n(&slot->task, __ATOMIC_ACQUIRE);

        if (owner == task)
            return slot;
        if (owner != 0)
            continue;
        if (__atomic_compare_exchange_n(&slot->task, &owner, task, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            write_identity(slot, identity);
            return slot;
        }
        if (owner == task)
            return slot;
    }
    return overflow;
}
