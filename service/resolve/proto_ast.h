/*
 * What the parts of the prototype compiler share: the syntax tree and the state of one compilation.
 *
 * lex, float -> types, parse, expr (text to tree) -> check (directions, shapes, places) -> compile
 * (expressions to programs) -> print (canonical text) -> proto.c (tables).
 *
 * Every failure goes through proto_fail() and proto_no_memory(), which don't return: they unwind to
 * the entry function, which owns the arena that all nodes come from. So a tree that exists is
 * complete, and nobody checks results. All sizes are bounded: texts by PROTO_MAX_TEXT, every
 * recursion by PROTO_MAX_NEST or PROTO_MAX_TREE.
 */
#ifndef TC_SERVICE_RESOLVE_PROTO_AST_H
#define TC_SERVICE_RESOLVE_PROTO_AST_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/resolve/proto.h"

#define PROTO_MAX_TEXT   65536u /* bytes of one text */
#define PROTO_MAX_NEST   60u    /* open brackets, declarators, conditionals */
#define PROTO_MAX_TREE   250u   /* height of an expression: long sums are high trees */
#define PROTO_MAX_TYPE   40u    /* pointers, arrays and functions around one another */
#define PROTO_MAX_CODE   8192u  /* instructions of one task */
#define PROTO_MAX_NAME   255u
#define PROTO_MAX_PRINT  32768u
#define PROTO_MAX_MEMORY (64u << 20)

/* A place in one of the texts: enum tc_proto_field << 24 | offset. */
typedef uint32_t proto_at;

enum proto_tok {
    TOK_END = 0,
    /* single characters stand for themselves */
    TOK_WORD = 256,
    TOK_NUMBER,
    TOK_FLOAT,
    TOK_CHAR,
    TOK_STRING,
    TOK_EQ,
    TOK_NE,
    TOK_LE,
    TOK_GE,
    TOK_AND,
    TOK_OR,
    TOK_SHL,
    TOK_SHR,
    TOK_ARROW,
    TOK_ELLIPSIS,
};

struct proto_token {
    int kind;
    proto_at at;
    const char *start;
    uint32_t bytes;
    const char *word; /* TOK_WORD: NUL-terminated */
    int64_t value;    /* TOK_NUMBER, TOK_CHAR; TOK_FLOAT: a double's bits */
};

enum proto_expr_kind {
    E_INT = 0,
    E_CHAR,
    E_FLOAT,
    E_NULL,
    E_NAME,
    E_RETURN,
    E_OLD,
    E_STRLEN,
    E_MIN,
    E_MAX,
    E_NEG,
    E_NOT,
    E_DEREF,
    E_INDEX,
    E_MEMBER, /* p->f, p.f */
    E_MUL,
    E_DIV,
    E_MOD,
    E_ADD,
    E_SUB,
    E_LT,
    E_LE,
    E_GT,
    E_GE,
    E_EQ,
    E_NE,
    E_AND,
    E_OR,
    E_COND,
    /* in C constants of `types:` only */
    E_COMPLEMENT,
    E_SHL,
    E_SHR,
    E_BIT_AND,
    E_BIT_XOR,
    E_BIT_OR,
    E_SELF, /* of a member's extent: the address of the struct that it is in */
};

struct proto_expr {
    enum proto_expr_kind kind;
    proto_at at;               /* of the operator, name or literal */
    proto_at first;            /* of the first token */
    uint32_t height;           /* of the tree */
    bool arrow;                /* E_MEMBER */
    int64_t value;             /* E_INT, E_CHAR; E_FLOAT: a double's bits */
    const char *name;          /* E_NAME, E_MEMBER */
    struct proto_record *self; /* E_SELF */
    struct proto_expr *a, *b, *c;
};

enum proto_kind {
    K_VOID = 0,
    K_SCALAR,  /* integers, enums, bool, float, double */
    K_WIDE,    /* long double, __int128, complex numbers: `scalar`, one of them or two */
    K_UNBUILT, /* known, not executed yet */
    K_VECTOR,
    K_VA_LIST,
    K_FILE,
    K_RECORD,
    K_POINTER,
    K_ARRAY,
    K_FUNCTION,
};

