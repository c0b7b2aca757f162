#include "service/resolve/dwarf_find.h"

#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH TC_DWARF_MAX_DEPTH
#define MAX_CHAIN 8
#define MAX_STEPS TC_DWARF_MAX_STEPS

/* A walk over the functions of all units. */
struct walk {
    uint64_t vaddr;
    const char *name;
    uint32_t steps;
    int nested; /* functions inside functions too */
    Dwarf_Die found;
    int is_found, is_named;
};

static int is_compressed(const struct tc_elf *e)
{
    for (size_t i = 0; i < e->section_count; i++)
        if ((e->sections[i].flags & SHF_COMPRESSED) ||
            strncmp(e->sections[i].name, ".zdebug", 7) == 0)
            return 1;
    return 0;
}

int tc_dwarf_open(const struct tc_image *im, struct tc_dwarf *ret)
{
    const struct tc_elf *e = tc_debug_info(im->elf, &im->debug);
    const void *data = e != NULL ? e->data : NULL;
    struct tc_dwarf d = {0};

    if (e == NULL)
        return 0;
    /* Unpacking a section changes its header, and the file's digest is still to be taken. */
    if (is_compressed(e)) {
        d.copy = malloc(e->bytes);
        if (d.copy == NULL)
            return 0;
        data = memcpy(d.copy, e->data, e->bytes);
    }
    (void)elf_version(EV_CURRENT);
    d.elf = elf_memory((char *)(uintptr_t)data, e->bytes);
    d.dwarf = d.elf != NULL ? dwarf_begin_elf(d.elf, DWARF_C_READ, NULL) : NULL;
    if (d.dwarf == NULL) {
        tc_dwarf_close(&d);
        return 0;
    }
    *ret = d;
    return 1;
}

void tc_dwarf_close(struct tc_dwarf *d)
{
    if (d->dwarf != NULL)
        (void)dwarf_end(d->dwarf);
    if (d->elf != NULL)
        (void)elf_end(d->elf);
    free(d->copy);
    *d = (struct tc_dwarf){0};
}

int tc_dwarf_is_fortran(int language)
{
    return language == DW_LANG_Fortran77 || language == DW_LANG_Fortran90 ||
           language == DW_LANG_Fortran95 || language == DW_LANG_Fortran03 ||
           language == DW_LANG_Fortran08;
}

int tc_dwarf_follow(Dwarf_Die *die, unsigned attribute, Dwarf_Die *ret)
{
    Dwarf_Attribute a;

    return dwarf_attr(die, attribute, &a) != NULL && dwarf_formref_die(&a, ret) != NULL;
}

int tc_dwarf_type(Dwarf_Die *die, Dwarf_Die *ret)
{
    Dwarf_Attribute a;

    return dwarf_attr_integrate(die, DW_AT_type, &a) != NULL && dwarf_formref_die(&a, ret) != NULL;
}

uint64_t tc_dwarf_number(Dwarf_Die *die, unsigned attribute, uint64_t otherwise)
{
    Dwarf_Attribute a;
    Dwarf_Word value;

    if (dwarf_attr_integrate(die, attribute, &a) == NULL || dwarf_formudata(&a, &value) != 0)
        return otherwise;
    return value;
}

/* Attributes, its own or inherited. */
static int is_set(Dwarf_Die *die, unsigned attribute)
{
    Dwarf_Attribute a;
    bool value = false;

    return dwarf_attr_integrate(die, attribute, &a) != NULL && dwarf_formflag(&a, &value) == 0 &&
           value;
}

int tc_dwarf_next(Dwarf_Die *die)
{
    Dwarf_Die next;

    if (dwarf_siblingof(die, &next) != 0 || dwarf_dieoffset(&next) <= dwarf_dieoffset(die))
        return 0;
    *die = next;
    return 1;
}

static const char *text(Dwarf_Die *die, unsigned attribute)
{
    Dwarf_Attribute a;

    return dwarf_attr_integrate(die, attribute, &a) != NULL ? dwarf_formstring(&a) : NULL;
}

/* The symbol's name, which for languages that mangle isn't the source's. */
const char *tc_dwarf_linkage_name(Dwarf_Die *die)
{
    const char *name = text(die, DW_AT_linkage_name);

    if (name == NULL)
        name = text(die, DW_AT_MIPS_linkage_name);
    return name != NULL ? name : text(die, DW_AT_name);
}

