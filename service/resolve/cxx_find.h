/*
 * Which function of an object has a C++ name: from the symbols' linkage names, and for what was
 * inlined everywhere from the debug information's. Fails with -ENOMEM only. Host code; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_CXX_FIND_H
#define TC_SERVICE_RESOLVE_CXX_FIND_H

#include "service/resolve/cxx_name.h"
#include "service/resolve/elf_function.h"

struct tc_cxx_found {
    size_t count;  /* functions that have the name; 0: none */
    char *linkage; /* of the first, without what compilers append to changed copies */
    char *text;    /* of the first, in full: "ns::f(int)" */
    char *list;    /* of all, if there are several: what to write, quoted */
};

/* `file` "": of any source file. Free the result also if there is none. */
int tc_cxx_find(const struct tc_image *im, const struct tc_cxx_name *n, const char *file,
                struct tc_cxx_found *ret);
void tc_cxx_found_free(struct tc_cxx_found *f);

#endif
