#include "service/resolve/cxx_name.h"

#include <ctype.h>
#include <errno.h>
#include <libiberty/demangle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/resolve/cxx_text.h"

static int is_identifier(const char *s, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_' && (unsigned char)s[i] < 0x80)
            return 0;
    return bytes > 0 && !isdigit((unsigned char)s[0]);
}

int tc_cxx_is_name(const char *text)
{
    const char *word = strstr(text, "operator");

    return strstr(text, "::") != NULL || strpbrk(text, "(<~") != NULL ||
           (word == text && text[8] != 0 && !isalnum((unsigned char)text[8]) && text[8] != '_');
}

/* ---- what was asked for ---- */

/* The last part of a name, and the one in front of it; without template arguments and tags. */
struct ending {
    const char *last, *before;
    size_t last_bytes, before_bytes;
};

static size_t bare_bytes(const char *part, size_t bytes)
{
    size_t n = 0;

    if (strncmp(part, "operator", 8) == 0)
        return bytes;
    while (n < bytes && part[n] != '<' && part[n] != '[')
        n++;
    return n;
}

static struct ending find_ending(const char *name)
{
    struct ending e = {NULL, NULL, 0, 0};

    for (size_t at = 0;;) {
        size_t end = tc_cxx_part_end(name, at);
        e.before = e.last;
        e.before_bytes = e.last_bytes;
        e.last = name + at;
        e.last_bytes = bare_bytes(name + at, end - at);
        if (name[end] == 0)
            return e;
        at = end + 2;
    }
}

static int same(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    return a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0;
}

/* Identifiers stand in linkage names with their lengths in front, "2ns1f"; constructors and
 * destructors are those of their class. Names of std's own are abbreviated. */
static char *make_key(const char *name)
{
    struct ending e = find_ending(name);
    const char *word = e.last + (e.last[0] == '~');
    size_t bytes = e.last_bytes - (e.last[0] == '~');
    char *key = NULL;

    if (strncmp(name, "std::", 5) == 0 || !is_identifier(word, bytes) ||
        strncmp(word, "operator", 8) == 0)
        return strdup("");
    return asprintf(&key, "%zu%.*s", bytes, (int)bytes, word) < 0 ? NULL : key;
}

