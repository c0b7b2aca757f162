/* The types that are known without `types:`, and the names that the texts declared. */
#include <string.h>

#include "service/resolve/proto_ast.h"

struct base {
    const char *name, *plain;
    uint8_t scalar;
};

/* C's scalars by their one canonical spelling (long long has the size and the class of long), then
 * the headers' names for them on x86-64 Linux. */
static const struct base bases[] = {
    {"char", "char", TC_I8},
    {"signed char", "signed char", TC_I8},
    {"unsigned char", "unsigned char", TC_U8},
    {"short", "short", TC_I16},
    {"unsigned short", "unsigned short", TC_U16},
    {"int", "int", TC_I32},
    {"unsigned int", "unsigned int", TC_U32},
    {"long", "long", TC_I64},
    {"unsigned long", "unsigned long", TC_U64},
    {"long long", "long", TC_I64},
    {"unsigned long long", "unsigned long", TC_U64},
    {"bool", "bool", TC_BOOL},
    {"float", "float", TC_F32},
    {"double", "double", TC_F64},
    {"_Float32", "float", TC_F32},
    {"_Float64", "double", TC_F64},
    {"int8_t", "signed char", TC_I8},
    {"int16_t", "short", TC_I16},
    {"int32_t", "int", TC_I32},
    {"int64_t", "long", TC_I64},
    {"uint8_t", "unsigned char", TC_U8},
    {"uint16_t", "unsigned short", TC_U16},
    {"uint32_t", "unsigned int", TC_U32},
    {"uint64_t", "unsigned long", TC_U64},
    {"int_least8_t", "signed char", TC_I8},
    {"int_least16_t", "short", TC_I16},
    {"int_least32_t", "int", TC_I32},
    {"int_least64_t", "long", TC_I64},
    {"uint_least8_t", "unsigned char", TC_U8},
    {"uint_least16_t", "unsigned short", TC_U16},
    {"uint_least32_t", "unsigned int", TC_U32},
    {"uint_least64_t", "unsigned long", TC_U64},
    {"int_fast8_t", "signed char", TC_I8},
    {"int_fast16_t", "long", TC_I64},
    {"int_fast32_t", "long", TC_I64},
    {"int_fast64_t", "long", TC_I64},
    {"uint_fast8_t", "unsigned char", TC_U8},
    {"uint_fast16_t", "unsigned long", TC_U64},
    {"uint_fast32_t", "unsigned long", TC_U64},
    {"uint_fast64_t", "unsigned long", TC_U64},
    {"intptr_t", "long", TC_I64},
    {"uintptr_t", "unsigned long", TC_U64},
    {"intmax_t", "long", TC_I64},
    {"uintmax_t", "unsigned long", TC_U64},
    {"size_t", "unsigned long", TC_U64},
    {"ssize_t", "long", TC_I64},
    {"ptrdiff_t", "long", TC_I64},
    {"wchar_t", "int", TC_I32},
    {"off_t", "long", TC_I64},
    {"off64_t", "long", TC_I64},
    {"time_t", "long", TC_I64},
};
#define BASES (sizeof bases / sizeof bases[0])

/* Known, and refused where a value or an element of such a type would be needed. */
static const struct {
    const char *name;
    enum proto_kind kind;
} others[] = {
    {"void", K_VOID},
    {"FILE", K_FILE},
    {"va_list", K_VA_LIST},
    {"__builtin_va_list", K_VA_LIST},
    {"__gnuc_va_list", K_VA_LIST},
    {"_Float16", K_UNBUILT},
    {"__fp16", K_UNBUILT},
    {"__bf16", K_UNBUILT},
    {"_Float128", K_UNBUILT},
    {"__float128", K_UNBUILT},
    {"__float80", K_UNBUILT},
    {"max_align_t", K_UNBUILT},
};
#define OTHERS (sizeof others / sizeof others[0])

/* The compilers' own: __m64, __m128d, __m256i_u, __m512bh; gcc's __v4sf; NEON never occurs here. */
static bool is_vector_name(const char *name)
{
    return strncmp(name, "__", 2) == 0 && (name[2] == 'm' || name[2] == 'v') && name[3] >= '1' &&
           name[3] <= '9';
}

