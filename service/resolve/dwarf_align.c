/*
 * How sure is a struct's alignment? It matters where a value is passed on the stack: aligned by 16,
 * or else by 8. Packing only lowers alignments, and those that were given are told by gcc since 8
 * (of types and members, -gstrict-dwarf before DWARF 5 excepted) and by clang since 5 (of types
 * that have the attribute, and of members).
 */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/dwarf_record.h"

#define STACK_SLOT   8u
#define GCC_TELLS    8
#define CLANG_TELLS  5
#define CLANG_STRICT 13 /* obeys -gstrict-dwarf, which its producer doesn't show */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* The number behind the last word that isn't one: "GNU C17 12.2.0 -mtune=generic", "Debian clang
 * version 14.0.6". */
static int version_of(const char *producer, const char *behind)
{
    const char *at = strstr(producer, behind);

    return at != NULL ? atoi(at + strlen(behind)) : 0;
}

static int gcc_version(const char *producer)
{
    const char *at = strncmp(producer, "GNU ", 4) == 0 ? strchr(producer + 4, ' ') : NULL;

    return at != NULL ? atoi(at) : 0;
}

static const char *producer_of(Dwarf_Die *die)
{
    Dwarf_Die unit;
    Dwarf_Attribute a;

    if (dwarf_diecu(die, &unit, NULL, NULL) == NULL ||
        dwarf_attr_integrate(&unit, DW_AT_producer, &a) == NULL)
        return NULL;
    return dwarf_formstring(&a);
}

/* Would an alignment that was given be in this unit? */
static int are_told(Dwarf_Die *die)
{
    const char *producer = producer_of(die);
    Dwarf_Half version = 0;
    int gcc, clang;

    if (producer == NULL ||
        dwarf_cu_info(die->cu, &version, NULL, NULL, NULL, NULL, NULL, NULL) != 0)
        return 0;
    gcc = gcc_version(producer);
    clang = version_of(producer, "clang version ");
    if (version >= 5)
        return gcc >= GCC_TELLS || clang >= CLANG_TELLS ||
               version_of(producer, "rustc version ") >= 1;
    /* gcc writes its options down, unless it is told not to. */
    if (gcc >= GCC_TELLS)
        return strstr(producer, " -m") != NULL && strstr(producer, "-gstrict-dwarf") == NULL;
    return clang >= CLANG_TELLS && clang < CLANG_STRICT;
}

/* Does the layout itself prove that something in it is aligned by more than 8: by a hole, or an
 * end, that is larger than alignments up to 8 make them? */
static int is_proven(const struct tc_dwarf_record *r, uint64_t whole)
{
    uint64_t at = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct tc_dwarf_member *m = &r->member[i];
        uint64_t align = m->size.align > m->align ? m->size.align : m->align;

        if (m->bits == 0 && align > STACK_SLOT && m->at == round_up(at, 8 * align) &&
            m->at >= round_up(at, 8ull * STACK_SLOT) + 8ull * STACK_SLOT)
            return 1;
        at = m->at + (m->bits != 0 ? m->bits : 8 * m->size.bytes);
    }
    at = (at + 7) / 8;
    return round_up(at, whole) == r->bytes && round_up(at, STACK_SLOT) + STACK_SLOT <= r->bytes;
}

int tc_dwarf_is_unsure(const struct tc_dwarf_record *r, uint64_t whole)
{
    int members = r->forgot;

    if (r->bytes % (2ull * STACK_SLOT) != 0)
        return 0;
    if (whole > STACK_SLOT && (r->align >= whole || is_proven(r, whole)))
        return 0;
    for (size_t i = 0; i < r->count; i++)
        members |= r->member[i].size.unsure;
    return members || whole > STACK_SLOT || !are_told(r->die);
}
