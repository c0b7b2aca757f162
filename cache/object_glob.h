/*
 * What a task says of objects behind the `@` of its symbol: patterns for file names (fnmatch(3)),
 * with
 * `|` between alternatives. Host code, pure, any thread.
 */
#ifndef TC_CACHE_OBJECT_GLOB_H
#define TC_CACHE_OBJECT_GLOB_H

#define TC_OBJECT_GLOB_BYTES \
    256u /* of one alternative, with its NUL; a longer one matches nothing */

/* Does one of the alternatives match `name`? No patterns match nothing. */
int tc_object_glob(const char *globs, const char *name);

/* Takes the next alternative off `*globs`. 0: there is none left. */
int tc_object_glob_next(const char **globs, char ret_glob[TC_OBJECT_GLOB_BYTES]);

#endif
