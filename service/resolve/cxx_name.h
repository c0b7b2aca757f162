/*
 * C++ functions by the names that their source gives them: "ns::f", "ns::f(int)", "S::get() const",
 * "f<int>(int)". Symbol tables and debug information hold linkage names (_ZN2ns1fEi); those are
 * demangled and compared.
 *
 * A name without parameters stands for all functions of that name; template arguments, ABI tags,
 * inline and anonymous namespaces may be left out likewise. `const char *` and `char const*`,
 * `unsigned` and `unsigned int`, size_t and what it is here, std::string and what that is are the
 * same. Any bytes are fine as input. Host code (the service); any thread.
 */
#ifndef TC_SERVICE_RESOLVE_CXX_NAME_H
#define TC_SERVICE_RESOLVE_CXX_NAME_H

#include <stddef.h>

/* What was asked for, taken apart. */
struct tc_cxx_name {
    char *name;       /* canonical: "ns::f" */
    char *params;     /* canonical, with the parentheses; NULL: any */
    char *qualifiers; /* behind them: "const"; "": any */
    char *function;   /* the last part as an identifier: "f" */
    char *key;        /* occurs in each linkage name that can match; "": unknown */
};

/* Is it C++'s notation, not a symbol's name? */
int tc_cxx_is_name(const char *text);

/* 0; -EINVAL: no function's name, `*ret_why` says why (a constant); -ENOMEM. */
int tc_cxx_parse(const char *text, struct tc_cxx_name *ret, const char **ret_why);
void tc_cxx_name_free(struct tc_cxx_name *n);

/* Does the linkage name (NUL-terminated) belong to it? 1: it does, and `*ret_text` is what a person
 * would write, to be freed; 0: it doesn't, or isn't C++'s. NULL as `ret_text`: not wanted. */
int tc_cxx_matches(const struct tc_cxx_name *n, const char *linkage, char **ret_text);

/* Is "ns::f", without parameters, its name? */
int tc_cxx_is_called(const struct tc_cxx_name *n, const char *scoped);

#endif
