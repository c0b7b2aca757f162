/*
 * The end of a service, waited for: its log is written, its socket and its lock are gone, and so is
 * its process. Nothing here prints. One thread; SIGALRM is used meanwhile.
 */
#ifndef TC_TOOLS_SERVICE_STOP_H
#define TC_TOOLS_SERVICE_STOP_H

#include "tools/session.h"

/* Tells the session's service, of this version or another, to end, and waits until it has; one that
 * is just starting or ending counts. 1: it has ended; 0: none ran; a negative errno with the cause:
 * -ETIMEDOUT: it hasn't ended within 10 s. */
int tc_service_stop(struct tc_session *s, struct tc_cause *ret_cause);

#endif