/* One pair of brackets behind a declarator. */
struct proto_dim {
    proto_at at;              /* of what is between the brackets */
    struct proto_expr *count; /* NULL: [] */
    struct proto_expr *capacity, *stride;
};

struct proto_type {
    enum proto_kind kind;
    uint8_t scalar;  /* enum tc_scalar */
    bool is_char;    /* plain `char` */
    bool is_complex; /* K_WIDE */
    bool is_const;
    bool variadic;        /* K_FUNCTION */
    proto_at variadic_at; /* of the last part of its parameter list */
    uint32_t height;
    const char *spelled;   /* as written: a base type, or a typedef's name; NULL: derived */
    const char *plain;     /* a base type's one canonical name */
    struct proto_type *to; /* pointee, element, result */
    struct proto_dim dim;  /* K_ARRAY */
    struct proto_param *params;
    uint32_t param_count;
    struct proto_record *record;
};

struct proto_member {
    const char *name; /* NULL: anonymous */
    proto_at at;
    struct proto_type *type;
    struct proto_expr *bits; /* of a bit-field */
    bool packed;
    struct proto_expr *aligned; /* the greatest alignment given; NULL: none */
    uint8_t dir;                /* TC_IN, TC_IGNORE or 0 */
    bool follows;               /* what it points at counts: */
    bool is_parameter;          /* it stands for one, whose elements are pointers */
    struct proto_expr *extent;  /* so many; NULL: a string, or one */
    struct proto_member *next;
    /* From the layout. */
    uint64_t offset; /* of a bit-field: to the byte with its first bit */
    uint8_t bit, width;
};

struct proto_record {
    const char *tag; /* or the typedef's name, or NULL */
    bool is_union, complete, tagged, packed;
    struct proto_expr *aligned;
    struct proto_member *members;
    /* From the layout. */
    bool laid_out, has_pointers, has_unnamed_bits;
    bool unaligned; /* some member lies where its type's alignment doesn't allow it */
    uint64_t bytes, align;
};

/* What a type takes in memory. */
struct proto_size {
    uint64_t bytes, align;
};

/* psABI 3.2.3, of one eightbyte. */
enum proto_class {
    CLASS_NONE = 0,
    CLASS_INTEGER,
    CLASS_SSE,
    CLASS_X87, /* a long double, with what is behind it */
    CLASS_COMPLEX_X87,
    CLASS_MEMORY,
};
struct proto_classes {
    enum proto_class half[2];
};

/* A type as the target sees it: members in the task's table. */
struct proto_layout {
    const struct proto_type *type;
    const char *name;
    uint64_t bytes, packed_bytes;
    uint32_t first, count;
    bool has_pointers; /* about which nothing is said */
    bool follows;      /* pointers of which something is said */
};

/* What a member's table entry gets when its layout is complete. */
struct proto_follow {
    const struct proto_type *to;       /* of type TC_MEMBERS */
    const struct proto_expr *extent;   /* NULL: one */
    struct proto_record *owner;        /* whose members the extent names; NULL: parameters */
    const struct proto_member *member; /* that the pointer is, or that leads to it */
    proto_at at;
};

struct proto_param {
    const char *name; /* NULL: none */
    proto_at at;      /* of the name, else of the type */
    proto_at type_at;
    struct proto_type *type;
    /* Qualifiers as written; an offset of 0 in a *_at can't be told from none, so: has_*. */
    uint8_t dir; /* enum tc_dir, 0: none */
    bool file, is_malloc;
    const char *codec;     /* as written, then as found */
    uint32_t codec_number; /* 0: none */
    proto_at qualifier_at; /* of the last one */

