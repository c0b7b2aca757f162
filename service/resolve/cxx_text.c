#include "service/resolve/cxx_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 2048u

struct token {
    const char *text;
    unsigned bytes;
};

struct tokens {
    struct token at[MAX_TOKENS];
    unsigned count;
};

static int is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static int is(const struct token *t, const char *text)
{
    return t->bytes == strlen(text) && memcmp(t->text, text, t->bytes) == 0;
}

static int is_word(const struct token *t)
{
    return is_word_char(t->text[0]);
}

/* ---- tokens ---- */

static const char *const anonymous[] = {"(anonymous namespace)", "(anonymous)", "{anonymous}",
                                        "<anonymous>"};

static size_t anonymous_bytes(const char *p, const char *end)
{
    for (size_t i = 0; i < sizeof anonymous / sizeof anonymous[0]; i++) {
        size_t bytes = strlen(anonymous[i]);
        if ((size_t)(end - p) >= bytes && memcmp(p, anonymous[i], bytes) == 0)
            return bytes;
    }
    return 0;
}

/* "operator" and its sign are one token, so that `operator<` opens no bracket. */
static size_t operator_bytes(const char *p, const char *end)
{
    static const char signs[] = "+-*/%^&|~!=<>,";
    size_t n = 8, sign;

    if (end - p < 8 || memcmp(p, "operator", 8) != 0 || (end - p > 8 && is_word_char(p[8])))
        return 0;
    while (p + n < end && p[n] == ' ')
        n++;
    sign = n;
    if (end - p - (ptrdiff_t)n >= 2 && (memcmp(p + n, "()", 2) == 0 || memcmp(p + n, "[]", 2) == 0))
        return n + 2;
    while (p + n < end && strchr(signs, p[n]) != NULL)
        n++;
    return n > sign ? n : 0;
}

static int add(struct tokens *t, const char *text, size_t bytes)
{
    if (t->count == MAX_TOKENS)
        return -1;
    t->at[t->count++] = (struct token){text, (unsigned)bytes};
    return 0;
}

static int split(struct tokens *t, const char *p, const char *end)
{
    for (size_t n; p < end; p += n) {
        n = anonymous_bytes(p, end);
        if (n != 0) {
            if (add(t, TC_CXX_ANONYMOUS, strlen(TC_CXX_ANONYMOUS)) < 0)
                return -1;
            continue;
        }
        n = 1;
        if (isspace((unsigned char)*p))
            continue;
        if (is_word_char(*p)) {
            n = operator_bytes(p, end);
            for (n += n == 0; p + n < end && is_word_char(p[n - 1]) && is_word_char(p[n]); n++)
                ;
        } else if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
            n = 2;
        }
        if (add(t, p, n) < 0)
            return -1;
    }
    return 0;
}

/* ---- spellings ---- */

static void cut(struct tokens *t, unsigned at, unsigned count)
{
    memmove(t->at + at, t->at + at + count, (t->count - at - count) * sizeof t->at[0]);
    t->count -= count;
}

/* Headers' names, as they are on 64-bit Linux. */
static void resolve_typedef(struct token *t)
{
    static const char *const known[][2] = {
        {"size_t", "unsigned long"},
        {"ssize_t", "long"},
        {"ptrdiff_t", "long"},
        {"int8_t", "signed char"},
        {"uint8_t", "unsigned char"},
        {"int16_t", "short"},
        {"uint16_t", "unsigned short"},
        {"int32_t", "int"},
        {"uint32_t", "unsigned int"},
        {"int64_t", "long"},
        {"uint64_t", "unsigned long"},
        {"intptr_t", "long"},
        {"uintptr_t", "unsigned long"},
        {"off_t", "long"},
        {"time_t", "long"},
        {"_Bool", "bool"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is(t, known[i][0]))
            *t = (struct token){known[i][1], (unsigned)strlen(known[i][1])};
}

static void resolve_typedefs(struct tokens *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        int scoped = i > 0 && is(&t->at[i - 1], "::");
        if (scoped && i > 1 && is(&t->at[i - 2], "std")) {
            struct token before = t->at[i];
            resolve_typedef(&t->at[i]);
            if (t->at[i].text != before.text) {
                cut(t, i - 2, 2);
                i -= 2;
            }
        } else if (!scoped) {
            resolve_typedef(&t->at[i]);
        }
    }
}

static const char *integer_name(unsigned longs, int is_short, int is_char, int is_unsigned,
                                int is_signed)
{
    if (is_char)
        return is_unsigned ? "unsigned char" : is_signed ? "signed char" : "char";
    if (is_short)
        return is_unsigned ? "unsigned short" : "short";
    if (longs >= 2)
        return is_unsigned ? "unsigned long long" : "long long";
    if (longs == 1)
        return is_unsigned ? "unsigned long" : "long";
    return is_unsigned ? "unsigned int" : "int";
}

