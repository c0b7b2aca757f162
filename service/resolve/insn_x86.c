#include "service/resolve/insn_x86.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <string.h>

#include "service/resolve/source_map.h"

struct decoded {
    ZydisDecodedInstruction i;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t vaddr;
    int absolute; /* 32-bit fields may hold addresses */
};

static const ZydisDecoder *decoder(void)
{
    static ZydisDecoder d;
    static int ready;

    if (!ready)
        ready =
            ZYAN_SUCCESS(ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
    return ready ? &d : NULL;
}

static unsigned number_of(ZydisRegister r)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, r);

    return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15
               ? (unsigned)(whole - ZYDIS_REGISTER_RAX)
               : TC_NO_REGISTER;
}

static uint32_t bit_of(ZydisRegister r)
{
    unsigned n = number_of(r);
    return n != TC_NO_REGISTER ? 1u << n : 0;
}

static int is_stack(ZydisRegister r)
{
    return r == ZYDIS_REGISTER_RSP || r == ZYDIS_REGISTER_RBP;
}

static uint8_t flow_of(const ZydisDecodedInstruction *i)
{
    int direct = i->raw.imm[0].is_relative;

    switch (i->meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
        return TC_FLOW_BRANCH;
    case ZYDIS_CATEGORY_UNCOND_BR:
        if (i->mnemonic == ZYDIS_MNEMONIC_XBEGIN)
            return TC_FLOW_BRANCH;
        return direct ? TC_FLOW_JUMP : TC_FLOW_JUMP_FAR_OFF;
    case ZYDIS_CATEGORY_CALL:
        return direct ? TC_FLOW_CALL : TC_FLOW_CALL_FAR_OFF;
    case ZYDIS_CATEGORY_RET:
        return TC_FLOW_RETURN;
    default:
        break;
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_NOP:
        return TC_FLOW_NOP;
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2:
    case ZYDIS_MNEMONIC_HLT:
        return TC_FLOW_STOP;
    case ZYDIS_MNEMONIC_XBEGIN:
        return TC_FLOW_BRANCH;
    default:
        return TC_FLOW_NEXT;
    }
}

/* Instructions that reach beyond the operand that they name. */
static int is_bounded(const ZydisDecodedInstruction *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTC:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTS:
        return i->raw.imm[0].size != 0;
    default:
        return i->meta.category != ZYDIS_CATEGORY_XSAVE &&
               i->meta.category != ZYDIS_CATEGORY_XSAVEOPT;
    }
}

static struct tc_field *add_field(struct tc_instruction *n, uint8_t kind, unsigned at,
                                  unsigned bits)
{
    struct tc_field *f = &n->fields[n->field_count++];

    *f = (struct tc_field){.kind = kind, .at = (uint8_t)at, .bytes = (uint8_t)(bits / 8)};
    return f;
}

/* The displacement of a memory operand, where it is an address or may be one. -1: a form that
 * nobody writes. */
static int memory_field(const struct decoded *d, const ZydisDecodedOperand *o,
                        struct tc_instruction *n)
{
    const ZydisDecodedInstruction *i = &d->i;
    int made = o->mem.type == ZYDIS_MEMOP_TYPE_AGEN;
    int indexed = o->mem.index != ZYDIS_REGISTER_NONE;
    ZyanU64 address = 0;
    struct tc_field *f;

    if (o->mem.base == ZYDIS_REGISTER_EIP)
        return -1;
    if (o->mem.segment == ZYDIS_REGISTER_FS && !made) {
        if (o->mem.base == ZYDIS_REGISTER_RIP)
            return -1;
        if (i->raw.disp.size == 0)
            return 0; /* an offset in a register came from elsewhere, from a slot or a field */
        f = add_field(n, TC_FIELD_THREAD, i->raw.disp.offset, i->raw.disp.size);
        f->value = (uint64_t)o->mem.disp.value;
        f->scale = o->mem.base != ZYDIS_REGISTER_NONE || o->mem.index != ZYDIS_REGISTER_NONE;
        return 0;
    }
    if (o->mem.base == ZYDIS_REGISTER_RIP) {
        if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(i, o, d->vaddr, &address)))
            return -1;
    } else if (!d->absolute || i->raw.disp.size < 32) {
        return 0;
    } else {
        address = (uint64_t)o->mem.disp.value;
        indexed |= o->mem.base != ZYDIS_REGISTER_NONE;
    }
    if (made && !indexed)
        f = add_field(n, TC_FIELD_MADE, i->raw.disp.offset, i->raw.disp.size);
    else if (made || indexed || o->size == 0 || o->size % 8 != 0 || o->size > 1024 ||
             !is_bounded(i))
        f = add_field(n, TC_FIELD_TABLE, i->raw.disp.offset, i->raw.disp.size);
    else
        f = add_field(n, TC_FIELD_ACCESS, i->raw.disp.offset, i->raw.disp.size);
    f->maybe = o->mem.base != ZYDIS_REGISTER_RIP;
    f->scale = o->mem.index != ZYDIS_REGISTER_NONE ? o->mem.scale : 0;
    f->width = o->size / 8;
    f->writes = (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    f->value = address;
    return 0;
}