    /* From the check. */
    uint8_t shape, direction;
    uint8_t loc;
    uint16_t loc_index;
    bool is_pointer;
    const char *path; /* of a file under `depends:` */
    bool is_depend;   /* stands there */
    bool is_global;   /* none of the function's own; `loc` is known from its text */
    bool is_object;   /* ... and one thing without an extent: its name means what is there */
    uint8_t second_loc;
    uint16_t second_index;
    uint32_t layout;          /* 1 + index, of the value or the elements; 0: none */
    bool after;               /* extents need the state after the call */
    struct proto_type *elem;  /* what it points at, behind all dimensions; NULL for values */
    struct proto_type *value; /* its type in an expression: a scalar or a pointer to `elem` */
    struct proto_expr *pieces, *length, *stride, *capacity;
    uint32_t code_pieces, code_length, code_stride, code_capacity;
};

struct proto_function {
    const char *name;
    proto_at at, result_at;
    struct proto_type *result;
    bool result_malloc, result_static;
    const char *result_codec;
    bool result_static_word; /* C's storage class, which may mean the same: proto_owned.c */
    proto_at result_qualifier_at;
    struct proto_expr *result_extent; /* of `malloc(EXTENT)`, `static(EXTENT)` */
    struct proto_param owned;         /* the result as an output, if it is one of those */
    struct proto_param *params;
    uint32_t param_count;
    uint8_t result_kind; /* enum tc_result_kind */
    uint32_t result_layout;
    uint8_t result_place[2]; /* enum tc_result_place */
};

/* A name that a declaration gave: a typedef, a tag or an enumerator. */
enum proto_symbol_kind {
    SYM_TYPEDEF = 1,
    SYM_RECORD,
    SYM_ENUM,
    SYM_CONSTANT,
};
struct proto_symbol {
    enum proto_symbol_kind kind;
    const char *name;
    struct proto_type *type;
    int64_t value;
    struct proto_symbol *next;
};

/* Of a template. */
struct proto_key_part {
    const char *text; /* NULL: a program's */
    uint32_t program, kind;
};

struct proto {
    const struct tc_proto_text *text;
    struct tc_text_error *error;
    enum tc_proto_field *error_field;
    jmp_buf unwind;
    struct proto_block *blocks; /* the arena */
    size_t memory;

    const struct proto_token *tok; /* the parser's position */
    uint32_t nest;
    bool in_types;      /* C constants: bit operators too */
    bool in_expression; /* for the reason of a syntax error */
    bool in_found;      /* types that were found elsewhere: what is declared already stays */
    struct proto_symbol *symbols;
    struct proto_function *fn;

    struct tc_insn *code;
    uint32_t code_count, code_allocated;
    const char *old_text[TC_EXPR_MAX_OLD];
    uint32_t old_program[TC_EXPR_MAX_OLD];
    uint32_t old_count;
    uint32_t skip, success, stack_slots;
    struct proto_key_part key_parts[TC_MAX_KEY_PARTS];
    uint32_t key_part_count;
    bool floats;
    struct proto_layout layouts[TC_MAX_LAYOUTS];
    uint32_t layout_count;
    struct tc_member *members; /* without names */
    const char **member_names;
    struct proto_follow *follows;
    uint32_t member_count, member_allocated;
};

/* A text that grows in the arena. */
struct proto_buffer {
    char *data;
    uint32_t bytes, allocated;
};

/* proto_base.c */
void *proto_new(struct proto *p, size_t bytes); /* zeroed */
char *proto_copy(struct proto *p, const char *s, size_t bytes);
char *proto_format(struct proto *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void proto_free(struct proto *p);
_Noreturn void proto_fail(struct proto *p, enum tc_reason reason, proto_at at, const char *remedy,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));
_Noreturn void proto_no_memory(struct proto *p);
void proto_put(struct proto *p, struct proto_buffer *b, const char *s);

/* The nearest known word so far; begin with {0}. */
struct proto_nearest {
    const char *best;
    unsigned distance;
};
void proto_near(struct proto_nearest *n, const char *word, const char *known);

/* proto_lex.c: the tokens of one text, closed by TOK_END, which stands right behind the last one.
 */
const struct proto_token *proto_lex(struct proto *p, enum tc_proto_field field, const char *text);
/* "'x'", "the end of the text" ... for messages. */
const char *proto_describe(struct proto *p, const struct proto_token *t);