static int is_named(Dwarf_Die *die, const char *name)
{
    const char *own = tc_dwarf_linkage_name(die);

    return own != NULL && strcmp(own, name) == 0;
}

/* Does a range begin at (`inside` 0) or hold the address? A function of several pieces has its
 * entry in any of them. */
static int covers(Dwarf_Die *die, uint64_t vaddr, int inside, int *ret_any)
{
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;

    for (int i = 0; i < 100000; i++) {
        offset = dwarf_ranges(die, offset, &base, &start, &end);
        if (offset <= 0)
            break;
        if (ret_any != NULL)
            *ret_any = 1;
        if (inside ? vaddr >= start && vaddr < end : vaddr == start && end > start)
            return 1;
    }
    return 0;
}

int tc_dwarf_has_scopes(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
           tag == DW_TAG_structure_type;
}

static void look_for_code(struct walk *w, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die;

    if (depth == MAX_DEPTH || dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (++w->steps > MAX_STEPS)
            return;
        if (tag == DW_TAG_subprogram && covers(&die, w->vaddr, 0, NULL)) {
            int named = w->name != NULL && is_named(&die, w->name);
            if (!w->is_found || named)
                w->found = die;
            w->is_found = 1;
            w->is_named |= named;
        }
        if (tc_dwarf_has_scopes(tag) || (w->nested && tag == DW_TAG_subprogram))
            look_for_code(w, &die, depth + 1);
    } while (!w->is_named && tc_dwarf_next(&die));
}

static void look_in_units(struct walk *w, const struct tc_dwarf *d)
{
    Dwarf_CU *unit = NULL;
    Dwarf_Die die, sub;
    uint8_t type;

    while (!w->is_named && dwarf_get_units(d->dwarf, unit, &unit, NULL, &type, &die, &sub) == 0) {
        int any = 0, is_split = type == DW_UT_skeleton && dwarf_tag(&sub) == DW_TAG_compile_unit;
        if (type != DW_UT_compile && type != DW_UT_partial && !is_split)
            continue;
        if (covers(&die, w->vaddr, 1, &any) || !any)
            look_for_code(w, is_split ? &sub : &die, 0);
    }
}

/* The end of the chain of abstract origins: gcc's copies, and link-time optimization, make one. */
void tc_dwarf_origin(Dwarf_Die *die)
{
    Dwarf_Die next;

    for (int i = 0; i < MAX_CHAIN && tc_dwarf_follow(die, DW_AT_abstract_origin, &next); i++)
        *die = next;
}

static int holds_value(Dwarf_Die *die)
{
    return dwarf_hasattr(die, DW_AT_location) || dwarf_hasattr(die, DW_AT_const_value);
}

/* What the code says of a parameter of the source. */
static void find_compiled(struct tc_dwarf_function *f, Dwarf_Die *param, struct tc_dwarf_param *ret)
{
    Dwarf_Die die, origin;

    if (dwarf_child(&f->die, &die) != 0)
        return;
    do {
        if (dwarf_tag(&die) != DW_TAG_formal_parameter)
            continue;
        origin = die;
        tc_dwarf_origin(&origin);
        if (origin.addr != param->addr)
            continue;
        ret->has_die = 1;
        ret->has_location = holds_value(&die);
        ret->die = die;
        return;
    } while (tc_dwarf_next(&die));
}

static void read_param(struct tc_dwarf_function *f, Dwarf_Die *die)
{
    struct tc_dwarf_param *p = &f->params[f->param_count];

    if (f->param_count == TC_MAX_PARAMS) {
        f->too_many = 1;
        return;
    }
    *p = (struct tc_dwarf_param){.name = text(die, DW_AT_name)};
    p->has_type = tc_dwarf_type(die, &p->type);
    p->artificial = is_set(die, DW_AT_artificial);
    find_compiled(f, die, p);
    f->param_count++;
}

static void read_params(struct tc_dwarf_function *f)
{
    Dwarf_Die die;

    if (dwarf_child(&f->source, &die) != 0)
        return;
    do {
        if (dwarf_tag(&die) == DW_TAG_formal_parameter)
            read_param(f, &die);
        else if (dwarf_tag(&die) == DW_TAG_unspecified_parameters)
            f->variadic = 1;
    } while (tc_dwarf_next(&die));
}