static void immediate_fields(const struct decoded *d, struct tc_instruction *n)
{
    const ZydisDecodedInstruction *i = &d->i;

    for (unsigned k = 0; d->absolute && k < 2 && n->field_count < 2; k++) {
        struct tc_field *f;
        if (i->raw.imm[k].is_relative || i->raw.imm[k].size < 32)
            continue;
        f = add_field(n, i->mnemonic == ZYDIS_MNEMONIC_CMP ? TC_FIELD_COMPARED : TC_FIELD_MADE,
                      i->raw.imm[k].offset, i->raw.imm[k].size);
        f->maybe = 1;
        f->value =
            i->raw.imm[k].is_signed ? (uint64_t)i->raw.imm[k].value.s : i->raw.imm[k].value.u;
    }
}

static int is_entry_load(const struct decoded *d)
{
    const ZydisDecodedOperand *m = &d->o[1];

    return d->i.mnemonic == ZYDIS_MNEMONIC_MOVSXD && m->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           m->size == 32 && m->mem.index != ZYDIS_REGISTER_NONE && m->mem.disp.value == 0 &&
           d->o[0].size == 64;
}

/* A negative number comes into being, or an address goes down. */
static int is_downward(const struct decoded *d)
{
    const ZydisDecodedOperand *last = &d->o[d->i.operand_count_visible > 1 ? 1 : 0];

    switch (d->i.mnemonic) {
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_PSUBD:
    case ZYDIS_MNEMONIC_PSUBQ:
    case ZYDIS_MNEMONIC_VPSUBD:
    case ZYDIS_MNEMONIC_VPSUBQ:
        return 1;
    case ZYDIS_MNEMONIC_SUB:
        return d->o[0].type != ZYDIS_OPERAND_TYPE_REGISTER || !is_stack(d->o[0].reg.value);
    case ZYDIS_MNEMONIC_LEA:
        return d->o[1].mem.base != ZYDIS_REGISTER_RIP && !is_stack(d->o[1].mem.base) &&
               d->o[1].mem.disp.value < 0;
    case ZYDIS_MNEMONIC_IMUL:
        return d->i.operand_count_visible == 3 && d->o[2].imm.value.s < 0;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
        return last->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && last->imm.value.s < 0;
    default:
        return 0;
    }
}

static void registers(const struct decoded *d, struct tc_instruction *n)
{
    const ZydisDecodedInstruction *i = &d->i;
    int memory_written = 0, stack = 0;

    for (unsigned k = 0; k < i->operand_count; k++) {
        const ZydisDecodedOperand *o = &d->o[k];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            uint32_t by = bit_of(o->mem.base) | bit_of(o->mem.index);
            if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
                n->reads |= by;
            else
                n->through |= by;
            n->backward |= o->mem.disp.value < 0;
            if (o->mem.type != ZYDIS_MEMOP_TYPE_AGEN && o->mem.base != ZYDIS_REGISTER_RIP)
                n->disp = (int32_t)o->mem.disp.value;
            if (o->mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
                (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
                n->stores |= by;
            memory_written |= (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
            stack |= is_stack(o->mem.base);
        } else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
                n->reads |= bit_of(o->reg.value);
            if ((o->actions & ZYDIS_OPERAND_ACTION_WRITE) && o->size >= 32)
                n->writes |= bit_of(o->reg.value);
            if ((o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
                o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
                n->dest = (uint8_t)number_of(o->reg.value);
        }
    }
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        if (memory_written)
            n->use = stack ? TC_USE_KEEP : TC_USE_STORE;
        else if (n->through == 0 && n->dest != TC_NO_REGISTER &&
                 d->o[0].size >= (d->absolute ? 32 : 64))
            n->use = TC_USE_COPY;
        break;
    case ZYDIS_MNEMONIC_PUSH:
        n->use = TC_USE_KEEP;
        break;
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
        n->use = TC_USE_COMPARE;
        break;
    case ZYDIS_MNEMONIC_MOVSXD:
        if (is_entry_load(d)) {
            n->use = TC_USE_ENTRY;
            n->base = (uint8_t)number_of(d->o[1].mem.base);
        }
        break;
    case ZYDIS_MNEMONIC_ADD:
        if (d->o[0].type == ZYDIS_OPERAND_TYPE_REGISTER && d->o[0].size == 64 &&
            d->o[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
            n->use = TC_USE_ADD;
        break;
    default:
        if (i->meta.category == ZYDIS_CATEGORY_CMOV && n->through == 0)
            n->use = TC_USE_SELECT;
        break;
    }
    if ((i->mnemonic == ZYDIS_MNEMONIC_XOR || i->mnemonic == ZYDIS_MNEMONIC_SUB) &&
        d->o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        d->o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && d->o[0].reg.value == d->o[1].reg.value)
        n->reads = 0;            /* it's a zero */
    if (n->use == TC_USE_SELECT) /* the other half of the choice stays what it was */
        n->writes &= n->dest != TC_NO_REGISTER ? ~(1u << n->dest) : ~0u;
}

int tc_x86_decode(const struct tc_code *code, size_t offset, int absolute,
                  struct tc_instruction *ret)
{
    struct decoded d = {.vaddr = code->vaddr + offset, .absolute = absolute};
    struct tc_instruction n = {.dest = TC_NO_REGISTER, .base = TC_NO_REGISTER};
    ZyanU64 target = 0;

    if (decoder() == NULL || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), code->at + offset,
                                                                  code->bytes - offset, &d.i, d.o)))
        return -1;
    n.bytes = d.i.length;
    /* `loop` counts in rcx, or in ecx. */
    n.mnemonic = (uint16_t)(d.i.mnemonic | (d.i.address_width == 32 ? 0x8000 : 0));
    n.flow = flow_of(&d.i);
    if (n.flow == TC_FLOW_NOP) {
        *ret = n;
        return 0;
    }
    if (n.flow == TC_FLOW_BRANCH || n.flow == TC_FLOW_JUMP || n.flow == TC_FLOW_CALL) {
        if (!d.i.raw.imm[0].is_relative ||
            !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&d.i, &d.o[0], d.vaddr, &target)))
            return -1;
        n.target = target;
        *ret = n;
        return 0;
    }
    for (unsigned k = 0; k < d.i.operand_count_visible; k++)
        if (d.o[k].type == ZYDIS_OPERAND_TYPE_MEMORY && n.field_count == 0 &&
            memory_field(&d, &d.o[k], &n) < 0)
            return -1;
    immediate_fields(&d, &n);
    registers(&d, &n);
    n.downward = (uint8_t)is_downward(&d);
    *ret = n;
    return 0;
}