/* "long unsigned int" and "unsigned long" are one. */
static void join_integers(struct tokens *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        unsigned n = 0, longs = 0;
        int is_short = 0, is_char = 0, is_unsigned = 0, is_signed = 0, is_other = 0;
        for (; i + n < t->count; n++) {
            const struct token *w = &t->at[i + n];
            if (is(w, "long"))
                longs++;
            else if (is(w, "short"))
                is_short = 1;
            else if (is(w, "char"))
                is_char = 1;
            else if (is(w, "unsigned"))
                is_unsigned = 1;
            else if (is(w, "signed"))
                is_signed = 1;
            else if (is(w, "double") || is(w, "__int128"))
                is_other = 1;
            else if (!is(w, "int"))
                break;
        }
        if (n > 0 && !is_other) {
            const char *name = integer_name(longs, is_short, is_char, is_unsigned, is_signed);
            cut(t, i, n - 1);
            t->at[i] = (struct token){name, (unsigned)strlen(name)};
        }
        i += is_other ? n - 1 : 0;
    }
}

static void drop_inline_namespaces(struct tokens *t)
{
    for (unsigned i = 2; i + 1 < t->count; i++)
        if (is(&t->at[i - 2], "std") && is(&t->at[i - 1], "::") && is(&t->at[i + 1], "::") &&
            (is(&t->at[i], "__cxx11") || is(&t->at[i], "__1")))
            cut(t, i, 2);
}

/* Behind the bracket that closes the one at `i`. */
static unsigned behind_brackets(const struct tokens *t, unsigned i)
{
    int depth = 0;

    for (; i < t->count; i++) {
        depth += is(&t->at[i], "<") ? 1 : is(&t->at[i], ">") ? -1 : 0;
        if (depth == 0)
            return i + 1;
    }
    return t->count;
}

/* Behind the type's name that begins at `i`: a::b<c>::d, or words such as `unsigned long`. */
static unsigned behind_type(const struct tokens *t, unsigned i)
{
    while (i < t->count && (is(&t->at[i], "struct") || is(&t->at[i], "class") ||
                            is(&t->at[i], "enum") || is(&t->at[i], "::")))
        i++;
    while (i < t->count && (is_word(&t->at[i]) || is(&t->at[i], TC_CXX_ANONYMOUS))) {
        i++;
        if (i < t->count && is(&t->at[i], "<"))
            i = behind_brackets(t, i);
        if (i >= t->count || !is(&t->at[i], "::"))
            return i;
        i++;
    }
    return i;
}

static int is_qualifier(const struct token *t)
{
    return is(t, "const") || is(t, "volatile");
}

/* `const T` is written `T const`, as demanglers do. */
static void turn_qualifiers(struct tokens *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        int begins =
            i == 0 || is(&t->at[i - 1], "(") || is(&t->at[i - 1], ",") || is(&t->at[i - 1], "<");
        if (!begins || !is_qualifier(&t->at[i]))
            continue;
        struct token q = t->at[i];
        unsigned end = behind_type(t, i + 1);
        memmove(t->at + i, t->at + i + 1, (end - i - 1) * sizeof t->at[0]);
        t->at[end - 1] = q;
        i -= end > i + 1;
    }
}

/* A tag's keyword is never part of a linkage name. */
static void drop_noise(struct tokens *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        int tag = is(&t->at[i], "struct") || is(&t->at[i], "class") || is(&t->at[i], "union") ||
                  is(&t->at[i], "enum") || is(&t->at[i], "typename") || is(&t->at[i], "__restrict");
        if (tag && i + 1 < t->count) {
            cut(t, i, 1);
            i--;
        }
    }
    /* Of a parameter, `const` without anything behind it says nothing to the caller. */
    for (unsigned i = 1; i + 1 < t->count; i++)
        if (is_qualifier(&t->at[i]) && (is_word(&t->at[i - 1]) || is(&t->at[i - 1], ">")) &&
            (is(&t->at[i + 1], ",") || is(&t->at[i + 1], ")"))) {
            cut(t, i, 1);
            i--;
        }
    for (unsigned i = 1; i + 1 < t->count; i++)
        if (is(&t->at[i], "void") && is(&t->at[i - 1], "(") && is(&t->at[i + 1], ")"))
            cut(t, i, 1);
}

