/*
 * C++ names in one spelling, so that what a person writes and what a demangler prints can be
 * compared byte by byte. Pure; NULL without memory. Host code; any thread.
 */
#ifndef TC_SERVICE_RESOLVE_CXX_TEXT_H
#define TC_SERVICE_RESOLVE_CXX_TEXT_H

#include <stddef.h>

#define TC_CXX_MAX_NAME  4096u

/* What an anonymous namespace is called. */
#define TC_CXX_ANONYMOUS "{anonymous}"

/* The canonical form of `bytes` of a name or a list of parameters; free() it. NULL also for texts
 * longer than TC_CXX_MAX_NAME. */
char *tc_cxx_canonical(const char *text, size_t bytes);

/* Where the list of parameters begins in a canonical name and where it ends (behind the
 * parenthesis); 0: there is none. */
int tc_cxx_find_params(const char *canonical, size_t *ret_start, size_t *ret_end);

/* The end of the part of a scoped name that begins at `at`: a "::" or the end of the text. */
size_t tc_cxx_part_end(const char *canonical, size_t at);

#endif