/* [endbr64] [bnd] jmp *slot(%rip) */
uint64_t tc_x86_linkage_slot(const struct tc_code *code)
{
    static const unsigned char landing[4] = {0xf3, 0x0f, 0x1e, 0xfa};
    struct tc_instruction n;
    size_t at = 0;

    if (code->bytes >= sizeof landing && memcmp(code->at, landing, sizeof landing) == 0)
        at = sizeof landing;
    if (at >= code->bytes || tc_x86_decode(code, at, 0, &n) < 0 || n.flow != TC_FLOW_JUMP_FAR_OFF ||
        n.field_count != 1 || n.fields[0].kind != TC_FIELD_ACCESS || n.fields[0].width != 8)
        return 0;
    return n.fields[0].value;
}

/* Without operands: all code of an object is read for this. */
uint64_t tc_x86_taken(const struct tc_code *code, size_t offset, int absolute, size_t *ret_bytes)
{
    ZydisDecodedInstruction i;

    *ret_bytes = 1;
    if (decoder() == NULL || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
                                 decoder(), NULL, code->at + offset, code->bytes - offset, &i)))
        return 0;
    *ret_bytes = i.length;
    if (i.mnemonic == ZYDIS_MNEMONIC_LEA && i.raw.modrm.mod == 0 && i.raw.modrm.rm == 5)
        return code->vaddr + offset + i.length + (uint64_t)i.raw.disp.value;
    if (!absolute)
        return 0;
    if (i.raw.imm[0].size >= 32 && !i.raw.imm[0].is_relative)
        return i.raw.imm[0].is_signed ? (uint64_t)i.raw.imm[0].value.s : i.raw.imm[0].value.u;
    return i.raw.disp.size == 32 ? (uint64_t)i.raw.disp.value : 0;
}

/* `lea disp32(%rip), reg`: 8d, ModRM with mod 0 and r/m 5 (SDM volume 2, table 2-2). */
uint64_t tc_x86_maybe_taken(const struct tc_code *code, size_t *offset)
{
    const unsigned char *end = code->at + code->bytes, *at = code->at + *offset;

    while (end - at >= 6 && (at = memchr(at, 0x8d, (size_t)(end - at) - 5)) != NULL) {
        int32_t displacement;
        if ((at[1] & 0xc7) != 5) {
            at++;
            continue;
        }
        memcpy(&displacement, at + 2, sizeof displacement);
        *offset = (size_t)(at + 6 - code->at);
        return code->vaddr + *offset + (uint64_t)(int64_t)displacement;
    }
    return 0;
}

uint8_t tc_x86_relocation(uint32_t type, uint16_t *ret_bytes)
{
    *ret_bytes = 8;
    switch (type) {
    case R_X86_64_RELATIVE:
        return TC_REL_BASE;
    case R_X86_64_64:
        return TC_REL_SYMBOL;
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
        return TC_REL_SLOT;
    case R_X86_64_IRELATIVE:
        return TC_REL_CHOSEN;
    case R_X86_64_COPY:
        return TC_REL_COPY;
    case R_X86_64_TLSDESC:
    case R_X86_64_DTPMOD64: /* the offset is in the next word */
        *ret_bytes = 16;
        return TC_REL_TLS;
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
        return TC_REL_TLS;
    default:
        return TC_REL_OTHER;
    }
}