/* proto_float.c: decimal fractions as C writes them, in no locale but C's. */
/* The bits of the nearest double; -ERANGE: it would be infinite, or 0 without being written so. */
int proto_float_parse(struct proto *p, const char *start, const char *end, int64_t *ret_bits);
/* The shortest text that is that double again; finite, not negative. */
const char *proto_float_text(struct proto *p, int64_t bits);

/* proto_parse.c */
bool proto_is(const struct proto *p, int kind);
bool proto_is_word(const struct proto *p, const char *word);
bool proto_accept(struct proto *p, int kind);
bool proto_accept_word(struct proto *p, const char *word);
void proto_expect(struct proto *p, int kind, const char *what);
_Noreturn void proto_unexpected(struct proto *p, const char *wanted);
void proto_enter(struct proto *p); /* one level deeper, or fail */
void proto_leave(struct proto *p);
void proto_parse_prototype(struct proto *p);

/* proto_declarator.c */
struct proto_type *proto_pointer_to(struct proto *p, struct proto_type *to);
struct proto_type *proto_declarator(struct proto *p, struct proto_type *base, const char **ret_name,
                                    proto_at *ret_at);

/* Qualifiers and type of what has a name already. */
void proto_unnamed_parameter(struct proto *p, struct proto_param *x);

/* proto_globals.c: p->text->globals, behind the function's parameters */
void proto_parse_globals(struct proto *p);

/* proto_types.c */
struct proto_storage {
    bool is_typedef, is_extern, is_static, packed, vector;
    struct proto_expr *aligned; /* the last one given */
    proto_at at;                /* of the storage class */
    proto_at base_at;           /* of the type's first word, behind qualifiers */
    bool atomic;
    proto_at atomic_at;
};
bool proto_is_keyword(const char *word); /* no name */
bool proto_starts_type(const struct proto *p, const struct proto_token *t);
struct proto_type *proto_specifiers(struct proto *p, struct proto_storage *ret);
void proto_attributes(struct proto *p, struct proto_storage *s);
void proto_parse_types(struct proto *p);
/* Asks for a type that isn't declared; true: it may be now. `word` is "struct ", "enum " or "". */
bool proto_ask_type(struct proto *p, const char *word, const char *name);
/* Is it a struct whose members are known, or become known by asking? */
bool proto_complete(struct proto *p, struct proto_record *r);

/* proto_record.c: struct, union and enum specifiers */
struct proto_type *proto_tagged_type(struct proto *p);

/* proto_layout.c: what types look like in memory */
/* Fails where it can't be known: unions, flexible arrays, incomplete types. `at` is for messages.
 */
struct proto_size proto_size_of(struct proto *p, const struct proto_type *t, proto_at at);
struct proto_member *proto_find_member(struct proto *p, struct proto_record *r, const char *name,
                                       uint64_t *ret_offset);
/* 1 + the index of a type's layout: one for all uses. */
uint32_t proto_layout_of(struct proto *p, const struct proto_type *t, proto_at at);
/* Of one pointer, which is no struct's: what it leads to. */
uint32_t proto_layout_of_pointer(struct proto *p, const struct proto_type *pointer,
                                 struct tc_member leaf, struct proto_follow follow);

/* proto_pointee.c: pointers in structs */
uint8_t proto_member_direction(struct proto *p);
void proto_settle_member(struct proto *p, struct proto_member *m);
void proto_follow_leaf(struct proto *p, const struct proto_member *m, const struct proto_type *to,
                       struct tc_member *leaf, struct proto_follow *follow);
void proto_follow_members(struct proto *p, uint32_t layout);
/* Of the pointers that a parameter, an input, leads to. */
uint32_t proto_layout_of_pointers(struct proto *p, const struct proto_param *x);

/* proto_abi.c: where arguments and results are */
void proto_assign_places(struct proto *p);

