/*
 * One machine instruction as the source hash sees it: where it goes, which of its fields are
 * addresses, and what it does with registers that may hold one. Made by the processor's `decode`
 * (arch.h). Host code; pure.
 */
#ifndef TC_SERVICE_RESOLVE_INSN_H
#define TC_SERVICE_RESOLVE_INSN_H

#include <stdint.h>

#define TC_INSN_LONGEST 16u
#define TC_NO_REGISTER  255u

/* Where control goes. */
enum tc_flow {
    TC_FLOW_NEXT = 0,
    TC_FLOW_NOP,    /* does nothing: not part of what the code means */
    TC_FLOW_BRANCH, /* to `target`, or on */
    TC_FLOW_JUMP,   /* to `target` */
    TC_FLOW_CALL,   /* to `target`, and back */
    TC_FLOW_RETURN,
    TC_FLOW_JUMP_FAR_OFF, /* by a register or memory */
    TC_FLOW_CALL_FAR_OFF,
    TC_FLOW_STOP, /* never goes on: ud2, hlt */
};

/* What is done with the value of a register. */
enum tc_use {
    TC_USE_OTHER = 0, /* arithmetic, as far as can be told */
    TC_USE_COPY,      /* `dest` = the register read */
    TC_USE_SELECT,    /* the same, or `dest` keeps what it had */
    TC_USE_COMPARE,
    TC_USE_KEEP,  /* stored where nothing but a stack pointer leads: by push, or to a slot */
    TC_USE_STORE, /* stored elsewhere */
    TC_USE_ENTRY, /* `dest` = the signed 32 bits at `base` + a scaled index */
    TC_USE_ADD,   /* `dest` += another register; both are in `reads` */
};

/* A field of the instruction that means an address. */
enum tc_field_kind {
    TC_FIELD_MADE = 1, /* the address itself: into `dest`, or, without one, away as a value */
    TC_FIELD_COMPARED, /* the address itself, compared with something */
    TC_FIELD_ACCESS,   /* what is there, `width` bytes */
    TC_FIELD_TABLE,    /* something from there on: indexed, or of an unknown width */
    TC_FIELD_THREAD,   /* an offset from the thread pointer; 0: the pointer itself */
};

struct tc_field {
    uint8_t kind;  /* enum tc_field_kind */
    uint8_t at;    /* in the instruction */
    uint8_t bytes; /* of the field */
    uint8_t maybe; /* the same bytes could be a number: it counts only if it falls into the image */
    uint8_t scale; /* of a table's index; 0: none, or not told */
    uint8_t writes;
    uint16_t width;
    uint64_t value;
};

struct tc_instruction {
    uint8_t bytes;
    uint8_t flow;       /* enum tc_flow */
    uint8_t use;        /* enum tc_use */
    uint8_t dest, base; /* numbers of registers, or TC_NO_REGISTER */
    uint8_t field_count;
    uint8_t downward; /* computes something that may be negative, or less than it was */
    uint8_t backward; /* reaches memory below the address in its register */
    uint16_t mnemonic;
    uint32_t reads, writes; /* general registers by number: values read, whole ones written */
    uint32_t stores;        /* those that make up the address of something that is written */
    uint32_t through;       /* those that make up the address of an access */
    int32_t disp;           /* that is added to `through`; 0 beside an address */
    uint64_t target;        /* of a direct branch */
    struct tc_field fields[2];
};

/* Registers by the rules for calls: those that pass arguments, those that return results, and those
 * that no call leaves as they were. */
struct tc_call_registers {
    uint32_t arguments, results, overwritten;
};

#endif