int tc_dwarf_location(struct tc_dwarf_param *p, uint64_t vaddr, Dwarf_Op **ret_ops,
                      size_t *ret_count)
{
    Dwarf_Attribute a;

    return p->has_die && dwarf_attr(&p->die, DW_AT_location, &a) != NULL &&
           dwarf_getlocation_addr(&a, vaddr, ret_ops, ret_count, 1) == 1 && *ret_count > 0;
}

/* Fortran passes addresses, and describes what is there. */
static int is_by_reference(struct tc_dwarf_param *p, uint64_t vaddr)
{
    Dwarf_Op *ops;
    size_t count;

    if (p->artificial)
        return 0;
    if (!tc_dwarf_location(p, vaddr, &ops, &count))
        return 1;
    return ops[count - 1].atom == DW_OP_deref ||
           (count == 1 && ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31 &&
            ops[0].number == 0);
}

/* Compilers that write line tables only leave out all types. */
static int has_types(Dwarf_Die *unit)
{
    Dwarf_Die die;

    if (dwarf_child(unit, &die) != 0)
        return 0;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_base_type || tag == DW_TAG_imported_unit || tag == DW_TAG_structure_type)
            return 1;
    } while (tc_dwarf_next(&die));
    return 0;
}

static void read_unit(struct tc_dwarf_function *f)
{
    Dwarf_Die unit, code_unit;
    const char *producer = NULL;

    if (dwarf_diecu(&f->source, &unit, NULL, NULL) == NULL)
        return;
    f->language = dwarf_srclang(&unit);
    /* Assemblers know of no types either, and say so in their own words. */
    f->meagre = f->language == DW_LANG_Mips_Assembler ||
                (f->param_count == 0 && !f->has_result && !has_types(&unit));
    if (dwarf_diecu(&f->die, &code_unit, NULL, NULL) != NULL)
        producer = text(&code_unit, DW_AT_producer);
    f->by_clang = producer != NULL && strstr(producer, "clang") != NULL;
    /* gcc says its options; without -O it doesn't optimize. */
    f->unoptimized = producer != NULL && strncmp(producer, "GNU ", 4) == 0 &&
                     (strstr(producer, " -O") == NULL || strstr(producer, " -O0") != NULL) &&
                     strstr(producer, " -flto") == NULL && strstr(producer, "GIMPLE") == NULL;
}

/* rustc mangles what isn't `extern "C"`, in two ways. */
static int is_foreign(struct tc_dwarf_function *f)
{
    const char *linkage = tc_dwarf_linkage_name(&f->die);
    uint64_t convention = tc_dwarf_number(&f->die, DW_AT_calling_convention, DW_CC_normal);

    if (convention != DW_CC_normal && convention != DW_CC_program)
        return 1;
    return f->language == DW_LANG_Rust && linkage != NULL &&
           (strncmp(linkage, "_ZN", 3) == 0 || strncmp(linkage, "_R", 2) == 0);
}

int tc_dwarf_function_at(const struct tc_dwarf *d, uint64_t vaddr, const char *name,
                         struct tc_dwarf_function *ret)
{
    struct walk w = {.vaddr = vaddr, .name = name};

    look_in_units(&w, d);
    if (!w.is_found) {
        w.nested = 1;
        look_in_units(&w, d);
    }
    if (!w.is_found)
        return 0;
    *ret = (struct tc_dwarf_function){.die = w.found, .source = w.found};
    tc_dwarf_origin(&ret->source);
    ret->name = text(&ret->die, DW_AT_name);
    ret->has_result = tc_dwarf_type(&ret->die, &ret->result);
    ret->prototyped = is_set(&ret->die, DW_AT_prototyped);
    ret->nested = dwarf_hasattr(&ret->die, DW_AT_static_link) != 0;
    read_params(ret);
    read_unit(ret);
    ret->foreign = is_foreign(ret);
    for (uint32_t i = 0; tc_dwarf_is_fortran(ret->language) && i < ret->param_count; i++)
        ret->params[i].by_reference = is_by_reference(&ret->params[i], vaddr);
    return 1;
}