/* proto_names.c: what is known without `types:` and what the texts declared */
struct proto_type *proto_base_type(struct proto *p, const char *name);
struct proto_symbol *proto_find(const struct proto *p, enum proto_symbol_kind kind,
                                const char *name);
struct proto_symbol *proto_declare(struct proto *p, enum proto_symbol_kind kind, const char *name,
                                   struct proto_type *type);
bool proto_is_type_name(const struct proto *p, const char *name);
struct proto_type *proto_typedef(struct proto *p, const char *name);
_Noreturn void proto_unknown_type(struct proto *p, proto_at at, const char *name);
bool proto_is_qualifier(const char *word);

/* proto_expr.c */
struct proto_expr *proto_expression(struct proto *p);
/* Inside brackets: a `<=` outside of parentheses ends it. */
struct proto_expr *proto_extent_expression(struct proto *p);
int64_t proto_constant(struct proto *p, const struct proto_expr *e);

/* proto_check.c */
void proto_check(struct proto *p);

/* proto_shape.c */
void proto_check_shape(struct proto *p, struct proto_param *x);
/* The parameter that most likely says how many elements `x` has, for remedies. */
const char *proto_count_hint(const struct proto *p, const struct proto_param *x);
struct proto_expr *proto_product(struct proto *p, struct proto_expr *a, struct proto_expr *b);

/* proto_codec.c */
const char *proto_codec_name(struct proto *p);
void proto_check_codec(struct proto *p, struct proto_param *x);
bool proto_check_codec_result(struct proto *p);

/* proto_owned.c: memory that changes hands */
static inline bool proto_is_owned(const struct proto_param *x)
{
    return x->shape == TC_SHAPE_BLOCK || x->shape == TC_SHAPE_TEXT;
}
/* `out malloc T *p[EXTENT]` */
void proto_check_block(struct proto *p, struct proto_param *x);
/* `malloc` and `static` results; false: it is none. */
bool proto_check_owned_result(struct proto *p);

/* proto_typing.c */
/* The parameter of an E_NAME; NULL: it is a constant of `types:`. */
const struct proto_param *proto_name(struct proto *p, const struct proto_expr *e,
                                     int64_t *ret_constant);
bool proto_reads_memory(const struct proto_expr *e);
/* The out or inout parameter whose memory a pointer expression leads to, or NULL. */
const struct proto_param *proto_written(const struct proto *p, const struct proto_expr *e);
/* Does it need the state after the call: `return`, or what the call writes? */
bool proto_reads_after(const struct proto *p, const struct proto_expr *e);

/* proto_compile.c: one program; returns its first instruction */
enum proto_when {
    WHEN_SKIP = 0, /* before everything else: old(e) is e */
    WHEN_BEFORE,   /* of what the call doesn't change: at any time, with one result */
    WHEN_SAVED,    /* once before the call; the value is kept, whatever the call does to memory */
    WHEN_AFTER,
    WHEN_MEMBER,   /* a member's extent: the struct's address is the only argument */
    WHEN_CAPACITY, /* at any time, with one result: what the call changes is read by old() alone */
};
uint32_t proto_program(struct proto *p, const struct proto_expr *e, enum proto_when when,
                       bool extent);

/* Before the call, of any type that a text can be made of; `*ret_kind` is an enum
 * tc_key_part_kind. */
uint32_t proto_value_program(struct proto *p, const struct proto_expr *e, uint32_t *ret_kind);

/* proto_template.c: the parts of p->text->key */
void proto_compile_template(struct proto *p);

/* proto_extent.c: all programs of a task */
void proto_compile_all(struct proto *p, const struct proto_expr *skip,
                       const struct proto_expr *success);

/* proto_print_expr.c */
void proto_print_expr(struct proto *p, struct proto_buffer *b, const struct proto_expr *e);

/* proto_print.c */
const char *proto_type_text(struct proto *p, const struct proto_type *t, const char *name,
                            bool canonical);
/* Of a parameter, as a person writes it: arrays are pointers. */
const char *proto_param_type_text(struct proto *p, const struct proto_param *x);
const char *proto_canonical(struct proto *p);

#endif