static char *make_function(const char *name)
{
    struct ending e = find_ending(name);
    char *f = strndup(e.last, e.last_bytes);

    for (char *c = f; c != NULL && *c != 0; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return f;
}

static const char *check(const char *name)
{
    struct ending e;

    for (size_t at = 0;; at += 2) {
        size_t end = tc_cxx_part_end(name, at);
        if (end == at)
            return "a part of the name is missing";
        if (memchr(name + at, ' ', bare_bytes(name + at, end - at)) != NULL &&
            strncmp(name + at, "operator", 8) != 0 && name[at] != '{')
            return "the name stands alone, without the function's result";
        at = end;
        if (name[at] == 0)
            break;
    }
    e = find_ending(name);
    if (strncmp(e.last, "operator", 8) != 0 &&
        !is_identifier(e.last + (e.last[0] == '~'), e.last_bytes - (e.last[0] == '~')))
        return "a function's name stands in front of the parameters, without its result";
    return NULL;
}

static const char *balanced(const char *text)
{
    int depth = 0;

    for (const char *p = text; *p != 0 && depth >= 0; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "it holds a control character";
        depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
    }
    return depth != 0 ? "the parentheses don't close" : NULL;
}

int tc_cxx_parse(const char *text, struct tc_cxx_name *ret, const char **ret_why)
{
    struct tc_cxx_name n = {0};
    size_t bytes = strlen(text), start = 0, end = 0;
    char *all, *own;

    text += strncmp(text, "::", 2) == 0 ? 2 : 0;
    bytes = strlen(text);
    *ret_why = bytes > TC_CXX_MAX_NAME / 4 ? "it is too long" : balanced(text);
    if (*ret_why != NULL)
        return -EINVAL;
    all = tc_cxx_canonical(text, bytes);
    if (all == NULL)
        return -ENOMEM;
    if (tc_cxx_find_params(all, &start, &end)) {
        n.params = strndup(all + start, end - start);
        n.qualifiers = strdup(all + end);
    } else {
        start = strlen(all);
        n.qualifiers = strdup("");
    }
    own = strndup(all, start);
    free(all);
    n.name = own;
    *ret_why = own != NULL ? check(own) : NULL;
    if (own != NULL && *ret_why == NULL) {
        n.function = make_function(own);
        n.key = make_key(own);
    }
    if (*ret_why != NULL || n.name == NULL || n.function == NULL || n.key == NULL ||
        n.qualifiers == NULL) {
        tc_cxx_name_free(&n);
        return *ret_why != NULL ? -EINVAL : -ENOMEM;
    }
    *ret = n;
    return 0;
}

void tc_cxx_name_free(struct tc_cxx_name *n)
{
    free(n->name);
    free(n->params);
    free(n->qualifiers);
    free(n->function);
    free(n->key);
    *n = (struct tc_cxx_name){0};
}

/* ---- what there is ---- */

static int part_matches(const char *asked, size_t asked_bytes, const char *part, size_t bytes)
{
    return same(asked, asked_bytes, part, bytes) ||
           (memchr(asked, '<', asked_bytes) == NULL && memchr(asked, '[', asked_bytes) == NULL &&
            same(asked, asked_bytes, part, bare_bytes(part, bytes)));
}

/* Part by part; anonymous namespaces needn't be written. */
static int name_matches(const char *asked, const char *name)
{
    size_t a = 0, n = 0;

    for (;;) {
        size_t a_end = tc_cxx_part_end(asked, a), n_end = tc_cxx_part_end(name, n);
        if (part_matches(asked + a, a_end - a, name + n, n_end - n)) {
            if (asked[a_end] == 0 || name[n_end] == 0)
                return asked[a_end] == 0 && name[n_end] == 0;
            a = a_end + 2;
        } else if (!same(name + n, n_end - n, TC_CXX_ANONYMOUS, strlen(TC_CXX_ANONYMOUS)) ||
                   name[n_end] == 0) {
            return 0;
        }
        n = n_end + 2;
    }
}

int tc_cxx_is_called(const struct tc_cxx_name *n, const char *scoped)
{
    return name_matches(n->name, scoped);
}

static int text_matches(const struct tc_cxx_name *n, char *canonical)
{
    size_t start, end;
    char kept;
    int r;

    if (!tc_cxx_find_params(canonical, &start, &end))
        return 0;
    kept = canonical[end];
    canonical[end] = 0;
    r = n->params == NULL || strcmp(canonical + start, n->params) == 0;
    canonical[end] = kept;
    if (!r || (n->qualifiers[0] != 0 && strcmp(canonical + end, n->qualifiers) != 0))
        return 0;
    kept = canonical[start];
    canonical[start] = 0;
    r = name_matches(n->name, canonical);
    canonical[start] = kept;
    return r;
}

/* As people space it: "f(int, long) const". */
static char *spaced(const char *canonical)
{
    char *text = malloc(2 * strlen(canonical) + 1), *to = text;

    for (const char *c = canonical; text != NULL && *c != 0; c++) {
        if (*c != ',' && c > canonical && c[-1] == ')' && isalpha((unsigned char)*c))
            *to++ = ' ';
        *to++ = *c;
        if (*c == ',')
            *to++ = ' ';
    }
    if (text != NULL)
        *to = 0;
    return text;
}

int tc_cxx_matches(const struct tc_cxx_name *n, const char *linkage, char **ret_text)
{
    char *plain, *canonical;
    int r = 0;

    if (strncmp(linkage, "_Z", 2) != 0 || strstr(linkage, n->key) == NULL ||
        strlen(linkage) > TC_CXX_MAX_NAME)
        return 0;
    plain = cplus_demangle_v3(linkage, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP);
    if (plain == NULL)
        return 0;
    canonical = tc_cxx_canonical(plain, strlen(plain));
    if (canonical != NULL)
        r = text_matches(n, canonical);
    free(plain);
    if (r && ret_text != NULL) {
        *ret_text = spaced(canonical);
        r = *ret_text != NULL;
    }
    free(canonical);
    return r;
}