static struct proto_type *new_type(struct proto *p, enum proto_kind kind, const char *name)
{
    struct proto_type *t = proto_new(p, sizeof *t);

    t->kind = kind;
    t->spelled = name;
    t->plain = name;
    t->height = 1;
    return t;
}

struct proto_type *proto_base_type(struct proto *p, const char *name)
{
    for (size_t i = 0; i < BASES; i++) {
        if (strcmp(name, bases[i].name) == 0) {
            struct proto_type *t = new_type(p, K_SCALAR, bases[i].name);

            t->plain = bases[i].plain;
            t->scalar = bases[i].scalar;
            t->is_char = i == 0;
            return t;
        }
    }
    for (size_t i = 0; i < OTHERS; i++)
        if (strcmp(name, others[i].name) == 0)
            return new_type(p, others[i].kind, others[i].name);
    return is_vector_name(name) ? new_type(p, K_VECTOR, name) : NULL;
}

struct proto_symbol *proto_find(const struct proto *p, enum proto_symbol_kind kind,
                                const char *name)
{
    for (struct proto_symbol *s = p->symbols; s != NULL; s = s->next)
        if (s->kind == kind && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

struct proto_symbol *proto_declare(struct proto *p, enum proto_symbol_kind kind, const char *name,
                                   struct proto_type *type)
{
    struct proto_symbol *s = proto_new(p, sizeof *s);

    s->kind = kind;
    s->name = name;
    s->type = type;
    s->next = p->symbols;
    p->symbols = s;
    return s;
}

bool proto_is_type_name(const struct proto *p, const char *name)
{
    bool known = proto_find(p, SYM_TYPEDEF, name) != NULL || is_vector_name(name);

    for (size_t i = 0; i < BASES && !known; i++)
        known = strcmp(name, bases[i].name) == 0;
    for (size_t i = 0; i < OTHERS && !known; i++)
        known = strcmp(name, others[i].name) == 0;
    return known;
}

static const char *const qualifiers[] = {"in",     "out",   "inout",  "ignore", "file",
                                         "malloc", "codec", "hidden", "static", NULL};

bool proto_is_qualifier(const char *word)
{
    for (size_t i = 0; qualifiers[i] != NULL; i++)
        if (strcmp(word, qualifiers[i]) == 0)
            return true;
    return false;
}

/* A fresh copy, so that its user may add `const`; NULL: no such name. */
struct proto_type *proto_typedef(struct proto *p, const char *name)
{
    const struct proto_symbol *s = proto_find(p, SYM_TYPEDEF, name);
    struct proto_type *t = s == NULL ? proto_base_type(p, name) : NULL;

    if (t != NULL)
        return t;
    if (s == NULL && !p->in_found && !proto_is_qualifier(name) && proto_ask_type(p, "", name))
        s = proto_find(p, SYM_TYPEDEF, name);
    if (s == NULL)
        return NULL;
    t = proto_new(p, sizeof *t);
    *t = *s->type;
    t->spelled = s->name;
    return t;
}

static const char *nearest_type(const struct proto *p, const char *name)
{
    struct proto_nearest n = {0};

    for (size_t i = 0; i < BASES; i++)
        proto_near(&n, name, bases[i].name);
    for (size_t i = 0; i < OTHERS; i++)
        proto_near(&n, name, others[i].name);
    for (size_t i = 0; qualifiers[i] != NULL; i++)
        proto_near(&n, name, qualifiers[i]);
    proto_near(&n, name, "const");
    proto_near(&n, name, "unsigned");
    proto_near(&n, name, "struct");
    for (const struct proto_symbol *s = p->symbols; s != NULL; s = s->next)
        if (s->kind == SYM_TYPEDEF)
            proto_near(&n, name, s->name);
    return n.best;
}

void proto_unknown_type(struct proto *p, proto_at at, const char *name)
{
    const char *near = nearest_type(p, name);

    if (near == NULL && proto_find(p, SYM_RECORD, name) != NULL)
        near = proto_format(p, "struct %s", name);
    if (near == NULL && proto_find(p, SYM_ENUM, name) != NULL)
        near = proto_format(p, "enum %s", name);
    proto_fail(p, TC_R_UNKNOWN_TYPE, at, near, "the type '%.60s' isn't known", name);
}