/* Arguments of the standard library's templates that nobody writes. */
static void drop_defaults(struct tokens *t)
{
    static const char *const names[] = {"allocator", "char_traits", "less",
                                        "hash",      "equal_to",    "default_delete"};

    for (unsigned i = 0; i + 4 < t->count; i++) {
        if (!is(&t->at[i], ",") || !is(&t->at[i + 1], "std") || !is(&t->at[i + 2], "::") ||
            !is(&t->at[i + 4], "<"))
            continue;
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (is(&t->at[i + 3], names[k])) {
                cut(t, i, behind_brackets(t, i + 4) - i);
                i--;
                break;
            }
    }
}

/* std::basic_string<char> is std::string. */
static void shorten_standard(struct tokens *t)
{
    static const char *const names[][2] = {
        {"basic_string", "string"},     {"basic_string_view", "string_view"},
        {"basic_ostream", "ostream"},   {"basic_istream", "istream"},
        {"basic_iostream", "iostream"},
    };

    for (unsigned i = 2; i + 3 < t->count; i++)
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (is(&t->at[i], names[k][0]) && is(&t->at[i - 1], "::") && is(&t->at[i - 2], "std") &&
                is(&t->at[i + 1], "<") && is(&t->at[i + 2], "char") && is(&t->at[i + 3], ">")) {
                t->at[i] = (struct token){names[k][1], (unsigned)strlen(names[k][1])};
                cut(t, i + 1, 3);
            }
}

static char *join(const struct tokens *t)
{
    size_t bytes = 1, at = 0;
    char *text;

    for (unsigned i = 0; i < t->count; i++)
        bytes += t->at[i].bytes + 1;
    text = malloc(bytes);
    for (unsigned i = 0; text != NULL && i < t->count; i++) {
        const struct token *w = &t->at[i];
        if (at > 0 && is_word_char(text[at - 1]) && is_word(w))
            text[at++] = ' ';
        /* "operator ==" as "operator==" */
        for (unsigned k = 0; k < w->bytes; k++)
            if (w->text[k] != ' ' || (k + 1 < w->bytes && is_word_char(w->text[k + 1])))
                text[at++] = w->text[k];
    }
    if (text != NULL)
        text[at] = 0;
    return text;
}

char *tc_cxx_canonical(const char *text, size_t bytes)
{
    struct tokens *t = bytes <= TC_CXX_MAX_NAME ? calloc(1, sizeof *t) : NULL;
    char *result = NULL;

    if (t == NULL)
        return NULL;
    if (split(t, text, text + bytes) == 0) {
        drop_inline_namespaces(t);
        resolve_typedefs(t);
        join_integers(t);
        turn_qualifiers(t);
        drop_noise(t);
        drop_defaults(t);
        shorten_standard(t);
        result = join(t);
    }
    free(t);
    return result;
}

/* ---- parts ---- */

static int ends_with_operator(const char *text, size_t at)
{
    return at >= 8 && memcmp(text + at - 8, "operator", 8) == 0 &&
           (at == 8 || !is_word_char(text[at - 9]));
}

/* From behind: what stands in front of the last parentheses may have some of its own. */
int tc_cxx_find_params(const char *canonical, size_t *ret_start, size_t *ret_end)
{
    const char *last = strrchr(canonical, ')');
    size_t at = last != NULL ? (size_t)(last - canonical) + 1 : 0, end = at;
    int depth = 0;

    while (at > 0) {
        at--;
        depth += canonical[at] == ')' ? 1 : canonical[at] == '(' ? -1 : 0;
        if (depth == 0)
            break;
    }
    /* "f(int)::g" has parameters in the middle, "operator()" none at all. */
    if (last == NULL || depth != 0 || strstr(canonical + end, "::") != NULL ||
        (end == at + 2 && ends_with_operator(canonical, at)))
        return 0;
    *ret_start = at;
    *ret_end = end;
    return 1;
}

/* The sign behind `operator`: it opens and closes nothing. */
static size_t skip_operator(const char *text, size_t at)
{
    while (text[at] != 0 && strchr("+-*/%^&|~!=<>,", text[at]) != NULL)
        at++;
    return text[at] != 0 && strchr("([", text[at]) != NULL ? at + 2 : at;
}

size_t tc_cxx_part_end(const char *canonical, size_t at)
{
    size_t begin = at;
    int depth = 0;

    for (; canonical[at] != 0; at++) {
        char c = canonical[at];
        if (at == begin && strncmp(canonical + at, "operator", 8) == 0 &&
            !is_word_char(canonical[at + 8])) {
            at = skip_operator(canonical, at + 8) - 1;
            if (strlen(canonical) <= at)
                return strlen(canonical);
            continue;
        }
        if (depth == 0 && c == ':' && canonical[at + 1] == ':')
            return at;
        depth += c == '<' || c == '(' || c == '[' || c == '{'   ? 1
                 : c == '>' || c == ')' || c == ']' || c == '}' ? -1
                                                                : 0;
    }
    return at;
}
