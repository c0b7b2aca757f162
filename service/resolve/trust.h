/*
 * Whom a path trusts. A file or directory is trusted when nobody but the user and root could have
 * put it there or changed it: it and every directory on the way to it (through symbolic links too)
 * belong to one of the two and aren't writable by others. A sticky directory may be writable, since
 * nobody can replace there what isn't theirs; a group's write permission counts as others' unless
 * it is the user's own primary group.
 *
 * Host code; looks at the file system, allocates nothing, any thread.
 */
#ifndef TC_SERVICE_RESOLVE_TRUST_H
#define TC_SERVICE_RESOLVE_TRUST_H

#include <stddef.h>
#include <sys/types.h>

/* 0, -EPERM with the path of what isn't trusted in `ret_culprit`, -EINVAL for a relative path, or
 * another negative errno of looking at it (-ENOENT, -ELOOP, -ENAMETOOLONG, ...). `ret_culprit` may
 * be NULL. */
int tc_trusted(const char *path, uid_t uid, char *ret_culprit, size_t bytes);

#endif
